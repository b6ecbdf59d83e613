#!/bin/sh
# Names of the overlay in every interface that libc has, and in none of the packets which leave for port 53.
if [ -z "${IN_NAMESPACE-}" ]; then
    # a network and a /etc/hosts of our own: everybody may have them where user namespaces are allowed
    unshare -Urnm true 2>/dev/null || { echo "no user namespaces here"; exit 77; }
    exec env IN_NAMESPACE=1 unshare -Urnm "$0" "$@"
fi
. "$(dirname "$0")/../lib/world.sh"
ip link set lo up
for a in 192.0.2.53/32 10.77.0.53/32; do
    ip addr add $a dev lo
done
six=''
! grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null || ! ip addr add 2001:db8::53/128 dev lo nodad || six=2001:db8::53
[ -z "$six" ] || ! ip addr add fe80::53/64 dev lo nodad || six="$six fe80::53%lo"
world_up
P=$B/tests/integration/probes
bob=$(address_of bob) bob6=$(as bob i3ctl id --json | field address6)

# etc FILE: this instead of /etc/FILE. What lies there goes with the namespace
mount -t tmpfs names /mnt
etc() {
    cat >"/mnt/$1.new" # libc looks whether it is another file
    mount --bind "/mnt/$1.new" "/etc/$1"
}
echo "hosts: files" | etc nsswitch.conf
printf '127.0.0.1 localhost\n10.1.2.3 twin.home\nfd69:3300::1:2:3 twin.home\n' | etc hosts
echo "nameserver 192.0.2.53" | etc resolv.conf

step "getaddrinfo and all of its kin: what libc says of a name in /etc/hosts it says of an overlay name"
timeout 60 "$P/names" twin.home nobody.home 10.1.2.3 fd69:3300::1:2:3 >"$T/native" </dev/null || die "the probe ended: $?"
as alice i3run timeout 60 "$P/names" bob.i3 nobody.i3 "$bob" "$bob6" >"$T/overlay" </dev/null || die "the probe ended: $?"
[ "$(wc -l <"$T/native")" -gt 12000 ] || die "the probe ended early"
diff "$T/native" "$T/overlay" || die "overlay names differ from libc's"
expect "the first address" "$(as alice i3run getent ahosts bob.i3 | sed -n '1s/ .*//p')" "$bob"

step "and so do look-ups which no hook sees: libc's own functions, past the library"
cat >"$T/inside.py" <<'END'
import ctypes, socket, sys
class Info(ctypes.Structure): pass
Info._fields_ = [(n, ctypes.c_int) for n in ('flags', 'family', 'type', 'protocol', 'len')] + [
    ('addr', ctypes.c_void_p), ('canon', ctypes.c_char_p), ('next', ctypes.POINTER(Info))]
class Hostent(ctypes.Structure):
    _fields_ = [('name', ctypes.c_char_p), ('aliases', ctypes.c_void_p), ('type', ctypes.c_int), ('len', ctypes.c_int),
                ('list', ctypes.POINTER(ctypes.c_void_p))]
c = ctypes.CDLL('libc.so.6')
c.gethostbyname2.restype = c.gethostbyaddr.restype = ctypes.POINTER(Hostent)
for name in sys.argv[1:4]:
    list, found = ctypes.POINTER(Info)(), set()
    rc = c.getaddrinfo(name.encode(), b'80', ctypes.byref(Info(2, 0, 1)), ctypes.byref(list))
    while list:
        a = list.contents
        ip = ctypes.string_at(a.addr, a.len)[4:8] if a.family == 2 else ctypes.string_at(a.addr, a.len)[8:24]
        found.add(socket.inet_ntop(a.family, ip))
        list = a.next
    h = c.gethostbyname2(name.encode(), socket.AF_INET6)
    print(name, rc, *sorted(found), h.contents.name.decode() if h else None)
for ip in sys.argv[4:]:
    family = socket.AF_INET6 if ':' in ip else socket.AF_INET
    packed = socket.inet_pton(family, ip)
    h = c.gethostbyaddr(packed, len(packed), family)
    print(h.contents.name.decode() if h else None)
END
inside() {
    expect "inside libc" "$(as alice i3run python3 "$T/inside.py" Bob.i3 nobody.i3 use-application-dns.net "$bob" "$bob6" | tr '\n' ';')" \
        "Bob.i3 0 $bob $bob6 bob.i3;nobody.i3 -2 None;use-application-dns.net -2 None;bob.i3;bob.i3;"
}
inside

step "from here on there is a DNS server, and everything which goes to port 53 is watched"
echo "hosts: files dns" | etc nsswitch.conf
hex() {
    printf %s "$1" | od -An -tx1 | tr -d ' \n'
}
rev=$(python3 -c 'import ipaddress,sys; print(ipaddress.ip_address(sys.argv[1]).reverse_pointer)' "$bob")
rev6=$(python3 -c 'import ipaddress,sys; print(ipaddress.ip_address(sys.argv[1]).reverse_pointer)' "$bob6")
label=$(echo "$rev" | sed 's/\..*//')
python3 "$LIB/port53.py" "02$(hex i3)" "$(hex use-application-dns)" "$(printf %02x ${#label})$(hex "$label")0$(echo "$rev" | cut -d. -f2 | tr -d '\n' | wc -c)$(hex "$(echo "$rev" | cut -d. -f2)")" \
    "$(printf '01%s' $(echo "$rev6" | cut -d. -f1-16 | tr . '\n' | while read -r d; do printf %s01 "$(hex "$d")"; done) | sed 's/01$//')" \
    >"$T/watched" 2>&1 &
STARTED="$STARTED $!"
wait_for 5 grep -q port "$T/watched" || die "nothing can be watched: $(cat "$T/watched")"
python3 "$LIB/dns_server.py" 192.0.2.53 10.77.0.53 127.0.0.53 $six >"$T/server" 2>&1 &
STARTED="$STARTED $!"
wait_for 5 grep -q '^port 53' "$T/server" || die "no DNS server: $(cat "$T/server")"
inside
expect "a name of the server's" "$(as alice i3run getent ahostsv4 www.example.org | sed -n '1s/ .*//p')" 192.0.2.80

for server in 192.0.2.53 127.0.0.53 10.77.0.53 $six; do
    step "a program with a resolver of its own, and the server $server"
    for how in connect sendto sendmsg tcp tcp-nb fastopen; do
        as alice i3run python3 "$LIB/dns_ask.py" "$server" $how:bob.i3:A $how:BoB.i3:AAAA $how:bob.i3:ANY $how:nobody.i3:A \
            $how:bob.i3:HTTPS "$how:$rev:PTR" "$how:$rev6:PTR" $how:use-application-dns.net:A \
            $how:www.example.org:A $how:www.example.org:AAAA $how:80.2.0.192.in-addr.arpa:PTR $how:nothing.example:A \
            $how:echo.example:TXT $how:big.example:A >"$T/said"
        big="$(seq -f 192.0.2.%g -s ' ' 100 139)"
        case $how in connect | send*) big='nothing (cut)' ;; esac
        sed 's/^[^:]*: //' "$T/said" | tr '\n' ';' >"$T/line"
        expect "$how" "$(cat "$T/line")" "rcode 0, $bob;rcode 0, $bob6;rcode 0, $bob $bob6;rcode 3, nothing (SOA);\
rcode 0, nothing (SOA);rcode 0, bob.i3;rcode 0, bob.i3;rcode 3, nothing (SOA);\
rcode 0, 192.0.2.80;rcode 0, 2001:db8::80;rcode 0, www.example.org;rcode 3, nothing;\
rcode 0, 424201000001000000000000046563686f076578616d706c650000100001;rcode 0, $big;"
    done
    as alice i3run python3 "$LIB/dns_ask.py" "$server" both:bob.i3:A sendmmsg:bob.i3:A \
        tcp-many:www.example.org+bob.i3+big.example+nobody.i3+bob.i3+nothing.example:A >"$T/said"
    sed 's/^[^:]*: //' "$T/said" | tr '\n' ';' >"$T/line"
    expect "many at once" "$(cat "$T/line")" "rcode 0, $bob;$(printf 'rcode 0, %s\n' "$bob" 192.0.2.80 | sort | tr '\n' ',' | sed 's/,$//;s/,r/, r/g'), rcode 3, nothing;\
rcode 0, 192.0.2.80; rcode 0, $bob; rcode 0, $(seq -f 192.0.2.%g -s ' ' 100 139); rcode 3, nothing (SOA); rcode 0, $bob; rcode 3, nothing;"
done

step "a server that is not there: overlay names are, and the rest is refused as it would be"
as alice i3run python3 "$LIB/dns_ask.py" 127.0.0.99 connect:bob.i3:A connect:www.example.org:A sendto:bob.i3:A tcp:bob.i3:A \
    tcp:www.example.org:A | sed 's/.*: //' | tr '\n' ';' >"$T/line"
expect "refused" "$(cat "$T/line")" "rcode 0, $bob;Connection refused;rcode 0, $bob;rcode 0, $bob;Connection reset by peer;"

step "sockets keep their names"
as alice i3run python3 - >"$T/said" <<'END'
import errno, socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.connect(('192.0.2.53', 53))
print(u.getpeername(), u.getsockname()[0], u.getsockname()[1] > 0)
u.connect(('192.0.2.53', 54))
print(u.getpeername(), u.getsockname()[0])
t = socket.create_connection(('192.0.2.53', 53))
print(t.getpeername(), t.getsockname()[0], t.getsockname()[1] > 0, t.family.name, t.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE))
b = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
b.bind(('10.77.0.53', 0))
b.connect(('192.0.2.53', 53))
print(b.getpeername(), b.getsockname()[0])
END
expect "names" "$(tr '\n' ';' <"$T/said")" "('192.0.2.53', 53) 192.0.2.53 True;('192.0.2.53', 54) 192.0.2.53;\
('192.0.2.53', 53) 192.0.2.53 True AF_INET 1;('192.0.2.53', 53) 10.77.0.53;"

step "bob's own DNS server at port 53 of his virtual address"
serve bob dns python3 "$LIB/dns_server.py" "$bob"
as alice i3run python3 "$LIB/dns_ask.py" "$bob" connect:www.example.org:A sendto:www.example.org:A tcp:www.example.org:A connect:bob.i3:A |
    sed 's/.*: //' | tr '\n' ';' >"$T/line"
expect "his answers" "$(cat "$T/line")" "rcode 0, 192.0.2.80;rcode 0, 192.0.2.80;rcode 0, 192.0.2.80;rcode 3, nothing;"

step "no daemon: overlay names fail at once, what can be seen to be about others goes on"
pids=$(with_keeper "$(as alice i3ctl status --json | field pid)")
as alice i3run timeout 20 python3 "$LIB/dns_ask.py" 192.0.2.53 sendto:bob.i3:A "stop:kill -9 $pids" sendto:bob.i3:AAAA sendmsg:bob.i3:A \
    connect:bob.i3:A connect:www.example.org:A tcp:bob.i3:A sendto:www.example.org:A "sendto:$rev:PTR" | sed 's/.*: //' | tr '\n' ';' >"$T/line"
expect "without it" "$(cat "$T/line")" "rcode 0, $bob;$(printf 'Connection refused;%.0s' 1 2 3 4 5)rcode 0, 192.0.2.80;Connection refused;"
daemon_start alice
as alice i3run python3 "$LIB/dns_ask.py" 192.0.2.53 connect:bob.i3:A | grep -q "rcode 0, $bob" || die "the daemon is back, and names are not"

step "nothing has left"
! grep -v "^port\|^other" "$T/watched" || die "that has gone to port 53"
[ "$(grep -c other "$T/watched")" -gt 100 ] || die "nothing was watched"
! grep -iE '\.i3 |use-application|arpa' "$T/server" | grep -v ' 80.2.0.192' || die "that was asked"
python3 "$LIB/dns_ask.py" 192.0.2.53 sendto:bob.i3:A >/dev/null
wait_for 5 grep -q ^leak "$T/watched" || die "a question of a program without i3run was not seen, so none would have been"
