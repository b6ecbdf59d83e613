#!/bin/sh
# What a daemon that was killed leaves to the next: book, mappings, a torn end cut off; files of other versions.
. "$(dirname "$0")/../lib/world.sh"
world_up
data=$W/alice/data/i3 run=$W/alice/run/i3

step "kill -9: the address is the same, the book is whole"
key=$(as bob i3ctl id -q)
before=$(as alice i3ctl book ls --json) own=$(address_of alice)
for round in 1 2 3; do
    as alice i3ctl book add "friend$round" "$key" >/dev/null
    kill -9 "$(cat "$run/i3d.pid")"
    daemon_start alice
    expect "own address" "$(address_of alice)" "$own"
    as alice i3ctl book ls | grep -q "friend$round" || die "the book has lost friend$round"
    as alice i3ctl book rm "friend$round" >/dev/null
done
expect "the book" "$(as alice i3ctl book ls --json)" "$before"

step "a torn end is cut off"
size=$(stat -c %s "$data/mappings")
kill -9 "$(cat "$run/i3d.pid")"
printf 'torn' >>"$data/mappings"
daemon_start alice
grep -q 'mappings end torn: cut off bytes=4' "$run/i3d.log" || die "nothing is said of the torn end"
[ "$(stat -c %s "$data/mappings")" -ge "$size" ] || die "the mappings have become shorter"
expect "the book" "$(as alice i3ctl book ls --json)" "$before"

step "an old book is brought up to date, its comments kept, and kept as it was"
as alice i3ctl stop >/dev/null
{ echo '# my friends'; tail -n +2 "$data/book"; } >"$T/old"
rm -f "$data/book.1"
cp "$T/old" "$data/book"
daemon_start alice
expect "first line" "$(head -1 "$data/book")" 'i3run book 1'
tail -n +2 "$data/book" | cmp - "$T/old"
cmp "$data/book.1" "$T/old"

step "a newer file is refused and left as it is"
as alice i3ctl stop >/dev/null
for f in "$data/book" "$data/mappings" "$data/identity" "$data/groups" "$data/shares" "$data/nodes" "$data/dropped" "$data/oldkeys" \
    "$run/listeners" "$run/udp" "$run/peers"; do
    [ ! -e "$f" ] || cp "$f" "$T/kept"
    kind=$(basename "$f")
    printf 'i3run %s 9\nsomething\n' "$kind" >"$f"
    chmod 600 "$f"
    cp "$f" "$T/newer"
    ! as alice i3d --ensure 2>"$T/said" || die "$kind of version 9 was taken"
    grep -qF "$f" "$T/said" || die "$kind: $(cat "$T/said")"
    cmp "$f" "$T/newer"
    if [ -e "$T/kept" ]; then mv "$T/kept" "$f"; else rm "$f"; fi
done
daemon_start alice
expect "own address" "$(address_of alice)" "$own"
