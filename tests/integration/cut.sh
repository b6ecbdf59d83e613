#!/bin/sh
# The line to the node is cut for CUT_SECONDS (3) in the middle of a transfer, then a NAT forgets its table: the transfer goes on.
# waits: for lines to mend
. "$(dirname "$0")/../lib/world.sh"
seconds=${CUT_SECONDS:-3}
world_up
mkdir "$T/www"
cd "$T/www"
head -c 24M /dev/urandom >big
serve bob web python3 "$LIB/web.py"
relay_start --rate-mbit 60 --delay-ms 5
relay_use alice

fetch() {
    as alice i3run curl -sS --max-time 120 -o "$T/got" "http://bob.i3:$PORT/big" &
    FETCH=$!
    wait_for 20 test -s "$T/got" || die "nothing comes"
}

step "cut for $seconds s"
fetch
kill -USR1 "$RELAY"
size=$(stat -c %s "$T/got")
sleep "$seconds"
[ "$(stat -c %s "$T/got")" -lt 25165824 ] || die "it was over before the line was cut"
kill -USR1 "$RELAY"
start=$(date +%s)
wait $FETCH || die "the fetch failed with status $?"
cmp "$T/got" big || die "it differs"
echo "from byte $size on, over $(($(date +%s) - start)) s after the line was mended"

step "a NAT forgets its table: alice has another outside address from here on"
rm "$T/got"
fetch
kill -USR2 "$RELAY"
start=$(date +%s)
wait $FETCH || die "the fetch failed with status $?"
cmp "$T/got" big || die "it differs"
took=$(($(date +%s) - start))
echo "over after $took s"
[ $took -le 11 ] || die "it took long to find out" # the rest of the transfer takes some 3 s
relay_stop
