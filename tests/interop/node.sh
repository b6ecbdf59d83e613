#!/bin/sh
# Node: servers of bob's (http, http2, net, dgram, in a worker thread, and two clusters) and a client of alice's for each.
. "$(dirname "$0")/../lib/world.sh"
command -v node >/dev/null || { echo "no node here"; exit 77; }
APPS=$TOP/tests/interop/apps
export HOME="$T"
world_up
alice=$(address_of alice)

step "servers"
serve bob cluster node "$APPS/node_cluster.js" rr
spread=$PORT
serve bob shared node "$APPS/node_cluster.js" none
shared=$PORT
serve bob server node "$APPS/node_server.js"

of() {
    sed -n "s/^$1 //p" "$T/server.log" | head -1
}

step "clients"
as alice i3run timeout 90 node "$APPS/node_client.js" bob.i3 "$PORT" "$(of http2)" "$(of net)" "$(of dgram)" "$(of worker)" \
    "$alice" "$spread" "$shared" >"$T/client.log" 2>&1 || die "node: $(cat "$T/client.log")"
[ ! -s "$T/client.log" ] || die "$(cat "$T/client.log")"

step "the servers saw alice"
for log in server cluster shared; do
    ! grep -v -e "^$alice " -e '^[a-z0-9]* [0-9]*$' "$T/$log.log" || die "who is that? alice is $alice"
done
for kind in http http2 net dgram worker; do
    grep -q "^$alice $kind" "$T/server.log" || die "nobody came for $kind: $(sort "$T/server.log" | uniq -c)"
done
