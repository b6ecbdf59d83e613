#!/bin/sh
# Programs which cannot be preloaded, under i3run's engine: static ones see of the overlay what the kernel would show, as clients and
# as servers; the same probes as for the library, linked statically by this test.
. "$(dirname "$0")/../lib/world.sh"
PROBES=$TOP/tests/integration/probes
static() {
    ${CC:-cc} -O1 -static -D_GNU_SOURCE -o "$T/$1" "$PROBES/$1.c" -lpthread 2>"$T/cc.log"
}
static semantics || { cat "$T/cc.log"; echo "no static libc here"; exit 77; }
static storm && static dgrams && static serve || die "$(cat "$T/cc.log")"
world_up

step "the engine can run here"
as alice i3run "$T/semantics" >"$T/out" 2>&1 && status=0 || status=$?
[ $status != 125 ] || { cat "$T/out"; echo "no seccomp supervision here"; exit 77; }
expect "status of the probe without arguments" $status 2
expect "silence" "$(cat "$T/out")" ""
as alice i3run -v "$T/semantics" 2>"$T/out" || :
grep -q 'is statically linked: run by the seccomp engine' "$T/out" || die "$(cat "$T/out")"

step "a TCP client: native, under the engine without and with the overlay"
python3 "$LIB/loopback_peers.py" "$T/semantics" >"$T/native" </dev/null
as alice python3 "$LIB/loopback_peers.py" i3run "$T/semantics" >"$T/real" </dev/null
[ "$(wc -l <"$T/native")" -gt 140 ] || die "the probe ended early"
diff "$T/native" "$T/real" || die "the engine differs from the kernel where nothing is virtual"
sed "s|/alice/|/carol/|g" "$W/alice.env" >"$W/carol.env"
mkdir -p "$W/carol/config/i3"
cp "$W/alice/config/i3/i3.conf" "$W/carol/config/i3/"
key=$(as carol i3ctl init --json | field key)
daemon_start carol
STARTED="$STARTED $(as carol i3ctl status --json | field pid)"
as alice i3ctl book add carol "$key" >/dev/null
carol=$(as alice i3run getent ahostsv4 carol.i3 | sed -n '1s/ .*//p')
serve bob echo python3 "$LIB/loopback_peers.py"
bob=$(address_of bob) alice=$(address_of alice)
as alice i3run "$T/semantics" "$bob" "$PORT" "$bob" 9 "$carol" 7 >"$T/overlay" </dev/null
diff "$T/native" "$T/overlay" || die "the overlay differs from the kernel"

step "UDP, both ways"
"$LIB/udp_echo.py" 127.0.0.1 >"$T/real.1" 2>&1 </dev/null &
STARTED="$STARTED $!"
"$LIB/udp_echo.py" 127.0.9.9 >"$T/real.2" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 10 grep -q '^port ' "$T/real.1"
wait_for 10 grep -q '^port ' "$T/real.2"
other=$(sed -n 's/^port //p' "$T/real.1")
"$T/dgrams" 127.0.9.9 "$(sed -n 's/^port //p' "$T/real.2")" 9 127.0.0.1 "$other" >"$T/native"
serve bob udp "$LIB/udp_echo.py"
as alice i3run "$T/dgrams" "$bob" "$PORT" 9 127.0.0.1 "$other" >"$T/overlay"
[ "$(wc -l <"$T/native")" -gt 60 ] || die "the probe ended early"
diff "$T/native" "$T/overlay" || die "the overlay differs from the kernel"

# What a server says of its caller, and the echo of one line: call PORT
call() {
    as alice i3run python3 -c '
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
f = s.makefile("rw")
seen = f.readline().split()
print("hello", file=f, flush=True)
assert f.readline() == "hello\n"
assert seen[1] == "%s:%d" % s.getsockname(), (seen, s.getsockname())
print(seen[0], seen[2])' "$bob" "$1"
}
for how in blocking epoll threads prefork quiet "own $bob"; do
    step "a TCP server, $how"
    # shellcheck disable=SC2086
    serve bob "serve-${how%% *}" "$T/serve" $how
    expect "what it sees" "$(call "$PORT")" "same $bob"
    expect "and once more" "$(call "$PORT")" "same $bob"
    [ "$how" = "own $bob" ] || expect "a local client" \
        "$(python3 -c 'import socket,sys; print(socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10).makefile().readline().split()[0])' "$PORT")" same
    if [ "$how" = blocking ]; then
        kill -USR1 "$SERVER"
        wait_for 5 grep -q interrupted "$T/serve-blocking.log" || die "the signal did not arrive while it waits"
        expect "after a signal" "$(call "$PORT")" "same $bob"
    fi
    kill "$SERVER"
    wait "$SERVER" && status=0 || status=$?
    expect "its end" $status 143
done

step "forks, threads and signal handlers that dial at once"
fake_start() {
    rm -f "$T/fake.log"
    "$LIB/fake_daemon.py" "$T/fake" >"$T/fake.log" 2>&1 </dev/null &
    FAKE=$!
    STARTED="$STARTED $FAKE"
    wait_for 10 grep -q ready "$T/fake.log"
}
fake_start
I3_SOCK=$T/fake i3run "$T/storm" 300 8 || die "storm"

step "the daemon is gone: an error within a second; it returns: the next connect works"
cat >"$T/dial.c" <<'P'
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
int main(void)
{
    char line[64];
    while (fgets(line, sizeof(line), stdin)) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};
        struct timespec a, b;
        inet_pton(AF_INET, strtok(line, "\n"), &to.sin_addr);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        clock_gettime(CLOCK_MONOTONIC, &a);
        int err = connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0;
        clock_gettime(CLOCK_MONOTONIC, &b);
        printf("%s %s\n", strerror(err), b.tv_sec * 1000 + b.tv_nsec / 1000000 - a.tv_sec * 1000 - a.tv_nsec / 1000000 < 1000 ? "soon" : "late");
        fflush(stdout);
        close(fd);
    }
    return 0;
}
P
${CC:-cc} -static -D_GNU_SOURCE -o "$T/dial" "$T/dial.c"
mkfifo "$T/in"
I3_SOCK=$T/fake i3run "$T/dial" <"$T/in" >"$T/dialled" 2>&1 &
DIALLER=$!
STARTED="$STARTED $DIALLER"
exec 5>"$T/in"
# dial LINE ADDRESS RESULT: what the program's connect() number LINE says
dial() {
    echo "$2" >&5
    wait_for 10 sh -c "test $1 -le \$(wc -l <'$T/dialled')"
    expect "connect to $2" "$(sed -n "$1p" "$T/dialled")" "$3"
}
dial 1 10.1.2.3 "Success soon"
dial 2 10.1.2.4 "Connection refused soon"
kill $FAKE
while kill -0 $FAKE 2>/dev/null; do sleep 0.02; done
dial 3 10.1.2.3 "Network is unreachable soon"
dial 4 127.0.0.1 "Connection refused soon"
fake_start
dial 5 10.1.2.3 "Success soon"

step "i3run is killed, and the program with it"
kill -KILL $DIALLER
wait_for 5 sh -c "! pgrep -f '^$T/dial' >/dev/null" || die "the program goes on"
exec 5>&-
as carol i3ctl stop >/dev/null
