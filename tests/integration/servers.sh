#!/bin/sh
# Servers under i3run, whatever way they have come by their sockets and wherever those are bound.
. "$(dirname "$0")/../lib/world.sh"
world_up
alice=$(address_of alice) bob=$(address_of bob)
bob6=$(as bob i3ctl id --json | field address6) alice6=$(as alice i3ctl id --json | field address6)
PY=/usr/bin/python3
S=$LIB/servers.py
six=''
! grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null || six=yes
[ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" = 1024 ] && [ "$(id -u)" != 0 ] ||
    { echo "anybody may bind ports below 1024 here"; exit 77; }

client() {
    as alice i3run timeout 30 $PY "$S" "$@"
}
listeners() {
    as bob i3ctl status --json | $PY -c 'import json,sys
for l in json.load(sys.stdin)["listeners"]:
    print(l["proto"], l["bound"], l["overlay_only"])' | sort
}

step "ports below 1024, TCP: getsockname wherever the socket goes; the peer is the caller; the own host finds it, too"
serve bob low $PY "$S" names 0.0.0.0 80 tcp
expect names "$(grep -v '^port' "$T/low.log" | sort | uniq -c | sed 's/^ *//')" "5 0.0.0.0 80"
expect "status" "$(listeners)" "tcp 0.0.0.0:80 True"
as bob i3ctl status | grep -q 'tcp port 80 (overlay only)' || die "status does not say it"
expect "a caller" "$(client ask bob.i3 80 | cut -d' ' -f2,4-)" "$alice $bob 80 True mine"
expect "one of this host" "$(as bob i3run $PY "$S" ask "$bob" 80 | cut -d' ' -f2,4-)" "127.0.0.1 $bob 80 True mine"
expect "taken" "$(as bob i3run $PY "$S" attempt tcp 0.0.0.0 80)" EADDRINUSE
expect "taken by all addresses" "$(as bob i3run $PY "$S" attempt tcp "$bob" 80)" EADDRINUSE
expect "UDP has ports of its own" "$(as bob i3run $PY "$S" attempt udp 0.0.0.0 80)" 0
expect "nobody's address" "$(as bob i3run $PY "$S" attempt tcp 192.0.2.77 80)" EADDRNOTAVAIL
expect "another's virtual address" "$(as bob i3run $PY "$S" attempt tcp "$alice" 80) $(as bob i3run $PY "$S" attempt tcp "$alice" 8080)" \
    "EADDRNOTAVAIL EADDRNOTAVAIL"

step "another local user's socket at the mirror's address is shown as what it is"
real=$(as bob i3ctl status --json | field listeners.0.real)
expect "a stranger" "$($PY -c '
import socket, sys
s = socket.socket()
s.bind(("127." + sys.argv[1].split(".", 1)[1], 0))
host, port = sys.argv[2].rsplit(":", 1)
s.connect((host, int(port)))
print(s.makefile().read().split()[1])' "$alice" "$real")" "127.${alice#*.}"

step "the daemon anew: still there"
daemon_restart bob
expect status "$(listeners)" "tcp 0.0.0.0:80 True"
expect "a caller" "$(client ask bob.i3 80 | cut -d' ' -f2,4-)" "$alice $bob 80 True mine"

step "and UDP"
serve bob dns $PY "$S" names 0.0.0.0 53 udp
expect names "$(grep -v '^port' "$T/dns.log" | sort | uniq -c | sed 's/^ *//')" "5 0.0.0.0 53"
expect "a caller" "$(client ask_udp bob.i3 53 | cut -d' ' -f2,4-)" "$alice mine True"
expect "one of this host" "$(as bob i3run $PY "$S" ask_udp "$bob" 53 | cut -d' ' -f2,4-)" "127.0.0.1 mine True"
expect "taken" "$(as bob i3run $PY "$S" attempt udp 0.0.0.0 53)" EADDRINUSE
expect status "$(listeners | grep udp)" "udp 0.0.0.0:53 True"
daemon_restart bob
client ask bob.i3 80 >/dev/null # waits for the new session
expect "the daemon anew" "$(client ask_udp bob.i3 53 | cut -d' ' -f2,4-)" "$alice mine True"

step "a server that answers from where it was asked"
serve bob info $PY "$S" pktinfo 0.0.0.0 55
expect "a caller" "$(client ask_udp bob.i3 55 | cut -d' ' -f1,2,4-)" "$bob $alice mine True"
[ -z "$six" ] || {
    serve bob info6 $PY "$S" pktinfo :: 56
    expect "over IPv6" "$(client ask_udp bob.i3 56 1 10 | cut -d' ' -f1,2,4-)" "$bob6 $alice6 mine True"
    expect "over IPv4" "$(client ask_udp bob.i3 56 1 2 | cut -d' ' -f1,2,4-)" "::ffff:$bob ::ffff:$alice mine True"
}

if [ "$six" ]; then
    step "IPv6, for both families and for its own only"
    serve bob dual $PY "$S" names :: 81 tcp
    expect names "$(grep -v '^port' "$T/dual.log" | sort | uniq -c | sed 's/^ *//')" "5 :: 81"
    expect "over IPv6" "$(client ask bob.i3 81 1 10 | cut -d' ' -f2,4-)" "$alice6 $bob6 81 True mine"
    expect "over IPv4" "$(client ask bob.i3 81 1 2 | cut -d' ' -f2,4-)" "::ffff:$alice ::ffff:$bob 81 True mine"
    serve bob only $PY "$S" tcp :: 82 v6only
    expect "over IPv6" "$(client ask bob.i3 82 1 10 | cut -d' ' -f2,4-)" "$alice6 $bob6 82 True mine"
    expect "not over IPv4" "$(client ask bob.i3 82 1 2)" ECONNREFUSED
    serve bob dual_udp $PY "$S" names :: 54 udp
    expect names "$(grep -v '^port' "$T/dual_udp.log" | sort | uniq -c | sed 's/^ *//')" "5 :: 54"
    expect "over IPv6" "$(client ask_udp bob.i3 54 1 10 | cut -d' ' -f2,4-)" "$alice6 mine True"
    expect "over IPv4" "$(client ask_udp bob.i3 54 1 2 | cut -d' ' -f2,4-)" "::ffff:$alice mine True"
fi

step "the own virtual address: any port, and one beside another server on the same"
serve bob own $PY "$S" tcp "$bob" 0
expect name "$(sed -n 1p "$T/own.log")" "$bob $PORT"
expect "a caller" "$(client ask bob.i3 "$PORT" | cut -d' ' -f2,4-)" "$alice $bob $PORT True mine"
serve bob lo $PY "$S" tcp 127.0.0.1 0
serve bob beside $PY "$S" tcp "$bob" "$PORT"
beside=$(client ask bob.i3 "$PORT")
expect "the more exact one" "$(echo "$beside" | cut -d' ' -f2,4-)" "$alice $bob $PORT True mine"
expect "its process" "${beside%% *}" "$SERVER"

step "closed: refused at once; bound again right away; and again"
mkfifo "$T/go"
(
    . "$W/bob.env"
    exec i3run $PY "$S" cycle 83 3
) >"$T/cycle.log" 2>&1 <"$T/go" &
STARTED="$STARTED $!"
exec 8>"$T/go"
for i in 1 2 3; do
    wait_for 10 $PY -c "import sys; sys.exit(open('$T/cycle.log').read().count('port') != $i)" || die "not bound again: $(cat "$T/cycle.log")"
    expect "round $i" "$(client ask bob.i3 83 | cut -d' ' -f2)" "$alice"
    wait_for 10 $PY -c "import sys; sys.exit(open('$T/cycle.log').read().count('closed') != $i)"
    start=$(date +%s%N)
    expect "closed $i" "$(client ask bob.i3 83)" ECONNREFUSED
    [ $((($(date +%s%N) - start) / 1000000)) -lt 2000 ] || die "refused late"
    echo >&8
done
exec 8>&-

step "a full backlog: callers wait, and are served when there is room"
mkfifo "$T/room" "$T/calm"
(
    . "$W/bob.env"
    exec i3run $PY "$S" full 87
) >"$T/full.log" 2>&1 <"$T/room" &
STARTED="$STARTED $!"
exec 8>"$T/room"
wait_for 10 grep -q '^port' "$T/full.log"
as alice i3run timeout 40 $PY "$S" crowd bob.i3 87 8 >"$T/crowd" 2>&1 <"$T/calm" &
STARTED="$STARTED $!"
exec 7>"$T/calm"
wait_for 20 grep -q stand "$T/crowd" || die "$(cat "$T/crowd")"
echo >&8
echo >&7
wait_for 20 grep -q answered "$T/crowd" || die "$(cat "$T/crowd")"
expect "the crowd" "$(tr '\n' ' ' <"$T/crowd")" "stand True wait True answered 8 "
exec 7>&- 8>&-

step "a reader that is too slow: what it did not get is counted"
mkfifo "$T/read"
(
    . "$W/bob.env"
    exec i3run $PY "$S" slow 88
) >"$T/slow.log" 2>&1 <"$T/read" &
STARTED="$STARTED $!"
exec 8>"$T/read"
wait_for 10 grep -q '^port' "$T/slow.log"
as alice i3run timeout 40 $PY -c '
import socket, sys, time
s = socket.socket(type=socket.SOCK_DGRAM)
s.connect((socket.gethostbyname("bob.i3"), 88))
for i in range(8000):
    s.send(bytes(1200))
    if i % 50 == 0:
        time.sleep(0.001)'
overflow() {
    as bob i3ctl status --json | field counters.dgrams_overflow
}
lost() { # what waits for longer than 0.2 s is lost as well, at the next look
    [ "$(overflow)" -gt 1000 ]
}
wait_for 10 lost || die "no overflow: $(as bob i3ctl status --json)"
echo >&8
wait_for 10 grep -q read "$T/slow.log"
[ "$(sed -n 's/^read //p' "$T/slow.log")" -gt 10 ] || die "$(cat "$T/slow.log")"
exec 8>&-

# members PORT TIMES KIND: who has answered
members() {
    client ask"$3" bob.i3 "$1" "$2" | tee "$T/asked" | cut -d' ' -f1 | sort -u
}
for port in 84 0; do
    for kind in '' _udp; do
        step "SO_REUSEPORT${kind}, port $port: all serve, and the others when one is killed"
        serve bob "group$kind$port" $PY "$S" group 0.0.0.0 $port 3 "${kind#_}"
        pids=$(sed -n 's/^member //p' "$T/group$kind$port.log")
        expect "who answers" "$(members "$PORT" 40 "$kind")" "$(echo "$pids" | sort)"
        first=$(echo "$pids" | head -1)
        kill -9 "$first"
        rest=$(members "$PORT" 40 "$kind")
        expect "who answers then" "$rest" "$(echo "$pids" | tail -2 | sort)"
        expect "all answered" "$(grep -c "$alice" "$T/asked")" 40
        expect "the dead one is forgotten" "$(listeners | tr -d _ | grep -c "$(echo ${kind:-tcp} | tr -d _) .*:$PORT ")" 2
    done
done

step "workers that share one listener"
serve bob prefork $PY "$S" prefork 0.0.0.0 85 3
expect "callers" "$(client ask bob.i3 85 20 | cut -d' ' -f2,4- | sort | uniq -c | sed 's/^ *//')" "20 $alice $bob 85 True mine"

step "sockets that were passed: a launcher's, inetd's, systemd's"
for how in systemd inetd; do
    (
        . "$W/bob.env"
        exec $PY "$S" launch $how i3run $PY "$S" passed
    ) >"$T/$how.log" 2>&1 </dev/null &
    STARTED="$STARTED $!"
    wait_for 10 grep -q '^port' "$T/$how.log" || die "$(cat "$T/$how.log")"
    PORT=$(sed -n 's/^port //p' "$T/$how.log" | head -1)
    expect "$how" "$(client ask bob.i3 "$PORT" 2 | cut -d' ' -f2,4- | uniq)" "$alice $bob $PORT True mine"
    expect "a local client" "$($PY "$S" ask 127.0.0.1 "$PORT" | cut -d' ' -f2,4-)" "127.0.0.1 127.0.0.1 $PORT True mine"
done
UDP=$(sed -n 's/^port //p' "$T/systemd.log" | sed -n 2p)
expect "a datagram" "$(client ask_udp bob.i3 "$UDP" | cut -d' ' -f1,3-)" "$alice mine True"
if command -v systemd-socket-activate >/dev/null; then
    PORT=$(free_port)
    (
        . "$W/bob.env"
        exec systemd-socket-activate --fdname=x -l "$PORT" -E I3_SOCK -E XDG_RUNTIME_DIR -E XDG_CONFIG_HOME -E XDG_DATA_HOME -E PATH \
            -E PYTHONUNBUFFERED i3run $PY "$S" passed
    ) >"$T/activate.log" 2>&1 </dev/null &
    STARTED="$STARTED $!"
    wait_for 10 $PY -c "import socket; socket.create_connection(('127.0.0.1', $PORT))" # which starts it
    wait_for 10 grep -q '^port' "$T/activate.log" || die "$(cat "$T/activate.log")"
    expect "systemd-socket-activate" "$(client ask bob.i3 "$PORT" 1 2 | sed 's/::ffff://g' | cut -d' ' -f2,4-)" "$alice $bob $PORT True mine"
fi

step "a connection from a port below 1024, as FTP's in active mode"
serve bob ftp $PY "$S" ftp_server 21 20
client ftp_client bob.i3 21 >"$T/ftp"
expect "data" "$(uniq -c <"$T/ftp" | sed 's/^ *//')" "3 data for $alice from $bob 20 then $bob 20 | $bob 20 True"

step "a port below 1024 that nobody needs is no obstacle on the way to the real network"
lan=$(hostname -I 2>/dev/null | tr ' ' '\n' | grep -v : | head -1)
if [ "$lan" ]; then
    $PY "$S" tcp "$lan" 0 >"$T/real.log" 2>&1 </dev/null &
    STARTED="$STARTED $!"
    wait_for 10 grep -q '^port' "$T/real.log"
    expect "client" "$(client reserved "$lan" "$(sed -n 's/^port //p' "$T/real.log")")" "0.0.0.0 1023 True 1"
fi

step "--overlay-only: the network's address does not lead there, loopback and the overlay do"
for kind in tcp udp; do
    ask=ask; [ $kind = tcp ] || ask=ask_udp
    serve bob open_$kind $PY "$S" $kind 0.0.0.0 0
    [ -z "$lan" ] || $PY "$S" $ask "$lan" "$PORT" | grep -q "$lan" || die "$kind: no control: $lan is not reached without it"
    for address in 0.0.0.0 ${lan:+$lan}; do
        port=$(free_port)
        serve bob "only_$port" --overlay-only $PY "$S" $kind "$address" "$port"
        expect "$kind $address name" "$(sed -n 1p "$T/only_$port.log")" "$address $port"
        [ -z "$lan" ] || ! $PY "$S" $ask "$lan" "$port" | grep -q "$lan" || die "$kind $address: $lan leads there"
        $PY "$S" $ask 127.0.0.1 "$port" | grep -q 127.0.0.1 || die "$kind $address: not reached on loopback"
        client $ask bob.i3 "$port" 1 2 | grep -q "$alice" || die "$kind $address: not reached by the overlay"
        listeners | grep -q "$kind.*$port True" || die "$kind $address: status does not say it"
        kill "$SERVER"
    done
done

step "no daemon: nothing below 1024, and the rest as ever"
as bob i3ctl stop >/dev/null
. "$W/bob.env"
export LD_PRELOAD=$B/lib/i3run/libi3shim.so
for kind in tcp udp; do
    expect "$kind" "$(timeout 20 $PY "$S" attempt $kind 0.0.0.0 80) $(timeout 20 $PY "$S" attempt $kind 0.0.0.0 0) $(timeout 20 $PY "$S" attempt $kind "$bob" 0)" "EACCES 0 EADDRNOTAVAIL"
    expect "$kind, overlay only" "$(I3_OVERLAY_ONLY=1 timeout 20 $PY "$S" attempt $kind 0.0.0.0 0)" 0
    [ -z "$lan" ] || expect "$kind, overlay only" "$(I3_OVERLAY_ONLY=1 timeout 20 $PY "$S" attempt $kind "$lan" 0)" EADDRNOTAVAIL
done
unset LD_PRELOAD
