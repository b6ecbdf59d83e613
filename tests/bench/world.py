"""world.py: places where the load program runs: plain loopback, and worlds of alice, bob and one node, each user wherever a
command prefix (such as nsenter) puts it. All that is started here is ended by close()."""
import glob, json, os, re, shutil, signal, socket, subprocess, tempfile, threading, time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("B", os.path.join(TOP, "build"))
BIN, TESTS = os.path.join(BUILD, "bin"), os.path.join(BUILD, "tests")
LOAD = os.path.join(TESTS, "bench/load")
PATIENCE_S = 15


class Missing(Exception):
    """Something that a row needs is not there; the row says what."""


class Heart:
    """Notices when the whole machine stood still, as virtual ones do while they are copied: no figure survives that."""
    BEAT_S, PAUSE_S, ATTEMPTS = 0.05, 0.5, 3

    def __init__(self):
        self.last_pause = 0
        threading.Thread(target=self.beat, daemon=True).start()

    def beat(self):
        before = time.monotonic()
        while True:
            time.sleep(self.BEAT_S)
            now = time.monotonic()
            if now - before > self.PAUSE_S:
                self.last_pause = now
            before = now

    def undisturbed(self, measure, *args):
        """The result of measure(*args), which is repeated if the machine stood still meanwhile."""
        for _ in range(self.ATTEMPTS):
            start = time.monotonic()
            try:
                result = measure(*args)
            except RuntimeError:
                time.sleep(2 * self.BEAT_S)
                if self.last_pause < start:
                    raise
                continue
            time.sleep(2 * self.BEAT_S)
            if self.last_pause < start:
                return result
        raise RuntimeError("the machine stands still again and again")


heart = Heart()


def values(text):
    return {k: float(v) for k, v in re.findall(r"(\w+)=([-0-9.e+]+)", text)}


def wait_for(what, question):
    until = time.monotonic() + PATIENCE_S
    while not (answer := question()):
        if time.monotonic() > until:
            raise Missing(f"{what}: not after {PATIENCE_S} s")
        time.sleep(0.05)
    return answer


def cpu_of(pids):
    """CPU seconds of these processes so far, all threads (ns of the scheduler, not ticks)."""
    total = 0
    for pid in pids:
        for f in glob.glob(f"/proc/{pid}/task/*/schedstat"):
            try:
                total += int(open(f).read().split()[0])
            except OSError:  # ended meanwhile
                pass
    return total / 1e9


def group_of(leader):
    """The processes of the session that `leader` leads."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.getsid(int(pid)) == leader:
                found.append(int(pid))
        except OSError:
            pass
    return found


def memory_of(pid):
    """Resident memory of a process, and the part which is its own and not a file's; MB."""
    text = open(f"/proc/{pid}/status").read()
    return [int(re.search(rf"^{k}:\s+(\d+) kB", text, re.M)[1]) / 1024 for k in ("VmRSS", "RssAnon")]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


class Side:
    """Where a program runs: an environment, and what stands before its command line."""

    def __init__(self, env=None, prefix=(), overlay=False):
        self.env, self.prefix = env or dict(os.environ), list(prefix)
        self.program = self.prefix + (["i3run"] if overlay else [])
        self.started = []

    def call(self, *args):
        return subprocess.run(self.prefix + list(args), env=self.env, capture_output=True, text=True, timeout=60)

    def load(self, *args, timeout=150):
        """Runs the load program to its end: what it printed, and `cpu`, the seconds of it and its children."""
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            p = subprocess.Popen(self.program + [LOAD, *args], env=self.env, stdin=subprocess.DEVNULL, stdout=out,
                                 stderr=err, start_new_session=True)
            until = time.monotonic() + timeout
            while True:
                pid, status, usage = os.wait4(p.pid, os.WNOHANG)
                if pid:
                    p.returncode = os.waitstatus_to_exitcode(status)
                    break
                if time.monotonic() > until:
                    os.killpg(p.pid, signal.SIGKILL)
                    p.wait()
                    raise RuntimeError(f"load {' '.join(args)}: not done after {timeout} s")
                time.sleep(0.01)
            out.seek(0), err.seek(0)
            if p.returncode:
                raise RuntimeError(f"load {' '.join(args)}: {err.read().strip()}")
            return values(out.read()) | {"cpu": usage.ru_utime + usage.ru_stime}

    def start(self, *args, stdin=subprocess.DEVNULL):
        """Starts the load program, waits for its first line: (process, what the line said)."""
        p = subprocess.Popen(self.program + [LOAD, *args], env=self.env, stdin=stdin, stdout=subprocess.PIPE, text=True,
                             start_new_session=True)
        self.started.append(p)
        line = p.stdout.readline()
        if not line:
            raise RuntimeError(f"load {' '.join(args)} did not start")
        return p, values(line)

    def end(self, p):
        if p.poll() is None:
            os.killpg(p.pid, signal.SIGKILL)
        p.wait()
        p.stdout.close()
        self.started.remove(p)

    def close(self):
        for p in list(self.started):
            self.end(p)


class Place:
    """Two sides, the name by which alice reaches bob, and servers of bob that are started when they are first needed."""
    daemons = ()

    def __init__(self, alice, bob, host):
        self.alice, self.bob, self.host, self.servers = alice, bob, host, {}

    def port(self, *server):
        """Of a server such as ("serve",) or ("serve", "bbr")."""
        if server not in self.servers:
            port = free_port()
            self.servers[server] = port, self.bob.start(server[0], port, *server[1:])[0]
        return self.servers[server][0]

    def load(self, mode, *args, server=("serve",), **more):
        """One run of alice's: its values, and `cpu_all`: with the daemons, the node and bob's server."""
        port = self.port(*server)
        pids = [*self.daemons, *group_of(self.servers[server][1].pid)]
        before = cpu_of(pids)
        v = self.alice.load(mode, self.host, port, *args, **more)
        return v | {"cpu_all": v["cpu"] + cpu_of(pids) - before}

    def close(self):
        self.alice.close(), self.bob.close()


def loopback():
    return Place(Side(), Side(), "127.0.0.1")


class World(Place):
    """An overlay of its own. `conf`: lines of all users' i3.conf, or of each by name. `at`: the prefix of each user's commands; the
    node runs at bob's and listens on `listen`. `via`: a function of the node's address; what alice takes for the node instead."""

    def __init__(self, conf="", at=None, listen="127.0.0.1", via=None):
        self.dir = tempfile.mkdtemp(prefix="i3bench.")
        self.at, self.node = at or {"alice": (), "bob": ()}, None
        sides = {u: Side(self.environment(u), self.at[u], overlay=True) for u in self.at}
        super().__init__(sides["alice"], sides["bob"], "bob.i3")
        self.users = sides
        try:
            self.start_node(listen)
            self.start_users(conf, {"alice": via(self.node_address)} if via else {})
        except BaseException:
            self.close()
            raise

    def environment(self, user):
        env = {k: v for k, v in os.environ.items() if k not in ("I3_SOCK", "LD_PRELOAD")}
        env["PATH"] = BIN + ":" + env["PATH"]
        for var, folder in ("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data"), ("XDG_RUNTIME_DIR", "run"):
            env[var] = os.path.join(self.dir, user, folder)
            os.makedirs(os.path.join(env[var], "i3"), 0o700)
        return env

    def start_node(self, listen):
        port, pid = os.path.join(self.dir, "port"), os.path.join(self.dir, "pid")
        r = self.bob.call("i3node", "--background", "--listen", f"{listen}:0", "--port-file", port, "--pid-file", pid,
                          "--log", os.path.join(self.dir, "node.log"))
        if r.returncode:
            raise Missing(f"node: {r.stderr.strip()}")
        self.node = int(open(pid).read())
        self.node_address = f"{listen}:{open(port).read().strip()}"

    def start_users(self, conf, via):
        keys = {}
        for name, side in self.users.items():
            with open(os.path.join(side.env["XDG_CONFIG_HOME"], "i3/i3.conf"), "w") as f:
                own = conf if isinstance(conf, str) else conf.get(name, "")
                f.write(f'nodes = {{ "{via.get(name, self.node_address)}" }}\n{own}\n')
            r = side.call("i3d", "--ensure")
            if r.returncode:
                raise Missing(f"i3d: {(r.stderr.strip() or 'did not start').splitlines()[0]}")
            keys[name] = self.ask(name, "id")["key"]
        self.daemons = [self.ask(name, "status")["pid"] for name in self.users] + [self.node]
        for name, side in self.users.items():
            for other, key in keys.items():
                side.call("i3ctl", "book", "add", other, key)
        for name in self.users:
            wait_for(f"{name}'s triggers", lambda: self.stands(name))
        self.alice.call("i3ctl", "ping", "bob.i3", "2")

    def ask(self, user, *verb):
        return json.loads(self.users[user].call("i3ctl", *verb, "--json").stdout)

    def stands(self, user):
        triggers = self.ask(user, "status")["triggers"]
        return triggers and all(t["state"].lower() in ("standing", "refreshing") for t in triggers)

    def relayed(self):
        return any(p["path"].startswith("relayed") for p in self.ask("alice", "status")["peers"])

    def memory(self):
        """Of the larger daemon: resident, and anonymous; MB."""
        return [max(v) for v in zip(*(memory_of(pid) for pid in self.daemons[:2]))]

    def close(self):
        super().close()
        for side in self.users.values():
            side.call("i3ctl", "stop")
        if self.node:
            os.kill(self.node, signal.SIGTERM)
        shutil.rmtree(self.dir, ignore_errors=True)
