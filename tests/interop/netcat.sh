#!/bin/sh
# netcat: what is scanned, sent, answered and half-closed, over TCP and UDP.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
need nc
world_up
alice=$(address_of alice) bob=$(address_of bob)
head -c 2000000 /dev/urandom >"$T/file"
head -c 3000000 /dev/urandom >"$T/other"

# listener NAME INPUT OPTIONS... PORT: of bob's; what it gets is in $T/NAME. Data go one way at a time: with both ends sending, nc
# itself, on plain loopback as well, takes the other's end for the end of what there is to read (two times in five here).
listener() {
    name=$1 input=$2
    shift 2
    (
        . "$W/bob.env"
        exec i3run nc -v -l "$@" <"$input" >"$T/$name" 2>"$T/$name.log"
    ) &
    SERVER=$!
    STARTED="$STARTED $SERVER"
}

step "a file each way, whoever sends closing when it has sent (-N)"
port=$(free_port)
listener got /dev/null "$port"
wait_for 10 listens bob "$port"
as alice i3run timeout 20 nc -N bob.i3 "$port" <"$T/file" >"$T/answer"
wait $SERVER
cmp "$T/got" "$T/file"
cmp "$T/answer" /dev/null
must_have "$T/got.log" "Connection received on alice.i3 "
port=$(free_port)
listener got "$T/other" -N "$port"
wait_for 10 listens bob "$port"
as alice i3run timeout 20 nc bob.i3 "$port" </dev/null >"$T/answer"
wait $SERVER
cmp "$T/answer" "$T/other"
must_have "$T/got.log" "Connection received on alice.i3 "

step "over IPv6, and with a source port of one's own"
port=$(free_port) own=$(free_port)
listener got /dev/null -6 -n "$port"
wait_for 10 listens bob "$port"
as alice i3run timeout 20 nc -6 -N -p "$own" bob.i3 "$port" <"$T/file" >"$T/answer"
wait $SERVER
cmp "$T/got" "$T/file"
must_have "$T/got.log" "Connection received on fd69:3300:[0-9a-f:]* $own"

step "from port 20 to port 21, which nobody but root could bind"
listener got /dev/null -n 21
wait_for 10 listens bob 21 || die "$(cat "$T/got.log")"
as alice i3run timeout 20 nc -N -p 20 bob.i3 21 <"$T/file" >"$T/answer" || die "$(cat "$T/got.log")"
wait $SERVER
cmp "$T/got" "$T/file"
must_have "$T/got.log" "Connection received on $alice 20$"

step "scanning: an open port, a closed one, and the time the latter takes"
port=$(free_port) closed=$(free_port)
back_on "$port" bob open nc -k -l "$port"
as alice i3run timeout 5 nc -vz bob.i3 "$port" >"$T/scan" 2>&1 || die "$(cat "$T/scan")"
must_have "$T/scan" "succeeded"
! as alice i3run timeout 5 nc -vnz -w 4 "$bob" "$closed" >"$T/scan" 2>&1 || die "a closed port is open"
must_have "$T/scan" "Connection refused"
end $SERVER

step "UDP: a line there, a line back"
port=$(free_port)
back_on "$port/udp" bob udp sh -c 'echo pong | exec nc -n -v -u -l "$1"' - "$port"
printf 'ping\n' | as alice i3run timeout 20 nc -u -w 2 bob.i3 "$port" >"$T/answer"
expect "the answer" "$(cat "$T/answer")" pong
must_have "$T/udp.log" ping
must_have "$T/udp.log" "Connection received on $alice"
