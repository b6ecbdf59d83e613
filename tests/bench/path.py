"""path.py: goodput over impaired paths: the overlay, kernel CUBIC and kernel BBR over the same path, one after the other, with
the same draws of loss. Nothing is remembered from one run to the next: namespaces, daemons and kernel metrics are new each time."""
import concurrent.futures, os, subprocess, sys
from dataclasses import dataclass

from world import TESTS, Missing, Place, Side, World, cpu_of, heart, values

A, B = "192.0.2.1", "192.0.2.2"
OVERLAY, KERNEL, WIRE = "overlay", ("cubic", "bbr"), " wire"


@dataclass(frozen=True)
class Line:
    """`jobs`: how many run at once without taking the CPU from each other (two cores)."""
    name: str
    rtt: int
    rate: int = 0
    seconds: int = 10
    jobs: int = 1

    def options(self):
        queue = self.rate * self.rtt * 125  # one bandwidth-delay product, bytes
        return ["--rtt", str(self.rtt)] + (["--rate", str(self.rate), "--queue", str(queue)] if self.rate else [])


LINES = [
    Line("20 ms, unlimited", 20, seconds=5),
    Line("50 ms, 100 Mbit/s", 50, 100, seconds=10, jobs=3),
    Line("100 ms, 20 Mbit/s", 100, 20, seconds=15, jobs=6),
]
LOSSES = [0, 0.1, 1]


class Path:
    def __init__(self, line, loss=0, seed=1):
        if os.geteuid() or not os.path.exists("/dev/net/tun"):
            raise Missing("needs root and /dev/net/tun")
        self.process = subprocess.Popen([os.path.join(TESTS, "bench/path"), *line.options(), "--loss", str(loss), "--seed",
                                         str(seed)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ready = self.process.stdout.readline().split()
        if len(ready) != 3:
            raise Missing("the path did not start")
        self.a, self.b = (["nsenter", "-t", pid, "-n"] for pid in ready[1:])

    def close(self):
        """What the path did."""
        self.process.stdin.close()
        done = values(self.process.stdout.read())
        self.process.wait()
        self.process.stdout.close()
        return done

    def kernel(self):
        return Place(Side(prefix=self.a), Side(prefix=self.b), B)

    def world(self, conf="", at=None):
        return World(conf, at=at or {"alice": self.a, "bob": self.b}, listen=B)


def goodput(line, loss, seed, who):
    """Mbit/s from the connect on: what the program got, and what came out of the path for it, headers and repetitions included."""
    path, done = Path(line, loss, seed), {}
    try:
        place = path.kernel() if who in KERNEL else path.world()
        try:
            server = ("serve", who) if who in KERNEL else ("serve",)
            mbit = place.load("goodput", str(line.seconds), server=server)["mbit"]
        finally:
            place.close()
    finally:
        done = path.close()
    return mbit, done["bytes1"] * 8e-6 / line.seconds


def cell(line, loss, seed):
    """ {who: Mbit/s, who + WIRE: Mbit/s}; what failed carried nothing."""
    result = {}
    for who in (OVERLAY, *KERNEL):
        try:
            result[who], result[who + WIRE] = heart.undisturbed(goodput, line, loss, seed, who)
        except RuntimeError as e:
            print(f"bench: {line.name}, {loss} % lost, seed {seed}, {who}: {e}", file=sys.stderr)
            result[who] = result[who + WIRE] = 0.0
    return result


def cells(wanted, seeds, tell):
    """Runs (line, loss) pairs with seeds 1..seeds; yields ((line, loss), {who: Mbit/s})."""
    for line in LINES:
        todo = [(line, loss, seed) for seed in range(1, seeds + 1) for loss in LOSSES if (line, loss) in wanted]
        pool = concurrent.futures.ThreadPoolExecutor(line.jobs)
        try:
            running = {pool.submit(cell, *t): t for t in todo}
            for i, f in enumerate(concurrent.futures.as_completed(running)):
                tell(f"{line.name}: {i + 1} of {len(todo)}")
                yield running[f][:2], f.result()
        finally:
            pool.shutdown(cancel_futures=True)


def cpu_at_rate():
    """Cores that each daemon takes while 100 Mbit/s flow over 50 ms: the larger of the two; and the goodput."""
    line = next(l for l in LINES if l.rate == 100)
    path = Path(line)
    try:
        world = path.world()
        try:
            world.load("goodput", "1")  # the session stands, the servers run
            before = [cpu_of([pid]) for pid in world.daemons]
            mbit = world.load("goodput", str(line.seconds))["mbit"]
            cores = [(cpu_of([pid]) - b) / line.seconds for pid, b in zip(world.daemons, before)]
        finally:
            world.close()
    finally:
        path.close()
    return {"cores": max(cores[:2]), "mbit": mbit, "receiver": cores[0], "sender": cores[1], "node": cores[2]}
