#!/bin/sh
# FETCHES (200) curls at once from one server: every page right, and no connection left over at either end afterwards.
. "$(dirname "$0")/../lib/world.sh"
n=${FETCHES:-200}
world_up
mkdir "$T/www" "$T/got"
i=0
while [ $i -lt 8 ]; do
    head -c $((i * i * 4001)) /dev/urandom >"$T/www/$i"
    i=$((i + 1))
done
cd "$T/www"
serve bob web python3 "$LIB/web.py"

step "$n at once"
. "$W/alice.env"
i=0
pids=''
while [ $i -lt "$n" ]; do
    i3run curl -sS --max-time 60 -o "$T/got/$i" "http://bob.i3:$PORT/$((i % 8))" &
    pids="$pids $!"
    i=$((i + 1))
done
failed=0
for p in $pids; do
    wait "$p" || failed=$((failed + 1))
done
expect "curls that failed" $failed 0
i=0
while [ $i -lt "$n" ]; do
    [ $((i % 8)) = 0 ] || cmp "$T/got/$i" "$T/www/$((i % 8))" || die "page $i differs"
    i=$((i + 1))
done

step "nothing is left over"
open_connections() {
    as "$1" i3ctl status --json | python3 -c 'import json,sys
print(sum(c["state"] != "TIME-WAIT" for c in json.load(sys.stdin)["connections"]))'
}
none_open() {
    [ "$(open_connections "$1")" = 0 ]
}
wait_for 10 none_open alice || die "alice has $(open_connections alice) connections open"
wait_for 10 none_open bob || die "bob has $(open_connections bob) connections open"
