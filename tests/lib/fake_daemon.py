#!/usr/bin/python3
"""fake_daemon.py SOCKET: speaks include/ipc.h to the shim without an overlay behind it.

Names, under .i3: echo 10.1.2.3 (echoes), refused 10.1.2.4 (ECONNREFUSED after 50 ms), slow 10.1.2.5 (stands after 500 ms, then echoes),
never 10.1.2.6 (dials for ever), late 10.1.2.7 (refused after 500 ms), down 10.1.2.8 (CONNECT itself says EHOSTUNREACH),
me 10.9.9.9 (this user), four 10.1.2.12 (no IPv6 address, echoes), retry: EAGAIN, page 10.1.2.10 (an HTTP page), sink 10.1.2.11 (counts bytes, answers with the count at EOF).
The IPv6 address of 10.a.b.c is fd69:3300::a:b:c. 10.200.0.0/16 is said not to be virtual. LISTEN is kept; connecting to 10.9.9.9 is IPC_SELF. Of UDP every other IPv4 address
has a mirror that echoes, but for down's; port 9 refuses.

On SOCKET.ctl, one text line per request: "call PORT" connects to 127.0.0.1:PORT from the mirror address of 10.77.1.2 and says on
which ports; "call6 PORT" does so over ::1, for fd69:3300::4d:1:2, whose port is 1000 below ours; "stranger6 PORT" does, for nobody; "listeners", "requests" (count by type), "conns" (open connections to the daemon), "local" (CONNECT's last local address).
"""
import array, ctypes, errno, os, select, selectors, socket, struct, sys, threading, time

INFO, RESOLVE, REVERSE, CONNECT, SOCK_ERROR, LISTEN, VERIFY, CONTROL, UDP_OPEN, UDP_PEER = range(1, 11)
BOUND, TRY = 15, 16
NOT_VIRTUAL, SELF = 4096, 4097
OWN = '10.9.9.9'
NAMES = {'echo.i3': '10.1.2.3', 'refused.i3': '10.1.2.4', 'slow.i3': '10.1.2.5', 'never.i3': '10.1.2.6',
         'late.i3': '10.1.2.7', 'down.i3': '10.1.2.8', 'me.i3': OWN, 'page.i3': '10.1.2.10', 'sink.i3': '10.1.2.11',
         'caller.i3': '10.77.1.2', 'four.i3': '10.1.2.12'}
PAGE = b'the page served over the overlay\n'
FILL = 8192

claims, places = {}, {} # addresses that the kernel does not know: by cookie; where they are, by port
lock = threading.Lock()
handles, errors, listeners, counts, verified = [int.from_bytes(os.urandom(6), 'big') << 8], {}, [], {}, {} # names of ends are the host's
conns, last_local = set(), ['']
libc = ctypes.CDLL(None, use_errno=True)


def six(ip):
    return 'fd69:3300::%x:%x:%x' % tuple(int(b) for b in ip.split('.')[1:]) if ip else None


def four(ip):
    """The IPv4 address of one of our IPv6 addresses; others as they are."""
    if not ip.startswith('fd69:3300::'):
        return ip
    b = socket.inet_pton(socket.AF_INET6, ip)
    return '10.%d.%d.%d' % (b[11], b[13], b[15])


def addr(ip, port):
    if ip and ':' in ip:
        return struct.pack('>BBH16s', 6, 0, port, socket.inet_pton(socket.AF_INET6, ip))
    return struct.pack('>BBH4s12x', 4, 0, port, socket.inet_aton(ip)) if ip else bytes(20)


def parse(b):
    family, _, port = struct.unpack('>BBH', b[:4])
    if not family:
        return None, 0
    return (socket.inet_ntoa(b[4:8]) if family == 4 else socket.inet_ntop(socket.AF_INET6, b[4:20])), port


def sock_name(side, handle, local, remote):
    text = lambda a: (('6' + socket.inet_pton(socket.AF_INET6, a[0]).hex()) if ':' in a[0] else
                      ('4' + socket.inet_aton(a[0]).hex())) + '%04x' % a[1]
    return b'\0i3.1' + ('%s.%016x.%s.%s' % (side, handle, text(local), text(remote))).encode()


def dial(kind, mine, kept, handle):
    """From here the connection stands or fails: enlarge and drain, or close undrained."""
    delay = {'slow.i3': 0.5, 'late.i3': 0.5, 'refused.i3': 0.05}.get(kind, 0.02)
    if kind == 'never.i3':
        while select.select([mine], [], [], 60)[0]: # full of our own bytes: wait for hang-up instead
            p = select.poll()
            p.register(mine, select.POLLHUP)
            if p.poll(200) and p.poll(0)[0][1] & select.POLLHUP:
                break
        kept.close()
        mine.close()
        return
    time.sleep(delay)
    if kind in ('refused.i3', 'late.i3'):
        errors[handle] = errno.ECONNREFUSED
        mine.close()
        kept.close()
        return
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 212992) # before it is drained: small means dialling
    kept.close()
    got = 0
    while got < FILL:
        got += len(mine.recv(FILL - got))
    serve(kind, mine)


def serve(kind, s):
    try:
        if kind == 'page.i3':
            while b'\r\n\r\n' not in s.recv(65536):
                pass
            s.sendall(b'HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n' % len(PAGE) + PAGE)
            s.shutdown(socket.SHUT_WR) # the daemon closes when both sides have
            while s.recv(65536):
                pass
            s.close()
            return
        total = 0
        while True:
            data = s.recv(65536)
            if not data:
                break
            total += len(data)
            if kind != 'sink.i3':
                s.sendall(data)
        if kind == 'sink.i3':
            s.sendall(b'%d\n' % total)
    except OSError:
        pass
    s.close()


def connect(body):
    remote, local = parse(body[4:24]), parse(body[24:44])
    last_local[0] = '%s:%d' % local
    plain = four(remote[0])
    if plain == OWN:
        place = places.get(remote[1])
        return struct.pack('>IQ', SELF, 0) + bytes(20) + (addr(*place) if place else bytes(20)), None
    if plain.startswith('10.200.') or not plain.startswith('10.'):
        return struct.pack('>IQ', NOT_VIRTUAL, 0) + bytes(40), None
    kind = next((n for n, ip in NAMES.items() if ip == plain), None)
    if kind is None or kind == 'down.i3':
        return struct.pack('>IQ', errno.EHOSTUNREACH, 0) + bytes(40), None
    with lock:
        handles[0] += 1
        handle = handles[0]
    here = (OWN if plain == remote[0] else six(OWN), local[1] or 40000 + handle % 20000)
    theirs, mine = socket.socketpair()
    theirs.bind(sock_name('p', handle, here, remote))
    mine.bind(sock_name('d', handle, here, remote))
    theirs.sendall(bytes(FILL))
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    threading.Thread(target=dial, args=(kind, mine, theirs.dup(), handle), daemon=True).start()
    return struct.pack('>IQ', 0, handle) + addr(*here) + addr(*remote), theirs


mirrors = {} # bound to: (peer, socket)


def echo_datagrams(s):
    while True:
        data, source = s.recvfrom(65536)
        s.sendto(data, source)


def udp_open(body):
    bound, peer = parse(body[12:32]), parse(body[32:52])
    if peer[0] == OWN:
        place = places.get(peer[1])
        return struct.pack('>I', SELF) + (addr(*place) if place else bytes(20)) + addr(OWN, bound[1])
    if peer[0].startswith('10.200.'):
        return struct.pack('>I', NOT_VIRTUAL) + bytes(40)
    if four(peer[0]) == NAMES['down.i3']:
        return struct.pack('>I', errno.ENETUNREACH) + bytes(40)
    with lock:
        at = next((a for a, m in mirrors.items() if m[0] == peer), None)
        if not at:
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(('127.' + peer[0].split('.', 1)[1], 0))
            at = s.getsockname()
            mirrors[at] = peer, s
            if peer[1] == 9:
                s.close()
            else:
                threading.Thread(target=echo_datagrams, args=(s,), daemon=True).start()
    return struct.pack('>I', 0) + addr(*at) + addr(OWN, bound[1])


def listen_for(body):
    bound, asked = parse(body[4:24]), parse(body[24:44])
    if asked[0] and not asked[1]: # any port
        with lock:
            handles[0] += 1
            asked = (asked[0], 20000 + handles[0] % 12000)
    if not body[1] & TRY:
        listeners.append(('udp ' if body[0] == 17 else '') + '%s:%d' % (asked if asked[0] else bound))
        if asked[0]:
            claims[body[44:52]] = asked
            places[asked[1]] = bound
    return struct.pack('>I', 0) + addr(*(asked if asked[0] else bound))


def answer(kind, body):
    if kind == INFO:
        return struct.pack('>I', 0) + addr(OWN, 0) + struct.pack('>IB3xI', 0x0a000000, 8, os.getpid()) + addr(six(OWN), 0)
    if kind == RESOLVE:
        name = body.decode()
        if name == 'retry.i3':
            return struct.pack('>I', errno.EAGAIN) + bytes(40)
        ip = NAMES.get(name)
        return struct.pack('>I', 0 if ip else errno.ENOENT) + addr(ip, 0) + addr(six(ip) if name != 'four.i3' else None, 0)
    if kind == REVERSE:
        ip = four(parse(body)[0])
        name = next((n for n, a in NAMES.items() if a == ip), None)
        if name:
            return struct.pack('>I', 0) + name.encode()
        return struct.pack('>I', NOT_VIRTUAL if ip.startswith('10.200.') else errno.ENOENT)
    if kind == SOCK_ERROR:
        return struct.pack('>I', errors.get(struct.unpack('>Q', body)[0], 0))
    if kind == LISTEN:
        return listen_for(body)
    if kind == BOUND:
        found = claims.get(body[24:32])
        return struct.pack('>I', 0 if found else errno.ENOENT) + (addr(*found) if found else bytes(20))
    if kind == UDP_OPEN:
        return udp_open(body)
    if kind == UDP_PEER:
        found = mirrors.get(parse(body))
        return struct.pack('>I', 0 if found else errno.ENOENT) + (addr(*found[0]) + addr(OWN, 0) if found else bytes(40))
    if kind == VERIFY:
        found = verified.get(parse(body[20:40]))
        if found:
            return struct.pack('>I', 0) + addr(*found[0]) + addr(*found[1])
        return struct.pack('>I', errno.ENOENT) + bytes(40)
    return struct.pack('>I', errno.EOPNOTSUPP)


def client(s):
    conns.add(s)
    try:
        while True:
            record = s.recv(16384)
            if not record:
                break
            version, kind, _, serial = struct.unpack('>BBHI', record[:8])
            assert version == 1
            with lock:
                counts[kind] = counts.get(kind, 0) + 1
            head, fd = struct.pack('>BBHI', 1, kind | 0x80, 0, serial), None
            if kind == CONNECT:
                body, fd = connect(record[8:])
            else:
                body = answer(kind, record[8:])
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd.fileno()]))] if fd else []
            s.sendmsg([head + body], rights)
            if fd:
                fd.close()
    except OSError:
        pass
    conns.discard(s)
    s.close()


def call(port, family=4, known=True):
    s = socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET)
    s.bind(('::1' if family == 6 else '127.77.1.2', 0))
    source = s.getsockname()[:2]
    if family == 6 and known:
        verified[source] = ((six(OWN), port), (six('10.77.1.2'), source[1] - 1000))
    elif known:
        verified[source] = ((OWN, port), ('10.77.1.2', source[1]))
    s.connect(('::1' if family == 6 else places.get(port, ('127.0.0.1', 0))[0], places.get(port, (0, port))[1]))
    s.sendall(b'GET / HTTP/1.0\r\n\r\n')
    data = b''
    try:
        while chunk := s.recv(65536):
            data += chunk
    except ConnectionResetError: # closed with our request unread
        pass
    s.close()
    return '%d %d\n' % (source[1], port) + data.decode('latin-1')


def control(s):
    words = s.recv(4096).decode().split()
    reply = {'call': lambda: call(int(words[1])), 'call6': lambda: call(int(words[1]), 6),
             'stranger6': lambda: call(int(words[1]), 6, False), 'listeners': lambda: ' '.join(l for l in listeners if not l.startswith('udp')),
             'udp': lambda: ','.join(l[4:] for l in listeners if l.startswith('udp')),
             'requests': lambda: ' '.join('%d=%d' % c for c in sorted(counts.items())),
             'conns': lambda: str(len(conns)), 'local': lambda: last_local[0]}[words[0]]()
    s.sendall(reply.encode())
    s.close()


def listen(path, kind):
    if os.path.exists(path):
        os.unlink(path)
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind(path)
    s.listen(1024)
    return s


def accept_loop(s, serve_one):
    while True:
        conn = s.accept()[0]
        threading.Thread(target=serve_one, args=(conn,), daemon=True).start()


if __name__ == '__main__':
    threading.stack_size(256 * 1024)
    main, ctl = listen(sys.argv[1], socket.SOCK_SEQPACKET), listen(sys.argv[1] + '.ctl', socket.SOCK_STREAM)
    threading.Thread(target=accept_loop, args=(ctl, control), daemon=True).start()
    print('ready', flush=True)
    accept_loop(main, client)
