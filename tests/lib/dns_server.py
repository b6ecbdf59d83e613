#!/usr/bin/python3
"""dns_server.py ADDRESS...: a DNS server at port 53 of each, over UDP and TCP. Prints "port 53", then every question as "PROTOCOL NAME TYPE".
www.example.org has addresses, and its IPv4 address that name. big.example has forty addresses, cut short over UDP. mute.example has no answer.
echo.example has the query as it came, in hex, as TXT. Nothing else exists."""
import selectors, socket, struct, sys, threading

A, PTR, TXT, AAAA = 1, 12, 16, 28
lock = threading.Lock()


def name_at(msg, at):
    labels = []
    while msg[at]:
        labels.append(msg[at + 1:at + 1 + msg[at]].decode('latin-1'))
        at += msg[at] + 1
    return '.'.join(labels), at + 1


def wire(name):
    return b''.join(bytes([len(l)]) + l.encode() for l in name.split('.')) + b'\0'


def records(name, kind, msg, udp):
    """rcode, record data, whether it was cut."""
    if name == 'www.example.org':
        found = {A: [socket.inet_aton('192.0.2.80')], AAAA: [socket.inet_pton(socket.AF_INET6, '2001:db8::80')]}
        return 0, found.get(kind, []), False
    if name == '80.2.0.192.in-addr.arpa':
        return 0, [wire('www.example.org')] if kind == PTR else [], False
    if name == 'big.example':
        return 0, [] if udp or kind != A else [bytes([192, 0, 2, i]) for i in range(100, 140)], udp
    if name == 'echo.example':
        text = msg.hex().encode()
        return 0, [b''.join(bytes([len(text[i:i + 200])]) + text[i:i + 200] for i in range(0, len(text), 200))], False
    return 3, [], False


def answer(msg, udp):
    name, end = name_at(msg, 12)
    kind = struct.unpack('>H', msg[end:end + 2])[0]
    with lock:
        print('udp' if udp else 'tcp', name, kind, flush=True)
    if name.lower() == 'mute.example':
        return None
    rcode, data, cut = records(name.lower(), kind, msg, udp)
    flags = 0x8180 | cut << 9 | rcode
    body = b''.join(struct.pack('>HHHIH', 0xc00c, kind, 1, 60, len(d)) + d for d in data)
    return msg[:2] + struct.pack('>HHHHH', flags, 1, len(data), 0, 0) + msg[12:end + 4] + body


def stream(conn):
    f = conn.makefile('rb')
    while (size := f.read(2)):
        reply = answer(f.read(struct.unpack('>H', size)[0]), False)
        if reply:
            conn.sendall(struct.pack('>H', len(reply)) + reply)
    conn.close()


loop = selectors.DefaultSelector()
for address in sys.argv[1:]:
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    here = socket.getaddrinfo(address, 53)[0][4]
    u = socket.socket(family, socket.SOCK_DGRAM)
    u.bind(here)
    loop.register(u, selectors.EVENT_READ)
    t = socket.create_server(here, family=family)
    loop.register(t, selectors.EVENT_READ)
print('port 53', flush=True)
while True:
    for key, _ in loop.select():
        s = key.fileobj
        if s.type == socket.SOCK_STREAM:
            threading.Thread(target=stream, args=(s.accept()[0],), daemon=True).start()
            continue
        msg, source = s.recvfrom(65536)
        reply = answer(msg, True)
        if reply:
            s.sendto(reply, source)
