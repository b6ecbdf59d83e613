#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# waits: for mappings to end
# Hosts behind NATs with mappings of 30 s and, where they show another port for each, of 10 s, that say nothing for a while
# (IDLE_SECONDS, 45): the first packet to each gets through at once, and so it is every few seconds from then on.
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/nats.sh"
hosts="port30 sym30 sym10"
netns_begin pub ring home $hosts gport30 gsym30 gsym10
nats_begin
host_public home $PUBLIC.11
n=20
for h in $hosts; do
    n=$((n + 1))
    kind=${h%??}
    gateway g$h $kind $PUBLIC.$n
    in_ns g$h sysctl -qw net.netfilter.nf_conntrack_udp_timeout=${h#$kind} net.netfilter.nf_conntrack_udp_timeout_stream=${h#$kind}
    host_behind $h g$h
done
ring_stands
i=0
CONFIG='shortcut = no' # which would keep them open
for h in home $hosts; do
    i=$((i + 1))
    host_up $h $i
done
all_acquainted home $hosts
sleep "${IDLE_SECONDS:-45}"
first() { # the time until the first packet has its answer, handshake and all
    begin=$(date +%s%N)
    as home i3ctl ping $1 1 >"$T/$1.ping" || { cat "$T/$1.ping"; as $1 i3ctl status; die "$1 is not reached"; }
    ms=$((($(date +%s%N) - begin) / 1000000))
    echo "$1 $ms ms"
    within $ms 2500 || die "it took too long"
}
for round in 1 2 3; do
    each first $hosts
    sleep 4
done
