#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# waits: for answers that do not come
# A third user with a good key: not in the book; a guest for one port; one whose share was taken back. Neither a port nor a ping answers,
# no packet comes back, and the log does not grow. What leaves the machine that shares is looked at on its wire.
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/nats.sh"
netns_begin pub ring a b c
NODES_N=1
nats_begin
n=10
for who in a b c; do
    n=$((n + 1))
    host_public $who $PUBLIC.$n
done
for who in a b c; do
    CONFIG='' host_up $who 1
done
cp "$LIB/wire_count.py" "$T"
chmod a+r "$T/wire_count.py"
as a python3 "$T/web.py" >"$T/web.log" 2>&1 </dev/null &
web=$(port_in "$T/web.log")
(cd "$T/a/www" && as a i3run python3 "$T/web.py" >"$T/webi3.log" 2>&1 </dev/null) &
under=$(port_in "$T/webi3.log")
code_of() {
    as a i3ctl share "$1" --target "$web" --as box --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["code"])'
}
code=$(code_of 8080)
as b i3ctl join "$code" >/dev/null || die "b cannot join"
as b i3run curl -sS --max-time 20 -o "$T/b/got" http://box.i3:8080/ || die "b cannot fetch"

# silence WHAT PACKETS LINES: c tries all there is; so much at most comes back, and is logged
silence() {
    lines=$(wc -l <"$T/a/run/i3/i3d.log")
    in_ns a timeout 60 python3 "$T/wire_count.py" eth $PUBLIC.12 >"$T/counted" 2>"$T/counted.err" &
    counter=$!
    for i in $(seq 50); do
        grep -q ready "$T/counted" && break
        sleep 0.1
    done
    for port in 8080 "$web" "$under" 22; do
        rc=0
        as c i3run curl -sS -m 1 -o /dev/null "http://box.i3:$port/" 2>/dev/null || rc=$?
        case $rc in 28 | 7) ;; *) die "$1: port $port: curl says $rc" ;; esac
    done
    ! as c timeout 3 i3ctl ping box 1 >/dev/null 2>&1 || die "$1: a ping is answered"
    ! as c i3ctl join "$code" >/dev/null 2>"$T/join" || die "$1: the used code is good"
    pkill -INT -P $counter 2>/dev/null || kill -INT $counter
    wait $counter || :
    got=$(sed -n 's/^data //p' "$T/counted")
    [ -n "$got" ] || die "nothing was counted: $(cat "$T/counted" "$T/counted.err")"
    [ "$got" -le "$2" ] || die "$1: $got packets came back: $(cat "$T/counted")"
    grown=$(($(wc -l <"$T/a/run/i3/i3d.log") - lines))
    [ $grown -le "$3" ] || die "$1: the log has grown by $grown lines: $(tail -5 "$T/a/run/i3/i3d.log")"
}

echo "== a stranger who has the key: only the used code, which he has as well, is answered: it is no good"
key=$(as a i3ctl id -q)
as c i3ctl book add box "$key" >/dev/null
sleep 1 # what b and a have to say to each other about ways is said
silence stranger 1 0

echo "== a guest for one port: the others do not answer"
as c i3ctl join "$(code_of 9090)" >/dev/null || die "c cannot join"
as c i3run curl -sS --max-time 20 -o "$T/c/got" http://box.i3:9090/ || die "c cannot fetch"
for port in "$web" "$under" 8080; do
    rc=0
    as c i3run curl -sS -m 1 -o /dev/null "http://box.i3:$port/" 2>/dev/null || rc=$?
    [ $rc = 28 ] || die "a guest: port $port: curl says $rc"
done

echo "== whose share was taken back"
as a i3ctl unshare 9090 >/dev/null
sleep 1
silence "taken back" 1 0
as b i3run curl -sS --max-time 20 -o "$T/b/got" http://box.i3:8080/ || die "b has lost it as well"
