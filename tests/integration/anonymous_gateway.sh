#!/bin/sh
# Anonymous programs through a gateway which is open to anyone: by an option, and by a rule; each start is another user to the gateway, and
# what they asked for stands nowhere on the client's disk.
. "$(dirname "$0")/../lib/world.sh"
world_up
printf 'web.intra.example 300 127.9.0.1\n' >"$T/zone"
"$LIB/dns_hosts.py" "$T/zone" >"$T/dns.log" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 5 grep -q '^port ' "$T/dns.log" || die "no DNS server: $(cat "$T/dns.log")"
dns=127.0.0.1:$(sed -n 's/^port //p' "$T/dns.log")
node=127.0.0.1:$(cat "$W/ring/port")
printf 'nodes = { "%s" }\ngateway { allow = { "anyone" } networks = { "127.9.0.0/24" } dns-server = "%s" }\n' "$node" "$dns" >"$W/bob/config/i3/i3.conf"
daemon_restart bob
python3 "$LIB/who.py" intra 0 127.9.0.1 >"$T/web.log" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 10 grep -q '^port ' "$T/web.log" || die "no web server"
port=$(sed -n 's/^port //p' "$T/web.log")
client() { # client LINE: of i3.conf
    printf 'nodes = { "%s" }\n%s\n' "$node" "$1" >"$W/alice/config/i3/i3.conf"
    daemon_restart alice
}
get() { curl -sS --max-time 20 "http://web.intra.example:$port/" | cut -d' ' -f1; }
users() { as bob i3ctl gateway --json | grep -o '"key":"[a-z2-7]*"' | sort -u; }
as alice i3run --strict true 2>/dev/null || { echo "no user namespaces here"; exit 77; }
as alice i3run --anonymous true || die "it does not run"
key=$(as alice i3ctl id -q)

step "by the option"
client 'rule { suffix = ".intra.example" action = "gateway" via = "bob" }'
for i in 1 2; do
    expect "the page" "$(as alice i3run --anonymous curl -sS --max-time 20 "http://web.intra.example:$port/" | cut -d' ' -f1)" intra
done
expect "IPv6" "$(as alice i3run --anonymous curl -6 -sS --max-time 20 "http://web.intra.example:$port/" | cut -d' ' -f1)" intra
! users | grep -q "$key" || die "the gateway knows alice: $(users)"
rc=0
as alice i3run --anonymous curl -sS --max-time 20 http://else.example.org/ 2>/dev/null || rc=$?
expect "a name of nobody's" $rc 6

step "by a rule: the same program, and others as themselves"
client 'rule { suffix = ".intra.example" app = "curl" action = "gateway" via = "bob" anonymity = yes }
rule { suffix = ".intra.example" action = "gateway" via = "bob" }'
expect "the page" "$(as alice i3run curl -sS --max-time 20 "http://web.intra.example:$port/" | cut -d' ' -f1)" intra
! users | grep -q "$key" || die "the gateway knows alice"
expect "another program" "$(as alice i3run python3 -c 'import sys, urllib.request as u; print(u.urlopen("http://web.intra.example:%s/" % sys.argv[1]).read().decode(), end="")' "$port" | cut -d' ' -f1)" intra

step "what anonymous programs asked for is not written down"
client 'rule { suffix = ".intra.example" action = "gateway" via = "bob" }'
rm -f "$W/alice/run/i3/vias"
as alice i3run --anonymous curl -sS --max-time 20 "http://web.intra.example:$port/" >/dev/null
sleep 1.5
! grep -raq 'intra' "$W/alice/data" "$W/alice/run" || die "$(grep -ra intra "$W/alice/data" "$W/alice/run")"

step "another network than the default one"
client 'network = "10.200.7.0/24"
rule { suffix = ".intra.example" action = "gateway" via = "bob" }'
expect "the page" "$(as alice i3run --anonymous curl -sS --max-time 20 "http://web.intra.example:$port/" | cut -d' ' -f1)" intra

step "and through a middle-box on the way"
user_add carol
printf 'nodes = { "%s" }\nmiddlebox { allow = { "anyone" } }\n' "$node" >"$W/carol/config/i3/i3.conf"
daemon_restart carol
know alice carol
know carol bob
client 'rule { match = "." action = "gateway" via = "bob" through = { "carol" } anonymity = yes }'
passed=0
for how in "" --anonymous; do
    # shellcheck disable=SC2086
    expect "the page $how" "$(as alice i3run $how curl -sS --max-time 20 "http://web.intra.example:$port/" | cut -d' ' -f1)" intra
    now=$(as carol i3ctl box | sed -n 's/.*: \([0-9]*\) packets passed.*/\1/p')
    [ "$now" -gt "$passed" ] || die "it went round the box"
    passed=$now
done
! as carol i3ctl box --json | grep -q "$(echo "$key" | cut -c1-8)" || die "the box knows whose it was"
! users | grep -q "$key" || die "the gateway knows"
