#!/bin/sh
# waits: for answers that do not come
# One person shares a port of a server that knows nothing of all this; another joins by a code. Nothing was configured before. Codes that
# are no good, a port that is shut again, restarts in between.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/people.sh"
people ann ben cay

head -c 3M /dev/urandom >"$T/page"
mkdir "$T/www"
cp "$T/page" "$T/www/page"
cd "$T/www"
plain web python3 "$LIB/web.py"
web=$PORT
plain other python3 "$LIB/web.py"
other=$PORT
cd "$T"

step "share prints a code and what to type, without any file before it"
person ann i3ctl share 8080 --target "$web" --node "$NODE" --as box >"$T/out" </dev/null || die "share fails"
grep -q '^    i3ctl join [a-z2-7-]*$' "$T/out" || die "no line to type: $(cat "$T/out")"
grep -q 'box.i3' "$T/out" || die "the name is not told"
first=$(sed -n 's/^    i3ctl join //p' "$T/out")
expect "a pipe gets no picture" "$(grep -c '▄' "$T/out")" 0
[ "$(person ann i3ctl share 8080 --target "$web" --qr | grep -c '▄')" -gt 10 ] || die "no picture with --qr"

step "join on a fresh machine, in either case and with blanks; the page comes through"
person ben i3ctl join "$(echo "$first" | tr a-z- 'A-Z ')" >"$T/out" || die "join fails"
grep -q 'box.i3 shares port 8080' "$T/out" || die "$(cat "$T/out")"
person ben timeout 30 i3run curl -sS -o "$T/got" "http://box.i3:8080/page" || die "the page does not come"
cmp "$T/page" "$T/got"

step "each is in the other's list, and reaches nothing else"
person ann i3ctl peers --json >"$T/peers"
guest=$(field peers.0.name <"$T/peers")
expect "what the guest may reach" "$(field peers.0.may_reach.0.port <"$T/peers") $(field peers.0.role <"$T/peers")" "8080 guest"
expect "fingerprints" "$(person ben i3ctl peers --json | field peers.0.fingerprint)" "$(field own_fingerprint <"$T/peers")"
expect "what is offered" "$(person ben i3ctl peers --json | field peers.0.shares_with_us.0.port)" 8080
for port in "$web" "$other" 22; do
    rc=0
    person ben i3run curl -sS -m 1 -o /dev/null "http://box.i3:$port/page" 2>"$T/err" || rc=$?
    expect "port $port: silence" "$rc" 28
done
(cd "$T/www" && exec env HOME="$T/ben" XDG_RUNTIME_DIR="$T/ben/run" i3run python3 "$LIB/web.py") >"$T/mine.log" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 15 grep -q '^port ' "$T/mine.log"
rc=0
person ann i3run curl -sS -m 1 -o /dev/null "http://$guest:$(sed -n 's/^port //p' "$T/mine.log")/" 2>/dev/null || rc=$?
expect "who shares gets no way back" $rc 28

step "a code is good once; the same machine may ask again"
refused 5 'used already' person cay i3ctl join "$first"
person ben i3ctl join "$first" >/dev/null || die "the same joiner is refused"
refused 5 'your own' person ann i3ctl join "$(code ann 8080 --target "$web")"

step "codes that are no good"
fresh=$(code ann 8080 --target "$web")
wrong=$(echo "$fresh" | tr '2a' 'a2')
refused 5 'mistyped' person cay i3ctl join "$wrong"
refused 5 'missing' person cay i3ctl join "${fresh%-*}"
refused 5 'no code' person cay i3ctl join hello!
short=$(code ann 8080 --target "$web" --for 1s)
sleep 1.1
refused 5 'too old' person cay i3ctl join "$short"
expect "taken back" "$(person ann i3ctl share --cancel --json | field invitations)" 3
refused 5 'taken back' person cay i3ctl join "$fresh"
refused 2 'no port' person ann i3ctl share ssh
refused 2 'no time' person ann i3ctl share 22 --for soon
refused 1 'one second to seven days' person ann i3ctl share 22 --for 8d

step "another key for a name is refused, with both fingerprints"
third=$(code cay 8080 --target "$other" --node "$NODE")
refused 4 "$(field own_fingerprint <"$T/peers")" person ben i3ctl join "$third" box
grep -q "$(person cay i3ctl peers --json | field own_fingerprint)" "$T/said" || die "one fingerprint only: $(cat "$T/said")"
refused 4 'ANOTHER KEY' person ben i3ctl book add box "$(person cay i3ctl id -q)"
person ben i3ctl join "$third" cay >/dev/null || die "with another name it is the code of another machine"

step "who waits hears of it, and what the machine is to be called"
person ann i3ctl share 8081 --target "$web" --name carol --wait --json >"$T/waited" &
waiter=$!
wait_for 10 grep -q code "$T/waited"
person cay i3ctl join "$(head -1 "$T/waited" | field code)" ann >/dev/null || die "join"
wait $waiter || die "the one who waits: $(cat "$T/waited")"
grep -q '"carol.i3"' "$T/waited" || die "$(cat "$T/waited")"
expect "a name of the book needs no code" "$(person ann i3ctl share 8082 --target "$web" --to carol --json | field name)" carol.i3
person cay timeout 30 i3run curl -sS -o "$T/got" "http://ann.i3:8082/page"
cmp "$T/page" "$T/got"

step "the other machine is off: the code stays good"
late=$(code ann 8080 --target "$web")
person ann i3ctl stop >/dev/null
refused 6 'offline' person ben i3ctl join "$late"
person ann i3ctl id >/dev/null
person ben i3ctl join "$late" >/dev/null || die "the code did not stay good"

step "a code from nodes that nobody reaches leaves nothing behind: the next one is good"
mkdir -m 700 "$T/dee" "$T/dee/run" "$T/eve" "$T/eve/run"
refused 6 'no overlay node answers' person dee i3ctl join "$(code eve 8080 --target "$web" --node "127.0.0.1:$(free_port)")"
person dee i3ctl join "$(code ann 8080 --target "$web")" >/dev/null || die "the nodes of the bad code are still in use"

step "kill -9: who has joined stays, what is used stays used"
kill -9 "$(cat "$T/ann/run/i3/i3d.pid")"
person ann i3ctl id >/dev/null
wait_for 20 person ben i3run curl -sS -m 3 -o "$T/got" "http://box.i3:8080/page" || die "out of reach after kill -9"
cmp "$T/page" "$T/got"
refused 5 'used already' person cay i3ctl join "$first"

step "unshare cuts at once, and nothing answers any more"
person ann i3ctl unshare 8080 >/dev/null # nobody's: the code is used, and ben goes
plain drip python3 "$LIB/drip.py" serve
person ben i3ctl join "$(code ann 8080 --target "$PORT")" >/dev/null || die "join again"
person ben i3run python3 "$LIB/drip.py" box.i3 8080 20 >"$T/drip" 2>"$T/cut" &
pull=$!
wait_for 10 grep -q started "$T/drip" || die "no connection after joining again"
expect "cut" "$(person ann i3ctl unshare 8080 --json | field connections_cut)" 1
begun=$(date +%s)
! wait $pull || die "the transfer went on"
[ $(($(date +%s) - begun)) -lt 10 ] || die "the transfer hung: $(cat "$T/cut")"
rc=0
person ben i3run curl -sS -m 2 -o /dev/null "http://box.i3:8080/page" 2>/dev/null || rc=$?
expect "silence" $rc 28
! person ann i3ctl peers --json | grep -q "\"$guest\"" || die "the guest is still in the list"
refused 1 'is not shared' person ann i3ctl unshare 8080
person cay timeout 30 i3run curl -sS -o "$T/got" "http://ann.i3:8081/page" || die "others are cut as well"
person ann i3ctl unshare carol >/dev/null
rc=0
person cay i3run curl -sS -m 2 -o /dev/null "http://ann.i3:8081/page" 2>/dev/null || rc=$?
expect "silence by name" $rc 28

step "an expose section of i3.conf opens a port to a key, and shuts it when it goes"
mkdir -p "$T/ann/.config/i3"
printf 'expose web { port = 8085 target = "127.0.0.1:%s" allow = { "%s" } }\n' "$web" "$(person cay i3ctl id -q)" >"$T/ann/.config/i3/i3.conf"
person ann i3ctl reload >/dev/null || die "reload"
person cay timeout 30 i3run curl -sS -m 20 -o "$T/got" "http://ann.i3:8085/page" || die "the exposed port does not answer"
cmp "$T/page" "$T/got"
refused 1 'expose section' person ann i3ctl unshare 8085
: >"$T/ann/.config/i3/i3.conf"
person ann i3ctl reload >/dev/null || die "reload"
rc=0
person cay i3run curl -sS -m 1 -o /dev/null "http://ann.i3:8085/page" 2>/dev/null || rc=$?
expect "silence after the section has gone" $rc 28

step "UDP as well"
plain echo python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print("port", s.getsockname()[1], flush=True)
while True:
    d, a = s.recvfrom(2000)
    s.sendto(d[::-1], a)'
person ben i3ctl join "$(code ann 5000/udp --target "$PORT")" >/dev/null || die "join for UDP"
expect "datagrams" "$(person ben timeout 20 i3run python3 -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.5)
for i in range(20):
    s.sendto(b"hello", ("box.i3", 5000))
    try:
        print(s.recv(100).decode())
        break
    except TimeoutError:
        pass')" olleh
