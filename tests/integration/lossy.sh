#!/bin/sh
# A relay between the daemons and the node loses, doubles and reorders packets: transfers end with equal checksums.
# SCALE (1) times the sizes.
. "$(dirname "$0")/../lib/world.sh"
scale=${SCALE:-1}
world_up
mkdir "$T/www"
cd "$T/www"

# round LOSS KB RELAY-OPTIONS...: what goes from one user to the other passes the relay twice, so it suffers twice
round() {
    loss=$1 size=$(($2 * scale)) file=$1
    shift 2
    head -c "${size}K" /dev/urandom >"$file"
    step "$loss % lost at each passage, $*: $size kB each way"
    relay_start --loss "$loss" "$@"
    relay_use alice
    relay_use bob
    serve bob "web$loss" python3 "$LIB/web.py"
    start=$(date +%s.%N)
    as alice i3run curl -sS --max-time 300 "http://bob.i3:$PORT/$file" | cmp - "$file" || die "down: it differs"
    middle=$(date +%s.%N)
    expect "SHA-256 up" "$(as alice i3run curl -sS --max-time 300 -H Expect: -T "$file" "http://bob.i3:$PORT/$file")" \
        "$(sha256sum <"$file" | cut -d' ' -f1)"
    awk -v a="$start" -v b="$middle" -v c="$(date +%s.%N)" -v m="$size" \
        'BEGIN { printf "down %.0f kB/s, up %.0f kB/s\n", m * 1.024 / (b - a), m * 1.024 / (c - b) }'
    relay_stop
}

round 1 8192 --dup 1 --reorder 1 --seed 1
round 5 2048 --dup 2 --reorder 5 --corrupt 0.5 --seed 2
round 10 512 --dup 5 --reorder 10 --seed 3
