#!/bin/sh
# Owners of triggers in use die, without a word: packets arrive again within 2 s, each time. Also an owner with its successor, which
# kept the copies, and an owner while others join. CRASHES=20 ring_crash.sh is the measurement: it prints every gap.
# waits: for time-outs
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/ring.sh"
case $B in */san) echo "its 2 seconds are not for a sanitized build"; exit 77 ;; esac
CRASHES=${CRASHES:-2}
NODES=8
world_up
ring_up

# number PORT: the node of that port
number() {
    for i in $(seq 0 $((NODES - 1))); do
        [ "$(cat "$T/n$i.port")" != "$1" ] || echo "$i"
    done
}

# keeper USER: the node that owns the user's private ids, as the ring sees it: the host may not have noticed yet
keeper() {
    id=$(as "$1" i3ctl status --json | python3 -c 'import json, sys
status = json.load(sys.stdin)
print([t["id"] for t in status["triggers"] if t["id"][:32] != status["id"][:32]][-1])')
    number "$(i3ctl ring "$id" --node "$T/n$SEED.sock" --json | field owner.address | sed 's/.*://')"
}

# The one behind it round the ring.
after() {
    number "$(i3ctl ring --json --node "$T/n$SEED.sock" | python3 -c 'import json, sys
nodes = [n["address"].split(":")[1] for n in json.load(sys.stdin)["nodes"]]
print(nodes[(nodes.index(sys.argv[1]) + 1) % len(nodes)])' "$(cat "$T/n$1.port")")"
}

# Another place on the ring each time.
reborn() {
    for i in "$@"; do
        rm -rf "$T/n$i"
        ring_node "$i" --join "$(node_address "$SEED")"
    done
    sleep 2.5 # triggers and copies have found their places
}

crash_and_join() {
    crash "$1"
    ring_node "$NODES" --join "$(node_address "$SEED")"
}

# Who is in the ring for certain.
seed_but() {
    for SEED in $(seq 0 $((NODES - 1))); do
        case " $* " in *" $SEED "*) ;; *) break ;; esac
    done
}

at_node alice 0 1
at_node bob 2 3
serve bob echo python3 "$LIB/udp_echo.py"
ECHO=$PORT

seed_but ''
for n in $(seq "$CRASHES"); do
    case $((n % 2)) in 0) victim=$(keeper alice) ;; *) victim=$(keeper bob) ;; esac
    seed_but "$victim"
    step "crash $n: node $victim, the owner of a private id in use"
    gap 2000 crash "$victim"
    reborn "$victim"
done

step "an owner and its successor at once"
victim=$(keeper bob)
next=$(after "$victim")
seed_but "$victim" "$next"
gap 2000 crash "$victim" "$next"
reborn "$victim" "$next"

step "an owner while another joins"
victim=$(keeper bob)
seed_but "$victim"
gap 2000 crash_and_join "$victim"
