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
    in_ns pub setpriv --reuid=nobody --regid=nogroup --clear-groups "$T/bin/i3node" --listen "192.0.2.$i:5610" --tcp-port 443 --workers 4 \
        --ring-secret "$T/secret" $join >"$T/node$i.log" 2>&1 &
    eval "node$i=$!"
done

node_field() {
    as "$1" i3ctl status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["node"][sys.argv[1]])' "$2"
}
expect_by() {
    [ "$(node_field a transport)" = "$1" ] || die "by $(node_field a transport), not $1"
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

in_ns pub python3 "$LIB/ring_agrees.py" 192.0.2.1:5610 192.0.2.2:5610 192.0.2.3:5610

key_a=$(as a i3ctl id -q) key_b=$(as b i3ctl id -q)
as a i3ctl book add friend "$key_b" >/dev/null
as b i3ctl book add friend "$key_a" >/dev/null
head -c 20M /dev/urandom >"$T/page"
cp "$T/page" "$T/b/www/"
(cd "$T/b/www" && as b i3run python3 "$T/web.py" >"$T/web.port" 2>&1) &
(cd "$T/b" && as b i3run python3 "$T/drip.py" serve >"$T/drip.port" 2>&1) &
port=$(port_in "$T/web.port") drip_port=$(port_in "$T/drip.port")
wait_until 5 reachable True

# a's own node shall own neither a's nor b's id
owner_of() {
    as "$1" i3ctl status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["triggers"][0]["node"])'
}
home=$(printf '%s\n' 192.0.2.1:5610 192.0.2.2:5610 192.0.2.3:5610 | grep -vF -e "$(owner_of a)" -e "$(owner_of b)" | head -1)
echo "nodes = { \"$home\" }" >"$T/a/.config/i3/i3.conf"
as a i3ctl stop >/dev/null

echo "== UDP is blocked from the start: TCP within 3 s, by itself"
no_udp
start=$(date +%s%N)
as a i3d --ensure
wait_until 6 reachable True
echo "reachable after $((($(date +%s%N) - start) / 1000000)) ms"
expect_by tcp
as a i3ctl status | grep -q 'by TCP: UDP got no answer' || die "status does not say so"
as a i3ctl ping friend 2 | grep 'by TCP: UDP got no answer' || die "ping does not say so"
[ "$(owner_of a)" != "$home/tcp" ] || die "a's trigger is kept at its own node"
fetch 20

echo "== UDP is back, told by nothing but a change of address: taken back in mid-transfer"
DRIP=5
udp_is_back() {
    firewall ''
    in_ns a ip addr add 198.51.100.1/32 dev lo
}
during udp_is_back
within "$gap" 500 || die "it stalled"
expect_by udp

echo "== UDP stops in mid-transfer"
DRIP=7
during no_udp
within "$gap" 4500 || die "it stalled"
expect_by tcp

echo "== the connections are cut in mid-transfer"
cut() { # what a sends by them is answered with a reset; the nodes hear nothing
    ports=$(in_ns a ss -tnH state established dst 192.0.2.0/24 | sed 's/.*192.0.2.11:\([0-9]*\) .*/\1/' | paste -sd,)
    [ -n "$ports" ] || die "there are no connections"
    in_ns a nft insert rule ip f out tcp sport "{ $ports }" reject with tcp reset
}
DRIP=4
ended() {
    grep -c 'connection ended err=[1-9]' "$T/a/run/i3/i3d.log"
}
before=$(ended || :)
during cut
within "$gap" 2000 || die "it stalled"
[ "$(ended)" -gt "$before" ] || die "nothing was cut"
fetch 20

echo "== nothing but TCP to port 443"
only_443
as a i3ctl stop >/dev/null
as a i3d --ensure
wait_until 8 reachable True
case $(node_field a address) in 192.0.2.?:443) ;; *) die "by $(node_field a address)" ;; esac
fetch 20
