#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# waits: for those who are not answered
# A server that insists on a middle-box (require_through): who comes by it is served, who goes past it is not even answered, whatever way
# they try; nor is the server's word taken by another box than the one it names.
. "$(dirname "$0")/../lib/netns.sh"
. "$LIB/star.sh"
star_begin client past n0 box other srv
ring n0
for b in box other; do
    echo 'middlebox { allow = { "anyone" } }' | user $b
done
echo | user srv
echo 'rule { match = "^srv\.i3$" action = "overlay" through = { "box" } }' | user client
echo | user past
for u in client past; do
    know $u srv srv
    know $u box box
    know $u other other
    know srv $u $u
done
know srv box box
echo 'require_through = { "box" }' | user srv
as srv i3run python3 "$T/hardships.py" serve 0.0.0.0 7000 >"$T/echo.log" 2>&1 </dev/null &
wait_for 10 grep -q '^port' "$T/echo.log" || die "no server: $(cat "$T/echo.log")"

dial() { # dial USER [SECONDS]
    as $1 timeout ${2:-40} i3run python3 "$T/hardships.py" dial srv.i3 7000 2>&1 || echo "silence ${2:-40}000"
}
bypassed() { # packets that came past the box, and were refused
    as srv i3ctl box --json | python3 -c 'import json,sys
def find(v):
    return sum(v["bypassed"] if k == "bypassed" else find(v[k]) for k in v) if isinstance(v, dict) else sum(map(find, v)) if isinstance(v, list) else 0
print(find(json.load(sys.stdin)))'
}
by_box() {
    [ "$(dial client 4 | cut -d' ' -f1)" = ok ]
}
: >"$T/empty"
served() {
    [ "$(sed -n 's/^from //p' "$T/echo.log")" = "$1" ] || die "the server has seen: $(cat "$T/echo.log")"
}

step "by the box"
got=$(dial client)
echo "$got ms"
[ "${got% *}" = ok ] || die "$got: $(as client i3ctl status)"
served "$(of_id client address)"

step "past it: a friend is told of the box, and goes by it; its rule says nothing of that"
capture
got=$(dial past)
captured
echo "the other friend: $got ms"
[ "${got% *}" = ok ] || die "$got"
echo "$(bypassed) packets refused before they had heard of it"
# a few words between the two, by which the one tells the other, and the page by the box
check srv $(nodes_only n0) --allow "udp/$(at past)" --some "udp/$(at box)"

step "a box that does not let them: they get nothing, neither there nor past it"
echo 'middlebox { allow = { "client" } }' | user box
know box client client
user past <"$T/empty"
got=$(dial past 4)
ping=$(as past i3ctl ping srv 1 2>&1) && die "a ping is answered: $ping"
well=$(dial client)
echo "not let through: $got ms; who is: $well ms"
[ "${got% *}" != ok ] || die "it was served"
[ "${well% *}" = ok ] || die "$well"

step "by a box which the server has not named"
echo 'rule { match = "^srv\.i3$" action = "overlay" through = { "other" } }' | user past
got=$(dial past 4)
echo "by another box: $got ms"
[ "${got% *}" != ok ] || die "it was served"

step "the box dies: nobody gets past it"
daemon_kill box
got=$(dial client 4)
echo "without the box: $got ms"
[ "${got% *}" != ok ] || die "it was served"
echo 'middlebox { allow = { "client" } }' | user box
wait_for 30 by_box || die "the box is back, but: $(dial client)"
expect "whom the server has seen" "$(sed -n 's/^from //p' "$T/echo.log" | sort)" "$(printf '%s\n' "$(of_id client address)" "$(of_id past address)" | sort)"
