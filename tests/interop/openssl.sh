#!/bin/sh
# openssl: s_server and s_client: TLS 1.2 and 1.3, a session resumed, both families, and DTLS over UDP; curl checks the server by name.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
need openssl curl
world_up
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=bob.i3 -addext subjectAltName=DNS:bob.i3 -keyout "$T/key" -out "$T/crt" 2>/dev/null
port=$(free_port)

step "TLS: the page of s_server, by curl and by s_client"
back_on "$port" bob www openssl s_server -accept "$port" -cert "$T/crt" -key "$T/key" -www
as alice i3run curl -sS --max-time 20 --cacert "$T/crt" "https://bob.i3:$port/" >"$T/page"
must_have "$T/page" 'TLSv1.3'
for v in -tls1_2 -tls1_3; do
    for family in -4 -6; do
        printf 'GET / HTTP/1.0\r\n\r\n' | as alice i3run timeout 20 openssl s_client $v $family -connect "bob.i3:$port" -servername bob.i3 \
            -verify_hostname bob.i3 -CAfile "$T/crt" -verify_return_error -ign_eof >"$T/out" 2>&1 || die "$v $family: $(cat "$T/out")"
        must_have "$T/out" 'Verify return code: 0 (ok)'
        must_have "$T/out" 'HTTP/1.0 200 ok'
    done
done

step "a session resumed on a second connection"
printf 'Q\n' | as alice i3run timeout 20 openssl s_client -tls1_2 -connect "bob.i3:$port" -sess_out "$T/session" >"$T/out" 2>&1
printf 'Q\n' | as alice i3run timeout 20 openssl s_client -tls1_2 -connect "bob.i3:$port" -sess_in "$T/session" >"$T/out" 2>&1
must_have "$T/out" '^Reused, TLSv1.2'
end $SERVER

step "DTLS over UDP: lines both ways"
port=$(free_port)
mkfifo "$T/in" "$T/in2"
back bob dtls sh -c 'exec openssl s_server -dtls1_2 -listen -accept "$1" -cert "$2" -key "$3" <"$4"' - "$port" "$T/crt" "$T/key" "$T/in2"
exec 4>"$T/in2"
wait_for 10 listens bob "$port" udp || die "$(cat "$T/dtls.log")"
back alice client sh -c 'exec openssl s_client -dtls1_2 -connect "$1" -CAfile "$2" -verify_return_error <"$3"' - "bob.i3:$port" "$T/crt" "$T/in"
exec 3>"$T/in"
wait_for 10 has "$T/client.log" 'Verify return code: 0 (ok)' || die "$(cat "$T/client.log" "$T/dtls.log")"
echo from alice >&3
wait_for 10 has "$T/dtls.log" 'from alice' || die "$(cat "$T/dtls.log")"
echo from bob >&4
wait_for 10 has "$T/client.log" 'from bob' || die "$(cat "$T/client.log")"
exec 3>&- 4>&-
