#!/bin/sh
# Rule 5 of SHIM.md: malloc libraries which are preloaded before ours or after it. Programs that resolve, dial, fork and thread.
. "$(dirname "$0")/../lib/world.sh"
world_up
printf 'a page\n' >"$T/page"
cd "$T"
serve bob web python3 "$LIB/web.py"
shim=$(cd "$B/lib/i3run" && pwd)/libi3shim.so
seen=0
for lib in /usr/lib/*/libjemalloc.so.2 /usr/lib/*/libtcmalloc_minimal.so.4 /usr/lib/*/libtcmalloc.so.4; do
    [ -e "$lib" ] || continue
    seen=$((seen + 1))
    for preload in "$lib" "$lib:$shim" "$shim:$lib"; do
        step "$preload"
        page=$(LD_PRELOAD=$preload as alice timeout 20 i3run curl -sS "http://bob.i3:$PORT/page")
        expect curl "$page" 'a page'
        LD_PRELOAD=$preload as alice timeout 20 i3run python3 -c '
import concurrent.futures, os, socket, subprocess, sys
def dial(_):
    with socket.create_connection(("bob.i3", int(sys.argv[1]))) as s:
        return s.getpeername()[1]
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    assert len(list(pool.map(dial, range(100)))) == 100
subprocess.run(["/bin/true"], env={}, check=True)
if os.fork() == 0:
    dial(0)
    os._exit(0)
assert os.wait()[1] == 0' "$PORT" || die "python"
        LD_PRELOAD=$preload as alice timeout 60 i3run "$B/tests/integration/probes/storm" 300 8 "$(address_of bob)" 9 || die "storm"
    done
done
[ $seen -gt 0 ] || { echo "no other malloc library here"; exit 77; }
