#!/bin/sh
# Programs with resolvers of their own, each in every way that it has: overlay names are answered, other names by the server which the
# program chose, and no question about the overlay goes to port 53 of anybody.
if [ -z "${IN_NAMESPACE-}" ]; then
    unshare -Urnm true 2>/dev/null || { echo "no user namespaces here"; exit 77; }
    exec env IN_NAMESPACE=1 unshare -Urnm "$0" "$@"
fi
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
need dig host nslookup node
SERVER53=192.0.2.53
ip link set lo up
ip addr add $SERVER53/32 dev lo
world_up
bob=$(address_of bob) bob6=$(as bob i3ctl id --json | field address6)
mount -t tmpfs names /mnt
echo "nameserver $SERVER53" >/mnt/resolv.conf
mount --bind /mnt/resolv.conf /etc/resolv.conf
python3 "$LIB/port53.py" 026933 7573652d6170706c69636174696f6e >"$T/watched" 2>&1 &
STARTED="$STARTED $!"
python3 "$LIB/dns_server.py" $SERVER53 >"$T/server" 2>&1 &
STARTED="$STARTED $!"
wait_for 5 grep -q '^port 53' "$T/server" || die "no DNS server: $(cat "$T/server")"
wait_for 5 grep -q '^port' "$T/watched" || die "nothing can be watched: $(cat "$T/watched")"

run() {
    as alice i3run timeout 30 "$@"
}
# says WHAT WANTED CMD...: its output, lines joined by spaces
says() {
    what=$1 wanted=$2
    shift 2
    expect "$what" "$(run "$@" 2>&1 | tr '\n' ' ' | sed 's/ $//')" "$wanted"
}

step "dig, over UDP and TCP"
for way in "" +tcp "@$SERVER53" "+tcp @$SERVER53" +noedns +dnssec +cookie +qr=0; do
    # shellcheck disable=SC2086
    says "dig $way" "$bob" dig $way +short bob.i3
    # shellcheck disable=SC2086
    says "dig $way AAAA" "$bob6" dig $way +short bob.i3 AAAA
    # shellcheck disable=SC2086
    says "dig $way -x" bob.i3. dig $way +short -x "$bob"
    # shellcheck disable=SC2086
    says "dig $way -x, IPv6" bob.i3. dig $way +short -x "$bob6"
    # shellcheck disable=SC2086
    says "dig $way of the server" 192.0.2.80 dig $way +short www.example.org
done
run dig bob.i3 HTTPS | grep -q 'status: NOERROR.*' || die "dig HTTPS"
run dig bob.i3 HTTPS | grep -q '^i3\..*SOA' || die "no SOA"
run dig nobody.i3 | grep -q 'status: NXDOMAIN' || die "dig nobody.i3"
run dig use-application-dns.net | grep -q 'status: NXDOMAIN' || die "the canary is alive"
run dig +ignore big.example | grep -q 'flags: qr tc' || die "truncation is not the server's"
expect "after truncation" "$(run dig +short big.example | wc -l)" 40
! run dig +time=1 +tries=1 mute.example >"$T/out" || die "an answer from nowhere"
grep -q 'timed out' "$T/out" || die "$(cat "$T/out")"
! run dig +time=1 +tries=1 @127.0.0.99 www.example.org >"$T/out" || die "an answer from nobody"
grep -q 'refused' "$T/out" || die "$(cat "$T/out")"

step "host and nslookup"
run host bob.i3 | grep -q "has address $bob" || die host
run host -T bob.i3 $SERVER53 | grep -q "has IPv6 address $bob6" || die "host -T"
run host "$bob" | grep -q 'pointer bob.i3' || die "host of an address"
run host www.example.org | grep -q 192.0.2.80 || die "host of a real name"
run nslookup bob.i3 $SERVER53 | grep -q "Address: $bob" || die nslookup
run nslookup -vc "$bob6" | grep -q 'name = bob.i3' || die "nslookup of an address"

step "node: libc's resolver and c-ares"
cat >"$T/names.js" <<'END'
const dns = require('dns').promises, [bob, bob6] = process.argv.slice(2)
const say = async p => { try { console.log([].concat(await p).map(a => a.address || a).join(' ')) } catch (e) { console.log(e.code) } }
;(async () => {
    await say(dns.lookup('bob.i3', {all: true, verbatim: true}))
    await say(dns.resolve4('bob.i3'))
    await say(dns.resolve6('Bob.I3'))
    await say(dns.resolve4('nobody.i3'))
    await say(dns.resolveTxt('bob.i3'))
    await say(dns.reverse(bob))
    await say(dns.reverse(bob6))
    await say(dns.resolve4('www.example.org'))
    await say(dns.resolve4('nothing.example'))
    console.log((await dns.resolve4('big.example')).length)
    const all = await Promise.all(Array(200).fill().map((_, i) => dns.resolve4(i % 2 ? 'bob.i3' : 'www.example.org')))
    console.log(new Set(all.map((a, i) => i % 2 + a[0])).size)
})()
END
says node "$bob $bob6 $bob $bob6 ENOTFOUND ENODATA bob.i3 bob.i3 192.0.2.80 ENOTFOUND 40 2" node "$T/names.js" "$bob" "$bob6"

step "c-ares over UDP, over TCP, and with sockets that stay open"
if cc -o "$T/ares" "$(dirname "$0")/apps/ares.c" -lcares 2>"$T/cc.log"; then
    says c-ares "bob.i3 $bob $bob6; nobody.i3 4; www.example.org 192.0.2.80 2001:db8::80; $bob bob.i3; big.example 40;" "$T/ares" "$bob"
    says "c-ares, TCP" "bob.i3 $bob $bob6; nobody.i3 4; www.example.org 192.0.2.80 2001:db8::80; $bob bob.i3; big.example 40;" "$T/ares" -t "$bob"
else
    echo "not built: $(head -1 "$T/cc.log")"
fi

step "curl, perl, php, Java"
serve bob web python3 "$LIB/web.py"
run curl -s --max-time 10 "http://bob.i3:$PORT/" >/dev/null || die curl
! command -v php >/dev/null || says php "$bob ok" php -r 'echo gethostbyname("bob.i3"), checkdnsrr("bob.i3", "A") ? " ok" : " no";'
! command -v perl >/dev/null || says perl "$bob" perl -MSocket -e 'print inet_ntoa(scalar gethostbyname("bob.i3"))'
if command -v java >/dev/null; then
    cat >"$T/Names.java" <<'END'
import java.net.*;
public class Names {
    public static void main(String[] a) throws Exception {
        for (InetAddress i : InetAddress.getAllByName("bob.i3")) System.out.println(i.getHostAddress());
        System.out.println(InetAddress.getByName(a[0]).getCanonicalHostName());
        try { InetAddress.getByName("nobody.i3"); } catch (UnknownHostException e) { System.out.println("unknown"); }
        System.out.println(InetAddress.getByName("www.example.org").getHostAddress());
    }
}
END
    as alice i3run timeout 60 java "$T/Names.java" "$bob" >"$T/out" 2>&1 || die "java: $(cat "$T/out")"
    grep -qx "$bob" "$T/out" && grep -qx bob.i3 "$T/out" && grep -qx unknown "$T/out" && grep -qx 192.0.2.80 "$T/out" || die "java: $(cat "$T/out")"
fi

if command -v go >/dev/null; then
    step "Go: its own resolver, and libc's"
    mkdir "$T/go"
    cat >"$T/go/main.go" <<'END'
package main

import "C"
import (
	"fmt"
	"net"
	"os"
)

func main() {
	for _, name := range []string{"bob.i3", "www.example.org"} {
		a, err := net.LookupIP(name)
		for _, ip := range a {
			if ip.To4() != nil {
				fmt.Println(ip)
			}
		}
		if err != nil {
			fmt.Println(err)
		}
	}
	_, err := net.LookupHost("nobody.i3")
	fmt.Println(err.(*net.DNSError).IsNotFound)
	names, _ := net.LookupAddr(os.Args[1])
	fmt.Println(names)
}
END
    (cd "$T/go" && HOME=$T GOFLAGS=-mod=mod GO111MODULE=off CGO_ENABLED=1 go build -o "$T/go/names" main.go) || die "go build"
    for resolver in cgo go; do
        expect "Go, $resolver" "$(as alice env GODEBUG=netdns=$resolver i3run timeout 30 "$T/go/names" "$bob" 2>&1 | tr '\n' ';')" \
            "$bob;192.0.2.80;true;[bob.i3.];"
    done
fi

step "nothing has left"
! grep -iE '\.i3 |use-application|arpa' "$T/server" || die "that was asked"
! grep '^leak' "$T/watched" || die "that has gone to port 53"
[ "$(grep -c other "$T/watched")" -gt 100 ] || die "nothing was watched"
