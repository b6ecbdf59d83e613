#!/bin/sh
# A ring of real nodes: two users at different ones talk; a node dies, one leaves, one comes back; somebody without the secret stays
# outside.
# waits: for time-outs
. "$(dirname "$0")/../lib/world.sh"
case $B in */san) echo "its 2 seconds are not for a sanitized build"; exit 77 ;; esac
world_up
NODES=7

# ring_node I [OPTION...]: the I-th node; its port stays the same when it is started again.
ring_node() {
    i=$1
    shift
    listen=127.0.0.1:$(cat "$T/n$i.port" 2>/dev/null || echo 0)
    set -- --listen "$listen" --state "$T/n$i" --port-file "$T/n$i.port" --pid-file "$T/n$i.pid" --log "$T/n$i.log" --background "$@"
    i3node --ring-secret "${SECRET:-$T/secret}" "$@" || die "node $i does not start"
    STARTED="$STARTED $(cat "$T/n$i.pid")"
}

at_node() {
    printf 'nodes = { %s }\nshortcut = no\n' "$2" >"$W/$1/config/i3/i3.conf"
    daemon_restart "$1"
}

node_address() {
    echo "\"127.0.0.1:$(cat "$T/n$1.port")\""
}

umask 077
head -c 24 /dev/urandom | base64 >"$T/secret"
echo "this is not the ring's secret" >"$T/other"

step "$NODES nodes"
ring_node 0
for i in $(seq 1 $((NODES - 1))); do
    ring_node "$i" --join "127.0.0.1:$(cat "$T/n0.port")"
done
at_node alice "$(node_address 0), $(node_address 1)"
at_node bob "$(node_address 3), $(node_address 4)"

step "alice reaches bob"
mkdir "$T/www" && head -c 300000 /dev/urandom >"$T/www/page"
cd "$T/www"
serve bob web python3 "$LIB/web.py"
WEB=$PORT
fetch() {
    as alice i3run curl -sS --max-time "$1" "http://bob.i3:$WEB/page" | cmp - page
}
fetch 10

serve bob echo python3 "$LIB/udp_echo.py"
ECHO=$PORT

# gap LIMIT COMMAND...: the longest time without an answer while the command runs and for 3 s after it
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
    [ "$ms" -le "$limit" ] || die "$*: $ms ms without an answer"
}

crash() {
    kill -9 "$(cat "$T/n$1.pid")"
}

# Between two crashes triggers and their copies have found their places again.
settle() {
    sleep 2
}

step "each node but alice's and bob's own dies once, and comes back: packets arrive again within 2 s"
for i in 1 2 4 5 6; do
    gap 2000 crash "$i"
    gap 2000 ring_node "$i" --join "127.0.0.1:$(cat "$T/n0.port")"
    settle
done

step "bob's own node dies: he goes to the next of his list"
crash 3
wait_for 20 fetch 3 || die "bob stays where he is"
ring_node 3 --join "127.0.0.1:$(cat "$T/n0.port")"

step "nodes that are told to end leave no gap"
polite_end() {
    kill "$(cat "$T/n$1.pid")"
}
for i in 2 5 6; do
    gap 2000 polite_end "$i"
    settle
done

step "without the secret there is no way in"
SECRET=$T/other ring_node 6 --join "127.0.0.1:$(cat "$T/n0.port")"
sleep 1
fetch 3

step "options that make no sense are refused"
for bad in '--join 127.0.0.1:1' '--ring-secret /nonexistent' '--advertise nowhere' "--ring-secret $T/secret --listen 0.0.0.0:0"; do
    # shellcheck disable=SC2086
    i3node $bad >"$T/out" 2>&1 </dev/null && die "i3node $bad"
    grep -q '^i3node: ' "$T/out" || die "i3node $bad: $(cat "$T/out")"
done
chmod 644 "$T/secret"
i3node --ring-secret "$T/secret" 2>"$T/out" && die "a secret which anybody can read"
grep -q chmod "$T/out"
