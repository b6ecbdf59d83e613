"""For tests of i3ctl's screens: users in folders of their own, with the real programs."""
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
B = os.path.abspath(os.environ.get("B") or os.path.join(TOP, "build"))
BIN = os.path.join(B, "bin")
SANITIZED = os.path.basename(B.rstrip("/")).endswith("san")

if not all(os.access(os.path.join(BIN, p), os.X_OK) for p in ("i3ctl", "i3d", "i3node", "i3run")):
    print("i3ctl, i3d, i3node and i3run are not all built")
    sys.exit(77)

os.umask(0o077)
T = tempfile.mkdtemp(prefix="i3.")
BASE = {"PATH": BIN + ":" + os.environ["PATH"], "LC_ALL": "C.UTF-8", "TMPDIR": T}
BASE.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})


def step(text):
    print("==", text, flush=True)


def wait_for(what, seconds=15):
    until = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.03)


class Result:
    def __init__(self, words, p):
        self.words, self.status, self.out, self.err = words, p.returncode, p.stdout.decode(), p.stderr.decode()

    def __str__(self):
        return "%s: status %d\n%s%s" % (" ".join(self.words), self.status, self.out, self.err)


class User:
    users = []

    def __init__(self, name, env=None):
        self.name, self.home = name, os.path.join(T, name)
        for d in "config/i3", "data", "run":
            os.makedirs(os.path.join(self.home, d))
        self.env = dict(BASE, HOME=self.home, XDG_CONFIG_HOME=self.home + "/config", XDG_DATA_HOME=self.home + "/data",
                        XDG_RUNTIME_DIR=self.home + "/run")
        if env is not None:  # of a demo world
            self.env = dict(BASE, HOME=self.home, **env)
        User.users.append(self)

    def config(self, text):
        with open(self.env["XDG_CONFIG_HOME"] + "/i3/i3.conf", "w") as f:
            f.write(text)

    def run(self, *words, env=None, timeout=60, **more):
        p = subprocess.run(words, env=dict(self.env, **(env or {})), stdin=subprocess.DEVNULL, stdout=more.pop("stdout", subprocess.PIPE),
                           stderr=subprocess.PIPE, timeout=timeout, **more)
        p.stdout = p.stdout or b""
        return Result(words, p)

    def ctl(self, *words, status=0, **more):
        r = self.run("i3ctl", *words, **more)
        assert status is None or r.status == status, "wanted status %s, got %s" % (status, r)
        return r

    def json(self, *words, **more):
        return json.loads(self.ctl(*words, "--json", **more).out)

    def online(self):
        return self.json("status")["online"]

    def popen(self, *words, env=None, **more):
        return subprocess.Popen(words, env=dict(self.env, **(env or {})), stdin=subprocess.DEVNULL, **more)

    def stop(self):
        self.ctl("stop", status=None)


class World:
    """A ring, alice and bob, who know each other."""

    def __init__(self, name="world"):
        self.dir = os.path.join(T, name)
        self.made = False
        subprocess.run(["i3ctl", "demo", "up", self.dir], env=BASE, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.made = True
        self.alice, self.bob = (self.user(n) for n in ("alice", "bob"))

    def user(self, name):
        env = {}
        with open(os.path.join(self.dir, name + ".env")) as f:
            for line in f:
                if line.startswith("export "):
                    key, value = shlex.split(line)[1].split("=", 1)
                    env[key] = value
        os.makedirs(os.path.join(T, name + "-home"), exist_ok=True)
        u = User.__new__(User)
        u.name, u.home, u.env = name, os.path.join(T, name + "-home"), dict(BASE, HOME=os.path.join(T, name + "-home"), **env)
        User.users.append(u)
        return u

    def port(self):
        with open(os.path.join(self.dir, "ring", "port")) as f:
            return int(f.read())

    def node_pid(self):
        with open(os.path.join(self.dir, "ring", "pid")) as f:
            return int(f.read())

    def down(self):
        if self.made:
            subprocess.run(["i3ctl", "demo", "down", self.dir], env=BASE, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


children, worlds = [], []


def main(body):
    """Runs the test; whatever it has started is gone after it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        body()
    finally:
        for p in children:
            if p.poll() is None:
                p.kill()
            p.wait()
        for u in User.users:
            try:
                u.stop()
            except Exception as e:  # the others are to be ended all the same
                print("stop %s: %s" % (u.name, e))
        for w in worlds:
            w.down()
        shutil.rmtree(T, ignore_errors=True)
