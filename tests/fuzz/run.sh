#!/bin/sh
# run.sh SECONDS TARGET...: every libFuzzer target for that long, from its seeds in tests/fuzz/seeds/NAME if there are any.
seconds=$1
shift
for t in "$@"; do
    name=$(basename "$t")
    work=$(mktemp -d) || exit 2
    seeds=tests/fuzz/seeds/$name
    [ -d "$seeds" ] || seeds=
    if "$t" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$work/" "$work" $seeds \
        >"$work/log" 2>&1; then
        echo "ok    fuzz $name: $(awk '/stat::number_of_executed_units/{print $2}' "$work/log") runs"
    else
        tail -60 "$work/log"
        find "$work" -name 'crash-*' -o -name 'timeout-*' | while read -r f; do echo "input: $(base64 -w0 "$f")"; done
        echo "FAIL  fuzz $name"
        rm -rf "$work"
        exit 1
    fi
    rm -rf "$work"
done
