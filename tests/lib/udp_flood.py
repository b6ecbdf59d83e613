#!/usr/bin/env python3
"""udp_flood.py HOST PORT SECONDS [SIZE [PER_SECOND]]: datagrams as fast as the socket takes them, whatever it says; prints "started", and at the end how many."""
import socket, sys, time

host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
data = bytes(int(sys.argv[4]) if len(sys.argv) > 4 else 1000)
pause = 100 / float(sys.argv[5]) if len(sys.argv) > 5 else 0
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
to = (socket.gethostbyname(host), port)
sent = 0
start = time.monotonic()
end = start + seconds
print("started")
while time.monotonic() < end:
    for _ in range(100):
        try:
            s.sendto(data, to)
            sent += 1
        except OSError:
            time.sleep(0.001)
    if pause:
        time.sleep(max(0, start + sent / 100 * pause - time.monotonic()))
print("sent", sent)
