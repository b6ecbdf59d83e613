#!/bin/sh
# 500 connections at once through one gateway, each of which gets what it has sent, while a DNS server is dead; the gateway's bounds; its memory; anycast.
. "$(dirname "$0")/../lib/world.sh"
world_up
user_add carol
for other in bob carol; do
    know alice $other
    know $other alice
done
cat >"$T/zone" <<END
web.intra 300 127.9.0.1
mute.intra mute
END
"$LIB/dns_hosts.py" "$T/zone" >"$T/dns.log" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 5 grep -q '^port ' "$T/dns.log" || die "no DNS server: $(cat "$T/dns.log")"
dns=127.0.0.1:$(sed -n 's/^port //p' "$T/dns.log")
node=127.0.0.1:$(cat "$W/ring/port")
gateway() { # gateway USER LINE...
    conf=$W/$1/config/i3/i3.conf
    shift
    { printf 'nodes = { "%s" }\ngateway {\n allow = { "alice" }\n networks = { "127.9.0.1" }\n dns-server = "%s"\n' "$node" "$dns"
        for line; do echo " $line"; done
        echo "}"; } >"$conf"
}
gateway bob 'per-user = 600'
daemon_restart bob
use() { # use GATEWAY
    cat >"$W/alice/config/i3/i3.conf" <<END
nodes = { "$node" }
rule { suffix = ".intra"  action = "gateway"  via = "$1" }
END
    daemon_restart alice
}
use bob
cat >"$T/echo.py" <<'END'
import asyncio

async def serve(r, w):
    while data := await r.read(65536):
        w.write(data)
        await w.drain()
    w.close()

async def main():
    s = await asyncio.start_server(serve, '127.9.0.1', 0, backlog=1024)
    print('port', s.sockets[0].getsockname()[1], flush=True)
    await s.serve_forever()
asyncio.run(main())
END
cat >"$T/crowd.py" <<'END'
"""crowd.py NAME PORT N BYTES: N connections at once; "open N refused M whole K"."""
import asyncio, os, sys

name, port, n, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
opened = refused = whole = 0
everyone = asyncio.Event()

async def one(address):
    global opened, refused, whole
    try:
        r, w = await asyncio.wait_for(asyncio.open_connection(address, port), 60)
        opened += 1
    except OSError:
        refused += 1
        w = None
    if opened + refused == n:
        everyone.set()
    await everyone.wait()
    if not w:
        return
    said = os.urandom(size)
    async def say():
        w.write(said)
        await w.drain()
        w.write_eof()
    task = asyncio.create_task(say())
    try:
        got = await asyncio.wait_for(r.read(-1), 100)
        whole += got == said
    except OSError as e:
        print(e)
    await task
    w.close()

async def main():
    address = (await asyncio.get_running_loop().getaddrinfo(name, port))[0][4][0]
    await asyncio.gather(*[one(address) for _ in range(n)])
asyncio.run(main())
print('open', opened, 'refused', refused, 'whole', whole)
END
python3 "$T/echo.py" >"$T/echo.log" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 5 grep -q '^port ' "$T/echo.log" || die "no echo server: $(cat "$T/echo.log")"
port=$(sed -n 's/^port //p' "$T/echo.log")
crowd() {
    as alice i3run timeout 150 python3 "$T/crowd.py" web.intra "$port" "$@"
}
memory() { # of bob's daemon, kB
    sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$(cat "$W/bob/run/i3/i3d.pid")/status"
}

step "500 at once, nothing lost, while names wait for a dead DNS server"
for i in 1 2 3; do
    as alice i3run timeout 20 getent ahosts mute.intra >"$T/mute$i" 2>&1 </dev/null &
done
before=$(memory)
expect "500 connections" "$(crowd 500 40000)" "open 500 refused 0 whole 500"
after=$(memory)
echo "memory of the gateway: $before kB before, $after kB after"
[ "$after" -lt $((before + 120000)) ] || die "the gateway has grown from $before to $after kB"
expect "connections that were counted" "$(as bob i3ctl gateway --json | field server.connections)" 500
wait_for 5 sh -c ". $W/bob.env; [ \"\$(i3ctl gateway --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[\"server\"][\"flows\"])')\" = 0 ]" || die "flows are left over"
expect "bytes" "$(as bob i3ctl gateway --json | python3 -c 'import json, sys
s = json.load(sys.stdin)["server"]
print(s["bytes_up"], s["bytes_down"])')" "20000000 20000000"

step "so many a user may have, and no more; then again"
gateway bob 'per-user = 100' 'connections = 100'
as bob i3ctl reload >/dev/null
expect "beyond the bound" "$(crowd 130 1000)" "open 100 refused 30 whole 100"
expect "afterwards" "$(crowd 100 1000)" "open 100 refused 0 whole 100"

step "what rests is ended: a connection after tcp-idle, a flow of datagrams after udp-idle"
gateway bob 'tcp-idle = 1' 'udp-idle = 1'
as bob i3ctl reload >/dev/null
as alice i3run timeout 60 python3 -c 'import errno, socket, sys
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
a = socket.getaddrinfo("web.intra", int(sys.argv[1]), socket.AF_INET)[0][4]
u.sendto(b"x", a)
s = socket.create_connection(a, 20)
s.sendall(b"x")
print(s.recv(10))
s.settimeout(50)
try:
    print(s.recv(10))
except OSError as e:
    print(errno.errorcode[e.errno])' "$port" >"$T/rests"
expect "a connection that rests" "$(tr '\n' ' ' <"$T/rests")" "b'x' ECONNRESET "
no_flows() { [ "$(as bob i3ctl gateway --json | field server.flows)" = 0 ]; }
wait_for 20 no_flows || die "flows of datagrams are left"

step "a real server that resets, and one that the user resets"
python3 -c 'import socket, struct, threading
s = socket.create_server(("127.9.0.1", 0))
print("port", s.getsockname()[1], flush=True)
while True:
    c, _ = s.accept()
    d = c.recv(5)
    if d == b"reset":
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        c.close()
    else:
        try:
            print("got", c.recv(100), flush=True)
        except OSError as e:
            print("got", e.errno, flush=True)' >"$T/resetter" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 5 grep -q '^port ' "$T/resetter" || die "no server: $(cat "$T/resetter")"
as alice i3run timeout 60 python3 -c 'import errno, socket, struct, sys
p = int(sys.argv[1])
s = socket.create_connection(("web.intra", p), 20)
s.sendall(b"reset")
try:
    print(s.recv(10))
except OSError as e:
    print(errno.errorcode[e.errno])
s = socket.create_connection(("web.intra", p), 20)
s.sendall(b"hello")
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
s.close()' "$(sed -n 's/^port //p' "$T/resetter")" >"$T/reset"
expect "by the server" "$(cat "$T/reset")" ECONNRESET
wait_for 10 grep -q '^got 104$' "$T/resetter" || die "the server saw: $(cat "$T/resetter")"

step "a friend who is not named gets nothing: no name, no connection, not a packet"
printf 'nodes = { "%s" }\nrule { suffix = ".intra"  action = "gateway"  via = "bob" }\n' "$node" >"$W/carol/config/i3/i3.conf"
know bob carol
know carol bob
daemon_restart carol
as carol i3run timeout 20 python3 -c 'import socket
try:
    print(socket.getaddrinfo("web.intra", 80))
except socket.gaierror as e:
    print(e.errno == socket.EAI_FAIL)' >"$T/carols"
expect "carol's question" "$(cat "$T/carols")" True
as carol i3ctl doctor 2>&1 | grep -q 'bob does not let you use it as a gateway' || die "$(as carol i3ctl doctor)"
expect "users" "$(as bob i3ctl gateway --json | field server.users_total)" 1

step "two gateways share one key: alice stays with one, and goes over when it dies"
as bob i3ctl group new gate >/dev/null
GATE=$(as bob i3ctl group list --json | field groups.0.key)
(umask 077 && as bob i3ctl group export gate >"$T/secret" 2>/dev/null)
as carol i3ctl group join gate "$T/secret" >/dev/null
gateway carol
gateway bob
daemon_restart bob
daemon_restart carol
groups_stand() {
    as "$1" i3ctl group list --json | python3 -c 'import json, sys
sys.exit(not all(g["standing"] for g in json.load(sys.stdin)["groups"]))'
}
wait_for 15 groups_stand bob
wait_for 15 groups_stand carol
as alice i3ctl book add gate "$GATE" >/dev/null
use gate
opened() {
    as "$1" i3ctl gateway --json | field server.connections
}
expect "by the group" "$(crowd 3 1000)" "open 3 refused 0 whole 3"
expect "and again" "$(crowd 3 1000)" "open 3 refused 0 whole 3"
case $(opened bob),$(opened carol) in
6,0) one=bob other=carol ;;
0,6) one=carol other=bob ;;
*) die "not by one of them: $(opened bob) $(opened carol)" ;;
esac
daemon_kill $one
# the first may be the one that finds it gone
crowd 1 1000 >"$T/first" || :
expect "by the other one" "$(crowd 3 1000)" "open 3 refused 0 whole 3"
[ "$(opened $other)" -ge 3 ] || die "$other has opened nothing"
