#!/bin/sh
# Two daemons talk past the node: they find each other, need it no more, and leave each other alone when one wants no shortcut.
# waits: for a node which is gone
. "$(dirname "$0")/../lib/world.sh"
world_up

path() {
    as "$1" i3ctl status --json | field peers.0.path
}
path_is() {
    case $(path "$1") in "$2"*) ;; *) return 1 ;; esac
}
ping_path() {
    as "$1" i3ctl ping "$2" 2 --json | tail -1 | field path
}
config() {
    printf 'nodes = { "127.0.0.1:%s" }\n%s\n' "$(cat "$W/ring/port")" "$2" >"$W/$1/config/i3/i3.conf"
    daemon_restart "$1"
}

step "they find each other"
as alice i3ctl ping bob 1
wait_for 5 path_is alice "shortcut " || die "alice's path: $(path alice)"
wait_for 5 path_is bob "shortcut " || die "bob's path: $(path bob)"
case $(ping_path alice bob) in "shortcut 127."*) ;; *) die "ping: $(ping_path alice bob)" ;; esac
udp=$(as bob i3ctl status --json | field udp)
expect "the port" "$(as alice i3ctl status --json | field peers.0.shortcut | sed 's/.*://')" "${udp##*:}"

step "the node is killed in the middle of a transfer"
serve bob drip python3 "$LIB/drip.py" serve
as alice i3run python3 "$LIB/drip.py" bob.i3 "$PORT" 12 >"$T/drip" 2>&1 &
DRIP=$!
wait_for 10 grep -q started "$T/drip"
kill "$(cat "$W/ring/pid")"
wait $DRIP || die "the transfer: $(cat "$T/drip")"
cat "$T/drip"
[ "$(sed -n 's/^gap //p' "$T/drip")" -lt 2500 ] || die "it stalled"
path_is alice "shortcut " || die "alice's path: $(path alice)"
# a new connection needs no node either
as alice i3run python3 "$LIB/drip.py" bob.i3 "$PORT" 1

step "the other daemon is killed too, and nobody is left to help: an error, in time"
daemon_kill bob
as alice i3run python3 "$LIB/dial.py" bob.i3 "$PORT" --timeout 60 >"$T/dial"
read -r result ms <"$T/dial"
echo "$result after $ms ms"
case $result in ETIMEDOUT | EHOSTUNREACH) ;; *) die "connect: $result" ;; esac

i3ctl demo down "$W"
world_up
for who in alice bob; do
    step "$who wants no shortcut"
    config $who "shortcut = no"
    as alice i3ctl ping bob 2
    sleep 1
    for u in alice bob; do
        path_is $u "relayed by 127.0.0.1" || die "$u's path: $(path $u)"
        why=$(as $u i3ctl status --json | field peers.0.relayed_why)
        [ $u = $who ] && want="shortcut = no" || want="the peer wants no shortcut"
        expect "why $u is relayed" "$why" "$want"
    done
    config $who ""
done
