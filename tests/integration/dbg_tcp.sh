#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# waits: for silence to be noticed
# A host whose network lets no UDP through: it reaches its nodes by TCP, also when UDP stops in mid-transfer, when only port 443 is
# open, and when the owner of the other's id is not its own node; it goes back to UDP when that works again. The other host and the
# nodes use UDP all the while.
. "$(dirname "$0")/../lib/netns.sh"
netns_begin pub a b

in_ns pub ip link add name br0 type bridge
in_ns pub ip link set br0 up
for i in 1 2 3; do
    in_ns pub ip addr add 192.0.2.$i/24 dev br0
done
# what binds 443 is an ordinary user
in_ns pub sysctl -qw net.ipv4.ip_unprivileged_port_start=443
for side in a b; do
    ip link add eth netns $N$side type veth peer name to$side netns ${N}pub
    in_ns pub ip link set to$side master br0
    in_ns pub ip link set to$side up
    in_ns $side ip addr add 192.0.2.1$([ $side = a ] && echo 1 || echo 2)/24 dev eth
    in_ns $side ip link set eth up
    host_home $side
    echo 'nodes = { "192.0.2.1" }' >"$T/$side/.config/i3/i3.conf"
done

# The firewall before a: rules for what may pass, from the text; none: all may.
firewall() {
    in_ns a nft flush ruleset
    [ -z "$1" ] || in_ns a nft -f - <<EOF
table ip f { chain out { type filter hook output priority 0; oifname "lo" accept; $1 };
    chain in { type filter hook input priority 0; iifname "lo" accept; $2 }; }
EOF
}
no_udp() {
    firewall 'meta l4proto udp drop;' 'meta l4proto udp drop;'
}
only_443() {
    firewall 'tcp dport 443 accept; drop;' 'tcp sport 443 accept; drop;'
}

head -c 24 /dev/urandom | base64 >"$T/secret"
chown nobody "$T/secret"
chmod 600 "$T/secret"
for i in 1 2 3; do
    join=$([ $i = 1 ] || echo --join 192.0.2.1)
    # shellcheck disable=SC2086
    in_ns pub setpriv --reuid=nobody --regid=nogroup --clear-groups "$T/bin/i3node" --listen "192.0.2.$i:5610" --tcp-port 443 \
        --ring-secret "$T/secret" $join >"$T/node$i.log" 2>&1 &
    eval "node$i=$!"
done

node_field() {
    as "$1" i3ctl status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["node"][sys.argv[1]])' "$2"
}
# wait_until SECONDS WHAT IS
wait_until() {
    for k in $(seq $(($1 * 10))); do
        [ "$(node_field a "$2")" != "$3" ] || return 0
        sleep 0.1
    done
    die "$2 is $(node_field a "$2"), not $3"
}
fetch() {
    as a i3run curl -sS --max-time "$1" -o "$T/a/got" "http://friend.i3:$port/page"
    cmp "$T/page" "$T/a/got" || die "what was fetched differs"
}
# during COMMAND...: a transfer with that in the middle of it, and how long it stalled at most
during() {
    as a i3run python3 "$T/drip.py" friend.i3 "$drip_port" "$DRIP" >"$T/drip" 2>&1 &
    drip=$!
    for k in $(seq 100); do
        grep -q started "$T/drip" && break
        sleep 0.1
    done
    sleep 1
    "$@"
    wait $drip || die "the transfer: $(cat "$T/drip")"
    gap=$(sed -n 's/^gap //p' "$T/drip")
    echo "$*: stalled for $gap ms at most"
}

echo "== UDP is blocked from the start: TCP within 3 s, by itself"
key_a=$(as a i3ctl id -q) key_b=$(as b i3ctl id -q)
as b i3ctl book add friend "$key_a"
head -c 20M /dev/urandom >"$T/page"
cp "$T/page" "$T/b/www/"
(cd "$T/b/www" && as b i3run python3 "$T/web.py" >"$T/web.port" 2>&1) &
(cd "$T/b" && as b i3run python3 "$T/drip.py" serve >"$T/drip.port" 2>&1) &
port=$(port_in "$T/web.port") drip_port=$(port_in "$T/drip.port")
as a i3ctl stop >/dev/null
no_udp
start=$(date +%s%N)
as a i3ctl book add friend "$key_b"
wait_until 6 reachable True
echo "reachable after $((($(date +%s%N) - start) / 1000000)) ms"
[ "$(node_field a transport)" = tcp ] || die "by $(node_field a transport)"
as a i3ctl status | grep -q 'by TCP: UDP got no answer' || die "status does not say so"
fetch 20

cat $T/a/run/i3/i3d.log; tail -3 $T/node*.log
