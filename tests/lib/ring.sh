# ring.sh - sourced behind world.sh by scripts about a ring of real nodes: NODES of them, n0 to n(NODES-1), each with its folder, port,
# pid and log in T.
# shellcheck shell=sh

# ring_node I [OPTION...]: the I-th node; its port stays the same when it is started again.
ring_node() {
    i=$1
    shift
    listen=127.0.0.1:$(cat "$T/n$i.port" 2>/dev/null || echo 0)
    set -- --listen "$listen" --state "$T/n$i" --port-file "$T/n$i.port" --pid-file "$T/n$i.pid" --log "$T/n$i.log" --background \
        --control "$T/n$i.sock" "$@"
    i3node --ring-secret "${SECRET:-$T/secret}" "$@" || die "node $i does not start"
    STARTED="$STARTED $(cat "$T/n$i.pid")"
}

ring_up() {
    (umask 077 && head -c 24 /dev/urandom | base64 >"$T/secret")
    ring_node 0
    for n in $(seq 1 $((NODES - 1))); do
        ring_node "$n" --join "$(node_address 0)"
    done
}

node_address() {
    echo "127.0.0.1:$(cat "$T/n$1.port")"
}

# at_node USER NODE...: the user's daemon anew, with these nodes to choose from
at_node() {
    at=$1 list=''
    shift
    for n in "$@"; do
        list="$list${list:+, }\"$(node_address "$n")\""
    done
    printf 'nodes = { %s }\nshortcut = no\n' "$list" >"$W/$at/config/i3/i3.conf"
    daemon_restart "$at"
}

# gap BAR COMMAND...: the longest time without an answer while the command runs and for 3 s after it, of a ping every 20 ms from alice to
# bob's echo server at ECHO. Against BAR, in ms; as other tests run beside, it may take SLACK (3) times as long. SLACK=1 is the bar.
gap() {
    limit=$1
    shift
    rm -f "$T/gap"
    as alice i3run python3 "$LIB/udp_gap.py" bob.i3 "$ECHO" 3 >"$T/gap" 2>&1 &
    probe=$!
    wait_for 15 grep -q started "$T/gap" || die "no answer at the start: $(cat "$T/gap")"
    "$@"
    wait $probe
    ms=$(sed -n 's/^gap //p' "$T/gap")
    echo "$* $ms ms"
    [ "$ms" -le $((limit * ${SLACK:-3})) ] || die "$*: $ms ms without an answer"
}

crash() {
    for n in "$@"; do
        kill -9 "$(cat "$T/n$n.pid")"
    done
}
