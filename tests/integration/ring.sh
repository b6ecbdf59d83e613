#!/bin/sh
# A ring of real nodes: two users at different ones talk; a node dies, one leaves, one comes back; somebody without the secret stays
# outside.
# waits: for time-outs
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/ring.sh"
case $B in */san) echo "its 2 seconds are not for a sanitized build"; exit 77 ;; esac
world_up
NODES=7

ring_up
at_node alice 0 1
at_node bob 3 4

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

# Between two crashes triggers and their copies have found their places again.
settle() {
    sleep 2
}

step "each node but alice's and bob's own dies once, and comes back: packets arrive again within 2 s"
for i in 1 2 4 5 6; do
    gap 2000 crash "$i"
    gap 2000 ring_node "$i" --join "$(node_address 0)"
    settle
done

step "bob's own node dies: he goes to the next of his list"
crash 3
wait_for 20 fetch 3 || die "bob stays where he is"
ring_node 3 --join "$(node_address 0)"

step "nodes that are told to end leave no gap"
polite_end() {
    kill "$(cat "$T/n$1.pid")"
}
for i in 2 5 6; do
    gap 2000 polite_end "$i"
    settle
done

step "without the secret there is no way in"
(umask 077 && echo "this is not the ring's secret" >"$T/other")
SECRET=$T/other ring_node 6 --join "$(node_address 0)"
sleep 1
fetch 3

step "options that make no sense are refused"
for bad in '--join 127.0.0.1:1' '--ring-secret /nonexistent' '--advertise nowhere' "--ring-secret $T/secret --listen 0.0.0.0:0"; do
    # shellcheck disable=SC2086
    i3node $bad >"$T/out" 2>&1 </dev/null && die "i3node $bad"
    grep -q '^i3node: ' "$T/out" || die "i3node $bad: $(cat "$T/out")"
done
chmod 644 "$T/secret"
i3node --listen 127.0.0.1:0 --ring-secret "$T/secret" 2>"$T/out" && die "a secret which anybody can read"
grep -q chmod "$T/out"
