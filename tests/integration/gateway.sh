#!/bin/sh
# A gateway: alice's programs reach, by bob, names and addresses of "his network" (loopback aliases here), and nothing that he does not list.
. "$(dirname "$0")/../lib/world.sh"
world_up
cat >"$T/zone" <<END
web.intra.example 300 127.9.0.1
second.intra.example 300 127.9.0.9 127.9.0.1
public.intra.example 300 127.0.0.1
lan.intra.example 300 192.168.77.7
short.intra.example 1 127.9.0.1
gone.intra.example nxdomain
empty.intra.example empty
servfail.intra.example servfail
refused.intra.example refused
formerr.intra.example formerr
mute.intra.example mute
half.intra.example noaaaa 300 127.9.0.1
END
"$LIB/dns_hosts.py" "$T/zone" >"$T/dns.log" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 5 grep -q '^port ' "$T/dns.log" || die "no DNS server: $(cat "$T/dns.log")"
dns=127.0.0.1:$(sed -n 's/^port //p' "$T/dns.log")
node=127.0.0.1:$(cat "$W/ring/port")
gateway() { # gateway NETWORKS [MORE...]
    networks=$1
    shift
    { printf 'nodes = { "%s" }\ngateway {\n allow = { "alice" }\n networks = { %s }\n dns-server = "%s"\n' "$node" "$networks" "$dns"
        for line; do echo " $line"; done
        echo "}"; } >"$W/bob/config/i3/i3.conf"
}
gateway '"127.9.0.0/24"'
daemon_restart bob
cat >"$W/alice/config/i3/i3.conf" <<END
nodes = { "$node" }
rule { suffix = ".intra.example"  action = "gateway"  via = "bob" }
rule { suffix = ".work"  action = "gateway"  via = "bob"  strip = yes }
rule { suffix = ".nobody"  action = "gateway"  via = "carol" }
END
daemon_restart alice
# a plain server of the "intranet"
mkdir "$T/www"
echo "the intranet" >"$T/www/page"
head -c 3000000 /dev/urandom >"$T/www/big"
(cd "$T/www" && exec python3 -m http.server --bind 127.9.0.1 0) >"$T/web.log" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 10 grep -q 'port' "$T/web.log" || die "no web server"
port=$(sed -n 's/.* port \([0-9]*\) .*/\1/p' "$T/web.log" | head -1)
get() {
    as alice i3run curl -sS --max-time 20 "$@"
}
eai() {
    as alice i3run timeout 20 python3 -c 'import socket, sys
try:
    print(socket.getaddrinfo(sys.argv[1], 80, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
except socket.gaierror as e:
    print([n for n in dir(socket) if n.startswith("EAI_") and getattr(socket, n) == e.errno][0])' "$1"
}
dial() { # dial NAME PORT [family]: errno's name
    as alice i3run timeout 40 python3 -c 'import errno, socket, sys
try:
    a = socket.getaddrinfo(sys.argv[1], int(sys.argv[2]), getattr(socket, sys.argv[3]), socket.SOCK_STREAM)[0]
    s = socket.socket(a[0], a[1])
    s.connect(a[4])
    print("open")
except OSError as e:
    print(errno.errorcode.get(e.errno, e.errno))' "$1" "$2" "${3-AF_INET}"
}

step "a name of the intranet is found by the gateway, and its page read"
expect page "$(get "http://web.intra.example:$port/page")" "the intranet"
grep -q "web.intra.example A" "$T/dns.log" || die "the gateway's DNS was not asked"
get -o "$T/big" "http://web.intra.example:$port/big"
cmp "$T/big" "$T/www/big" || die "it is not what was sent"
expect "over IPv6" "$(get -6 "http://web.intra.example:$port/page")" "the intranet"

step "an address has its name back, and an address may be a name where strip is on"
expect "name" "$(as alice i3run python3 -c 'import socket
a = socket.getaddrinfo("web.intra.example", 80, socket.AF_INET, socket.SOCK_STREAM)[0][4]
print(socket.getnameinfo(a, 0)[0])')" web.intra.example
expect literal "$(get "http://127.9.0.1.work:$port/page")" "the intranet"
expect stripped "$(get "http://web.intra.example.work:$port/page")" "the intranet"

step "the screens tell of it"
as alice i3ctl doctor >"$T/doctor" 2>&1 || :
grep -q 'bob answers, and lets you through' "$T/doctor" || die "$(cat "$T/doctor")"
grep -q 'carol is not in your address book' "$T/doctor" || die "$(cat "$T/doctor")"
expect "why" "$(as alice i3ctl why web.intra.example --json | field gateway.words)" known
as alice i3ctl gateway | grep -q 'web.intra.example *bob *10[.]' || die "$(as alice i3ctl gateway)"
as bob i3ctl gateway | grep -q 'alice .* 3[.]' || die "$(as bob i3ctl gateway)"
as bob i3ctl status | grep -q 'for others: 1 users' || die "$(as bob i3ctl status)"
as bob i3ctl metrics | grep -q '^i3d_gateway_connections_total [3-9]' || die "$(as bob i3ctl metrics | grep gateway)"

step "what the DNS says arrives as the code of getaddrinfo"
for c in gone:EAI_NONAME nowhere:EAI_NONAME empty:EAI_NODATA servfail:EAI_AGAIN refused:EAI_FAIL formerr:EAI_FAIL mute:EAI_AGAIN; do
    eai "${c%:*}.intra.example" >"$T/eai.${c%:*}" 2>&1 &
    eval "eai_${c%:*}=$!"
done
expect "page, while others wait for a dead server" "$(get --max-time 10 "http://half.intra.example:$port/page")" "the intranet"
for c in gone:EAI_NONAME nowhere:EAI_NONAME empty:EAI_NODATA servfail:EAI_AGAIN refused:EAI_FAIL formerr:EAI_FAIL mute:EAI_AGAIN; do
    eval "wait \$eai_${c%:*}"
    expect "${c%:*}.intra.example" "$(cat "$T/eai.${c%:*}")" "${c#*:}"
done
expect "a gateway that the book has not" "$(eai x.nobody)" EAI_NONAME

step "a closed port, an address that is not listed, the second of two addresses"
closed=$(free_port)
expect "closed port" "$(dial web.intra.example "$closed")" ECONNREFUSED
expect "closed port, IPv6" "$(dial web.intra.example "$closed" AF_INET6)" ECONNREFUSED
expect "second address" "$(get "http://second.intra.example:$port/page")" "the intranet"
expect "loopback" "$(dial public.intra.example "$port")" EACCES
expect "the LAN" "$(dial lan.intra.example "$port")" EACCES
expect "an address" "$(dial 127.0.0.1.work "$port")" EACCES
grep -q 'public.intra.example refused' "$W/bob/run/i3/i3d.log" || die "bob's log says nothing"
grep -q 'public.intra.example.*refused' "$W/alice/run/i3/i3d.log" || die "alice's log says nothing"

step "datagrams, large ones too, and a closed port of them"
"$LIB/udp_echo.py" 127.9.0.1 >"$T/udp.log" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 5 grep -q '^port ' "$T/udp.log" || die "no UDP server"
udp=$(sed -n 's/^port //p' "$T/udp.log")
ask_udp() { # ask_udp NAME PORT FAMILY SIZE
    as alice i3run timeout 20 python3 -c 'import errno, socket, sys
a = socket.getaddrinfo(sys.argv[1], int(sys.argv[2]), getattr(socket, sys.argv[3]), socket.SOCK_DGRAM)[0]
s = socket.socket(a[0], a[1])
s.connect(a[4])
s.settimeout(2)
said = bytes(range(256)) * (int(sys.argv[4]) // 256) + b"x"
for i in range(6):
    try:
        s.send(said)
        print("same" if s.recv(65536) == said else "other")
        break
    except socket.timeout:
        pass
    except OSError as e:
        print(errno.errorcode[e.errno])
        break' "$@"
}
expect "datagram" "$(ask_udp web.intra.example "$udp" AF_INET 0)" same
expect "datagram, IPv6" "$(ask_udp web.intra.example "$udp" AF_INET6 512)" same
expect "datagram, large" "$(ask_udp web.intra.example "$udp" AF_INET 30000)" same
expect "datagram, to nobody" "$(ask_udp web.intra.example "$closed" AF_INET 0)" ECONNREFUSED
expect "datagram, not allowed" "$(ask_udp public.intra.example "$udp" AF_INET 0 2>&1 | tail -1 | sed 's/.*Errno 13.*/EACCES/')" EACCES

step "names that are not listed are not even looked up; a list that is taken back counts at once"
gateway '"127.9.0.0/24"' 'names = { ".other.example" }'
as bob i3ctl reload >/dev/null
expect "an old name" "$(dial web.intra.example "$port")" EACCES
expect "a new name" "$(dial short.intra.example "$port")" EACCES
expect "an address" "$(dial 127.9.0.1.work "$port")" open
! grep -q short.intra "$T/dns.log" || die "the DNS was asked"
gateway '"127.9.0.0/24"'
as bob i3ctl reload >/dev/null
expect "an old name, again" "$(dial web.intra.example "$port")" open
is_open() { [ "$(dial "$1" "$2")" = open ]; }
wait_for 20 is_open short.intra.example "$port" || die "a name that was refused once is refused for good"

step "the gateway is killed: what it knew is told to it anew, and new connections work"
as alice i3run python3 -c 'import socket, sys, time
a = socket.getaddrinfo("web.intra.example", int(sys.argv[1]), socket.AF_INET, socket.SOCK_STREAM)[0][4]
open(sys.argv[2], "w").write("known")
while True:
    try:
        open(sys.argv[3])
        break
    except OSError:
        time.sleep(0.05)
s = socket.create_connection(a, 20) # by address, without a look-up
s.sendall(b"GET /page HTTP/1.0\r\n\r\n")
data = b""
while True:
    d = s.recv(4096)
    if not d:
        break
    data += d
print(data.split(b"\r\n")[-1].decode().strip())' "$port" "$T/known" "$T/go" >"$T/page_after" 2>&1 </dev/null &
after=$!
wait_for 20 test -s "$T/known" || die "the program does not begin: $(cat "$T/page_after")"
daemon_kill bob
daemon_start bob
touch "$T/go"
wait "$after" || die "no page after the gateway's restart: $(cat "$T/page_after")"
expect "after a restart of the gateway" "$(cat "$T/page_after")" "the intranet"

step "alice's own daemon is killed: addresses which programs hold go on"
rm -f "$T/known" "$T/go"
as alice i3run python3 -c 'import socket, sys, time
a = socket.getaddrinfo("web.intra.example", int(sys.argv[1]), socket.AF_INET, socket.SOCK_STREAM)[0][4]
open(sys.argv[2], "w").write("known")
while True:
    try:
        open(sys.argv[3])
        break
    except OSError:
        time.sleep(0.05)
s = socket.create_connection(a, 20)
print(socket.getnameinfo(a, 0)[0])' "$port" "$T/known" "$T/go" >"$T/after" 2>&1 </dev/null &
after=$!
wait_for 20 test -s "$T/known" || die "the program does not begin: $(cat "$T/after")"
daemon_kill alice
daemon_start alice
touch "$T/go"
wait "$after" || die "no connection after the restart of alice's daemon: $(cat "$T/after")"
expect "after a restart of the user's daemon" "$(cat "$T/after")" web.intra.example

step "the list shrinks: what it allows no more ends, the rest goes on"
slow() { # slow NAME: reads until the end, and says how that was
    as alice i3run timeout 60 python3 -c 'import errno, socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 20)
s.settimeout(60)
open(sys.argv[3], "w").write("open")
try:
    s.recv(1)
    print("end")
except OSError as e:
    print(errno.errorcode.get(e.errno, e))' "$1" "$2" "$3"
}
gateway '"127.9.0.1", "127.9.0.3"'
as bob i3ctl reload >/dev/null
"$LIB/pour.py" --help >/dev/null 2>&1 || :
for n in 1 3; do
    python3 -c 'import socket, sys, time
s = socket.create_server((sys.argv[1], 0))
print("port", s.getsockname()[1], flush=True)
kept = []
while True:
    kept.append(s.accept())' "127.9.0.$n" >"$T/quiet$n" 2>&1 </dev/null &
    STARTED="$STARTED $!"
    wait_for 5 grep -q '^port ' "$T/quiet$n" || die "no server at 127.9.0.$n"
    slow "127.9.0.$n.work" "$(sed -n 's/^port //p' "$T/quiet$n")" "$T/open$n" >"$T/end$n" 2>&1 </dev/null &
    eval "slow$n=$!"
    wait_for 20 test -s "$T/open$n" || die "no connection to 127.9.0.$n: $(cat "$T/end$n")"
done
gateway '"127.9.0.1"'
as bob i3ctl reload >/dev/null
wait "$slow3"
expect "cut" "$(cat "$T/end3")" ECONNRESET
sed -i 's/alice/carol/' "$W/bob/config/i3/i3.conf"
[ ! -s "$T/end1" ] || die "the other one ended as well: $(cat "$T/end1")"
as bob i3ctl reload >/dev/null
wait "$slow1"
expect "nobody is allowed" "$(cat "$T/end1")" ECONNRESET
expect "connection of no user" "$(dial web.intra.example "$port")" EACCES
expect "name of no user" "$(eai web.intra.example)" EAI_FAIL
