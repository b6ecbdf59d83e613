#!/usr/bin/env python3
"""run.py [-n ROUNDS] [-s SECONDS] [--seeds N] [--json] [--list] [ROW...]: what the overlay costs, as ratios.

Each round measures every row next to what it is held against: plain loopback TCP, kernel TCP over the same impaired path,
or the limit of a relay in user space (L3-h0, L3-h1: lim.c, variable LIM). Printed are medians over the rounds, of the
ratios too. Absolute figures of shared machines mean little: read the ratios. CPU is that of the processes which take part:
programs, daemons, node. ROW: names or patterns such as 'stream*'; --list shows them."""
import argparse, fnmatch, json, operator, signal, statistics, sys

sys.dont_write_bytecode = True

import path
from lab import Lab
from rows import ROWS
from world import Missing

IS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt}


def met(bar, value):
    if not bar:
        return None
    sign, limit = bar.split()
    return IS[sign](value, float(limit))


def say(text=""):
    if sys.stderr.isatty() or text:
        print(f"\r{text:60}", end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)


class Result:
    """What the rounds of one row gave."""

    def __init__(self, row):
        self.row, self.ours, self.base, self.why = row, [], [[] for _ in row.against], [None] * len(row.against)
        self.missing = "not measured"

    def measure(self, lab):
        """Bases first and last of all ours: neighbours in time."""
        row = []
        for i, a in enumerate(self.row.against):
            try:
                row.append(a.value(lab))
            except (Missing, RuntimeError) as e:
                self.why[i] = str(e)
                row.append(None)
        try:
            ours = self.row.ours(lab)
        except (Missing, RuntimeError) as e:
            self.missing = str(e)
            return
        self.add(ours, row)

    def add(self, ours, bases):
        self.ours.append(ours)
        for have, b in zip(self.base, bases):
            if b is not None:
                have.append((b, ours / b if b else float("inf")))

    def summary(self):
        """A dict for JSON, and for the table."""
        r = {"name": self.row.name, "what": self.row.what, "unit": self.row.unit, "rounds": len(self.ours)}
        if not self.ours:
            return r | {"missing": self.missing}
        r["ours"] = statistics.median(self.ours)
        r["spread"] = [min(self.ours), max(self.ours)]
        if self.row.bar:
            r |= {"bar": self.row.bar, "met": met(self.row.bar, r["ours"])}
        r["against"] = []
        for a, have, why in zip(self.row.against, self.base, self.why):
            b = {"label": a.label, "missing": why}
            if have:
                ratio = statistics.median(x[1] for x in have)
                b = {"label": a.label, "value": statistics.median(x[0] for x in have), "ratio": ratio}
                if a.bar:
                    b |= {"bar": a.bar, "met": met(a.bar, ratio)}
            r["against"].append(b)
        return r


HEAD = f"{'':46}{'ours':>9} {'unit':7}{'against':>12}{'':>9}{'ratio':>8}  {'bar':9}"


def figure(v):
    return f"{v:,.0f}" if abs(v) >= 1000 else f"{v:.4g}"


def verdict(d):
    return {None: "", True: "met", False: "MISSED"}[d.get("met")]


def lines(r):
    """The table's lines of one row: its own bar, then one line for each thing it is held against."""
    if "ours" not in r:
        yield f"{r['what']:46}{'-':>9} {r['unit']:7}  {r['missing']}"
        return
    lead = f"{r['what']:46}{figure(r['ours']):>9} {r['unit']:7}"
    if r.get("bar") or not r["against"]:
        yield f"{lead}{'':29}  {r.get('bar', ''):9}{verdict(r)}".rstrip()
        lead = " " * 63
    for b in r["against"]:
        if "ratio" in b:
            yield f"{lead}{b['label']:>12}{figure(b['value']):>9}{b['ratio']:8.3f}  {b.get('bar', ''):9}{verdict(b)}".rstrip()
        else:
            yield f"{lead}{b['label']:>12}  {b['missing']}"
        lead = " " * 63


def chosen(patterns):
    rows = [r for r in ROWS if not patterns or any(fnmatch.fnmatch(r.name, p) for p in patterns)]
    if not rows:
        sys.exit(f"run.py: no row is called {' '.join(patterns)}; --list shows them")
    return rows


def rounds(lab, results, n):
    for i in range(n):
        lab.new_round()
        for r in results:
            if not r.row.cell and (not r.row.rounds or i < r.row.rounds):
                say(f"round {i + 1} of {n}: {r.row.name}")
                r.measure(lab)


def goodput(results, seeds):
    of = [r for r in results if r.row.cell]
    try:
        for cell, mbit in path.cells({r.row.cell for r in of}, seeds, say):
            for r in of:
                if r.row.cell == cell:
                    r.add(mbit[path.OVERLAY + r.row.layer], [mbit[k + r.row.layer] for k in path.KERNEL])
    except Missing as e:
        for r in of:
            r.missing = str(e)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("-n", type=int, default=5, help="rounds (5)")
    ap.add_argument("-s", type=float, default=2, help="seconds of each measurement (2)")
    ap.add_argument("--seeds", type=int, default=10, help="rounds of the goodput rows (10)")
    ap.add_argument("--json", action="store_true")
    ap.add_argument("--list", action="store_true")
    ap.add_argument("rows", nargs="*", metavar="ROW")
    opt = ap.parse_args()
    rows = chosen(opt.rows)
    if opt.list:
        for r in rows:
            print(f"{r.name:20}{r.what}")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended
    results = [Result(r) for r in rows]
    lab = Lab(opt.s)
    status = 0
    try:
        rounds(lab, results, opt.n)
        goodput(results, opt.seeds)
    except (KeyboardInterrupt, SystemExit) as e:  # what was measured so far is printed all the same
        status = e.code if isinstance(e, SystemExit) else 130
    finally:
        lab.close()
        say()
    table = [r.summary() for r in results]
    if opt.json:
        print(json.dumps(table, indent=1))
        sys.exit(status)
    print(HEAD)
    for r in table:
        print("\n".join(lines(r)))
    sys.exit(status)


main()
