#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# waits: for paths
# A NAT forgets its mappings in the middle of a transfer, at one end, then at the other, then at both at once: it goes on within
# 3 s (0.7 s on a machine with nothing else to do), by the node and past it, whichever end sends.
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/nats.sh"
hosts="pub2 port1 port2 sym1 sym2"
netns_begin pub ring $hosts gport1 gport2 gsym1 gsym2
nats_begin
host_public pub2 $PUBLIC.12
n=20
for h in port1 port2 sym1 sym2; do
    n=$((n + 1))
    gateway g$h ${h%?} $PUBLIC.$n
    host_behind $h g$h
done
up() {
    i=${1##*[a-z]}
    host_up "$1" $((i + ${#1} % 3))
}
ring_stands
each up $hosts
all_acquainted $hosts

pairs="port1:port2 sym1:pub2 sym1:sym2 port1:sym2"
met() {
    as ${1%:*} i3ctl ping ${1#*:} 2 >/dev/null
    echo "$1 $(path_settled ${1%:*} ${1#*:})"
}
each pour_at port2 pub2 sym2
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
    ms=$(gap_of $a ${b%:*} ${b#*:})
    echo "$t $ms ms"
    within "$ms" 3000 || die "it stood still for too long"
done
