#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# waits: for transfers
# A host moves while it transfers: to another public address, behind a NAT that keeps ports, behind a symmetric one, and back, each
# time with the old interface gone before the new one comes; then the other end moves, then both at once. The transfer goes on with
# a stall below 2 s and the checksum is right; with shortcuts, and by the node alone. SIZE_MB (120): how much, each way and in each of
# the two; SIZE_MB=1024 as fast as the machine can.
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/nats.sh"
SIZE_MB=${SIZE_MB-}
hosts="near1 far1 near2 far2"
netns_begin pub ring $hosts gport gsym ghome
nats_begin
gateway gport port $PUBLIC.31
gateway gsym sym $PUBLIC.32
gateway ghome addr $PUBLIC.33

# at HOST PLACE: it is plugged out wherever it is, then in there
at() {
    i=${1#near} i=${i#far}
    [ "${1%?}" = near ] && last=$((50 + i)) || last=$((60 + i))
    in_ns $1 ip link del eth 2>/dev/null || :
    case $2 in
    [0-9]*)
        host_public $1 $PUBLIC.$(($2 + last))
        ;;
    *) host_behind $1 $2 192.168.1.$last ;;
    esac
}
at near1 0 && at near2 0 && at far1 ghome && at far2 ghome
ring_stands
for i in 1 2; do
    [ $i = 1 ] || CONFIG='shortcut = no'
    host_up near$i $i
    host_up far$i $((i + 2))
    all_acquainted near$i far$i
done
each pour_at far1 far2
for i in 1 2; do
    as near$i i3ctl ping far$i 1
    path_settled near$i far$i
done

transfer() {
    [ -n "$SIZE_MB" ] && pour near${1%:*} far${1%:*} ${1#*:} "$SIZE_MB" || pour near${1%:*} far${1%:*} ${1#*:} 42 3
}
each transfer 1:down 2:down 1:up 2:up &
transfers=$!
move() { # HOST:PLACE...
    echo "== $* $(date +%S.%N | cut -c1-6)"
    each move_one "$@"
    sleep 2
}
move_one() {
    at "${1%:*}1" "${1#*:}"
    at "${1%:*}2" "${1#*:}"
}
sleep 1
move near:20
move near:gport
move near:gsym
move near:0
move far:gport
move far:0 near:ghome
wait $transfers || { cat $T/poured*; die "a transfer broke"; }
for t in 1:down 2:down 1:up 2:up; do
    sed "s/^gap/$t &/p;d" "$T/poured.near${t%:*}.far${t%:*}.${t#*:}"
    within "$(gap_of near${t%:*} far${t%:*} ${t#*:})" 2000 || die "it stood still for too long"
done
