#!/bin/sh
# A node with several workers delivers every packet of a thousand sources to a thousand targets, while others insert, refresh and remove
# triggers by the thousand; every worker has its part in it. `make tsan` runs it for data races.
. "$(dirname "$0")/../lib/world.sh"
NODE_LOAD=$B/tests/bench/node_load
WORKERS=3 SANDBOX=

cd "$T"
if [ "${B##*/}" = tsan ]; then
    NODE_LOAD=${B%/tsan}/tests/bench/node_load # the load need not be watched
    SANDBOX=--no-sandbox                       # or the watcher could not write what it finds
fi
export XDG_RUNTIME_DIR="$T/run"
mkdir -m 700 "$XDG_RUNTIME_DIR"
i3node --listen 127.0.0.1:0 --port-file port --workers $WORKERS --log node.log $SANDBOX &
NODE=$!
STARTED="$STARTED $NODE"
until [ -s port ]; do
    kill -0 $NODE
    sleep 0.1
done
AT=127.0.0.1:$(cat port)

step "a thousand flows, and triggers that come and go"
"$NODE_LOAD" distinct "$AT" 3 >flows &
FLOWS=$!
STARTED="$STARTED $FLOWS"
has_triggers() {
    i3ctl ring --node "$(cat port)" --json >map # reads the node beside its workers
    python3 -c 'import json, sys; sys.exit(json.load(open("map"))["nodes"][0]["triggers"] < 1000)'
}
until has_triggers; do
    kill -0 $FLOWS || die "the flows ended before they began"
    sleep 0.1
done
for i in 1 2 3 4; do
    "$NODE_LOAD" visit "$AT" 500 5 20 >/dev/null
    has_triggers || die "the triggers of the flows are gone"
done
wait $FLOWS
cat flows
grep -q 'lost=0\.000000' flows || die "packets were lost"

step "trains"
"$NODE_LOAD" trains "$AT" 1 >trains
cat trains
grep -q 'lost=0\.000000' trains || die "packets of trains were lost"

step "every worker took part"
busy=0
for task in /proc/$NODE/task/*; do
    read -r ns _ <"$task/schedstat"
    [ "$ns" -lt 20000000 ] || busy=$((busy + 1))
done
[ $busy -ge $WORKERS ] || die "only $busy of $WORKERS threads worked"

step "nobody else can bind its address"
! timeout 10 i3node --listen "$AT" --control no >second 2>&1 || die "a second node was let in"
grep -q 'cannot listen' second

step "it ends when it is told to"
kill $NODE
wait $NODE
