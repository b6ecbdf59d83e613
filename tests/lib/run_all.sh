#!/bin/sh
# run_all.sh SCRIPT...: run.sh for each, one after the other, up to the first failure. Scripts which say "# waits: ..." on
# their first lines spend their time waiting, and do so side by side with the others. Environment: as for run.sh.
here=$(dirname "$0")
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
trap 'kill $pids 2>/dev/null; wait; exit 130' INT TERM HUP
pids='' names='' failed=0

for t in "$@"; do
    head -5 "$t" | grep -q '^# waits:' || continue
    name=$(basename "$t")
    "$here/run.sh" "$t" >"$work/$name" 2>&1 &
    pids="$pids $!" names="$names $name"
done
for t in "$@"; do
    [ $failed = 0 ] || break
    [ -e "$work/$(basename "$t")" ] || "$here/run.sh" "$t" || failed=1
done
# shellcheck disable=SC2086
[ $failed = 0 ] || kill $pids 2>/dev/null
set -- $names
for p in $pids; do
    wait "$p" || failed=1
    cat "$work/$1"
    shift
done
exit $failed
