#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# waits: for transfers
# A host goes from a network with IPv4 alone to one with IPv6 alone and back, in the middle of a transfer; its node has both.
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/nats.sh"
netns_begin pub far near
in_ns pub ip link add name br0 address 02:00:00:00:00:01 type bridge
in_ns pub ip link set br0 up
in_ns pub ip addr add 192.0.2.1/24 dev br0
in_ns pub ip addr add 2001:db8::1/64 dev br0 nodad
in_ns pub setpriv --reuid=nobody --regid=nogroup --clear-groups "$T/bin/i3node" --listen '[::]:5610' >"$T/node.log" 2>&1 &
both() {
    on_bridge $1 eth
    in_ns $1 ip addr add 192.0.2.$2/24 dev eth
    in_ns $1 ip addr add 2001:db8::$2/64 dev eth nodad
}
both far 2
on_bridge near eth
in_ns near ip addr add 192.0.2.3/24 dev eth
for h in far near; do
    host_home $h
    echo 'nodes = { "192.0.2.1", "[2001:db8::1]" }' >"$T/$h/.config/i3/i3.conf"
    as $h i3ctl id -q >"$T/$h/key"
done
all_acquainted far near
each pour_at far
as near i3ctl ping far 2
transfer() { pour near far $1 18 3 || { cat $T/poured*; return 1; }; }
each transfer down up &
transfers=$!
sleep 1.5
in_ns near ip link del eth
on_bridge near eth
in_ns near ip addr add 2001:db8::3/64 dev eth nodad
sleep 2
in_ns near ip link del eth
on_bridge near eth
in_ns near ip addr add 192.0.2.4/24 dev eth
wait $transfers || die "a transfer broke"
for way in down up; do
    echo "$way $(gap_of near far $way) ms"
    within "$(gap_of near far $way)" 2000 || die "it stood still for too long"
done
