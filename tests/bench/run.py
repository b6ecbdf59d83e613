#!/usr/bin/env python3
"""run.py [-n ROUNDS] [-s SECONDS] [--json] [NAME...]: what the overlay costs, as ratios to plain loopback TCP in the same run.

Makes a demo world (one node, alice, bob), runs the same load program with and without i3run, round by round, baseline and
overlay next to each other in time, and prints the medians. Absolute figures of shared machines mean little: read the ratios.
NAME picks measurements: down down4 down16 up rr crr crr32 start lookup."""
import argparse, json, os, re, shutil, signal, statistics, subprocess, sys, tempfile, time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("B", os.path.join(TOP, "build"))
BIN, LOAD = os.path.join(BUILD, "bin"), os.path.join(BUILD, "tests/bench/load")
PORT = "9731"


def environment(world, user):
    env = dict(os.environ)
    shell = subprocess.run(["sh", "-c", f'. "{world}/{user}.env"; env -0'], capture_output=True, check=True, env=env)
    return dict(v.split("=", 1) for v in shell.stdout.decode().split("\0") if "=" in v)


def busy():
    """CPU seconds that the whole machine has spent working."""
    f = open("/proc/stat").readline().split()
    return (int(f[1]) + int(f[2]) + int(f[3]) + int(f[6]) + int(f[7])) / os.sysconf("SC_CLK_TCK")


def values(text):
    return {k: float(v) for k, v in re.findall(r"(\w+)=([-0-9.e+]+)", text)}


def load(env, prefix, *args):
    before = busy()
    run = subprocess.run(prefix + [LOAD, *args], env=env, capture_output=True, text=True, timeout=120)
    if run.returncode:
        sys.exit(f"bench: {' '.join(prefix + list(args))}: {run.stderr.strip()}")
    v = values(run.stdout)
    v["cpu"] = busy() - before
    return v


# name -> (what it is, arguments behind HOST PORT, the figure, whether more is better)
MEASURES = {
    "down": ("one stream down", ["stream", "S", "1"], "gbit"),
    "up": ("one stream up", ["stream", "S", "1", "up"], "gbit"),
    "down4": ("4 streams down", ["stream", "S", "4"], "gbit"),
    "down16": ("16 streams down", ["stream", "S", "16"], "gbit"),
    "rr": ("1-byte ping-pong, p50 us", ["rr", "S"], "p50_us"),
    "crr": ("connect+100 B+close per s", ["crr", "S", "1"], "rate"),
    "crr32": ("the same, 32 at once", ["crr", "S", "32"], "rate"),
}


def once(name, seconds, plain_env, alice_env):
    what, args, figure = MEASURES[name]
    mode, rest = args[0], [seconds if a == "S" else a for a in args[1:]]
    base = load(plain_env, [], mode, "127.0.0.1", PORT, *rest)
    over = load(alice_env, ["i3run"], mode, "bob.i3", PORT, *rest)
    row = {"loopback": base[figure], "overlay": over[figure], "ratio": over[figure] / base[figure]}
    if figure == "gbit":
        row["cpu_s_per_GB"] = over["cpu"] / (over["gbit"] / 8 * (float(seconds) + 0.3))
        row["loopback_cpu_s_per_GB"] = base["cpu"] / (base["gbit"] / 8 * (float(seconds) + 0.3))
    return row


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("-n", type=int, default=5)
    ap.add_argument("-s", default="2")
    ap.add_argument("--json", action="store_true")
    ap.add_argument("names", nargs="*", metavar="NAME")
    opt = ap.parse_args()
    names = opt.names or list(MEASURES)
    os.environ["PATH"] = BIN + ":" + os.environ["PATH"]
    world = os.path.join(tempfile.mkdtemp(prefix="i3bench."), "w")
    subprocess.run(["i3ctl", "demo", "up", world], check=True, stdout=subprocess.DEVNULL)
    server = None
    try:
        alice, bob, plain = environment(world, "alice"), environment(world, "bob"), dict(os.environ)
        server = subprocess.Popen(["i3run", LOAD, "serve", PORT], env=bob, stdout=subprocess.PIPE, start_new_session=True)
        server.stdout.readline()
        rows = {n: [] for n in names}
        for r in range(opt.n):
            for n in names:
                rows[n].append(once(n, opt.s, plain, alice))
                print(f"\rround {r + 1} of {opt.n}: {n:10}", end="", file=sys.stderr, flush=True)
        print("\r" + " " * 40 + "\r", end="", file=sys.stderr)
        result = {n: {k: statistics.median(x[k] for x in v) for k in v[0]} for n, v in rows.items()}
        if opt.json:
            print(json.dumps(result))
            return
        print(f"{'relayed by one node, encrypted':32}{'loopback':>10}{'overlay':>10}{'ratio':>8}{'CPU s/GB':>10}{'(loopback)':>11}")
        for n, v in result.items():
            cpu = f"{v['cpu_s_per_GB']:10.2f}{v['loopback_cpu_s_per_GB']:11.2f}" if "cpu_s_per_GB" in v else ""
            print(f"{MEASURES[n][0]:32}{v['loopback']:10.4g}{v['overlay']:10.4g}{v['ratio']:8.3f}{cpu}")
    finally:
        if server:
            os.killpg(server.pid, signal.SIGKILL)
        subprocess.run(["i3ctl", "demo", "down", world], stdout=subprocess.DEVNULL)
        shutil.rmtree(os.path.dirname(world), ignore_errors=True)


main()
