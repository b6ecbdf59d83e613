#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# i3ctl doctor of a host whose network is ill: UDP blocked, packets cut small, a real network where the virtual one is, no way out at
# all; and of a user whose daemon ends at logout. What is wrong is found, one thing to do is said, and the exit status tells.
. "$(dirname "$0")/../lib/netns.sh"
netns_begin pub a

ip link add eth netns ${N}a type veth peer name toa netns ${N}pub
in_ns pub ip addr add 192.0.2.1/24 dev toa
in_ns pub ip link set toa up
in_ns a ip addr add 192.0.2.11/24 dev eth
in_ns a ip link set eth up
host_home a
echo 'nodes = { "192.0.2.1" }' >"$T/a/.config/i3/i3.conf"
node_at pub 192.0.2.1

# doctor STATUS CHECK RESULT WORDS: what it finds, as JSON and for people
doctor() {
    rc=0
    as a i3ctl doctor --json >"$T/doc" 2>&1 || rc=$?
    python3 - "$T/doc" "$2" "$3" "$4" <<'PY' || die "$(cat "$T/doc")"
import json, re, sys
doc = json.load(open(sys.argv[1]))
rows = [c for c in doc["checks"] if c["check"] == sys.argv[2] and c["result"] == sys.argv[3]]
assert rows and any(re.search(sys.argv[4], c["text"]) for c in rows), sys.argv[2:]
assert all((c["fix"] is None) == (sys.argv[3] == "ok") for c in rows), rows
PY
    [ "$1" = any ] || [ $rc = "$1" ] || die "doctor $2: status $rc, wanted $1: $(cat "$T/doc")"
}
online() {
    as a i3ctl status --json | grep -q '"online": true'
}
wait_online() {
    n=0
    until online; do
        n=$((n + 1))
        [ $n -lt 400 ] || die "not online: $(as a i3ctl status)"
        sleep 0.1
    done
}

echo "== all is well"
as a i3ctl id -q >/dev/null
wait_online
# what name servers there are is this machine's business
doctor any node ok 'answers by UDP'
doctor any mtu ok 'packets of 1500 bytes'
doctor any network ok 'no real network'

echo "== small packets"
in_ns a ip link set eth mtu 1300
doctor 1 mtu warn 'packets of 1300 bytes at most'
in_ns a ip link set eth mtu 1500

echo "== a real network where the virtual one is"
in_ns a ip route add 10.3.0.0/16 dev eth
doctor any network ok '1 real network inside 10.0.0.0/8'
in_ns a ip route add 10.0.0.0/8 dev eth
doctor 1 network fail 'which is a real network here'
in_ns a ip route del 10.0.0.0/8
in_ns a ip route del 10.3.0.0/16

echo "== UDP is blocked"
in_ns a nft -f - <<'NFT'
table ip f { chain out { type filter hook output priority 0; oifname "lo" accept; meta l4proto udp drop; };
    chain in { type filter hook input priority 0; iifname "lo" accept; meta l4proto udp drop; }; }
NFT
doctor 1 node warn 'answers by TCP .*but not by UDP'

echo "== no way out at all"
in_ns a ip link set eth down
doctor 1 node fail 'does not answer, neither by UDP'
in_ns a ip link set eth up
in_ns a nft flush ruleset
wait_online

echo "== the daemon ends at logout"
# systemd's folder, in a mount namespace of the check's own
lingering() {
    in_ns a unshare --mount sh -euc 'mount -t tmpfs none /run && mkdir -p /run/systemd/system
        mkdir -p /var/lib/systemd && mount -t tmpfs none /var/lib/systemd && mkdir /var/lib/systemd/linger
        [ "$1" = off ] || touch /var/lib/systemd/linger/nobody
        shift
        exec setpriv --reuid=nobody --regid=nogroup --clear-groups env -i "$@"' - "$1" PATH="$PATH" HOME="$T/a" \
        XDG_RUNTIME_DIR="$T/a/run" i3ctl doctor --json
}
lingering off >"$T/doc" 2>&1 && die "status 0: $(cat "$T/doc")"
grep -q 'loginctl enable-linger nobody' "$T/doc" || die "$(cat "$T/doc")"
lingering on >"$T/doc" 2>&1 || :
grep -q 'may stay when you log out' "$T/doc" || die "$(cat "$T/doc")"
as a i3ctl stop
