#!/usr/bin/python3
"""dns_hosts.py FILE [ADDRESS[:PORT]]: a DNS server for A and AAAA on a free UDP port (or that one) by what FILE says at the time of each
question, a line each: NAME WHAT..., WHAT being TTL and addresses; or one of nxdomain, servfail, refused, formerr, empty, mute, garbage;
or noaaaa and addresses (nothing is said to AAAA). With nxdomain and empty a SOA that says 7 seconds. Prints "port N", then "NAME TYPE" of each question."""
import socket, struct, sys

RCODE = {'nxdomain': 3, 'servfail': 2, 'refused': 5, 'formerr': 1, 'empty': 0}


def name_at(msg, at):
    labels = []
    while msg[at]:
        labels.append(msg[at + 1:at + 1 + msg[at]].decode('latin-1'))
        at += msg[at] + 1
    return '.'.join(labels).lower(), at + 1


def soa():
    data = b'\0\0' + struct.pack('>IIIII', 1, 2, 3, 4, 7)
    return b'\0' + struct.pack('>HHIH', 6, 1, 3600, len(data)) + data


def answer(table, msg):
    name, end = name_at(msg, 12)
    kind = struct.unpack('>H', msg[end:end + 2])[0]
    print(name, {1: 'A', 28: 'AAAA'}.get(kind, kind), flush=True)
    what = table.get(name, ['nxdomain'])
    word = what[0]
    if word == 'mute' or (word == 'noaaaa' and kind == 28):
        return None
    if word == 'garbage':
        return msg[:2] + b'\xff' * 40
    found, authority, rcode = [], [], RCODE.get(word, 0)
    if word in RCODE:
        authority = [soa()] if word in ('nxdomain', 'empty') else []
    else:
        ttl = int(what[1] if word == 'noaaaa' else word)
        for a in what[2 if word == 'noaaaa' else 1:]:
            family = socket.AF_INET6 if ':' in a else socket.AF_INET
            if kind == (28 if family == socket.AF_INET6 else 1):
                data = socket.inet_pton(family, a)
                found.append(b'\xc0\x0c' + struct.pack('>HHIH', kind, 1, ttl, len(data)) + data)
        authority = [] if found else [soa()]
    return msg[:2] + struct.pack('>HHHHH', 0x8180 | rcode, 1, len(found), len(authority), 0) + msg[12:end + 4] + b''.join(found + authority)


host, _, port = (sys.argv[2] if len(sys.argv) > 2 else '127.0.0.1').partition(':')
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
s.bind((host, int(port or 0)))
print('port', s.getsockname()[1], flush=True)
while True:
    msg, peer = s.recvfrom(4096)
    table = {}
    for line in open(sys.argv[1]):
        words = line.split()
        if words:
            table[words[0]] = words[1:]
    reply = answer(table, msg)
    if reply:
        s.sendto(reply, peer)
