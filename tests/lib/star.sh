# star.sh - sourced behind netns.sh by tests about who may see what of whom: hosts on one network, each in a namespace of its own, on
# which everybody could reach everybody, and where a DNS server answers all who ask. So nothing stays away for want of a way.
#
#     star_begin client n0 box gw web      hosts, each with an IPv4 and an IPv6 address: at HOST, at6 HOST
#     ring n0 n1                           those are overlay nodes; NODES is the list of them for an i3.conf
#     dns_at HOST ADDRESS                  a DNS server there: all names under .test are at ADDRESS, others are none; its process in DNS
#     user HOST <CONF                      nobody on HOST has that i3.conf, and a line with the nodes; starts the daemon
#     roommate HOST NAME...                more users on that host, who can stand wherever HOST does below
#     know HOST NAME OTHER                 the user of HOST has the one of OTHER in the book, as NAME
#     capture                              from here on what passes in each namespace is kept
#     captured                             up to here: check HOST RULE... judges it (pcap_check.py)
# shellcheck shell=sh

star_begin() {
    netns_begin hub "$@"
    cp "$LIB"/*.py "$T"
    chmod a+r "$T"/*.py
    export PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
    in_ns hub ip link add name br0 type bridge
    in_ns hub ip addr add 192.0.2.1/24 dev br0
    in_ns hub ip -6 addr add 2001:db8::1/64 dev br0 nodad
    in_ns hub ip link set br0 up
    i=10
    for host in "$@"; do
        i=$((i + 1))
        echo $i >"$T/$host.number"
        ip link add eth netns $N$host type veth peer name to$i netns ${N}hub
        in_ns hub ip link set to$i master br0
        in_ns hub ip link set to$i up
        in_ns $host sysctl -qw net.ipv6.conf.all.accept_ra=0 net.ipv4.ip_unprivileged_port_start=0
        in_ns $host ip addr add "$(at $host)/24" dev eth
        in_ns $host ip -6 addr add "$(at6 $host)/64" dev eth nodad
        in_ns $host ip link set eth up
        in_ns $host ip route add default via 192.0.2.1
        in_ns $host ip -6 route add default via 2001:db8::1
        mkdir -p "/etc/netns/$N$host" # `ip netns exec` puts it over /etc
        echo "nameserver 192.0.2.1" >"/etc/netns/$N$host/resolv.conf"
        host_home $host
    done
    trap star_end EXIT
}
star_end() {
    status=$?
    set +e
    for ns in $NETNS; do
        rm -rf "/etc/netns/$N$ns"
    done
    rmdir /etc/netns 2>/dev/null || :
    (exit $status)
    netns_end
}
at() {
    echo "192.0.2.$(cat "$T/$1.number")"
}
at6() {
    echo "2001:db8::$(cat "$T/$1.number")"
}
step() {
    [ -z "${STEP_TIMES-}" ] || date +%H:%M:%S.%N
    echo "== $*"
}
expect() { # expect WHAT GOT WANTED
    [ "$2" = "$3" ] || die "$1: got '$2', wanted '$3'"
}
wait_for() { # wait_for SECONDS COMMAND...
    tries=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.05
    done
}

# ---- nodes ----

ring() {
    NODES='' first=''
    head -c 24 /dev/urandom | base64 >"$T/secret"
    chown nobody "$T/secret"
    chmod 600 "$T/secret"
    for n in "$@"; do
        node_start "$n"
        NODES="$NODES${NODES:+, }\"$(at "$n")\""
        first=${first:-$(at "$n"):5610}
    done
}
node_start() {
    as "$1" i3node --listen "$(at "$1"):5610" --ring-secret "$T/secret" ${first:+--join "$first"} --state "$T/$1/node" \
        --pid-file "$T/$1/node.pid" --log "$T/$1/node.log" --control "$T/$1/node.sock" --background || die "no node at $1"
}

# ---- DNS ----

dns_at() {
    rm -f "$T/dns.$1.log"
    ip netns exec "$N$1" python3 "$T/zone.py" "$(dns_address "$1")" "$2" >"$T/dns.$1.log" 2>&1 </dev/null &
    DNS=$!
    wait_for 5 grep -q '^port' "$T/dns.$1.log" || die "no DNS server at $1: $(cat "$T/dns.$1.log")"
}
dns_address() {
    [ "$1" = hub ] && echo 192.0.2.1 || at "$1"
}
# What it was asked, one "NAME TYPE ASKER" per line: asked HOST
asked() {
    grep -v '^port' "$T/dns.$1.log" || :
}

# ---- users ----

# as USER CMD...: on the user's host, which has the same name unless it is a roommate
as() {
    as_user=$1
    shift
    in_ns "$(cat "$T/$as_user.at" 2>/dev/null || echo "$as_user")" setpriv --reuid=nobody --regid=nogroup --clear-groups env -i \
        PATH="$PATH" LC_ALL=C.UTF-8 HOME="$T/$as_user" XDG_RUNTIME_DIR="$T/$as_user/run" PYTHONUNBUFFERED=1 "$@"
}
roommate() {
    room=$1
    shift
    for mate in "$@"; do
        echo "$room" >"$T/$mate.at"
        host_home "$mate"
    done
}

user() {
    { cat; echo "nodes = { $NODES }"; } >"$T/$1/.config/i3/i3.conf"
    as "$1" i3d --check >"$T/check.log" 2>&1 || die "$1's i3.conf: $(cat "$T/check.log" "$T/$1/.config/i3/i3.conf")"
    as "$1" i3ctl stop >/dev/null 2>&1 || : # one that runs has read another
    user_start "$1"
}
user_start() {
    as "$1" i3d --ensure || die "$1's daemon does not start"
    wait_for 15 stands "$1" || die "$1's triggers do not stand: $(as "$1" i3ctl status)"
}
stands() {
    as "$1" i3ctl status --json | python3 -c 'import json,sys
t = json.load(sys.stdin)["triggers"]
sys.exit(not t or any(x["state"].lower() not in ("standing", "refreshing") for x in t))'
}
know() {
    as "$1" i3ctl book add "$2" "$(key "$3")" >/dev/null
}
key() {
    as "$1" i3ctl id -q
}
# of_id HOST FIELD: address, address6, id, key
of_id() {
    as "$1" i3ctl id --json | python3 -c 'import json,sys; print(json.load(sys.stdin)[sys.argv[1]])' "$2"
}
# of_status HOST EXPRESSION: of the status, s
of_status() {
    as "$1" i3ctl status --json | python3 -c 'import json,sys
s = json.load(sys.stdin)
print(eval(sys.argv[1]))' "$2"
}
# metric HOST NAME: the sum of all its rows
metric() {
    as "$1" i3ctl metrics 2>/dev/null | awk -v n="$2" '{ sub(/\{.*\}/, "", $1) } $1 == n { sum += $2 } END { printf "%d\n", sum }'
}
# The daemon dies, and nobody starts it anew: daemon_kill HOST
daemon_kill() {
    pid=$(of_status "$1" 's["pid"]')
    keeper=$(ps -o ppid= -p "$pid" | tr -d ' ')
    [ "$(cat "/proc/$keeper/comm")" != i3keep ] || kill -9 "$keeper"
    kill -9 "$pid"
}
# server HOST NAME CMD...: a program of nobody's that knows nothing of the overlay, and prints "port N"
server() {
    server_ns=$1 server_log=$T/$2.log
    shift 2
    rm -f "$server_log"
    as "$server_ns" "$@" >"$server_log" 2>&1 </dev/null &
    wait_for 10 grep -q '^port ' "$server_log" || die "no server at $server_ns: $(cat "$server_log")"
}

# ---- captures ----

CAPTURES=''
capture() {
    rm -f "$T"/*.pcap
    for ns in $NETNS; do
        [ $ns != hub ] || continue
        ip netns exec $N$ns tcpdump -i any -n -s 0 -U -B 32768 -Z root -w "$T/$ns.pcap" >"$T/tcpdump.$ns" 2>&1 </dev/null &
        CAPTURES="$CAPTURES $!"
    done
    for ns in $NETNS; do
        [ $ns = hub ] || wait_for 10 grep -q 'listening on' "$T/tcpdump.$ns" || die "no tcpdump: $(cat "$T/tcpdump.$ns")"
    done
}
captured() {
    sleep 1.2 # what is under way is still to be seen, and tcpdump looks once a second
    # shellcheck disable=SC2086
    kill -TERM $CAPTURES
    for p in $CAPTURES; do
        wait "$p" || :
    done
    CAPTURES=''
    ! grep -H '^[1-9][0-9]* packets dropped by kernel' "$T"/tcpdump.* || die "a capture is not whole"
}
# check HOST RULE...: pcap_check.py for the capture of HOST
check() {
    check_host=$1
    shift
    python3 "$LIB/pcap_check.py" --name "$check_host" --me "$(at "$check_host"),$(at6 "$check_host")" "$@" "$T/$check_host.pcap" ||
        die "$check_host has sent or got what it should not"
}
# The rule of one who speaks to overlay nodes: nodes_only HOST...; it may be one of several
nodes_only() {
    for n in "$@"; do
        printf ' --allow udp/%s:5610' "$(at "$n")"
    done
}
