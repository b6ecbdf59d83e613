#!/bin/sh
# waits: for a crowd that does nothing
# A thousand connections that drip, and some that speak HTTP, do not hurt those who use UDP, nor keep out who has to come by TCP.
. "$(dirname "$0")/../lib/world.sh"
world_up
port=$(cat "$W/ring/port")
node=$(cat "$W/ring/pid")
rss() {
    awk '/^VmRSS/ { print $2 }' "/proc/$node/status"
}
conf() {
    printf 'nodes = { "127.0.0.1:%s" }\nshortcut = no\ntransport = %s\n' "$port" "$2" >"$W/$1/config/i3/i3.conf"
    daemon_restart "$1"
}
conf alice udp
conf bob udp
mkdir "$T/www" && head -c 3000000 /dev/urandom >"$T/www/page"
cd "$T/www"
serve bob web python3 "$LIB/web.py"
fetch() {
    as alice i3run curl -sS --max-time 10 "http://bob.i3:$PORT/page" | cmp - page
}
fetch
before=$(rss)

step "1100 connections, half a frame each"
ulimit -n 4096
python3 "$LIB/crowd.py" "$port" 1100 >"$T/crowd" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 20 grep -q held "$T/crowd" || die "no crowd: $(cat "$T/crowd")"
cat "$T/crowd"
for i in 1 2 3; do
    fetch
done
as alice i3ctl ping bob 3
now=$(rss)
echo "memory of the node: $before kB, with them $now kB"
[ $((now - before)) -lt 40000 ] || die "they cost too much"

step "HTTP is no language of ours"
python3 - "$port" <<'EOF'
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=5)
s.sendall(b"GET / HTTP/1.0\r\n\r\n")
assert s.recv(100) == b"", "an answer"
EOF

step "there is a place for bob, who comes by TCP"
conf bob tcp
fetch

step "who says nothing whole is gone after 10 s"
wait_for 25 grep -qx 'left 0' "$T/crowd" || die "the crowd stays: $(tail -1 "$T/crowd")"
fetch
