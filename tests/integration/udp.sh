#!/bin/sh
# UDP: what a program sees of a virtual peer is what the kernel shows of one on loopback; a real peer beside it; both directions.
. "$(dirname "$0")/../lib/world.sh"
world_up
PROBE=$B/tests/integration/probes/dgrams

# A UDP server of nobody's: real SERVER ADDRESS; its port goes to PORT.
real() {
    "$LIB/udp_echo.py" "$1" >"$T/real.$1" 2>&1 </dev/null &
    STARTED="$STARTED $!"
    wait_for 10 grep -q '^port ' "$T/real.$1"
    PORT=$(sed -n 's/^port //p' "$T/real.$1")
}

step "the probe on loopback and on the overlay"
real 127.0.0.1
other=$PORT
real 127.0.9.9
"$PROBE" 127.0.9.9 "$PORT" 9 127.0.0.1 "$other" >"$T/native"
[ "$(wc -l <"$T/native")" -gt 60 ] || die "the probe ended early: $(tail -3 "$T/native")"
serve bob echo "$LIB/udp_echo.py"
as alice i3run "$PROBE" "$(address_of bob)" "$PORT" 9 127.0.0.1 "$other" >"$T/overlay"
diff "$T/native" "$T/overlay" || die "the overlay differs from the kernel"

step "and the other way round, the server bound to its own virtual address"
serve alice echo "$LIB/udp_echo.py" "$(address_of alice)"
as bob i3run "$PROBE" "$(address_of alice)" "$PORT" 9 127.0.0.1 "$other" >"$T/overlay"
diff "$T/native" "$T/overlay" || die "the overlay differs from the kernel"

step "the port of a peer can be bound here as well, to all addresses"
cat >"$T/ask.py" <<'P'
import socket, sys
peer = sys.argv[1], int(sys.argv[2])
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    s.settimeout(5)
    s.sendto(b'hello', peer)
    assert s.recvfrom(100) == (b'hello', peer)
P
cat >"$T/bind.py" <<'P'
import socket, sys
for family, everywhere in (socket.AF_INET, '0.0.0.0'), (socket.AF_INET6, '::'):
    with socket.socket(family, socket.SOCK_DGRAM) as s:
        s.bind((everywhere, int(sys.argv[1])))
P
serve bob twin "$LIB/udp_echo.py" 127.0.0.1
as alice i3run timeout 20 python3 "$T/ask.py" "$(address_of bob)" "$PORT"
kill "$SERVER"
wait "$SERVER" || :
as alice i3run python3 "$T/bind.py" "$PORT" || die "alice cannot bind what bob had"

step "IPv6: a server for both families, a client of either, large and small, and nobody there"
serve bob echo6 "$LIB/udp_echo.py" ::
cat >"$T/six.py" <<'P'
import errno, socket, sys
port = int(sys.argv[2])
six = socket.getaddrinfo(sys.argv[1], port, socket.AF_INET6, socket.SOCK_DGRAM)[0][4]
own = None
for family, to in ((socket.AF_INET6, six[:2]), (socket.AF_INET, (socket.gethostbyname(sys.argv[1]), port))):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(5)
    for size in (0, 1, 1200, 1352, 1353, 5000, 60000):
        s.sendto(b'x' * size, to)
        data, peer = s.recvfrom(65536)
        assert data == b'x' * size and peer[:2] == to, (size, len(data), peer)
    s.sendto(b'who', to)
    seen = s.recv(100).decode().split()
    assert int(seen[1]) == s.getsockname()[1]
    c = socket.socket(family, socket.SOCK_DGRAM)
    c.settimeout(5)
    c.connect(to)
    assert c.getpeername()[:2] == to
    assert c.getsockname()[0] == seen[0].replace('::ffff:', ''), (c.getsockname(), seen)
    c.send(b'connected')
    assert c.recv(100) == b'connected'
    c.connect((to[0], 9))
    c.send(b'x')
    try:
        c.recv(100)
        assert False
    except OSError as e:
        assert e.errno == errno.ECONNREFUSED, e
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        s.sendto(b'info', to)
        data, control, _, peer = s.recvmsg(100, 200)
        assert socket.inet_ntop(socket.AF_INET6, control[0][2][:16]) == seen[0] and peer[:2] == to
print('done')
P
expect "both families" "$(as alice i3run timeout 60 python3 "$T/six.py" bob.i3 "$PORT")" done

step "the daemons anew: a server need not bind again, a connected client need not connect again"
serve bob echo "$LIB/udp_echo.py"
cat >"$T/client.py" <<'P'
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.5)
s.connect((socket.gethostbyname(sys.argv[1]), int(sys.argv[2])))
def ask(what):
    end = time.time() + 15
    while time.time() < end:
        try:
            s.send(what)
            if s.recv(100) == what:
                return True
        except OSError:
            time.sleep(0.05)
    return False
print(ask(b'before'), flush=True)
input()
print(ask(b'after'), s.getpeername()[1] == int(sys.argv[2]), flush=True)
P
mkfifo "$T/go"
as alice i3run timeout 60 python3 "$T/client.py" bob.i3 "$PORT" <"$T/go" >"$T/client.log" 2>&1 &
STARTED="$STARTED $!"
exec 9>"$T/go"
wait_for 20 grep -q True "$T/client.log" || die "no answer: $(cat "$T/client.log")"
daemon_restart bob
daemon_restart alice
echo >&9
wait_for 20 grep -q 'True True' "$T/client.log" || die "after the restart: $(cat "$T/client.log")"
exec 9>&-

step "no daemon: a datagram for the overlay fails within a second, and goes nowhere"
cat >"$T/dead.py" <<'P'
import errno, socket, sys, time
a = (socket.gethostbyname(sys.argv[1]), int(sys.argv[2]))
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.sendto(b'alive', a)
print(s.recv(100).decode(), flush=True)
input()
time.sleep(1)
for act in (lambda: s.sendto(b'dead', a), lambda: s.connect(a), lambda: s.sendmsg([b'dead'], [], 0, a)):
    start = time.time()
    try:
        act()
        print('it worked', flush=True)
    except OSError as e:
        print(errno.errorcode[e.errno], time.time() - start < 1, flush=True)
local = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
local.bind(('127.0.0.1', 0))
s.sendto(b'real', local.getsockname())
print(local.recv(100).decode(), flush=True)
input()
s.settimeout(0.5)
for i in range(30): # the new session may cost a datagram
    s.sendto(b'alive', a)
    try:
        print(s.recv(100).decode(), 'again', flush=True)
        break
    except TimeoutError:
        pass
P
mkfifo "$T/go2"
as alice i3run timeout 60 python3 "$T/dead.py" bob.i3 "$PORT" <"$T/go2" >"$T/dead.log" 2>&1 &
STARTED="$STARTED $!"
exec 9>"$T/go2"
wait_for 20 grep -q alive "$T/dead.log" || die "no answer: $(cat "$T/dead.log")"
as alice i3ctl stop >/dev/null
echo >&9
wait_for 20 grep -q real "$T/dead.log" || die "without a daemon: $(cat "$T/dead.log")"
daemon_start alice
echo >&9
wait_for 20 grep -q again "$T/dead.log" || die "after the daemon is back: $(cat "$T/dead.log")"
exec 9>&-
printf 'alive\nENETUNREACH True\nENETUNREACH True\nENETUNREACH True\nreal\nalive again\n' | diff - "$T/dead.log" || die "with no daemon"

step "what was not bound under i3run cannot be reached"
"$LIB/udp_echo.py" >"$T/private" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 10 grep -q '^port ' "$T/private"
as alice i3run timeout 20 python3 -c '
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect((socket.gethostbyname("bob.i3"), int(sys.argv[1])))
s.send(b"anybody?")
try:
    print(s.recv(100))
except ConnectionRefusedError:
    print("refused")' "$(sed -n 's/^port //p' "$T/private")" >"$T/answer"
expect "a server without i3run" "$(cat "$T/answer")" refused

step "nothing came to a mirror but from this user, and nothing was malformed"
as bob i3ctl status --json | python3 -c '
import json, sys
c = json.load(sys.stdin)["counters"]
assert c["dgrams_strangers"] == 0 and c["dgrams_bad"] == 0, c'
