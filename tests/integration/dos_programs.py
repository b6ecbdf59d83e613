#!/usr/bin/env python3
"""A program that opens the daemon's socket as often as it can has a share of it and no more; others get in; nothing is written to the log more
than once; and a daemon without file descriptors goes on, at rest. I3D's folder: argv[1]; its binaries are on the PATH."""
import os, resource, socket, subprocess, sys, time

world = sys.argv[1]
base = dict(os.environ, XDG_CONFIG_HOME=f"{world}/config", XDG_DATA_HOME=f"{world}/data", XDG_RUNTIME_DIR=f"{world}/run")
for d in "config", "data", "run":
    os.makedirs(f"{world}/{d}", mode=0o700, exist_ok=True)
os.makedirs(f"{world}/config/i3", mode=0o700, exist_ok=True)
with open(f"{world}/config/i3/i3.conf", "w") as f:
    f.write('nodes = { "127.0.0.1:9" }\n')
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
path = f"{world}/run/i3/i3d.sock"


def i3ctl(*args):
    return subprocess.run(["i3ctl", *args], env=base, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30)


def start(files):
    log = open(f"{world}/log", "w")
    p = subprocess.Popen(["prlimit", f"--nofile={files}:{files}", "i3d"], env=base, stderr=log, stdout=log, stdin=subprocess.DEVNULL)
    for _ in range(200):
        if i3ctl("status").returncode == 0:
            return p
        assert p.poll() is None, open(f"{world}/log").read()
        time.sleep(0.05)
    raise SystemExit("the daemon does not start: " + open(f"{world}/log").read())


def crowd(n):
    """n sockets; those that were not closed at once"""
    held = []
    for _ in range(n):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.settimeout(5)
        s.connect(path)
        held.append(s)
        if len(held) % 200 == 0:
            time.sleep(0.01)
    time.sleep(0.5)
    alive = []
    for s in held:
        s.setblocking(False)
        try:
            if s.recv(1) == b"":
                continue
        except BlockingIOError:
            alive.append(s)
        except OSError:
            continue
    return held, alive


def ticks(pid):
    f = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(f[11]) + int(f[12])) / os.sysconf("SC_CLK_TCK")


def lines(word):
    return sum(word in line for line in open(f"{world}/log"))


def check(ok, why):
    if not ok:
        sys.exit(f"{why}\n{open(f'{world}/log').read()[-2000:]}")


# one process, more than half of what there is
want = min(5000, hard - 100)
if want > 4500:
    d = start(min(hard, 20000))
    held, alive = crowd(want)
    check(4000 <= len(alive) <= 4200, f"{len(alive)} of {want} were let in: half of 8192 is its share")
    check(i3ctl("status").returncode == 0, "nobody else gets in")
    check(lines("one more is refused") == 1, f"said {lines('one more is refused')} times")
    print("one process has", len(alive), "of", want)
    for s in held:
        s.close()
    time.sleep(0.3)
    held, alive = crowd(100)
    check(len(alive) == 100, f"only {len(alive)} of 100 afterwards")
    for s in held:
        s.close()
    d.terminate()
    check(d.wait(20) == 0, "it does not end well")

# no descriptor left
d = start(100)
held, alive = crowd(300)
check(len(alive) < 100, f"{len(alive)} clients of a daemon with 100 files")
before = ticks(d.pid)
time.sleep(2)
used = ticks(d.pid) - before
check(used < 0.5, f"it spins: {used:.2f} s of CPU in 2 s")
check(lines("refused (no file") == 1, f"said {lines('refused (no file')} times")
for s in held:
    s.close()
time.sleep(0.3)
check(i3ctl("status").returncode == 0, "it does not recover")
print("without files:", len(alive), "of 300 were let in,", f"{used:.2f} s of CPU in 2 s")
d.terminate()
check(d.wait(20) == 0, "it does not end well")
