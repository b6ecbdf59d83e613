#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# waits: for paths
# A NAT forgets its mappings in the middle of a transfer, at one end, then at the other, then at both at once: it goes on within
# 3 s, by the node and past it, whichever end sends.
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/nats.sh"
netns_begin pub pub2 gport1 port1 gport2 port2 gsym1 sym1 gsym2 sym2
nats_begin
host_public pub2 $PUBLIC.12
n=20
for h in port1 port2 sym1 sym2; do
    n=$((n + 1))
    gateway g$h ${h%?} $PUBLIC.$n
    host_behind $h g$h
done
hosts="pub2 port1 port2 sym1 sym2"
up() {
    i=${1#*[a-z]} i=${1##*[a-z]}
    host_up "$1" $((i + ${#1} % 3))
}
each up $hosts
for h in $hosts; do for o in $hosts; do [ $h = $o ] || as $h i3ctl book add $o "$(cat "$T/$o/key")" >/dev/null; done; done
pairs="port1:port2 sym1:pub2 sym1:sym2 port1:sym2"
each pour_at port2 pub2 sym2
met() {
    as ${1%:*} i3ctl ping ${1#*:} 2 >/dev/null
    echo "$1 $(path_settled ${1%:*} ${1#*:})"
}
each met $pairs

transfer() { # A:B:WAY
    a=${1%%:*} b=${1#*:}
    pour $a ${b%:*} ${b#*:} 24 2 || { cat "$T/poured.$a.${b%:*}.${b#*:}"; return 1; }
}
all=$(for p in $pairs; do echo "$p:down $p:up"; done)
each transfer $all &
transfers=$!
sleep 2
for g in gport1 gsym1; do nat_forget $g; done
sleep 3
for g in gport2 gsym2; do nat_forget $g; done
sleep 3
for g in gport1 gsym1 gport2 gsym2; do nat_forget $g; done
wait $transfers || die "a transfer broke"
for t in $all; do
    a=${t%%:*} b=${t#*:}
    echo "$t $(gap_of $a ${b%:*} ${b#*:}) ms"
done
