#!/bin/sh
# Middle-boxes: alice's packets for bob pass carol (client-imposed), or bob takes none that have not (server-imposed).
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/boxes.sh"
world_up
user_add carol
know bob alice
know alice bob
know alice carol
know carol alice
know carol bob
know bob carol

step "client-imposed: alice's rule sends her packets for bob by carol"
conf carol <<E2
middlebox { allow = { "alice" } tap = { "file:$T/tap.pcap", "fifo:$T/never-read" } }
E2
restart carol
conf alice <<E2
rule { match = "^bob.i3$" action = "overlay" through = { "carol" } }
E2
head -c 4000000 /dev/urandom >"$T/big"
cd "$T"
serve bob web python3 "$LIB/web.py"
sum=$(sha256sum <big | cut -d' ' -f1)
expect "SHA-256 down" "$(fetch_big "$PORT")" "$sum"
expect "SHA-256 up" "$(as alice i3run curl -sS --max-time 60 -H Expect: -T big "http://bob.i3:$PORT/big")" "$sum"
expect "what bob sees" "$(sed -n 2p web.log | cut -d' ' -f1)" "$(address_of alice)"
as alice i3ctl ping bob 2 >ping || die "$(cat ping)"
as alice i3run ping6 -c 1 bob.i3 >/dev/null 2>&1 || :

step "what passes is in a file, with the addresses of the two; nobody waits for the reader of the FIFO"
sleep 0.5
captured tap.pcap 'tcp.flags.syn==1 && tcp.flags.ack==0' -e ip.src -e ip.dst | sort -u >got
expect "from whom to whom" "$(cat got)" "$(printf '%s\t%s' "$(address_of alice)" "$(address_of bob)")"
expect "wrong checksums" "$(tshark -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -r tap.pcap -Y 'tcp.checksum.status==0 || ip.checksum.status==0' 2>/dev/null | wc -l)" 0
[ "$(captured tap.pcap tcp -e tcp.len | awk '{n+=$1} END {print (n > 8000000)}')" = 1 ] || die "not all of both is in the capture"

step "UDP, of all sizes"
serve bob echo "$LIB/udp_echo.py"
expect "echoes" "$(as alice i3run timeout 20 python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
for size in 1, 1300, 1368, 1372, 9000:
    s.sendto(b"x" * size, ("bob.i3", int(sys.argv[1])))
    print(len(s.recv(65536)))' "$PORT" | xargs)" "1 1300 1368 1372 9000"

step "server-imposed: bob takes nothing that has not passed carol, and alice comes that way by herself"
conf alice </dev/null
restart alice
conf bob <<E2
require_through = { "carol" }
E2
serve bob web2 python3 "$LIB/web.py"
rm -f tap.pcap
restart carol
expect "SHA-256 down" "$(fetch_big "$PORT")" "$sum"
as alice grep -h 'takes packets only by' "$W/alice/run/i3/i3d.log" >/dev/null || die "alice's log does not say so"
sleep 0.5
[ "$(captured tap.pcap tcp -e tcp.len | awk '{n+=$1} END {print (n > 4000000)}')" = 1 ] || die "it did not pass carol"

step "who has a session already, and sends straight on: refused and counted, and the connection goes on by the box"
conf bob </dev/null
restart bob
restart alice
head -c 30000000 /dev/urandom >huge
serve bob web3 python3 "$LIB/web.py"
as alice i3run curl -sS --max-time 40 --limit-rate 8M -H Expect: -T huge "http://bob.i3:$PORT/huge" >sum &
transfer=$!
sleep 1
expect "ways before" "$(as alice i3ctl box --json | grep -c '"said_by"' || :)" 0
echo 'require_through = { "carol" }' | conf bob
wait $transfer || die "the connection broke"
expect "SHA-256" "$(cat sum)" "$(sha256sum <huge | cut -d' ' -f1)"
[ "$(box bob counters.bypassed)" -gt 0 ] || die "no packet was refused"
as alice i3ctl box --json | grep -q '"state": *"open"' || die "alice's way: $(as alice i3ctl box)"

step "of two boxes that would do one is gone: the other one is taken, and the first connection waits for it"
user_add dave
know bob dave
as dave i3ctl stop >/dev/null
echo 'require_through = { "dave", "carol" }' | conf bob
restart alice
expect "SHA-256 down" "$(as alice i3run curl -sS --max-time 30 "http://bob.i3:$PORT/big" | sha256sum | cut -d' ' -f1)" "$sum"

step "the far end is started anew, and the box is killed"
restart bob
serve bob web4 python3 "$LIB/web.py"
expect "SHA-256 down" "$(fetch_big "$PORT")" "$sum"
kill -9 "$(as carol i3ctl status --json | field pid)"
expect "SHA-256 down" "$(fetch_big "$PORT")" "$sum"
