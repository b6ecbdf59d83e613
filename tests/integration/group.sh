#!/bin/sh
# Groups. Anycast: two daemons with one key answer for web.i3; when one dies or leaves the other does. Multicast: a datagram reaches
# every member, sealed, and nobody can forge one.
. "$(dirname "$0")/../lib/world.sh"
[ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" = 1024 ] && [ "$(id -u)" != 0 ] || {
    echo "port 80 must be one that the kernel does not give us"
    exit 77
}
world_up

user_restart() {
    as "$1" i3ctl stop >/dev/null
    user_start "$1"
}
groups_stand() {
    as "$1" i3ctl group list --json | python3 -c 'import json, sys
sys.exit(not all(g["standing"] for g in json.load(sys.stdin)["groups"]))'
}
ms() {
    echo $(($(date +%s%N) / 1000000))
}
# Who answers alice: the first word of the page.
who() {
    as alice i3run curl -sS --max-time 10 "http://web.i3:$PORT/" | cut -d' ' -f1
}

step "a group of bob and carol"
user_add carol
for member in bob carol; do
    know alice $member
    know $member alice
done
as bob i3ctl group new web >"$T/new"
WEB=$(as bob i3ctl group list --json | field groups.0.key)
grep -q "i3ctl book add web $WEB" "$T/new" || die "the next step is not told: $(cat "$T/new")"
as bob i3ctl group export web >"$T/secret" 2>"$T/warning"
grep -q secret "$T/warning" || die "no warning with the secret"
chmod 644 "$T/secret"
as carol i3ctl group join web "$T/secret" 2>"$T/refused" && die "a secret that others can read was taken"
grep -q 'others may read it' "$T/refused" || die "$(cat "$T/refused")"
chmod 600 "$T/secret"
as carol i3ctl group join web "$T/secret" >/dev/null
expect "the key at carol's" "$(as carol i3ctl group list --json | field groups.0.key)" "$WEB"
expect "who may read the groups" "$(stat -c %a "$W/carol/data/i3/groups")" 600
as carol i3ctl group join again "$T/secret" 2>/dev/null && die "the same group twice"
wait_for 10 groups_stand bob
wait_for 10 groups_stand carol
as alice i3ctl book add web "$WEB" >/dev/null

step "one of them answers, from the group's address, and goes on to do so"
PORT=80 # one which the kernel gives to none of them, so that both have it on one machine
serve bob bob python3 "$LIB/who.py" bob "$PORT"
serve carol carol python3 "$LIB/who.py" carol "$PORT"
as alice i3run curl -sS --max-time 10 "http://web.i3:$PORT/" >"$T/page"
read -r first own peer <"$T/page"
group=$(as alice i3ctl book ls --json | python3 -c 'import json, sys
print([e["address"] for e in json.load(sys.stdin)["entries"] if e["name"] == "web"][0])')
expect "getsockname at the server" "$own" "$group:$PORT"
expect "getpeername at the server" "${peer%:*}" "$(address_of alice)"
for i in 1 2 3 4 5; do
    expect "the same member" "$(who)" "$first"
done
[ "$first" = bob ] && second=carol || second=bob
as alice i3ctl ping web.i3 1 >"$T/ping"
member=$(as "$first" i3ctl group list --json | field groups.0.member)
grep -q "member $member" "$T/ping" || die "ping does not say which member: $(cat "$T/ping")"
as "$first" i3ctl status | grep -q 'web *anycast .* standing *1 ' || die "the session is not shown"
as "$first" i3run curl -sS --max-time 10 "http://web.i3:$PORT/" | grep -q "^$first " || die "the member itself reaches another"

step "UDP: the answer comes from the group's address"
for member in bob carol; do
    serve $member udp-$member python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", int(sys.argv[1])))
print("port", sys.argv[1], flush=True)
while True:
    data, peer = s.recvfrom(9000)
    s.sendto(data, peer)' "$PORT"
done
expect "an echo" "$(as alice i3run timeout 20 python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
s.connect(("web.i3", int(sys.argv[1])))
for size in 1, 5000:
    s.send(b"x" * size)
    print(len(s.recv(9000)))' "$PORT" | xargs)" "1 5000"

step "that daemon is killed: the other one answers, and what stood ends with an error"
as alice i3run curl -sSN --max-time 30 -o "$T/drip" "http://web.i3:$PORT/drip" 2>"$T/drip.err" &
drip=$!
wait_for 10 grep -q drip "$T/drip"
daemon_kill "$first"
start=$(ms)
as alice i3run curl -sS --max-time 20 "http://web.i3:$PORT/" >"$T/page"
echo "fail-over with a session: $(($(ms) - start)) ms"
expect "who answers" "$(cut -d' ' -f1 "$T/page")" "$second"
wait $drip && die "the old connection ended well"
grep -q -i 'reset' "$T/drip.err" || die "the old connection: $(cat "$T/drip.err")"

step "a client which knows none of them is not held up by the dead one's trigger"
as alice i3ctl book rm web >/dev/null
as alice i3ctl book add web "$WEB" >/dev/null
for i in 1 2 3 4; do
    as alice i3ctl book rm web >/dev/null
    as alice i3ctl book add web "$WEB" >/dev/null
    start=$(ms)
    expect "who answers" "$(who)" "$second"
    echo "fail-over without a session: $(($(ms) - start)) ms"
done

step "it is back, with its group, and the other one leaves: that is noticed at once"
user_start "$first"
wait_for 10 groups_stand "$first"
rm "$T/drip"
expect "no need to go back" "$(who)" "$second"
as alice i3run curl -sSN --max-time 30 -o "$T/drip" "http://web.i3:$PORT/drip" 2>"$T/drip.err" &
drip=$!
wait_for 10 grep -q drip "$T/drip"
as "$second" i3ctl group leave web >/dev/null
start=$(ms)
expect "who answers" "$(who)" "$first"
echo "after a clean end: $(($(ms) - start)) ms"
wait $drip && die "the old connection ended well"
grep -q -i 'reset' "$T/drip.err" || die "the old connection: $(cat "$T/drip.err")"
as "$second" i3ctl group list | grep -q 'in no group' || die "still a member"

step "who is not in the members' book gets no answer"
user_add mallory
as mallory i3ctl book add web "$WEB" >/dev/null
know mallory alice
as mallory i3run curl -sS --max-time 3 "http://web.i3:$PORT/" && die "a stranger was answered"

step "near: who asks for a place gets the member there"
as "$second" i3ctl group join web --near eu/berlin "$T/secret" >/dev/null
wait_for 10 groups_stand "$second"
for i in 1 2 3; do
    as alice i3ctl book rm web >/dev/null
    as alice i3ctl book add --near eu/berlin web "$WEB" >/dev/null
    expect "who answers" "$(who)" "$second"
done

step "the daemon of that member ends: the other one answers at once"
as "$second" i3ctl stop >/dev/null
start=$(ms)
expect "who answers" "$(who)" "$first"
echo "after its daemon has ended: $(($(ms) - start)) ms"
user_start "$second"

if grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null; then
step "IPv6, at the group's address there"
serve "$first" six python3 -c 'import socket
l = socket.create_server(("::", 81), family=socket.AF_INET6)
print("port 81", flush=True)
while True:
    c, peer = l.accept()
    c.sendall((c.getsockname()[0] + " " + peer[0]).encode())
    c.close()'
six=$(as alice i3ctl book ls --json | python3 -c 'import json, sys
print([e["address6"] for e in json.load(sys.stdin)["entries"] if e["name"] == "web"][0])')
expect "both addresses" "$(as alice i3run python3 -c 'import socket, sys
print(socket.create_connection((sys.argv[1], 81), 10).recv(200).decode())' "$six")" "$six $(as alice i3ctl id --json | field address6)"
fi

step "multicast: a datagram reaches every member, from the sender's address, and is answered one to one"
user_add dave
for member in bob carol dave; do
    know "$member" alice 2>/dev/null || :
    know alice "$member" 2>/dev/null || :
done
as bob i3ctl group new --multicast chat >/dev/null
CHAT=$(as bob i3ctl group list --json | python3 -c 'import json, sys
print([g["key"] for g in json.load(sys.stdin)["groups"] if g["name"] == "chat"][0])')
for member in carol dave; do
    as bob i3ctl group export chat 2>/dev/null | as $member i3ctl group join chat - >/dev/null
done
as alice i3ctl book add --multicast chat "$CHAT" >/dev/null
cat >"$T/hear.py" <<'E'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 70))
print("port 70", flush=True)
while True:
    data, peer = s.recvfrom(65536)
    print("heard", len(data), data[:20].decode(), peer[0], flush=True)
    s.sendto(sys.argv[1].encode(), peer)
E
for member in bob carol dave; do
    wait_for 10 groups_stand $member
    serve $member hear-$member python3 "$T/hear.py" $member
done
cat >"$T/say.py" <<'E'
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
group = socket.gethostbyname("chat.i3")
answers = []
for word, size in ("hello", 5), ("large", 9000):
    s.sendto(word.encode().ljust(size, b"."), (group, 70))
    for i in range(3):
        data, peer = s.recvfrom(100)
        answers.append((data.decode(), peer[0], peer[1]))
print(*sorted(set(answers)), len(answers))
try:
    socket.create_connection((group, 70), 5)
    print("connected")
except OSError as e:
    print(e.errno)
E
as alice i3run timeout 30 python3 "$T/say.py" >"$T/said" 2>&1
expect "the answers" "$(head -1 "$T/said")" "('bob', '$(address_of bob)', 70) ('carol', '$(address_of carol)', 70) ('dave', '$(address_of dave)', 70) 6"
expect "connect() to a multicast group" "$(sed -n 2p "$T/said")" 101
alice=$(address_of alice)
for member in bob carol dave; do
    printf 'port 70\nheard 5 hello %s\nheard 9000 large............... %s\n' "$alice" "$alice" |
        diff - "$T/hear-$member.log" || die "what $member heard"
done

if grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null; then
step "the same over IPv6"
serve carol hear6 python3 -c 'import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.bind(("::", 72))
print("port 72", flush=True)
while True:
    data, peer = s.recvfrom(65536)
    s.sendto(b"%d from %s" % (len(data), peer[0].encode()), peer)'
as alice i3run timeout 20 python3 -c 'import socket
to = socket.getaddrinfo("chat.i3", 72, socket.AF_INET6, socket.SOCK_DGRAM)[0][4]
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
s.settimeout(3)
for size in 5, 9000:
    s.sendto(b"x" * size, to)
    print(s.recv(200).decode())' >"$T/six" 2>&1
six=$(as alice i3ctl id --json | field address6)
printf '5 from %s\n9000 from %s\n' "$six" "$six" | diff - "$T/six" || die "over IPv6"
fi

step "a member that the others do not know speaks as well, and does not hear itself; its other programs do"
as dave i3run timeout 20 python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 71))
s.sendto(b"from dave", ("chat.i3", 70))
s.sendto(b"none", ("chat.i3", 71))
s.settimeout(0.5)
try:
    while True:
        print(s.recvfrom(100)[0])
except TimeoutError:
    pass' >"$T/dave"
for member in bob carol dave; do
    wait_for 5 grep -q "heard 9 from dave $(address_of dave)" "$T/hear-$member.log" || die "$member: $(cat "$T/hear-$member.log")"
done
grep -q none "$T/dave" && die "dave hears himself"

step "strangers, forgeries and repetitions are met with silence"
as mallory i3ctl book add --multicast chat "$CHAT" >/dev/null
know mallory bob
as mallory i3run python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(5):
    s.sendto(b"evil", ("chat.i3", 70))'
python3 - "$LIB" "$(cat "$W/ring/port")" "$CHAT" <<'E'
import base64, os, sys
sys.path.insert(0, sys.argv[1])
import i3wire
group = base64.b32decode(sys.argv[3].upper() + "====")
to = i3wire.blake2s(b"i3run id v1", group)[:16] + b"\xff" * 16
h = i3wire.Host(("127.0.0.1", int(sys.argv[2])))
for kind in range(4):
    for size in 0, 1, 107, 131, 132, 200, 1300:
        body = bytes([kind & 1, 1 + (kind >> 1), 0, 0]) + os.urandom(size)
        h.send(i3wire.data(to, body[:size], proto=5))
assert not h.settle(), "somebody answers"
E
wait_for 5 python3 -c 'import sys' || :
dropped() {
    as "$1" i3ctl group list --json | python3 -c 'import json, sys
print([g["datagrams_dropped"] for g in json.load(sys.stdin)["groups"] if g["name"] == "chat"][0])'
}
for member in bob carol dave; do
    wait_for 5 eval '[ "$(dropped '$member')" -ge 33 ]' || die "$member has dropped $(dropped $member)"
    expect "what $member heard since" "$(grep -c heard "$T/hear-$member.log")" 3
done
as alice i3ctl ping chat.i3 1 2>"$T/ping" && die "a group was pinged"
grep -q 'multicast group' "$T/ping" || die "$(cat "$T/ping")"

step "a member that leaves hears nothing any more; the others do, though their daemons were started anew"
as dave i3ctl group leave chat >/dev/null
daemon_restart bob
user_restart carol
if command -v socat >/dev/null; then
    echo after | as alice i3run socat - UDP4-SENDTO:chat.i3:70
else
    as alice i3run python3 -c 'import socket
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"after\n", ("chat.i3", 70))'
fi
for member in bob carol; do
    wait_for 5 grep -q "heard 6 after" "$T/hear-$member.log" || die "$member: $(cat "$T/hear-$member.log")"
done
grep -q after "$T/hear-dave.log" && die "dave still hears"

for user in carol dave mallory; do
    as $user i3ctl stop >/dev/null
done
