"""portal_test.py WHAT DNS HTTP TLS WAYPOINT BAR: the parts of tests/integration/portal.sh that speak for themselves. WAYPOINT, BAR: ports of the waypoints at
which foo and bar are; the portal is at 127.0.0.1, its waypoints are 127.0.3.1 and .2."""
import ssl
import sys
import threading

from portal_client import *

Z = "i3.example.org"
DNS, HTTP, TLS, WP, BAR = map(int, sys.argv[2:7])
dns, http, tls = ("127.0.0.1", DNS), ("127.0.0.1", HTTP), ("127.0.0.1", TLS)
WAYPOINTS = ["127.0.3.1", "127.0.3.2"]


def test_dns():
    a = ask(dns, "web." + Z)
    check("addresses", (a.rcode, a.aa, a.ra, a.tc, sorted(a.addresses()), a.ttls()), (0, True, False, False, WAYPOINTS, [0]))
    check("its case", ask(dns, "WeB.I3.eXample.ORG").qname, name_bytes("WeB.I3.eXample.ORG"))
    check("IPv6", ask(dns, "web." + Z, "AAAA").addresses(), ["::1"])
    check("one alone for who needs it", len(ask(dns, "foo." + Z).addresses()), 1)
    a = ask(dns, "nix." + Z)
    check("an unknown name", (a.rcode, a.aa, a.kinds(0), a.kinds(1)), (3, True, [], [6]))
    check("what keeps it in mind", a.sections[1][0][1], 10)
    check("below a name", ask(dns, "www.web." + Z).rcode, 3)
    a = ask(dns, "web." + Z, "TXT")
    check("no such record", (a.rcode, a.kinds(0), a.kinds(1)), (0, [], [6]))
    check("between", (ask(dns, "er." + Z).rcode, ask(dns, "deep.er." + Z).rcode), (0, 0))
    check("name servers", [(d, t) for _, t, d, _ in ask(dns, Z, "NS").sections[0]][1][1], 3600)
    check("their kinds", (ask(dns, Z, "NS").kinds(0), ask(dns, Z, "SOA").kinds(0), ask(dns, Z, "A").kinds(1)), ([2, 2], [6], [6]))
    check("glue", ask(dns, "ns1." + Z).addresses(), ["127.0.0.1"])
    check("elsewhere", [ask(dns, n).rcode for n in ("example.org", "i3.example.com", "xi3.example.org")], [5, 5, 5])
    check("a transfer, another class", (ask(dns, Z, "AXFR").rcode, ask(dns, "web." + Z, klass=3).rcode), (5, 5))
    check("all", ask(dns, "web." + Z, "ANY").kinds(0), [13])
    check("EDNS", [bool(ask(dns, "web." + Z, edns=(1232, v)).opt) for v in (0, 1)], [True, True])
    check("a newer EDNS", ask(dns, "web." + Z, edns=(1232, 1)).rcode, 16)
    check("an update", Answer(exchange(dns, query("web." + Z, "A", flags=0x2800))).rcode, 4)
    check("two questions", exchange(dns, query("web." + Z, "A", count=2))[3] & 15, 1)
    both = ask_tcp(dns, query("web." + Z, "A", ident=1), query("nix." + Z, "A", ident=2))
    check("by TCP", [(a.ident, a.rcode) for a in both], [(1, 0), (2, 3)])
    for junk in b"", b"x", b"\0" * 11, os.urandom(40), b"\x80" * 600:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.sendto(junk, dns)


def test_limit():
    """A second of questions from one address, and another network is answered all the same."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    s.connect(dns)
    asked = got = full = out = 0
    end = time.time() + 1
    while time.time() < end:
        for _ in range(50):
            q = query("web." + Z, "A")
            asked += 1
            out += len(q)
            s.send(q)
        time.sleep(0.002)
    s.settimeout(0.5)
    back = 0
    try:
        while True:
            a = Answer(s.recv(4096)) if False else s.recv(4096)
            got += 1
            back += len(a)
            full += len(a) > 12
    except socket.timeout:
        pass
    print("    asked %d, answered %d, told to come by TCP %d; bytes in %d, out %d" % (asked, full, got - full, out, back))
    assert full <= 100 + 50 * 4, "%d answers" % full
    assert back < out, "it amplifies"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as o:
        o.bind(("127.0.9.1", 0))
        o.settimeout(10)
        o.sendto(query("web." + Z, "A"), dns)
        check("another network", Answer(o.recv(4096)).rcode, 0)
    check("and by TCP", ask_tcp(dns, query("web." + Z, "A"))[0].rcode, 0)


def status(host, **more):
    return Http(http).get(host, **more)[0]


def test_http():
    web = "web." + Z
    h = Http(http)
    for i in range(3):
        check("keep-alive", h.get("%s:%d" % (web, HTTP)), (200, ("web host=%s:%d\n" % (web, HTTP)).encode()))
    check("no port", h.get("WEB.%s." % Z)[0], 421)
    check("after it, the end", h.answer(), (0, b""))
    check("an absolute form", Http(http).send("GET http://%s/ HTTP/1.1\r\nHost: bar\r\n\r\n" % web).answer()[0], 200)
    check("HTTP/1.0", read_all(Http(http).send("GET / HTTP/1.0\r\nHost: %s\r\n\r\n" % web).s)[-5:].endswith(b"\n"), True)
    check("in pieces", slowly("GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % web), 200)
    check("statuses", [status(n) for n in ("nix." + Z, "www.web." + Z, Z, "far." + Z, "shut." + Z, "nobody." + Z, "example.org", "127.0.0.1")],
        [404, 404, 404, 403, 502, 502, 421, 421])
    for text, wanted in (("GET / HTTP/1.1\r\n\r\n", 400), ("GET / HTTP/1.1\r\nHost: %s\r\nHost: %s\r\n\r\n" % (web, web), 400), ("nonsense\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: %s\r\nX: %s\r\n\r\n" % (web, "x" * 20000), 431), ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)):
        check(text[:30], Http(http).send(text).answer()[0], wanted)

    # requests for two hosts in one write: the second goes nowhere
    h = Http(http).send("GET /one HTTP/1.1\r\nHost: %s\r\n\r\nGET /two HTTP/1.1\r\nHost: bar.%s\r\n\r\n" % (web, Z))
    check("both", [h.answer()[0], h.answer()[0], h.answer()[0]], [200, 421, 0])
    h = Http(http)
    check("a body", (h.send("PUT / HTTP/1.1\r\nHost: %s\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: bar.%s\r\n\r\n" % (web, Z)).answer()[1].strip().decode(), h.answer()[0]),
        (hashlib.sha256(b"abc").hexdigest(), 421))

    data = os.urandom(3000000)
    h = Http(http).send("PUT /up HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n" % web)
    check("100", h.answer()[0], 100)
    for at in range(0, len(data), 70001):
        piece = data[at:at + 70001]
        h.send(b"%x;x=y\r\n%s\r\n" % (len(piece), piece))
    check("chunked", h.send("0\r\nA: b\r\n\r\n").answer()[1].strip().decode(), hashlib.sha256(data).hexdigest())
    check("and again", h.get(web)[0], 200)
    h.send(b"PUT /up HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n\r\n%s" % (web.encode(), len(data), data))
    check("with a length", h.answer()[1].strip().decode(), hashlib.sha256(data).hexdigest())

    # a WebSocket: what would be a request for another host is a message
    h = Http(http).send("GET /ws HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n" % web)
    check("101", h.answer()[0], 101)
    for message in b"\x81\x05hello", b"GET / HTTP/1.1\r\nHost: bar." + Z.encode() + b"\r\n\r\n", os.urandom(100000):
        h.send(message)
        check("an echo", h.f.read(len(message)), message)
    # refused: HTTP goes on
    h = Http(http)
    check("an upgrade that is not taken", (h.get(web, Upgrade="h2c", Connection="Upgrade")[0], h.get(web)[0], h.get("bar." + Z)[0]), (200, 200, 421))

    h = Http(http).send("GET /bytes/20000000 HTTP/1.1\r\nHost: %s\r\n\r\nGET / HTTP/1.1\r\nHost: %s\r\n\r\n" % (web, web))
    status_, body = h.answer()
    check("20 MB", (status_, len(body), body[:256] == bytes(range(256)), h.answer()[0]), (200, 20000000, True, 200))

    # who is gone while his host is asked leaves nothing behind; many at once
    for _ in range(20):
        Http(http).send("GET / HTTP/1.1\r\nHost: %s\r\n\r\n" % web).s.close()
    many = [Http(http) for _ in range(100)]
    check("a hundred", {h.get(web)[0] for h in many}, {200})


def slowly(text):
    h = Http(http)
    for c in text.encode():
        h.send(bytes([c]))
    return h.answer()[0]


def test_tls():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def get(name):
        with connect(tls) as s, context.wrap_socket(s, server_hostname=name) as t:
            t.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
            return read_all(t)

    assert b"tls host=x" in get("tls." + Z)
    for name, word in ("nix." + Z, "unrecognized"), (None, "handshake"), ("example.org", "unrecognized"):
        try:
            get(name)
            raise AssertionError("no alert for %s" % name)
        except ssl.SSLError as e:
            assert word in str(e).lower() or "alert" in str(e).lower(), "%s: %s" % (name, e)
    s = connect(tls)
    s.sendall(b"GET / HTTP/1.0\r\n\r\n")
    check("no TLS", read_all(s)[:6], b"\x15\x03\x03\x00\x02\x02")


def raw(at, port, source=None):
    """The name of who is there, or why nobody is."""
    try:
        with connect((at, port), source) as s:
            s.sendall(b"raw hello\n")
            line = s.makefile().readline().strip()
            return line or "end"
    except (ConnectionResetError, ConnectionRefusedError):
        return "reset"


def at_waypoint(name):
    """Its address, however long it takes to be free."""
    for _ in range(40):
        a = ask(dns, "%s.%s" % (name, Z))
        if a.rcode == 0:
            return a.addresses()[0]
        check("what is not free", a.rcode, 2)
        time.sleep(0.1)


def test_waypoints():
    time.sleep(1.1) # others have asked before
    check("nobody has asked", [raw(w, WP) for w in WAYPOINTS], ["reset", "reset"])
    foo, bar = at_waypoint("foo"), at_waypoint("bar")
    assert foo != bar
    check("two names at once, from two", (raw(foo, WP, "127.0.4.1"), raw(bar, BAR, "127.0.4.2")), ("foo", "bar"))
    check("the wrong port of it", raw(foo, BAR, "127.0.4.3"), "reset")
    ask(dns, "third." + Z)
    check("a third name has to wait", ask(dns, "third." + Z).rcode, 2)
    time.sleep(1.1)
    check("bound, and not bound", (raw(foo, WP, "127.0.4.1"), raw(bar, BAR, "127.0.4.2"), raw(foo, WP, "127.0.4.9")), ("foo", "bar", "reset"))
    # both waypoints have somebody: a third name gets one of them, and who is bound there cannot be told apart for a while
    third = at_waypoint("third")
    who, port = ("127.0.4.1", WP) if third == foo else ("127.0.4.2", BAR)
    check("it could be either", raw(third, port, who), "reset")
    check("a newcomer's is clear", raw(third, WP, "127.0.4.5"), "foo")
    long = connect((third, WP), "127.0.4.5")
    long.sendall(b"raw\n")
    check("a talk", long.recv(100)[:3], b"foo")


globals()["test_" + sys.argv[1]]()
