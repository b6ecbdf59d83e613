#!/bin/sh
# SIZE_MB (64) down and up through unmodified curl, checksums equal. SIZE_MB=1024 is the figure of the issue.
. "$(dirname "$0")/../lib/world.sh"
size=${SIZE_MB:-64}
world_up
mkdir "$T/www"
head -c "${size}M" /dev/urandom >"$T/www/big"
sum=$(sha256sum <"$T/www/big" | cut -d' ' -f1)
cd "$T/www"
serve bob web python3 "$LIB/web.py"

step "down, $size MB"
start=$(date +%s.%N)
expect "SHA-256" "$(as alice i3run curl -sS --max-time 600 "http://bob.i3:$PORT/big" | sha256sum | cut -d' ' -f1)" "$sum"
middle=$(date +%s.%N)
step "up, $size MB"
expect "SHA-256" "$(as alice i3run curl -sS --max-time 600 -H Expect: -T big "http://bob.i3:$PORT/big")" "$sum"
awk -v a="$start" -v b="$middle" -v c="$(date +%s.%N)" -v m="$size" \
    'BEGIN { printf "down %.0f MB/s, up %.0f MB/s\n", m * 1.048576 / (b - a), m * 1.048576 / (c - b) }'

step "both at once, one of them a slow reader"
head -c 20M big >mid
as alice i3run curl -sS --max-time 600 -H Expect: -T big "http://bob.i3:$PORT/big" >"$T/up" &
up=$!
as alice i3run curl -sS --max-time 600 --limit-rate 20M "http://bob.i3:$PORT/mid" | cmp - mid || die "the slow fetch differs"
wait $up
expect "SHA-256" "$(cat "$T/up")" "$sum"
