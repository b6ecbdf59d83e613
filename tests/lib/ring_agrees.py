#!/usr/bin/env python3
"""ring_agrees.py ADDRESS:PORT...: waits (15 s) until these nodes name the same owners of some prefixes: they are one ring."""
import os, socket, struct, sys, time

LOOKUP, OWNER = 0x1C, 0x1D


def owner(sock, node, prefix):
    nonce = os.urandom(8)
    sock.sendto(bytes([LOOKUP, 0, 0, 0]) + nonce + prefix + bytes(20), node)
    while True:
        d, at = sock.recvfrom(2048)
        if at == node and d[0] == OWNER and d[4:12] == nonce:
            return node if d[1] & 1 else (socket.inet_ntoa(d[32:36]), struct.unpack(">H", d[30:32])[0])


def agree(sock, nodes):
    prefixes = [bytes([i * 8]) + bytes(15) for i in range(32)]
    named = [[owner(sock, n, p) for p in prefixes] for n in nodes]
    return all(x == named[0] for x in named)


nodes = [(a.rsplit(":", 1)[0], int(a.rsplit(":", 1)[1])) for a in sys.argv[1:]]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.5)
end = time.monotonic() + 15
while time.monotonic() < end:
    try:
        if agree(s, nodes):
            sys.exit(0)
    except OSError:
        pass
    time.sleep(0.1)
sys.exit("these are not one ring: %s" % " ".join(sys.argv[1:]))
