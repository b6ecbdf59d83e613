#!/usr/bin/env python3
"""gateway.py [-n ROUNDS] [-s SECONDS] [--json]: what a gateway costs over the same path without one (`make bench-gateway`).

    alice --- 20 ms there and back, path.c --- bob, a gateway, another one behind a middle-box, the node, and a plain server

One after the other, in each round in another order: the kernel's TCP to the plain server; alice's program to bob's, who stands where
the gateway stands and is a host of the overlay; the same program to the plain server by the gateway; and by a gateway beyond a
middle-box. Ping-pong of one byte over 20 ms, and goodput over 20 ms with the line at a rate, and without any limit but the machine's.
Printed are medians, of the ratios too: each figure against its neighbour of the same round. Status 1: a bar is missed."""
import argparse, json, os, random, statistics, subprocess, sys

sys.dont_write_bytecode = True

from path import B, Line, Path
from world import TOP, Missing, Place, Side, heart, wait_for

RTT_MS = 20
LINES = {"1000": Line("20 ms, 1 Gbit/s", RTT_MS, 1000), "free": Line("20 ms, no limit", RTT_MS)}
BARS = {"rtt": 1.02, "goodput": 0.95}
ZONE = os.path.join(TOP, "tests/lib/zone.py")
GATEWAY = 'gateway {{ allow = {{ "anyone" }} networks = {{ "{0}/32" }} dns-server = "{0}" }}'.format(B)
CONF = {
    "alice": 'rule { suffix = ".plain.test" action = "gateway" via = "gate" }\n'
             'rule { suffix = ".boxed.test" action = "gateway" via = "far" through = { "box" } }',
    "gate": GATEWAY,
    "far": GATEWAY,
    "box": 'middlebox { allow = { "anyone" } }',
}
WAYS = {"kernel": "the kernel's TCP", "overlay": "a host of the overlay", "gateway": "by the gateway", "box": "by box and gateway"}


class Lab:
    """One path with all of it on top."""

    def __init__(self, line):
        self.path, self.world, self.dns = Path(line), None, None
        try:
            self.dns = subprocess.Popen([*self.path.b, sys.executable, ZONE, B, B],
                                        stdout=subprocess.PIPE, text=True)
            if self.dns.stdout.readline() != "port 53\n":
                raise Missing("no DNS server")
            at = {u: self.path.b for u in ("bob", "gate", "far", "box")}
            self.world = self.path.world(CONF, {"alice": self.path.a} | at)
            self.plain = Side(prefix=self.path.b)
            self.ways = {
                "kernel": Place(Side(prefix=self.path.a), self.plain, B),
                "overlay": self.world,
                "gateway": Place(self.world.alice, self.plain, "www.plain.test"),
                "box": Place(self.world.alice, self.plain, "www.boxed.test"),
            }
            wait_for("shortcut", lambda: not self.world.relayed())
        except BaseException:
            self.close()
            raise

    def close(self):
        if self.world:
            self.world.close()
            self.plain.close()
        if self.dns:
            self.dns.kill()
            self.dns.wait()
            self.dns.stdout.close()
        self.path.close()


def measured(place, what, seconds):
    if what == "rtt":
        return place.load("rr", str(seconds))["p50_us"]
    return place.load("goodput", str(seconds))["mbit"]


def rounds(line, what, n, seconds, tell):
    """ {way: [figure of each round]}; None for what failed."""
    lab, got = Lab(line), {way: [] for way in WAYS}
    try:
        for way, place in lab.ways.items():
            try:
                place.load("rr", "0.5")  # sessions stand, shortcuts are found
            except RuntimeError as e:
                tell(f"{way}: {e}")
        order = random.Random(1)
        for i in range(n):
            for way in order.sample(list(WAYS), len(WAYS)):
                try:
                    got[way].append(heart.undisturbed(measured, lab.ways[way], what, seconds))
                except RuntimeError as e:
                    got[way].append(None)
                    tell(f"round {i + 1}, {line.name}, {what}, {way}: {e}")
    finally:
        lab.close()
    return got


def compare(ours, base):
    pairs = [(a, b) for a, b in zip(ours, base) if a and b]
    return statistics.median(a / b for a, b in pairs) if pairs else None


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("-n", type=int, default=7)
    ap.add_argument("-s", type=float, default=4)
    ap.add_argument("--json", action="store_true")
    opt = ap.parse_args()
    table, missed = [], False
    for what, line, unit in ("rtt", LINES["free"], "us"), ("goodput", LINES["1000"], "Mbit/s"), ("goodput", LINES["free"], "Mbit/s"):
        got = rounds(line, what, opt.n, opt.s, lambda t: print("bench:", t, file=sys.stderr))
        for way, ours in got.items():
            values = [v for v in ours if v]
            row = {"what": what, "line": line.name, "way": way, "unit": unit, "rounds": len(values),
                   "figure": statistics.median(values) if values else None,
                   "to_kernel": compare(ours, got["kernel"]), "to_overlay": compare(ours, got["overlay"])}
            if way == "gateway":
                r, bar = row["to_overlay"], BARS[what]
                row |= {"bar": bar, "met": r is not None and (r <= bar if what == "rtt" else r >= bar)}
                missed |= not row["met"]
            table.append(row)
    if opt.json:
        print(json.dumps(table, indent=1))
    else:
        show(table)
    sys.exit(missed)


def show(table):
    print(f"{'':18}{'':9}{'':24}{'figure':>9} {'unit':8}{'/ kernel':>9}{'/ overlay':>11}")
    for r in table:
        figures = [f"{r[k]:.3f}" if r[k] else "-" for k in ("to_kernel", "to_overlay")]
        bar = "" if "bar" not in r else f"  {'<=' if r['what'] == 'rtt' else '>='} {r['bar']} {'met' if r['met'] else 'MISSED'}"
        figure = f"{r['figure']:.1f}" if r["figure"] else "-"
        print(f"{r['line']:18}{r['what']:9}{WAYS[r['way']]:24}{figure:>9} {r['unit']:8}{figures[0]:>9}{figures[1]:>11}{bar}")


if __name__ == "__main__":
    main()
