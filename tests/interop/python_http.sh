#!/bin/sh
# Python: http.server on one side; urllib, http.client and a pool of threads on the other; socketserver, ftplib's, smtplib's and
# xmlrpc's ways of using sockets; socket.create_server for both families.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
need python3
world_up
alice=$(address_of alice) bob=$(address_of bob)
mkdir "$T/www"
cd "$T/www"
head -c 2000000 /dev/urandom >"$T/www/big"
port=$(free_port)

cat >"$T/client.py" <<'P'
import concurrent.futures, hashlib, http.client, socket, sys, urllib.error, urllib.request
host, port, path, me = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
want = hashlib.sha256(open(path, "rb").read()).digest()
url = "http://%s:%d" % (host, port)

def fetch(i=0):
    with urllib.request.urlopen("%s/big?%d" % (url, i), timeout=20) as r:
        return hashlib.sha256(r.read()).digest() == want

assert fetch()
with concurrent.futures.ThreadPoolExecutor(16) as pool:
    assert all(pool.map(fetch, range(64)))
try:
    urllib.request.urlopen(url + "/none", timeout=20)
    raise SystemExit("a page that is not there")
except urllib.error.HTTPError as e:
    assert e.code == 404
# one with a timeout, so the socket is not blocking; its names
c = http.client.HTTPConnection(host, port, timeout=20)
c.connect()
assert c.sock.getpeername() == (socket.gethostbyname(host), port), c.sock.getpeername()
assert c.sock.getsockname()[0] == me and c.sock.gettimeout() == 20
c.request("GET", "/big")
assert hashlib.sha256(c.getresponse().read()).digest() == want
c.close()
# from a port of one's own choice
with socket.create_connection((host, port), 20, ("", 0)) as s:
    assert s.getsockname()[0] == me, s.getsockname()
# nobody there; and a name that nobody has
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    nobody = probe.getsockname()[1]
for where, error in ((host, ConnectionRefusedError), ("nobody-of-that-name.i3", socket.gaierror)):
    try:
        socket.create_connection((where, nobody), 10)
        raise SystemExit("connected to nobody")
    except error:
        pass
print("done")
P

for bind in 127.0.0.1 0.0.0.0 :: ; do
    step "http.server on $bind"
    back_on "$port" bob web python3 -m http.server -p HTTP/1.1 --bind $bind "$port"
    expect "the client" "$(as alice i3run timeout 60 python3 "$T/client.py" bob.i3 "$port" "$T/www/big" "$alice")" done
    must_have "$T/web.log" "^\(::ffff:\)\?$alice - - .*GET /big"
    end $SERVER
done

step "servers by thread and by fork, for both families on one socket"
cat >"$T/server.py" <<'P'
import os, socket, socketserver, sys
class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(b"%s %s" % (self.client_address[0].encode(), line))
class Both(socketserver.TCPServer):
    address_family = socket.AF_INET6
    allow_reuse_address = True
    request_queue_size = 64
class Threads(socketserver.ThreadingMixIn, Both):
    daemon_threads = True
class Forks(socketserver.ForkingMixIn, Both):
    max_children = 64
with {"threads": Threads, "forks": Forks}[sys.argv[1]](("::", 0), Handler) as s:
    print("port", s.server_address[1], flush=True)
    s.serve_forever()
P
cat >"$T/lines.py" <<'P'
import concurrent.futures, socket, sys
host, port, want = sys.argv[1], int(sys.argv[2]), {socket.AF_INET: "::ffff:" + sys.argv[3], socket.AF_INET6: sys.argv[4]}
def talk(i):
    family = (socket.AF_INET, socket.AF_INET6)[i % 2]
    with socket.socket(family) as s:
        s.settimeout(20)
        s.connect((host, port))
        f = s.makefile("rw")
        for j in range(20):
            print("line", i, j, file=f, flush=True)
            assert f.readline() == "%s line %d %d\n" % (want[family], i, j)
    return 1
with concurrent.futures.ThreadPoolExecutor(20) as pool:
    print(sum(pool.map(talk, range(40))))
P
alice6=$(as alice i3ctl id --json | field address6)
for kind in threads forks; do
    serve bob $kind python3 "$T/server.py" $kind
    expect "$kind" "$(as alice i3run timeout 60 python3 "$T/lines.py" bob.i3 "$PORT" "$alice" "$alice6")" 40
    end $SERVER
done
