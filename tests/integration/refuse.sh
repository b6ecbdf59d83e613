#!/bin/sh
# A closed port is refused at once; an unknown name is unknown, and nobody is asked for it; a stranger gets no answer.
. "$(dirname "$0")/../lib/world.sh"
world_up

step "a closed port: ECONNREFUSED in under a second, whether one waits in connect() or in poll()"
for how in '' --non-blocking; do
    # shellcheck disable=SC2086
    as alice i3run python3 "$LIB/dial.py" bob.i3 9 $how >"$T/dial"
    read -r result ms <"$T/dial"
    expect "connect $how" "$result" ECONNREFUSED
    [ "$ms" -lt 1000 ] || die "it took $ms ms"
done
rc=0
as alice i3run curl -sS --max-time 10 http://bob.i3:9/ 2>"$T/err" || rc=$?
expect "curl's status for a closed port" $rc 7

step "an unknown name"
rc=0
as alice i3run curl -sS --max-time 10 http://nobody-knows.i3/ 2>"$T/err" || rc=$?
expect "curl's status for an unknown name" $rc 6
as alice i3run python3 -c 'import socket
try:
    socket.getaddrinfo("nobody-knows.i3", 80)
except socket.gaierror as e:
    assert e.errno == socket.EAI_NONAME, e
else:
    raise SystemExit("it was found")'

step "and nothing goes to DNS for it, nor for a known one"
if command -v strace >/dev/null && strace -f -qq -o "$T/probe" true 2>/dev/null; then
    for name in nobody-knows.i3 bob.i3; do
        as alice strace -f -qq -e trace=network -o "$T/trace" i3run curl -sS --max-time 10 "http://$name:9/" 2>/dev/null || :
        grep -q 'AF_UNIX' "$T/trace" || die "the trace shows nothing: $(head -3 "$T/trace")"
        asked=$(grep -E '(connect|sendto|sendmsg|sendmmsg)\(.*htons\(53\)' "$T/trace" || :)
        expect "packets to port 53 for $name" "$asked" ''
        # nothing at all leaves through a real socket
        asked=$(grep -E '(connect|sendto|sendmsg|sendmmsg)\(.*AF_INET' "$T/trace" || :)
        expect "real connections for $name" "$asked" ''
    done
else
    echo "(strace may not trace here: not looked at)"
fi

step "a key that is not in the book gets nothing"
serve bob web python3 "$LIB/web.py"
as bob i3ctl book rm alice >/dev/null
daemon_restart alice
as alice i3run python3 "$LIB/dial.py" bob.i3 "$PORT" --timeout 2 --non-blocking >"$T/dial"
read -r result ms <"$T/dial"
expect "a stranger's connect" "$result" ETIMEDOUT
as bob i3ctl book add alice "$(as alice i3ctl id -q)" >/dev/null
reached() {
    [ "$(as alice i3run curl -s --max-time 5 -o /dev/null -w '%{http_code}' "http://bob.i3:$PORT/")" = 200 ]
}
wait_for 20 reached || die "alice is back in the book and does not get through"
