#!/bin/sh
# run_all.sh SCRIPT...: run.sh for each, one after the other, up to the first failure. Scripts which say "# waits: ..." on
# their first lines spend their time waiting, and do so beside the others, LANES of them at a time: more would make so much work
# together that what is late tells nothing. Environment: as for run.sh.
LANES=4
here=$(dirname "$0")
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'kill $lanes 2>/dev/null; wait; exit 130' INT TERM HUP
lanes='' failed=0

waits() {
    head -5 "$1" | grep -q '^# waits:'
}

# lane K SCRIPT...: of those that wait the K-th, the K-th + LANES, ...
lane() {
    lane=$1 i=0
    shift
    trap 'kill $! 2>/dev/null; wait; exit 143' TERM
    for t in "$@"; do
        waits "$t" || continue
        i=$((i + 1))
        [ $((i % LANES)) = "$lane" ] || continue
        "$here/run.sh" "$t" >"$work/out.$lane" 2>&1 &
        wait $! || exit 1
        mv "$work/out.$lane" "$work/done.$(basename "$t")"
    done
}

for k in $(seq 0 $((LANES - 1))); do
    (lane "$k" "$@") &
    lanes="$lanes $!"
done
for t in "$@"; do
    waits "$t" || "$here/run.sh" "$t" || { failed=1; break; }
done
# shellcheck disable=SC2086
[ $failed = 0 ] || kill $lanes 2>/dev/null
for p in $lanes; do
    wait "$p" || failed=1
done
cat "$work"/done.* "$work"/out.* 2>/dev/null
exit $failed
