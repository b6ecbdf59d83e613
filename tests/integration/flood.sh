#!/bin/sh
# PACKETS (100000) mutated packets at the node and as many at a daemon: both live, and service goes on.
. "$(dirname "$0")/../lib/world.sh"
packets=${PACKETS:-100000}
flood=$B/tests/fuzz/flood
[ -x "$flood" ] || { echo "tests/fuzz/flood is not built"; exit 77; }
world_up
mkdir "$T/www" && echo hello >"$T/www/page"
cd "$T/www"
serve bob web python3 "$LIB/web.py"
node=127.0.0.1:$(cat "$W/ring/port")
daemon=127.0.0.1:$(as bob i3ctl status --json | field udp | sed 's/.*://')
pids="$(cat "$W/ring/pid") $(cat "$W/bob/run/i3/i3d.pid")"
for target in "$node" "$daemon"; do
    step "$packets packets at $target"
    "$flood" "$target" "$packets" 5 "$(as bob i3ctl id --json | field key)" || die "the flood itself failed"
    for p in $pids; do
        kill -0 "$p" || die "process $p is gone"
    done
    as alice i3run curl -sS --max-time 20 "http://bob.i3:$PORT/page" | cmp - page || die "service is gone"
done
