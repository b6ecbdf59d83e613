#!/bin/sh
# Several configured nodes: the nearest is used, left when it dies, used again when it is back; and i3ctl status says so. The far one is
# a node behind a relay that takes its time.
# waits: for time-outs
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/ring.sh"
NODES=5
world_up
ring_up
sleep 2
at_node bob 0 1

# far_from ID: a node that does not own it, so that by the relay it names the same owner as the others
owner=$(i3ctl ring "$(as alice i3ctl id --json | field id)" --node "$T/n0.sock" --json | field owner.address)
for n in $(seq 0 $((NODES - 1))); do
    [ "$(node_address "$n")" = "$owner" ] || { [ -z "${FAR-}" ] && FAR=$n || NEAR=$n; }
done
"$B/tests/lib/relay" --listen 127.0.0.1:0 --to "$(node_address "$FAR")" --port-file "$T/relay.port" --delay-ms 30 >"$T/relay.log" 2>&1 &
STARTED="$STARTED $!"
wait_for 5 test -s "$T/relay.port"
near=$(node_address "$NEAR") far=127.0.0.1:$(cat "$T/relay.port")
printf 'nodes = { "%s", "%s" }\n' "$far" "$near" >"$W/alice/config/i3/i3.conf"
daemon_restart alice

# in_use ADDRESS WHY
in_use() {
    as alice i3ctl status --json | python3 -c 'import json, sys
used, = [n for n in json.load(sys.stdin)["nodes"] if n["in_use"]]
sys.exit((used["address"], used["why"]) != tuple(sys.argv[1:3]))' "$1" "$2"
}

step "the nearest, though it is the second of the list"
wait_for 10 in_use "$near" "the nearest" || die "the far one is used"
as alice i3ctl status | grep -q "$near *answers.*in use *the nearest"
as alice i3ctl ping bob 1

step "it dies: the other one within 3 s; it is back: it is used again"
serve bob echo python3 "$LIB/udp_echo.py"
ECHO=$PORT
gap 2500 crash "$NEAR"
wait_for 3 in_use "$far" "the nearest" || die "the dead one is used"
as alice i3ctl status --json | python3 -c 'import json, sys
assert [n["why"] for n in json.load(sys.stdin)["nodes"] if n["state"] == "silent"] == ["does not answer"]'
ring_node "$NEAR" --join "$(node_address "$FAR")"
wait_for 25 in_use "$near" "the nearest" || die "the near one is not used again"
as alice i3ctl ping bob 1
