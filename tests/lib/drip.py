#!/usr/bin/env python3
"""drip.py serve: sends numbered chunks, one every 20 ms, to whoever connects, for as many seconds as it is told.
drip.py HOST PORT SECONDS: takes them, checks every byte, and prints "gap MS", the longest time without one."""
import socket, struct, sys, time

CHUNK = 20000


def chunk(i):
    return struct.pack(">I", i) * (CHUNK // 4)


def serve():
    s = socket.create_server(("", 0))
    print("port", s.getsockname()[1], flush=True)
    while True:
        c, _ = s.accept()
        try:
            seconds = int(c.recv(16))
            start = time.monotonic()
            for i in range(seconds * 50):
                c.sendall(chunk(i))
                time.sleep(max(0, start + (i + 1) / 50 - time.monotonic()))
        except OSError:
            pass
        c.close()


def take(host, port, seconds):
    c = socket.create_connection((host, port), timeout=30)
    c.sendall(b"%d" % seconds)
    print("started", flush=True)
    last, gap = time.monotonic(), 0
    for i in range(seconds * 50):
        data = b""
        while len(data) < CHUNK:
            part = c.recv(CHUNK - len(data))
            assert part, "the end came after %d chunks" % i
            data += part
            now = time.monotonic()
            gap, last = max(gap, now - last), now
        assert data == chunk(i), "chunk %d differs" % i
    print("gap %d" % (gap * 1000), flush=True)


if sys.argv[1] == "serve":
    serve()
else:
    take(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
