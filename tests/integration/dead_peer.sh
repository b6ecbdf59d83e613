#!/bin/sh
# The other side's daemon is killed: a connect fails with a true error in bounded time, what stood ends, and when the daemon is
# back the next connect works.
# waits: for time-outs
. "$(dirname "$0")/../lib/world.sh"
world_up
mkdir "$T/www" && echo hello >"$T/www/page"
cd "$T/www"
serve bob web python3 "$LIB/web.py"
first=$SERVER
as alice i3run curl -sS --max-time 20 "http://bob.i3:$PORT/page" | cmp - page

step "killed: a connect fails"
daemon_kill bob
as alice i3run python3 "$LIB/dial.py" bob.i3 "$PORT" >"$T/dial1" &
as alice i3run python3 "$LIB/dial.py" bob.i3 "$PORT" --timeout 140 --non-blocking >"$T/dial2"
wait $!
for f in "$T/dial1" "$T/dial2"; do
    read -r result ms <"$f"
    echo "$result after $ms ms"
    case $result in
    ETIMEDOUT | EHOSTUNREACH | ENETUNREACH | ECONNREFUSED) ;;
    *) die "connect to a dead peer: $result" ;;
    esac
    [ "$ms" -lt 130000 ] || die "it took $ms ms"
done

step "started again: the server is reached as before"
daemon_start bob
as alice i3run curl -sS --max-time 30 "http://bob.i3:$PORT/page" | cmp - page

step "a connect while the other daemon is being restarted waits for it"
as bob i3ctl stop >/dev/null
(
    sleep 0.5
    as bob i3d --ensure
) &
STARTED="$STARTED $!"
as alice i3run curl -sS --max-time 30 "http://bob.i3:$PORT/page" | cmp - page

step "another program that takes the port is not the overlay's"
kill "$first"
wait "$first" || :
python3 -m http.server --bind 127.0.0.1 "$PORT" >"$T/other.log" 2>&1 &
STARTED="$STARTED $!"
wait_for 10 curl -s -o /dev/null "http://127.0.0.1:$PORT/"
as alice i3run python3 "$LIB/dial.py" bob.i3 "$PORT" --timeout 20 >"$T/dial"
read -r result ms <"$T/dial"
expect "connect to a port that is not shared" "$result" ECONNREFUSED

step "a server started anew is reached"
serve bob web2 python3 "$LIB/web.py"
as alice i3run curl -sS --max-time 30 "http://bob.i3:$PORT/page" | cmp - page

step "one's own daemon killed: connects fail at once, and work when it is back"
daemon_kill alice
# i3run starts a new one by itself
as alice i3run curl -sS --max-time 30 "http://bob.i3:$PORT/page" | cmp - page
