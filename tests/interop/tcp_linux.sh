#!/bin/sh
# root: the engine against the kernel's TCP over a TUN device, in a network namespace of its own; both roles, with and
# without the options, with and without loss, in IPv4 and IPv6 at once. Each transfer is echoed and compared byte by byte.
[ "$(id -u)" = 0 ] && [ -c /dev/net/tun ] && unshare -n true 2>/dev/null || { echo "needs root and /dev/net/tun"; exit 77; }
if [ "$1" != inside ]; then
    for off in none tcp_sack tcp_timestamps tcp_window_scaling "tcp_sack tcp_timestamps tcp_window_scaling"; do
        for loss in 0 20; do
            unshare -n "$0" inside "$loss" $off || { echo "failed: off=$off loss=$loss"; exit 1; }
        done
    done
    exit 0
fi
loss=$2
shift 2
for option in "$@"; do
    [ "$option" = none ] || echo 0 >"/proc/sys/net/ipv4/$option" || exit 1
done
[ "$loss" = 0 ] && bytes=20000000 || bytes=1000000
ip link set lo up
tun=$B/tests/interop/tcp_tun

# the engine connects, the kernel echoes
timeout 60 python3 - <<'PY' &
import socket, threading
listener = socket.create_server(("::", 9000), family=socket.AF_INET6, dualstack_ipv6=True, backlog=64)
def echo(s):
    while data := s.recv(1 << 18):
        s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    s.close()
while True:
    threading.Thread(target=echo, args=(listener.accept()[0],), daemon=True).start()
PY
server=$!
until ss -tln | grep -q :9000; do sleep 0.1; done
"$tun" talk "$loss" 40 4 "$bytes"
rc=$?
kill $server
[ $rc = 0 ] || exit 1

# the kernel connects, the engine echoes; a port without a server refuses
"$tun" echo "$loss" 30 >/dev/null &
server=$!
until ip addr show t0 2>/dev/null | grep -q 10.9.0.1; do sleep 0.1; done
timeout 40 python3 - "$bytes" <<'PY'
import os, socket, sys, threading
size, right = int(sys.argv[1]), []
hosts = ["10.9.0.2", "fd69:3300::2"]
def talk(host):
    s = socket.create_connection((host, 80), 20)
    sent, got = os.urandom(size), bytearray()
    def read():
        while data := s.recv(1 << 18):
            got.extend(data)
    reader = threading.Thread(target=read)
    reader.start()
    s.sendall(sent)
    s.shutdown(socket.SHUT_WR)
    reader.join()
    right.append(got == sent)
threads = [threading.Thread(target=talk, args=(h,)) for h in hosts * 2]
for t in threads: t.start()
for t in threads: t.join()
refused = 0
for h in hosts:
    try:
        socket.create_connection((h, 81), 5)
    except ConnectionRefusedError:
        refused += 1
refused = refused == 2
print("kernel:", right.count(True), "of 4 right, refused" if refused else "of 4 right, NOT refused")
sys.exit(0 if right == [True] * 4 and refused else 1)
PY
rc=$?
if [ $rc = 0 ] && [ "$loss" = 0 ] && command -v ping >/dev/null; then
    for to in 10.9.0.2 fd69:3300::2; do
        ping -q -c 2 -i 0.2 -s 1000 -W 2 $to || rc=1
    done
fi
kill $server
exit $rc
