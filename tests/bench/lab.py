"""lab.py: what can be measured, once per round each however many rows ask for it. A probe is a method which returns a dict."""
import base64, contextlib, functools, os, re, shutil, subprocess, tempfile, time

import path
from world import BIN, BUILD, LOAD, TESTS, TOP, Missing, Side, World, heart, loopback, memory_of, values, wait_for

CONF = {"relay": "shortcut = no", "short": "", "plain": "encrypt = no", "tcp": "shortcut = no\ntransport = tcp"}
LIM = os.environ.get("LIM") or os.path.join(TOP, "../shared/bench/lim.c")
LIM_WINDOW, LIM_SIZE, LIM_BUFFER = "1000000", "1400", "4194304"
ROUGH = ["--dup", "10", "--reorder", "25", "--loss", "5"]
ROUGH_MB = os.environ.get("SIZE_MB", "1024")
UDP_SIZE = "1200"
LOOKUPS = "100"
NODE_LOAD = os.path.join(TESTS, "bench/node_load")
CORES = sorted(map(str, os.sched_getaffinity(0)), key=int)
REFRESHES = 22  # in one packet
SHIM = os.path.join(BUILD, "lib/i3run/libi3shim.so")
STARTS = 100
PEERS = {"proxychains4": "proxychains4 -q", "torsocks": "torsocks"}
FILES = "find /usr/include -type f -print0 | xargs -0 -n 2000 cat | sha256sum"
COSTS = {  # times, command
    "calls": (30, [LOAD, "calls", "1000"]),
    "pieces": (20, [LOAD, "pieces", "20000"]),
    "files": (8, ["sh", "-c", FILES + " >/dev/null"]),
    "compile": (20, ["cc", "-O1", "-I" + TOP, "-D_GNU_SOURCE", "-c", "-o", "/dev/null", os.path.join(TOP, "tests/bench/udp.c")]),
}


def once_per_round(probe):
    @functools.wraps(probe)
    def ask(self, *args):
        key = (probe.__name__, *args)
        if key not in self.seen:
            try:
                self.seen[key] = heart.undisturbed(probe, self, *args)
            except Missing as e:
                self.seen[key] = e
        if isinstance(self.seen[key], Missing):
            raise self.seen[key]
        return self.seen[key]
    return ask


class Lab:
    def __init__(self, seconds):
        self.s, self.seen, self.places, self.absent = str(seconds), {}, {}, {}
        self.tmp = tempfile.TemporaryDirectory(prefix="i3bench.")

    def new_round(self):
        self.seen = {}

    def close(self):
        for place in self.places.values():
            place.close()
        self.tmp.cleanup()

    # ---- places

    def place(self, name):
        """ "loop", or a world by the name of its configuration."""
        if name in self.absent:
            raise self.absent[name]
        if name not in self.places:
            try:
                self.places[name] = loopback() if name == "loop" else self.world(name)
            except Missing as e:
                self.absent[name] = e
                raise
        return self.places[name]

    def world(self, name):
        try:
            w = World(CONF[name])
        except Missing:
            if name != "relay":
                raise
            w = World()  # a version without shortcuts: everything is relayed
        if name not in ("relay", "tcp"):
            try:
                wait_for("shortcut", lambda: not w.relayed())
            except Missing:
                w.close()
                raise Missing("no shortcut in this version")
        return w

    # ---- the limit of a relay in user space

    @functools.cached_property
    def lim(self):
        if not os.path.exists(LIM):
            raise Missing(f"not measured: no {LIM} (variable LIM)")
        out = os.path.join(self.tmp.name, "lim")
        if subprocess.run(["cc", "-O2", "-w", "-o", out, LIM]).returncode:
            raise Missing(f"not measured: {LIM} does not compile")
        return out

    @once_per_round
    def limit(self, hops):
        return self.run_lim("chain", self.s, str(hops), LIM_WINDOW, LIM_SIZE, LIM_BUFFER)

    def run_lim(self, *args):
        return values(subprocess.run([self.lim, *args], capture_output=True, text=True, timeout=60).stdout)

    # ---- TCP

    @once_per_round
    def stream(self, place, n=1, *up):
        v = self.place(place).load("stream", self.s, str(n), *up)
        return v | {"cpu_per_gb": v["cpu_all"] / (v["bytes"] / 1e9)}

    @once_per_round
    def pingpong(self, place):
        return self.place(place).load("rr", self.s)

    @once_per_round
    def connects(self, place, n):
        v = self.place(place).load("crr", self.s, str(n))
        if v["errors"]:
            raise RuntimeError(f"{v['errors']:.0f} connects failed")
        return v

    @contextlib.contextmanager
    def holding(self, place, n, per_s=0):
        """n connections of alice's to bob, over which per_s bytes a second trickle."""
        port = place.port("keep")
        p, v = place.alice.start("hold", place.host, port, str(n), str(per_s), stdin=subprocess.PIPE)
        try:
            if v["failed"]:
                raise RuntimeError(f"{v['failed']:.0f} of {n} connections failed")
            yield v
        finally:
            p.stdin.close()
            place.alice.end(p) if p.wait(30) is None else place.alice.started.remove(p)

    @once_per_round
    def busy(self, place, n, per_s):
        """Ping-pong among n other channels, and without them just before and after."""
        where = self.place(place)
        before = where.load("rr", self.s)["p50_us"]
        with self.holding(where, n, per_s):
            among = where.load("rr", self.s)["p50_us"]
        after = where.load("rr", self.s)["p50_us"]
        return {"among": among, "without": (before + after) / 2}

    # ---- UDP

    @once_per_round
    def udp(self, place):
        where = self.place(place)
        try:
            return where.load("udp", "3", UDP_SIZE, server=("udpserve",))
        except RuntimeError as e:
            if place == "loop":
                raise
            raise Missing(f"no UDP: {e}")

    # ---- a node by itself, on the first core; its load on the last

    @contextlib.contextmanager
    def server(self, *cmd):
        """A program on a core of its own: its process and its port, which a file or its first line of output tells."""
        with tempfile.NamedTemporaryFile("w+", dir=self.tmp.name) as port:
            file = ["--port-file", port.name] if cmd[0].endswith("i3node") else []
            p = subprocess.Popen(["taskset", "-c", CORES[0], *cmd, *file], stdin=subprocess.DEVNULL, text=True,
                                 stdout=None if file else port, stderr=subprocess.DEVNULL)
            try:
                text = wait_for(cmd[0], lambda: open(port.name).read())
                yield p.pid, "127.0.0.1:" + text.strip().removeprefix("port=")
            finally:
                p.terminate()
                p.wait()

    def node_load(self, *args):
        r = subprocess.run(["taskset", "-c", CORES[-1], NODE_LOAD, *map(str, args)], capture_output=True, text=True, timeout=150)
        if r.returncode:
            raise RuntimeError(r.stderr.strip())
        return values(r.stdout)

    def i3node(self, *options):
        return self.server(os.path.join(BIN, "i3node"), "--listen", "127.0.0.1:0", *options, *os.environ.get("NODE_OPTIONS", "").split())

    @once_per_round
    def forwarding(self, how, *options):
        """pps, lost, cpu_us: "trains" or "distinct" through a node with these options, "bare" through a reflector."""
        with self.server(NODE_LOAD, "reflector") if how == "bare" else self.i3node(*options) as (pid, at):
            return self.node_load(how, at, self.s, pid)

    @once_per_round
    def chain(self):
        return self.run_lim("chain", self.s, "1", LIM_WINDOW, UDP_SIZE, LIM_BUFFER)

    @once_per_round
    def triggers(self, n, per_key):
        """inserts, refreshes, batched: per second, with _cpu per second of the node's CPU; and resident MB with that many, all of them refreshed twice."""
        with self.i3node() as (pid, at):
            return self.node_load("triggers", at, n, per_key, REFRESHES, pid) | {"mb": memory_of(pid)[0]}

    @once_per_round
    def x25519(self):
        r = subprocess.run(["taskset", "-c", CORES[0], "openssl", "speed", "-mr", "-seconds", "1", "ecdhx25519"], capture_output=True, text=True)
        rate = re.search(r"^\+F5:\d+:\d+:([\d.]+):", r.stdout, re.M)
        if not rate:
            raise Missing("no openssl speed")
        return {"per_s": float(rate[1])}

    @once_per_round
    def reflected(self):
        with self.i3node() as (_, at):
            return self.node_load("reflect", at)

    # ---- over bad networks

    @once_per_round
    def cpu_at_rate(self):
        return path.cpu_at_rate()

    @once_per_round
    def rough(self):
        """A transfer compared byte for byte, each packet of which passes a relay that loses, doubles and reorders."""
        world, relay = None, None

        def via(node):
            nonlocal relay
            port = os.path.join(self.tmp.name, "relay.port")
            relay = subprocess.Popen([os.path.join(TESTS, "lib/relay"), "--listen", "127.0.0.1:0", "--to", node, *ROUGH,
                                      "--port-file", port], stdout=subprocess.DEVNULL)
            wait_for("relay", lambda: os.path.exists(port) and os.path.getsize(port))
            return "127.0.0.1:" + open(port).read().strip()

        try:
            world = World(CONF["relay"], via=via)  # a shortcut would go past the relay
            return world.load("fetch", ROUGH_MB, timeout=900)
        finally:
            if world:
                world.close()
            if relay:
                relay.terminate()
                relay.wait()

    # ---- one daemon's memory, in a world of its own

    @once_per_round
    def memory(self):
        v = {}
        world = World()
        try:
            v["idle"], v["idle_own"] = world.memory()
            for n in 1000, 10000:
                with self.holding(world, n):
                    time.sleep(1)
                    v[f"{n}"], v[f"{n}_own"] = world.memory()
                time.sleep(3)
                v[f"{n}_after"], v[f"{n}_after_own"] = world.memory()
        finally:
            world.close()
        return v

    # ---- once

    @once_per_round
    def lookup(self, place):
        where = self.place(place)
        return where.alice.load("lookup", where.host if place != "loop" else "localhost", LOOKUPS)

    @once_per_round
    def lookup_new(self):
        """Names which neither the process nor the daemon has met, in a world of their own: nobody is behind them."""
        world = World()
        try:
            for i in range(int(LOOKUPS)):
                key = base64.b32encode(os.urandom(32)).decode().rstrip("=").lower()
                world.alice.call("i3ctl", "book", "add", f"n{i}", key)
            return world.alice.load("lookup", "n#.i3", LOOKUPS, "alice.i3")
        finally:
            world.close()

    # ---- what a program pays that uses no virtual name

    def against(self, n, ways, cmd):
        """Runs of cmd in turn with others: see load.h. The environment is alice's, whose daemon runs."""
        side = Side(self.place("relay").alice.env)
        return side.load("against", str(n), *ways, "--", *cmd)

    @once_per_round
    def start(self):
        """{way: {"ms", "added"}}; the peers where they are installed."""
        peers = {name: way for name, way in PEERS.items() if shutil.which(way.split()[0])}
        ways = {"i3run": "i3run", "preload": "+" + SHIM} | peers
        v = self.against(STARTS, ways.values(), ["/bin/true"])
        return {"plain": {"ms": v["ms0"]}} | {name: {"ms": v[f"ms{i}"], "added": v[f"added{i}"]} for i, name in enumerate(ways, 1)}

    @once_per_round
    def cost(self, what):
        """Preloaded as under i3run, whose own start is another row's."""
        times, cmd = COSTS[what]
        return self.against(times, ["+" + SHIM], cmd)
