#!/bin/sh
# UDP over IPv6 inside the overlay: one socket with peers of both families, servers of every kind, refusals, large datagrams.
. "$(dirname "$0")/../lib/world.sh"
grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null || {
    echo "no IPv6 on loopback here"
    exit 77
}
world_up
alice=$(address_of alice) bob=$(address_of bob)
alice6=$(as alice i3ctl id --json | field address6) bob6=$(as bob i3ctl id --json | field address6)

# Echoes; says who has sent and, by IPV6_PKTINFO, to which address of ours.
cat >"$T/echo.py" <<'P'
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
if "only" in sys.argv:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
if ":" in sys.argv[1]:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
s.bind((sys.argv[1], 0))
print("port", s.getsockname()[1], flush=True)
while True:
    data, control, _, peer = s.recvmsg(65536, 1024)
    to = [socket.inet_ntop(socket.AF_INET6, d[:16]) for level, kind, d in control if (level, kind) == (41, socket.IPV6_PKTINFO)]
    print(peer[0], peer[1], *to, flush=True)
    s.sendto(data, peer)
P
# What a client sees: ask FAMILY HOST [HOST2]
cat >"$T/ask.py" <<'P'
import errno, os, socket, sys
port = int(sys.argv[1])
def attempt(f, *a):
    try:
        return f(*a)
    except TimeoutError:
        return "nothing",
    except OSError as e:
        return errno.errorcode[e.errno],
for host in sys.argv[2:]:
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.settimeout(2)
    r = attempt(s.sendto, b"one", (host, port))
    print(host, r, *(attempt(s.recvfrom, 100) if r == 3 else ()), flush=True)
P

step "every kind of server, by sendto; who sees whom"
n=0
for kind in '::' ':: only' '::1' "$bob6" 0.0.0.0; do
    n=$((n + 1))
    # shellcheck disable=SC2086
    serve bob "echo$n" python3 "$T/echo.py" $kind
    as alice i3run python3 "$T/ask.py" "$PORT" "$bob6" >"$T/ask"
    if [ "$kind" = 0.0.0.0 ]; then
        expect "IPv6 to $kind" "$(cat "$T/ask")" "$bob6 3 nothing"
        continue
    fi
    expect "IPv6 to $kind" "$(cat "$T/ask")" "$bob6 3 b'one' ('$bob6', $PORT, 0, 0)"
    expect "the server's view" "$(sed -n '2s/ [0-9]* / /p' "$T/echo$n.log")" "$alice6 $bob6"
done

step "one socket, peers of both families and a real one"
serve bob both python3 "$T/echo.py" ::
as alice i3run python3 "$T/ask.py" "$PORT" "$bob6" "::ffff:$bob" "$bob6" >"$T/ask"
expect "both" "$(cut -d' ' -f1-3 "$T/ask" | paste -sd' ')" "$bob6 3 b'one' ::ffff:$bob 3 b'one' $bob6 3 b'one'"
as alice i3run python3 -c 'import socket, sys
real = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
real.bind(("::1", 0))
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(5)
port = int(sys.argv[1])
for to in (sys.argv[2], port), ("::ffff:" + sys.argv[3], port), real.getsockname()[:2]:
    s.sendto(b"x", to)
data, peer = real.recvfrom(10)
real.sendto(b"r", peer)
print(*sorted(s.recvfrom(10)[1][0] for _ in range(3)))' "$PORT" "$bob6" "$bob" >"$T/ask"
expect "three peers" "$(xargs -n1 <"$T/ask" | sort | xargs)" "$(printf '%s\n' "$bob6" "::ffff:$bob" ::1 | sort | xargs)"

step "a connected socket: names, large datagrams, a closed port"
as alice i3run python3 -c 'import errno, os, socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect((sys.argv[1], int(sys.argv[2])))
print(s.getpeername()[0], s.getsockname()[0], s.getsockname()[1] > 0)
for n in 0, 1, 1232, 1352, 1353, 3000, 20000, 60000:
    data = os.urandom(n)
    s.send(data)
    if s.recv(65536) != data:
        print("not the same:", n)
s.connect((sys.argv[1], 9))
s.send(b"x")
try:
    s.recv(10)
except OSError as e:
    print(errno.errorcode[e.errno])' "$bob6" "$PORT" >"$T/ask"
expect "a connected socket" "$(xargs <"$T/ask")" "$bob6 $alice6 True ECONNREFUSED"

step "one reaches oneself"
as alice i3run python3 -c 'import socket, sys
l = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
l.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
l.bind(("::", 0))
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for x in l, s:
    x.settimeout(5)
s.sendto(b"me", (sys.argv[1], l.getsockname()[1]))
data, peer = l.recvfrom(10)
l.sendto(data, peer)
print(*s.recvfrom(10)[1][:1])' "$alice6" >"$T/ask"
expect "the answer's source" "$(cat "$T/ask")" "$alice6"

step "by name"
as alice i3run python3 -c 'import socket, sys
for family, kind, proto, _, to in socket.getaddrinfo("bob.i3", int(sys.argv[1]), type=socket.SOCK_DGRAM):
    s = socket.socket(family, kind, proto)
    s.settimeout(5)
    s.sendto(b"hello", to)
    print(*s.recvfrom(10)[1][:1])' "$PORT" >"$T/ask"
expect "both" "$(xargs <"$T/ask")" "$bob $bob6"

step "bob's daemon anew: the server need not bind again"
daemon_restart bob
as alice i3run python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(.5)
end = time.time() + 15
while time.time() < end:
    try:
        s.sendto(b"again", (sys.argv[1], int(sys.argv[2])))
        print(s.recv(10))
        break
    except OSError:
        pass' "$bob6" "$PORT" >"$T/ask"
expect "after the restart" "$(cat "$T/ask")" "b'again'"
for u in alice bob; do
    expect "$u's spoofed packets" "$(as $u i3ctl status --json | field counters.packets_spoofed)" 0
done
