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
            print(len(out), 'LD_PRELOAD=' + os.environ['LD_PRELOAD'] in out)''', '1503 True')


class Syscall(Case):
    """Rule 9."""

    def test_every_number_is_handed_over_with_all_its_arguments(self):
        p = run([PROBES + 'raw'])
        if p.returncode == 77:
            self.skipTest(p.stdout.strip())
        self.assertEqual((p.returncode, p.stdout, p.stderr), (0, 'numbers 1004\n', ''))


if __name__ == '__main__':
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    shim.daemon = Daemon()
    try:
        program = unittest.main(exit=False, warnings='ignore', verbosity=int(os.environ.get('V', '1')))
    finally:
        shim.daemon.kill()
        subprocess.run(['rm', '-rf', shim.daemon.dir])
    sys.exit(not program.result.wasSuccessful())
