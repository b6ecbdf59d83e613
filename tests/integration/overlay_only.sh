#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# i3run --overlay-only: the local network reaches a server without it, and none with it, whatever it is bound to.
. "$(dirname "$0")/../lib/netns.sh"
netns_begin host lan
cp "$LIB/servers.py" "$T"
chmod a+r "$T/servers.py"
S="/usr/bin/python3 $T/servers.py"

ip link add eth netns ${N}host type veth peer name eth netns ${N}lan
for side in host/1 lan/2; do
    in_ns ${side%/*} ip addr add 10.88.1.${side#*/}/24 dev eth
    in_ns ${side%/*} ip addr add fd88::${side#*/}/64 dev eth nodad
    in_ns ${side%/*} ip link set eth up
    host_home ${side%/*}
done
as host i3d --ensure

# server OPTIONS KIND ADDRESS: its port goes to PORT
server() {
    n=$((${n:-0} + 1))
    # shellcheck disable=SC2086
    as host i3run $1 $S "$2" "$3" "${4:-0}" >"$T/server$n" 2>&1 </dev/null &
    port_in "$T/server$n" >"$T/port"
    PORT=$(cat "$T/port")
}
# asks FROM KIND ADDRESS PORT: "yes" when somebody answers
asks() {
    kind=ask; [ "$2" = tcp ] || kind=ask_udp
    # shellcheck disable=SC2086
    as "$1" timeout 10 $S $kind "$3" "$4" | grep -q True && echo yes || echo no
}
port=20000
for kind in tcp udp; do
    for address in 0.0.0.0 10.88.1.1 :: fd88::1; do
        case $address in *:*) lan=fd88::1 lo=::1 ;; *) lan=10.88.1.1 lo=127.0.0.1 ;; esac
        server '' $kind $address $((port += 1))
        [ "$(asks lan $kind $lan "$PORT")" = yes ] || die "$kind $address: not reached without the option"
        server --overlay-only $kind $address $((port += 1))
        got="$(sed -n 1p "$T/server$n") lan=$(asks lan $kind $lan "$PORT") loopback=$(asks host $kind $lo "$PORT")"
        [ "$got" = "$address $port lan=no loopback=yes" ] || die "$kind $address: $got"
        echo "$kind $address: $got"
    done
done
server --overlay-only udp 10.88.1.1
[ "$(asks lan udp 10.88.1.1 "$PORT") $(asks host udp 127.0.0.1 "$PORT")" = "no yes" ] || die "a port of the kernel's choice"
# one that the kernel does not know, and one on loopback, were never theirs
server --overlay-only tcp 127.0.0.1
[ "$(asks host tcp 127.0.0.1 "$PORT")" = yes ] || die "127.0.0.1 itself is not reached"

# sockets that were opened before
as host $S launch systemd i3run --overlay-only $S passed >"$T/passed" 2>&1 </dev/null &
port_in "$T/passed" >/dev/null
tcp=$(sed -n 's/^port //p' "$T/passed" | sed -n 1p) udp=$(sed -n 's/^port //p' "$T/passed" | sed -n 2p)
got="$(asks lan tcp 10.88.1.1 "$tcp") $(asks host tcp 127.0.0.1 "$tcp") $(as lan timeout 10 $S ask_udp 10.88.1.1 "$udp")"
[ "$got" = "no yes nothing" ] || die "passed sockets: $got"

# what cannot be closed is not opened
bind_error() {
    as host i3run --overlay-only /usr/bin/python3 -c '
import errno, socket, sys
s = socket.socket(type=socket.SOCK_DGRAM if sys.argv[1] == "udp" else socket.SOCK_STREAM)
try:
    s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth\0")
    s.bind((sys.argv[2], int(sys.argv[3])))
    if sys.argv[1] == "tcp":
        s.listen()
    print("open")
except OSError as e:
    print(errno.errorcode[e.errno])' "$@"
}
for kind in tcp udp; do
    got="$(bind_error $kind 0.0.0.0 0) $(bind_error $kind 10.88.1.1 7000) $(bind_error $kind 10.88.1.2 7000)"
    [ "$got" = "EPERM EPERM EADDRNOTAVAIL" ] || die "$kind: bound to another interface already: $got"
done
as host i3ctl stop >/dev/null
