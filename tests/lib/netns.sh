# netns.sh - for tests of hosts in network namespaces of their own: source it, then netns_begin. Gives T (a folder which goes at the
# end), N (before the name of each namespace) and the functions below. Programs run as nobody.
set -eu
B=${B:-$(cd "$(dirname "$0")/../.." && pwd)/build}
LIB=$(cd "$(dirname "$0")/../lib" && pwd)

DIED='' # what went wrong: said again behind everything else
die() {
    DIED="$(basename "$0"): $*"
    echo "$DIED" >&2
    exit 1
}
# within MS BAR: a time and its bar. Other tests run at the same time: a pass takes SLACK (5) times the bar; SLACK=1 by hand is the bar.
within() {
    [ "$1" -lt $(($2 * ${SLACK:-5})) ]
}

netns_end() {
    status=$?
    trap - EXIT
    for ns in $NETNS; do
        ip netns pids $N$ns 2>/dev/null | xargs -r kill -9 2>/dev/null || :
        ip netns del $N$ns 2>/dev/null || :
    done
    [ $status = 0 ] || [ $status = 77 ] || { cat "$T"/*.log "$T"/*/run/i3/i3d.log 2>/dev/null; [ -z "$DIED" ] || echo "$DIED"; }
    rm -rf "$T"
    exit $status
}
# netns_begin NAME...: makes the namespaces, each with its loopback up. Status 77, and why, where that cannot be.
netns_begin() {
    NETNS=$*
    N=i3n$$
    [ "$(id -u)" = 0 ] || { echo "needs root to build network namespaces"; exit 77; }
    command -v nft >/dev/null || { echo "needs nft"; exit 77; }
    T=$(mktemp -d /tmp/i3netns.XXXXXX) # not in TMPDIR, which is root's alone here
    trap netns_end EXIT
    trap 'exit 130' INT TERM HUP
    chmod 755 "$T"
    # the build may be in a folder of root's own, out of nobody's reach
    cp -r "$B/bin" "$B/lib" "$LIB/web.py" "$LIB/drip.py" "$LIB/pour.py" "$LIB/nap.py" "$T"
    chmod -R a+rX "$T"
    PATH=$T/bin:$PATH
    for ns in $NETNS; do
        ip netns add $N$ns 2>"$T/err" && in_ns $ns ip link set lo up 2>"$T/err" ||
            { echo "no network namespaces here: $(cat "$T/err")"; exit 77; }
    done
}
# in_ns NAME CMD...: as root
in_ns() {
    ns=$1
    shift
    ip netns exec "$N$ns" "$@"
}
# as HOST CMD...: as nobody on that machine
as() {
    who=$1
    shift
    in_ns "$who" setpriv --reuid=nobody --regid=nogroup --clear-groups env -i PATH="$PATH" LC_ALL=C.UTF-8 HOME="$T/$who" \
        XDG_RUNTIME_DIR="$T/$who/run" "$@"
}
# host_home HOST: nobody's folders there
host_home() {
    mkdir -p "$T/$1/.config/i3" "$T/$1/run" "$T/$1/www"
    chmod 700 "$T/$1/run"
    chown -R nobody "$T/$1"
}
# node_at NAME ADDRESS
node_at() {
    in_ns "$1" setpriv --reuid=nobody --regid=nogroup --clear-groups "$T/bin/i3node" --listen "$2:5610" >"$T/node.log" 2>&1 &
}
# port_in FILE: the port that a server has written there as "port N", as soon as it has
port_in() {
    for i in $(seq 100); do
        ! grep -q '^port ' "$1" 2>/dev/null || break
        sleep 0.1
    done
    sed -n 's/^port //p' "$1" | grep . || die "no server: $1"
}
# peer_field HOST FIELD: of the first peer in its status
peer_field() {
    as "$1" i3ctl status --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["peers"][0][sys.argv[1]])' "$2"
}
path() {
    peer_field "$1" path
}
