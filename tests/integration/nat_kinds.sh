#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# waits: for paths
# A host behind a NAT of each kind is reached by a public one and by one behind each other kind, over a ring of four nodes; by one
# behind its own NAT; and behind two NATs, one behind the other. Where the kinds allow it they get past the node, else they are told
# why not. Every pair fetches a page.
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/nats.sh"

KINDS="full addr port sym"
hosts="pub1 pub2" gates='' pairs=''
for k in $KINDS; do
    hosts="$hosts ${k}1 ${k}2" gates="$gates g${k}1 g${k}2"
done
# Behind one NAT: on one switch; kept apart by it (as guests of a hotel are), with a NAT that can hairpin and with one that cannot.
hosts="$hosts lan1 lan2 guest1 guest2 hair1 hair2" gates="$gates glan gguest ghair"
# Homes behind a carrier's NAT.
hosts="$hosts home1 home2" gates="$gates ghome1 ghome2 carrier"
netns_begin pub ring $hosts $gates
nats_begin

host_public pub1 $PUBLIC.11
host_public pub2 $PUBLIC.12
n=20
for k in $KINDS; do
    for i in 1 2; do
        n=$((n + 1))
        gateway g$k$i $k $PUBLIC.$n
        host_behind $k$i g$k$i
    done
done
gateway glan sym $PUBLIC.31
gateway gguest port $PUBLIC.32
HAIRPIN=yes gateway ghair full $PUBLIC.33
for k in lan guest hair; do
    host_behind ${k}1 g$k 192.168.1.2
    host_behind ${k}2 g$k 192.168.1.3
done
for k in guest hair; do
    isolate g$k p${k}1 p${k}2
done
gateway carrier port $PUBLIC.34
for i in 1 2; do
    gateway_behind ghome$i port carrier 192.168.1.$((i + 1)) 192.168.2
    host_behind home$i ghome$i 192.168.2.2
done

# A pair and what it comes to. By a NAT that hairpins there are two ways, by each of which one end sends to the outside address and
# the other to the inner one: which they take is of no account.
for a in pub $KINDS; do
    for b in pub $KINDS; do
        case $a:$b in
        sym:sym | sym:port | port:sym) pairs="$pairs ${a}1:${b}2:relayed" ;;
        *) pairs="$pairs ${a}1:${b}2:direct" ;;
        esac
    done
done
pairs="$pairs lan1:lan2:192.168.1.3 guest1:guest2:relayed hair1:hair2:hairpin"
pairs="$pairs pub1:home1:direct home1:port1:direct full1:home1:direct home1:sym1:relayed home1:home2:relayed"

up() { # each at a node of its own choice
    i=$(echo "$1" | cksum | cut -c1-6)
    host_up "$1" $((i % NODES_N + 1)) $(((i + 1) % NODES_N + 1))
}
knows() {
    for other in $hosts; do
        [ "$1" = "$other" ] || as "$1" i3ctl book add "$other" "$(cat "$T/$other/key")" >/dev/null
    done
}
of_pair() {
    a=${1%%:*} b=${1#*:}
    want=${b#*:} b=${b%%:*}
}
meet() {
    of_pair "$1"
    as $a i3ctl ping $b 2 >"$T/ping.$1" 2>&1 || { cat "$T/ping.$1"; return 1; }
    echo "$a $b: $(path_settled $a $b) | $(path_settled $b $a)" >"$T/meet.$1"
}
judge() {
    of_pair "$1"
    cat "$T/meet.$1"
    case $want:$(sed "s/ 192\.168\.1\.1:/ hairpin:/g; s/ $PUBLIC\.33:/ hairpin:/g" "$T/meet.$1") in
    direct:*": shortcut "*" | shortcut "*) ;;
    relayed:*": relayed "*" | relayed "*) ;;
    hairpin:*": shortcut hairpin:"*" | shortcut hairpin:"*) ;;
    192.*:*": shortcut $want:"*" | shortcut "*) ;;
    *) die "it should have come to $want" ;;
    esac
}
serve() {
    cp "$T/page" "$T/$1/www/"
    cd "$T/$1/www"
    as $1 i3run python3 "$T/web.py" >"$T/web.$1" 2>&1 &
    port_in "$T/web.$1" >"$T/port.$1"
}
fetch() {
    of_pair "$1"
    as $a i3run curl -sS --max-time 30 -o "$T/$a/got.$b" "http://$b.i3:$(cat "$T/port.$b")/page" && cmp "$T/page" "$T/$a/got.$b"
}

ring_stands
each up $hosts
each knows $hosts
head -c 200000 /dev/urandom >"$T/page"

echo "== everybody finds everybody"
each meet $pairs
for p in $pairs; do
    judge $p
done

echo "== a web server at one end, a client at the other"
each serve $(for p in $pairs; do of_pair $p; echo $b; done | sort -u)
each fetch $pairs
