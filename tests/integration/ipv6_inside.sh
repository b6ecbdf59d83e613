#!/bin/sh
# Inside the overlay every host has an IPv6 address as well: unmodified programs use it, servers are reached over the families
# that they listen on, and both ends see the same four-tuple, whatever IPv4 network each has chosen for itself.
. "$(dirname "$0")/../lib/world.sh"
grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null || {
    echo "no IPv6 on loopback here"
    exit 77
}
world_up
mkdir "$T/www"
cd "$T/www"
head -c 3M /dev/urandom >f

address6_of() {
    as "$1" i3ctl id --json | field address6
}
alice=$(address_of alice) bob=$(address_of bob) alice6=$(address6_of alice) bob6=$(address6_of bob)
case $alice6$bob6 in fd69:33*fd69:33*) ;; *) die "the addresses are $alice6 and $bob6" ;; esac

step "a name has both addresses, IPv4 first, and an address has its name"
as alice i3run getent ahosts bob.i3 >"$T/ahosts"
expect "getent ahosts" "$(sed -n 's/ *STREAM.*//p' "$T/ahosts" | xargs)" "$bob $bob6"
expect "getent ahostsv6" "$(as alice i3run getent ahostsv6 bob.i3 | sed -n 's/ *STREAM.*//p')" "$bob6"
expect "getent hosts, backwards" "$(as alice i3run getent hosts "$bob6" | xargs)" "$bob6 bob.i3"

step "ping in either family"
for to in bob.i3 "$bob" "$bob6"; do
    as alice i3ctl ping "$to" 1 >"$T/ping" || die "$(cat "$T/ping")"
    grep -qF "$to: 1 sent, 1 answered" "$T/ping" || die "$(cat "$T/ping")"
done
! as alice i3ctl ping fd69:3300::1 1 2>"$T/ping" || die "a stranger answers"

step "a server on both families: curl chooses, or is told to"
serve bob web python3 -c 'import http.server, socket
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()
s = Server(("::", 0), http.server.SimpleHTTPRequestHandler)
print("port", s.server_address[1], flush=True)
s.serve_forever()'
for way in -4 -6 ''; do
    # shellcheck disable=SC2086
    as alice i3run curl -sS $way --max-time 20 "http://bob.i3:$PORT/f" | cmp - f || die "curl $way: it differs"
done
as alice i3run curl -sSg --max-time 20 "http://[$bob6]:$PORT/f" | cmp - f || die "the literal address: it differs"
expect "callers" "$(sed -n 's/ - - .*GET.*//p' "$T/web.log" | xargs)" \
    "::ffff:$alice $alice6 ::ffff:$alice $alice6"

# four_tuple SERVER'S-USER BOUND ADDRESS...: what both ends say of connections to these addresses
tuples=0
four_tuple() {
    user=$1 bound=$2 tuples=$((tuples + 1))
    shift 2
    # shellcheck disable=SC2086
    serve "$user" "names$tuples" python3 "$LIB/names.py" server $bound
    for to in "$@"; do
        as alice i3run python3 "$LIB/names.py" client "$to" "$PORT" >"$T/client" || die "no connection to $to"
        read -r c_local c_peer <"$T/client"
        case $to in *:*) want="[$to]:$PORT" ;; *) want=$to:$PORT ;; esac
        expect "the client's peer" "$c_peer" "$want"
        expect "the server's view" "$(sed -n 2p "$T/client" | sed 's/\[::ffff:\([0-9.]*\)\]/\1/g')" "$c_peer $c_local"
    done
}

step "both ends name the connection alike, in either family"
four_tuple bob :: "$bob6" "$bob"
expect "our own end" "${c_local%:*}" "$alice"
four_tuple bob ::1 "$bob6"
expect "our own end" "${c_local%:*}" "[$alice6]"

# dial FAMILY HOST: OK, or the errno's name, and how many milliseconds it took
dial() {
    as alice i3run python3 -c 'import errno, socket, sys, time
start = time.time()
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10)
    result = "OK"
except OSError as e:
    result = errno.errorcode.get(e.errno, str(e))
print(result, int((time.time() - start) * 1000))' "$1" "$PORT" | {
        read -r result ms
        [ "$ms" -lt 1000 ] || die "$1: $result after $ms ms"
        echo "$result"
    }
}

step "a server that listens on IPv4 only refuses IPv6, as anywhere; programs fall back"
serve bob only4 python3 "$LIB/names.py" server 0.0.0.0
expect "IPv6" "$(dial "$bob6")" ECONNREFUSED
expect "IPv4" "$(dial "$bob")" OK
expect "the name" "$(dial bob.i3)" OK
rc=0
as alice i3run curl -6 -sS --max-time 10 "http://bob.i3:$PORT/" 2>"$T/err" || rc=$?
expect "curl -6" $rc 7

step "one that listens on IPv6 only refuses IPv4"
for bound in ':: -6only' ::1 "$bob6"; do
    # shellcheck disable=SC2086
    serve bob "only6${bound% *}" python3 "$LIB/names.py" server $bound
    expect "IPv4, bound to $bound" "$(dial "$bob")" ECONNREFUSED
    expect "IPv6, bound to $bound" "$(dial "$bob6")" OK
    expect "the name, bound to $bound" "$(dial bob.i3)" OK
done
expect "its own name for itself" "$(sed -n '2s/ .*//p' "$T/only6$bob6.log")" "[$bob6]:$PORT"

step "two servers share a port, one in each family"
serve bob pair python3 -c 'import socket, threading
a = socket.create_server(("", 0))
port = a.getsockname()[1]
b = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=False)
print("port", port, flush=True)
def run(l, text):
    while True:
        c = l.accept()[0]
        c.sendall(text)
        c.close()
threading.Thread(target=run, args=(b, b"six\n")).start()
run(a, b"four\n")'
for to in "$bob four" "$bob6 six"; do
    expect "who answers at ${to% *}" "$(as alice i3run python3 -c 'import socket, sys
print(socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10).makefile().readline().strip())' "${to% *}" "$PORT")" \
        "${to#* }"
done

step "happy eyeballs"
serve bob echo6 python3 "$LIB/names.py" server :: -6only
as alice i3run python3 -c 'import asyncio, sys, time
async def main():
    start = time.time()
    r, w = await asyncio.open_connection("bob.i3", int(sys.argv[1]), happy_eyeballs_delay=0.25)
    print(w.get_extra_info("peername")[0], await r.readline() != b"", time.time() - start < 2)
asyncio.run(main())' "$PORT" >"$T/eyeballs"
expect "asyncio" "$(cat "$T/eyeballs")" "$bob6 True True"

step "who calls has a name there"
serve bob who python3 -c 'import socket
l = socket.create_server(("::", 0), family=socket.AF_INET6)
print("port", l.getsockname()[1], flush=True)
c, peer = l.accept()
c.sendall(socket.getnameinfo(peer, 0)[0].encode() + b"\n")'
expect "the caller's name" "$(as alice i3run python3 -c 'import socket, sys
print(socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=10).makefile().readline().strip())' "$bob6" "$PORT")" alice.i3

step "3 MB each way at once over one connection, while IPv4 does the same; then status shows them"
serve bob back python3 -c 'import socket, threading
l = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
print("port", l.getsockname()[1], flush=True)
def echo(c):
    while data := c.recv(65536):
        c.sendall(data)
    c.close()
while True:
    threading.Thread(target=echo, args=(l.accept()[0],)).start()'
for to in "$bob" "$bob6"; do
    as alice i3run python3 -c 'import hashlib, socket, sys, threading, time
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=60)
data = open("f", "rb").read()
def write():
    s.sendall(data)
    open(sys.argv[3], "w").close()
    while open(sys.argv[3]).read() != "go":
        time.sleep(.02)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=write).start()
h = hashlib.sha256()
while piece := s.recv(65536):
    h.update(piece)
print(h.hexdigest() == hashlib.sha256(data).hexdigest())' "$to" "$PORT" "$T/sent.$to" >"$T/echo.$to" &
    STARTED="$STARTED $!"
    eval "client${to##*[.:]}=$!"
done
wait_for 30 test -e "$T/sent.$bob"
wait_for 30 test -e "$T/sent.$bob6"
expect "remotes in status" "$(as alice i3ctl status --json | python3 -c 'import json,sys
print(*sorted(c["remote"] for c in json.load(sys.stdin)["connections"] if c["state"] == "ESTABLISHED"))')" \
    "$bob:$PORT [$bob6]:$PORT"
for to in "$bob" "$bob6"; do
    echo go | tr -d '\n' >"$T/sent.$to"
    eval "wait \$client${to##*[.:]}"
    expect "the echo of $to" "$(cat "$T/echo.$to")" True
done

step "other IPv4 networks at the two ends: no rewriting in IPv6"
printf 'nodes = { "127.0.0.1:%s" }\nnetwork = "10.200.7.0/24"\n' "$(cat "$W/ring/port")" >"$W/alice/config/i3/i3.conf"
daemon_restart alice
expect "alice's address after the restart" "$(address6_of alice)" "$alice6"
four_tuple bob :: "$bob6"
expect "our own end" "${c_local%:*}" "[$alice6]"

step "and nothing was taken for forged or damaged"
for u in alice bob; do
    expect "$u's spoofed packets" "$(as $u i3ctl status --json | field counters.packets_spoofed)" 0
    expect "$u's bad segments" "$(as $u i3ctl status --json | field counters.tcp_bad)" 0
done

step "a host that is not there is waited for once, not once in each family"
failures() {
    grep -c 'handshake failed' "$W/alice/run/i3/i3d.log" || :
}
as bob i3ctl stop >/dev/null
before=$(failures)
as alice i3run python3 -c 'import socket, sys
try:
    socket.create_connection(("bob.i3", 80), all_errors=True)
except ExceptionGroup as e:
    print(*(x.strerror for x in e.exceptions), sep=", ")' >"$T/absent"
expect "what both attempts came to" "$(cat "$T/absent")" "No route to host, No route to host"
expect "handshakes that failed" "$(failures)" $((before + 1))
