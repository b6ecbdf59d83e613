#!/bin/sh
# Two hosts are one middle-box, by a group's key: a flow stays with one of them; when that one dies the connection goes on by the other. bob takes
# only what has passed a member, whose own key he does not know.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/boxes.sh"
world_up
user_add carol
user_add dave
for u in carol dave; do
    know $u alice
done
know bob alice
know alice bob
key=$(as carol i3ctl group new ids --json | field key)
as carol i3ctl group export ids >"$T/secret"
chmod 600 "$T/secret"
as dave i3ctl group join ids "$T/secret" >/dev/null
as alice i3ctl book add ids "$key" >/dev/null
as bob i3ctl book add ids "$key" >/dev/null
for u in carol dave; do
    echo "middlebox { allow = { \"alice\" } }" | reconf $u
done
echo 'require_through = { "ids" }' | conf bob
echo 'rule { match = "^bob.i3$" action = "overlay" through = { "ids" } }' | conf alice
cd "$T"
serve bob web python3 "$LIB/web.py"
passed() { box "$1" counters.packets; }

step "a flow passes one of them, whole"
head -c 3000000 /dev/urandom >big
expect "SHA-256" "$(as alice i3run curl -sS --max-time 20 "http://bob.i3:$PORT/big" | sha256sum | cut -d' ' -f1)" "$(sha256sum <big | cut -d' ' -f1)"
c=$(passed carol) d=$(passed dave)
[ "$c" = 0 ] || [ "$d" = 0 ] || die "carol passed $c packets, dave $d"
[ $((c + d)) -gt 2000 ] || die "carol passed $c packets, dave $d"
if [ "$c" -gt 0 ]; then used=carol other=dave; else used=dave other=carol; fi

step "it dies in the middle, and the connection goes on by the other"
head -c 30000000 /dev/urandom >huge
as alice i3run curl -sS --max-time 50 --limit-rate 6M -o got-huge "http://bob.i3:$PORT/huge" &
transfer=$!
sleep 1.5
daemon_kill $used
wait $transfer || die "the connection broke"
cmp huge got-huge || die "other bytes came"
[ "$(passed $other)" -gt 1000 ] || die "$other passed only $(passed $other)"
