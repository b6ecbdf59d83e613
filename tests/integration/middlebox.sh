#!/bin/sh
# Middle-boxes: alice's rule sends her packets for bob by carol, and bob's come back so.
. "$(dirname "$0")/../lib/world.sh"
world_up
user_add carol
know bob alice
know alice bob
know alice carol
know carol alice
conf() { # USER: appends what comes by stdin, and has it read
    cat >>"$W/$1/config/i3/i3.conf"
    as "$1" i3ctl reload >/dev/null || die "reload at $1"
}
conf carol <<E2
middlebox { allow = { "alice" } }
E2
conf alice <<E2
rule { suffix = ".i3" action = "overlay" through = { "carol" } }
E2
as alice timeout 20 i3ctl ping bob 3 || die "no ping"

step "what passes is in a file, with the addresses of the two"
cat >"$W/carol/config/i3/i3.conf.new" <<E2
nodes = { "127.0.0.1:$(cat "$W/ring/port")" }
middlebox { allow = { "alice" } tap = { "file:$T/tap.pcap" } }
E2
cat "$W/carol/config/i3/i3.conf"
grep -v middlebox "$W/carol/config/i3/i3.conf" >"$T/conf"; cat "$T/conf" - >"$W/carol/config/i3/i3.conf" <<E2
middlebox { allow = { "alice" } tap = { "file:$T/tap.pcap" } }
E2
as carol i3ctl stop >/dev/null
user_start carol
head -c 4000000 /dev/urandom >"$T/big"
cd "$T"
serve bob web python3 "$LIB/web.py"
sum=$(sha256sum <big | cut -d' ' -f1)
expect "SHA-256 down" "$(as alice i3run curl -sS --max-time 60 "http://bob.i3:$PORT/big" | sha256sum | cut -d' ' -f1)" "$sum"
sleep 1
tshark -r tap.pcap 2>/dev/null | head -8
tshark -r tap.pcap -q -z conv,tcp 2>/dev/null | tail -4
as bob i3ctl status --json | head -c 600
tail -3 "$W/carol/run/i3/i3d.log"
