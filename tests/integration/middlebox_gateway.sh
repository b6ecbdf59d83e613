#!/bin/sh
# A gateway behind a middle-box, and both for an anonymous program: to the box all are packets.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/boxes.sh"
world_up
user_add carol
know bob alice
know alice bob
know alice carol
cd "$T"
echo 'web.intra.example 300 127.9.0.1' >zone
"$LIB/dns_hosts.py" zone >dns.log 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 5 grep -q '^port ' dns.log || die "no DNS server: $(cat dns.log)"
dns=127.0.0.1:$(sed -n 's/^port //p' dns.log)
mkdir www
head -c 1000000 /dev/urandom >www/big
(cd www && exec python3 -u -m http.server --bind 127.9.0.1 0) >web.log 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 5 grep -q 'port [0-9]' web.log || die "no server: $(cat web.log)"
port=$(sed -n 's/.*port \([0-9]*\).*/\1/p' web.log)
echo "middlebox { allow = { \"anyone\" } tap = { \"file:$T/tap.pcap\" } }" | reconf carol
echo "gateway { allow = { \"alice\", \"anyone\" } networks = { \"127.9.0.0/24\" } dns-server = \"$dns\" }
require_through = { \"$(as carol i3ctl id -q)\" }" | reconf bob
page() { as alice i3run curl -4 -sS --max-time 20 "http://web.intra.example:$port/big" | sha256sum | cut -d' ' -f1; }
want=$(sha256sum <www/big | cut -d' ' -f1)
passed() { box carol counters.packets; }

step "alice's rule names the gateway and the box"
echo 'rule { suffix = ".intra.example" action = "gateway" via = "bob" through = { "carol" } }' | reconf alice
expect "SHA-256" "$(page)" "$want"
[ "$(passed)" -gt 700 ] || die "only $(passed) packets passed the box"

step "the gateway alone asks for the box"
echo 'rule { suffix = ".intra.example" action = "gateway" via = "bob" }' | reconf alice
before=$(passed)
expect "SHA-256" "$(page)" "$want"
[ "$(passed)" -gt $((before + 700)) ] || die "only $(($(passed) - before)) packets passed the box"

step "and anonymous"
echo 'rule { suffix = ".intra.example" action = "gateway" via = "bob" through = { "carol" } anonymity = yes }' | reconf alice
rm -f tap.pcap
restart carol
expect "SHA-256" "$(page)" "$want"
sleep 0.5
captured tap.pcap tcp -e ip.src | sort -u >seen
[ -s seen ] || die "it did not pass the box"
grep -v '^10\.64\.' seen | grep -q . && die "the tap shows other addresses: $(xargs <seen)"
:
