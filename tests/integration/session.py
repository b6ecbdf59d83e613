#!/usr/bin/python3
"""i3d in a user's session: started by systemd's protocol and without it, one alone, ended in good order, closed to those who look inside."""
import ctypes
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
B = os.environ.get("B", os.path.join(TOP, "build"))
BIN = os.path.join(B, "bin")
SANITIZED = b"__asan" in open(os.path.join(BIN, "i3d"), "rb").read() or "san" in os.path.basename(B)
T = tempfile.mkdtemp(prefix="i3session.")
SLACK = float(os.environ.get("SLACK", "1"))
LIBC = ctypes.CDLL(None, use_errno=True)
WORDS = ("i3d.sock", "i3d.pid")


class Home:
    """A user's folders."""

    def __init__(self, name):
        self.top = os.path.join(T, name)
        self.env = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")} | {"PATH": BIN + ":/usr/sbin:/usr/bin:/sbin:/bin", "HOME": self.top, "LC_ALL": "C.UTF-8"}
        for variable, folder in ("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data"), ("XDG_RUNTIME_DIR", "run"):
            self.env[variable] = os.path.join(self.top, folder)
            os.makedirs(self.env[variable], 0o700)
        self.run = os.path.join(self.top, "run", "i3")
        self.sock, self.pid_file = (os.path.join(self.run, w) for w in WORDS)
        os.makedirs(os.path.join(self.top, "config", "i3"))
        with open(os.path.join(self.top, "config", "i3", "i3.conf"), "w") as f:
            f.write('bind = "127.0.0.1:0"\n')

    def ctl(self, *words, ok=True):
        r = subprocess.run(["i3ctl", *words], env=self.env, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)
        assert not ok or r.returncode == 0, (words, r)
        return r.stdout

    def status(self):
        return json.loads(self.ctl("status", "--json"))

    def pid(self):
        with open(self.pid_file) as f:
            return int(f.read())

    def log(self):
        with open(os.path.join(self.run, "i3d.log")) as f:
            return f.read()


def wait_for(what, f, seconds=10):
    end = time.monotonic() + seconds * SLACK
    while not f():
        assert time.monotonic() < end, "not in time: " + what
        time.sleep(0.01)


def ends(p, status, seconds=10):
    try:
        p.wait(seconds * SLACK)
    except subprocess.TimeoutExpired:
        p.kill()
        raise AssertionError("it does not end")
    assert p.returncode == status, (p.returncode, p.stderr and p.stderr.read())


def proc(pid, name):
    with open("/proc/%d/%s" % (pid, name)) as f:
        return f.read()


def field(pid, name):
    return re.search(r"^%s:\s+(\S+)" % name, proc(pid, "status"), re.M).group(1)


# ---- systemd's protocol ----

# Starts i3d as a manager does: the socket as fd 3, LISTEN_PID its own.
STARTER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execvp("i3d", ["i3d"] + sys.argv[2:])
"""


def by_systemd(home, sock, stderr=subprocess.PIPE, **more):
    env = dict(home.env, LISTEN_FDS="1", LISTEN_FDNAMES="i3d", **more)
    fd = sock.fileno()
    return subprocess.Popen([sys.executable, "-c", STARTER, str(fd)], env=env, pass_fds=[fd], stderr=stderr, text=True,
                            stdin=subprocess.DEVNULL)


def hears(notify, word):
    said = ""
    for _ in range(200):
        said = notify.recv(200).decode()
        if word in said:
            return said
    raise AssertionError(word)


def is_started_by_its_socket():
    home = Home("socket")
    os.mkdir(home.run, 0o700)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.bind(home.sock)
    sock.listen(128)
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind("\0i3session.%d" % os.getpid())
    notify.settimeout(10 * SLACK)
    # somebody asks before there is a daemon, as it is with socket activation
    asker = subprocess.Popen(["i3ctl", "id", "-q"], env=home.env, stdout=subprocess.PIPE, text=True)
    p = by_systemd(home, sock, NOTIFY_SOCKET="@i3session.%d" % os.getpid(), WATCHDOG_USEC="400000")
    said = [notify.recv(200).decode() for _ in range(4)]
    assert any("READY=1" in s for s in said), said
    assert sum("WATCHDOG=1" in s for s in said) >= 2, said
    assert len(asker.communicate(timeout=20)[0].strip()) == 52
    assert home.pid() == p.pid == home.status()["pid"]
    assert not os.path.exists(os.path.join(home.run, "i3d.log")), "a service logs to standard error"
    inode = os.stat(home.sock).st_ino
    os.kill(p.pid, signal.SIGHUP)
    assert "MONOTONIC_USEC=" in hears(notify, "RELOADING=1")
    hears(notify, "READY=1")
    os.kill(p.pid, signal.SIGTERM)
    hears(notify, "STOPPING=1")
    ends(p, 0)
    assert os.stat(home.sock).st_ino == inode, "the socket is systemd's"
    # killed: what is asked meanwhile waits in the socket
    p = by_systemd(home, sock)
    first = home.status()["key"]
    p.kill()
    p.wait()
    asker = subprocess.Popen(["i3ctl", "status", "--json"], env=home.env, stdout=subprocess.PIPE, text=True)
    time.sleep(0.1)
    p2 = by_systemd(home, sock)
    assert json.loads(asker.communicate(timeout=20)[0])["key"] == first
    p2.terminate()
    ends(p2, 0)
    for s in p, p2:
        s.stderr.close()
    sock.close()


def refuses_a_socket_of_another_kind():
    home = Home("kinds")
    for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
        sock = socket.socket(socket.AF_UNIX, kind)
        sock.bind(os.path.join(T, "kind%d" % kind))
        if kind == socket.SOCK_STREAM:
            sock.listen(1)
        p = by_systemd(home, sock)
        err = p.communicate(timeout=20)[1]
        assert p.returncode == 1 and "ListenSequentialPacket=" in err, (p.returncode, err)
        sock.close()
    # what is meant for another process is not looked at
    env = dict(home.env, LISTEN_FDS="1", LISTEN_PID="1")
    subprocess.run(["i3d", "--ensure"], env=env, check=True, timeout=30)
    home.ctl("stop")


def speaks_to_the_journal():
    home = Home("journal")
    r, w = os.pipe()
    st = os.fstat(w)
    for stream, wanted in ("%d:%d" % (st.st_dev, st.st_ino), r"<6>daemon started "), ("1:1", r"\d{4}-\d\d-\d\dT\S+Z info daemon started "):
        p = subprocess.Popen(["i3d"], env=dict(home.env, JOURNAL_STREAM=stream), stderr=w, stdin=subprocess.DEVNULL)
        wait_for("its socket", lambda: os.path.exists(home.sock))
        home.status()
        p.terminate()
        ends(p, 0)
        said = os.read(r, 65536).decode()
        assert re.search("^" + wanted, said, re.M), (stream, said)
    # the level of the command line goes before the file's
    p = subprocess.Popen(["i3d", "--log-level", "error"], env=home.env, stderr=w, stdin=subprocess.DEVNULL)
    wait_for("its socket", lambda: os.path.exists(home.sock))
    home.status()
    p.terminate()
    ends(p, 0)
    os.close(w)
    assert os.read(r, 65536) == b"", "lines below the level"
    os.close(r)
    bad = subprocess.run(["i3d", "--log-level", "loud"], env=home.env, capture_output=True, text=True)
    assert bad.returncode == 2 and "error, warn, info or debug" in bad.stderr, bad


def the_units_are_sound():
    tool = shutil.which("systemd-analyze")
    if not tool:
        print("no systemd-analyze")
        return
    folder = os.path.join(T, "units")
    os.mkdir(folder)
    for name in "i3d.service", "i3d.socket":
        with open(os.path.join(TOP, "tools", "units", name)) as f, open(os.path.join(folder, name), "w") as g:
            text = f.read()
            assert name != "i3d.service" or "ExecStart=/usr/local/bin/i3d\n" in text
            g.write(text.replace("/usr/local/bin/i3d", os.path.join(BIN, "i3d")))
    units = [os.path.join(folder, n) for n in os.listdir(folder)]
    r = subprocess.run([tool, "verify", "--user", "--man=no", *units], capture_output=True, text=True,
                       env=dict(os.environ, XDG_RUNTIME_DIR=folder))
    assert r.returncode == 0 and not r.stderr.strip(), r.stderr


# ---- without systemd ----

def is_alone():
    home = Home("alone")
    subprocess.run(["i3d", "--ensure"], env=home.env, check=True, timeout=30)
    for extra in [], ["--background"]:
        r = subprocess.run(["i3d", *extra], env=home.env, capture_output=True, text=True, timeout=30)
        assert r.returncode == 75, r
        assert "pid %d" % home.pid() in r.stderr and "i3ctl stop" in r.stderr, r.stderr
    starts = [subprocess.Popen(["i3d", "--ensure"], env=home.env) for _ in range(8)]
    assert [p.wait(30) for p in starts] == [0] * 8
    assert home.log().count("daemon started") == 1
    for _ in range(20): # at once: whoever is about to end is waited for
        home.ctl("stop")
        subprocess.run(["i3d", "--ensure"], env=home.env, check=True, timeout=30)
    home.ctl("stop")
    starts = [subprocess.Popen(["i3d", "--ensure"], env=home.env) for _ in range(8)]
    assert [p.wait(30) for p in starts] == [0] * 8
    assert home.log().count("daemon started") == 22
    home.ctl("stop")


def parent_of(pid):
    return int(field(pid, "PPid"))


def has_a_keeper():
    home = Home("kept")
    subprocess.run(["i3d", "--ensure"], env=home.env, check=True, timeout=30)
    pid, key = home.pid(), home.status()["key"]
    keeper = parent_of(pid)
    assert proc(keeper, "comm").strip() == "i3keep" and "i3d" not in proc(keeper, "cmdline").split("\0")[0]
    for number in (signal.SIGKILL,) * 3 if SANITIZED else (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT):
        os.kill(pid, number)
        s = home.status() # nobody has to wait, or try again
        assert s["pid"] != pid and s["key"] == key and parent_of(s["pid"]) == keeper
        pid = s["pid"]
    assert home.log().count("it is started anew") == 3
    # without its keeper it goes on
    os.kill(keeper, signal.SIGKILL)
    assert home.status()["pid"] == pid
    home.ctl("stop")
    wait_for("its end", lambda: not os.path.exists("/proc/%d" % pid))
    # an end that is wanted is one of the keeper's, too
    for how in "stop", "TERM to the daemon", "TERM to the keeper":
        subprocess.run(["i3d", "--ensure"], env=home.env, check=True, timeout=30)
        pid = home.pid()
        keeper = parent_of(pid)
        if how == "stop":
            home.ctl("stop")
        else:
            os.kill(pid if how.endswith("daemon") else keeper, signal.SIGTERM)
        for gone in pid, keeper:
            wait_for(how, lambda: not os.path.exists("/proc/%d" % gone) or field(gone, "State") == "Z")
        assert not os.path.exists(home.sock), how
    # a reason not to start is said once, not for ever
    subprocess.run(["i3d", "--ensure"], env=home.env, check=True, timeout=30)
    pid = home.pid()
    keeper = parent_of(pid)
    with open(os.path.join(home.top, "config", "i3", "i3.conf"), "w") as f:
        f.write("nonsense\n")
    os.kill(pid, signal.SIGKILL)
    wait_for("the keeper's end", lambda: not os.path.exists("/proc/%d" % keeper) or field(keeper, "State") == "Z")
    r = subprocess.run(["i3d", "--ensure"], env=home.env, capture_output=True, text=True, timeout=30)
    assert r.returncode != 0 and "i3.conf:1:" in r.stderr, r


def ends_in_good_order():
    a, b = Home("a"), Home("b")
    subprocess.run(["i3d", "--ensure"], env=a.env, check=True, timeout=30)
    node = a.status()["node"]
    address = node["address"] if isinstance(node, dict) else node
    with open(os.path.join(b.top, "config", "i3", "i3.conf"), "w") as f:
        f.write('nodes = { "%s" }\nshortcut = no\n' % address)
    for home, name, other in (a, "b", b), (b, "a", a):
        home.ctl("book", "add", name, other.ctl("id", "-q").strip())
    b.ctl("ping", "a", "1")
    server = subprocess.Popen(["i3run", sys.executable, "-c", """
import socket
s = socket.socket()
s.bind(("", 0))
s.listen()
print(s.getsockname()[1], flush=True)
c = s.accept()[0]
try:
    print(c.recv(10), flush=True)
except OSError as e:
    print(e.errno, flush=True)
"""], env=b.env, stdout=subprocess.PIPE, text=True)
    port = server.stdout.readline().strip()
    client = subprocess.Popen(["i3run", sys.executable, "-c", """
import socket, sys
s = socket.create_connection(("b.i3", %s))
print("connected", flush=True)
try:
    print(s.recv(10), flush=True)
except OSError as e:
    print(e.errno, flush=True)
""" % port], env=a.env, stdout=subprocess.PIPE, text=True)
    assert client.stdout.readline() == "connected\n"
    b.ctl("stop")
    # both programs are told: its own sees its connection end, and so does the other host's
    for p in server, client:
        assert p.communicate(timeout=10 * SLACK)[0].strip() in ("b''", "104"), p
    # its triggers are taken back: the node says at once that nobody is there, without waiting for their end
    start = time.monotonic()
    r = subprocess.run(["i3ctl", "ping", "b", "1"], env=a.env, capture_output=True, text=True, timeout=40)
    assert r.returncode != 0 and time.monotonic() - start < 8 * SLACK, (r, time.monotonic() - start)
    a.ctl("stop")


# ---- closed ----

PTRACE_ATTACH, PTRACE_DETACH, PTRACE_SEIZE = 16, 17, 0x4206


def is_closed_to_those_who_look_inside():
    home = Home("closed")
    subprocess.run(["i3d", "--ensure"], env=home.env, check=True, timeout=30)
    pid = home.pid()
    limits = proc(pid, "limits")
    assert re.search(r"Max core file size +0 +0 ", limits), limits
    if os.geteuid() != 0:
        for request in PTRACE_ATTACH, PTRACE_SEIZE:
            assert LIBC.ptrace(request, pid, 0, 0) == -1 and ctypes.get_errno() == 1, "traced"
        for name in "mem", "maps", "environ", "auxv", "fd/0", "exe", "root/etc", "cwd":
            path = "/proc/%d/%s" % (pid, name)
            try:
                (os.readlink if name in ("exe", "cwd", "fd/0") else lambda p: open(p, "rb").read(1))(path)
            except (PermissionError, FileNotFoundError):
                continue
            raise AssertionError(path)
        fd = os.pidfd_open(pid)
        assert LIBC.syscall(438, fd, 3, 0) == -1 and ctypes.get_errno() == 1, "pidfd_getfd"
        os.close(fd)
        for child in children_of(pid):
            assert LIBC.ptrace(PTRACE_SEIZE, child, 0, 0) == -1, "the helper is traced"
        assert LIBC.ptrace(PTRACE_SEIZE, parent_of(pid), 0, 0) == -1, "the keeper is traced"
    s = home.status()
    if not SANITIZED:
        assert s["keys_locked"] is True and int(field(pid, "VmLck")) >= 64, (s["keys_locked"], field(pid, "VmLck"))
    if s["sandbox"] != "none":
        assert field(pid, "NoNewPrivs") == "1" and "seccomp" not in s["sandbox"] or field(pid, "Seccomp") == "2"
    assert "sandbox=" + s["sandbox"] in home.log()
    home.ctl("stop")


def children_of(pid):
    return [int(p) for p in os.listdir("/proc") if p.isdigit() and int(p) != pid and os.path.exists("/proc/%s/status" % p) and parent_of(int(p)) == pid]


def goes_without_what_is_not_there():
    home = Home("without")
    for options, limit in (["--no-sandbox"], None), ([], 0):
        def before():
            if limit is not None:
                import resource
                resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
        p = subprocess.Popen(["i3d", *options], env=home.env, stderr=subprocess.PIPE, text=True, preexec_fn=before, stdin=subprocess.DEVNULL)
        wait_for("its socket", lambda: os.path.exists(home.sock))
        s = home.status()
        p.terminate()
        err = p.communicate(timeout=20)[1]
        assert p.returncode == 0, err
        if options:
            assert s["sandbox"] == "none", s["sandbox"]
        elif os.geteuid() != 0:
            assert s["keys_locked"] is False and err.count("keys are not all locked") == 1, err
            assert any(w["code"] == "keys_not_locked" for w in s["warnings"]), s["warnings"]


def main():
    for test in (is_started_by_its_socket, refuses_a_socket_of_another_kind, speaks_to_the_journal, the_units_are_sound, is_alone, has_a_keeper,
                 ends_in_good_order, is_closed_to_those_who_look_inside, goes_without_what_is_not_there):
        print("==", test.__name__, flush=True)
        test()
    shutil.rmtree(T)


if __name__ == "__main__":
    try:
        main()
    finally:
        for name in os.listdir(T) if os.path.isdir(T) else []:
            run = os.path.join(T, name, "run")
            if os.path.exists(os.path.join(run, "i3", "i3d.sock")):
                subprocess.run([os.path.join(BIN, "i3ctl"), "stop"], env={"XDG_RUNTIME_DIR": run, "HOME": T, "PATH": "/usr/bin:/bin"},
                               capture_output=True, timeout=20)
