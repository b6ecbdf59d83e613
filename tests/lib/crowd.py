#!/usr/bin/env python3
"""crowd.py PORT N: N connections to 127.0.0.1:PORT from many addresses of loopback, each of which says half a frame and then a byte
every second. Prints "held M" once all were tried, then every second "left L"; ends with the last of them."""
import socket, sys, time

port, n = int(sys.argv[1]), int(sys.argv[2])
crowd = []
for i in range(n):
    s = socket.socket()
    s.bind(("127.1.%d.%d" % (i // 30 // 200, 1 + i // 30 % 200), 0))
    try:
        s.connect(("127.0.0.1", port))
        s.sendall(b"\x3f\xff\x10")
        crowd.append(s)
    except OSError:
        pass
print("held %d" % len(crowd), flush=True)
while crowd:
    time.sleep(1)
    for s in list(crowd):
        try:
            s.send(b"x", socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
        except OSError:
            crowd.remove(s)
    print("left %d" % len(crowd), flush=True)
