#!/bin/sh
# A stack of ids: what alice sends to bob passes carol first, who allows it; sealed, whole, and never by a shortcut past her.
. "$(dirname "$0")/../lib/world.sh"
world_up
user_add carol
know bob alice
know alice bob
know alice carol
passed() {
    as carol i3ctl status --json | field counters.packets_passed_on
}
via() {
    as alice i3ctl book rm bob >/dev/null
    as alice i3ctl book add --via "$1" bob "$(as bob i3ctl id -q)" >/dev/null
}

step "carol has not allowed it: bob is out of reach, and nobody goes past her"
via carol
as alice i3ctl ping bob 1 >"$T/ping" && die "it went past carol: $(cat "$T/ping")"
expect "packets that carol passed on" "$(passed)" 0

step "she allows it"
echo 'waypoint = yes' >>"$W/carol/config/i3/i3.conf"
as carol i3ctl stop >/dev/null
user_start carol
as alice i3ctl ping bob 2 >"$T/ping" || die "$(cat "$T/ping")"
grep -q 'relayed by .*goes by others' "$T/ping" || die "the way is not told: $(cat "$T/ping")"
dd if=/dev/urandom of="$T/big" bs=1M count=4 2>/dev/null
cd "$T"
serve bob web python3 "$LIB/web.py"
before=$(passed)
sum=$(sha256sum <big | cut -d' ' -f1)
expect "SHA-256 up" "$(as alice i3run curl -sS --max-time 60 -H Expect: -T big "http://bob.i3:$PORT/big")" "$sum"
expect "SHA-256 down" "$(as alice i3run curl -sS --max-time 60 "http://bob.i3:$PORT/big" | sha256sum | cut -d' ' -f1)" "$sum"
# 4 MB in packets of at most 1400 bytes
[ $(($(passed) - before)) -ge 2996 ] || die "only $(($(passed) - before)) packets went by carol"
expect "what bob sees" "$(sed -n 2p web.log | cut -d' ' -f1)" "$(address_of alice)"

step "UDP, large and small"
serve bob echo "$LIB/udp_echo.py"
expect "echoes" "$(as alice i3run timeout 20 python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
for size in 1, 1300, 1372, 9000:
    s.sendto(b"x" * size, ("bob.i3", int(sys.argv[1])))
    print(len(s.recv(65536)))' "$PORT" | xargs)" "1 1300 1372 9000"

step "a longer stack, by all who are in it; what cannot be is refused"
user_add dave
echo 'waypoint = yes' >>"$W/dave/config/i3/i3.conf"
as dave i3ctl stop >/dev/null
user_start dave
know alice dave
via dave,carol
as alice i3ctl ping bob 1 >"$T/ping" || die "$(cat "$T/ping")"
[ "$(as dave i3ctl status --json | field counters.packets_passed_on)" -ge 2 ] || die "nothing went by dave"
as dave i3ctl stop >/dev/null
as alice i3ctl book rm bob >/dev/null
as alice i3ctl book add --via carol,a,b,c bob "$(as bob i3ctl id -q)" 2>"$T/err" && die "a stack of five was taken"
as alice i3ctl book add --via nobody bob "$(as bob i3ctl id -q)" 2>"$T/err" && die "an unknown name was taken"
grep -q 'not in the book' "$T/err" || die "$(cat "$T/err")"

step "packets for others than the next, or round in circles, end"
python3 - "$LIB" "$(cat "$W/ring/port")" "$(as carol i3ctl id --json | field id)" <<'E'
import sys
sys.path.insert(0, sys.argv[1])
import i3wire
carol = bytes.fromhex(sys.argv[3])
h = i3wire.Host(("127.0.0.1", int(sys.argv[2])))
key = i3wire.Key()
h.insert(key)
h.send(i3wire.data(carol, b"by carol to us", stack=[key.id()]))
assert h.gets(b"by carol to us", 5)
h.send(i3wire.data(carol, b"round", stack=[carol] * 14))
other = i3wire.Key()
h.insert(other, stack=[carol, other.id()])  # a circle: it comes back each time
h.send(i3wire.data(other.id(), b"circle"))
h.send(i3wire.data(carol, b"last", stack=[key.id()]))
assert h.gets(b"last", 5)
E
before=$(passed)
[ "$before" -lt 100000 ] || die "a packet goes round: $before"
as carol i3ctl stop >/dev/null
