#!/usr/bin/python3
"""Broken configurations, tests/data/config: each is refused by `i3d --check` with the right line; by a start as well; and a daemon that runs
goes on with what it had."""
import json, os, re, subprocess, sys, tempfile, time, unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
B = os.environ.get('B', TOP + '/build')
DATA = TOP + '/tests/data/config'
I3D, I3CTL = B + '/bin/i3d', B + '/bin/i3ctl'
EX_CONFIG = 78


def expected():
    """File -> how its errors begin, in their order."""
    out = {}
    with open(DATA + '/expected') as f:
        for line in f:
            if not line.startswith('#'):
                name, want = line.rstrip('\n').split('\t')
                out.setdefault(name, []).append(want)
    return out


def run(*argv, **env):
    return subprocess.run(argv, env={**os.environ, **env}, capture_output=True, text=True, errors='replace', timeout=60)


def check(path):
    return run(I3D, '--check', '--config', path)


class Files(unittest.TestCase):
    maxDiff = None

    def test_every_file_is_refused_with_its_line(self):
        wanted = expected()
        self.assertEqual(sorted(wanted), sorted(f for f in os.listdir(DATA) if f.endswith('.conf')))
        self.assertGreaterEqual(len(wanted), 100)
        for name, want in wanted.items():
            with self.subTest(name):
                path = os.path.join(DATA, name)
                p = check(path)
                self.assertEqual((p.returncode, p.stdout), (EX_CONFIG, ''))
                lines = [l[len('i3d: ' + path + ':'):] for l in p.stderr.splitlines() if l.startswith('i3d: %s:' % path)]
                self.assertEqual(len(lines), len(p.stderr.splitlines()), p.stderr)
                got = [l[:len(w)] for l, w in zip(lines, want)]
                self.assertEqual(got, want, p.stderr)

    def test_what_is_not_told_by_lines(self):
        with tempfile.TemporaryDirectory() as d:
            p = check(d)
            self.assertEqual((p.returncode, p.stderr), (EX_CONFIG, 'i3d: %s:1: file: it is a folder, and should be a file\n' % d))
            p = check(d + '/none')
            self.assertEqual((p.returncode, p.stderr), (EX_CONFIG, 'i3d: %s/none:1: file: there is no such file\n' % d))
            os.mkfifo(d + '/fifo')
            p = check(d + '/fifo')
            self.assertEqual((p.returncode, p.stderr), (EX_CONFIG, 'i3d: %s/fifo:1: file: it is no regular file\n' % d))
            with open(d + '/large', 'w') as f:
                f.write('# nothing\n' * 200000)
            p = check(d + '/large')
            self.assertEqual(p.returncode, EX_CONFIG)
            self.assertIn('/large:1: file: it has 2000000 bytes', p.stderr)
            with open(d + '/many', 'w') as f:
                f.write('mut = 1\n' * 5000)
            p = check(d + '/many')
            self.assertEqual(p.returncode, EX_CONFIG)
            self.assertIn('/many:1: mut: ', p.stderr)
            self.assertIn('/many: and 4960 more like these', p.stderr)
            if os.geteuid():
                os.chmod(d + '/many', 0)
                p = check(d + '/many')
                self.assertEqual((p.returncode, p.stderr), (EX_CONFIG, 'i3d: %s/many:1: file: Permission denied\n' % d))

    def test_the_documented_file_is_right(self):
        p = check(TOP + '/tools/i3.conf')
        self.assertEqual((p.returncode, p.stderr), (0, ''))


class Daemon(unittest.TestCase):
    """One that runs, and is given the broken files in turn."""

    def setUp(self):
        self.dir = tempfile.TemporaryDirectory()
        d = self.dir.name
        self.env = {'XDG_CONFIG_HOME': d + '/config', 'XDG_DATA_HOME': d + '/data', 'XDG_RUNTIME_DIR': d + '/run'}
        for part in 'config/i3', 'data', 'run':
            os.makedirs(d + '/' + part, 0o700)
        self.conf = d + '/config/i3/i3.conf'
        self.log = d + '/run/i3/i3d.log'

    def tearDown(self):
        self.ctl('stop')
        self.dir.cleanup()

    def ctl(self, *argv):
        return run(I3CTL, *argv, **self.env)

    def write(self, data):
        """As editors do."""
        with open(self.conf + '.new', 'wb') as f:
            f.write(data)
        os.rename(self.conf + '.new', self.conf)

    def test_a_start_is_refused(self):
        for name in sorted(expected())[::12]:
            with self.subTest(name), open(os.path.join(DATA, name), 'rb') as f:
                self.write(f.read())
                want = '%s:%s' % (self.conf, expected()[name][0])
                p = run(I3D, '--ensure', **self.env)
                self.assertEqual(p.returncode, EX_CONFIG, p.stderr)
                self.assertIn(want, p.stderr)
                p = run(I3D, **self.env)
                self.assertEqual(p.returncode, EX_CONFIG, p.stderr)
                self.assertIn(want, p.stderr)
                p = self.ctl('id')
                self.assertEqual(p.returncode, EX_CONFIG, p.stderr)
                self.assertIn(want, p.stderr)

    def test_a_daemon_that_runs_goes_on_with_what_it_had(self):
        good = b'bind = "127.0.0.1:0"\nrule {\n    suffix = ".kept.example"\n    action = "deny"\n}\n'
        self.write(good)
        self.assertEqual(run(I3D, '--ensure', **self.env).returncode, 0)
        rule = lambda: self.ctl('why', 'a.kept.example').stdout
        before = rule()
        self.assertIn('i3.conf:2   suffix = ".kept.example"  action = "deny"', before)
        for name, want in sorted(expected().items()):
            with self.subTest(name), open(os.path.join(DATA, name), 'rb') as f:
                self.write(f.read())
                p = self.ctl('reload')
                self.assertEqual((p.returncode, p.stdout), (EX_CONFIG, ''))
                for w in want:
                    self.assertIn('%s:%s' % (self.conf, w), p.stderr)
                after = rule()
                self.assertEqual(after[:len(before)], before)
                self.assertIn('not in force: %s:%s' % (self.conf, want[0]), after)
        p = self.ctl('status')
        self.assertIn('not in force: %s:' % self.conf, p.stdout)
        self.write(good)
        self.assertEqual(self.ctl('reload').returncode, 0)
        self.assertEqual(rule(), before)
        self.assertNotIn('not in force', self.ctl('status').stdout)

    def test_changes_of_the_file_are_seen(self):
        self.write(b'')
        self.assertEqual(run(I3D, '--ensure', **self.env).returncode, 0)
        decision = lambda: re.search('"decision": "(.*)"', self.ctl('why', 'a.example', '--json').stdout).group(1)

        def becomes(want, how):
            until = time.monotonic() + 20
            while decision() != want:
                self.assertLess(time.monotonic(), until, how)
                time.sleep(0.05)

        deny = b'rule { suffix = ".example" action = "deny" }\n'
        self.assertEqual(decision(), 'system')
        self.write(deny)
        becomes('denied', 'renamed over')
        with open(self.conf, 'wb') as f: # in place
            f.write(b'# nothing\n')
        becomes('system', 'written in place')
        os.unlink(self.conf)
        with open(self.conf, 'wb') as f:
            f.write(deny)
        becomes('denied', 'deleted and made anew')
        elsewhere = self.dir.name + '/elsewhere'
        with open(elsewhere, 'wb') as f:
            f.write(b'')
        os.symlink(elsewhere, self.conf + '.link')
        os.rename(self.conf + '.link', self.conf)
        becomes('denied' if 'landlock' in open(self.log).read() else 'system', 'a link now, to where the sandbox cannot look')
        os.unlink(self.conf)
        time.sleep(0.5)
        before = decision()
        p = self.ctl('reload')
        self.assertEqual(p.returncode, EX_CONFIG)
        self.assertIn('i3.conf:1: file: it is gone', p.stderr)
        self.assertEqual(decision(), before)
        self.write(b'')
        becomes('system', 'back')
        self.write(deny)
        becomes('denied', 'again')
        with open(self.dir.name + '/run/i3/i3d.pid') as f:
            pid = int(f.read())
        with open(self.conf, 'wb') as f:
            f.write(b'')
            f.flush()
            os.kill(pid, 1)
            becomes('system', 'SIGHUP')

    def test_what_needs_a_start_is_said(self):
        self.write(b'mtu = 1400\nlog = "info"\n')
        self.assertEqual(run(I3D, '--ensure', **self.env).returncode, 0)
        self.write(b'mtu = 1300\nlog = "debug"\nconnections = 5\noverlay w { suffix = ".w.i3" }\n')
        for _ in range(2): # said again while it is so, whether or not the daemon has seen the change itself
            p = self.ctl('reload', '--json')
            self.assertEqual((p.returncode, sorted(json.loads(p.stdout)['needs_restart'])), (0, ['connections', 'mtu']))
        self.assertIn('from the next start of the daemon (i3ctl stop): mtu, connections', self.ctl('reload').stdout)


if __name__ == '__main__':
    unittest.main(verbosity=0, argv=sys.argv[:1])
