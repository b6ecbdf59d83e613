#!/usr/bin/env python3
"""nap.py serve: answers each line with the same; prints "port N" first.
nap.py HOST PORT FOLDER: says a line on a connection, makes FOLDER/said, waits for FOLDER/woken, says another one on the same
connection, and prints how many milliseconds that answer took. FOLDER/late: what the server is to say by itself meanwhile."""
import os, socket, sys, threading, time


def one(c):
    f = c.makefile("rwb", buffering=0)
    for line in f:
        if line.startswith(b"later"):
            time.sleep(float(line.split()[1]))
        f.write(line)


def serve():
    s = socket.create_server(("", 0))
    print("port", s.getsockname()[1], flush=True)
    while True:
        threading.Thread(target=one, args=(s.accept()[0],), daemon=True).start()


def run(host, port, folder):
    c, d = (socket.create_connection((host, int(port)), timeout=60).makefile("rwb", buffering=0) for _ in range(2))
    c.write(b"one\n")
    assert c.readline() == b"one\n"
    d.write(b"later 5\n")  # it comes while we sleep
    open(folder + "/said", "w").close()
    while not os.path.exists(folder + "/woken"):
        time.sleep(0.01)
    start = time.monotonic()
    c.write(b"two\n")
    assert c.readline() == b"two\n"
    print("answer %d" % ((time.monotonic() - start) * 1000), flush=True)
    assert d.readline() == b"later 5\n"
    print("late %d" % ((time.monotonic() - start) * 1000), flush=True)


if sys.argv[1] == "serve":
    serve()
else:
    run(*sys.argv[1:])
