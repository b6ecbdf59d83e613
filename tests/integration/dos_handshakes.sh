#!/bin/sh
# First messages of handshakes by the ten thousand, from strangers who know the key of a daemon: it asks for cookies (daemon/i3/cookie.h), reads
# few, says so once, and a friend's handshake goes through meanwhile. Without a way back they get no answer at all.
. "$(dirname "$0")/../lib/world.sh"

counter() {
    as "$1" i3ctl metrics 2>/dev/null | awk -v n="i3d_$2" '$1 == n { print $2 }'
}

world_up
for u in alice bob; do
    echo 'shortcut = no' >>"$W/$u/config/i3/i3.conf"
    daemon_restart $u
done
NODE=$(cat "$W/ring/port")
KEY=$(as alice i3ctl id -q)

for kind in '' returns; do
    step "a flood${kind:+ that names ids to answer to}"
    read0=$(counter alice handshakes_read_total)
    asked0=$(counter alice handshakes_asked_total)
    cookies0=$(counter alice handshakes_cookies_total)
    # shellcheck disable=SC2086
    python3 "$LIB/init_flood.py" "$NODE" "$KEY" 6 100000 $kind >"$T/flood" 2>&1 </dev/null &
    STARTED="$STARTED $!"
    FLOOD=$!
    wait_for 20 grep -q started "$T/flood" || die "no flood: $(cat "$T/flood")"
    wait_for 10 sh -c '. "$1"; i3ctl metrics | grep -q "^i3d_handshakes_under_load 1"' load "$W/alice.env" || die "alice is not under load"
    as bob i3ctl stop >/dev/null # and so all its sessions are gone
    as bob i3d --ensure || die "bob's daemon does not start"
    began=$(date +%s%N)
    wait_for 20 as bob i3ctl ping alice 1 || die "the friend is not let in"
    took=$((($(date +%s%N) - began) / 1000000))
    kill -0 $FLOOD 2>/dev/null || die "the flood was over too soon: $(cat "$T/flood")"
    wait $FLOOD || die "$(cat "$T/flood")"
    read=$(($(counter alice handshakes_read_total) - read0))
    asked=$(($(counter alice handshakes_asked_total) - asked0))
    cookies=$(($(counter alice handshakes_cookies_total) - cookies0))
    echo "$(tail -1 "$T/flood"); of $asked that came, $read were read and $cookies answered by a cookie; the friend was in after $took ms"
    [ "$asked" -gt 20000 ] || die "that was no flood: $asked came"
    [ "$read" -lt 4000 ] || die "$read were read"
    if [ -n "$kind" ]; then
        [ "$cookies" -gt 1000 ] || die "no cookies: $cookies"
    else
        [ "$cookies" -le 20 ] || die "$cookies answers to who names nothing to answer to" # bob has asked for some
    fi
done

step "said once"
expect "lines of the log about it" "$(grep -c 'handshakes too many' "$W/alice/run/i3/i3d.log")" 1
sleep 3
expect "under load, afterwards" "$(counter alice handshakes_under_load)" 0
as bob i3ctl ping alice 2 >/dev/null || die "bob is not answered afterwards"
echo "all well"
