#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# waits: for those who are not answered
# A gateway in hard times, with figures: 500 connections at once of one user, and of five; DNS servers that are dead or say no;
# closed ports, forbidden ones; strangers, and a wrong key; old datagrams played again.
. "$(dirname "$0")/../lib/netns.sh"
. "$LIB/star.sh"
star_begin client n0 gw web thief
roommate client u1 u2 u3 u4 u5 stranger
H="python3 $T/hardships.py"
server web echo $H serve 0.0.0.0 7000
known_now() {
    as client timeout 60 i3run $H ask back.intra.test | grep -q ' ok '
}
gw_port() { # of the gateway's own socket
    python3 - "$T" "$(at gw)" <<'P'
import sys
sys.path.insert(0, sys.argv[1])
import pcap_check
seen = [pcap_check.decode(*r) for r in pcap_check.records(open(sys.argv[1] + "/gw.pcap", "rb").read())]
print(next(p.dport for p in seen if p and p.proto == "udp" and str(p.dst) == sys.argv[2] and p.sport == 5610))
P
}
dns_at web "$(at web)"
ring n0
for u in client u1 u2 u3 u4 u5; do
    echo 'rule { suffix = ".intra.test" action = "gateway" via = "gw" }' | user $u
done
echo 'rule { suffix = ".intra.test" action = "gateway" via = "gw" }' | user stranger
for u in client u1 u2 u3 u4 u5; do
    know gw $u $u
done
user gw <<C
gateway {
    allow = { "client", "u1", "u2", "u3", "u4", "u5" }
    networks = { "$(at web)/32:7000-7100" }
    dns-server = "$(at web)"
    connections = 2000
    per-user = 600
    connect-timeout = 3
}
shortcut = no
C
for u in client u1 u2 u3 u4 u5 stranger; do
    know $u gw gw
done

dial() { # dial USER NAME PORT: what came of it; MS is left in the file ms
    as $1 timeout 70 i3run $H dial "$2" "$3" >"$T/dial" 2>&1 || die "dial: $(cat "$T/dial")"
    cut -d' ' -f2 "$T/dial" >"$T/ms"
    cut -d' ' -f1 "$T/dial"
}

step "500 connections at once of one user, each by a name of its own"
expect "a first one" "$(dial client a.intra.test 7000)" ok
as client i3run $H crowd 'h%.intra.test' 7000 500 20000 >"$T/crowd" 2>&1 || die "$(cat "$T/crowd")"
tail -1 "$T/crowd"
peak=$(sed -n 's/^peak //p' "$T/echo.log" | tail -1)
[ "$peak" -ge 500 ] || die "never more than $peak at once"
expect "whom the server saw" "$(sed -n 's/^from //p' "$T/echo.log")" "$(at gw)"

step "100 of each of five users, at the same time"
for u in u1 u2 u3 u4 u5; do
    as $u i3run $H crowd "$u-%.intra.test" 7000 100 20000 "$T/go" >"$T/crowd.$u" 2>&1 &
    eval "p_$u=$!"
done
for u in u1 u2 u3 u4 u5; do
    wait_for 30 grep -q connected "$T/crowd.$u" || die "$u: $(cat "$T/crowd.$u")"
done
: >"$T/go"
for u in u1 u2 u3 u4 u5; do
    eval "wait \$p_$u" || die "$u: $(cat "$T/crowd.$u")"
    echo "$u: $(tail -1 "$T/crowd.$u")"
done

step "more than one may have: the others of the gateway do not feel it"
rc=0
as u1 i3run $H crowd 'many-%.intra.test' 7000 700 1000 "$T/go2" >"$T/crowd" 2>&1 &
many=$!
wait_for 40 grep -q connected "$T/crowd" || die "$(cat "$T/crowd")"
expect "u2 meanwhile" "$(dial u2 a.intra.test 7000)" ok
: >"$T/go2"
wait $many || rc=$?
tail -1 "$T/crowd"
expect "the status of who wanted too much" $rc 3
grep -q ' 600 right and 0 wrong' "$T/crowd" || die "600 had been agreed"

step "UDP"
expect "echoes" "$(as client i3run $H datagrams d.intra.test 7000 50)" "50 of 50"

step "DNS: no such name, a server that fails, one that is silent; others go on meanwhile"
as stranger timeout 60 i3run $H ask a.intra.test >"$T/got.stranger" 2>&1 & # looked at below, as it takes its time
stranger=$!
as u1 i3ctl book rm gw >/dev/null
know u1 gw stranger
as u1 timeout 60 i3run $H ask a.intra.test >"$T/got.wrong" 2>&1 &
wrong=$!
as client timeout 60 i3run $H ask broken.intra.test a.intra.test refused.intra.test >"$T/ask" 2>&1
as client timeout 60 i3run $H ask $(seq -f 'mute%g.intra.test' 20) >"$T/mute" 2>&1 &
mute=$!
sleep 0.5
expect "a name that is known, meanwhile" "$(dial client fresh.intra.test 7000)" ok
ms=$(cat "$T/ms")
[ "$ms" -lt 2000 ] || die "it took $ms ms"
expect "another user's" "$(dial u3 fresh3.intra.test 7000)" ok
wait $mute || die "$(cat "$T/mute")"
cat "$T/ask"
echo "20 of the silent: $(cut -d' ' -f2 "$T/mute" | sort | uniq -c | tr -s ' ' | tr '\n' ' ') within $(cut -d' ' -f3 "$T/mute" | sort -n | tail -1) ms; meanwhile another name took $ms ms"
grep -q '^a.intra.test ok' "$T/ask" || die "a name"
grep -q '^broken.intra.test EAI_AGAIN' "$T/ask" || die "SERVFAIL"
grep -q '^refused.intra.test EAI_\(AGAIN\|FAIL\)' "$T/ask" || die "REFUSED"
expect "what is said of the silent" "$(cut -d' ' -f2 "$T/mute" | sort -u)" EAI_AGAIN
[ "$(cut -d' ' -f3 "$T/mute" | sort -n | tail -1)" -lt 30000 ] || die "too late"

step "all of the gateway's DNS is dead: what is known stays known, the rest ends soon"
in_ns web nft 'add table ip f; add chain ip f in { type filter hook input priority 0; }; add rule ip f in tcp dport 7002 drop'
as client timeout 60 i3run $H dial a.intra.test 7002 >"$T/filtered" 2>&1 &
filtered=$!
kill $DNS
wait $DNS 2>/dev/null || :
as client timeout 60 i3run $H ask never-asked.intra.test >"$T/ask" 2>&1
cat "$T/ask"
grep -q '^never-asked.intra.test EAI_AGAIN' "$T/ask" || die "a dead DNS server"
[ "$(cut -d' ' -f3 "$T/ask")" -lt 20000 ] || die "too late"
expect "a name of before" "$(dial client a.intra.test 7000)" ok
dns_at web "$(at web)"
wait_for 15 known_now || die "the server is back, but: $(as client timeout 60 i3run $H ask back.intra.test)"

step "closed, forbidden, filtered"
expect "a closed port" "$(dial client a.intra.test 7001)" ECONNREFUSED
closed=$(cat "$T/ms")
forbidden=$(dial client a.intra.test 6999)
case $forbidden in EACCES | ECONNREFUSED | ENETUNREACH | EHOSTUNREACH) ;; *) die "a forbidden port: $forbidden" ;; esac
denied=$(cat "$T/ms")
wait $filtered || die "$(cat "$T/filtered")"
echo "closed: ECONNREFUSED after $closed ms; forbidden: $forbidden after $denied ms; filtered: $(cat "$T/filtered") ms"
expect "a filtered port" "$(cut -d' ' -f1 "$T/filtered")" ETIMEDOUT
[ "$(cut -d' ' -f2 "$T/filtered")" -lt 15000 ] || die "too late"

step "a stranger, and a friend whose book has another key for the gateway"
wait $stranger || die "$(cat "$T/got.stranger")"
wait $wrong || die "$(cat "$T/got.wrong")"
echo "a stranger: $(cat "$T/got.stranger") ms; a wrong key: $(cat "$T/got.wrong") ms"
! cat "$T/got.stranger" "$T/got.wrong" | grep -v ' EAI_AGAIN ' || die "it should be as if nobody were there"
expect "the gateway's peers" "$(of_status gw 'sum(1 for p in s["peers"] if "'"$(key stranger)"'" in str(p))')" 0
grep -q "$(key stranger | cut -c1-8)" "$T/gw/run/i3/i3d.log" && die "the gateway has noted a stranger's key" || :

step "played again: all that a client has said to the node, and the node to the gateway, each from another socket"
echo 'rule { suffix = ".intra.test" action = "gateway" via = "gw" }
shortcut = no' | user u2
capture
as u2 timeout 90 i3run $H talk a.intra.test 7000 "$T/u2" >"$T/talk" 2>&1 &
talk=$!
wait_for 15 grep -q 'said 0' "$T/talk" || die "$(cat "$T/talk")"
captured
sessions=$(of_status gw 'len(s["peers"])')
lines=$(grep -c . "$T/echo.log")
replays=$(metric gw i3d_peer_replays_total)
in_ns thief python3 "$T/hardships.py" replay "$(at n0)" 5610 "$T/client.pcap" >"$T/replay" 2>&1 || die "$(cat "$T/replay")"
in_ns thief python3 "$T/hardships.py" replay "$(at gw)" "$(gw_port)" "$T/gw.pcap" >"$T/replay2" 2>&1 || die "$(cat "$T/replay2")"
: >"$T/u2/go"
wait_for 10 grep -q 'said 1' "$T/talk" || die "the session has suffered: $(cat "$T/talk")"
expect "sessions of the gateway" "$(of_status gw 'len(s["peers"])')" "$sessions"
expect "lines of the server" "$(grep -c . "$T/echo.log")" "$lines"
again=$(($(metric gw i3d_peer_replays_total) - replays))
echo "to the node: $(cat "$T/replay"); to the gateway: $(cat "$T/replay2"); $again known again"
[ $again -gt 0 ] || die "nobody has noticed"
grep -q 'answers 0$' "$T/replay2" || die "the gateway has answered"
: >"$T/u2/end"
: >"$T/u2/go"
wait $talk || die "$(cat "$T/talk")"
