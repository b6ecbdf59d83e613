#!/bin/sh
# Names by hash: found by nothing but the name; the first key is kept; two claimants are believed neither; strangers to the name hear nothing.
. "$(dirname "$0")/../lib/world.sh"
world_up
as alice i3ctl book rm bob >/dev/null # the world has them know each other
node=127.0.0.1:$(cat "$W/ring/port")
printf 'nodes = { "%s" }\nresolve = { "book", "hash" }\n' "$node" >"$W/alice/config/i3/i3.conf"
daemon_restart alice
cd "$T"
echo hello >hello.txt
serve bob web python3 "$LIB/web.py"
fetch() {
    as alice i3run curl -sS --max-time 15 "http://$1:$PORT/hello.txt"
}
claimed() {
    as "$1" i3ctl status --json | python3 -c 'import json, sys
t = json.load(sys.stdin)["triggers"]
sys.exit(all(x["plen"] != 256 or x["state"].lower() not in ("standing", "refreshing") for x in t))'
}

step "nobody has claimed it: not known, within the time that a node takes to say so"
as alice i3run getent hosts shop.i3 && die "a name that nobody claims was found"

step "bob claims it, and is found by the name alone"
as bob i3ctl book claim shop | grep -q 'shop.i3 is claimed' || die "no claim"
wait_for 10 claimed bob || die "the trigger of the name does not stand"
sleep 0.2
as alice i3ctl stop >/dev/null
daemon_start alice
expect "hello" "$(fetch shop.i3)" hello
grep -q "^shop $(as bob i3ctl id -q) guest learned=hash\$" "$W/alice/data/i3/book" || die "$(cat "$W/alice/data/i3/book")"
as alice i3ctl book list | grep -q 'shop .*learned by hash' || die "not shown as learned"
as alice i3ctl ping Shop.I3 1 >/dev/null || die "no ping"
as bob i3ctl book list | grep -q 'shop.i3 is claimed by you' || die "the claim is not shown"

step "who was found by hash reaches nothing here"
as bob i3ctl book claim bobs.place >/dev/null
serve alice alice python3 "$LIB/web.py"
as bob i3run curl -sS --max-time 2 "http://alice.i3:$PORT/hello.txt" >/dev/null 2>&1 && die "bob got in"
PORT=$(sed -n 's/^port //p' "$T/web.log" | head -1)

step "the claim outlives the daemon, and so does what was learned"
as bob i3ctl stop >/dev/null
daemon_start bob
daemon_restart alice
wait_for 10 claimed bob || die "the claim is gone"
as alice i3ctl ping shop.i3 1 >/dev/null || die "no ping after a restart"

step "somebody else claims it as well: what is known stays known, and a newcomer is told that it cannot be told"
user_add carol
as carol i3ctl book claim shop.i3 >/dev/null
wait_for 10 claimed carol || die "carol's trigger does not stand"
user_add dave
printf 'nodes = { "%s" }\nresolve = { "hash" }\n' "$node" >"$W/dave/config/i3/i3.conf"
daemon_restart dave
as dave i3run getent hosts shop.i3 && die "dave believed one of them"
as dave i3ctl ping shop.i3 1 2>"$T/err" && die "dave believed one of them"
grep -q 'more than one' "$T/err" || die "$(cat "$T/err")"

step "bob has gone, and carol poses as him: refused, with both fingerprints"
as bob i3ctl book unclaim shop >/dev/null
daemon_restart alice
as alice i3ctl ping shop.i3 1 2>"$T/err" && die "alice believed carol"
grep -q 'ANOTHER KEY' "$T/err" || die "$(cat "$T/err")"
as alice i3run python3 -c 'import socket
try:
    socket.getaddrinfo("shop.i3", 80)
except socket.gaierror as e:
    raise SystemExit(e.errno != socket.EAI_FAIL)
raise SystemExit(2)' || die "no EAI_FAIL"
as alice i3ctl book rm shop >/dev/null
expect "dave, who never knew bob" "$(as dave i3ctl book list --json | field entries)" "[]"
for u in carol dave; do
    as $u i3ctl stop >/dev/null
done
