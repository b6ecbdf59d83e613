#!/usr/bin/python3
"""dns_ask.py SERVER CASE...: a resolver of its own, in every way in which programs send to port 53. CASE is HOW:NAME:TYPE; prints for each
"HOW NAME TYPE: rcode N, ANSWERS" and the peer when it is not SERVER. HOW: connect, sendto, sendmsg, sendmmsg, tcp, tcp-nb (not
blocking), tcp-many (all at once, then no more: one CASE whose names are joined by "+"), fastopen, both (a question
to the server first from the same socket). "stop:ARGUMENT..." runs a command."""
import ctypes, os, select, socket, struct, subprocess, sys

TYPES = {'A': 1, 'SOA': 6, 'PTR': 12, 'TXT': 16, 'AAAA': 28, 'HTTPS': 65, 'ANY': 255}
server = sys.argv[1]
family = socket.AF_INET6 if ':' in server else socket.AF_INET
there = socket.getaddrinfo(server, 53)[0][4] # with the interface of a link-local one


def query(name, kind, ident=0x4242):
    labels = b''.join(bytes([len(l)]) + l.encode() for l in name.split('.'))
    return struct.pack('>HHHHHH', ident, 0x100, 1, 0, 0, 0) + labels + b'\0' + struct.pack('>HH', TYPES[kind], 1)


def text(msg):
    flags, _, count, authority, _ = struct.unpack('>HHHHH', msg[2:12])
    at = msg.index(b'\0', 12) + 5
    out = []
    for _ in range(count):
        kind, size = struct.unpack('>HxxxxxxH', msg[at + 2:at + 12])
        data = msg[at + 12:at + 12 + size]
        at += 12 + size
        if kind in (1, 28):
            out.append(socket.inet_ntop(socket.AF_INET if kind == 1 else socket.AF_INET6, data))
        elif kind == 12:
            labels = []
            while data[0]:
                labels.append(data[1:1 + data[0]].decode())
                data = data[1 + data[0]:]
            out.append('.'.join(labels))
        else:
            out.append(data[1:1 + data[0]].decode())
    return 'rcode %d, %s%s%s' % (flags & 15, ' '.join(out) or 'nothing', ' (cut)' if flags & 0x200 else '',
                                 ' (SOA)' if authority else '')


class Iovec(ctypes.Structure):
    _fields_ = [('base', ctypes.c_char_p), ('len', ctypes.c_size_t)]


class Mmsghdr(ctypes.Structure):
    _fields_ = [('name', ctypes.c_char_p), ('namelen', ctypes.c_uint), ('iov', ctypes.POINTER(Iovec)), ('iovlen', ctypes.c_size_t),
                ('control', ctypes.c_void_p), ('controllen', ctypes.c_size_t), ('flags', ctypes.c_size_t), ('len', ctypes.c_size_t)]


def sendmmsg(s, messages):
    bare, _, link = server.partition('%')
    scope = socket.if_nametoindex(link) if link else 0
    to = (struct.pack('=HHI16sI', family, socket.htons(53), 0, socket.inet_pton(family, bare), scope) if family == socket.AF_INET6
          else struct.pack('=HH4s8x', family, socket.htons(53), socket.inet_aton(server)))
    v = (Mmsghdr * len(messages))()
    for m, data in zip(v, messages):
        m.name, m.namelen, m.iov, m.iovlen = to, len(to), ctypes.pointer(Iovec(data, len(data))), 1
    done = 0
    while done < len(messages): # fewer than were given may go at once
        sent = ctypes.CDLL(None, use_errno=True).sendmmsg(s.fileno(), ctypes.byref(v, done * ctypes.sizeof(Mmsghdr)), len(messages) - done, 0)
        assert sent > 0, os.strerror(ctypes.get_errno())
        done += sent


def receive(s):
    s.settimeout(5)
    msg, source = s.recvfrom(65536)
    return text(msg) + ('' if source[:2] == there[:2] else ' from %s %d' % source[:2])


def exactly(s, n):
    data = b''
    while len(data) < n:
        more = s.recv(n - len(data))
        if not more:
            raise EOFError('end of file')
        data += more
    return data


def framed(s):
    return exactly(s, struct.unpack('>H', exactly(s, 2))[0])


def over_udp(how, name, kind):
    s = socket.socket(family, socket.SOCK_DGRAM)
    q = query(name, kind)
    if how == 'connect':
        s.connect(there)
        assert s.getpeername()[:2] == there[:2], s.getpeername()
        s.settimeout(5)
        s.send(q)
        return text(s.recv(65536))
    if how == 'sendto':
        s.sendto(q, there)
    elif how == 'sendmsg':
        s.sendmsg([q[:5], b'', q[5:20], q[20:]], [], 0, there)
    elif how == 'both':
        s.sendto(query('www.example.org', 'A'), there)
        assert receive(s) == 'rcode 0, 192.0.2.80'
        s.sendto(q, there)
    else:
        sendmmsg(s, [query('www.example.org', 'A'), q, query('nothing.example', 'A')])
        return ', '.join(sorted(receive(s) for _ in range(3)))
    return receive(s)


def over_tcp(how, name, kind):
    s = socket.socket(family)
    s.settimeout(5)
    frame = lambda q: struct.pack('>H', len(q)) + q
    if how == 'fastopen':
        s.settimeout(None)
        s.sendto(frame(query(name, kind)), socket.MSG_FASTOPEN, there)
        s.settimeout(5)
        return text(framed(s))
    if how == 'tcp-nb':
        s.setblocking(False)
        s.connect_ex(there)
        select.select([], [s], [], 5)
        assert s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
        s.settimeout(5)
    else:
        s.connect(there)
    assert s.getpeername()[:2] == there[:2], s.getpeername()
    if how != 'tcp-many':
        for byte in frame(query(name, kind)): # in as many pieces as can be
            s.sendall(bytes([byte]))
        return text(framed(s))
    names = name.split('+')
    s.sendall(b''.join(frame(query(n, kind, i)) for i, n in enumerate(names)))
    s.shutdown(socket.SHUT_WR)
    got = sorted((m[1], text(m)) for m in (framed(s) for _ in names))
    assert s.recv(1) == b''
    return '; '.join(t for _, t in got)


for case in sys.argv[2:]:
    how, _, rest = case.partition(':')
    if how == 'stop':
        subprocess.run(rest.split(), check=True, stdout=subprocess.DEVNULL)
        continue
    name, kind = rest.split(':')
    try:
        said = (over_tcp if how.startswith(('tcp', 'fastopen')) else over_udp)(how, name, kind)
    except (OSError, EOFError) as e:
        said = getattr(e, 'strerror', None) or str(e)
    print('%s %s %s: %s' % (how, name, kind, said))
