#!/bin/sh
# What a middle-box's programs say: forward, drop, alert; what happens when they say nothing, or die. Two boxes in a row; a box that is
# started anew in the middle; one that does not want to; who bypasses the box.
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
user_add dave
know alice dave
know dave carol
know carol dave
know bob dave
know dave alice
know dave bob
echo "rule { match = \"^bob.i3$\" action = \"overlay\" through = { \"carol\" } alerts = \"dave\" }" | conf alice
cd "$T"
head -c 3000000 /dev/urandom >big
sum=$(sha256sum <big | cut -d' ' -f1)
serve bob web python3 "$LIB/web.py"
get() { # PATH
    as alice i3run curl -sS --max-time "${2:-6}" -o got "http://bob.i3:$PORT/$1" 2>err
}

step "nobody decides: closed is closed, open is open"
conf carol <<E2
middlebox { allow = { "alice" } addresses = "synthesised" tap = { "file:$T/tap.pcap" } verdicts = "$T/verdicts" }
E2
restart carol
get big 2 && die "it went through although nobody had decided"
conf carol <<E2
middlebox { allow = { "alice" } addresses = "synthesised" tap = { "file:$T/tap.pcap" } verdicts = "$T/verdicts" fail = "open" }
E2
get big 20 || die "it did not get through: $(cat err)"
expect "SHA-256" "$(sha256sum <got | cut -d' ' -f1)" "$sum"

step "a program decides: alert and block on a word, all else is forwarded"
conf carol <<E2
middlebox { allow = { "alice" } addresses = "synthesised" tap = { "file:$T/tap.pcap" } verdicts = "$T/verdicts" }
E2
expect "the socket's mode" "$(stat -c %a verdicts)" 600
python3 - verdicts >verdict.log 2>&1 <<'E2' &
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(b"mode inline\n")
f = s.makefile("rb")
for line in f:
    _, n, flow, way, user, size = line.split()
    packet = f.read(int(size))
    if b"secret" in packet:
        s.sendall(b"alert %s a secret\nblock %s\n" % (flow, flow))
    else:
        s.sendall(b"forward %s\n" % n)
E2
program=$!
STARTED="$STARTED $program"
program_is_there() { [ "$(box carol verdicts.inline)" = True ] || [ "$(box carol verdicts.inline)" = true ]; }
wait_for 5 program_is_there || die "the program is not there: $(cat verdict.log)"
get big 20 || die "it did not get through: $(cat err)"
expect "SHA-256" "$(sha256sum <got | cut -d' ' -f1)" "$sum"
get secret 2 && die "the secret got through"
alerted() { as "$1" i3ctl alerts --json | grep -q '"text": *"a secret"'; }
wait_for 5 alerted alice || die "alice has no alert"
wait_for 8 alerted dave || die "dave was told nothing"
grep -q 'alert box=carol about=bob: a secret' "$W/alice/run/i3/i3d.log" || die "alice's log has none"
get big 20 || die "another flow is blocked as well: $(cat err)"

step "a program that hangs, one that dies, one that talks nonsense: traffic goes on by what `fail` says"
kill -STOP $program
get big 2 && die "it went through although the program hangs"
kill -9 $program
conf carol <<E2
middlebox { allow = { "alice" } addresses = "synthesised" tap = { "file:$T/tap.pcap" } verdicts = "$T/verdicts" fail = "open" }
E2
get big 20 || die "it did not get through: $(cat err)"
python3 -c 'import os, socket
s = socket.socket(socket.AF_UNIX)
s.connect("verdicts")
try:
    for i in range(2000):
        s.sendall(os.urandom(1000))
except OSError:
    pass'
get big 20 || die "it did not get through: $(cat err)"

step "synthesised addresses: the same for all of a session, and none of anybody's"
sleep 0.5
captured tap.pcap tcp -e ip.src -e ipv6.src | tr -d '\t' | sort -u >got
grep -q -e "$(address_of alice)" -e "$(address_of bob)" got && die "the tap shows who it is"
expect "others than synthesised" "$(grep -cv -e '^10\.64\.' -e '^fd69:3374::' got)" 0
expect "wrong checksums" "$(tshark -o tcp.check_checksum:TRUE -o ip.check_checksum:TRUE -r tap.pcap -Y 'tcp.checksum.status==0 || ip.checksum.status==0' 2>/dev/null | wc -l)" 0
tshark -r tap.pcap --export-objects "http,objects" >/dev/null 2>&1
expect "what is put together again" "$(for f in objects/big*; do sha256sum <"$f"; done | cut -d' ' -f1 | grep -c "$sum" | sed 's/^[1-9].*/some/')" some

step "the box is started anew in the middle of a transfer"
conf carol <<E2
middlebox { allow = { "alice" } }
E2
head -c 60000000 /dev/urandom >huge
as alice i3run curl -sS --max-time 60 --limit-rate 20M -o got-huge "http://bob.i3:$PORT/huge" &
transfer=$!
sleep 1
as carol i3ctl stop >/dev/null
user_start carol
wait $transfer || die "the transfer broke"
cmp huge got-huge || die "other bytes came"
rm -f huge got-huge

step "two boxes in a row, and each sees it"
conf carol <<E2
middlebox { allow = { "alice" } next = { "dave" } tap = { "file:$T/one.pcap" } }
E2
restart carol
conf dave <<E2
middlebox { allow = { "carol" } next = { "bob" } tap = { "file:$T/two.pcap" } }
E2
restart dave
echo 'rule { match = "^bob.i3$" action = "overlay" through = { "carol", "dave" } }' | conf alice
get big 20 || die "it did not get through: $(cat err)"
expect "SHA-256" "$(sha256sum <got | cut -d' ' -f1)" "$sum"
sleep 0.5
for f in one two; do
    [ "$(captured $f.pcap tcp -e tcp.len | awk '{n+=$1} END {print (n > 3000000)}')" = 1 ] || die "it is not in $f.pcap"
done
as bob i3ctl box --json >ways
grep -q '"state": *"open"' ways || die "bob's box: $(cat ways)"

step "a box that does not want to says why, at once"
conf dave <<E2
middlebox { allow = { "bob" } }
E2
echo 'rule { match = "^bob.i3$" action = "overlay" through = { "dave" } }' | conf alice
get big 4 && die "dave let it through"
grep -q -i "time" err && die "it took its time: $(cat err)"
as alice i3ctl box | grep -q 'refused: it does not serve us' || die "why is not told: $(as alice i3ctl box)"

step "who goes past the box is refused, and counted"
conf bob <<E2
require_through = { "carol" }
E2
conf alice </dev/null
conf carol <<E2
middlebox { allow = { "dave" } }
E2
restart alice
get big 4 && die "it got past the box"
[ "$(box bob counters.bypassed)" -ge 0 ] || die "bypasses are not counted"
as alice i3ctl box | grep -q carol || die "alice does not go by carol: $(as alice i3ctl box)"
