#!/usr/bin/env python3
"""The engine against the kernel's TCP over a TUN device. In a network namespace of its own, as root:

  tcp_linux.py CASE [KEY=VALUE...]     one case; status 0 when it holds
  tcp_linux.py --list                  the whole matrix, a line each, as tcp_linux.sh runs it

Keys: law (of the kernel), engine (law of the engine), off (options that the kernel does without), mtu, loss, reorder (of 1000), family (6)."""
import os, socket, struct, subprocess, sys, threading, time

TUN = os.path.join(os.environ.get("B", "build"), "tests/interop/tcp_tun")
ENGINE, KERNEL = {"4": "10.9.0.2", "6": "fd69:3300::2"}, {"4": "10.9.0.1", "6": "fd69:3300::1"}


class Failure(Exception):
    pass


def check(good, what):
    if not good:
        raise Failure(what)


class Case:
    def __init__(self, keys):
        self.law, self.off = keys.pop("law", "cubic"), keys.pop("off", "").split("+")
        self.engine, self.mtu = keys.pop("engine", ""), keys.pop("mtu", "1400")
        self.family = keys.pop("family", "4")
        self.loss, self.reorder = keys.pop("loss", "0"), keys.pop("reorder", "0")
        self.bytes = 4_000_000 if self.loss == self.reorder == "0" else 1_000_000
        check(not keys, f"no such keys: {keys}")
        for o in filter(None, self.off):
            sysctl("tcp_" + {"sack": "sack", "stamps": "timestamps", "scale": "window_scaling"}[o], 0)

    def tun(self, *args):
        law = ["--law", self.engine] if self.engine else []
        if self.family == "6":
            law.append("--six")
        return [TUN, "--mtu", self.mtu, "--loss", self.loss, "--reorder", self.reorder, *law, *args]

    def socket(self):
        s = socket.socket(socket.AF_INET6 if self.family == "6" else socket.AF_INET)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self.law.encode())
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.settimeout(25)
        return s

    def dial(self, port, source=0):
        s = self.socket()
        if source:
            s.bind((KERNEL[self.family], source))
        s.connect((ENGINE[self.family], port))
        return s

    def listen(self, port):
        s = self.socket()
        s.settimeout(None)
        s.bind(("", port))
        s.listen(64)
        return s


def sysctl(name, value):
    with open("/proc/sys/net/ipv4/" + name, "w") as f:
        f.write(str(value))


class Served:
    """The engine serves, until the end of the block; then .figures are there."""

    def __init__(self, case, *args):
        self.p = subprocess.Popen(case.tun(*args, "--seconds", "60", "serve"), stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        for _ in range(100):
            if "10.9.0.1" in subprocess.run(["ip", "addr", "show", "t0"], capture_output=True, text=True).stdout:
                break
            time.sleep(0.05)
        time.sleep(0.3)
        return self

    def __exit__(self, *error):
        time.sleep(0.3)
        self.p.terminate()
        words = self.p.stdout.read().split()
        self.p.wait()
        self.figures = {k: int(v) for k, v in (w.split("=") for w in words if "=" in w)}


def read_all(s):
    got = bytearray()
    while data := s.recv(1 << 18):
        got.extend(data)
    return bytes(got)


def echoed(s, size):
    """Sends and reads at once, closes its half, reads to the end."""
    sent, got = os.urandom(size), []
    reader = threading.Thread(target=lambda: got.append(read_all(s)))
    reader.start()
    s.sendall(sent)
    s.shutdown(socket.SHUT_WR)
    reader.join()
    return got == [sent]


# ---- cases: bulk includes a half-close in both roles

def kernel_dials(c):
    with Served(c) as e:
        right = []
        threads = [threading.Thread(target=lambda: right.append(echoed(c.dial(80), c.bytes))) for _ in range(3)]
        for t in threads: t.start()
        for t in threads: t.join()
        check(right == [True] * 3, f"{right.count(True)} of 3 right")
        try:
            c.dial(81)
            check(False, "a port without a server did not refuse")
        except ConnectionRefusedError:
            pass
    check(e.figures["right"] == 3 and not e.figures["failed"], f"at the engine: {e.figures}")


def engine_dials(c):
    listener = c.listen(9000)

    def echo(s):
        s.settimeout(25)
        while data := s.recv(1 << 18):
            s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        s.close()

    def accept():
        while True:
            threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    r = subprocess.run(c.tun("--seconds", "40", "talk", "3", str(c.bytes)), capture_output=True, text=True)
    check(r.returncode == 0, r.stdout.strip())


def reset_by_engine(c):
    with Served(c):
        s = c.dial(82)
        s.sendall(b"x")
        try:
            s.recv(1)
            check(False, "no reset")
        except ConnectionResetError:
            pass


def reset_by_kernel(c):
    with Served(c) as e:
        s = c.dial(80)
        s.sendall(b"x" * 1000)
        s.recv(1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    check(e.figures["failed"] == 1, f"at the engine: {e.figures}")


def window_of_engine_shut(c):
    """It reads nothing for two seconds, while more is sent than it holds."""
    with Served(c):
        check(echoed(c.dial(83), 3_000_000), "differs")


def window_of_kernel_shut(c):
    with Served(c):
        s = c.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 60000)
        s.connect((ENGINE[c.family], 84))
        time.sleep(3)
        s.shutdown(socket.SHUT_WR)
        got = read_all(s)
        want = bytes((i * 131 + (i >> 8) * 7) & 255 for i in range(4_000_000))
        check(got == want, f"{len(got)} bytes, and not those")


def urgent_data_stays_in_line(c):
    """The pointer is ignored, and the byte is where it was written (as with SO_OOBINLINE)."""
    with Served(c):
        s = c.dial(80)
        s.sendall(b"before ")
        s.send(b"!", socket.MSG_OOB)
        s.sendall(b" after")
        s.shutdown(socket.SHUT_WR)
        got = read_all(s)
        check(got == b"before ! after", got)


def both_open_at_once(c):
    with Served(c):
        s = c.dial(87, 9087)
        check(echoed(s, 100_000), "differs")


def both_close_at_once(c):
    with Served(c) as e:
        s = c.dial(85)
        s.sendall(b"x" * 5000)
        while (n := len(s.recv(5000, socket.MSG_PEEK))) < 5000:
            time.sleep(0.01)
        s.shutdown(socket.SHUT_WR)
        check(len(read_all(s)) == n, "differs")
        s.close()
    check(e.figures["right"] == 1 and e.figures["time_wait"] == 1, f"at the engine: {e.figures}")


def port_again_engine_in_time_wait(c):
    with Served(c) as e:
        for _ in range(3):
            s = c.dial(86, 9300)
            check(read_all(s) == b"bye", "no bye")
            s.close()
            time.sleep(1.2)
    check(e.figures["right"] == 3, f"at the engine: {e.figures}")


def port_again_kernel_in_time_wait(c):
    listener, served = c.listen(9400), []

    def serve():
        for _ in range(2):
            s = listener.accept()[0]
            s.sendall(b"bye")
            s.shutdown(socket.SHUT_WR)
            served.append(read_all(s))
            s.close()

    threading.Thread(target=serve, daemon=True).start()
    r = subprocess.run(c.tun("--seconds", "20", "again", "9400"), capture_output=True, text=True)
    check(r.returncode == 0 and len(served) == 2, r.stdout.strip() or "the second was refused")


def congestion_is_marked(c):
    sysctl("tcp_ecn", 1)
    with Served(c, "--mark", "20") as e:
        check(echoed(c.dial(80), 4_000_000), "differs")
    check(e.figures["marked"] > 0, f"the kernel does not send ECT: {e.figures}")
    check(e.figures["cuts"] > 0, f"the kernel does not tell of marks: {e.figures}")


def ecn_is_not_forced_on_anyone(c):
    sysctl("tcp_ecn", 0)
    with Served(c, "--mark", "20") as e:
        check(echoed(c.dial(80), 1_000_000), "differs")
    check(not e.figures["marked"] and not e.figures["cuts"], f"{e.figures}")


BULK = [kernel_dials, engine_dials]
SINGLE = [reset_by_engine, reset_by_kernel, window_of_engine_shut, window_of_kernel_shut, urgent_data_stays_in_line,
          both_open_at_once, both_close_at_once, port_again_engine_in_time_wait, port_again_kernel_in_time_wait,
          congestion_is_marked, ecn_is_not_forced_on_anyone]


def matrix():
    for f in SINGLE:
        yield f.__name__, ""
        yield f.__name__, "family=6"
    for f in BULK:
        for bad in "", " loss=20 reorder=50":
            yield f.__name__, f"family=6{bad}"
        yield f.__name__, "family=6 off=sack+stamps+scale"
    for f in window_of_engine_shut, both_open_at_once, both_close_at_once:
        yield f.__name__, "loss=30"
        yield f.__name__, "off=sack+stamps+scale"
    for f in BULK:
        for law in "cubic", "reno", "bbr":
            for engine in "cubic", "bbr":
                yield f.__name__, f"law={law} engine={engine}"
                yield f.__name__, f"law={law} engine={engine} loss=10 reorder=50"
        for off in "sack", "stamps", "scale", "sack+stamps+scale":
            for bad in "", " loss=20", " reorder=100":
                yield f.__name__, f"off={off}{bad}"
        for mtu in 576, 1400, 9000:
            for bad in "", " loss=20 reorder=50":
                yield f.__name__, f"mtu={mtu}{bad}"


def main():
    if sys.argv[1:] == ["--list"]:
        for name, keys in matrix():
            print(name, keys)
        return 0
    cases = {f.__name__: f for f in BULK + SINGLE}
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    try:
        cases[sys.argv[1]](Case(dict(k.split("=") for k in sys.argv[2:])))
    except (Failure, OSError) as e:
        print(f"{' '.join(sys.argv[1:])}: {type(e).__name__}: {e}")
        return 1
    return 0


sys.exit(main())
