#!/bin/sh
# A host without our software reaches what alice's portal publishes: bob's servers, by Host, by SNI, and by a waypoint's address. All of it is on
# loopback: the waypoints are 127.0.3.x.
. "$(dirname "$0")/../lib/world.sh"
world_up
export PYTHONPATH=$LIB
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=foo.i3.example.org -addext subjectAltName=DNS:foo.i3.example.org,DNS:bar.i3.example.org \
    -keyout "$T/key.pem" -out "$T/cert.pem" 2>/dev/null
cat "$T/key.pem" >>"$T/cert.pem"
serve bob foo python3 "$LIB/portal_server.py" foo
FOO=$PORT
serve bob bar python3 "$LIB/portal_server.py" bar
BAR=$PORT
serve bob tls python3 "$LIB/portal_server.py" tls 0 "$T/cert.pem"
TLS=$PORT
DNS=$(free_port) HTTP=$(free_port) HTTPS=$(free_port)
WP=$FOO # the waypoint's port is that of the server

portal_config() {
    grep -v '^# portal' "$W/alice/config/i3/i3.conf" | sed '/^portal {/,$d' >"$T/conf"
    cat >>"$T/conf" <<EOF
portal {
    zone = "i3.example.org"
    ns = { "ns1.i3.example.org", "ns.example.net" }
    dns = { "127.0.0.1:$DNS" }
    waypoints = { "127.0.3.1", "127.0.3.2", "::1" }
    http = { "0.0.0.0:$HTTP" }
    tls = { "0.0.0.0:$HTTPS" }
    ports = { $WP, $BAR }
}
publish foo { to = "bob.i3"  ports = { 80, $WP } }
publish bar { to = "bob.i3"  ports = { $BAR }  from = { "127.0.0.0/8" } }
publish web { to = "bob.i3"  ports = { $((WEB)) } }
publish far { to = "bob.i3"  ports = { $((WEB)) }  from = { "198.51.100.0/24" } }
publish shut { to = "bob.i3"  ports = { 9 } }
publish nobody { to = "nobody.i3"  ports = { 80 } }
publish tls { to = "bob.i3"  ports = { $HTTPS_OF } }
publish deep.er { to = "bob.i3"  ports = { $((WEB)) } }
$1
EOF
    cp "$T/conf" "$W/alice/config/i3/i3.conf"
}
serve bob web python3 "$LIB/portal_server.py" web
WEB=$PORT
HTTPS_OF=443
portal_config ""
as alice i3d --check
daemon_restart alice
ports="$DNS $HTTP $HTTPS $WP $BAR $WEB"

step "DNS"
python3 "$LIB/portal_test.py" dns $ports
step "HTTP"
python3 "$LIB/portal_test.py" http $ports
step "waypoints"
python3 "$LIB/portal_test.py" waypoints $ports
