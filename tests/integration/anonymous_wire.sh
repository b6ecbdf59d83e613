#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# Anonymous programs on the wire: the client's machine speaks to overlay nodes alone, whatever its program tries; the server's machine
# never hears from the client's; nothing that stays the same is in any packet; refreshes keep times of their own; the daemon's death opens nothing.
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/star.sh"
star_begin client n0 n1 n2 server
ring n0 n1 n2
dns_at server "$(at server)"
user server <<'C'
expose web { port = 8000 target = "127.0.0.1:8000" allow = { "anyone" } }
C
user client </dev/null
know client server server
server server who python3 "$T/who.py" server 8000 127.0.0.1
as client i3run --strict true 2>/dev/null || { echo "no user namespaces here"; exit 77; }
as client i3run --anonymous true || die "it does not run"
key=$(key client) id=$(of_id client id) address=$(of_id client address)
port=$(of_status client 's["udp"]' | sed 's/.*://')
nodes=$(nodes_only n0 n1 n2)
raw=$(python3 -c 'import base64, sys; print(base64.b32decode(sys.argv[1].upper() + "====").hex()[:64])' "$key")

step "pages, and everything else that a program might try"
capture
for i in 1 2 3 4; do
    as client i3run --anonymous curl -sS -m 20 http://server.i3:8000/ >>"$T/pages" || die "no page"
done
as client i3run --anonymous curl -sS -6 -m 20 http://server.i3:8000/ >>"$T/page6" || die "no page over IPv6"
got=$(as client i3run --anonymous python3 "$T/escapes.py" "$(at server)" "$(at6 server)" 2>"$T/said")
expect "what was tried" "$got" 'all refused'
expect "what is said" "$(grep -c 'this program is anonymous' "$T/said")" 1
sleep 16 # the user's own refreshes are seen as well
captured
# shellcheck disable=SC2086
check client $nodes --key "$key" --some "udp/$(at n0):5610"
# shellcheck disable=SC2086
check server $nodes --key "$key" --never "$(at client)"
python3 "$T/anon_pcap.py" "$T/client.pcap" "$(at client)" "$port" secrets "$raw" "$(echo "$id" | cut -c1-32)" || die "a packet tells who it is"
expect "DNS servers" "$(asked server)" ''

step "the server sees somebody else each time, and never the client"
expect "addresses" "$(sed 's/.* //; s/:.*//' "$T/pages" | sort -u | wc -l)" 4
! grep -q "127${address#10}:" "$T/pages" || die "the client's own address: $(cat "$T/pages")"
as server i3ctl status -v --json | python3 -c 'import json, sys
peers = json.load(sys.stdin)["peers"]
keys = {p["key"] for p in peers}
assert len(keys) >= 5 and sys.argv[1] not in keys, peers
assert all(p["address"].endswith(".0") for p in peers), peers' "$key" || die "the server knows who it was"

step "nodes are drawn, each time anew"
for i in $(seq 30); do as client i3run --anonymous true; done
as client i3ctl anonymous --json | python3 -c 'import collections, json, sys
nodes = collections.Counter(a["node"] for a in json.load(sys.stdin)["anonymous"])
print(dict(nodes))
assert len(nodes) == 3 and min(nodes.values()) >= 2, nodes' || die "nodes"

step "refreshes at times of their own"
for i in 1 2 3; do
    as client i3run --anonymous python3 -c 'import socket, time
socket.gethostbyname("server.i3")
time.sleep(90)' </dev/null >/dev/null 2>&1 &
done
sleep 1
capture
sleep 24
captured
python3 "$T/anon_pcap.py" "$T/client.pcap" "$(at client)" "$port" times 3 || die "refreshes"

step "the daemon is killed: nothing opens"
mkfifo "$T/fifo"
as client i3run --anonymous python3 -c 'import socket, sys
print("ready", flush=True)
sys.stdin.readline()
for name in "server.i3", "example.test":
    try:
        print(socket.gethostbyname(name))
    except socket.gaierror as e:
        print("none")
for to in sys.argv[1:]:
    try:
        socket.create_connection((to, 8000), 3)
        print("connected")
    except OSError as e:
        print("refused")' "$(at server)" "10.9.8.7" <"$T/fifo" >"$T/after" 2>/dev/null &
exec 9>"$T/fifo"
wait_for 10 grep -q ready "$T/after"
capture
daemon_kill client
echo >&9
wait_for 20 sh -c "[ \$(wc -l <$T/after) = 5 ]"
captured
expect "what it got" "$(tr '\n' ' ' <"$T/after")" 'ready none none refused refused '
# shellcheck disable=SC2086
check client $nodes
