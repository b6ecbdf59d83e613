#!/bin/sh
# i3run itself: statuses, signals, stopping and the terminal of a program under the engine as of one that it is replaced by; what is
# started in turn; --strict, --explain, a path with spaces.
. "$(dirname "$0")/../lib/world.sh"
cat >"$T/act.c" <<'P'
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>
static volatile sig_atomic_t got[65];
static void on(int sig)
{
    got[sig]++;
}
int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    int n = argc > 2 ? atoi(argv[2]) : 0;
    if (!strcmp(how, "exit"))
        return n;
    if (!strcmp(how, "raise"))
        raise(n);
    if (!strcmp(how, "name"))
        puts(argv[0]);
    if (!strcmp(how, "daemon")) /* which goes on when its parent has ended */
        return daemon(1, 0) < 0 || sleep(n) > 0;
    if (!strcmp(how, "tty"))
        printf("%d %d %d\n", isatty(0), tcgetpgrp(0) == getpgrp(), getsid(0) == tcgetsid(0));
    if (!strcmp(how, "signals")) { /* until a USR2; then how often each of the others came */
        for (int i = 1; i < 32; i++)
            if (i != SIGCHLD)
                signal(i, on);
        puts("ready");
        fflush(stdout);
        while (!got[SIGUSR2])
            usleep(1000);
        for (int i = 1; i < 32; i++)
            if (got[i] && i != SIGUSR2)
                printf("%s ", strsignal(i));
        puts("");
    }
    return 0;
}
P
${CC:-cc} -O1 -static -D_GNU_SOURCE -o "$T/act" "$T/act.c" 2>"$T/cc.log" || { cat "$T/cc.log"; echo "no static libc here"; exit 77; }
${CC:-cc} -O1 -D_GNU_SOURCE -o "$T/act-dynamic" "$T/act.c"
world_up
as alice i3run "$T/act" exit 0 || { echo "no seccomp supervision here"; exit 77; }

status_of() {
    "$@" >"$T/out" 2>&1 && echo 0 || echo $?
}
for act in act act-dynamic; do
    step "status and signals, $act"
    expect "exit 7" "$(status_of as alice i3run "$T/$act" exit 7)" 7
    expect "exit 255" "$(status_of as alice i3run "$T/$act" exit 255)" 255
    for sig in 6 9 11 15; do
        expect "death by signal $sig" "$(as alice python3 -c 'import subprocess, sys
print(-subprocess.run(sys.argv[1:], stderr=subprocess.DEVNULL).returncode)' "$B/bin/i3run" "$T/$act" raise $sig)" $sig
    done
    expect "its name" "$(as alice i3run --argv0=another "$T/$act" name)" another
    expect "no such file" "$(status_of as alice i3run --argv0=x "$T/none" name)" 127
    # started anew with signals as a shell's background job has them not
    python3 - "$W/alice.env" i3run "$T/$act" signals <<'P' >"$T/signals" || die "signals: $(cat "$T/signals")"
import os, shlex, signal, subprocess, sys, time
env = dict(os.environ)
env.update(l.split('=', 1) for l in subprocess.run(['sh', '-c', '. %s; env' % shlex.quote(sys.argv[1])], capture_output=True, text=True).stdout.splitlines() if '=' in l)
p = subprocess.Popen(sys.argv[2:], stdout=subprocess.PIPE, text=True, env=env, start_new_session=True)
assert p.stdout.readline() == 'ready\n'
for s in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGWINCH, signal.SIGQUIT, signal.SIGPIPE):
    p.send_signal(s)
time.sleep(0.2)
p.send_signal(signal.SIGUSR2)
print(p.stdout.read(), p.wait())
P
    expect "signals passed on" "$(cat "$T/signals")" "Hangup Interrupt Quit User defined signal 1 Broken pipe Terminated Window changed 
 0"
done

step "stopping and the terminal, under the engine"
cat >"$T/term.py" <<'P'
import os, pty, signal, sys, time
pid, tty = pty.fork()
if pid == 0:
    os.execvp('i3run', ['i3run'] + sys.argv[1:])
def until(what):
    seen = b''
    while what not in seen:
        seen += os.read(tty, 1000)
    return seen
if sys.argv[2] == 'tty':
    print(until(b'\n').decode().strip())
elif sys.argv[2] == 'signals':
    until(b'ready')
    os.write(tty, b'\x03\x1c')
    time.sleep(0.3)
    os.kill(pid, signal.SIGUSR2)
    print(until(b'Quit').decode().split('\\')[-1].strip())
    print(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))
else: # it stops, and so does i3run; both go on
    stopped = os.waitpid(pid, os.WUNTRACED)[1]
    print(os.WIFSTOPPED(stopped), os.WSTOPSIG(stopped) == int(sys.argv[3]))
    os.kill(pid, signal.SIGCONT)
    print(os.waitpid(pid, 0)[1])
P
expect "the terminal" "$(as alice timeout 20 python3 "$T/term.py" "$T/act" tty)" "1 1 1"
expect "^C and ^\\ come once" "$(as alice timeout 20 python3 "$T/term.py" "$T/act" signals)" "Interrupt Quit
0"
for sig in 19 20; do
    expect "stopped by $sig" "$(as alice timeout 20 python3 "$T/term.py" "$T/act" raise $sig)" "True True
0"
done

step "those that outlive the program keep their supervisor, which ends with them"
expect "the daemon's parent" "$(status_of as alice i3run "$T/act" daemon 1)" 0
pgrep -f "$T/act daemon 1" >/dev/null || die "the daemon has ended with its parent"
wait_for 5 sh -c "! pgrep -f '$T/act [d]aemon 1' >/dev/null" || die "it does not end"

step "the supervisor is killed: so is the program"
as alice i3run "$T/act" signals >"$T/out" 2>&1 &
JOB=$!
STARTED="$STARTED $JOB"
wait_for 5 grep -q ready "$T/out"
for pid in $(pgrep -f "[i]3run $T/act signals"); do
    [ "$(cat "/proc/$pid/comm")" != i3run-engine ] || kill -KILL "$pid"
done
wait $JOB && status=0 || status=$?
expect "i3run's status" $status 125
wait_for 5 sh -c "! pgrep -f '^$T/act [s]ignals' >/dev/null" || die "the program goes on"

step "what a preloaded program starts, and what a static one does"
mkdir "$T/www"
echo page >"$T/www/index.html"
cd "$T/www"
serve bob web python3 "$LIB/web.py"
url=http://bob.i3:$PORT/index.html
expect "name kept by exec -a" "$(as alice i3run bash -c "exec -a another '$T/act' name")" another
expect "found in PATH, env -i" "$(as alice i3run env -i PATH="$T" act name)" act
for env in "I3_OFF=1" "A=1"; do
    as alice i3run --explain env $env "$T/act" exit 0 2>"$T/err"
    case $env in
    I3*) ! grep -q 'run by the seccomp engine' "$T/err" || die "I3_OFF is not heeded" ;;
    *) grep -q "exec $T/act: run by the seccomp engine" "$T/err" || die "$(cat "$T/err")" ;;
    esac
done
expect "i3run in i3run" "$(as alice i3run i3run -- i3run "$T/act" name)" "$T/act"
expect "curl below the engine" "$(as alice i3run python3 -c 'print("not here")' >/dev/null; as alice i3run curl -sS "$url")" page

step "--explain"
as alice i3run --explain="$T/lines" curl -sS "$url" http://nobody.i3/ http://127.0.0.1:1/ >"$T/out" 2>"$T/err" || :
for line in "name bob.i3: $(address_of bob)" "connect $(address_of bob):$PORT: overlay" "name nobody.i3: not known" "connect 127.0.0.1:1: direct"; do
    grep -q "^i3run: curl\[[0-9]*\]: $line" "$T/lines" || die "$line: $(cat "$T/lines")"
done
as alice i3run --explain curl -sS "$url" 2>&1 >"$T/out" | grep -q 'connect .*: overlay' || die "not on standard error"
[ -z "$(as alice i3run curl -sS "$url" 2>&1 >"$T/out")" ] || die "it speaks unasked"

step "a path with spaces"
mkdir "$T/a b:c"
cp -r "$B/bin" "$B/lib" "$T/a b:c/"
expect "curl" "$(as alice "$T/a b:c/bin/i3run" curl -sS "$url")" page
expect "once" "$(as alice "$T/a b:c/bin/i3run" "$T/a b:c/bin/i3run" sh -c 'echo "$LD_PRELOAD"' | grep -o libi3shim.so)" libi3shim.so

step "--strict"
who=$(as alice i3run --strict id -u 2>"$T/err") || :
if grep -q -- '--strict: ' "$T/err"; then
    echo "(no user namespaces here: $(cat "$T/err"))"
    exit 0
fi
expect "who one is" "$who" "$(id -u)"
expect "the overlay" "$(as alice i3run --strict curl -sS "$url")" page
expect "no network" "$(as alice i3run --strict python3 -c 'import socket
for to in ("192.0.2.1", 80), ("::ffff:192.0.2.1", 80):
    try: socket.create_connection(to, 5)
    except OSError as e: print(e.errno)')" "101
101"
expect "no DNS" "$(status_of as alice i3run --strict getent ahosts example.com)" 2
expect "loopback is its own" "$(as alice i3run --strict python3 -c 'import os, socket
s = socket.create_server(("127.0.0.1", 0))
socket.create_connection(s.getsockname(), 5)
print(os.listdir("/sys/class/net") and open("/proc/net/dev").read().count(":"))')" 1
expect "under the engine" "$(status_of as alice i3run --strict "$T/act" exit 5)" 5

step "--strict where the system forbids it"
forbidden() {
    unshare -U -r sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-sys_admin "$@"' - "$@"
}
forbidden true 2>/dev/null || { echo "(no such system can be made here)"; exit 0; }
for act in act act-dynamic; do
    (
        . "$W/alice.env"
        forbidden i3run --strict "$T/$act" name
    ) >"$T/out" 2>"$T/err" && status=0 || status=$?
    expect "status" $status 125
    expect "the program's output" "$(cat "$T/out")" ""
    expect "one line" "$(grep -c '^i3run: --strict: .* is not run$' "$T/err") $(wc -l <"$T/err")" "1 1"
done
