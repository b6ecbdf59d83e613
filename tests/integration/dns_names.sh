#!/bin/sh
# Names by the DNS: TXT of _i3.NAME at a server of our own; what it says wrong, or does not say, is told as what it is; the first key is kept.
. "$(dirname "$0")/../lib/world.sh"
world_up
as alice i3ctl book rm bob >/dev/null # the world has them know each other
bob=$(as bob i3ctl id -q)
other=$(as alice i3ctl id -q)
cat >"$T/zone" <<END
_i3.bob.i3 2 i3=1 key=$bob node=127.0.0.1:1 later=word
_i3.alias.i3 cname _i3.bob.i3
_i3.home.bob.i3 300 v=spf1 -all
_i3.home.bob.i3 300 i3=1 key=$bob
_i3.two.i3 300 i3=1 key=$bob
_i3.two.i3 300 i3=1 key=$other
_i3.nokey.i3 300 i3=1 node=192.0.2.1
_i3.short.i3 300 i3=1 key=${bob%????}
_i3.v2.i3 300 i3=2 key=$bob
_i3.spf.i3 300 v=spf1 -all
_i3.empty.i3 empty
_i3.servfail.i3 servfail
_i3.refused.i3 refused
_i3.formerr.i3 formerr
_i3.garbage.i3 garbage
_i3.cut.i3 cut
_i3.mute.i3 mute
END
"$LIB/dns_txt.py" "$T/zone" >"$T/dns.log" 2>&1 </dev/null &
DNS=$!
STARTED="$STARTED $DNS"
wait_for 5 grep -q '^port ' "$T/dns.log" || die "no DNS server: $(cat "$T/dns.log")"
port=$(sed -n 's/^port //p' "$T/dns.log")
node=127.0.0.1:$(cat "$W/ring/port")
configure() {
    cat >"$W/alice/config/i3/i3.conf"
    daemon_restart alice
}
configure <<END
nodes = { "$node" }
resolve = { "book", "dns" }
dns-server = "127.0.0.1:$port"
END
# what getaddrinfo says: eai NAME
eai() {
    as alice i3run timeout 20 python3 -c 'import socket, sys
try:
    print(socket.getaddrinfo(sys.argv[1], 80, socket.AF_INET, socket.SOCK_STREAM)[0][4][0])
except socket.gaierror as e:
    print([n for n in dir(socket) if n.startswith("EAI_") and getattr(socket, n) == e.errno][0])' "$1"
}
asked() {
    grep -cx "_i3.$1" "$T/dns.log" || :
}

step "a name that the book has not is found, reached, and shown as learned"
cd "$T"
echo hello >hello.txt
serve bob web python3 "$LIB/web.py"
expect "hello" "$(as alice i3run curl -sS --max-time 15 "http://bob.i3:$PORT/hello.txt")" hello
as alice i3ctl book list >"$T/book"
grep -q 'bob .*learned from the DNS' "$T/book" || die "$(cat "$T/book")"
grep -q "^bob $bob guest learned=dns\$" "$W/alice/data/i3/book" || die "$(cat "$W/alice/data/i3/book")"
expect "by another name" "$(eai alias.i3)" "$(eai bob.i3)"
expect "beside other records" "$(eai home.bob.i3)" "$(eai bob.i3)"
expect "nodes that i3.conf names stay" "$(as alice i3ctl nodes --json | field overlays.0.nodes.0.address)" "$node"

step "each way in which it can fail has its code"
for c in nobody:EAI_NONAME empty:EAI_NONAME spf:EAI_NONAME servfail:EAI_AGAIN refused:EAI_FAIL formerr:EAI_FAIL two:EAI_FAIL nokey:EAI_FAIL \
    short:EAI_FAIL v2:EAI_FAIL cut:EAI_FAIL garbage:EAI_AGAIN mute:EAI_AGAIN; do
    eai "${c%:*}.i3" >"$T/eai.${c%:*}" 2>&1 &
    eval "eai_${c%:*}=$!"
done
for c in nobody:EAI_NONAME empty:EAI_NONAME spf:EAI_NONAME servfail:EAI_AGAIN refused:EAI_FAIL formerr:EAI_FAIL two:EAI_FAIL nokey:EAI_FAIL \
    short:EAI_FAIL v2:EAI_FAIL cut:EAI_FAIL garbage:EAI_AGAIN mute:EAI_AGAIN; do
    eval "wait \$eai_${c%:*}"
    expect "${c%:*}.i3" "$(cat "$T/eai.${c%:*}")" "${c#*:}"
done
as alice i3ctl ping two.i3 1 2>"$T/err" && die "two keys were believed"
grep -q 'different keys' "$T/err" || die "$(cat "$T/err")"
! grep -q "example" "$T/dns.log" || die "other names were asked for"

step "a program with a resolver of its own waits for the same answer"
echo "_i3.raw.i3 300 i3=1 key=$bob" >>"$T/zone"
expect "raw.i3" "$(as alice i3run timeout 20 python3 "$LIB/dns_ask.py" 192.0.2.53 connect:raw.i3:A | head -1)" "connect raw.i3 A: rcode 0, $(eai bob.i3)"
expect "the name of a name that was learned" "$(as alice i3run getent hosts "$(eai raw.i3)" | awk '{ print $2 }')" bob.i3

step "time to live: asked again when it is over, not before"
before=$(asked home.bob.i3)
eai home.bob.i3 >/dev/null
expect "questions within its time" "$(asked home.bob.i3)" "$before"
before=$(asked bob.i3)
sleep 5.1 # LIFE_MIN: two seconds are taken for five
eai bob.i3 >/dev/null
expect "questions after it" "$(asked bob.i3)" $((before + 1))

step "another key is refused, and both fingerprints are shown; taking the name out is the way"
sed -i "s/^_i3.home.bob.i3 300 i3=1.*/_i3.home.bob.i3 300 i3=1 key=$other/" "$T/zone"
daemon_restart alice
expect "the name" "$(eai home.bob.i3)" EAI_FAIL
as alice i3ctl ping home.bob.i3 1 2>"$T/err" && die "a changed key was believed"
grep -q 'ANOTHER KEY' "$T/err" || die "$(cat "$T/err")"
[ "$(grep -oE '[a-z2-7]{4}([- ][a-z2-7]{4}){3,}' "$T/err" | sort -u | wc -l)" -ge 2 ] || die "no two fingerprints: $(cat "$T/err")"
as alice i3ctl book rm home.bob >/dev/null
expect "after book rm" "$(eai home.bob.i3)" "$(address_of alice)"

step "a dead server: what was learned holds, what was not fails for now"
kill $DNS
wait $DNS 2>/dev/null || :
daemon_restart alice
bob_ip=$(eai bob.i3)
expect "bob.i3" "$bob_ip" "$(as alice i3ctl book list --json | python3 -c 'import json, sys
print([e["address"] for e in json.load(sys.stdin)["entries"] if e["name"] == "bob"][0])')"
expect "hello" "$(as alice i3run curl -sS --max-time 15 "http://bob.i3:$PORT/hello.txt")" hello
expect "an unknown one" "$(eai unheard.i3)" EAI_AGAIN

step "a zone of one's own, and nodes from the record where none is configured"
"$LIB/dns_txt.py" "$T/zone" >"$T/dns2.log" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 5 grep -q '^port ' "$T/dns2.log" || die "no DNS server"
echo "_i3.zoned.people.example.org 300 i3=1 key=$bob node=$node" >>"$T/zone"
cat >"$W/alice/config/i3/i3.conf" <<END
resolve = { "dns", "book" }
dns-server = "127.0.0.1:$(sed -n 's/^port //p' "$T/dns2.log")"
dns-zone = "People.example.org"
END
as alice i3ctl reload >/dev/null
[ "$(eai zoned.i3)" = "$bob_ip" ] || die "not found in the zone: $(cat "$T/dns2.log")"
expect "the node" "$(as alice i3ctl nodes --json | field overlays.0.nodes.0.address)" "$node"
