#!/bin/sh
# A host without our software reaches what alice's portal publishes, bob's servers: by Host, by SNI, and by a waypoint's address. All of it on loopback,
# where the waypoints are 127.0.3.x.
. "$(dirname "$0")/../lib/world.sh"
command -v openssl >/dev/null || { echo "no openssl here"; exit 77; }
world_up
export PYTHONPATH="$LIB"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=x -keyout "$T/key.pem" -out "$T/cert.pem" 2>"$T/openssl.log"
cat "$T/key.pem" >>"$T/cert.pem"
DNS=$(free_port) HTTP=$(free_port) TLS=$(free_port) FOO=$(free_port) BAR=$(free_port)

# plain NAME [CERT]: a server of this host, which bob exposes; its port in PORT
plain() {
    python3 "$LIB/portal_server.py" "$1" 0 ${2-} >"$T/$1.log" 2>&1 </dev/null &
    STARTED="$STARTED $!"
    wait_for 15 grep -q '^port ' "$T/$1.log" || die "no server: $(cat "$T/$1.log")"
    PORT=$(sed -n 's/^port //p' "$T/$1.log")
}
# expose NAME PORT TARGET
expose() {
    printf 'expose %s {\n    port = %s\n    target = "127.0.0.1:%s"\n    allow = { "alice" }\n}\n' "$@" >>"$W/bob/config/i3/i3.conf"
}
plain foo
expose foo "$FOO" "$PORT"
plain bar
expose bar "$BAR" "$PORT"
plain web
expose web 80 "$PORT"
plain tls "$T/cert.pem"
expose tls 443 "$PORT"
as bob i3ctl reload >/dev/null
cp "$W/alice/config/i3/i3.conf" "$T/before"

# portal WEB-AND-MORE: alice's, with those sections
portal() {
    cat "$T/before" - >"$T/conf" <<EOF
portal {
    zone = "I3.example.org."
    ns = { "ns1.i3.example.org", "ns.example.net" }
    dns = { "127.0.0.1:$DNS" }
    waypoints = { "127.0.3.1", "127.0.3.2", "::1" }
    http = { "0.0.0.0:$HTTP" }
    tls = { "0.0.0.0:$TLS" }
    ports = { $FOO, $BAR }
}
publish foo { to = "bob.i3"  ports = { $FOO } }
publish bar { to = "bob.i3"  ports = { $BAR }  from = { "127.0.0.0/8" } }
publish third { to = "bob.i3"  ports = { $FOO } }
publish far { to = "bob.i3"  from = { "198.51.100.0/24" } }
publish shut { to = "bob.i3"  ports = { 9 } }
publish nobody { to = "nobody.i3" }
publish tls { to = "bob.i3" }
publish deep.er { to = "bob.i3" }
$1
EOF
    cp "$T/conf" "$W/alice/config/i3/i3.conf"
    as alice i3d --check >/dev/null
    as alice i3ctl reload >/dev/null
}
portal 'publish web { to = "bob.i3" }'
try() {
    step "$1"
    python3 "$LIB/portal_test.py" "$1" "$DNS" "$HTTP" "$TLS" "$FOO" "$BAR"
}
count() {
    as alice i3ctl portal --json | field "counters.$1"
}
try dns
try http
try tls
try waypoints
try limit

step "what passed is counted and logged"
[ "$(count misdirected)" -ge 4 ] && [ "$(count ambiguous)" -ge 1 ] && [ "$(count unclaimed)" -ge 3 ] && [ "$(count barred)" -ge 1 ] || die "$(as alice i3ctl portal)"
[ "$(count dns_slipped)" -ge 1 ] && [ "$(count dns_dropped)" -ge 1 ] && [ "$(count dns_busy)" -ge 1 ] || die "$(as alice i3ctl portal)"
as alice i3ctl portal | grep -q "web.i3.example.org" || die "no names"
as alice i3ctl metrics | grep -q '^i3d_portal_accepted_total [1-9]' || die "no metrics"
grep -q 'portal http from=127.* name=web to=bob.i3:80 in=[1-9].* end="a request for another host"' "$W/alice/run/i3/i3d.log" || die "no line"
grep -q '/two\|Host: bar' "$T/web.log" && die "a request reached the wrong server" || :

step "2,000 slow ones, and others are served"
python3 "$LIB/portal_flood.py" loris 127.0.0.1 "$HTTP" 2000 web.i3.example.org
[ "$(count gave_way)" -ge 500 ] || die "nobody gave way: $(as alice i3ctl portal)"

step "a reload keeps connections, and ends those that are not allowed any more"
cat >"$T/hold.py" <<'EOF'
import sys
from portal_client import *
h = [Http(("127.0.0.1", int(sys.argv[1]))) for _ in range(2)]
hosts = ["web.i3.example.org", "tls2.i3.example.org"]
for c, n in zip(h, hosts):
    check(n, c.get(n)[0], 200)
print("ready", flush=True)
sys.stdin.readline()
try:
    check("ended", h[1].get(hosts[1])[0], 0)
except OSError:
    pass
check("goes on", h[0].get(hosts[0])[0], 200)
EOF
portal 'publish web { to = "bob.i3" } publish tls2 { to = "bob.i3" }'
mkfifo "$T/go"
python3 "$T/hold.py" "$HTTP" <"$T/go" >"$T/hold.log" 2>&1 &
held=$!
exec 9>"$T/go"
wait_for 15 grep -q ready "$T/hold.log" || die "$(cat "$T/hold.log")"
portal 'publish web { to = "bob.i3" }'
echo >&9
wait $held || die "$(cat "$T/hold.log")"
exec 9>&-

step "where it cannot listen is said"
portal "publish web { to = \"bob.i3\" }
# " >/dev/null
sed -i 's/^    tls = .*/    tls = { "192.0.2.77:8443" }/' "$W/alice/config/i3/i3.conf"
as alice i3ctl reload >/dev/null
as alice i3ctl portal | grep -q '192.0.2.77:8443/tcp: NOT LISTENING' || die "$(as alice i3ctl portal)"
as alice i3ctl status | grep -q 'does not listen everywhere: tls at 192.0.2.77:8443' || die "$(as alice i3ctl status)"

step "limits"
sed -i 's/^    tls = .*/    per-source = 3/' "$W/alice/config/i3/i3.conf"
as alice i3ctl reload >/dev/null
python3 - "$HTTP" <<'EOF'
import sys
from portal_client import *
h = [Http(("127.0.0.1", int(sys.argv[1]))) for _ in range(3)]
check("three", {c.get("web.i3.example.org")[0] for c in h}, {200})
check("a fourth", Http(("127.0.0.1", int(sys.argv[1]))).answer()[0], 503)
check("from another", Http(("127.0.0.1", int(sys.argv[1])), "127.0.8.8").get("web.i3.example.org")[0], 200)
EOF
sed -i 's/^    per-source = .*/    connections = 5/' "$W/alice/config/i3/i3.conf"
as alice i3ctl reload >/dev/null
python3 - "$HTTP" <<'EOF'
import sys
from portal_client import *
h = [Http(("127.0.0.1", int(sys.argv[1]))) for _ in range(5)]
check("five", {c.get("web.i3.example.org")[0] for c in h}, {200})
check("a sixth", Http(("127.0.0.1", int(sys.argv[1]))).answer()[0], 503)
h[0].s.close(), h[0].f.close()
time.sleep(0.5)
check("and when one has gone", Http(("127.0.0.1", int(sys.argv[1]))).get("web.i3.example.org")[0], 200)
EOF

step "a portal that is taken away, and what cannot be listened at"
cp "$T/before" "$W/alice/config/i3/i3.conf"
as alice i3ctl reload >/dev/null
as alice i3ctl portal >"$T/none" 2>&1 && die "there is still a portal" || :
python3 -c 'import socket, sys; sys.exit(socket.socket().connect_ex(("127.0.0.1", int(sys.argv[1]))) == 0)' "$HTTP" || die "it still listens"
