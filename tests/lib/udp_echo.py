#!/usr/bin/python3
"""udp_echo.py [ADDRESS [PORT]]: prints "port N", then sends every datagram back; "who" is answered with the sender's address.
An address with a colon is IPv6; "::" takes IPv4 as well."""
import socket, sys

address = sys.argv[1] if len(sys.argv) > 1 else ''
s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, socket.SOCK_DGRAM)
if ':' in address:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
s.bind((address, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
print('port', s.getsockname()[1], flush=True)
while True:
    data, peer = s.recvfrom(65536)
    s.sendto(b'%s %d' % (peer[0].encode(), peer[1]) if data == b'who' else data, peer)
