"""portal_flood.py WHAT ...: what a portal has to stand. Run where its addresses can be reached.
    loris ADDR PORT N HOST     N connections that send a byte of a head now and then, while others fetch a page; figures
    syn ADDR PORT SECONDS      SYNs from made-up sources, as fast as they go (root)
    fetch ADDR PORT HOST N     N fetches, each by a connection of its own: the slowest, and how many failed"""
import os, random, resource, socket, struct, sys, threading, time

from portal_client import Http, check, connect


def fetch(at, host, n):
    times, failed = [], 0
    for _ in range(n):
        begin = time.time()
        try:
            h = Http(at)
            if h.get(host)[0] != 200:
                failed += 1
            h.s.close()
        except OSError:
            failed += 1
        times.append(time.time() - begin)
    times.sort()
    return times, failed


def figures(what, times, failed):
    print("    %s: %d fetches, %d failed, median %.1f ms, slowest %.1f ms" % (what, len(times), failed, times[len(times) // 2] * 1e3, times[-1] * 1e3), flush=True)


def loris(addr, port, n, host):
    at = (addr, int(port))
    n = int(n)
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    figures("before", *fetch(at, host, 20))
    socks = []
    lost = 0

    def one():
        s = socket.socket()
        s.setblocking(False)
        s.bind(("127.0.%d.%d" % (random.randrange(64, 128), random.randrange(1, 255)), 0))
        s.connect_ex(at)
        return s

    socks = [one() for _ in range(n)]
    end = time.time() + 4
    worst, failed = [], 0
    while time.time() < end:
        for i, s in enumerate(socks):
            try:
                s.send(random.choice((b"G", b"X: y\r\n", b"GET / HTTP/1.1\r\n")))
            except BlockingIOError:
                pass
            except OSError:
                lost += 1
                s.close()
                socks[i] = one()
        t, f = fetch(at, host, 20)
        worst += t
        failed += f
    worst.sort()
    figures("with %d slow ones (%d were ended and came again)" % (n, lost), worst, failed)
    assert not failed, "%d fetches failed" % failed
    assert lost >= n - 1024 - 200, "they are not ended: %d" % lost
    assert worst[len(worst) // 2] < 2, "others are not served"


def checksum(b):
    s = sum(struct.unpack(">%dH" % (len(b) // 2), b))
    while s >> 16:
        s = (s & 0xffff) + (s >> 16)
    return ~s & 0xffff


def syn(addr, port, seconds):
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    to = socket.inet_aton(addr)
    packets = []
    for _ in range(20000):
        source = struct.pack(">BBBB", 198, 18 + random.randrange(2), random.randrange(256), random.randrange(256))
        tcp = struct.pack(">HHIIBBHHH", random.randrange(1024, 65536), int(port), random.randrange(1 << 32), 0, 5 << 4, 2, 64000, 0, 0)
        tcp = tcp[:16] + struct.pack(">H", checksum(source + to + struct.pack(">HH", 6, len(tcp)) + tcp)) + tcp[18:]
        packets.append(struct.pack(">BBHHHBBH4s4s", 0x45, 0, 40, random.randrange(65536), 0, 64, 6, 0, source, to) + tcp)
    end, n = time.time() + float(seconds), 0
    while time.time() < end:
        for p in packets:
            try:
                s.sendto(p, (addr, 0))
                n += 1
            except OSError:
                pass
    print("    %d SYNs in %s s" % (n, seconds), flush=True)


def fetches(addr, port, host, n):
    t, f = fetch((addr, int(port)), host, int(n))
    figures("fetched", t, f)
    assert not f, "%d failed" % f
    assert t[len(t) // 2] < 3, "slow: %s" % t[len(t) // 2]


if __name__ == "__main__":
    {"loris": loris, "syn": syn, "fetch": fetches}[sys.argv[1]](*sys.argv[2:])
