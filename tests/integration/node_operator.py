#!/usr/bin/python3
# waits: for time-outs
"""What an operator of i3node sees and sets: the ring's map, metrics, the log, limits, memory, the sandbox, systemd's words, and
what a wrong option is answered. Real processes."""
import json
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
sys.dont_write_bytecode = True
import i3wire as w  # noqa: E402
import prom  # noqa: E402

TOP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
B = os.environ.get("B") or os.path.join(TOP, "build")
I3CTL, I3NODE = (os.path.join(B, "bin", p) for p in ("i3ctl", "i3node"))
SANITIZED = B.rstrip("/").endswith("san")

if not all(os.access(p, os.X_OK) for p in (I3CTL, I3NODE)):
    print("i3ctl and i3node are not built")
    sys.exit(77)

T = tempfile.mkdtemp(prefix="i3op.")
os.umask(0o077)
ENV = {"PATH": os.environ["PATH"], "HOME": T, "XDG_RUNTIME_DIR": T, "LC_ALL": "C.UTF-8"}
ENV.update({k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")})
nodes = []


def step(text):
    print("==", text, flush=True)


def wait_for(what, seconds=15):
    until = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


class Node:
    """An i3node, on a free port; its log in memory of the test."""

    count = 0

    def __init__(self, *options, env=None, preexec=None, listen="127.0.0.1:0"):
        Node.count += 1
        self.folder = os.path.join(T, "n%d" % Node.count)
        os.mkdir(self.folder)
        self.log = os.path.join(self.folder, "log")
        port = os.path.join(self.folder, "port")
        self.process = subprocess.Popen(
            [I3NODE, "--listen", listen, "--port-file", port, "--log", self.log, "--log-format", "json", *options],
            env=dict(ENV, **(env or {})), stdin=subprocess.DEVNULL, preexec_fn=preexec)
        nodes.append(self)
        wait_for(lambda: self.process.poll() is not None or self.lines("node started"))
        assert self.process.poll() is None, "it did not start"
        self.address = ("127.0.0.1", int(open(port).read()))
        self.started = self.lines("node started")[0]

    def lines(self, event=None):
        try:
            all_lines = [json.loads(line) for line in open(self.log) if line.endswith("\n")]
        except FileNotFoundError:
            return []
        return [one for one in all_lines if event in (None, one["event"])]

    def metrics(self):
        host, port = self.started["metrics"].rsplit(":", 1)
        head, body = http((host, int(port)), b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        assert head.startswith("HTTP/1.1 200 OK\r\n"), head
        assert "Content-Type: text/plain; version=0.0.4" in head, head
        return prom.parse(body)

    def status(self, task=None):
        path = "/proc/%d/status" % self.process.pid if task is None else "/proc/%d/task/%s/status" % (self.process.pid, task)
        return dict(line.rstrip("\n").split(":\t", 1) for line in open(path) if ":\t" in line)

    def end(self, how=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(how)
        status = self.process.wait(15)
        if self in nodes:
            nodes.remove(self)
        return status


def http(address, request):
    with socket.create_connection(address, 10) as s:
        s.sendall(request)
        answer = b""
        while True:
            piece = s.recv(65536)
            if not piece:
                break
            answer += piece
    head, body = answer.decode().split("\r\n\r\n", 1)
    length = re.search(r"Content-Length: (\d+)", head)
    assert length and int(length.group(1)) == len(body.encode()), head
    return head + "\r\n", body


def ctl(*args, **env):
    r = subprocess.run([I3CTL, *args], env=dict(ENV, **env), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    return r.returncode, r.stdout, r.stderr


def ring_map(node, status=0):
    rc, out, err = ctl("ring", "--node", "%s:%d" % node.address, "--json")
    assert rc == status, (rc, out, err)
    return json.loads(out)


# ---- the ring ----

ROW = {"position": str, "address": str, "state": str, "range_from": str, "share_percent": float, "agrees": bool, "hops": int}
HEAD = {"kind": str, "version": str, "pid": int, "uptime_s": int, "sandbox": str, "address": str, "position": str, "alone": bool,
        "predecessor": dict, "successors": list, "fingers": list, "nodes_total": int, "nodes_answered": int, "complete": bool,
        "took_us": int, "nodes": list}


def check_map(m, members):
    for key, kind in HEAD.items():
        assert type(m[key]) is kind, (key, m[key])
    assert m["kind"] == "node" and m["complete"] and m["incomplete_why"] is None, m
    assert {r["address"] for r in m["nodes"]} == {"127.0.0.1:%d" % n.address[1] for n in members}, m
    assert abs(sum(r["share_percent"] for r in m["nodes"]) - 100) < 1e-6
    for i, r in enumerate(m["nodes"]):
        for key, kind in ROW.items():
            assert type(r[key]) is kind, (key, r)
        assert r["range_from"] == m["nodes"][i - 1]["position"] and r["agrees"], r
        assert (r["state"], r["hops"]) == ("self", 0) if i == 0 else (r["state"] == "answered" and r["hops"] >= 1), r
        assert (type(r["rtt_us"]) is int) == (i > 0), r
    assert m["successors"][0]["position"] == m["nodes"][1]["position"], m
    assert m["predecessor"]["position"] == m["nodes"][-1]["position"], m


def a_ring_shows_its_map():
    secret = os.path.join(T, "secret")
    with open(secret, "w") as f:
        f.write("a secret of the ring's own\n")
    first = Node("--ring-secret", secret)
    others = [Node("--ring-secret", secret, "--join", "%s:%d" % first.address) for _ in range(4)]
    members = [first, *others]
    wait_for(lambda: len(json.loads(ctl("ring", "--node", str(first.address[1]), "--json")[1])["nodes"]) == 5 and
             all(ctl("ring", "--node", str(n.address[1]))[0] == 0 for n in members))
    for n in members:
        check_map(ring_map(n), members)

    step("an id is owned by the node whose range it is in")
    m = ring_map(first)
    for _ in range(8):
        id = os.urandom(32).hex()
        rc, out, err = ctl("ring", id, "--node=%d" % first.address[1], "--json")
        assert rc == 0, err
        t = json.loads(out)
        by_position = sorted(m["nodes"], key=lambda r: r["position"])
        owner = next((r for r in by_position if r["position"] >= id[:32]), by_position[0])
        assert t["owner"] == {k: owner[k] for k in ("position", "address")}, (t, owner)
        assert t["hops"] == 0 if owner["state"] == "self" else t["hops"] >= 1, t
    key = w.Key()
    for spelling in (key.id().hex()[:32], key.id().hex().upper()):
        assert json.loads(ctl("ring", spelling, "--node=%d" % first.address[1], "--json")[1])["id"][:32] == key.id().hex()[:32]
    for nonsense in ("", "12", "zz" * 32, "12" * 33, "0x" + "1" * 30):
        rc, out, err = ctl("ring", nonsense, "--node=%d" % first.address[1])
        assert rc == 1 and "no id" in err, (nonsense, rc, out, err)

    step("people see a table; which node, has to be said where there are several")
    rc, out, err = ctl("ring", "--node", str(first.address[1]))
    assert rc == 0 and "5 nodes, 5 answered" in out and "POSITION" in out, out
    rc, out, err = ctl("ring")
    assert rc == 2 and "5 nodes run here" in err, (rc, err)
    rc, out, err = ctl("ring", "--node", "127.0.0.1:1")
    assert rc == 3 and "no node of this machine" in err, (rc, err)
    rc, out, err = ctl("ring", "--node", "/nonexistent/socket")
    assert rc == 3 and "cannot reach" in err, (rc, err)

    step("who dies leaves the map, and it says so meanwhile")
    others.pop().end(signal.SIGKILL)
    members.pop()
    rc, out, _ = ctl("ring", "--node", str(first.address[1]), "--json")
    m = json.loads(out)
    assert (rc == 1 and not m["complete"] and m["incomplete_why"]) or (rc == 0 and len(m["nodes"]) == 4), (rc, m)
    wait_for(lambda: all(ctl("ring", "--node", str(n.address[1]))[0] == 0 for n in members))
    check_map(ring_map(first), members)
    before = {n: n.process.pid for n in members}
    for n in members:
        assert n.end() == 0, before
    left = [f for f in os.listdir(os.path.join(T, "i3")) if f.startswith("node-")]
    assert len(left) == 2 and all(str(members[0].address[1]) not in f for f in left), left  # those of the killed one


def a_lone_node_is_a_ring_of_one():
    n = Node()
    left = [f for f in os.listdir(os.path.join(T, "i3")) if f.startswith("node-")]
    assert len(left) == 2 and all(str(n.address[1]) in f for f in left), left  # what the killed one left is swept away
    twin = Node(listen="127.0.0.2:%d" % n.address[1])  # the same port: a socket of its own
    assert twin.started["control"].endswith("-2.sock"), twin.started
    rc, out, err = ctl("ring", "--node", n.started["control"], "--json")
    m = json.loads(out)
    assert rc == 0 and m["alone"] and m["complete"] and [r["share_percent"] for r in m["nodes"]] == [100], m
    assert twin.end() == 0
    rc, out, err = ctl("ring")  # the only one
    assert rc == 0 and "owns every id" in out, (rc, out, err)
    rc, out, err = ctl("metrics", "--node")
    assert rc == 0 and prom.parse(out)["i3node_ring_member"] == 0, err
    folder = os.stat(os.path.join(T, "i3"))
    assert stat.S_IMODE(folder.st_mode) == 0o700 and folder.st_uid == os.geteuid()
    assert stat.S_IMODE(os.stat(n.started["control"]).st_mode) == 0o600
    assert n.end() == 0
    assert not os.path.exists(n.started["control"])


def a_user_without_a_node_asks_his_daemon():
    rc, _, err = ctl("ring")
    assert rc == 3 and "no daemon runs" in err, (rc, err)
    home = dict(XDG_CONFIG_HOME=os.path.join(T, "config"), XDG_DATA_HOME=os.path.join(T, "data"))
    assert ctl("id", **home)[0] == 0
    try:
        rc, out, err = ctl("ring", "--json", **home)
        m = json.loads(out)
        assert rc == 0 and m["kind"] == "host" and m["home"]["address"], m
        assert m["triggers"] and all("owner" in t for t in m["triggers"]), m
        rc, out, err = ctl("ring", "ab" * 32, **home)
        assert rc == 1 and "--node" in err, (rc, err)
    finally:
        ctl("stop", **home)


# ---- metrics ----

def metrics_are_right_and_count():
    n = Node("--metrics", "0")
    host, sender, key = w.Host(n.address), w.Host(n.address), w.Key()
    before = n.metrics()
    host.insert(key)
    for i in range(50):
        payload = b"%d" % i
        sender.send(w.data(key.id(), payload))
        assert host.gets(payload, 5)
    sender.send(w.data(w.Key().id(), b"to nobody"))
    sender.settle()
    after = n.metrics()
    grown = {k: after[k] - before[k] for k in after}
    for name, want in (("i3node_trigger_inserts_total", 1), ("i3node_challenges_total", 1), ("i3node_packets_forwarded_total", 50),
                       ("i3node_packets_unmatched_total", 1), ("i3node_triggers", 1), ("i3node_packets_bad_total", 0),
                       ("i3node_metrics_requests_total", 1)):
        assert grown[name] == want, (name, grown[name])
    assert grown["i3node_packets_received_total"] == grown["i3node_udp_received_packets_total"] > 50
    assert 'i3node_build_info{version="%s"}' % n.started["version"] in after
    assert 1e6 < after["process_resident_memory_bytes"] < after["process_virtual_memory_bytes"]
    assert abs(after["process_open_fds"] - len(os.listdir("/proc/%d/fd" % n.process.pid))) <= 2  # connections that are just ending
    assert abs(after["process_start_time_seconds"] - time.time()) < 60

    at = n.started["metrics"].rsplit(":", 1)
    at = (at[0], int(at[1]))
    for request, status in ((b"GET / HTTP/1.1\r\n\r\n", 404), (b"POST /metrics HTTP/1.1\r\n\r\n", 405), (b"nonsense\r\n\r\n", 400),
                            (b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 4000 + b"\r\n\r\n", 431)):
        head, _ = http(at, request)
        assert head.startswith("HTTP/1.1 %d " % status), (request, head)

    step("slow clients, and too many, are dropped, and nobody else waits for them")
    idle = [socket.create_connection(at, 10) for _ in range(40)]
    for s in idle[::2]:
        s.sendall(b"GET /met")
    for _ in range(5):
        assert n.metrics()["process_open_fds"] < after["process_open_fds"] + 10
    for s in idle:
        s.settimeout(20)
        try:
            assert s.recv(1) == b""
        except ConnectionResetError:
            pass
        s.close()
    with socket.create_connection(n.address):
        wait_for(lambda: n.metrics()["i3node_tcp_connections"] == 1)
    wait_for(lambda: n.metrics()["i3node_tcp_connections"] == 0)
    assert n.metrics()["i3node_tcp_accepted_total"] == 1
    last = n.metrics()
    assert last["i3node_metrics_drops_total"] >= 32, last["i3node_metrics_drops_total"]
    assert last["i3node_metrics_refusals_total"] == 4
    # whatever is asked, the process does not grow
    for _ in range(300):
        n.metrics()
    assert n.metrics()["process_resident_memory_bytes"] - last["process_resident_memory_bytes"] < 1 << 20 or SANITIZED
    assert n.end() == 0


# ---- the log ----

def the_log_stays_small_and_is_opened_anew():
    n = Node("--metrics", "0")
    host = w.Host(n.address)
    lines = len(n.lines())
    junk = [os.urandom(40) for _ in range(50)] + [bytes([w.DATA]) + os.urandom(60) for _ in range(50)]
    for _ in range(100):
        for p in junk:
            host.send(p)
        host.settle()
    assert len(n.lines()) - lines <= 1, n.lines()[lines:]

    moved = n.log + ".1"
    os.rename(n.log, moved)
    n.process.send_signal(signal.SIGHUP)
    wait_for(lambda: n.lines("log opened anew"))
    assert len([line for line in open(moved)]) >= lines
    assert stat.S_IMODE(os.stat(n.log).st_mode) == 0o600
    bad = n.metrics()["i3node_packets_bad_total"]
    assert n.end() == 0
    said = [one for one in n.lines() if one["event"] == "node turned away"]
    assert bad > 5000 and said and int(said[-1]["bad"]) <= bad, said
    for one in n.lines():
        assert set(one) >= {"time", "level", "event"} and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", one["time"]), one

    quiet = Node("--log-level", "info")
    assert quiet.lines()[0]["level"] == "info"
    quiet.end()


# ---- limits ----

def too_fast_a_sender_is_told_once():
    n = Node("--metrics", "0", "--rate-per-trigger", "100", "--rate-per-source", "1000000")
    host, sender, key = w.Host(n.address), w.Host(n.address), w.Key()
    host.insert(key)
    sent, answers = 0, []
    for _ in range(40):
        for _ in range(50):
            sender.send(w.data(key.id(), b"quick"))
            sent += 1
        answers += sender.settle()
    refused = [p for p in answers if p[0] == w.REFUSED]
    assert len(refused) == 1 and refused[0][1] == 6 and refused[0][4:] == key.id()[:8], refused
    came = len([p for p in host.settle() if p[0] == w.DATA])
    m = n.metrics()
    assert m["i3node_trigger_rate_drops_total"] == sent - m["i3node_packets_forwarded_total"] > sent / 4, m
    assert came == m["i3node_packets_forwarded_total"] >= 64
    assert n.end() == 0

    n = Node("--metrics", "0", "--rate-per-source", "10")
    flood, other = w.Host(n.address), w.Host(n.address, "127.0.0.3")
    for _ in range(500):
        flood.send(w.data(w.Key(bytes(range(32))).id(), b"quick"))
    assert other.settle() == []  # it is answered
    m = n.metrics()
    assert m["i3node_source_rate_drops_total"] >= 300, m
    assert n.end() == 0


def members_of_the_ring_are_spared():
    secret = os.path.join(T, "secret")
    first = Node("--metrics", "0", "--ring-secret", secret, "--rate-per-source", "10")
    second = Node("--metrics", "0", "--ring-secret", secret, "--rate-per-source", "10", "--join", "%s:%d" % first.address,
                  listen="127.0.0.2:0")
    wait_for(lambda: len(json.loads(ctl("ring", "--node", first.started["control"], "--json")[1])["nodes"]) == 2)
    for _ in range(100):
        ctl("ring", "--node", first.started["control"])
    wait_for(lambda: all(ctl("ring", "--node", n.started["control"])[0] == 0 for n in (first, second)))
    for n in (first, second):
        m = n.metrics()
        assert m["i3node_source_rate_drops_total"] == 0 and m["i3node_ring_messages_received_total"] > 150, m
        assert n.end() == 0


def memory_becomes_a_number_of_triggers():
    few, many = (Node("--metrics", "0", "--memory", size) for size in ("16M", "256M"))
    a, b = few.metrics(), many.metrics()
    assert a["i3node_memory_limit_bytes"] == 16 << 20 and b["i3node_memory_limit_bytes"] == 256 << 20
    assert 5000 < a["i3node_triggers_limit"] < 60000 and 700000 < b["i3node_triggers_limit"] < 2000000, (a, b)
    few.end()
    many.end()

    n = Node("--metrics", "0", "--triggers-per-source", "3")
    host, key = w.Host(n.address), w.Key()
    secrets = [host.insert(key, key.id(bytes([i]) * 16)) for i in range(3)]
    id = key.id(b"\xee" * 16)
    nonce = os.urandom(8)
    packet, _ = w.prove(host.challenge(id, nonce), key, id, nonce, 1 << 32)
    answer = host.ask(packet)
    assert answer and answer[0] == w.REFUSED and answer[1] == 5, answer
    assert host.expect_ack(host.ask(w.refresh(secrets[0], key.id(bytes([0]) * 16), (1 << 32) + 1)), secrets[0], (1 << 32) + 1) == 30
    assert n.metrics()["i3node_trigger_refusals_total"] == 1
    n.end()


def a_full_node_keeps_what_it_has():
    load = os.path.join(B, "tests", "bench", "node_load")
    if not os.access(load, os.X_OK):
        print("no node_load")
        return
    n = Node("--metrics", "0", "--memory", "16M", "--triggers-per-source", "100000000")
    host, sender, key = w.Host(n.address), w.Host(n.address), w.Key()
    secret = host.insert(key)
    limit = int(n.metrics()["i3node_triggers_limit"])
    for _ in range(2):  # more than there is room for
        subprocess.run([load, "triggers", "%s:%d" % n.address, str(limit * 2 // 3000 * 1000), "1000", "1"], capture_output=True,
                       stdin=subprocess.DEVNULL, timeout=60)
    m = n.metrics()
    assert m["i3node_triggers"] == limit and m["i3node_trigger_refusals_full_total"] > 0, m
    assert m["process_resident_memory_bytes"] <= 16 << 20 or SANITIZED, m["process_resident_memory_bytes"]
    wait_for(lambda: n.lines("store full: new triggers are refused"))
    other = w.Key()
    nonce = os.urandom(8)
    packet, _ = w.prove(host.challenge(other.id(), nonce), other, other.id(), nonce, 1 << 32)
    assert host.ask(packet)[:2] == bytes([w.REFUSED, 4])
    assert host.expect_ack(host.ask(w.refresh(secret, key.id(), (1 << 32) + 1)), secret, (1 << 32) + 1) == 30
    sender.send(w.data(key.id(), b"still there"))
    assert host.gets(b"still there", 5)
    assert n.end() == 0


def without_file_descriptors_the_service_goes_on():
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    n = Node("--metrics", "0", preexec=few)
    fill = []
    for _ in range(60):  # control connections take what there is
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.connect(n.started["control"])
        fill.append(s)
    at = n.started["metrics"].rsplit(":", 1)
    wait_for(lambda: len(os.listdir("/proc/%d/fd" % n.process.pid)) >= 39)
    for _ in range(3):
        with socket.create_connection((at[0], int(at[1])), 10) as s:
            s.settimeout(10)
            try:
                assert s.recv(1) == b""  # turned away, not left to wait
            except ConnectionResetError:
                pass
    host, key = w.Host(n.address), w.Key()
    host.insert(key)
    for s in fill:
        s.close()
    wait_for(lambda: len(os.listdir("/proc/%d/fd" % n.process.pid)) < 30)
    assert n.metrics()["i3node_triggers"] == 1
    assert n.end() == 0


# ---- the sandbox ----

def the_sandbox_is_in_force():
    n = Node("--workers", "3")
    tasks = os.listdir("/proc/%d/task" % n.process.pid)
    assert len(tasks) >= 3, tasks
    for task in tasks:
        s = n.status(task)
        assert s["Seccomp"] == "2" and s["NoNewPrivs"] == "1", (task, s["Seccomp"], s["NoNewPrivs"])
    assert n.started["sandbox"].startswith("seccomp"), n.started
    host, key = w.Host(n.address), w.Key()
    id, nonce = key.id(), os.urandom(8)
    host.send(w.prove(host.challenge(id, nonce), key, id, nonce, 1 << 32)[0])  # several threads answer in their own order
    wait_for(lambda: (host.receive(1) or b"-")[0] == w.ACK)
    assert n.end() == 0

    n = Node("--no-sandbox")
    assert n.status()["Seccomp"] == "0" and n.started["sandbox"] == "none"
    assert n.end() == 0


# ---- the end ----

def who_is_told_twice_ends_as_well():
    """Signals without a pause, so that some arrive in the midst of the end."""
    for _ in range(20):
        n = Node()
        while n.process.poll() is None:
            n.process.send_signal(signal.SIGTERM)
        assert n.end() == 0


# ---- systemd ----

def systemd_hears_how_it_is():
    path = os.path.join(T, "notify")
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(path)
    notify.settimeout(20)
    private = os.path.join(T, "private")
    os.makedirs(os.path.join(private, "i3node"))
    state, run, credentials = (os.path.join(T, name) for name in ("state", "runtime", "credentials"))
    os.symlink(os.path.join(private, "i3node"), state)  # as systemd does for DynamicUser
    os.mkdir(run)
    os.mkdir(credentials)
    with open(os.path.join(credentials, "ring-secret"), "w") as f:
        f.write("a secret that systemd has brought\n")
    os.chmod(f.name, 0o440)  # it guards it by an ACL
    env = {"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "200000", "STATE_DIRECTORY": state, "RUNTIME_DIRECTORY": run,
           "CREDENTIALS_DIRECTORY": credentials}
    places = []
    for _ in range(2):
        n = Node(env=env)
        said = [notify.recv(4096).decode() for _ in range(4)]
        assert said == ["READY=1"] + 3 * ["WATCHDOG=1"], said
        assert n.started["control"] == os.path.join(run, "node-%d.sock" % n.address[1]), n.started
        m = json.loads(ctl("ring", "--node", n.started["control"], "--json")[1])
        assert not m["alone"]
        places.append(m["position"])
        n.process.terminate()
        while said[-1] != "STOPPING=1":
            said.append(notify.recv(4096).decode())
        assert n.end() == 0
    assert places[0] == places[1], "its place on the ring is kept"
    os.unlink(f.name)
    with open(f.name, "w") as f:
        f.write("none")
    n = Node(env=env)
    assert json.loads(ctl("ring", "--node", n.started["control"], "--json")[1])["alone"]
    n.end()
    notify.close()


def the_unit_is_sound():
    tool = shutil.which("systemd-analyze")
    if not tool:
        print("no systemd-analyze")
        return
    unit = os.path.join(T, "i3node.service")
    with open(os.path.join(TOP, "tools", "units", "i3node.service")) as f, open(unit, "w") as g:
        text = f.read()
        assert "ExecStart=/usr/local/bin/i3node " in text
        g.write(text.replace("/usr/local/bin/i3node", I3NODE))
    r = subprocess.run([tool, "verify", "--man=no", unit], capture_output=True, text=True, env=ENV)
    if r.returncode == 0 or "i3node.service" in r.stderr:
        assert r.returncode == 0 and not r.stderr.strip(), r.stderr
    r = subprocess.run([tool, "security", "--offline=true", "--no-pager", unit], capture_output=True, text=True, env=ENV)
    level = re.search(r"Overall exposure level for \S+: ([0-9.]+)", r.stdout)
    if level:
        assert float(level.group(1)) < 2.0, r.stdout
        print("exposure", level.group(1))


# ---- the command line ----

WRONG = (
    ("--listen nowhere", "--listen nowhere: not ADDR:PORT"),
    ("--listen 127.0.0.1:70000", "--listen 127.0.0.1:70000: not ADDR:PORT"),
    ("--join 127.0.0.1:0 --ring-secret x", "--join 127.0.0.1:0: port 0"),
    ("--join 127.0.0.1:1 --listen 127.0.0.1:0", "a ring needs --ring-secret"),
    ("--advertise 127.0.0.1:x --ring-secret x", "--advertise 127.0.0.1:x: not ADDR:PORT"),
    ("--metrics 99999", "--metrics 99999: not a whole number between 0 and 65535"),
    ("--metrics localhost:1", "--metrics localhost:1: not ADDR:PORT"),
    ("--log-format xml", "--log-format xml: not text, json or journal"),
    ("--log-level loud", "--log-level loud: not error, warn, info or debug"),
    ("--memory 12", "--memory 12: not a size between 16M and 1T"),
    ("--memory 5X", "--memory 5X: not a size"),
    ("--memory -1M", "--memory -1M: not a size"),
    ("--memory 99999999999999T", "not a size"),
    ("--rate-per-source 3", "--rate-per-source 3: not a whole number between 10 and 10000000"),
    ("--rate-per-trigger many", "--rate-per-trigger many: not a whole number"),
    ("--triggers-per-source 0", "--triggers-per-source 0: not a whole number"),
    ("--workers 65", "--workers 65: not a whole number between 0 and 64"),
    ("--control relative", "--control relative: not 'no' and not a path"),
    ("--ring-secret x", "--listen 0.0.0.0:5610 does not say where the other nodes reach this one: add --advertise"),
    ("--ring-secret x --listen [::]:0", "add --advertise"),
    ("--background --log-format journal", "--log-format journal goes to standard error"),
    ("--no-such-option", "no-such-option"),
    ("--listen", "listen"),
    ("more", "more: it takes options only"),
)


def wrong_options_are_named():
    def run(words):
        return subprocess.run([I3NODE, *words], env=ENV, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)

    for words, sentence in WRONG:
        r = run(["--check", *words.split()])
        assert r.returncode == 2 and sentence in r.stderr and not r.stdout, (words, r)
    secret = os.path.join(T, "short")
    with open(secret, "w") as f:
        f.write("short\n")
    r = run(["--check", "--ring-secret", secret, "--advertise", "203.0.113.7"])
    assert r.returncode == 1 and "at least 16 characters" in r.stderr, r
    r = run(["--check", "--listen", "127.0.0.1:0", "--memory", "1G", "--metrics", "9610", "--log-format", "json"])
    assert r.returncode == 0, r
    held = socket.create_server(("127.0.0.1", 0))
    r = run(["--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:%d" % held.getsockname()[1]])
    assert r.returncode == 1 and "--metrics 127.0.0.1" in r.stderr and "in use" in r.stderr, r
    mine = os.path.join(T, "precious")
    with open(mine, "w") as f:
        f.write("not a socket\n")
    r = run(["--listen", "127.0.0.1:0", "--control", mine])
    assert r.returncode == 1 and os.path.isfile(mine), r
    r = run(["--help"])
    assert r.returncode == 0 and all(len(line) <= 130 for line in r.stdout.splitlines()), r
    man = open(os.path.join(TOP, "tools", "man", "i3node.1.scd")).read()
    for option in re.findall(r"--([a-z-]+)", r.stdout):
        assert option in ("help", "version") or "\n*--%s*" % option in man, "i3node(1) does not tell of --" + option


try:
    for test in (wrong_options_are_named, a_user_without_a_node_asks_his_daemon, a_ring_shows_its_map, a_lone_node_is_a_ring_of_one,
                 metrics_are_right_and_count, the_log_stays_small_and_is_opened_anew, too_fast_a_sender_is_told_once,
                 members_of_the_ring_are_spared, memory_becomes_a_number_of_triggers, a_full_node_keeps_what_it_has,
                 without_file_descriptors_the_service_goes_on, the_sandbox_is_in_force,
                 who_is_told_twice_ends_as_well, systemd_hears_how_it_is, the_unit_is_sound):
        step(test.__name__.replace("_", " "))
        test()
finally:
    for one in list(nodes):
        one.end(signal.SIGKILL)
    shutil.rmtree(T, ignore_errors=True)
