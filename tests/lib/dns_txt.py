#!/usr/bin/python3
"""dns_txt.py FILE: a DNS server for TXT on a free UDP port of 127.0.0.1, by what FILE says at the time of each question, a line each:
NAME WHAT, WHAT being TTL and a text; or one of nxdomain, servfail, refused, formerr, empty, garbage (no DNS at all), cut (half an answer),
mute, cname TO. Prints "port N", then every name that it was asked for."""
import socket, struct, sys

RCODE = {'nxdomain': 3, 'servfail': 2, 'refused': 5, 'formerr': 1, 'empty': 0}


def name_at(msg, at):
    labels = []
    while msg[at]:
        labels.append(msg[at + 1:at + 1 + msg[at]].decode('latin-1'))
        at += msg[at] + 1
    return '.'.join(labels).lower(), at + 1


def wire(name):
    return b''.join(bytes([len(l)]) + l.encode() for l in name.split('.')) + b'\0'


def strings(text):
    raw = text.encode()
    return b''.join(bytes([len(raw[i:i + 40])]) + raw[i:i + 40] for i in range(0, len(raw), 40))


def records(table, name, owner=b'\xc0\x0c'):
    """rcode, records."""
    found = []
    for what in table.get(name, ['nxdomain']):
        word, _, rest = what.partition(' ')
        if word in RCODE:
            return RCODE[word], []
        if word == 'cname':
            data = wire(rest)
            rcode, more = records(table, rest, data)
            return rcode, [owner + struct.pack('>HHIH', 5, 1, 300, len(data)) + data] + more
        data = strings(rest)
        found.append(owner + struct.pack('>HHIH', 16, 1, int(word), len(data)) + data)
    return 0, found


def answer(table, msg):
    name, end = name_at(msg, 12)
    print(name, flush=True)
    what = table.get(name, [''])[0]
    if what == 'mute':
        return None
    if what == 'garbage':
        return msg[:2] + b'\xff' * 40
    rcode, found = records(table, name) if what != 'cut' else records({name: ['300 i3=1 key=']}, name)
    reply = msg[:2] + struct.pack('>HHHHH', 0x8180 | rcode, 1, len(found), 0, 0) + msg[12:end + 4] + b''.join(found)
    return reply[:-4] if what == 'cut' else reply


s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 0))
print('port', s.getsockname()[1], flush=True)
while True:
    msg, peer = s.recvfrom(4096)
    table = {}
    for line in open(sys.argv[1]):
        name, _, what = line.strip().partition(' ')
        if name:
            table.setdefault(name, []).append(what)
    reply = answer(table, msg)
    if reply:
        s.sendto(reply, peer)
