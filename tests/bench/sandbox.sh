#!/bin/sh
# What i3d's sandbox costs: MB/s of one connection, processor time of both daemons per GB, and round trips, with it and without. ROUNDS (3) of each, taking turns; SIZE_MB (256).
. "$(dirname "$0")/../lib/world.sh"
ROUNDS=${ROUNDS:-3} SIZE_MB=${SIZE_MB:-256}
world_up >/dev/null
mkdir "$T/www"
cd "$T/www"
truncate -s "${SIZE_MB}M" big
cpu() { # of both daemons, in ticks
    for u in alice bob; do
        cat "/proc/$(cat "$W/$u/run/i3/i3d.pid")/stat"
    done | awk '{ t += $14 + $15 } END { print t }'
}
round=0
while [ $round -lt "$ROUNDS" ]; do
    round=$((round + 1))
    for how in '' --no-sandbox; do
        for u in alice bob; do
            as $u i3ctl stop >/dev/null
            # shellcheck disable=SC2086
            as $u i3d --ensure $how
            wait_for 15 triggers_stand $u
        done
        serve bob "web$round$how" python3 "$LIB/web.py"
        as alice i3ctl ping bob 2 >/dev/null
        before=$(cpu)
        speed=$(as alice i3run curl -s -o /dev/null -w '%{speed_download}' "http://bob.i3:$PORT/big")
        used=$(($(cpu) - before))
        mean=$(as alice i3ctl ping bob 5 | sed -n 's/.*mean \([0-9.]* [a-zµ]*\).*/\1/p')
        echo "${how:-sandbox     } $(echo "$speed" | awk '{ printf "%.0f MB/s", $1 / 1e6 }'), $((used * 10000 / SIZE_MB)) ms/GB, ping $mean"
        kill "$SERVER"
    done
done
