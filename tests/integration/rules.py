#!/usr/bin/python3
"""The rules of the preloaded library which shim.py does not hold already: programs that start others, syscall(), and what goes wrong."""
import os, signal, subprocess, sys, unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True
import shim
from shim import B, I3RUN, PROBES, PYTHON, Case, Daemon, environment, run

SHIM = os.path.realpath(B + '/lib/i3run/libi3shim.so')


class Inherit(Case):
    """Rule 4's exec, and SHIM.md's "processes": a program that is started can reach the overlay, whatever environment it is given."""

    def sections(self, *argv, **more):
        p = run([PROBES + 'starts', *argv], env=environment(**more))
        self.assertEqual((p.returncode, p.stderr), (0, ''), p.stdout)
        return [(s.split('\n')[0], s.split('\n')[1:]) for s in p.stdout.split('= ')[1:]]

    def test_every_way_to_start_a_program_keeps_the_overlay(self):
        sections = self.sections('all')
        self.assertEqual(len(sections), 16)
        for how, lines in sections:
            self.assertIn('status 0', lines, how)
            self.assertEqual([l for l in lines if l.startswith('LD_PRELOAD=')], ['LD_PRELOAD=' + SHIM], how)
            self.assertEqual([l for l in lines if l.startswith('I3_SOCK=')], ['I3_SOCK=' + shim.daemon.sock], how)
            self.assertEqual([l for l in lines if l.startswith('I3_POOL=')], ['I3_POOL=10.0.0.0/8'], how)
            if how != 'execve-null':
                self.assertIn('A=1', lines, how)

    def test_what_a_program_adds_stays(self):
        code = '''
            import subprocess
            def preload(**env):
                print(subprocess.run(['/bin/sh', '-c', 'echo $LD_PRELOAD $I3_SOCK $I3_MINE'], env=env, capture_output=True, text=True).stdout.strip())
            ours, sock = os.environ['LD_PRELOAD'], os.environ['I3_SOCK']
            preload(LD_PRELOAD='libm.so.6')
            preload(LD_PRELOAD='libm.so.6:' + ours)
            preload(I3_SOCK='/elsewhere')
            preload(I3_OFF='1')
            preload(I3_OFF='')'''
        self.expect(code, SHIM + ':libm.so.6 ' + shim.daemon.sock, 'libm.so.6:%s %s' % (SHIM, shim.daemon.sock), SHIM + ' /elsewhere',
                    '', SHIM + ' ' + shim.daemon.sock)

    def test_the_started_program_reaches_the_overlay(self):
        p = run(['env', '-i', 'curl', '-sS', 'http://page.i3/'])
        self.assertEqual((p.stdout, p.stderr), ('the page served over the overlay\n', ''))
        p = run(['sh', '-c', 'unset LD_PRELOAD I3_SOCK I3_POOL; exec env -i /bin/sh -c "env -i curl -sS http://page.i3/"'])
        self.assertEqual((p.stdout, p.stderr), ('the page served over the overlay\n', ''))

    def test_nothing_is_put_where_nothing_was(self):
        """Without LD_PRELOAD, as an NSS module is loaded."""
        code = ('import ctypes, subprocess; ctypes.CDLL(%r, ctypes.RTLD_GLOBAL); subprocess.run(["/usr/bin/env"], env={"A": "1"})' % SHIM)
        self.assertEqual(run([PYTHON, '-c', code], i3run=False).stdout, 'A=1\n')

    def test_an_environment_of_many_and_long_variables(self):
        self.expect('''
            import subprocess
            env = {'V%d' % i: 'x' * 1000 for i in range(1500)}
            out = subprocess.run(['/usr/bin/env'], env=env, capture_output=True, text=True).stdout.splitlines()
            print(len(out), 'LD_PRELOAD=' + os.environ['LD_PRELOAD'] in out)''', '1504 True')


class Syscall(Case):
    """Rule 9."""

    def test_every_number_is_handed_over_with_all_its_arguments(self):
        p = run([PROBES + 'raw'])
        if p.returncode == 77:
            self.skipTest(p.stdout.strip())
        self.assertEqual((p.returncode, p.stdout, p.stderr), (0, 'numbers 1004\n', ''))

    def test_a_client_that_goes_round_libc(self):
        virtual = [x for n in (3, 4, 6) for x in ('10.1.2.%d' % n, '7')]
        by_name, by_number = [run([PROBES + p] + virtual) for p in ('semantics', 'by_syscall')]
        self.assertEqual((by_number.returncode, by_number.stderr), (0, ''))
        self.assertGreater(by_number.stdout.count('\n'), 140)
        self.assertEqual(by_name.stdout.splitlines(), by_number.stdout.splitlines())


class Descriptors(Case):
    """Rules 4 and 8, beyond what shim.py has."""

    def test_ten_thousand_passed_connections(self):
        self.expect("""
            a, b = socket.socketpair()
            count = lambda: len(os.listdir('/proc/self/fd'))
            s = socket.create_connection(('echo.i3', 7))
            before = count()
            if os.fork() == 0:
                for _ in range(100): socket.send_fds(a, [b'x'], [s.fileno()] * 100)
                os._exit(0)
            right = 0
            for _ in range(100):
                fds = []
                while len(fds) < 100: fds += socket.recv_fds(b, 1, 100)[1]
                for fd in fds:
                    with socket.socket(fileno=fd) as c:
                        right += c.family == socket.AF_INET and c.getpeername() == ('10.1.2.3', 7)
            os.wait()
            s.sendall(b'still')
            print(right, count() - before, s.recv(5))""", "10000 0 b'still'")

    def test_numbers_that_programs_pick(self):
        self.expect("""
            import resource
            resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
            def dial(): return socket.create_connection(('echo.i3', 7))
            for fd in range(3, 11):
                s = dial()
                os.dup2(s.fileno(), fd)
                if s.fileno() == fd: s.detach()
                else: s.close()
            ends = [socket.socket(fileno=fd) for fd in range(3, 11)]
            for e in ends: e.sendall(b'%d' % e.fileno())
            print(*[e.getpeername()[1] for e in ends], *[int(e.recv(9)) for e in ends])
            top = dial()
            os.dup2(top.fileno(), 2000)
            high = socket.socket(fileno=2000)
            high.sendall(b'high')
            print(high.getpeername(), high.recv(4))
            os.closerange(3, 4000)
            print(len(os.listdir('/proc/self/fd')), dial().getpeername())
            for e in ends + [top, high]: e.detach()""",
                    ' '.join(['7'] * 8 + [str(n) for n in range(3, 11)]), "('10.1.2.3', 7) b'high'", "4 ('10.1.2.3', 7)")

    def test_dup_before_connect_is_the_same_socket(self):
        self.expect("""
            for blocking in True, False:
                s = socket.socket()
                twin, other = s.dup(), os.dup(s.fileno())
                s.setblocking(blocking)
                s.connect_ex(('10.1.2.3', 7))
                time.sleep(0 if blocking else 0.3)
                print(twin.getpeername(), socket.socket(fileno=other).getpeername(), os.get_inheritable(twin.fileno()))""",
                    *["('10.1.2.3', 7) ('10.1.2.3', 7) False"] * 2)


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    shim.daemon = Daemon()
    try:
        program = unittest.main(exit=False, warnings='ignore', verbosity=int(os.environ.get('V', '1')))
    finally:
        shim.daemon.kill()
        subprocess.run(['rm', '-rf', shim.daemon.dir])
    sys.exit(not program.result.wasSuccessful())
