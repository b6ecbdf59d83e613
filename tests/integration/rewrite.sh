#!/bin/sh
# alice's virtual network is another one than bob's, so neither knows the other by the address it has at home: packets are
# rewritten, checksums and all, and everything works but that the two ends do not see the same four-tuple.
. "$(dirname "$0")/../lib/world.sh"
world_up
mkdir "$T/www"
cd "$T/www"
head -c 3M /dev/urandom >f
printf 'nodes = { "127.0.0.1:%s" }\nnetwork = "10.200.7.0/24"\n' "$(cat "$W/ring/port")" >"$W/alice/config/i3/i3.conf"
daemon_restart alice
bob=$(as alice i3ctl book ls --json | python3 -c 'import json,sys
print(*[e["address"] for e in json.load(sys.stdin)["entries"] if e["name"] == "bob"])')
alice=$(as bob i3ctl book ls --json | python3 -c 'import json,sys
print(*[e["address"] for e in json.load(sys.stdin)["entries"] if e["name"] == "alice"])')
case $bob in 10.200.7.*) ;; *) die "bob is $bob to alice" ;; esac

step "bytes both ways"
serve bob web python3 "$LIB/web.py"
as alice i3run curl -sS --max-time 20 "http://bob.i3:$PORT/f" | cmp - f || die "down: it differs"
expect "SHA-256 up" "$(as alice i3run curl -sS --max-time 20 -H Expect: -T f "http://bob.i3:$PORT/f")" \
    "$(sha256sum <f | cut -d' ' -f1)"

step "each end sees its own view"
serve bob names python3 "$LIB/names.py" server
as alice i3run python3 "$LIB/names.py" client bob.i3 "$PORT" >"$T/client"
read -r c_local c_peer <"$T/client"
expect "the client's peer" "$c_peer" "$bob:$PORT"
expect "the server's view" "$(sed -n 2p "$T/client")" "$(address_of bob):$PORT $alice:${c_local##*:}"

step "ICMP as well, and nothing was taken for forged"
as bob i3ctl ping alice 1 | grep -q ' 1 answered'
for u in alice bob; do
    expect "$u's spoofed packets" "$(as $u i3ctl status --json | field counters.packets_spoofed)" 0
    expect "$u's bad segments" "$(as $u i3ctl status --json | field counters.tcp_bad)" 0
done
