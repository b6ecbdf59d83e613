"""rows.py: the table. A row is a figure of ours, what it is held against, and bars: of the ratio, or of the figure itself."""
from dataclasses import dataclass, field
from typing import Callable

from path import LINES, LOSSES, WIRE
from world import Missing


@dataclass
class Against:
    """Another figure of the same round, and the bar of ours / this; none: for information."""
    label: str
    value: Callable
    bar: str = ""


@dataclass
class Row:
    name: str
    what: str
    unit: str
    ours: Callable
    against: list = field(default_factory=list)
    bar: str = ""      # of ours itself
    rounds: int = 0    # at most; 0: as many as asked for
    cell: tuple = ()   # of the goodput table, whose rounds are seeds: path.py measures it
    layer: str = ""    # there: of the program, or path.WIRE


def stream(place, n=1):
    return lambda lab: lab.stream(place, n)["gbit"]


def cpu(place):
    return lambda lab: lab.stream(place, 1)["cpu_per_gb"]


def pingpong(place):
    return lambda lab: lab.pingpong(place)["p50_us"]


def busy(key, per_s):
    return lambda lab: lab.busy("short", 1000, per_s)[key]


def connects(place, n):
    return lambda lab: lab.connects(place, n)["rate"]


def limit(hops, bar):
    return Against(f"L3-h{hops}", lambda lab: lab.limit(hops)["gbit"], bar)


def loop(value, bar=""):
    return Against("loopback", value, bar)


def memory(key):
    return lambda lab: lab.memory()[key]


def lookup(place, key):
    return lambda lab: lab.lookup(place)[key]


def start(how, key):
    def value(lab):
        if how not in (v := lab.start()):
            raise Missing(f"no {how} here")
        return v[how][key]
    return value


def cost(name, what):
    """Wall-clock time and CPU of a command under i3run, each as a share of the run without it beside it."""
    return [Row(f"cost-{name}", what, "times", lambda lab: lab.cost(name)["wall1"], bar="<= 1.02"),
            Row(f"cost-{name}-cpu", "... its CPU", "times", lambda lab: lab.cost(name)["cpu1"], bar="<= 1.02")]


def udp(place):
    return lambda lab: lab.udp(place)["pps"]


def goodput(line, loss):
    bars = [Against("CUBIC", None, ">= 0.98"), Against("BBR", None, ">= 0.90")]
    name = f"goodput-{line.rtt}-{loss}"
    return Row(name, f"goodput, {line.name}, {loss} % lost each way", "Mbit/s", None, bars, cell=(line, loss))


def on_the_wire(line, loss):
    """Where the line's rate is the limit: how much of it is used, whatever the headers cost."""
    return Row(f"wire-{line.rtt}-{loss}", f"... the line's use, {line.name}, {loss} %", "Mbit/s", None,
               [Against("CUBIC", None), Against("BBR", None)], cell=(line, loss), layer=WIRE)


def node(how, key):
    return lambda lab: lab.forwarding(how)[key]


def operated(key, *options):
    """The same, as an operator has set it up."""
    return lambda lab: lab.forwarding("distinct", *options)[key]


OPEN = operated("cpu_us", "--no-sandbox")
LIMITS = "--rate-per-source", "10000000", "--rate-per-trigger", "10000000"


def beyond(how, base):
    """CPU of a packet, above what the system calls alone cost."""
    return lambda lab: lab.forwarding(how)["cpu_us"] - lab.forwarding(base)["cpu_us"]


def triggers(n, per_key, key):
    return lambda lab: lab.triggers(n, per_key)[key]


X25519 = Against("X25519", lambda lab: lab.x25519()["per_s"], ">= 0.7")
MANY = 20000, 1      # each of a key of its own
MILLION = 1000000, 1000

LOOP_STREAM = loop(stream("loop"))

ROWS = [
    Row("stream-plain", "one stream, shortcut, encryption off", "Gbit/s", stream("plain"), [limit(0, ">= 0.85"), LOOP_STREAM]),
    Row("stream", "one stream, shortcut, encrypted", "Gbit/s", stream("short"), [limit(0, ">= 0.75"), LOOP_STREAM]),
    Row("stream-relay", "one stream, relayed, encrypted", "Gbit/s", stream("relay"), [limit(1, ">= 0.70"), LOOP_STREAM]),
    Row("stream-tcp", "... both hosts by TCP to the node", "Gbit/s", stream("tcp"), [Against("by UDP", stream("relay"), ">= 0.5")]),
    Row("stream16", "16 streams, shortcut, encrypted", "Gbit/s", stream("short", 16),
        [Against("one stream", stream("short"), ">= 0.9"), loop(stream("loop", 16))]),
    Row("stream16-relay", "16 streams, relayed, encrypted", "Gbit/s", stream("relay", 16),
        [Against("one stream", stream("relay"), ">= 0.9"), loop(stream("loop", 16))]),
    Row("cpu", "CPU of all processes, shortcut, encrypted", "s/GB", cpu("short"), [loop(cpu("loop"))], bar="<= 1.2"),
    Row("cpu-relay", "CPU of all processes, relayed, encrypted", "s/GB", cpu("relay"), [loop(cpu("loop"))]),
    Row("rr", "1-byte ping-pong p50, shortcut", "us", pingpong("short"), [loop(pingpong("loop"), "<= 1.5")]),
    Row("rr-relay", "1-byte ping-pong p50, relayed", "us", pingpong("relay"), [loop(pingpong("loop"))]),
    Row("rr-tcp", "... both hosts by TCP to the node", "us", pingpong("tcp"), [Against("by UDP", pingpong("relay"), "<= 2")]),
    Row("crr", "connect + 100 B each way + close, shortcut", "/s", connects("short", 1), [loop(connects("loop", 1), ">= 0.40")]),
    Row("crr32", "the same, 32 at once", "/s", connects("short", 32), [loop(connects("loop", 32), ">= 0.35")]),
    Row("crr-relay", "connect + 100 B each way + close, relayed", "/s", connects("relay", 1), [loop(connects("loop", 1))]),
    Row("crr32-relay", "the same, 32 at once", "/s", connects("relay", 32), [loop(connects("loop", 32))]),
    Row("busy", "ping-pong p50 among 1,000 idle channels", "us", busy("among", 0),
        [Against("without", busy("without", 0), "<= 1.2")]),
    Row("busy-trickle", "... on each of which 1 byte/s is echoed", "us", busy("among", 1000),
        [Against("without", busy("without", 1000), "<= 1.2")]),
    Row("udp", "UDP, 1200 bytes, highest rate with < 0.1 % lost", "pps", udp("short"), [loop(udp("loop"))], bar=">= 100000"),
    Row("udp-relay", "... relayed", "pps", udp("relay"), [loop(udp("loop"))]),
    Row("node-trains", "node, 1200-byte packets in trains of 4 flows", "pps", node("trains", "pps"),
        [Against("L3-h1", lambda lab: lab.chain()["pps"], ">= 0.85")]),
    Row("node-trains-lost", "... of which lost", "share", node("trains", "lost"), bar="<= 0"),
    Row("node-trains-cpu", "... its CPU per packet", "us", node("trains", "cpu_us"), bar="<= 1"),
    Row("node-distinct", "node, 1200 bytes, 1,000 sources, ids, targets", "pps", node("distinct", "pps"),
        [Against("reflector", node("bare", "pps"), ">= 0.9")]),
    Row("node-distinct-lost", "... of which lost", "share", node("distinct", "lost"), bar="<= 0"),
    Row("node-distinct-cpu", "... its CPU per packet beyond the reflector's", "us", beyond("distinct", "bare"), bar="<= 0.5"),
    Row("node-sandbox", "... its CPU per packet in the sandbox", "us", operated("cpu_us"), [Against("outside", OPEN, "<= 1.1")]),
    Row("node-limits", "... with limits for sources and triggers", "us", operated("cpu_us", *LIMITS), [Against("without", operated("cpu_us"), "<= 1.15")]),
    Row("node-insert", "node, triggers inserted, a key each", "/s", triggers(*MANY, "inserts"), [X25519]),
    Row("node-insert-cpu", "... per second of its CPU", "/s", triggers(*MANY, "inserts_cpu"), [X25519]),
    Row("node-refresh1", "... refreshed, each by a packet of its own", "/s", triggers(*MANY, "refreshes")),
    Row("node-refresh", "... 22 in a packet", "/s", triggers(*MANY, "batched"), bar=">= 200000"),
    Row("node-refresh-cpu", "... per second of its CPU", "/s", triggers(*MANY, "batched_cpu"), bar=">= 200000"),
    Row("node-memory", "node, memory with 1,000,000 triggers", "MB", triggers(*MILLION, "mb"), bar="< 400", rounds=1),
    Row("node-memory-insert", "... inserted, 1,000 of one key", "/s", triggers(*MILLION, "inserts"), rounds=1),
    Row("node-memory-refresh", "... refreshed, 22 in a packet", "/s", triggers(*MILLION, "batched"), bar=">= 200000", rounds=1),
    Row("node-reflect", "node, bytes back for a forged byte, at most", "times", lambda lab: lab.reflected()["ratio"], bar="<= 1", rounds=1),
    Row("memory", "memory of one daemon, idle", "MB", memory("idle"), bar="<= 8", rounds=1),
    Row("memory-own", "... of which anonymous", "MB", memory("idle_own"), rounds=1),
    Row("memory-1000", "... with 1,000 idle connections", "MB", memory("1000"), bar="<= 20", rounds=1),
    Row("memory-10000", "... with 10,000", "MB", memory("10000"), bar="< 200", rounds=1),
    Row("memory-10000-own", "... of which anonymous", "MB", memory("10000_own"), rounds=1),
    Row("memory-after", "... 3 s after they are closed", "MB", memory("10000_after"),
        [Against("idle", memory("idle"), "<= 1.25")], rounds=1),
    Row("lookup-new", "look-up of a virtual name not met before", "us", lambda lab: lab.lookup_new()["first_us"],
        [Against("/etc/hosts", lookup("loop", "first_us"))], bar="<= 40"),
    Row("lookup-first", "... which is the first of its process", "us", lookup("relay", "first_us"),
        [Against("/etc/hosts", lookup("loop", "first_us"))], bar="<= 40"),
    Row("lookup-known", "... which is known", "us", lookup("relay", "known_us"),
        [Against("/etc/hosts", lookup("loop", "known_us"))], bar="<= 15"),
    Row("start-preload", "start of /bin/true: the preload adds", "ms", start("preload", "added"),
        [Against(peer, start(peer, "added")) for peer in ("proxychains4", "torsocks")], bar="<= 0.6"),
    Row("start", "start of /bin/true by i3run", "ms", start("i3run", "ms"),
        [Against(how, start(how, "ms")) for how in ("plain", "proxychains4", "torsocks")], bar="<= 3"),
    *cost("calls", "a run of socket calls and forks under i3run"),
    *cost("pieces", "a run of reads and writes of a stream"),
    *cost("files", "find, xargs, cat, sha256sum"),
    *cost("compile", "cc of one file"),
    Row("cpu-rate", "CPU of one daemon, 100 Mbit/s over 50 ms", "cores", lambda lab: lab.cpu_at_rate()["cores"], bar="<= 0.1"),
    *[goodput(line, loss) for line in LINES for loss in LOSSES],
    *[on_the_wire(line, loss) for line in LINES if line.rate for loss in LOSSES],
    Row("rough", "1 GB: 10 % doubled, 25 % reordered, 5 % lost", "equal", lambda lab: lab.rough()["right"], bar=">= 1", rounds=1),
    Row("rough-speed", "... at", "MB/s", lambda lab: lab.rough()["mbyte_s"], rounds=1),
]
