#!/bin/sh
# root: hosts in namespaces. A client without our software asks its resolver (dnsmasq), which asks the portal's DNS; curl, a download of 200 MB and
# a talk at a waypoint by two clients for two names at once; a flood of SYNs at the listeners and at a waypoint while others are served.
. "$(dirname "$0")/../lib/netns.sh"
. "$LIB/star.sh"
command -v dnsmasq >/dev/null || { echo "no dnsmasq here"; exit 77; }
SIZE_MB=${SIZE_MB:-200}
star_begin n0 gate foo bar res c1 c2 bad
ring n0
for host in foo bar; do
    user $host <<EOF
expose web { port = 80  target = "127.0.0.1:8000"  allow = { "gate" } }
expose talk { port = 2222  target = "127.0.0.1:8000"  allow = { "gate" } }
EOF
    in_ns $host python3 "$T/portal_server.py" $host 8000 >"$T/$host.server.log" 2>&1 </dev/null &
done
for a in 50 51; do
    in_ns gate ip addr add 192.0.2.$a/24 dev eth
done
user gate <<EOF
portal {
    zone = "i3.example.org"
    ns = { "ns1.i3.example.org" }
    dns = { "0.0.0.0:5353" }
    waypoints = { "192.0.2.50", "192.0.2.51" }
    http = { "0.0.0.0:8080" }
    ports = { 2222 }
}
publish foo { to = "foo.i3"  ports = { 80, 2222 } }
publish bar { to = "bar.i3"  ports = { 80, 2222 }  from = { "$(at c1)/32", "$(at c2)/32", "$(at res)/32" } }
EOF
for host in foo bar; do
    know gate $host $host
    know $host gate gate
done
in_ns res dnsmasq --no-daemon --no-resolv --no-hosts --port=53 --server="/i3.example.org/$(at gate)#5353" --cache-size=1000 --log-facility="$T/dnsmasq.log" \
    >/dev/null 2>&1 </dev/null &
for c in c1 c2 bad; do
    echo "nameserver $(at res)" >"/etc/netns/$N$c/resolv.conf"
done
for host in foo bar; do
    port_in "$T/$host.server.log" >/dev/null
done

step "a browser's request, by the resolver"
for i in $(seq 100); do
    out=$(as c1 curl -sS -m 20 http://foo.i3.example.org:8080/ 2>"$T/curl.err") && break
    sleep 0.1
done
[ "$out" = "foo host=foo.i3.example.org:8080" ] || die "got '$out' $(cat "$T/curl.err")"
[ "$(as c2 curl -sS -m 20 http://bar.i3.example.org:8080/)" = "bar host=bar.i3.example.org:8080" ] || die "not bar"
[ "$(as bad curl -sS -m 20 -o /dev/null -w '%{http_code}' http://bar.i3.example.org:8080/)" = 403 ] || die "bar is not for everybody"
as c1 curl -sS -m 20 http://nix.i3.example.org:8080/ 2>"$T/curl.err" && die "nix is there" || :
grep -q 'resolve host' "$T/curl.err" || die "$(cat "$T/curl.err")"

step "$SIZE_MB MB"
as c1 curl -sS -m 120 "http://foo.i3.example.org:8080/bytes/$((SIZE_MB * 1000000))" -w '    %{size_download} bytes, %{speed_download} a second\n' -o "$T/c1/big"
[ "$(stat -c %s "$T/c1/big")" = $((SIZE_MB * 1000000)) ] || die "not all came"
python3 - "$T/c1/big" <<'EOF' || die "other bytes came"
import sys
block = bytes(range(256)) * 4096
with open(sys.argv[1], "rb") as f:
    while True:
        piece = f.read(len(block))
        if not piece:
            break
        assert piece == block[:len(piece)]
EOF
rm "$T/c1/big"

step "two clients, two names, one port: at once, by waypoints"
cat >"$T/talk.py" <<'EOF'
import socket, sys, time
name, want = sys.argv[1], sys.argv[2]
for _ in range(20):
    try:
        s = socket.create_connection((name, 2222), 20)
        break
    except socket.gaierror:
        time.sleep(0.2)
for i in range(20):
    s.sendall(b"raw %d\n" % i)
    f = f if i else s.makefile()
    if not i:
        assert f.readline().strip() == want, "somebody else"
    assert f.readline().strip() == "raw %d" % i
    time.sleep(0.02)
print("ok", s.getpeername()[0])
EOF
as c1 python3 "$T/talk.py" foo.i3.example.org foo >"$T/talk1" 2>&1 &
one=$!
as c2 python3 "$T/talk.py" bar.i3.example.org bar >"$T/talk2" 2>&1 &
two=$!
wait $one || die "$(cat "$T/talk1")"
wait $two || die "$(cat "$T/talk2")"
as c2 python3 "$T/talk.py" foo.i3.example.org foo >"$T/talk1" 2>&1 || die "$(cat "$T/talk1")"
as gate i3ctl portal --json | python3 -c 'import json,sys
b = json.load(sys.stdin)["bound"]
assert {(x["source"], x["name"]) for x in b} >= {(sys.argv[1], "foo"), (sys.argv[2], "bar")}, b' "$(at c1)" "$(at c2)"

step "a flood of SYNs, and others are served"
in_ns gate ip route add blackhole 198.18.0.0/15
for where in "$(at gate) 8080" "192.0.2.50 2222"; do
    # shellcheck disable=SC2086
    in_ns bad python3 "$T/portal_flood.py" syn $where 4 &
    flood=$!
    sleep 0.5
    as c1 python3 "$T/portal_flood.py" fetch "$(at gate)" 8080 foo.i3.example.org 50
    as c2 python3 "$T/talk.py" foo.i3.example.org foo >"$T/talk1" 2>&1 || die "$(cat "$T/talk1")"
    wait $flood
done
as c1 curl -sS -m 20 -o /dev/null http://foo.i3.example.org:8080/ || die "it did not recover"
