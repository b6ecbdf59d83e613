#!/usr/bin/python3
"""The preloaded library and i3run against tests/lib/fake_daemon.py: unmodified programs on one side, no overlay on the other."""
import ctypes.util, os, signal, socket, struct, subprocess, sys, tempfile, textwrap, threading, time, unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE + '/../lib')
sys.dont_write_bytecode = True
from loopback_peers import Peers

B = os.environ.get('B', os.path.join(HERE, '../../build'))
I3RUN, PROBES = B + '/bin/i3run', B + '/tests/integration/probes/'
FAKE = HERE + '/../lib/fake_daemon.py'
PYTHON = '/usr/bin/python3'
LIMIT = 30


def has_ipv6():
    try:
        with open('/proc/net/if_inet6') as f:
            return any(line.startswith('0' * 31 + '1 ') for line in f)
    except OSError:
        return False


class Daemon:
    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix='shim')
        self.sock = self.dir + '/i3d.sock'
        self.start()

    def start(self):
        self.process = subprocess.Popen([FAKE, self.sock], stdout=subprocess.PIPE)
        self.process.stdout.readline()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def ask(self, words):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(LIMIT)
            s.connect(self.sock + '.ctl')
            s.sendall(words.encode())
            return s.makefile().read()


daemon = None


def environment(**more):
    keep = {k: os.environ[k] for k in ('PATH', 'HOME', 'TMPDIR', 'LANG', 'UBSAN_OPTIONS') if k in os.environ}
    # a sanitized i3run may itself be started with something preloaded
    keep['ASAN_OPTIONS'] = os.environ.get('ASAN_OPTIONS', 'detect_leaks=0') + ':verify_asan_link_order=0'
    return {**keep, 'I3_SOCK': daemon.sock, **more}


def run(argv, i3run=True, env=None, **kw):
    return subprocess.run(([I3RUN] if i3run else []) + argv, env=environment() if env is None else env, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=LIMIT, **kw)


class Case(unittest.TestCase):
    def program(self, code, **kw):
        """Runs Python code under i3run, which is to say nothing on stderr; returns what it prints."""
        head = 'import os, socket, sys, time\n'
        p = run([PYTHON, '-c', head + textwrap.dedent(code)], **kw)
        self.assertEqual((p.returncode, p.stderr), (0, ''), p.stdout)
        return p.stdout

    def expect(self, code, *lines, **kw):
        self.assertEqual(self.program(code, **kw).splitlines(), list(lines))


def start_server(test, code):
    """A Python server under i3run, which prints its port first."""
    p = subprocess.Popen([I3RUN, PYTHON, '-uc', 'import os, socket, sys\n' + textwrap.dedent(code)], env=environment(),
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    test.addCleanup(p.kill)
    return p, int(p.stdout.readline())


class Semantics(Case):
    """Rule 1 of SHIM.md."""

    def test_client_sees_what_the_kernel_would_show(self):
        for host, net, lines in (('127.0.0.1', '10.', 140), ('::1', 'fd69:3300::', 135))[:1 + has_ipv6()]:
            with Peers(host) as arguments:
                native = run([PROBES + 'semantics'] + arguments, i3run=False)
            virtual = [net + ('%d.%d.%d' if host[0] == '1' else '%x:%x:%x') % (1, 2, n) for n in (3, 4, 6)]
            overlay = run([PROBES + 'semantics'] + [x for ip in virtual for x in (ip, '7')])
            self.assertEqual((native.returncode, overlay.returncode, overlay.stderr), (0, 0, ''))
            self.maxDiff = None
            self.assertEqual(native.stdout.splitlines(), overlay.stdout.splitlines())
            self.assertGreater(len(native.stdout.splitlines()), lines)

    def test_local_port_and_address_reach_the_daemon(self):
        self.expect('''
            s = socket.create_connection(('echo.i3', 7), source_address=('', 25678))
            print(s.getsockname())''', "('10.9.9.9', 25678)")
        self.assertEqual(daemon.ask('local'), '0.0.0.0:25678')
        self.expect('''
            s = socket.create_connection(('echo.i3', 7), source_address=('10.9.9.9', 25679))
            print(s.getsockname())''', "('10.9.9.9', 25679)")
        self.assertEqual(daemon.ask('local'), '10.9.9.9:25679')

    def test_hooks_work_before_the_constructor(self):
        """A library that is initialised before ours, and dials at once."""
        source, library = daemon.dir + '/early.c', daemon.dir + '/early.so'
        with open(source, 'w') as f:
            f.write('''
                #include <arpa/inet.h>
                #include <netdb.h>
                #include <stdio.h>
                #include <string.h>
                __attribute__((constructor)) static void early(void)
                {
                    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
                    char text[64];
                    int rc = getaddrinfo("echo.i3", "7", &hints, &list);
                    int fd = socket(AF_INET, SOCK_STREAM, 0);
                    int c = rc ? -1 : connect(fd, list->ai_addr, list->ai_addrlen);
                    dprintf(1, "%d %d\\n", rc, c);
                }''')
        subprocess.run(['gcc', '-shared', '-fPIC', '-o', library, source], check=True)
        p = run(['/bin/true'], i3run=False, env=environment(LD_PRELOAD=B + '/lib/i3run/libi3shim.so:' + library))
        self.assertEqual((p.stdout, p.stderr), ('0 0\n', ''))

    def test_constructor_does_nothing_that_shows(self):
        """Rule 5: no fd, no allocation, no thread, no output; what the loader does without us is subtracted."""
        strace = '/usr/bin/strace'
        if not os.path.exists(strace):
            self.skipTest('no strace here')
        source, program = daemon.dir + '/marked.c', daemon.dir + '/marked'
        with open(source, 'w') as f: # its own constructor comes after those of all libraries, and before main()
            f.write('#include <unistd.h>\n__attribute__((constructor)) static void mark(void) { getppid(); }\nint main(void) { return 0; }\n')
        subprocess.run(['gcc', '-o', program, source], check=True)
        p = run([strace, '-f', program], i3run=False, env=environment(LD_PRELOAD=B + '/lib/i3run/libi3shim.so'))
        if 'exited with 0' not in p.stderr:
            self.skipTest('no tracing here')
        calls = [line.split('(')[0] for line in p.stderr.splitlines()]
        self.assertEqual(calls[calls.index('munmap') + 1:][:1], ['getppid']) # ld.so.cache goes just before constructors

    def test_own_address_is_loopback(self):
        self.expect('''
            l = socket.create_server(('127.0.0.1', 0))
            s = socket.create_connection(('me.i3', l.getsockname()[1]))
            c, peer = l.accept()
            print(peer[0], c.recv(2) if s.sendall(b'hi') is None else '')''', "127.0.0.1 b'hi'")

    def test_addresses_that_are_not_virtual_go_to_libc(self):
        self.expect('''
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(('10.200.0.1', 9))
            print(s.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == socket.AF_INET, s.getsockopt(6, 11, 1) is not None)
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try: print(u.sendto(b'x', ('10.200.0.1', 9)))
            except OSError as e: print(1 if e.errno == 101 else e)''', 'True True', '1')

    def test_datagrams_to_virtual_addresses_without_a_mirror_fail_closed(self):
        self.expect('''
            def attempt(f, *a):
                try: print(f(*a))
                except OSError as e: print(e.errno)
            u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            attempt(u.sendto, b'x', ('10.1.2.8', 9))
            attempt(u.sendmsg, [b'x'], [], 0, ('10.1.2.8', 9))
            attempt(u.connect, ('10.1.2.8', 9))
            attempt(u.connect, ('127.0.0.1', 9))
            v = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            attempt(v.sendto, b'x', ('::ffff:10.1.2.8', 9))
            attempt(v.sendto, b'x', ('fd69:3300::1:2:8', 9))
            attempt(v.connect, ('fd69:3300::1:2:8', 9))''', '101', '101', '101', 'None', '101', '101', '101')

    def test_stream_data_at_full_length(self):
        self.expect('''
            s = socket.create_connection(('sink.i3', 7))
            block, left = bytes(1 << 20), 256
            with open('/dev/zero', 'rb', buffering=0) as zero:
                for _ in range(128): s.sendall(block)
                n = 0
                r, w = os.pipe()
                while n < 32 << 20: # splice, past libc's own send
                    got = os.splice(zero.fileno(), w, 65536) if 0 else os.write(w, block[:65536])
                    n += os.splice(r, s.fileno(), got)
            f = s.makefile('wb'); f.write(block); f.flush()
            s.shutdown(socket.SHUT_WR)
            print(int(s.makefile().read()) - n >> 20)''', '129')


class Descriptors(Case):
    """Rules 4 and 8."""

    def test_names_survive_exec_and_passing(self):
        self.expect('''
            import subprocess
            s = socket.create_connection(('echo.i3', 7))
            code = 'import socket; s = socket.socket(fileno=%d); print(s.family.name, s.getpeername(), s.getsockname() == %r)'
            for close in (True, False): # vfork+exec and fork+exec
                subprocess.run([sys.executable, '-c', code % (s.fileno(), s.getsockname())], pass_fds=[s.fileno()],
                               preexec_fn=None if close else (lambda: None))
            a, b = socket.socketpair()
            socket.send_fds(a, [b'x'], [s.fileno()])
            if os.fork() == 0:
                fd = socket.recv_fds(b, 1, 1)[1][0]
                print(socket.socket(fileno=fd).getpeername(), flush=True)
                os._exit(0)
            os.wait()''', "AF_INET ('10.1.2.3', 7) True", "AF_INET ('10.1.2.3', 7) True", "('10.1.2.3', 7)")

    def test_inet6_family_survives_exec(self):
        self.expect('''
            import subprocess
            s = socket.socket(socket.AF_INET6)
            s.connect(('::ffff:10.1.2.3', 7))
            code = 'import socket; s = socket.socket(fileno=%d); print(s.family.name, s.getpeername()[:2])' % s.fileno()
            subprocess.run([sys.executable, '-c', code], pass_fds=[s.fileno()])''',
                    "AF_INET6 ('::ffff:10.1.2.3', 7)")

    def test_program_may_close_and_reuse_our_descriptor(self):
        self.expect('''
            def dial(): return socket.create_connection(('echo.i3', 7)).getpeername()[0]
            def ours():
                return [int(fd) for fd in os.listdir('/proc/self/fd') if int(fd) > 900]
            dial()
            print(len(ours()), os.get_inheritable(ours()[0]))
            os.closerange(3, 20000)
            print(dial(), len(ours()))
            mine = os.pipe()
            os.dup2(mine[1], ours()[0])
            print(dial(), os.write(mine[1], b'x'), os.read(mine[0], 9))
            l = socket.create_server(('127.0.0.1', 0))
            os.dup2(l.fileno(), 1000)
            print(dial(), socket.socket(fileno=os.dup(1000)).getsockname()[1] == l.getsockname()[1])
            for fd in range(3, 11): os.dup2(0, fd)
            print(dial())''', '1 False', '10.1.2.3 1', "10.1.2.3 1 b'x'", '10.1.2.3 True', '10.1.2.3')

    def test_nothing_leaks(self):
        self.expect('''
            count = lambda: len(os.listdir('/proc/self/fd'))
            def dial(name, blocking):
                s = socket.socket()
                s.setblocking(blocking)
                s.connect_ex((name, 7))
                s.close()
            dial('10.1.2.3', True)
            before = count()
            for i in range(100):
                for name in '10.1.2.3', '10.1.2.4', '10.1.2.6', '10.1.2.8': dial(name, name == '10.1.2.3' and i % 2)
            for i in range(5): dial('10.1.2.4', True)
            print(count() - before)''', '0')
        deadline = time.time() + 5
        while daemon.ask('conns') != '0' and time.time() < deadline:
            time.sleep(0.02)
        self.assertEqual(daemon.ask('conns'), '0')

    def test_forked_child_leaves_no_connection_of_the_parent_open(self):
        self.expect('''
            socket.getaddrinfo('echo.i3', 7)
            r, w = os.pipe()
            if os.fork() == 0:
                ours = lambda: [os.readlink('/proc/self/fd/' + fd) for fd in os.listdir('/proc/self/fd') if int(fd) > 900]
                before = ours()
                socket.getaddrinfo('page.i3', 7) # another name: the first is known
                print(len(before), len(ours()), before != ours(), flush=True)
                os._exit(0)
            os.wait()
            print(socket.getaddrinfo('echo.i3', 7)[0][4])''', '1 1 True', "('10.1.2.3', 7)")

    def test_without_a_spare_descriptor(self):
        """The limit reached: connect fails with a true error, and works again afterwards."""
        self.expect('''
            import errno, resource
            s = socket.socket()
            resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
            held = []
            try:
                while True: held.append(os.dup(0))
            except OSError: pass
            e = s.connect_ex(('10.1.2.3', 7))
            print(e in (errno.ENETUNREACH, errno.ENOBUFS))
            for fd in held: os.close(fd)
            print(s.connect_ex(('10.1.2.3', 7)), s.getpeername())''', 'True', "0 ('10.1.2.3', 7)")

    def test_forks_vforks_threads_and_signals_at_once(self):
        """Rule 6, in small: tests/integration/probes/storm.c takes the number of forks."""
        p = run([PROBES + 'storm', '1000', '8'])
        self.assertEqual((p.returncode, p.stderr), (0, ''), p.stdout)


class Names(Case):
    def test_getaddrinfo(self):
        self.expect('''
            def ask(*a, **kw):
                try:
                    for r in socket.getaddrinfo(*a, **kw): print(r[0].name, int(r[1]), r[2], r[3], r[4])
                except socket.gaierror as e: print(e.errno)
            ask('echo.i3', 'http', type=socket.SOCK_STREAM)
            ask('ECHO.I3.', 7, type=socket.SOCK_STREAM, flags=socket.AI_CANONNAME)
            ask('echo.i3', None, type=socket.SOCK_DGRAM)
            ask('echo.i3', None, family=socket.AF_INET6)
            ask('echo.i3', 7, family=socket.AF_INET6, type=socket.SOCK_STREAM, flags=socket.AI_V4MAPPED)
            ask('echo.i3', 'no-such-service')
            ask('echo.i3', 7, type=socket.SOCK_STREAM, flags=socket.AI_ADDRCONFIG)
            ask('echo.i3', 7, family=socket.AF_INET, type=socket.SOCK_STREAM)
            ask('echo.i3', 7, family=socket.AF_INET6, type=socket.SOCK_STREAM, flags=socket.AI_V4MAPPED | socket.AI_ALL)
            ask('echo.i3', 7, family=socket.AF_UNIX)
            ask('four.i3', 7, type=socket.SOCK_STREAM)
            ask('four.i3', 7, family=socket.AF_INET6)
            ask('four.i3', 7, family=socket.AF_INET6, type=socket.SOCK_STREAM, flags=socket.AI_V4MAPPED)
            ask('echo.i3', 7, flags=socket.AI_NUMERICHOST)
            ask('unknown.i3', 7)
            ask('retry.i3', 7)
            ask(('x' * 60 + '.') * 5 + 'i3', 7)
            ask('127.0.0.1', 7, type=socket.SOCK_STREAM)''',
                    "AF_INET 1 6  ('10.1.2.3', 80)", "AF_INET6 1 6  ('fd69:3300::1:2:3', 80, 0, 0)",
                    "AF_INET 1 6 echo.i3 ('10.1.2.3', 7)", "AF_INET6 1 6  ('fd69:3300::1:2:3', 7, 0, 0)",
                    "AF_INET 2 17  ('10.1.2.3', 0)", "AF_INET6 2 17  ('fd69:3300::1:2:3', 0, 0, 0)",
                    *["AF_INET6 %s  ('fd69:3300::1:2:3', 0, 0, 0)" % t for t in ('1 6', '2 17', '3 0')],
                    "AF_INET6 1 6  ('fd69:3300::1:2:3', 7, 0, 0)", '-8',
                    "AF_INET 1 6  ('10.1.2.3', 7)", "AF_INET6 1 6  ('fd69:3300::1:2:3', 7, 0, 0)",
                    "AF_INET 1 6  ('10.1.2.3', 7)",
                    "AF_INET6 1 6  ('fd69:3300::1:2:3', 7, 0, 0)", "AF_INET6 1 6  ('::ffff:10.1.2.3', 7, 0, 0)", '-6',
                    "AF_INET 1 6  ('10.1.2.12', 7)", '-5', "AF_INET6 1 6  ('::ffff:10.1.2.12', 7, 0, 0)", '-2', '-2', '-3', '-2',
                    "AF_INET 1 6  ('127.0.0.1', 7)")

    def test_older_interfaces_and_reverse(self):
        self.expect('''
            def ask(f, *a):
                try: print(f(*a))
                except OSError as e: print(type(e).__name__, e.args[0])
            ask(socket.gethostbyname, 'echo.i3')
            ask(socket.gethostbyname_ex, 'Echo.I3')
            ask(socket.gethostbyname_ex, 'unknown.i3')
            ask(socket.gethostbyaddr, '10.1.2.3')
            ask(socket.gethostbyaddr, '10.1.99.99')
            ask(socket.getnameinfo, ('10.1.2.3', 80), 0)
            ask(socket.getnameinfo, ('10.1.2.3', 80), socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)
            ask(socket.getnameinfo, ('10.1.99.99', 80), 0)
            ask(socket.getnameinfo, ('10.1.99.99', 80), socket.NI_NAMEREQD)
            ask(socket.getnameinfo, ('::ffff:10.1.2.3', 80), 0)''',
                    '10.1.2.3', "('echo.i3', [], ['10.1.2.3'])", 'gaierror -2', "('echo.i3', [], ['10.1.2.3'])", 'herror 1',
                    "('echo.i3', 'http')", "('10.1.2.3', '80')", "('10.1.99.99', 'http')", 'gaierror -2', "('echo.i3', 'http')")

    def test_getent(self):
        six = 'fd69:3300::1:2:3'
        for database, first in ('ahosts', '10.1.2.3'), ('ahostsv4', '10.1.2.3'), ('ahostsv6', six), ('hosts', six):
            p = run(['getent', database, 'echo.i3'])
            self.assertEqual(p.returncode, 0)
            self.assertEqual(p.stdout.split()[0], first)
        self.assertEqual(run(['getent', 'hosts', six]).stdout.split(), [six, 'echo.i3'])
        self.assertEqual(run(['getent', 'hosts', '10.1.2.3']).stdout.split(), ['10.1.2.3', 'echo.i3'])
        self.assertEqual(run(['getent', 'hosts', 'unknown.i3']).returncode, 2)

    def test_direct_calls(self):
        """The functions themselves, where no program here calls them."""
        self.expect('''
            import ctypes
            c = ctypes.CDLL(None, use_errno=True)
            herr = lambda: ctypes.c_int.in_dll.__self__ and c.__h_errno_location
            c.__h_errno_location.restype = ctypes.POINTER(ctypes.c_int)
            buf = ctypes.create_string_buffer(512)
            for f in 'res_query', '__res_query', 'res_search', '__res_search':
                for name in b'echo.i3', b'unknown.i3': print(getattr(c, f)(name, 1, 65, buf, 512), c.__h_errno_location()[0])
            print(c.res_querydomain(b'unknown', b'i3', 1, 1, buf, 512), c.__h_errno_location()[0])
            query = bytes.fromhex('000101000001000000000000') + b'\\4echo\\2i3\\0\\0\\1\\0\\1'
            print(c.res_send(query, len(query), buf, 512), buf.raw[:41].hex())

            entry, result, err = ctypes.create_string_buffer(32), ctypes.c_void_p(), ctypes.c_int()
            small = lambda n: (c.gethostbyname_r(b'echo.i3', entry, buf, ctypes.c_size_t(n), ctypes.byref(result),
                                                 ctypes.byref(err)), bool(result.value), err.value)
            print(small(8), small(512))

            class Gaicb(ctypes.Structure):
                _fields_ = [('name', ctypes.c_char_p), ('service', ctypes.c_char_p), ('request', ctypes.c_void_p),
                            ('result', ctypes.c_void_p), ('ret', ctypes.c_int), ('pad', ctypes.c_int * 5)]
            g = [Gaicb(n, b'80') for n in (b'echo.i3', b'unknown.i3', b'127.0.0.1')]
            v = (ctypes.POINTER(Gaicb) * 3)(*[ctypes.pointer(x) for x in g])
            print(c.getaddrinfo_a(0, v, 3, None), [x.ret for x in g], [bool(x.result) for x in g])''',
                    *['-1 4', '-1 1'] * 4, '-1 1',
                    '41 ' + '000185800001000100000000' + b'\4echo\2i3\0\0\1\0\1'.hex() + 'c00c0001000100000000' + '0004' + '0a010203', '(34, False, -1) (0, True, 0)', '0 [0, -2, 0] [True, False, True]')

    def test_dns_messages(self):
        """What a program gets which reads DNS records itself: host, resolver libraries in scripts."""
        self.expect('''
            import ctypes, ipaddress
            c = ctypes.CDLL(None)
            h = c.__h_errno_location
            h.restype = ctypes.POINTER(ctypes.c_int)
            buf = ctypes.create_string_buffer(512)
            def name(m, at):
                labels = []
                while m[at]:
                    labels.append(m[at + 1:at + 1 + m[at]].decode())
                    at += m[at] + 1
                return '.'.join(labels), at + 1
            def ask(what, kind, room=512):
                n = c.res_query(what.encode(), 1, kind, buf, room)
                if n < 0: return n, h()[0]
                m = buf.raw[:n]
                asked, at = name(m, 12)
                assert m[2] & 0x80 and m[4:12] == bytes([0, 1, 0, 1, 0, 0, 0, 0]) and asked.lower() == what.rstrip('.').lower(), m
                at += 4
                assert m[at:at + 2] == b'\\xc0\\x0c' and m[at + 2:at + 4] == bytes([0, kind]) and m[at + 6:at + 10] == bytes(4), m
                data = m[at + 12:]
                assert len(data) == m[at + 10] * 256 + m[at + 11]
                return str(ipaddress.ip_address(data)) if kind != 12 else name(data, 0)
            six = ipaddress.ip_address('fd69:3300::1:2:3').reverse_pointer
            print(ask('echo.i3', 1), ask('Echo.I3.', 28), ask('echo.i3', 15), ask('unknown.i3', 1), ask('four.i3', 28), ask('retry.i3', 1))
            print(ask('3.2.1.10.in-addr.arpa', 12), ask(six, 12), ask(six.upper() + '.', 12), ask(six, 16))
            print(ask('99.99.1.10.in-addr.arpa', 12), ask('9' + six[1:], 12), ask('echo.i3', 1, 20))''',
                    "10.1.2.3 fd69:3300::1:2:3 (-1, 4) (-1, 1) (-1, 4) (-1, 2)",
                    "('echo.i3', 9) ('echo.i3', 9) ('echo.i3', 9) (-1, 4)", "(-1, 1) (-1, 1) (-1, 3)")

    def test_no_packet_for_overlay_names(self):
        """Rule 3: without any network, DNS says "try again"; overlay names are answered all the same."""
        probe = subprocess.run(['unshare', '-Urn', 'true'], capture_output=True)
        if probe.returncode:
            self.skipTest('no user namespaces here')
        code = '''
            for n in 'echo.i3', 'unknown.i3', 'example.org':
                try: print(socket.getaddrinfo(n, 7, type=socket.SOCK_STREAM)[0][4])
                except socket.gaierror as e: print(e.errno)
            print(socket.create_connection(('echo.i3', 7)).getpeername())'''
        p = run(['unshare', '-Urn', I3RUN, PYTHON, '-c', 'import socket\n' + textwrap.dedent(code)], i3run=False)
        self.assertEqual(p.stdout.splitlines(), ["('10.1.2.3', 7)", '-2', '-3', "('10.1.2.3', 7)"], p.stderr)


@unittest.skipUnless(has_ipv6(), 'no IPv6 on loopback here')
class Inet6(Case):
    """The same over IPv6: names, families, options; what differs from IPv4."""

    def test_connection_names(self):
        self.expect('''
            import subprocess
            s = socket.socket(socket.AF_INET6)
            s.connect(('fd69:3300::1:2:3', 7, 5, 0)) # a flow label which goes nowhere
            s.sendall(b'hello')
            print(s.recv(5), s.getpeername(), s.getsockname()[0], s.getsockname()[2:], s.getsockname()[1] > 0)
            opt = lambda *a: s.getsockopt(*a)
            print(opt(socket.SOL_SOCKET, socket.SO_DOMAIN) == socket.AF_INET6, opt(socket.SOL_SOCKET, socket.SO_PROTOCOL),
                  opt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY), opt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS))
            code = 'import socket; s = socket.socket(fileno=%d); print(s.family.name, s.getpeername(), s.getsockname() == %r)'
            subprocess.run([sys.executable, '-c', code % (s.fileno(), s.getsockname())], pass_fds=[s.fileno()])''',
                    "AF_INET6 ('fd69:3300::1:2:3', 7, 0, 0) True", # the child's, which comes first
                    "b'hello' ('fd69:3300::1:2:3', 7, 0, 0) fd69:3300::9:9:9 (0, 0) True", 'True 6 0 64')

    def test_refusals_and_states(self):
        self.expect('''
            import select
            def attempt(s, *a):
                try: return s.connect(*a)
                except OSError as e: return e.errno
            six = lambda: socket.socket(socket.AF_INET6)
            print(attempt(six(), ('fd69:3300::1:2:4', 7)), attempt(six(), ('fd69:3300::1:2:8', 7)))
            s = six(); s.setblocking(False)
            print(attempt(s, ('fd69:3300::1:2:5', 7)), attempt(s, ('fd69:3300::1:2:5', 7)), bool(select.select([], [s], [], 0)[1]))
            print(bool(select.select([], [s], [], 5)[1]), s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), s.connect_ex(('fd69:3300::1:2:5', 7)),
                  s.connect_ex(('fd69:3300::1:2:5', 7)))
            only = six(); only.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            print(attempt(only, ('fd69:3300::1:2:3', 7)), only.getpeername()[0], only.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY))
            mapped = six(); print(attempt(mapped, ('::ffff:10.1.2.3', 7)), mapped.getpeername()[0])
            import ctypes # an IPv6 address on an IPv4 socket, and the other way round: libc's own answers
            c = ctypes.CDLL(None, use_errno=True)
            sa = bytes([10, 0, 0, 7]) + bytes(4) + socket.inet_pton(socket.AF_INET6, 'fd69:3300::1:2:3') + bytes(4)
            four = socket.socket()
            print(c.connect(four.fileno(), sa, 28), ctypes.get_errno())''',
                    '111 113', '115 114 False', 'True 0 0 106', 'None fd69:3300::1:2:3 1', 'None ::ffff:10.1.2.3', '-1 97')

    def test_local_port_and_address_reach_the_daemon(self):
        self.expect('''
            s = socket.create_connection(('fd69:3300::1:2:3', 7), source_address=('::', 25680))
            print(s.getsockname())''', "('fd69:3300::9:9:9', 25680, 0, 0)")
        self.assertEqual(daemon.ask('local'), ':::25680')
        self.expect('''
            s = socket.create_connection(('fd69:3300::1:2:3', 7), source_address=('fd69:3300::9:9:9', 25681))
            print(s.getsockname())''', "('fd69:3300::9:9:9', 25681, 0, 0)")
        self.assertEqual(daemon.ask('local'), 'fd69:3300::9:9:9:25681')

    def test_own_address_is_loopback(self):
        self.expect('''
            l = socket.create_server(('::1', 0), family=socket.AF_INET6)
            s = socket.create_connection(('fd69:3300::9:9:9', l.getsockname()[1]))
            c, peer = l.accept()
            print(peer[0], c.recv(2) if s.sendall(b'hi') is None else '')''', "::1 b'hi'")

    def test_peer_is_the_virtual_caller(self):
        for bound in '::1', '::':
            server, port = start_server(self, '''
                l = socket.create_server(('%s', 0), family=socket.AF_INET6)
                print(l.getsockname()[1])
                c, peer = l.accept()
                d = socket.socket(fileno=os.dup(c.fileno()))
                same = d.getpeername() == c.getpeername() == peer
                if os.fork() == 0:
                    print(c.getpeername()[0], c.getsockname()[0], same, flush=True)
                    os._exit(0)
                os.wait()
                print(peer[0], c.getsockname() == ('fd69:3300::9:9:9', l.getsockname()[1], 0, 0), peer[1], l.getsockname()[0])
                c.close(); d.close()
                c, peer = l.accept()
                print(peer[0], c.getsockname()[0], c.getpeername() == peer)''' % bound)
            called = daemon.ask('call6 %d' % port)
            daemon.ask('stranger6 %d' % port)
            out = server.communicate(timeout=LIMIT)[0].splitlines()
            self.assertEqual(out, ['fd69:3300::4d:1:2 fd69:3300::9:9:9 True',
                                   'fd69:3300::4d:1:2 True %d %s' % (int(called.split()[0]) - 1000, bound), '::1 ::1 True'])
            self.assertIn('%s:%d' % (bound, port), daemon.ask('listeners').split())

    def test_bind_to_the_own_virtual_address(self):
        server, port = start_server(self, '''
            l = socket.socket(socket.AF_INET6)
            l.bind(('fd69:3300::9:9:9', 0))
            l.listen()
            print(l.getsockname()[1])
            c, peer = l.accept()
            print(l.getsockname()[0], peer[0], c.getsockname()[0])''')
        daemon.ask('call6 %d' % port)
        self.assertEqual(server.communicate(timeout=LIMIT)[0].split(), ['fd69:3300::9:9:9', 'fd69:3300::4d:1:2', 'fd69:3300::9:9:9'])
        self.assertIn('fd69:3300::9:9:9:%d' % port, daemon.ask('listeners').split())

    def test_names_of_addresses(self):
        self.expect('''
            def ask(f, *a):
                try: print(f(*a))
                except OSError as e: print(type(e).__name__, e.args[0])
            ask(socket.gethostbyaddr, 'fd69:3300::1:2:3')
            ask(socket.gethostbyaddr, 'fd69:3300::1:99:99')
            ask(socket.getnameinfo, ('fd69:3300::1:2:3', 80), 0)
            ask(socket.getnameinfo, ('fd69:3300::1:99:99', 80), 0)
            ask(socket.getnameinfo, ('fd69:3300::1:99:99', 80), socket.NI_NAMEREQD)
            ask(socket.gethostbyname, 'echo.i3')
            import ctypes
            c = ctypes.CDLL(None)
            class Hostent(ctypes.Structure):
                _fields_ = [('name', ctypes.c_char_p), ('aliases', ctypes.c_void_p), ('family', ctypes.c_int),
                            ('length', ctypes.c_int), ('list', ctypes.POINTER(ctypes.c_void_p))]
            c.gethostbyname2.restype = ctypes.POINTER(Hostent)
            h = c.gethostbyname2(b'echo.i3', socket.AF_INET6).contents
            print(h.name, h.family == socket.AF_INET6, socket.inet_ntop(h.family, ctypes.string_at(h.list[0], h.length)), h.list[1])
            print(bool(c.gethostbyname2(b'four.i3', socket.AF_INET6)))''',
                    "('echo.i3', [], ['fd69:3300::1:2:3'])", 'herror 1', "('echo.i3', 'http')", "('fd69:3300::1:99:99', 'http')",
                    'gaierror -2', '10.1.2.3', "b'echo.i3' True fd69:3300::1:2:3 None", 'False')

    def test_happy_eyeballs(self):
        self.expect('''
            import asyncio
            async def main():
                for name, delay in ('echo.i3', 0.25), ('refused.i3', 0.25), ('late.i3', 0.1), ('four.i3', 0.25):
                    start = time.time()
                    try:
                        r, w = await asyncio.open_connection(name, 7, happy_eyeballs_delay=delay)
                        print(w.get_extra_info('peername')[0], time.time() - start < 1)
                        w.close()
                    except OSError as e: print(str(e).count('111'), time.time() - start < 2)
            asyncio.run(main())''', '10.1.2.3 True', '2 True', '2 True', '10.1.2.12 True')


class Servers(Case):
    def test_peer_is_the_virtual_caller(self):
        server, port = start_server(self, '''
            l = socket.create_server(('127.0.0.1', 0))
            print(l.getsockname()[1])
            c, peer = l.accept()
            d = socket.socket(fileno=os.dup(c.fileno()))
            same = d.getpeername() == c.getpeername() == peer
            if os.fork() == 0:
                print(c.getpeername()[0], c.getsockname()[0], same, flush=True)
                os._exit(0)
            os.wait()
            print(peer[0], c.getsockname() == ('10.9.9.9', l.getsockname()[1]), peer[1])
            c.close(); d.close()
            c, peer = l.accept()
            print(peer[0], c.getsockname()[0])''')
        called = daemon.ask('call %d' % port)
        with socket.create_connection(('127.0.0.1', port), source_address=('127.66.6.6', 0)):
            out = server.communicate(timeout=LIMIT)[0].splitlines()
        self.assertEqual(out, ['10.77.1.2 10.9.9.9 True', '10.77.1.2 True ' + called.split()[0], '127.66.6.6 127.0.0.1'])
        self.assertIn('127.0.0.1:%d' % port, daemon.ask('listeners').split())

    def test_accept_without_an_address_and_on_inet6(self):
        server, port = start_server(self, '''
            l = socket.create_server(('::', 0), family=socket.AF_INET6, dualstack_ipv6=True)
            print(l.getsockname()[1])
            c, peer = l.accept()
            print(peer[0], c.getpeername()[0], c.getsockname()[0])''')
        daemon.ask('call %d' % port)
        self.assertEqual(server.communicate(timeout=LIMIT)[0].strip(), '::ffff:10.77.1.2 ::ffff:10.77.1.2 ::ffff:10.9.9.9')
        self.assertIn('::%d' % port if False else ':::%d' % port, daemon.ask('listeners').split())

    def test_bind_to_the_own_virtual_address(self):
        """What an FTP client does in active mode."""
        server, port = start_server(self, '''
            l = socket.socket()
            l.bind(('10.9.9.9', 0))
            l.listen()
            print(l.getsockname()[1])
            c, peer = l.accept()
            print(l.getsockname()[0], peer[0], c.getsockname()[0])''')
        daemon.ask('call %d' % port)
        self.assertEqual(server.communicate(timeout=LIMIT)[0].split(), ['10.9.9.9', '10.77.1.2', '10.9.9.9'])

    def test_http_server(self):
        server = subprocess.Popen([I3RUN, PYTHON, '-um', 'http.server', '0', '--bind', '127.0.0.1', '-d', daemon.dir],
                                  env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        port = int(server.stdout.readline().split('port ')[1].split()[0])
        self.assertIn('200 OK', daemon.ask('call %d' % port))
        server.terminate()
        self.assertIn('10.77.1.2 - - ', server.communicate(timeout=LIMIT)[1])


class Failure(Case):
    """Rule 7: the daemon dies, hangs, returns."""

    def test_daemon_dies_and_returns(self):
        p = subprocess.Popen([I3RUN, PYTHON, '-uc', textwrap.dedent('''
            import socket, sys, time
            names = iter(['echo', 'page', 'sink', 'slow', 'late', 'never', 'refused', 'down']) # each is known for a second
            def attempt():
                for what in (lambda: socket.create_connection(('10.1.2.3', 7), 5).getpeername()[0],
                             lambda: socket.getaddrinfo(next(names) + '.i3', 7)[0][4][0].rpartition('.')[0]):
                    start = time.time()
                    try: print(what(), time.time() - start < 1.2)
                    except OSError as e: print(e.errno, time.time() - start < 1.2)
                l = socket.create_server(('127.0.0.1', 0))
                socket.create_connection(l.getsockname()).close()
                print('local')
            pending = socket.socket(); pending.setblocking(False); pending.connect_ex(('10.1.2.6', 7))
            attempt()
            for _ in sys.stdin: attempt()
            print(pending.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))''')], env=environment(), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.addCleanup(p.wait)

        def round_(*lines):
            self.assertEqual([p.stdout.readline().strip() for _ in range(3)], [*lines, 'local'])

        def again():
            p.stdin.write('\n')
            p.stdin.flush()

        round_('10.1.2.3 True', '10.1.2 True')
        os.kill(daemon.process.pid, signal.SIGSTOP)
        again()
        round_('101 True', '-3 True')
        os.kill(daemon.process.pid, signal.SIGCONT)
        again()
        round_('10.1.2.3 True', '10.1.2 True')
        daemon.kill()
        again()
        round_('101 True', '-3 True')
        os.unlink(daemon.sock)
        again()
        round_('101 True', '-3 True')
        daemon.start()
        again()
        round_('10.1.2.3 True', '10.1.2 True')
        daemon.kill() # and nobody notices before it is back
        daemon.start()
        again()
        round_('10.1.2.3 True', '10.1.2 True')
        p.stdin.close()
        self.assertIn(p.stdout.readline().strip(), ('101', '111'))
        p.stdout.close()

    def test_a_reply_cut_short_is_no_reply(self):
        path = daemon.dir + '/liar.sock'
        liar = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        liar.bind(path)
        liar.listen(50)
        replies = [b'\1', b'\1\x82\0\0', b'\1\x82\0\0SSSS', b'\1\x82\0\0SSSS' + bytes(23), b'\1\x82\0\0SSSS' + bytes(25),
                   b'\1\x82\0\0SSSS\0\0\0\0\7' + bytes(19), b'\2\x82\0\0SSSS' + bytes(24), bytes(16000)]

        def serve():
            for reply in replies:
                c = liar.accept()[0]
                ask = c.recv(512)
                c.send(reply.replace(b'SSSS', ask[4:8]))
                time.sleep(0.05)
                c.close()

        threading.Thread(target=serve, daemon=True).start()
        p = run([PYTHON, '-c', 'import socket\nfor _ in range(%d):\n'
                 ' try: print(socket.getaddrinfo("echo.i3", 7))\n except socket.gaierror as e: print(e.errno)' % len(replies)],
                i3run=False, env=environment(LD_PRELOAD=B + '/lib/i3run/libi3shim.so', I3_SOCK=path))
        liar.close()
        self.assertEqual((p.stdout.split(), p.stderr), (['-3'] * len(replies), ''))


class Programs(Case):
    def test_curl(self):
        p = run(['curl', '-sS', 'http://page.i3/'])
        self.assertEqual((p.returncode, p.stdout, p.stderr), (0, 'the page served over the overlay\n', ''))
        self.assertEqual([run(['curl', '-s', 'http://%s.i3/' % n]).returncode for n in ('refused', 'unknown', 'down')], [7, 6, 7])

    def test_asyncio(self):
        self.expect('''
            import asyncio
            async def one(name):
                try:
                    r, w = await asyncio.open_connection(name, 7, family=socket.AF_INET)
                    w.write(b'hello'); data = await r.readexactly(5)
                    peer = w.get_extra_info('peername')
                    w.close(); await w.wait_closed()
                    return data, peer[0]
                except OSError as e: return e.errno
            async def main():
                names = ['echo.i3', 'slow.i3', 'late.i3', 'refused.i3', 'down.i3'] + ['echo.i3'] * 50
                start = time.time()
                answers = await asyncio.gather(*map(one, names))
                print(*answers[:5], set(answers[5:]), time.time() - start < 3)
            asyncio.run(main())''',
                    "(b'hello', '10.1.2.3') (b'hello', '10.1.2.5') 111 111 113 {(b'hello', '10.1.2.3')} True")

    def test_node(self):
        if not os.path.exists('/usr/bin/node'):
            self.skipTest('no node here')
        code = '''const h = require('http'); const show = e => console.log(e.code);
            h.get('http://page.i3/', r => { let s = r.socket.remoteAddress; r.on('data', d => console.log(s, String(d).length)) });
            h.get('http://refused.i3/', r => 0).on('error', show); setTimeout(() => h.get('http://nobody.i3/').on('error', show), 300)'''
        p = run(['/usr/bin/node', '-e', code])
        self.assertEqual((p.stdout.split('\n')[:3], p.stderr), (['10.1.2.10 33', 'ECONNREFUSED', 'ENOTFOUND'], ''))

    def test_bash_and_select(self):
        p = run(['bash', '-c', 'exec 5<>/dev/tcp/echo.i3/7; echo over bash >&5; read -t 5 line <&5; echo "$line"'])
        self.assertEqual(p.stdout, 'over bash\n')


class I3run(Case):
    def test_status_is_the_programs(self):
        self.assertEqual(run(['sh', '-c', 'exit 7']).returncode, 7)
        self.assertEqual(run(['sh', '-c', 'kill -9 $$']).returncode, -9)
        p = run(['sh', '-c', 'echo out; echo err >&2; readlink /proc/$$/fd/0'])
        self.assertEqual((p.stdout, p.stderr), ('out\n/dev/null\n', 'err\n'))

    def test_options(self):
        self.assertTrue(run(['--help']).stdout.startswith('usage: i3run'))
        self.assertTrue(run(['--version']).stdout.startswith('i3run '))
        self.assertEqual([run(a).returncode for a in ([], ['--nonsense'], ['--', 'true'])], [125, 125, 0])
        self.assertEqual(run(['printf', '%s', '--help']).stdout, '--help')
        self.assertIn('daemon pid=%d' % daemon.process.pid, run(['-v', 'true']).stderr)

    def refusal(self, path, status, *words):
        p = run([path])
        self.assertEqual((p.returncode, p.stdout, p.stderr.count('\n')), (status, '', 1), p.stderr)
        for w in words:
            self.assertIn(w, p.stderr)

    def file(self, name, content, mode=0o755):
        path = daemon.dir + '/' + name
        with open(path, 'wb') as f:
            f.write(content)
        os.chmod(path, mode)
        return path

    def test_targets_which_cannot_be_preloaded_are_named(self):
        with open('/bin/true', 'rb') as f:
            true = f.read()
        elf32 = self.file('elf32', true[:4] + b'\1' + true[5:])
        other = self.file('other', true[:18] + b'\xf3\0' + true[20:])
        offset, size, count = (struct.unpack_from('<Q', true, 32)[0], *struct.unpack_from('<HH', true, 54))
        static = bytearray(true)
        for i in range(count):
            if struct.unpack_from('<I', true, offset + i * size)[0] == 3:
                struct.pack_into('<I', static, offset + i * size, 0)
        static = self.file('static', bytes(static))
        musl = self.file('musl', true.replace(b'/lib64/ld-linux-x86-64.so.2\0', b'/lib/ld-musl-x86_64.so.1\0\0\0\0'))
        self.refusal('no-such-program', 127, 'No such file')
        self.refusal('/no/such/program', 127, 'No such file')
        self.refusal(self.file('plain', b'x', 0o644), 126, 'Permission denied')
        self.refusal(elf32, 126, elf32, '32-bit')
        self.refusal(other, 126, 'another processor')
        script = self.file('script', b'#! %s -x\nfoo\n' % static.encode())
        for path, *words in (static, 'statically linked'), (musl, 'musl'), (script, static, 'statically linked'):
            line = run(['-v', path]).stderr.splitlines()[0]
            for w in words + ['run by the seccomp engine']:
                self.assertIn(w, line)
        self.assertEqual(run([self.file('plain-script', b'echo hello\n')]).stdout, 'hello\n')
        if os.path.exists('/usr/bin/su') and os.getuid() and os.stat('/usr/bin/su').st_mode & 0o4000:
            self.refusal('/usr/bin/su', 126, 'setuid')
        self.assertEqual(run(['--anyway', static]).returncode & 0x7f != 126, True)

    def test_preload_is_appended_to(self):
        shim = os.path.realpath(B + '/lib/i3run/libi3shim.so')
        preload = lambda env, argv: run(argv + ['sh', '-c', 'echo $LD_PRELOAD'], env=env).stdout.strip()
        self.assertEqual(preload(environment(), []), shim)
        self.assertEqual(preload(environment(LD_PRELOAD='libm.so.6'), []), shim + ':libm.so.6')
        self.assertEqual(preload(environment(), [I3RUN]), shim)

    def test_daemon_is_started(self):
        env = environment(I3_SOCK=daemon.dir + '/second.sock')
        ensure = self.file('ensure', b'#!/bin/sh\n[ "$1" = --ensure ] || exit 1\necho noise\n'
                           b'%s %s > %s/second.out 2>&1 &\necho $! > %s/second.pid\nwhile ! [ -s %s/second.out ]; do sleep 0.02; done\n'
                           % tuple(x.encode() for x in (FAKE, env['I3_SOCK'], daemon.dir, daemon.dir, daemon.dir)))
        p = run(['curl', '-s', 'http://page.i3/'], env={**env, 'I3_DAEMON': ensure})
        self.assertEqual((p.returncode, p.stdout, p.stderr), (0, 'the page served over the overlay\n', ''))
        with open(daemon.dir + '/second.pid') as f:
            os.kill(int(f.read()), signal.SIGKILL)
        failing = self.file('failing', b'#!/bin/sh\necho i3d: no key >&2\nexit 78\n')
        p = run(['true'], env={**env, 'I3_DAEMON': failing})
        self.assertEqual((p.returncode, p.stderr.split('\n')[0]), (125, 'i3d: no key'))

    def test_socket_below_tmp_must_be_in_the_users_own_folder(self):
        env = environment()
        del env['I3_SOCK']
        p = run([PYTHON, '-c', 'import socket; print(socket.socket().connect_ex(("10.1.2.3", 7)))'], i3run=False,
                env={**env, 'LD_PRELOAD': B + '/lib/i3run/libi3shim.so', 'XDG_RUNTIME_DIR': daemon.dir})
        self.assertEqual(p.stdout, '101\n') # DIR/i3/i3d.sock does not exist
        os.symlink('.', daemon.dir + '/i3')
        p = run([PYTHON, '-c', 'import socket; print(socket.socket().connect_ex(("10.1.2.3", 7)))'], i3run=False,
                env={**env, 'LD_PRELOAD': B + '/lib/i3run/libi3shim.so', 'XDG_RUNTIME_DIR': daemon.dir})
        self.assertEqual(p.stdout, '0\n')


UDP = textwrap.dedent('''
    import errno
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.settimeout(5)
    def attempt(f, *a):
        try:
            return f(*a)
        except OSError as e:
            return errno.errorcode[e.errno]
''')


class Datagrams(Case):
    """What the library does beside what the kernel does; whole programs over a true overlay are in udp.sh."""

    def udp(self, code, *lines):
        self.expect(UDP + textwrap.dedent(code), *lines)

    def requests(self, kind):
        return int(dict(r.split('=') for r in daemon.ask('requests').split()).get(str(kind), 0))

    def test_translates_both_ways_and_asks_once_a_second(self):
        before = self.requests(9), self.requests(10)
        self.udp('''
            for i in range(2000):
                u.sendto(b'%d' % i, ('10.1.2.3', 7))
                assert u.recvfrom(100) == (b'%d' % i, ('10.1.2.3', 7))
            u.connect(('10.1.2.3', 7))
            print(u.getpeername(), u.getsockname()[0])''', "('10.1.2.3', 7) 10.9.9.9")
        self.assertLess(self.requests(9) - before[0], 10)
        self.assertLess(self.requests(10) - before[1], 10)

    def test_nobody_can_pretend_to_be_virtual(self):
        self.udp('''
            u.bind(('', 0))
            for source in ('127.0.0.1', '127.1.2.3', '127.66.6.6'):
                liar = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                liar.bind((source, 0))
                liar.sendto(b'x', ('127.0.0.1', u.getsockname()[1]))
                print(u.recvfrom(10)[1] == liar.getsockname())''', 'True', 'True', 'True')

    def test_real_peers_cost_the_daemon_nothing(self):
        before = self.requests(9), self.requests(10)
        self.udp('''
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(('127.0.0.1', 0))
            for i in range(100):
                u.sendto(b'x', s.getsockname())
                data, source = s.recvfrom(10)
                s.sendto(data, source)
                assert u.recvfrom(10)[1] == s.getsockname()''')
        self.assertEqual((self.requests(9), self.requests(10)), before)

    def test_the_own_address_is_this_host(self):
        self.udp('''
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(('10.9.9.9', 0))
            to = ('10.9.9.9', s.getsockname()[1])
            print(s.getsockname() == to, u.sendto(b'x', to))
            data, source = s.recvfrom(10)
            s.sendto(b'y', source)
            print(u.recvfrom(10) == (b'y', to))''', 'True 1', 'True')

    def test_a_bound_socket_is_registered(self):
        self.udp('''
            u.bind(('', 24671))
            v = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            v.bind(('::', 24672))
            m = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            m.bind(('224.0.0.251', 24673))
            t = socket.socket()
            t.bind(('', 0))''')
        bound = daemon.ask('udp').split(',')
        self.assertIn('0.0.0.0:24671', bound)
        self.assertIn(':::24672', bound)
        self.assertNotIn('224.0.0.251:24673', bound)

    def test_the_port_is_the_same_to_all(self):
        self.udp('''
            u.sendto(b'x', ('10.1.2.3', 7))
            port = u.getsockname()[1]
            u.recv(10)
            u.sendto(b'x', ('10.1.2.4', 7))
            print(port > 0, port == u.getsockname()[1], attempt(u.bind, ('', 0)))''', 'True True EINVAL')

    def test_without_a_daemon_nothing_leaves(self):
        """Nor does it with one that is stopped; and with it back the next datagram goes."""
        self.addCleanup(lambda: daemon.process.send_signal(signal.SIGCONT))
        self.udp('''
            import os, signal
            fake = %d
            u.sendto(b'x', ('10.1.2.3', 7))
            u.recv(10)
            os.kill(fake, signal.SIGSTOP)
            time.sleep(1.05)
            start = time.time()
            print(attempt(u.sendto, b'x', ('10.1.2.3', 7)), time.time() - start < 1.9)
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            print(attempt(s.sendto, b'x', ('10.1.2.5', 7)), attempt(s.connect, ('10.1.2.5', 7)))
            os.kill(fake, signal.SIGCONT)
            u.sendto(b'back', ('10.1.2.3', 7))
            print(u.recv(10))''' % daemon.process.pid, 'ENETUNREACH True', 'ENETUNREACH ENETUNREACH', "b'back'")

    def test_an_address_without_a_family_does_not_slip_through(self):
        """UDP takes AF_UNSPEC for AF_INET."""
        self.udp('''
            import ctypes, struct
            libc = ctypes.CDLL(None, use_errno=True)
            sa = struct.pack('=HH4s8x', 0, socket.htons(7), socket.inet_aton('10.1.2.3'))
            print(libc.sendto(u.fileno(), b'unspec', 6, 0, sa, 16), u.recvfrom(10))''', "6 (b'unspec', ('10.1.2.3', 7))")

    def test_unconnecting_leaves_no_trace_of_loopback(self):
        self.udp('''
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(('127.0.0.1', 0))
            u.connect(('10.1.2.3', 7))
            u.connect(s.getsockname())
            u.send(b'real')
            data, source = s.recvfrom(10)
            print(data, source == u.getsockname(), u.getpeername() == s.getsockname())''', "b'real' True True")

    def test_other_sockets_than_udp_are_refused(self):
        self.udp('''
            lite = attempt(socket.socket, socket.AF_INET, socket.SOCK_DGRAM, 136)
            print(lite if isinstance(lite, str) else attempt(lite.sendto, b'x', ('10.1.2.3', 7)))''',
            'EPROTONOSUPPORT' if not os.path.exists('/proc/net/udplite') else 'ENETUNREACH')


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    daemon = Daemon()
    try:
        program = unittest.main(exit=False, warnings='ignore', verbosity=int(os.environ.get('V', '1')))
    finally:
        daemon.kill()
        subprocess.run(['rm', '-rf', daemon.dir])
    sys.exit(not program.result.wasSuccessful())
