#!/bin/sh
# How long a daemon's death lasts for others: kill -9 until the first page that is fetched after it (a new connection by a program that runs
# on), median and worst of ROUNDS (20), of the client's daemon and of the server's. `make bench-restart`.
. "$(dirname "$0")/../lib/world.sh"
ROUNDS=${ROUNDS:-20}
world_up >/dev/null
mkdir "$T/www"
cd "$T/www"
echo 'the page' >page
serve bob web python3 "$LIB/web.py"
(
    . "$W/alice.env"
    exec i3run python3 "$LIB/again.py" bob.i3 "$PORT" "$T/fetches" 0.002 >"$T/again.err" 2>&1
) &
STARTED="$STARTED $!"
fetched() { # one that began after $1 is done: the time from $1 to its end is left in $T/took
    awk -v at="$1" '$1 > at && $3 == "ok" { printf "%.3f\n", $1 + $2 - at; exit 0 }' "$T/fetches" >"$T/took"
    [ -s "$T/took" ]
}
wait_for 10 fetched 0 || die "no page: $(cat "$T/fetches" "$T/again.err")"
for who in alice bob; do
    : >"$T/all"
    round=0
    while [ $round -lt "$ROUNDS" ]; do
        round=$((round + 1))
        sleep 0.3
        at=$(date +%s.%N)
        kill -9 "$(cat "$W/$who/run/i3/i3d.pid")"
        wait_for 15 fetched "$at" || die "$who's daemon was killed, and no page came"
        cat "$T/took" >>"$T/all"
    done
    what=client
    [ $who = alice ] || what=server
    sort -n "$T/all" | awk -v what=$what '{ v[NR] = $1 } END { printf "kill -9 of the %s'\''s daemon to the next page: median %.3f s, worst %.3f s\n", what, v[int((NR + 1) / 2)], v[NR] }'
    sort -n "$T/all" | tail -1 >>"$T/worst"
done
touch "$T/fetches.stop"
[ -z "${WORST-}" ] || awk -v limit="$WORST" '$1 > limit { bad = 1 } END { exit bad }' "$T/worst" || die "longer than $WORST s"
