#!/usr/bin/python3
"""udp_echo.py [ADDRESS [PORT]]: prints "port N", then sends every datagram back; "who" is answered with the sender's address."""
import socket, sys

s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1] if len(sys.argv) > 1 else '', int(sys.argv[2]) if len(sys.argv) > 2 else 0))
print('port', s.getsockname()[1], flush=True)
while True:
    data, peer = s.recvfrom(65536)
    s.sendto(b'%s %d' % (peer[0].encode(), peer[1]) if data == b'who' else data, peer)
