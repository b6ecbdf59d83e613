#!/bin/sh
# root: builds a network namespace with a TUN device in it that belongs to nobody, who runs everything.
# A TUN device as a tap: tcpdump listens there and sees what passes the middle-box; without root, and from inside the sandbox. Its daemon goes on
# when the device goes away.
if [ "${1-}" = inner ]; then
    . "$(dirname "$0")/../lib/world.sh"
    . "$LIB/boxes.sh"
    world_up
    user_add carol
    know bob alice
    know alice bob
    know alice carol
    know carol alice
    echo 'rule { match = "^bob.i3$" action = "overlay" through = { "carol" } }' | conf alice
    echo 'middlebox { allow = { "alice" } tap = { "tun:i3tap0", "tun:nosuch" } }' | reconf carol
    step "what passes is written to the device"
    as alice i3ctl ping bob 5 >"$T/ping" || die "$(cat "$T/ping")"
    expect "state" "$(box carol taps.0.state)" open
    [ "$(box carol taps.0.written)" -ge 10 ] || die "written: $(box carol taps.0.written)"
    box carol taps.1.state | grep -q 'no such device of yours' || die "$(box carol taps.1.state)"
    echo "$(address_of alice) $(address_of bob)" >"$OUT/addresses"
    step "the device goes away, and nobody minds"
    touch "$OUT/first"
    gone() { [ -e "$OUT/gone" ]; }
    wait_for 20 gone || die "it stays"
    as alice i3ctl ping bob 2 >"$T/ping" || die "$(cat "$T/ping")"
    [ "$(box carol taps.0.dropped)" -ge 2 ] || die "dropped: $(box carol taps.0.dropped)"
    exit 0
fi
. "$(dirname "$0")/../lib/netns.sh"
netns_begin m
command -v tcpdump >/dev/null || { echo "needs tcpdump"; exit 77; }
in_ns m ip tuntap add mode tun user nobody name i3tap0 2>"$T/err" || { echo "no TUN devices here: $(cat "$T/err")"; exit 77; }
in_ns m ip link set i3tap0 up
in_ns m ip addr add 192.0.2.2/24 dev i3tap0
mkdir "$T/out" "$T/home"
chown nobody "$T/out" "$T/home"
mknod "$T/tun" c 10 200
chmod 666 "$T/tun"
in_ns m tcpdump -i i3tap0 -n -l icmp >"$T/seen" 2>"$T/tcpdump.log" &
tcpdump=$!
for i in $(seq 50); do
    grep -q listening "$T/tcpdump.log" && break
    sleep 0.1
done
here=$(cd "$(dirname "$0")/../.." && pwd)
in_ns m unshare --mount --propagation private sh -c 'mount --bind "$1/tun" /dev/net/tun && mount --bind "$2" /media && cd /media &&
    exec setpriv --reuid=nobody --regid=nogroup --clear-groups env -i PATH="$PATH" HOME="$1/home" TMPDIR="$1/home" LANG=C.UTF-8 B="$3" OUT="$1/out" \
    timeout 60 tests/integration/middlebox_tun.sh inner' - "$T" "$here" "/media/${B#"$here"/}" >"$T/inner.log" 2>&1 &
inner=$!
for i in $(seq 300); do
    [ ! -e "$T/out/first" ] || break
    kill -0 $inner 2>/dev/null || break
    sleep 0.1
done
[ -e "$T/out/first" ] || die "the inner part: $(cat "$T/inner.log")"
read -r alice bob <"$T/out/addresses"
for i in $(seq 30); do
    [ "$(grep -c "$alice > $bob: ICMP echo request" "$T/seen")" -lt 5 ] || [ "$(grep -c "$bob > $alice: ICMP echo reply" "$T/seen")" -lt 5 ] || break
    sleep 0.1
done
[ "$(grep -c "$alice > $bob: ICMP echo request" "$T/seen")" -ge 5 ] || die "requests that tcpdump saw: $(cat "$T/seen")"
[ "$(grep -c "$bob > $alice: ICMP echo reply" "$T/seen")" -ge 5 ] || die "answers that tcpdump saw: $(cat "$T/seen")"
kill $tcpdump
in_ns m ip link del i3tap0
touch "$T/out/gone"
wait $inner || die "the inner part: $(tail -30 "$T/inner.log")"
