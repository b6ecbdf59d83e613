#!/bin/sh
# i3run --anonymous, anonymity = on, and rules with anonymity: whom the server sees, what is shared and what is not, what it ends with, bounds.
. "$(dirname "$0")/../lib/world.sh"
world_up
python3 "$LIB/who.py" bob 0 127.0.0.1 >"$T/open.log" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 15 grep -q '^port ' "$T/open.log"
open=$(sed -n 's/^port //p' "$T/open.log")
serve bob friends python3 "$LIB/who.py" bob 0
friends=$PORT
printf '\nexpose web { port = 8000 target = "127.0.0.1:%s" allow = { "anyone" } }\n' "$open" >>"$W/bob/config/i3/i3.conf"
as bob i3ctl reload >/dev/null
conf=$W/alice/config/i3/i3.conf
nodes=$(grep nodes "$conf")
alice=$(address_of alice)
as alice i3run --strict true 2>/dev/null || { echo "no user namespaces here"; exit 77; }
as alice i3run --anonymous true || die "it does not run"
rules() {
    printf '%s\n%s\n' "$nodes" "$1" >"$conf.new"
    mv "$conf.new" "$conf"
    as alice i3ctl reload >"$T/reload" || die "reload: $(cat "$T/reload")"
}
anon() { as alice i3run --anonymous "$@"; }
# Whom bob's server sees: seen OPTION... ; of i3run
seen() { as alice i3run "$@" curl -sS -m 20 http://bob.i3:8000/ 2>&1 | sed 's/.* //; s/:[0-9]*$//'; }
mirror=127${alice#10}
instances() { as alice i3ctl anonymous --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["anonymous"]))'; }

mkfifo "$T/end"
exec 7<>"$T/end"

step "each start is somebody else; a program and its children are one"
expect "without" "$(seen)" "$mirror"
a=$(seen --anonymous) b=$(seen --anonymous)
case $a/$b/$mirror in "$a/$a/"* | "$mirror/"* | */"$mirror/$mirror" | */*[!0-9./]*) die "$a $b $mirror" ;; 127.*) ;; *) die "$a $b" ;; esac
anon sh -c 'curl -sS http://bob.i3:8000/; sleep 0.3; i3run curl -sS http://bob.i3:8000/; python3 -c "import urllib.request as u; print(u.urlopen(\"http://bob.i3:8000/\").read().decode(), end=\"\")"; i3run --anonymous curl -sS http://bob.i3:8000/' |
    sed 's/.* //; s/:[0-9]*$//' >"$T/kin"
expect "a family" "$(wc -l <"$T/kin") $(head -3 "$T/kin" | sort -u | wc -l) $(sort -u "$T/kin" | wc -l)" '4 1 2'

step "what friends have is nothing to strangers"
expect "a friends' port" "$(anon curl -sS -m 2 "http://bob.i3:$friends/" 2>/dev/null || echo "curl $?")" 'curl 28'
expect "the friend" "$(as alice i3run curl -sS -m 20 "http://bob.i3:$friends/" | cut -d' ' -f1)" bob

step "what a program sees of itself; nobody calls it"
anon python3 - "$alice" >"$T/self" <<'P'
import socket, sys
a, b = socket.create_connection(("bob.i3", 8000)), socket.create_connection((socket.getaddrinfo("bob.i3", 8000, socket.AF_INET6)[0][4][0], 8000))
own = a.getsockname()[0]
assert own.startswith("10.") and own != sys.argv[1], own
assert b.getsockname()[0].startswith("fd69:33"), b.getsockname()
c = socket.socket()
c.bind((own, 0))
c.connect(("bob.i3", 8000))
c.sendall(b"GET / HTTP/1.0\r\n\r\n")
assert c.getsockname()[0] == own and c.recv(1), c.getsockname()
for name in "alice.i3", "example.org", "alice", "nobody.i3":
    try:
        socket.create_connection((name, 80), 3)
        print(name, "connected")
    except OSError as e:
        print(name, "no")
with socket.create_server(("127.0.0.1", 0)) as s, socket.create_connection(s.getsockname()) as c:
    print("its own loopback")
P
expect "what it saw" "$(tr '\n' ' ' <"$T/self")" 'alice.i3 no example.org no alice no nobody.i3 no its own loopback '

step "whom it talks to cannot call it, friend though he be"
serve alice hers python3 "$LIB/who.py" alice 0
hers=$PORT
anon python3 -c 'import socket, sys
s = socket.create_connection(("bob.i3", 8000))
print("up", flush=True)
sys.stdin.readline()' <"$T/end" >"$T/held" 2>&1 7>&- &
wait_for 10 grep -q up "$T/held"
expect "her own address" "$(as bob i3run curl -sS -m 10 "http://alice.i3:$hers/" | cut -d' ' -f1)" alice
tried=
for at in $(as bob i3ctl status -v --json | python3 -c 'import json, sys
latest = sorted(json.load(sys.stdin)["peers"], key=lambda p: 99 if p["idle_s"] is None else p["idle_s"])
print(*[p["address"] for p in latest if p["address"].endswith(".0")][:3])'); do
    expect "at $at" "$(as bob i3run curl -sS -m 1 "http://$at:$hers/" 2>/dev/null || echo "curl $?")" 'curl 28'
    tried=$at
done
[ -n "$tried" ] || die "bob sees nobody"
echo >&7

step "what cannot be kept in is not run"
rc=0
anon sudo true 2>"$T/err" || rc=$?
[ $rc = 126 ] || [ ! -e /usr/bin/sudo ] || die "setuid: $rc $(cat "$T/err")"
rc=0
busybox=$(command -v busybox || :)
if [ -n "$busybox" ]; then
    anon busybox true 2>"$T/err" || rc=$?
    [ $rc = 126 ] && grep -q 'cannot be run anonymously' "$T/err" || [ $rc = 0 ] || die "static: $rc $(cat "$T/err")"
fi
rc=0
python3 - "$W" <<'P' || die "an inherited socket"
import os, socket, subprocess, sys
s = socket.socket()
env = dict(os.environ, **{"XDG_%s" % k: "%s/alice/%s" % (sys.argv[1], v) for k, v in (("CONFIG_HOME", "config"), ("DATA_HOME", "data"), ("RUNTIME_DIR", "run"))})
p = subprocess.run(["i3run", "--anonymous", "true"], env=env, pass_fds=[s.fileno()], stderr=subprocess.PIPE)
assert p.returncode == 125 and b"is a socket of another network" in p.stderr, p
P

step "nothing of it is written down"
sleep 1
for f in "$W/alice/data" "$W/alice/run"; do
    ! grep -raqE 'anonymous|10\.[0-9.]*\.[0-9]+.*curl' "$f" 2>/dev/null || die "$(grep -raE anonymous "$f")"
done
! grep -qE "trigger id=|node address=.* .*anon" "$W/alice/run/i3/i3d.log" || die "the log: $(tail "$W/alice/run/i3/i3d.log")"

step "many, one after the other, and too many at once"
for i in $(seq 70); do anon true || die "start $i"; done
[ "$(instances)" -le 64 ] || die "$(instances) instances"
for i in $(seq 64); do
    anon python3 -c 'import socket, sys
socket.gethostbyname("bob.i3")
print("up", flush=True)
sys.stdin.readline()' >"$T/many.$i" 2>&1 <"$T/end" 7>&- &
    [ $((i % 8)) != 0 ] || wait_for 30 grep -q up "$T/many.$i"
done
for i in $(seq 64); do wait_for 30 grep -q up "$T/many.$i" || die "program $i: $(cat "$T/many.$i")"; done
expect "instances" "$(instances)" 64
rc=0
anon true 2>"$T/err" || rc=$?
expect "one too many" "$rc $(grep -c '64 programs are anonymous already' "$T/err")" '125 1'
for i in $(seq 64); do echo >&7; done
wait_for 10 anon true || die "there is no room again"

step "anonymity = on"
rules 'anonymity = on'
c=$(seen)
case $c in "$mirror" | '') die "it sees $c" ;; 127.*) ;; *) die "$c" ;; esac
expect "why" "$(as alice i3ctl why bob.i3 --json | field anonymous)" True

step "rules: by name and by program; other names go as ever"
rules 'rule { suffix = ".i3" app = "curl" action = "overlay" anonymity = yes }'
d=$(seen)
case $d in "$mirror" | '') die "curl: $d" ;; 127.*) ;; *) die "$d" ;; esac
expect "another program" "$(as alice i3run python3 -c 'import urllib.request as u; print(u.urlopen("http://bob.i3:8000/").read().decode(), end="")' | sed 's/.* //; s/:[0-9]*$//')" "$mirror"
expect "by address" "$(as alice i3run curl -sS -m 20 "http://$(address_of bob):8000/" | sed 's/.* //; s/:[0-9]*$//' | grep -c "^$mirror\$" || :)" 0
expect "why" "$(as alice i3ctl why bob.i3 --app curl --json | field anonymous) $(as alice i3ctl why bob.i3 --json | field anonymous)" 'True False'
as alice i3ctl why bob.i3 --app curl | grep -q 'anonymous' || die "$(as alice i3ctl why bob.i3 --app curl)"

step "a program that was started without a token gets no such name"
rules ''
mkfifo "$T/go"
as alice i3run sh -c 'read x; exec curl -sS -m 10 http://bob.i3:8000/' <"$T/go" >"$T/late" 2>&1 &
late=$!
exec 8>"$T/go"
sleep 0.5
rules 'rule { suffix = ".i3" app = "curl" action = "overlay" anonymity = yes }'
echo >&8
rc=0
wait $late || rc=$?
expect "curl" "$rc $(grep -c 'Could not resolve' "$T/late")" '6 1'
