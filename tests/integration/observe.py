#!/usr/bin/python3
# waits: for a node and a peer to be missed
"""What i3ctl shows of a daemon that is well, ill or gone: status, doctor, ping, log, metrics, trace; on terminals of any kind."""
import copy
import fcntl
import json
import os
import pty
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import ctl  # noqa: E402
import pcapng  # noqa: E402
import prom  # noqa: E402
from ctl import BIN, T, TOP, User, World, step, wait_for  # noqa: E402


def closed_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def has(text, *words):
    for w in words:
        assert re.search(w, text, re.M), "no '%s' in\n%s" % (w, text)


def hasnt(text, *words):
    for w in words:
        assert not re.search(w, text, re.M), "'%s' in\n%s" % (w, text)


# ---- a daemon that says what it is told to ----


class Fake:
    def __init__(self, user, status):
        self.status = status
        folder = user.env["XDG_RUNTIME_DIR"] + "/i3"
        os.makedirs(folder, exist_ok=True)
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.s.bind(folder + "/i3d.sock")
        self.s.listen(20)
        self.path = folder + "/i3d.sock"
        threading.Thread(target=self.loop, daemon=True).start()

    def loop(self):
        while True:
            try:
                c, _ = self.s.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(c,), daemon=True).start()

    def serve(self, c):
        with c:
            while True:
                r = c.recv(65536)
                if len(r) < 8 or r[1] != 8 or not r[8:].startswith(b"status\0"):
                    return
                c.send(bytes([1, 0x88, 0, 0]) + r[4:8] + b"\0\0\0\0" + json.dumps(self.status).encode())

    def end(self):
        self.s.close()
        os.unlink(self.path)


def finding(doc, check, result):
    rows = [c for c in doc["checks"] if c["check"] == check and c["result"] == result]
    assert rows, "%s is not %s: %s" % (check, result, [c for c in doc["checks"] if c["check"] == check])
    assert all((c["fix"] is None) == (result == "ok") for c in rows), rows
    return rows[0]


def one_fix_a_line(text):
    lines = text.splitlines()
    for i, line in enumerate(lines[:-2]):
        if re.match(r"(ok|note|warn|FAIL) ", line):
            fixes = 0
            for after in lines[i + 1:]:
                if re.match(r"(ok|note|warn|FAIL) |$", after):
                    break
                fixes += after.startswith(" " * 17 + "-> ")
            assert fixes == (not line.startswith("ok")), text


def tcp_only(port):
    """A port where the node's TCP answers, but not its UDP."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(5)

    def pump(a, b):
        try:
            while True:
                d = a.recv(65536)
                if not d:
                    break
                b.sendall(d)
        except OSError:
            pass
        a.close()
        b.close()

    def loop():
        while True:
            c, _ = s.accept()
            o = socket.create_connection(("127.0.0.1", port))
            threading.Thread(target=pump, args=(c, o), daemon=True).start()
            threading.Thread(target=pump, args=(o, c), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()
    return s.getsockname()[1]


def doctor_of_states(world):
    """Each check, made to fail by what the daemon would say. Without i3d and i3run beside it, which would start a real one."""
    real = world.alice.json("status")
    u = User("patient")
    alone = os.path.join(T, "alone")
    os.makedirs(alone)
    shutil.copy(os.path.join(BIN, "i3ctl"), alone)
    u.env["PATH"] = alone + ":" + u.env["PATH"]
    os.makedirs(u.env["XDG_DATA_HOME"] + "/i3")
    with open(u.env["XDG_DATA_HOME"] + "/i3/identity", "w") as f:
        f.write("x")
    base = dict(real, data=u.env["XDG_DATA_HOME"] + "/i3", config=u.env["XDG_CONFIG_HOME"] + "/i3/i3.conf", pid=os.getpid())
    fake = Fake(u, base)
    now, live = int(time.time()), "127.0.0.1:%d" % world.port()

    def nodes(*addresses):
        o = copy.deepcopy(base["overlays"])
        o[0]["nodes"] = [dict(o[0]["nodes"][0], address=a) for a in addresses]
        return {"overlays": o}

    def two(address):
        second = copy.deepcopy(nodes(address)["overlays"][0])
        return {"overlays": [base["overlays"][0], dict(second, name="work", suffix=".work.i3", reachable=False)]}

    cases = [
        ({"version": "0.0.0"}, "daemon", "warn", "another|0.0.0"),
        ({"started": now - 500, "uptime_s": 1000}, "clock", "warn", "set back by"),
        ({"started": now - 1000, "uptime_s": 500}, "clock", "ok", "set forward by"),
        ({"started": now - 500, "uptime_s": 500}, "clock", "ok", "UTC"),
        ({"node": dict(base["node"], nat="symmetric", seen_address="192.0.2.1:5")}, "nat", "note", "symmetric"),
        ({"node": dict(base["node"], nat="cone", seen_address="192.0.2.1:5")}, "nat", "ok", "keeps one outside"),
        ({"warnings": [{"code": "config_refused", "text": "line 7 is wrong", "fix": "mend it"}]}, "daemon", "fail", "line 7"),
        ({"warnings": [{"code": "state_not_saved", "text": "No space left", "fix": "make room"}]}, "daemon", "fail", "No space"),
        ({"triggers": [dict(t, state="asked") for t in base["triggers"]]}, "overlay", "fail", "0 of 2"),
        ({"node": dict(base["node"], embedded=True)}, "overlay", "warn", "no overlay node is configured"),
        (nodes("127.0.0.1:%d" % closed_port()), "node", "fail", "does not answer"),
        (nodes("127.0.0.1:%d" % closed_port(), live), "node", "warn", "does not answer"),
        (nodes(live), "node", "ok", "answers by UDP"),
        (two("127.0.0.1:%d" % closed_port()), "node", "fail", "does not answer"),
        (two("127.0.0.1:%d" % closed_port()), "overlay", "fail", r"no NAME\.work\.i3 can be reached"),
        (nodes("127.0.0.1:%d" % tcp_only(world.port())), "node", "warn", "answers by TCP .*but not by UDP"),
        ({"friends": 0, "guests": 0, "book_entries": 0}, "book", "note", "empty"),
    ]
    for change, check, result, words in cases:
        fake.status = dict(base, **change)
        r = u.ctl("doctor", "--json", status=1)  # since there is no i3run
        has(finding(json.loads(r.out), check, result)["text"], words)
    fake.status = dict(base, node=dict(base["node"], embedded=True, nat="symmetric"), book_entries=0)
    r = u.ctl("doctor", status=1)
    one_fix_a_line(r.out)
    has(r.out, r"^warn  overlay", r"^note  nat", r"^note  book", r"^\d+ checks: \d+ failed, [1-9]\d* with a warning")
    identity = base["data"] + "/identity"
    os.chmod(identity, 0o644)
    has(finding(u.json("doctor", status=1), "key", "fail")["fix"], "chmod 600 " + identity)
    os.unlink(identity)
    has(finding(u.json("doctor", status=1), "key", "warn")["fix"], "i3ctl init")
    os.mkdir(identity)
    has(finding(u.json("doctor", status=1), "i3run", "fail")["fix"], "install again")
    finding(u.json("doctor", status=1), "key", "fail")
    os.chmod(base["data"], 0o500)
    if os.geteuid():
        finding(u.json("doctor", status=1), "disk", "fail")
    os.chmod(base["data"], 0o700)
    fake.end()


def doctor_without_daemon():
    u = User("nobody-home")
    doc = u.json("doctor", status=3)
    assert finding(doc, "daemon", "fail")["fix"] == "i3ctl start"
    finding(doc, "key", "warn")
    one_fix_a_line(u.ctl("doctor", status=3).out)
    few = u.json("doctor", status=3, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256)))
    finding(few, "limits", "warn")
    u.config('mtu = "many"\n')
    has(finding(u.json("doctor", status=78), "config", "fail")["text"], r"i3\.conf:1")
    u.config("")
    doc = u.json("doctor", "--start", status=None)
    finding(doc, "daemon", "ok")
    finding(doc, "i3run", "ok")
    finding(doc, "overlay", "warn")
    u.stop()


# ---- terminals ----


def on_terminal(user, *words, columns=200, env=None, status=None):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("4H", 50, columns, 0, 0))
    p = subprocess.Popen(("i3ctl",) + words, env={**user.env, "TERM": "xterm", **(env or {})}, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave)
    os.close(slave)
    out = b""
    while True:
        try:
            d = os.read(master, 65536)
        except OSError:
            break
        if not d:
            break
        out += d
    os.close(master)
    rc = p.wait(30)
    assert status is None or rc == status, (words, rc, out)
    return out.decode().replace("\r\n", "\n")


def terminals(user):
    assert "\033[" in on_terminal(user, "status")
    for words in ("status",), ("status", "-v"), ("doctor",), ("help",), ("peers",):
        assert "\033" not in on_terminal(user, *words, env={"NO_COLOR": "1"}), words
        assert "\033" not in on_terminal(user, *words, env={"TERM": "dumb"}), words
        out = user.ctl(*words, status=None, env={"LC_ALL": "C"}).out
        assert out.isascii() and "\033" not in out, out
    for env in {"LC_ALL": "C"}, {"LC_ALL": "POSIX"}:
        out = user.ctl("share", "4321", "--qr", env=env).out
        assert out.isascii() and "##" in out and "\033" not in out, out
        assert on_terminal(user, "share", "4321", env=env).isascii()
    assert "\u2588" in user.ctl("share", "4321", "--qr").out and "\u2588" not in user.ctl("share", "4321").out
    user.ctl("share", "4321", "--cancel")
    out = on_terminal(user, "help", columns=60)
    assert all(len(line) <= 60 for line in out.splitlines() if " FILE " not in line and "usage" not in line), out
    assert max(len(line) for line in on_terminal(user, "help", columns=400).splitlines()) <= 110
    out = on_terminal(user, "status", "-v", columns=80, env={"NO_COLOR": "1"})
    tables = [line for line in out.splitlines() if line.startswith("  ")]
    assert tables and all(len(line) <= 80 for line in tables), out


def first_steps():
    """Whoever has nothing yet is told what to type."""
    u = User("new")
    for words in ("status",), ("stop",), ("metrics",):
        has(u.ctl(*words, status=3).err, "no daemon runs", "To begin: i3ctl share PORT, i3ctl join CODE, or i3ctl init$")
    has(u.ctl(status=2).err, r"^usage: i3ctl VERB", "To begin: i3ctl share PORT, i3ctl join CODE, or i3ctl init$")
    has(u.ctl("init").out, "Your identity was made", "i3ctl share", "i3ctl join CODE", "i3ctl book add NAME KEY", "i3run ssh")
    s = u.ctl("status").out
    has(s, "^online +within this machine only", "^reachable +nothing", "^warning +no overlay node", "-> i3ctl", "^peers +you know nobody yet")
    has(u.ctl("book", "ls").out, "your book is empty")
    has(u.ctl(status=2).err, "Your daemon runs. How it does: i3ctl status$")
    u.stop()
    has(u.ctl("status", status=3).err, "To start it: i3ctl start")
    has(u.ctl(status=2).err, "To start it: i3ctl start")
    has(u.ctl("stat", status=2).err, "did you mean `start`|did you mean `status`")
    for p in "i3d", "i3node", "i3run", "i3ctl":
        r = u.run(p, "--help")
        assert r.status == 0 and not r.err and re.search(r"^[uU]sage: " + p, r.out), r
        assert all(len(line) <= 132 for line in r.out.splitlines()), r
        r = u.run(p, "--version")
        assert r.status == 0 and not r.err and re.fullmatch(p + r" \d+\.\d+\.\d+\n", r.out), r
        r = u.run(p, "--frobnicate")
        assert r.status in (2, 125) and not r.out and "frobnicate" in r.err, r


# ---- the verbs ----


def status_of_the_connected(alice, bob):
    has(alice.ctl("status").out, "^peers +0 seen lately, of 1 friend$", "^reachable +nothing")
    server = bob.popen("i3run", sys.executable, TOP + "/tests/lib/web.py", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=T)
    ctl.children.append(server)
    port = server.stdout.readline().split()[1].decode()
    has(bob.ctl("status").out, r"^reachable +tcp port %s, by your one friend" % port)
    bob.ctl("share", "9999", "--to", "alice")
    has(bob.ctl("status").out, r"^ +tcp port 9999, by alice \(i3ctl share\)$")
    alice.ctl("ping", "bob", "1")
    out = alice.ctl("status").out
    has(out, r"^online +yes, by overlay node 127", r"^peers +1 seen lately, of 1 friend$", r"^ +bob\.i3 .*connected")
    has(alice.ctl("status", "-v").out, "^sessions", "^triggers .*: all standing", "^config", "^sandbox")
    return port


def pings(alice, bob):
    r = alice.ctl("ping", "bob", "2")
    has(r.out, r"^bob: answer 1 in [\d.]+ ms", r"^bob: 2 sent, 2 answered, 0 % lost; min ")
    p = alice.popen("i3ctl", "ping", "bob", "1000", stdout=subprocess.PIPE)
    p.stdout.readline()
    p.send_signal(signal.SIGINT)
    out = p.communicate(timeout=20)[0].decode()
    assert p.returncode == 0, (p.returncode, out)
    has(out, r"^bob: \d+ sent, \d+ answered")
    has(alice.ctl("ping", "nobody", status=1).err, "nobody: name not known")
    alice.ctl("ping", status=2)
    has(alice.ctl("ping", "bob", "0", status=2).err, "COUNT is a number")
    has(alice.ctl("ping", "alice", "1", status=1).err, "this very host")


def ping_of_the_absent(alice, bob):
    bob.ctl("stop")
    r = alice.ctl("ping", "bob", "1", status=1)
    has(r.out, r"^bob: request 1: ", r"^bob: 1 sent, 0 answered, 100 % lost")
    bob.ctl("start")
    wait_for(bob.online)


def follows(alice):
    log = alice.popen("i3ctl", "log", "-f", "-n", "0", stdout=subprocess.PIPE)
    ctl.children.append(log)
    os.set_blocking(log.stdout.fileno(), False)
    seen = [b""]

    def until(*words):
        def look():
            seen[0] += log.stdout.read() or b""
            return all(re.search(w.encode(), seen[0]) for w in words)
        wait_for(look)

    pid = alice.json("status")["pid"]
    time.sleep(0.5)  # until it has reached the end; nothing tells
    alice.ctl("stop")
    alice.ctl("start")
    assert alice.json("status")["pid"] != pid
    until("daemon stopping", "daemon started .*pid=%d" % alice.json("status")["pid"])
    log.send_signal(signal.SIGINT)
    assert log.wait(10) == 0
    whole, few = alice.ctl("log").out.splitlines(), alice.ctl("log", "-n", "3").out.splitlines()
    assert few == whole[-3:] and len(whole) > 3, (few, whole[-3:])
    for line in alice.ctl("log", "--json").out.splitlines():
        o = json.loads(line)
        assert o["level"] in ("error", "warn", "info", "debug") and o["event"], o
    for wrong in ("-n",), ("-n", "x"), ("-n", "-5"), ("-z",), ("extra",):
        alice.ctl("log", *wrong, status=2)
    path = alice.env["XDG_RUNTIME_DIR"] + "/i3/i3d.log"
    with open(path, "a") as f:
        f.write("2026-01-01T00:00:00.000Z warn made up=yes path=/x\n2026-01-01T00:00:00.000Z error bad \377thing\nno form\n")
    out = on_terminal(alice, "log", "-n", "3")
    has(out, r"\033\[33m2026.* warn", r"\033\[1;31m2026.* error")
    rows = [json.loads(line) for line in alice.ctl("log", "-n", "3", "--json").out.splitlines()]
    assert rows[0]["up"] == "yes" and rows[0]["level"] == "warn" and rows[2] == {"event": "no form"}, rows


def journal():
    """Where systemd runs the daemon its words are in the journal; here both are made up."""
    u = User("systemd")
    fakes = os.path.join(T, "fakes")
    os.makedirs(fakes)
    entry = {"__REALTIME_TIMESTAMP": "1764000000123456", "PRIORITY": "4", "MESSAGE": "trigger refused reason=full"}
    for name, text in ("systemctl", "exit 0"), ("journalctl", "case $* in *json*) echo '%s' ;; *) echo plain $* ;; esac" % json.dumps(entry)):
        with open(os.path.join(fakes, name), "w") as f:
            f.write("#!/bin/sh\n%s\n" % text)
        os.chmod(os.path.join(fakes, name), 0o755)
    env = {"PATH": fakes + ":" + u.env["PATH"]}
    has(u.ctl("log", "-f", "-n", "7", env=env).out, "^plain --user --unit=i3d.service .*--lines=7 --follow")
    assert u.json("log", env=env) == {"time": "2025-11-24T16:00:00.123Z", "level": "warn", "event": "trigger refused", "reason": "full"}


def metrics(alice):
    before = prom.parse(alice.ctl("metrics").out)
    alice.ctl("ping", "bob", "2")
    after = prom.parse(alice.ctl("metrics").out)
    assert after["i3d_udp_packets_out_total"] > before["i3d_udp_packets_out_total"], "nothing was counted"
    assert after["i3d_online"] == 1, after
    falls = [k for k in before if k.endswith("_total") and after.get(k, 0) < before[k]]
    assert not falls, "counters went back: %s" % falls


def traces(alice, bob, port):
    one = os.path.join(T, "one.pcapng")
    p = alice.popen("i3ctl", "trace", "-w", one, stderr=subprocess.PIPE)
    wait_for(lambda: os.path.exists(one) and os.path.getsize(one))
    assert os.stat(one).st_mode & 0o777 == 0o600
    assert alice.run("i3run", "curl", "-s", "http://bob.i3:%s/find-me" % port).status == 0
    p.send_signal(signal.SIGINT)
    err = p.communicate(timeout=20)[1].decode()
    assert p.returncode == 0, err
    blocks = pcapng.parse(open(one, "rb").read())
    inner = pcapng.packets(blocks)
    assert blocks[0][0] == pcapng.SECTION and blocks[-1][0] == pcapng.STATISTICS, [b[0] for b in blocks]
    assert any(b"GET /find-me HTTP" in x for x in inner) and any(b"HTTP/1.1 404" in x for x in inner), "the request is not in it"
    has(err, r"^%d packets in " % len(inner))
    r = alice.ctl("trace", "-w", one, "-c", "1", status=1)
    has(r.err, "is there already; --force writes over it")
    assert open(one, "rb").read().count(b"find-me"), "the file was written over"

    def traced(*words, n, **more):
        return alice.ctl("trace", *words, "-c", str(n), **more)

    pinging = alice.popen("i3ctl", "ping", "bob", "1000", stdout=subprocess.DEVNULL)  # there is something to see all the while
    ctl.children.append(pinging)
    traced("-w", one, "--force", n=2)
    assert len(pcapng.packets(pcapng.parse(open(one, "rb").read()))) == 2
    piped = alice.popen("sh", "-c", "i3ctl trace -w - -c 2 | cat >%s/piped" % T, stderr=subprocess.PIPE)
    traced("--peer", "bob", n=2)
    assert piped.wait(20) == 0
    assert len(pcapng.packets(pcapng.parse(open(T + "/piped", "rb").read()))) == 2
    has(traced(n=2).out, r"^\d\d:\d\d:\d\d\.\d{6} (in |out) ICMP .*bob\.i3.* echo re")
    cut = pcapng.packets(pcapng.parse((traced("-w", T + "/cut", "--snaplen", "24", n=2), open(T + "/cut", "rb").read())[1]))
    assert all(len(x) <= 24 for x in cut), cut
    pinging.kill()
    # no more room: what is there is whole
    full = os.path.join(T, "full.pcapng")
    big = alice.popen("i3ctl", "trace", "-w", full, stderr=subprocess.PIPE,
                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20001, 20001)))
    wait_for(lambda: os.path.exists(full) and os.path.getsize(full))
    with open(T + "/long", "wb") as f:
        f.write(b"x" * 100000)
    assert alice.run("i3run", "curl", "-s", "-o", "/dev/null", "http://bob.i3:%s/long" % port).status == 0
    err = big.communicate(timeout=20)[1].decode()
    assert big.returncode == 1, err
    has(err, "File too large; the %d packets in it are whole" % len(pcapng.packets(pcapng.parse(open(full, "rb").read()))))
    has(alice.ctl("trace", "-w", "/nowhere/x", status=1).err, "/nowhere/x: No such file")
    alice.ctl("trace", "--peer", "nobody", status=1)
    has(on_terminal(alice, "trace", "-w", "-", status=2), "not for a terminal")
    # the daemon ends
    last = os.path.join(T, "last.pcapng")
    p = alice.popen("i3ctl", "trace", "-w", last, stderr=subprocess.PIPE)
    wait_for(lambda: os.path.exists(last) and os.path.getsize(last))
    alice.ctl("ping", "bob", "1")
    alice.ctl("stop")
    err = p.communicate(timeout=20)[1].decode()
    pcapng.parse(open(last, "rb").read())
    assert p.returncode in (0, 1), err
    alice.ctl("start")
    wait_for(alice.online)


def the_node_dies(world):
    alice = world.alice
    os.kill(world.node_pid(), signal.SIGKILL)
    wait_for(lambda: not alice.online(), 60)
    out = alice.ctl("status").out
    has(out, r"^online +NO, not even by overlay node 127.0.0.1:%d" % world.port(), "^warning .*does not answer", "^ +-> ")
    has(alice.ctl("status", "-v").out, "NOT STANDING")
    finding(alice.json("doctor", status=1), "node", "fail")
    finding(alice.json("doctor", status=1), "overlay", "fail")
    r = alice.ctl("ping", "bob", "1", status=None)
    assert r.status in (0, 1), r
    assert prom.parse(alice.ctl("metrics").out)["i3d_online"] == 0


def body():
    step("first steps")
    first_steps()
    world = World()
    ctl.worlds.append(world)
    alice, bob = world.alice, world.bob
    step("doctor")
    doctor_of_states(world)
    doctor_without_daemon()
    step("status")
    port = status_of_the_connected(alice, bob)
    terminals(alice)
    step("ping")
    pings(alice, bob)
    step("trace")
    traces(alice, bob, port)
    step("metrics")
    metrics(alice)
    step("log")
    follows(alice)
    journal()
    step("an absent peer")
    ping_of_the_absent(alice, bob)
    step("a dead node")
    the_node_dies(world)


ctl.main(body)
