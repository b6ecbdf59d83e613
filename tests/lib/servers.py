#!/usr/bin/python3
"""servers.py KIND ARGUMENT...: small servers and clients for tests/integration/servers.sh. Servers print "port N" once they can be
reached, then what they see."""
import ctypes, errno, os, signal, socket, subprocess, sys, time


def say(*words):
    print(*words, flush=True)


def bound(address, port, kind=socket.SOCK_STREAM, reuseport=False, v6only=False):
    s = socket.socket(socket.AF_INET6 if ':' in address else socket.AF_INET, kind)
    if kind == socket.SOCK_STREAM:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuseport:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if ':' in address:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    s.bind((address, int(port)))
    if kind == socket.SOCK_STREAM:
        s.listen()
    return s


def name(s):
    return '%s %d' % s.getsockname()[:2]


def fork():
    """A child that goes with its parent."""
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL) # PR_SET_PDEATHSIG
    return pid


def serve(l, count=None):
    """Each caller is told who answers, and how it is seen."""
    while count is None or count:
        c, peer = l.accept()
        same = c.getpeername()[:2] == peer[:2]
        c.sendall(b'%d %s %d %s %s\n' % (os.getpid(), peer[0].encode(), peer[1], name(c).encode(), str(same).encode()))
        c.close()
        count = count and count - 1


def tcp(address, port, v6only=''):
    l = bound(address, port, v6only=bool(v6only))
    say(name(l))
    say('port', l.getsockname()[1])
    serve(l)


def names(address, port, kind):
    """What getsockname says here, of a dup, in a child, after exec, and in a process that is handed the socket."""
    udp = kind == 'udp'
    s = bound(address, port, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM)
    ours, theirs = socket.socketpair()
    p = subprocess.Popen([sys.executable, __file__, 'receiver', str(theirs.fileno())], pass_fds=[theirs.fileno()], stdout=subprocess.PIPE)
    socket.send_fds(ours, [b'x'], [s.fileno()])
    say(name(s))
    say(name(socket.socket(fileno=os.dup(s.fileno()))))
    if os.fork() == 0:
        say(name(s))
        os._exit(0)
    os.wait()
    say(p.communicate()[0].decode().strip())
    os.set_inheritable(s.fileno(), True)
    os.execv(sys.executable, [sys.executable, __file__, 'inherited', str(s.fileno()), kind])


def inherited(fd, kind):
    s = socket.socket(fileno=int(fd))
    say(name(s))
    say('port', s.getsockname()[1])
    echo(s) if kind == 'udp' else serve(s)


def receiver(fd):
    s = socket.socket(fileno=int(fd))
    got = socket.recv_fds(s, 1, 1)[1][0]
    say(name(socket.socket(fileno=got)))


def echo(s):
    while True:
        data, peer = s.recvfrom(65536)
        s.sendto(b'%d %s %d' % (os.getpid(), peer[0].encode(), peer[1]) if data == b'who' else data, peer)


def udp(address, port, reuseport=''):
    s = bound(address, port, socket.SOCK_DGRAM, bool(reuseport))
    say(name(s))
    say('port', s.getsockname()[1])
    echo(s)


def pktinfo(address, port):
    """As DNS servers do: answers go out from the address that the question came to."""
    s = bound(address, port, socket.SOCK_DGRAM)
    six = ':' in address
    level, recv, kind = (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, socket.IPV6_PKTINFO) if six else (socket.IPPROTO_IP, 8, 8)
    s.setsockopt(level, recv, 1)
    say('port', s.getsockname()[1])
    while True:
        data, control, _, peer = s.recvmsg(65536, 200)
        info = next(c[2] for c in control if c[:2] == (level, kind))
        to = socket.inet_ntop(socket.AF_INET6, info[:16]) if six else socket.inet_ntoa(info[8:12])
        s.sendmsg([b'%s %s %d' % (to.encode(), peer[0].encode(), peer[1])], [(level, kind, info)], 0, peer)


def reserved(host, port):
    """A client which would rather have a port below 1024, as rlogin and its like, connecting to the real network."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    s.settimeout(10)
    s.bind(('', 1023))
    before = name(s)
    s.connect((host, int(port)))
    say(before, s.makefile().read().split()[1] == s.getsockname()[0], s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def group(address, port, n, kind='tcp'):
    """n processes, a socket each on one port."""
    kind = socket.SOCK_DGRAM if kind == 'udp' else socket.SOCK_STREAM
    first = bound(address, port, kind, True)
    port = first.getsockname()[1]
    ready = os.pipe()
    for i in range(int(n)):
        pid = fork()
        if pid == 0:
            s = first if i == 0 else bound(address, port, kind, True)
            if i:
                first.close()
            os.write(ready[1], b'x')
            echo(s) if kind == socket.SOCK_DGRAM else serve(s)
        say('member', pid)
        if i == 0:
            first.close()
    for i in range(int(n)):
        os.read(ready[0], 1)
    say('port', port)
    while True:
        os.wait()


def prefork(address, port, n):
    l = bound(address, port)
    for i in range(int(n)):
        if fork() == 0:
            serve(l)
    say('port', l.getsockname()[1])
    os.wait()


def passed():
    """As systemd hands them over: LISTEN_FDS sockets from 3 on; with none, standard input."""
    import selectors
    n = int(os.environ.get('LISTEN_FDS', 0))
    sel = selectors.DefaultSelector()
    for fd in range(3, 3 + n) if n else [0]:
        s = socket.socket(fileno=fd)
        sel.register(s, selectors.EVENT_READ)
        say('port', s.getsockname()[1])
    while True:
        for key, _ in sel.select():
            s = key.fileobj
            if s.type == socket.SOCK_STREAM:
                serve(s, 1)
            else:
                data, peer = s.recvfrom(65536)
                s.sendto(b'%s %d' % (peer[0].encode(), peer[1]), peer)


def launch(how, *argv):
    """Makes sockets outside the overlay and starts argv with them."""
    l = socket.create_server(('', 0))
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(('', 0))
    l, u = (fd + 0 for fd in (l.detach(), u.detach()))
    if how == 'inetd':
        os.dup2(l, 0)
    else:
        l, u = os.dup(l), os.dup(u)
        os.dup2(l, 3)
        os.dup2(u, 4)
        os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()))
    os.execvp(argv[0], argv)


def ftp_server(port, data_port):
    """Active mode: it dials back, from a port below 1024, to the address that it is told."""
    l = bound('', port)
    say('port', l.getsockname()[1])
    while True:
        c, peer = l.accept()
        f = c.makefile('rw')
        for line in f:
            host, to = line.split()
            d = socket.socket()
            d.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            d.bind((c.getsockname()[0], int(data_port)))
            before = name(d)
            d.connect((host, int(to)))
            d.sendall(('data for %s from %s then %s\n' % (peer[0], before, name(d))).encode())
            d.close()


def ftp_client(host, port):
    c = socket.create_connection((host, int(port)))
    own = c.getsockname()[0]
    for _ in range(3):
        l = socket.socket()
        l.bind((own, 0))
        l.listen(1)
        c.sendall(('%s %d\n' % l.getsockname()).encode())
        l.settimeout(10)
        d, peer = l.accept()
        say(d.makefile().read().strip(), '|', peer[0], peer[1], l.getsockname()[0] == own == d.getsockname()[0])


def attempt(kind, address, port):
    """The error of a bind, or 0."""
    try:
        bound(address, port, socket.SOCK_DGRAM if kind == 'udp' else socket.SOCK_STREAM)
        say(0)
    except OSError as e:
        say(errno.errorcode[e.errno])


def ask(host, port, times=1, family=0):
    """TCP: what the server says of us, as often."""
    for _ in range(int(times)):
        try:
            a = socket.getaddrinfo(host, port, int(family), socket.SOCK_STREAM)[0]
            with socket.socket(a[0]) as s:
                s.settimeout(10)
                s.connect(a[4])
                mine = s.getsockname()[1]
                words = s.makefile().read().split()
                say(*words, 'mine' if words[2] == str(mine) else mine)
        except OSError as e:
            say(errno.errorcode.get(e.errno, e))


def ask_udp(host, port, times=1, family=0):
    """UDP: the same, each time from another socket."""
    for _ in range(int(times)):
        a = socket.getaddrinfo(host, port, int(family), socket.SOCK_DGRAM)[0]
        with socket.socket(a[0], socket.SOCK_DGRAM) as s:
            s.settimeout(0.5)
            s.connect(a[4])
            for again in range(4): # one to a member that is no more may be lost
                try:
                    s.send(b'who')
                    data, peer = s.recvfrom(100)
                except (TimeoutError, ConnectionRefusedError):
                    continue
                words = data.decode().split()
                say(*words, 'mine' if words[-1] == str(s.getsockname()[1]) else '', peer[1] == int(port))
                break
            else:
                say('nothing')


def full(port):
    """Accepts nobody before it is told so by a line."""
    l = socket.socket()
    l.bind(('', int(port)))
    l.listen(4)
    say('port', l.getsockname()[1])
    sys.stdin.readline()
    serve(l)


def crowd(host, port, n):
    """n connections at once; how many stand, how many are refused after a while; and then, a line later, how many have answers."""
    all_of = [socket.socket() for _ in range(int(n))]
    to = socket.gethostbyname(host), int(port)
    for s in all_of:
        s.setblocking(False)
        s.connect_ex(to)
    time.sleep(1)
    errors = [s.connect_ex(to) for s in all_of]
    stand = sum(e in (0, errno.EISCONN) for e in errors)
    say('stand', 0 < stand < len(errors), 'wait', errors.count(errno.EALREADY) == len(errors) - stand)
    sys.stdin.readline()
    answered = 0
    for s in all_of:
        s.settimeout(15)
        answered += b'True' in s.recv(1000)
    say('answered', answered)


def slow(port):
    """Reads nothing before it is told so, then all there is."""
    s = bound('', port, socket.SOCK_DGRAM)
    say('port', s.getsockname()[1])
    sys.stdin.readline()
    s.settimeout(1)
    n = 0
    try:
        while s.recv(2000):
            n += 1
    except TimeoutError:
        say('read', n)


def cycle(port, n):
    """Listens, is closed, listens again; waits for a line before each step."""
    for _ in range(int(n)):
        l = bound('', port)
        port = l.getsockname()[1]
        say('port', port)
        serve(l, 1)
        l.close()
        say('closed')
        sys.stdin.readline()


if __name__ == '__main__':
    globals()[sys.argv[1]](*sys.argv[2:])
