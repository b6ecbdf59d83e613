#!/bin/sh
# An anonymous program by a middle-box which serves anyone: it works, and neither the tap nor the server learns whose it is.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/boxes.sh"
world_up
user_add carol
know bob alice
know alice bob
know alice carol
cd "$T"
head -c 1000000 /dev/urandom >big
serve bob web python3 "$LIB/web.py"
conf bob <<E2
expose web { port = 8080 target = "127.0.0.1:$PORT" allow = { "anyone" } }
require_through = { "$(as carol i3ctl id -q)" }
E2
echo "middlebox { allow = { \"anyone\" } tap = { \"file:$T/tap.pcap\" } }" | reconf carol
echo 'rule { match = "^bob.i3$" action = "overlay" through = { "carol" } anonymity = yes }' | conf alice

step "a page, by the box"
expect "SHA-256" "$(as alice i3run curl -4 -sS --max-time 20 "http://bob.i3:8080/big" | sha256sum | cut -d' ' -f1)" "$(sha256sum <big | cut -d' ' -f1)"
sleep 0.5
captured tap.pcap tcp -e ip.src | sort -u >seen
[ -s seen ] || die "it did not pass the box"
grep -v '^10\.64\.' seen | grep -q . && die "the tap shows other addresses: $(xargs <seen)"
grep -q "$(address_of alice)" "$T/web.log" && die "the server sees who it is"
box carol routes.0.anonymous | grep -qi true || die "$(as carol i3ctl box)"
key=$(as alice i3ctl id -q)
as carol i3ctl box --json | grep -q "$(echo "$key" | cut -c1-8)" && die "the box knows alice's key"
:
