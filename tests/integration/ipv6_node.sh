#!/bin/sh
# A node on both families, alice reaching it by IPv6 and bob by IPv4: they meet all the same.
. "$(dirname "$0")/../lib/world.sh"
world_up
"$B/bin/i3node" --listen '[::]:0' --port-file "$T/node.port" >"$T/node.log" 2>&1 &
STARTED="$STARTED $!"
wait_for 5 test -s "$T/node.port" || { echo "no IPv6 here: $(cat "$T/node.log")"; exit 77; }
port=$(cat "$T/node.port")
printf 'nodes = { "[::1]:%s" }\n' "$port" >"$W/alice/config/i3/i3.conf"
printf 'nodes = { "127.0.0.1:%s" }\n' "$port" >"$W/bob/config/i3/i3.conf"
daemon_restart alice
daemon_restart bob
mkdir "$T/www"
cd "$T/www"
head -c 3M /dev/urandom >f
serve bob web python3 "$LIB/web.py"
as alice i3run curl -sS --max-time 20 "http://bob.i3:$PORT/f" | cmp - f || die "down: it differs"
as bob i3ctl ping alice 1 | grep -q ' 1 answered' || die "no ping from bob"
case $(as alice i3ctl status --json | field node.seen_address) in
'[::1]:'*) ;;
*) die "alice does not use IPv6" ;;
esac
