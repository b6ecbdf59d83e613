#!/bin/sh
# Two rings which know nothing of each other, and one daemon in both: a program fetches from a host of each at the same time; one ring dies,
# and the other goes on; the nodes of one are changed while it runs.
. "$(dirname "$0")/../lib/world.sh"
world_up

# ring2 NAME: another ring, of one node
ring_of_one() {
    i3node --listen "127.0.0.1:$(cat "$T/$1.port" 2>/dev/null || echo 0)" --port-file "$T/$1.port" --pid-file "$T/$1.pid" --log "$T/$1.log" \
        --background --state "$T/$1" --control "$T/$1.sock" </dev/null || die "$1 does not start"
    STARTED="$STARTED $(cat "$T/$1.pid")"
}
configure() {
    cat >"$W/$1/config/i3/i3.conf"
}
first=127.0.0.1:$(cat "$W/ring/port")
ring_of_one work
work=127.0.0.1:$(cat "$T/work.port")

step "alice is in both rings, bob in the first, carol in the other"
printf 'nodes = { "%s" }\nshortcut = no\n' "$work" >"$T/carol.conf"
configure alice <<END
nodes = { "$first" }
shortcut = no
overlay work { suffix = ".work.i3"  nodes = { "$work" } }
overlay corp { suffix = ".corp" }
END
configure bob <<END
nodes = { "$first" }
shortcut = no
END
daemon_restart alice
daemon_restart bob
user_add carol
configure carol <"$T/carol.conf"
daemon_restart carol
STARTED="$STARTED $(cat "$W/carol/run/i3/i3d.pid")"
know alice bob
know bob alice
know carol alice
as alice i3ctl book add carol.work "$(as carol i3ctl id -q)" >/dev/null
cd "$T"
echo "from bob" >bob.txt
echo "from carol" >carol.txt
serve bob bob python3 "$LIB/web.py"
bob_port=$PORT
serve carol carol python3 "$LIB/web.py"
carol_port=$PORT

step "the same program fetches from both at once"
both() {
    as alice i3run timeout 20 curl -sS --max-time 15 -Z "http://bob.i3:$bob_port/bob.txt" "http://carol.work.i3:$carol_port/carol.txt" | sort | xargs
}
expect "both" "$(both)" "from bob from carol"
expect "rows of status" "$(as alice i3ctl status --json | python3 -c 'import json, sys
for o in json.load(sys.stdin)["overlays"]:
    print(o["name"], o["suffix"], o["source"], o["reachable"], o["names"], o["sessions"])' | tr '\n' ',')" \
    " .i3 config True 2 1,work .work.i3 config True 1 1,corp .corp none False 0 0,"
as alice i3run getent hosts carol.i3 && die "carol is known in the first ring"
as alice i3run getent hosts bob.work.i3 && die "bob is known in the other ring"
carol=$(as alice i3run getent ahostsv4 carol.work.i3 | sed -n '1s/ .*//p')
expect "the name of her address" "$(as alice i3run getent hosts "$carol" | awk '{ print $2 }')" carol.work.i3
as alice i3ctl ping carol.work.i3 1 >"$T/ping" || die "no ping: $(cat "$T/ping")"
grep -q 'overlay work' "$T/ping" || die "the overlay is not told: $(cat "$T/ping")"

as alice i3ctl status >"$T/status"
grep -qF ".work.i3 (overlay work): yes, by overlay node $work" "$T/status" || die "$(cat "$T/status")"
grep -q 'nodes add --overlay corp' "$T/status" || die "no word about corp: $(cat "$T/status")"

step "an overlay without nodes says what to do; its names fail at once and quietly"
as alice i3ctl nodes list --overlay corp >"$T/nodes"
grep -q 'i3ctl nodes add --overlay corp' "$T/nodes" || die "$(cat "$T/nodes")"
as alice i3run getent hosts nobody.corp && die "nobody.corp is somebody"

step "the other ring dies in the middle of a transfer from the first, which goes on"
dd if=/dev/urandom of=big bs=1M count=8 2>/dev/null
sum=$(sha256sum <big | cut -d' ' -f1)
as alice i3run curl -sS --max-time 60 --limit-rate 4M "http://bob.i3:$bob_port/big" >got &
transfer=$!
kill -9 "$(cat "$T/work.pid")"
wait $transfer || die "the transfer from bob broke off"
expect "SHA-256" "$(sha256sum <got | cut -d' ' -f1)" "$sum"
gone() {
    as alice i3ctl status --json | python3 -c 'import json, sys
sys.exit([o["reachable"] for o in json.load(sys.stdin)["overlays"]] != [True, False, False])'
}
wait_for 40 gone || die "nobody notices that the ring is dead"

step "the nodes of an overlay change while the daemon runs: another node, and she is there again"
ring_of_one again
again=127.0.0.1:$(cat "$T/again.port")
as alice i3ctl nodes add "$again" 2>"$T/err" && die "what stands in i3.conf was changed past it"
grep -q "i3.conf.*reload" "$T/err" || die "$(cat "$T/err")"
configure carol <<END
shortcut = no
END
daemon_restart carol
as carol i3ctl nodes add "$again" >"$T/nodes"
grep -qF "added $again" "$T/nodes" || die "$(cat "$T/nodes")"
configure alice <<END
nodes = { "$first" }
shortcut = no
overlay work { suffix = ".work.i3" }
END
as alice i3ctl reload >"$T/reload" || die "$(cat "$T/reload")"
expect "bob without the other" "$(as alice i3run curl -sS --max-time 15 "http://bob.i3:$bob_port/bob.txt")" "from bob"
as alice i3ctl nodes add --overlay work "$again" >/dev/null
wait_for 20 triggers_stand carol || die "carol is not at her new node"
expect "both again" "$(both)" "from bob from carol"

step "it is kept; overlays come and go with a reload, and a connection by another one does not notice"
as alice i3ctl stop >/dev/null
as alice i3d --ensure || die "alice's daemon does not start"
expect "the nodes" "$(as alice i3ctl nodes list --overlay work --json | field overlays.0.nodes.0.address)" "$again"
expect "both" "$(both)" "from bob from carol"
as alice i3run curl -sS --max-time 60 --limit-rate 4M "http://bob.i3:$bob_port/big" >got &
transfer=$!
configure alice <<END
nodes = { "$first" }
shortcut = no
END
as alice i3ctl reload >/dev/null
configure alice <<END
nodes = { "$first" }
shortcut = no
overlay other { suffix = ".corp"  nodes = { "$again" } }
END
as alice i3ctl reload >/dev/null
as alice i3ctl book add carol.corp "$(as carol i3ctl id -q)" >/dev/null
as alice i3ctl book rm carol.work >/dev/null
expect "carol by another suffix" "$(as alice i3run curl -sS --max-time 15 "http://carol.corp:$carol_port/carol.txt")" "from carol"
wait $transfer || die "the transfer from bob broke off"
expect "SHA-256" "$(sha256sum <got | cut -d' ' -f1)" "$sum"
as alice i3ctl nodes rm "$again" 2>"$T/err" && die "what is not there was taken out"
expect "bob" "$(as alice i3run curl -sS --max-time 15 "http://bob.i3:$bob_port/bob.txt")" "from bob"
as carol i3ctl stop >/dev/null
