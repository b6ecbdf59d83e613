#!/bin/sh
# The daemon is killed, or hangs: virtual names and addresses fail within a second, nothing leaks, everything else goes on, what was
# connected is told; with the daemon back the next connect works. One program all the while, under strace where that may be had.
. "$(dirname "$0")/../lib/world.sh"
world_up
serve bob echo "$LIB/script_peer.py"
cat >"$T/rounds.py" <<'P'
import errno, os, select, socket, sys, time

name, four, six, port, sequence = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), [0]
real = socket.create_server(('127.0.0.1', 0))
real_udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
real_udp.bind(('127.0.0.1', 0))


def timed(what, f, most=1.0):
    start = time.monotonic()
    try:
        r = f()
    except socket.gaierror as e:
        r = {socket.EAI_AGAIN: 'EAI_AGAIN', socket.EAI_NONAME: 'EAI_NONAME'}.get(e.errno, e)
    except OSError as e:
        r = errno.errorcode.get(e.errno, e)
    took = time.monotonic() - start
    print('%-14s %s%s' % (what, r, '' if took < most else ' after %.2f s' % took))


def tcp(host, family=socket.AF_INET):
    def f():
        with socket.socket(family) as s:
            s.connect((host, port))
            s.sendall(b'Ehello')
            return s.recv(5, socket.MSG_WAITALL).decode()
    return f


def nonblocking():
    with socket.socket() as s:
        s.setblocking(False)
        err = s.connect_ex((four, port))
        if err == errno.EINPROGRESS:
            select.select([], [s], [], 1)
            err = s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return errno.errorcode.get(err, err)


def datagram(host, family):
    def f():
        with socket.socket(family, socket.SOCK_DGRAM) as u:
            return u.sendto(b'x', (host, port))
    return f


def real_traffic():
    with socket.create_connection(real.getsockname()) as s, real.accept()[0] as c, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as u:
        s.sendall(b'real')
        u.sendto(b'too', real_udp.getsockname())
        return c.recv(4).decode() + real_udp.recv(3).decode()


held = socket.create_connection((four, port))
held.sendall(b'E')
print('ready', flush=True)
for line in sys.stdin:
    print('==', line.strip())
    print('--', file=sys.stderr, flush=True)
    os.write(2, b'round ' + line.encode())
    timed('real', real_traffic)
    timed('name', lambda: socket.getaddrinfo(name, port, socket.AF_INET)[0][4][0] == four)
    timed('reverse', lambda: socket.getnameinfo((four, port), socket.NI_NUMERICSERV)[0] in (name, four))
    timed('tcp', tcp(four), 5.0 if line.startswith('back') else 1.0) # a new session with the peer takes its time
    timed('tcp6', tcp(six, socket.AF_INET6))
    timed('non-blocking', nonblocking)
    timed('udp', datagram(four, socket.AF_INET))
    timed('udp6', datagram(six, socket.AF_INET6))
    if line.strip() in ('hanging', 'killed'):
        timed('unknown host', tcp('10.255.254.253')) # with a daemon that is real
    if line.startswith('killed'):
        timed('held', lambda: held.recv(1))
        timed('  then', lambda: held.recv(1))
    print('done', line.strip(), flush=True)
P
bob4=$(address_of bob) bob6=$(as bob i3ctl id --json | field address6)
mkfifo "$T/go"
trace=''
strace -f -o "$T/true.trace" true 2>/dev/null && trace="strace -f -qq -e trace=connect,sendto,sendmsg,sendmmsg -o $T/trace"
# shellcheck disable=SC2086
as alice $trace i3run python3 -u "$T/rounds.py" bob.i3 "$bob4" "$bob6" "$PORT" <"$T/go" >"$T/rounds" 2>"$T/rounds.err" &
STARTED="$STARTED $!"
exec 9>"$T/go"
wait_for 20 grep -q ready "$T/rounds" || die "no connection: $(cat "$T/rounds" "$T/rounds.err")"
pid=$(as alice i3ctl status --json | field pid)

round_of() {
    echo "$1" >&9
    wait_for 60 grep -q "done $1" "$T/rounds" || die "$1: $(cat "$T/rounds" "$T/rounds.err")"
}

step "with it"
round_of with
step "it hangs"
kill -STOP "$pid"
sleep 1.2 # names are remembered for a second, datagrams' ways too
round_of hanging
kill -CONT "$pid"
wait_for 10 triggers_stand alice
round_of awake
step "it is killed"
daemon_kill alice
sleep 1.2
round_of killed
step "it is back"
daemon_start alice
round_of back
exec 9>&-

cat >"$T/wanted" <<'W'
== with
real           realtoo
name           True
reverse        True
tcp            hello
tcp6           ECONNREFUSED
non-blocking   0
udp            1
udp6           1
done with
== hanging
real           realtoo
name           EAI_AGAIN
reverse        True
tcp            ENETUNREACH
tcp6           ENETUNREACH
non-blocking   ENETUNREACH
udp            ENETUNREACH
udp6           ENETUNREACH
unknown host   ENETUNREACH
done hanging
W
sed '/^== hanging/,$d; s/with/awake/' "$T/wanted" >"$T/awake"
sed '1,/^done with/d; s/hanging/killed/; s/^done/held           ECONNRESET\n  then         b'"''"'\n&/' "$T/wanted" >"$T/killed"
{ cat "$T/wanted" "$T/awake" "$T/killed"; sed 's/awake/back/' "$T/awake"; } >"$T/all"
grep -v ready "$T/rounds" | diff "$T/all" - || die "not as it should be"
[ -z "$trace" ] || {
    step "nothing went to the virtual network or to port 53"
    grep -q 'i3d.sock' "$T/trace" || die "nothing was traced"
    ! grep -E 'inet_addr\("10\.|fd69:3300|htons\(53\)' "$T/trace" || die "this leaked"
}
