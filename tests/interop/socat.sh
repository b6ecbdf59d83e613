#!/bin/sh
# socat: TCP and UDP in both families, forking servers, programs and terminals behind a port, a relay between names of the overlay,
# TLS, options of sockets, and who may come in.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
need socat openssl
world_up
alice=$(address_of alice) bob=$(address_of bob)
head -c 2000000 /dev/urandom >"$T/file"
talk() {
    as alice i3run timeout 20 socat -t 5 -T 10 "$@"
}

step "TCP, forking, a program behind it: its environment names the caller"
port=$(free_port)
back_on "$port" bob echo socat "TCP4-LISTEN:$port,fork,reuseaddr" SYSTEM:'cat'
talk - "TCP:bob.i3:$port" <"$T/file" | cmp - "$T/file"
end $SERVER
port=$(free_port)
back_on "$port" bob who socat -d -d "TCP6-LISTEN:$port,fork,reuseaddr,ipv6only=0" SYSTEM:'echo $SOCAT_PEERADDR $SOCAT_PEERPORT $SOCAT_SOCKADDR $SOCAT_SOCKPORT'
own=$(free_port)
mapped() {
    # shellcheck disable=SC2046
    printf '[0000:0000:0000:0000:0000:ffff:%02x%02x:%02x%02x]' $(echo "$1" | tr . ' ')
}
expect "over IPv4" "$(talk - "TCP4:bob.i3:$port,sourceport=$own,reuseaddr")" "$(mapped "$alice") $own $(mapped "$bob") $port"
talk - "TCP6:bob.i3:$port" >"$T/out"
must_have "$T/out" '^\[fd69:3300:.*\] [0-9]* \[fd69:3300:.*\] '"$port\$"
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    talk - "TCP4:bob.i3:$port" &
done >"$T/many"
wait_for 20 sh -c '[ "$(wc -l <"$1")" = 20 ]' - "$T/many" || die "$(cat "$T/many" "$T/who.log")"
end $SERVER

step "a terminal behind it"
printf '#!/bin/sh\ntty\nread line\necho "got $line"\n' >"$T/greeter"
chmod +x "$T/greeter"
port=$(free_port)
back_on "$port" bob pty socat "TCP-LISTEN:$port,fork,reuseaddr" EXEC:"$T/greeter",pty,stderr,setsid,ctty,echo=0
printf 'words\n' | talk STDIO,ignoreeof "TCP:bob.i3:$port" >"$T/out"
must_have "$T/out" /dev/pts/
must_have "$T/out" 'got words'
end $SERVER

step "UDP: connected, unconnected, and each datagram to a program of its own"
port=$(free_port)
back_on "$port/udp" bob udp socat -d -d "UDP4-RECVFROM:$port,fork" SYSTEM:'echo $SOCAT_PEERADDR says $(cat)'
for to in UDP UDP4-DATAGRAM UDP4-SENDTO; do
    expect "$to" "$(printf hello | talk -t 1 - "$to:bob.i3:$port")" "$alice says hello"
done
end $SERVER
port=$(free_port)
back_on "$port/udp" bob udp6 socat "UDP6-LISTEN:$port,fork,ipv6only=1" SYSTEM:'cat'
expect "UDP6" "$(printf hello6 | talk -t 1 - "UDP6:bob.i3:$port")" hello6
end $SERVER

step "only from alice's address (range), and from nobody else"
port=$(free_port)
back_on "$port" bob range socat "TCP4-LISTEN:$port,fork,reuseaddr,range=$alice/32" SYSTEM:'echo in'
expect "alice" "$(talk - "TCP4:bob.i3:$port")" in
end $SERVER
back_on "$port" bob range socat "TCP4-LISTEN:$port,fork,reuseaddr,range=$bob/32" SYSTEM:'echo in'
expect "not alice" "$(talk - "TCP4:bob.i3:$port" 2>/dev/null || :)" ""
end $SERVER

step "a relay of alice's in front of bob's server, for bob"
port=$(free_port) relay=$(free_port)
back_on "$port" bob file socat -U "TCP4-LISTEN:$port,fork,reuseaddr" "FILE:$T/file"
back_on "$relay" alice relay socat "TCP-LISTEN:$relay,fork,reuseaddr" "TCP:bob.i3:$port"
as bob i3run timeout 20 socat -u "TCP:alice.i3:$relay" - | cmp - "$T/file"

step "TLS with certificates for both names"
for u in alice bob; do
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=$u.i3 -keyout "$T/$u.key" -out "$T/$u.crt" 2>/dev/null
done
port=$(free_port)
back_on "$port" bob tls socat "OPENSSL-LISTEN:$port,fork,reuseaddr,cert=$T/bob.crt,key=$T/bob.key,cafile=$T/alice.crt,commonname=alice.i3" SYSTEM:'cat'
talk - "OPENSSL:bob.i3:$port,cert=$T/alice.crt,key=$T/alice.key,cafile=$T/bob.crt" <"$T/file" | cmp - "$T/file"
