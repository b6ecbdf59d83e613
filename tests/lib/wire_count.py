#!/usr/bin/env python3
"""wire_count.py INTERFACE ADDRESS: counts UDP datagrams that leave by it, but to ADDRESS, and are DATA of the overlay, until SIGINT; prints "ready", then "data N"
and what they were. Needs root."""
import signal, socket, sys

WIRE_DATA = 1

done = []
signal.signal(signal.SIGINT, lambda *_: done.append(1))
s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003))
s.bind((sys.argv[1], 0x0003))
s.settimeout(0.2)
print("ready", flush=True)
seen = []
while not done:
    try:
        p, a = s.recvfrom(2048)
    except TimeoutError:
        continue
    if a[2] != socket.PACKET_OUTGOING or a[1] != 0x0800 or p[9] != 17 or socket.inet_ntoa(p[16:20]) == sys.argv[2]:
        continue
    body = p[(p[0] & 15) * 4 + 8:]
    if body and body[0] & 15 == WIRE_DATA:
        seen.append("%d bytes to %s proto %d" % (len(body), socket.inet_ntoa(p[16:20]), body[4]))
print("data", len(seen))
print("\n".join(seen), flush=True)
