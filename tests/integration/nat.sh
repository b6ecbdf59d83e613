#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# waits: for a gateway that forgets
# The README's five-minute start: two machines with the same private address behind two NATs, a node in the public network
# between them. Neither can reach the other; over the overlay both do, with default settings.
. "$(dirname "$0")/../lib/netns.sh"
netns_begin pub ga gb a b

# ---- a public network with a node and two gateways, a private network behind each ----
in_ns pub ip link add name br0 type bridge
in_ns pub ip addr add 192.0.2.1/24 dev br0
in_ns pub ip link set br0 up
for side in a b; do
    ip link add wan netns ${N}g$side type veth peer name to$side netns ${N}pub
    ip link add lan netns ${N}g$side type veth peer name eth netns $N$side
    in_ns pub ip link set to$side master br0
    in_ns pub ip link set to$side up
    in_ns g$side ip addr add 192.0.2.1$([ $side = a ] && echo 1 || echo 2)/24 dev wan
    in_ns g$side ip addr add 192.168.1.1/24 dev lan
    in_ns g$side ip link set wan up
    in_ns g$side ip link set lan up
    in_ns g$side sysctl -qw net.ipv4.ip_forward=1
    in_ns g$side nft -f - <<EOF
table ip nat { chain post { type nat hook postrouting priority 100; oifname "wan" masquerade random; }; }
table ip filter { chain pass { type filter hook forward priority 0; policy drop;
    iifname "lan" accept; ct state established,related accept; }; }
EOF
    in_ns $side ip addr add 192.168.1.2/24 dev eth
    in_ns $side ip link set eth up
    in_ns $side ip route add default via 192.168.1.1
    host_home $side
    echo 'nodes = { "192.0.2.1" }' >"$T/$side/.config/i3/i3.conf"
done
node_at pub 0.0.0.0

echo "== two keys, two books"
key_a=$(as a i3ctl id -q) key_b=$(as b i3ctl id -q)
as a i3ctl book add friend "$key_b"
as b i3ctl book add friend "$key_a"
as a i3ctl ping friend 3 || die "no ping"
seen=$(as a i3ctl status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["node"]["seen_address"])')
case $seen in 192.0.2.11:*) ;; *) die "the node sees a as $seen" ;; esac

echo "== a server behind one NAT, a client behind the other, both ways"
head -c 5M /dev/urandom >"$T/page"
for side in a b; do
    other=$([ $side = a ] && echo b || echo a)
    cp "$T/page" "$T/$side/www/"
    (cd "$T/$side/www" && as $side i3run python3 "$T/web.py" >"$T/web$side.log" 2>&1) &
    port=$(port_in "$T/web$side.log")
    as $other i3run curl -sS --max-time 30 -o "$T/$other/got" "http://friend.i3:$port/page"
    cmp "$T/page" "$T/$other/got" || die "what $other fetched differs"
done

# Both gateways draw a new port for each destination (symmetric): no way past the node.
case $(path a) in "relayed by 192.0.2.1:5610 (no direct way was found)" | *"looking for a direct way)") ;; *) die "a's path: $(path a)" ;; esac

echo "== gateways that keep the port: a hole is punched through both"
for side in a b; do
    in_ns g$side nft flush ruleset
    in_ns g$side nft -f - <<EOF
table ip nat { chain post { type nat hook postrouting priority 100; oifname "wan" masquerade; }; }
table ip filter { chain pass { type filter hook forward priority 0; policy drop;
    iifname "lan" accept; ct state established,related accept; };
    chain in { type filter hook input priority 0; policy accept; iifname "wan" drop; }; }
EOF
    as $side i3ctl stop >/dev/null # a new socket, so a new mapping
done
(cd "$T/b" && as b i3run python3 "$T/drip.py" serve >"$T/drip.port" 2>&1) &
port=$(port_in "$T/drip.port")
as a i3ctl ping friend 3
case $(path a) in "shortcut 192.0.2.12:"*) ;; *) die "a's path: $(path a)" ;; esac
case $(path b) in "shortcut 192.0.2.11:"*) ;; *) die "b's path: $(path b)" ;; esac

echo "== the direct way is cut in the middle of a transfer, and mended"
as a i3run python3 "$T/drip.py" friend.i3 "$port" 14 >"$T/drip" 2>&1 &
drip=$!
for i in $(seq 100); do
    grep -q started "$T/drip" && break
    sleep 0.1
done
sleep 2
in_ns ga nft insert rule ip filter pass ip saddr 192.0.2.12 drop
in_ns ga nft insert rule ip filter pass ip daddr 192.0.2.12 drop
sleep 4
case $(path a) in "relayed by 192.0.2.1:5610"*) ;; *) die "a's path with the direct way cut: $(path a)" ;; esac
case $(path b) in "relayed by 192.0.2.1:5610"*) ;; *) die "b's path with the direct way cut: $(path b)" ;; esac
in_ns ga nft -a list chain ip filter pass | sed -n 's/.*192.0.2.12 drop # handle //p' |
    while read -r h; do in_ns ga nft delete rule ip filter pass handle "$h"; done
wait $drip || die "the transfer: $(cat "$T/drip")"
cat "$T/drip"
[ "$(sed -n 's/^gap //p' "$T/drip")" -lt 5000 ] || die "it stalled" # some 2 s, where nothing else runs
case $(path a) in "shortcut 192.0.2.12:"*) ;; *) die "a's path when the direct way is back: $(path a)" ;; esac

echo "== a gateway forgets its mappings: the host is reachable again"
in_ns ga nft flush ruleset
in_ns ga nft -f - <<EOF
table ip nat { chain post { type nat hook postrouting priority 100; oifname "wan" masquerade random; }; }
EOF
in_ns ga sh -c 'ip link set wan down; ip link set wan up'
as a i3ctl ping friend 5 >"$T/ping" || { cat "$T/ping"; die "no ping after the gateway lost its mappings"; }
cat "$T/ping"
