#!/bin/sh
# Python: asyncio, with uvloop as well where there is one; selectors, threads, processes which are given sockets.
. "$(dirname "$0")/../lib/world.sh"
APPS=$TOP/tests/interop/apps
world_up
alice=$(address_of alice)

round() {
    step "$1"
    log=server$2
    serve bob "$log" python3 "$APPS/async_server.py" $2
    # shellcheck disable=SC2046
    as alice i3run timeout 60 python3 "$APPS/async_client.py" ${2:+--$2} bob.i3 "$alice" streams="$PORT" \
        $(sed -n 's/^\([a-z]\{6,\}\) \([0-9]*\)$/\1=\2/p' "$T/$log.log") >"$T/client.log" 2>&1 ||
        die "$(cat "$T/client.log"; sort "$T/$log.log" | uniq -c)"
    ! grep -v -e "^$alice " -e '^[a-z]* [0-9]*$' "$T/$log.log" || die "who is that? alice is $alice"
    for kind in streams datagrams threads selectors passed inherited; do
        grep -q "^$alice $kind" "$T/$log.log" || die "nobody came for $kind: $(sort "$T/$log.log" | uniq -c)"
    done
}

round "asyncio, selectors, threads, processes" ''
if python3 -c 'import uvloop' 2>/dev/null; then
    round "the same by uvloop" uvloop
else
    echo "    no uvloop here"
fi
