import sys
from portal_client import *
what = sys.argv[1]
DNS, HTTP, TLS, WP, BAR, WEB = map(int, sys.argv[2:8])
Z = "i3.example.org"
dns, http, tls = ("127.0.0.1", DNS), ("127.0.0.1", HTTP), ("127.0.0.1", TLS)
if what == "dns":
    a = ask(dns, "web." + Z)
    print(a.rcode, a.aa, a.addresses(), a.ttls())
    a = ask(dns, "nix." + Z); print(a.rcode, a.aa, a.sections)
    a = ask(dns, Z, "NS"); print(a.rcode, a.aa, a.sections)
    a = ask(dns, Z, "SOA"); print(a.rcode, a.aa, a.sections)
elif what == "http":
    h = Http(http)
    print(h.get("web.%s:%d" % (Z, HTTP)))
    print(h.get("web.%s:%d" % (Z, HTTP)))
    print(h.get("far.%s:%d" % (Z, HTTP)))
    for n in "nix", "far", "shut", "nobody", "foo":
        print(n, Http(http).get("%s.%s" % (n, Z)))
elif what == "waypoints":
    a = ask(dns, "foo." + Z); print(a.addresses())
    s = connect((a.addresses()[0], WP)); s.sendall(b"raw hello\n"); print(s.recv(100), s.recv(100))
