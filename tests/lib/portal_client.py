"""What a host without our software does at a portal: raw HTTP, TLS and DNS. Used by tests/integration/portal*.sh."""
import hashlib, os, random, socket, struct, sys, time

TYPES = {"A": 1, "NS": 2, "SOA": 6, "HINFO": 13, "TXT": 16, "AAAA": 28, "ANY": 255, "AXFR": 252, "OPT": 41}


def check(what, got, wanted):
    assert got == wanted, "%s: got %r, wanted %r" % (what, got, wanted)


def connect(at, source=None, timeout=20):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.settimeout(timeout)
    if source:
        s.bind((source, 0))
    s.connect(at)
    return s


def read_all(s):
    out = b""
    try:
        while True:
            piece = s.recv(65536)
            if not piece:
                return out
            out += piece
    except ConnectionResetError:
        return out + b"<reset>"


class Http:
    """One connection."""
    def __init__(self, at, source=None):
        self.s = connect(at, source)
        self.f = self.s.makefile("rb")

    def send(self, text):
        self.s.sendall(text if isinstance(text, bytes) else text.encode())
        return self

    def answer(self, head=False):
        """(status, body) of the next answer; (0, b"") at the end."""
        line = self.f.readline()
        if not line:
            return 0, b""
        status, length = int(line.split()[1]), 0
        while True:
            line = self.f.readline().strip().lower()
            if not line:
                break
            if line.startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        return status, b"" if head or status // 100 == 1 else self.f.read(length)

    def get(self, host, path="/", **headers):
        extra = "".join("%s: %s\r\n" % (k.replace("_", "-"), v) for k, v in headers.items())
        self.send("GET %s HTTP/1.1\r\nHost: %s\r\n%s\r\n" % (path, host, extra))
        return self.answer()


def name_bytes(name):
    return b"".join(bytes([len(l)]) + l.encode() for l in name.split(".") if l) + b"\0"


def query(name, kind, ident=None, flags=0, klass=1, edns=None, count=1):
    ident = random.randrange(65536) if ident is None else ident
    extra = b"" if edns is None else b"\0" + struct.pack(">HHIH", 41, edns[0], edns[1] << 16, 0)
    return struct.pack(">HHHHHH", ident, flags, count, 0, 0, edns is not None) + (name_bytes(name) + struct.pack(">HH", TYPES.get(kind, kind), klass)) * count + extra


def skip_name(m, at):
    while m[at]:
        if m[at] >= 192:
            return at + 2
        at += m[at] + 1
    return at + 1


class Answer:
    def __init__(self, m):
        self.raw = m
        self.ident, flags, q, an, ns, ar = struct.unpack(">HHHHHH", m[:12])
        self.rcode, self.aa, self.tc, self.ra, self.qr = flags & 15, bool(flags & 0x400), bool(flags & 0x200), bool(flags & 0x80), bool(flags & 0x8000)
        at = 12
        for _ in range(q):
            end = skip_name(m, at)
            self.qname = m[at:end]
            at = end + 4
        self.sections = []
        for n in an, ns, ar:
            section = []
            for _ in range(n):
                at = skip_name(m, at)
                kind, klass, ttl, size = struct.unpack(">HHIH", m[at:at + 10])
                section.append((kind, ttl, m[at + 10:at + 10 + size], klass))
                at += 10 + size
            self.sections.append(section)
        assert at == len(m), "bytes behind the answer"
        self.opt = [r for r in self.sections[2] if r[0] == 41]
        if self.opt:
            self.rcode |= self.opt[0][1] >> 24 << 4

    def addresses(self):
        return [socket.inet_ntop(socket.AF_INET if k == 1 else socket.AF_INET6, d) for k, _, d, _ in self.sections[0] if k in (1, 28)]

    def ttls(self):
        return sorted({t for _, t, _, _ in self.sections[0]})

    def kinds(self, section):
        return sorted(k for k, _, _, _ in self.sections[section])


def exchange(at, message, timeout=10):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(at)
        for _ in range(5):
            s.send(message)
            s.settimeout(timeout / 5)
            try:
                return s.recv(65536)
            except socket.timeout:
                pass
    return None


def ask(at, name, kind="A", **more):
    m = exchange(at, query(name, kind, **more))
    assert m, "no answer to %s %s" % (name, kind)
    return Answer(m)


def ask_tcp(at, *messages):
    with connect(at) as s:
        s.sendall(b"".join(struct.pack(">H", len(m)) + m for m in messages))
        f = s.makefile("rb")
        return [Answer(f.read(struct.unpack(">H", f.read(2))[0])) for _ in messages]
