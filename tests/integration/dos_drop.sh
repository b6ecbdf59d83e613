#!/bin/sh
# A friend whose program floods us is dropped (paper 4.1): its packets end at the node, which counts them; another friend's connection
# goes through it all, and is as fast as it was. Let in again, it talks again; and a drop outlives the daemon.
. "$(dirname "$0")/../lib/world.sh"

FLOOD_S=90 # at most: it is ended when it has been measured
FLOOD_PPS=50000 # a rate that leaves the machine's cores to others: flooder, victim and node are all on it

# The counter of a USER's daemon, or of the node.
counter() {
    as "$1" i3ctl metrics 2>/dev/null | awk -v n="$2" '$1 == n { print $2 }'
}
node_counter() {
    as alice i3ctl metrics --node "$W/ring/node.sock" | awk -v n="$1" '$1 == n { print $2 }'
}

# per_second COMMAND...: by how much what it prints grows in a second, over two of them.
per_second() {
    first=$("$@") began=$(date +%s%N)
    sleep 2
    last=$("$@") ended=$(date +%s%N)
    awk -v a="$first" -v b="$last" -v ns=$((ended - began)) 'BEGIN { printf "%d", (b - a) / (ns / 1e9) }'
}

# carol takes that many megabytes from alice, at so many a second: "gap MS rate MB_PER_S". All of this is on one machine, so at full tilt it would
# be measured who gets its cores.
take() {
    as carol i3run python3 "$LIB/pour.py" alice.i3 "$POUR" down "$1" ${2-} 2>&1 | tail -1
}
rate_of() {
    echo "$1" | sed 's/.*rate //'
}

world_up
for u in alice bob; do
    echo 'shortcut = no' >>"$W/$u/config/i3/i3.conf"
    daemon_restart $u
done
user_add carol
know alice carol
know carol alice

step "without a flood"
serve alice pour python3 "$LIB/pour.py" serve
POUR=$PORT
serve alice sink python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 0))
print("port", s.getsockname()[1])
while True:
    s.recv(65536)'
SINK=$PORT
quiet=$(take 250 150)
echo "carol, before: $quiet"

step "bob floods, and carol has a connection that goes on"
as bob i3run python3 "$LIB/udp_flood.py" alice.i3 "$SINK" $FLOOD_S 1000 $FLOOD_PPS >"$T/flood" 2>&1 </dev/null &
STARTED="$STARTED $!"
FLOOD=$!
wait_for 10 grep -q started "$T/flood" || die "no flood: $(cat "$T/flood")"
as carol i3run python3 "$LIB/pour.py" alice.i3 "$POUR" down 10 1 >"$T/long" 2>&1 </dev/null &
STARTED="$STARTED $!"
LONG=$!
wait_for 10 grep -q started "$T/long" || die "carol has no connection: $(cat "$T/long")"
before=$(per_second counter alice i3d_udp_packets_in_total)
during=$(take 250 150)
[ "$before" -gt 2000 ] || die "that is no flood: $before packets a second"

step "alice drops bob"
as alice i3ctl drop bob >"$T/said"
grep -q 'bob is dropped until' "$T/said" || die "drop said: $(cat "$T/said")"
wait_for 10 grep -q 'private ids changed' "$W/alice/run/i3/i3d.log" || die "the private ids stay"
sleep 0.3
after=$(per_second counter alice i3d_udp_packets_in_total)
at_node=$(per_second node_counter i3node_packets_unmatched_total)
fast=$(take 250 150)
kill -0 $FLOOD 2>/dev/null || die "the flood was over too soon: $(cat "$T/flood")"
echo "packets per second at alice: $before, then $after; dropped by the node: $at_node"
ratio() {
    awk -v a="$(rate_of "$1")" -v b="$(rate_of "$quiet")" 'BEGIN { printf "%.2f of what it was", a / b }'
}
echo "carol, in the flood: $during; $(ratio "$during")"
echo "carol, bob dropped:  $fast; $(ratio "$fast")"
[ "$after" -lt $((before / 10)) ] || die "the flood still comes: $before, then $after packets a second"
[ "$at_node" -gt $((before / 4)) ] || die "it does not end at the node: $at_node of $before a second"
wait $LONG || die "carol's connection broke: $(cat "$T/long")"
echo "carol, all along: $(tail -1 "$T/long")"
grep -q 'rate' "$T/long" || die "carol's connection has not ended well"

step "shown, once"
as alice i3ctl status >"$T/status"
grep -q 'bob .*you said so' "$T/status" || die "status does not show it: $(cat "$T/status")"
expect "dropped, in JSON" "$(as alice i3ctl status --json | field dropped.0.name)" bob
expect "i3ctl drop lists it" "$(as alice i3ctl drop --json | field dropped.0.why)" asked
kill $FLOOD
wait $FLOOD || :
lines=$(grep -c -e 'level=warn' -e ' warn' "$W/alice/run/i3/i3d.log" || :)
[ "${lines:-0}" -le 5 ] || die "$lines warnings for one flood"

step "neither way, and not after a restart either"
as bob timeout 3 i3ctl ping alice 1 >/dev/null 2>&1 && die "bob is answered"
as alice timeout 3 i3ctl ping bob 1 >/dev/null 2>&1 && die "alice asks bob"
daemon_restart alice
expect "still dropped" "$(as alice i3ctl status --json | field dropped.0.name)" bob
as bob timeout 3 i3ctl ping alice 1 >/dev/null 2>&1 && die "bob is answered after a restart"
as carol i3ctl ping alice 2 >/dev/null || die "carol is not answered"

step "undrop"
as alice i3ctl undrop bob.i3 >/dev/null
wait_for 15 as bob i3ctl ping alice 1 || die "bob is not let in again"
as alice i3ctl undrop bob >/dev/null 2>&1 && die "undrop of who is not dropped"
as alice i3ctl drop nobody >/dev/null 2>&1 && die "drop of who is not in the book"
as alice i3ctl drop bob 1x >/dev/null 2>&1 && die "1x is a time"

step "for a time"
as alice i3ctl drop bob 2s >/dev/null
as bob timeout 3 i3ctl ping alice 1 >/dev/null 2>&1 && die "bob is answered at once"
wait_for 15 as bob i3ctl ping alice 1 || die "the time does not end"

step "a guest that goes on where it has no leave is dropped by itself, and nobody else"
user_add dave
know dave alice
as alice i3ctl share 9 --to "$(as dave i3ctl id -q)" >/dev/null || die "alice cannot share"
as dave i3run python3 "$LIB/udp_flood.py" alice.i3 "$SINK" 6 200 20000 >"$T/guest" 2>&1 </dev/null &
STARTED="$STARTED $!"
GUEST=$!
wait_for 15 sh -c '. "$1"; i3ctl drop --json | grep -q misuse' dropped "$W/alice.env" || die "the guest is not dropped: $(as alice i3ctl metrics | grep -e barred -e misuse)"
expect "who is dropped" "$(as alice i3ctl drop --json | python3 -c 'import json, sys
print(len(json.load(sys.stdin)["dropped"]))')" 1
as bob i3ctl ping alice 1 >/dev/null || die "bob is not answered"
as carol i3ctl ping alice 1 >/dev/null || die "carol is not answered"
sleep 1
expect "said in the log" "$(grep -c 'dropped for 600 s' "$W/alice/run/i3/i3d.log")" 1
kill $GUEST
as alice i3ctl undrop "$(as dave i3ctl id -q)" >/dev/null || die "no undrop by a key"
expect "dropped, then" "$(as alice i3ctl drop --json | python3 -c 'import json, sys
print(len(json.load(sys.stdin)["dropped"]))')" 0

step "who is removed from the book knows no private id any more either"
changes=$(grep -c 'private ids changed' "$W/alice/run/i3/i3d.log")
as alice i3ctl book rm bob >/dev/null
more() {
    [ "$(grep -c 'private ids changed' "$W/alice/run/i3/i3d.log")" -gt "$changes" ]
}
wait_for 10 more || die "the private ids stay"
as carol i3ctl ping alice 1 >/dev/null || die "carol is not answered"
echo "all well"
