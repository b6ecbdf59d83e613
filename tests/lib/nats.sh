# nats.sh - a public network with a ring of nodes, and hosts behind NATs of each kind; for tests in namespaces. Source it after
# netns.sh, then nats_begin.
#
#   pub    no NAT
#   full   full cone: whoever sends to the outside port gets in (endpoint-independent mapping and filter)
#   addr   address-restricted: whoever sends from an address that the host has sent to
#   port   port-restricted: from an address and port that the host has sent to
#   sym    symmetric: a mapping, and an outside port, for each destination
#
# The first three keep the host's port, so that a map by port alone stands for the mapping. No gateway answers what it does not
# want, and none confirms it: a host that sends there later must find its port free.

NODES_N=4
PUBLIC=192.0.2
RING=203.0.113 # the nodes' own network: they are hosts' neighbours no more than a real node is

# nat_rules KIND: the rules of a gateway between lan* and wan; each ruleset replaces the one before. HAIRPIN=yes: a host inside reaches
# another by its outside address. The hosts of one LAN are a switch's business.
nat_rules() {
    random='' pre='' post=''
    case $1 in
    full) pre='udp dport map @any' ;;
    addr) pre='ip saddr . udp dport map @known' ;;
    port) ;;
    sym) random=' fully-random' ;;
    *) die "no such NAT: $1" ;;
    esac
    if [ "${HAIRPIN-no}" = yes ]; then
        post="iifname \"lan*\" oifname \"lan*\" ct status dnat masquerade;"
        hair="iifname \"lan*\" fib daddr type local meta l4proto udp dnat ip to udp dport map @any;"
    else
        hair=''
    fi
    cat <<EOT
flush ruleset
table ip gate {
    map any { type inet_service : ipv4_addr; flags dynamic,timeout; timeout 60s; }
    map known { type ipv4_addr . inet_service : ipv4_addr; flags dynamic,timeout; timeout 60s; }
    chain pre { type nat hook prerouting priority -100;
        ${pre:+iifname "wan" meta l4proto udp dnat ip to $pre;}
        $hair
    }
    chain post { type nat hook postrouting priority 100; $post oifname "wan" masquerade$random; }
    chain in { type filter hook input priority 0; iifname "wan" meta l4proto udp drop; iifname "lan*" meta l4proto udp drop; }
    chain pass { type filter hook forward priority 0; policy drop;
        iifname "lan*" meta l4proto udp update @any { udp sport : ip saddr } update @known { ip daddr . udp sport : ip saddr };
        iifname "lan*" oifname "wan" accept;
        ct status dnat accept;
        ct state established,related accept; }
}
EOT
}
nat_set() { # nat_set GATEWAY KIND
    nat_rules "$2" | in_ns "$1" nft -f -
}
# The gateway forgets every mapping, as one that was switched off and on.
nat_forget() {
    in_ns "$1" sh -c 'r=$(ip route show default); ip link set wan down; ip link set wan up; ip route replace $r'
}

# link NS IF NS IF: a cable
link() {
    ip link add "$2" netns "$N$1" type veth peer name "$4" netns "$N$3"
    in_ns "$1" ip link set "$2" up
    in_ns "$3" ip link set "$4" up
}
# on_bridge NS IF [PORT]: a cable from there to the public network
on_bridge() {
    link "$1" "$2" pub "${3-p$1}"
    in_ns pub ip link set "${3-p$1}" master br0
}
# host_public NAME ADDRESS
host_public() {
    on_bridge "$1" eth
    in_ns "$1" ip addr add "$2/24" dev eth
    in_ns "$1" ip route replace default via $PUBLIC.254
}
# gateway NAME KIND ADDRESS: between the public network and a LAN 192.168.1.0/24, which is a switch called lan
gateway() {
    on_bridge "$1" wan
    in_ns "$1" ip addr add "$3/24" dev wan
    in_ns "$1" ip route add default via $PUBLIC.254
    gateway_inside "$1" "$2" 192.168.1
}
gateway_inside() {
    in_ns "$1" sysctl -qw net.ipv4.ip_forward=1
    in_ns "$1" ip link add name lan address 02:00:00:00:00:02 type bridge
    in_ns "$1" sysctl -qw net.bridge.bridge-nf-call-iptables=0 2>/dev/null || : # a switch, no router
    in_ns "$1" ip addr add "$3.1/24" dev lan
    in_ns "$1" ip link set lan up
    nat_set "$1" "$2"
}
# on_lan NAME IF GATEWAY ADDRESS
on_lan() {
    link "$1" "$2" "$3" "p$1"
    in_ns "$3" ip link set "p$1" master lan
    in_ns "$1" ip addr add "$4/24" dev "$2"
    in_ns "$1" ip route add default via "${4%.*}.1"
}
# gateway_behind NAME KIND OUTER ADDRESS NETWORK: on the LAN of another gateway, with a LAN NETWORK.0/24
gateway_behind() {
    on_lan "$1" wan "$3" "$4"
    gateway_inside "$1" "$2" "$5"
}
# host_behind NAME GATEWAY [ADDRESS]
host_behind() {
    on_lan "$1" eth "$2" "${3-192.168.1.2}"
}
# isolate GATEWAY PORT...: hosts of one LAN which do not see each other
isolate() {
    where=$1
    shift
    for port; do
        in_ns "$where" bridge link set dev "$port" isolated on
    done
}

# The public network with its ring; call it after netns_begin pub ring ...
nats_begin() {
    in_ns pub ip link add name br0 address 02:00:00:00:00:01 type bridge # else it takes another one from each port that comes
    in_ns pub ip addr add $PUBLIC.254/24 dev br0
    in_ns pub ip link set br0 up
    in_ns pub sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.br0.send_redirects=0
    link ring eth pub ring
    in_ns pub ip addr add $RING.254/24 dev ring
    head -c 24 /dev/urandom | base64 >"$T/secret"
    mkdir -m 700 "$T/ring"
    chown nobody "$T/secret" "$T/ring"
    chmod 600 "$T/secret"
    for i in $(seq $NODES_N); do
        in_ns ring ip addr add $RING.$i/24 dev eth
        [ "$i" != 1 ] || in_ns ring ip route add default via $RING.254
        set -- --listen $RING.$i:5610 --ring-secret "$T/secret" --control "$T/ring/$i"
        [ "$i" = 1 ] || set -- "$@" --join $RING.1:5610
        in_ns ring setpriv --reuid=nobody --regid=nogroup --clear-groups "$T/bin/i3node" "$@" >"$T/node$i.log" 2>&1 &
    done
}
# ring_stands: all nodes know each other
ring_stands() {
    for i in $(seq 100); do
        as ring i3ctl ring --node "$T/ring/1" --json 2>/dev/null | python3 -c '
import json, sys
ring = json.load(sys.stdin)["nodes"]
sys.exit(len(ring) < int(sys.argv[1]) or not all(n["agrees"] for n in ring))' $NODES_N 2>/dev/null && return
        sleep 0.1
    done
    die "the ring does not come together"
}
# host_up NAME NODE...: its folders and its configuration; the nodes by number. Its key is in its folder.
host_up() {
    who=$1
    shift
    host_home "$who"
    list=''
    for n; do
        list="$list${list:+, }\"$RING.$n\""
    done
    printf 'nodes = { %s }\n%s\n' "$list" "${CONFIG-}" >"$T/$who/.config/i3/i3.conf"
    as "$who" i3ctl id -q >"$T/$who/key"
}
# path_to HOST PEER: the line of its status
path_to() {
    as "$1" i3ctl status --json | python3 -c '
import json, sys
for p in json.load(sys.stdin)["peers"]:
    if p["name"].split(".")[0] == sys.argv[1]:
        print(p["path"] or "no session")' "$2"
}
# path_settled HOST PEER: the same, once it is not being looked for any more
path_settled() {
    for i in $(seq 60); do
        p=$(path_to "$1" "$2")
        case $p in *"looking for"* | '' | "no session") sleep 0.2 ;; *) break ;; esac
    done
    echo "$p"
}
# each COMMAND WORD...: the command with each of the words, all at the same time
each() {
    what=$1
    shift
    pids=''
    for word; do
        $what "$word" &
        pids="$pids $!"
    done
    for pid in $pids; do
        wait "$pid" || die "$what failed"
    done
}
# pour_at HOST: a server there; its port is in $T/port.HOST
pour_at() {
    as "$1" i3run python3 "$T/pour.py" serve >"$T/pour.$1" 2>&1 &
    port_in "$T/pour.$1" >"$T/port.$1"
}
# pour A B WAY MEGABYTES [MB_PER_S]: into $T/poured.A.B.WAY
pour() {
    as "$1" i3run python3 "$T/pour.py" "$2.i3" "$(cat "$T/port.$2")" "$3" "$4" "${5-0}" >"$T/poured.$1.$2.$3" 2>&1
}
# gap_of A B WAY: how long it stood still, in ms
gap_of() {
    sed -n 's/^gap \([0-9]*\) .*/\1/p' "$T/poured.$1.$2.$3" | grep . || { cat "$T/poured.$1.$2.$3"; die "$1 $2 $3 broke"; }
}
# all_acquainted HOST...: each has the others in its book, by their names here
all_acquainted() {
    for who; do
        for other; do
            [ "$who" = "$other" ] || as "$who" i3ctl book add "$other" "$(cat "$T/$other/key")" >/dev/null
        done
    done
}
