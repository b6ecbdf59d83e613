#!/bin/sh
# allow = { "anyone" }: strangers reach what is open to them, and nothing else; they leave nothing behind, and people who are known are not
# in their way. Without it all is silent.
. "$(dirname "$0")/../lib/world.sh"
world_up
mkdir "$T/www"
cd "$T/www"
echo 'open to all' >page
python3 "$LIB/web.py" >"$T/open.log" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 15 grep -q '^port ' "$T/open.log"
open=$(sed -n 's/^port //p' "$T/open.log")
serve bob friends python3 "$LIB/web.py"
friends=$PORT
conf=$W/bob/config/i3/i3.conf
nodes=$(grep nodes "$conf")
bob_conf() {
    printf '%s\n%s\n' "$nodes" "$1" >"$conf.new"
    mv "$conf.new" "$conf"
    as bob i3ctl reload >"$T/reload" || die "reload: $(cat "$T/reload")"
}
user_add carol
know carol bob
# fetch USER PORT: the page, or curl's status
fetch() { as "$1" i3run curl -sS -m "${3:-1.5}" "http://bob.i3:$2/page" 2>/dev/null || echo "curl $?"; }
strangers() { as bob i3ctl peers --json | field strangers; }

step "silence without it"
case $(fetch carol 8000) in 'curl 28' | 'curl 7') ;; *) die "an answer" ;; esac
expect "strangers" "$(strangers)" 0

step "what is open is reached, and nothing else"
bob_conf "expose web { port = 8000 target = \"127.0.0.1:$open\" allow = { \"anyone\" } }"
expect "a stranger" "$(fetch carol 8000 20)" 'open to all'
expect "a friend" "$(fetch alice 8000 20)" 'open to all'
expect "friends' port, by a friend" "$(fetch alice "$friends" 20)" 'open to all'
for port in "$friends" 22 8001; do
    expect "port $port, by a stranger" "$(fetch carol "$port")" 'curl 28'
done
! as carol timeout 2 i3ctl ping bob 1 >/dev/null 2>&1 || die "a ping is answered"
expect "strangers" "$(strangers)" 1
as bob i3ctl peers | grep -q '^Strangers with a session: 1\.' || die "$(as bob i3ctl peers)"
expect "who is listed" "$(as bob i3ctl peers --json | python3 -c 'import json, sys; print(*sorted(str(p["name"]) for p in json.load(sys.stdin)["peers"]))')" "alice.i3$(as bob i3ctl book ls --json | python3 -c 'import json, sys; print(*[" " + e["name"] + ".i3" for e in json.load(sys.stdin)["entries"] if e["name"] == "bob"])')"

step "nothing of it is on disk"
key=$(as carol i3ctl id -q)
sleep 1
! grep -raq "$key" "$W/bob/data" "$W/bob/run" "$conf" || die "the key: $(grep -ral "$key" "$W/bob")"
python3 - "$W/bob" "$(as carol i3ctl id --json | field id 2>/dev/null || :)" "$key" <<'P'
import base64, os, sys
raw = base64.b32decode(sys.argv[3].upper() + "====") if len(sys.argv[3]) == 52 else b"?" * 32
for folder, _, files in os.walk(sys.argv[1]):
    for f in files:
        path = os.path.join(folder, f)
        if os.path.isfile(path):
            data = open(path, "rb").read()
            assert raw[:30] not in data, path
            assert raw[:30].hex().encode() not in data, path
P

step "an address that nobody's key hashes to"
address=$(as bob i3ctl status -v --json | python3 -c 'import json, sys
print(*[p["address"] for p in json.load(sys.stdin)["peers"] if p["key"] == sys.argv[1]])' "$key")
case $address in *.0) ;; *) die "its address is '$address'" ;; esac

step "whom bob gets to know is a friend from then on"
know bob carol
expect "friends' port" "$(fetch carol "$friends" 20)" 'open to all'
expect "strangers" "$(strangers)" 0
as bob i3ctl book rm carol >/dev/null
expect "and no more" "$(fetch carol "$friends")" 'curl 28'
expect "but what is open" "$(fetch carol 8000 20)" 'open to all'

step "taken back: connections end, and there is silence"
as carol i3run python3 -c 'import socket, sys
s = socket.create_connection(("bob.i3", 8000))
print("open", flush=True)
try:
    print("eof" if s.recv(1) == b"" else "bytes")
except OSError as e:
    print(e.strerror)' >"$T/held" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 15 grep -q open "$T/held"
bob_conf ''
wait_for 10 grep -q -e reset -e eof -e route "$T/held" || die "it stands: $(cat "$T/held")"
expect "strangers" "$(strangers)" 0
case $(fetch carol 8000) in 'curl 28' | 'curl 7') ;; *) die "an answer" ;; esac
expect "a friend goes on" "$(fetch alice "$friends" 20)" 'open to all'
