#!/usr/bin/python3
"""udp_gap.py HOST PORT SECONDS: a datagram every 20 ms to an echo server; prints "started" after the first answer, and at the end
"gap MS", the longest time without one."""
import socket, sys, time

host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
to = (socket.gethostbyname(host), port)
s.settimeout(0.02)


def answered():
    """One question; whether anything came back within 20 ms."""
    s.sendto(b'%f' % time.monotonic(), to)
    try:
        s.recvfrom(2048)
        return True
    except (TimeoutError, OSError):
        return False


begin = time.monotonic()
while not answered():
    if time.monotonic() > begin + 10:
        sys.exit('no answer')
print('started', flush=True)
last = begin = time.monotonic()
gap = 0
while time.monotonic() < begin + seconds:
    before = time.monotonic()
    if answered():
        now = time.monotonic()
        gap, last = max(gap, now - last), now
        time.sleep(max(0, before + 0.02 - now))
print('gap', int(max(gap, time.monotonic() - last) * 1000))
