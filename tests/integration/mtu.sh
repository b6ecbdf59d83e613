#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# waits: for probes
# A line of 1300 bytes in the middle of the way, whose router tells nobody what it drops: transfers go through, by the shortcut and
# by the node, and so does one during which the line gets narrow.
. "$(dirname "$0")/../lib/netns.sh"
netns_begin a r s b

mtu_of() {
    peer_field "$1" mtu
}
# narrow LINE-MTU
narrow() {
    in_ns r ip link set mid mtu "$1"
    in_ns s ip link set mid mtu "$1"
}
# found: the largest that fits in 1300 bytes with 28 + 61 around it, less the grain of the search
found() {
    for side in a b; do
        for i in $(seq 50); do # the search may be under way
            m=$(mtu_of $side)
            [ "$m" -lt 1203 ] || break
            sleep 0.1
        done
        echo "$side: mtu $m, $(path $side)"
        [ "$m" -le 1211 ] && [ "$m" -ge 1203 ] || die "$side's mtu is $m"
    done
}

# ---- a --- r --- s --- b, with the node at r ----
ip link add eth netns ${N}a type veth peer name toa netns ${N}r
ip link add mid netns ${N}r type veth peer name mid netns ${N}s
ip link add eth netns ${N}b type veth peer name tob netns ${N}s
for l in a/eth/10.9.1.2 r/toa/10.9.1.1 r/mid/10.9.2.1 s/mid/10.9.2.2 s/tob/10.9.3.1 b/eth/10.9.3.2; do
    ns=${l%%/*} dev=${l#*/}
    in_ns "$ns" ip addr add "${dev#*/}/24" dev "${dev%/*}"
    in_ns "$ns" ip link set "${dev%/*}" up
    # a veth must not show its peer packets larger than the line takes
    in_ns "$ns" sh -c "ethtool -K ${dev%/*} tso off gso off gro off tx-udp-segmentation off >/dev/null 2>&1" || :
done
in_ns a ip route add default via 10.9.1.1
in_ns b ip route add default via 10.9.3.1
in_ns r ip route add default via 10.9.2.2
in_ns s ip route add default via 10.9.2.1
for ns in r s; do
    in_ns $ns sysctl -qw net.ipv4.ip_forward=1
    in_ns $ns nft -f - <<NFT
table ip quiet { chain out { type filter hook output priority 0; policy accept; icmp type destination-unreachable drop; }; }
NFT
done
for side in a b; do
    host_home $side
done
node_at r 10.9.2.1
head -c 4M /dev/urandom >"$T/page"

for shortcut in yes no; do
    echo "== shortcut = $shortcut, a narrow line from the start"
    narrow 1300
    for side in a b; do
        as $side i3ctl stop >/dev/null 2>&1 || :
        printf 'nodes = { "10.9.2.1" }\nnetwork = "10.128.0.0/10"\nshortcut = %s\n' $shortcut >"$T/$side/.config/i3/i3.conf"
        cp "$T/page" "$T/$side/www/"
    done
    key_a=$(as a i3ctl id -q) key_b=$(as b i3ctl id -q)
    as a i3ctl book add friend "$key_b" >/dev/null
    as b i3ctl book add friend "$key_a" >/dev/null
    for side in a b; do
        rm -f "$T/web$side.log" "$T/drip$side.log" # of the round before
        (cd "$T/$side/www" && as $side i3run python3 "$T/web.py" >"$T/web$side.log" 2>&1) &
        (as $side i3run python3 "$T/drip.py" serve >"$T/drip$side.log" 2>&1) &
    done
    port_in "$T/dripa.log" >"$T/err" && port_in "$T/dripb.log" >"$T/err"
    for side in a b; do
        port=$(port_in "$T/web$side.log")
        other=$([ $side = a ] && echo b || echo a)
        start=$(date +%s%N)
        as $other i3run curl -sS --max-time 30 -o "$T/$other/got" "http://friend.i3:$port/page"
        echo "4 MB from $side in $((($(date +%s%N) - start) / 1000000)) ms"
        cmp "$T/page" "$T/$other/got" || die "what $other fetched differs"
    done
    found

    echo "== shortcut = $shortcut, the line gets narrow in the middle of a transfer"
    narrow 1500
    for side in a b; do
        as $side i3ctl stop >/dev/null # to forget what was found
    done
    rm -f "$T/drip2.log"
    (as b i3run python3 "$T/drip.py" serve >"$T/drip2.log" 2>&1) &
    port=$(port_in "$T/drip2.log")
    as a i3run python3 "$T/drip.py" friend.i3 "$port" 10 >"$T/drip" 2>&1 &
    drip=$!
    sleep 3
    m=$(mtu_of b)
    [ "$m" = 1400 ] || die "b's mtu is $m on a line of 1500"
    narrow 1300
    ! grep -q gap "$T/drip" || die "the transfer was over before"
    wait $drip || die "the transfer: $(cat "$T/drip")"
    cat "$T/drip"
    [ "$(sed -n 's/^gap //p' "$T/drip")" -lt 6000 ] || die "it stalled" # some 2 s, where nothing else runs
    m=$(mtu_of b) # the sender's
    [ "$m" -le 1211 ] && [ "$m" -ge 1139 ] || die "b's mtu is $m"
    ip netns pids ${N}a | xargs -r kill 2>/dev/null || :
    ip netns pids ${N}b | xargs -r kill 2>/dev/null || :
    sleep 0.5
done
