#!/bin/sh
# A relay between the daemons and the node loses, doubles and reorders packets: transfers end with equal checksums.
# SCALE (1) times the sizes.
. "$(dirname "$0")/../lib/world.sh"
scale=${SCALE:-1}
world_up
mkdir "$T/www"
cd "$T/www"
head -c $((8 * scale))M /dev/urandom >8
head -c $((4 * scale))M /dev/urandom >4
head -c $((2 * scale))M /dev/urandom >2

# round LOSS SIZE RELAY-OPTIONS...
round() {
    loss=$1 file=$2
    shift 2
    step "$loss % lost, $*: $((file * scale)) MB each way"
    relay_start --loss "$loss" "$@"
    relay_use alice
    relay_use bob
    serve bob "web$loss" python3 "$LIB/web.py"
    start=$(date +%s.%N)
    as alice i3run curl -sS --max-time 300 "http://bob.i3:$PORT/$file" | cmp - "$file" || die "down: it differs"
    middle=$(date +%s.%N)
    expect "SHA-256 up" "$(as alice i3run curl -sS --max-time 300 -H Expect: -T "$file" "http://bob.i3:$PORT/$file")" \
        "$(sha256sum <"$file" | cut -d' ' -f1)"
    awk -v a="$start" -v b="$middle" -v c="$(date +%s.%N)" -v m="$((file * scale))" \
        'BEGIN { printf "down %.1f MB/s, up %.1f MB/s\n", m * 1.048576 / (b - a), m * 1.048576 / (c - b) }'
    relay_stop
}

round 1 8 --dup 1 --reorder 1 --seed 1
round 5 4 --dup 2 --reorder 5 --corrupt 0.5 --seed 2
round 10 2 --dup 5 --reorder 10 --seed 3
