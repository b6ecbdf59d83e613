#!/bin/sh
# An unmodified curl fetches a page from an unmodified server; both ends see the same four-tuple, made of virtual addresses.
. "$(dirname "$0")/../lib/world.sh"
world_up

step "a page of python3 -m http.server, byte for byte"
mkdir "$T/www"
head -c 100000 /dev/urandom >"$T/www/page"
cd "$T/www"
(
    . "$W/bob.env"
    exec i3run python3 -m http.server 0
) >"$T/http.log" 2>&1 &
STARTED="$STARTED $!"
cd "$T"
wait_for 15 grep -q 'Serving HTTP' "$T/http.log" || die "no server: $(cat "$T/http.log")"
port=$(sed -n 's/.* port \([0-9]*\).*/\1/p' "$T/http.log")
as alice i3run curl -sS --max-time 20 -o "$T/page" "http://bob.i3:$port/page"
cmp "$T/page" "$T/www/page" || die "the page differs"

step "the server saw alice under her virtual address"
alice=$(address_of alice) bob=$(address_of bob)
case $alice in 10.*) ;; *) die "alice's address is $alice" ;; esac
grep -q "^$alice .*GET /page HTTP/1.1\" 200" "$T/http.log" || die "server's log: $(cat "$T/http.log")"

step "both ends name the connection alike"
serve bob names python3 "$LIB/names.py" server
as alice i3run python3 "$LIB/names.py" client bob.i3 "$PORT" >"$T/client"
read -r c_local c_peer <"$T/client"
s_says=$(sed -n 2p "$T/client")
expect "the client's peer" "$c_peer" "$bob:$PORT"
expect "the client's own address" "${c_local%:*}" "$alice"
expect "the server's view" "$s_says" "$c_peer $c_local"

step "and the other way round"
serve alice names2 python3 "$LIB/names.py" server
as bob i3run python3 "$LIB/names.py" client alice.i3 "$PORT" >"$T/client"
read -r c_local c_peer <"$T/client"
expect "the client's own address" "${c_local%:*}" "$bob"
expect "the server's view" "$(sed -n 2p "$T/client")" "$alice:$PORT $c_local"

step "one reaches oneself"
as alice i3run python3 "$LIB/names.py" client alice.i3 "$PORT" >/dev/null

step "status and ping know of it"
expect "the peer's name in status" "$(as alice i3ctl status --json | python3 -c 'import json,sys
print(*[p["name"] for p in json.load(sys.stdin)["peers"] if p["state"] == "standing"])' | sed 's/\.i3//g')" bob
as alice i3ctl ping bob.i3 1 | grep -q ' 1 answered'
