#!/bin/sh
# Other users of the machine can neither speak at a mirror nor hear what is for a port that was ours.
# root: it takes two users
. "$(dirname "$0")/../lib/world.sh"
[ "$(id -u)" = 0 ] || {
    echo "not root"
    exit 77
}
world_up
stranger() {
    setpriv --reuid=nobody --regid=nogroup --clear-groups timeout 20 /usr/bin/python3 "$@"
}
counter() {
    as "$1" i3ctl status --json | field "counters.$2"
}

step "a stranger sends to the mirror of a peer to whom alice speaks"
cat >"$T/log.py" <<'P'
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('', 0))
print('port', s.getsockname()[1], flush=True)
while True:
    data, peer = s.recvfrom(1000)
    print(data.decode(), flush=True)
    s.sendto(data, peer)
P
serve bob log python3 "$T/log.py"
LOGGER=$SERVER
bob=$(address_of bob)
ask() {
    as alice i3run timeout 20 python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
s.connect((sys.argv[1], int(sys.argv[2])))
try:
    s.send(sys.argv[3].encode())
    print(s.recv(100).decode())
except OSError as e:
    print(type(e).__name__)' "$bob" "$PORT" "$1"
}
expect "alice's own question" "$(ask mine)" mine
stranger -c 'import socket, sys
mirror = "127." + sys.argv[1].split(".", 1)[1]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for line in open("/proc/net/udp"):
    ip, port = (line.split()[1] + ":").split(":")[:2]
    if ip == socket.inet_aton(mirror)[::-1].hex().upper():
        to = mirror, int(port, 16)
for i in range(500):
    s.sendto(b"evil", to)
try:
    s.bind(to)
    print("the mirror is free")
except OSError:
    pass' "$bob" >"$T/stranger"
expect "what the stranger could do" "$(cat "$T/stranger")" ""
expect "alice's next question" "$(ask again)" again
expect "what bob's server got" "$(xargs <"$T/log.log")" "port $PORT mine again"
[ "$(counter alice dgrams_strangers)" = 500 ] || die "strangers: $(counter alice dgrams_strangers)"
[ "$(counter alice dgrams_out)" = 2 ] || die "sent: $(counter alice dgrams_out)"

step "a stranger asks the mirror of a DNS server which alice uses: about her names, and for others in her name"
cat >"$T/ask.py" <<'P'
import socket, sys
query = lambda name: b'\x12\x34\1\0\0\1\0\0\0\0\0\0' + b''.join(bytes([len(l)]) + l.encode() for l in name.split('.')) + b'\0\0\1\0\1'
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(1)
if sys.argv[1] == 'alice':
    s.connect(('127.0.0.98', 53)) # nobody serves there
    s.send(query('bob.i3'))
    print(len(s.recv(512)) > 20, flush=True)
    sys.stdin.read()
else:
    heard = set() # from mirrors of other tests that run now, too
    for line in open('/proc/net/udp'):
        ip, port = (line.split()[1] + ':').split(':')[:2]
        if ip.endswith('357F'): # 127.53.x.y
            s.sendto(query('bob.i3'), (socket.inet_ntoa(bytes.fromhex(ip)[::-1]), int(port, 16)))
            try:
                heard.add('answered %s' % s.recv(512))
            except OSError as e:
                heard.add(type(e).__name__)
    print(*heard)
P
mkfifo "$T/wait"
as alice i3run timeout 20 python3 "$T/ask.py" alice <"$T/wait" >"$T/asked" 2>&1 &
STARTED="$STARTED $!"
exec 9>"$T/wait"
wait_for 10 grep -q True "$T/asked" || die "alice has no answer: $(cat "$T/asked")"
expect "the stranger" "$(stranger - stranger <"$T/ask.py")" TimeoutError
exec 9>&-
[ "$(counter alice dgrams_strangers)" = 501 ] || die "strangers: $(counter alice dgrams_strangers)"

step "bob's server ends, and a stranger takes its port"
kill $LOGGER
while kill -0 $LOGGER 2>/dev/null; do sleep 0.02; done
stranger -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", int(sys.argv[1])))
s.settimeout(4)
print("bound", flush=True)
try:
    print(s.recv(100))
except TimeoutError:
    print("nothing")' "$PORT" >"$T/thief" 2>&1 &
STARTED="$STARTED $!"
wait_for 10 grep -q bound "$T/thief"
sleep 2.6 # a verdict about a socket holds for 2.5 s
expect "alice's question to nobody" "$(ask secret)" ConnectionRefusedError
wait_for 10 grep -q nothing "$T/thief" || die "the stranger got: $(cat "$T/thief")"
