# world.sh - sourced by the scripts in tests/integration: one demo world per script, gone when it ends.
#
#     . "$(dirname "$0")/../lib/world.sh"
#     world_up
#     as alice curl -s http://bob.i3:8000/
#     serve bob "$LIB/web.py" ...
#
# W: the world. T: the script's own folder, for its files. LIB: tests/lib. Everything is in T, and T goes at the end.
# run.sh gives B, the build folder; a script can also be run by hand, with the last build.
# shellcheck shell=sh
set -eu
LIB=$(cd "$(dirname "$0")/../lib" && pwd)
TOP=$(cd "$LIB/../.." && pwd)
B=${B:-$TOP/build}
PATH=$B/bin:$PATH
unset http_proxy HTTP_PROXY https_proxy all_proxy ALL_PROXY I3_SOCK LD_PRELOAD 2>/dev/null || :
export LC_ALL=C.UTF-8 PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1

case $(type i3d i3run i3node 2>&1) in
*'not found'*) echo "i3d, i3run and i3node are not all built"; exit 77 ;;
esac

T=$(mktemp -d "${TMPDIR:-/tmp}/i3.XXXXXX")
W=''
RELAY=''    # process of the relay
RELAY_PORT='' # its port
DIED=''     # what went wrong: said again behind everything else
STARTED=''  # what we started, to be ended

world_cleanup() {
    status=$?
    trap - EXIT INT TERM HUP
    set +e
    for pid in $STARTED; do
        kill "$pid" 2>/dev/null
    done
    if [ -n "$W" ]; then
        [ "$status" = 0 ] || [ "$status" = 77 ] || world_tell
        i3ctl demo down "$W" || status=1
        wait_for 2 no_processes
        left=$(world_processes)
        [ -z "$left" ] || { echo "left over: $left"; status=1; }
    fi
    rm -rf "$T"
    exit "$status"
}
trap world_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# What a person would look at first.
world_tell() {
    for u in alice bob; do
        echo "---- $u"
        as $u timeout 5 i3ctl status
        tail -n 25 "$W/$u/run/i3/i3d.log"
    done
    echo "---- node"
    tail -n 15 "$W/ring/log"
    echo "---- $W"
    [ -z "$DIED" ] || echo "$DIED"
}

# Processes of the world that still run, as ps shows them.
world_processes() {
    ps -e -o pid=,stat=,args= | grep -F "$W" | grep -v -e ' Z' -e 'grep -F' -e "^ *$$ " || :
}

no_processes() {
    [ -z "$(world_processes)" ]
}

die() {
    DIED="$(basename "$0"): $*"
    echo "$DIED"
    exit 1
}

# The steps of a script, so that a failure's output tells where it was.
step() {
    [ -z "${STEP_TIMES-}" ] || date +%H:%M:%S.%N
    echo "== $*"
}

# expect WHAT GOT WANTED
expect() {
    [ "$2" = "$3" ] || die "$1: got '$2', wanted '$3'"
}

# A port which nothing has, for TCP and UDP and on all addresses: below those that the kernel gives out.
free_port() {
    python3 -c 'import random, socket
while True:
    port = random.randrange(20000, 32000)
    try:
        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
            with socket.socket(socket.AF_INET6, kind) as s:
                s.bind(("::", port))
        break
    except OSError:
        pass
print(port)'
}

world_up() {
    W=$T/w
    i3ctl demo up "$W" || {
        W=''
        die "no world"
    }
}

# A command as a user of the world: as USER CMD...
as() {
    (
        . "$W/$1.env"
        shift
        exec "$@"
    )
}

address_of() {
    as "$1" i3ctl id --json | field address
}

# The value of a key of the JSON object on stdin.
field() {
    python3 -c 'import json,sys
v = json.load(sys.stdin)
for k in sys.argv[1].split("."):
    v = v[int(k)] if isinstance(v, list) else v[k]
print(v)' "$1"
}

# wait_for SECONDS COMMAND...: until it succeeds.
wait_for() {
    tries=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || return 1
        sleep 0.05
    done
}

# A server of USER under i3run; its output goes to $T/NAME.log; waits until it has printed "port N", which is left in PORT,
# and its process in SERVER: serve USER NAME CMD...
serve() {
    serve_user=$1 serve_log=$T/$2.log
    shift 2
    rm -f "$serve_log" # what an earlier one of that name has said is not waited for
    (
        . "$W/$serve_user.env"
        exec i3run "$@"
    ) >"$serve_log" 2>&1 </dev/null &
    SERVER=$!
    STARTED="$STARTED $SERVER"
    wait_for 15 grep -q '^port ' "$serve_log" || {
        cat "$serve_log"
        die "the server does not listen: $*"
    }
    PORT=$(sed -n 's/^port //p' "$serve_log" | head -1)
    # the daemon hears of a listener while listen() runs, so there is nothing more to wait for
}

triggers_stand() {
    as "$1" i3ctl status --json | python3 -c 'import json,sys
t = json.load(sys.stdin)["triggers"]
sys.exit(not t or any(x["state"].lower() not in ("standing", "refreshing") for x in t))'
}

# The daemon of USER anew, with what its config says now.
daemon_restart() {
    as "$1" i3ctl stop >/dev/null
    daemon_start "$1"
}

# The daemon with that process number, and before it the one that would start it anew.
with_keeper() {
    keeper=$(ps -o ppid= -p "$1" | tr -d ' ')
    [ "$(cat "/proc/$keeper/comm")" != i3keep ] || printf '%s ' "$keeper"
    echo "$1"
}

# It dies, and nobody starts it anew: daemon_kill USER.
daemon_kill() {
    # shellcheck disable=SC2046
    kill -9 $(with_keeper "$(cat "$W/$1/run/i3/i3d.pid")")
}

daemon_start() {
    as "$1" i3d --ensure || die "$1's daemon does not start"
    wait_for 15 triggers_stand "$1" || die "$1's triggers do not stand"
}

# One more user of the world: user_add NAME.
user_add() {
    mkdir -m 700 -p "$W/$1/config/i3" "$W/$1/data" "$W/$1/run"
    sed "s#/alice/#/$1/#g" "$W/alice.env" >"$W/$1.env"
    cp "$W/alice/config/i3/i3.conf" "$W/$1/config/i3/i3.conf"
    user_start "$1"
}
# Its daemon; the demo's own are ended by `i3ctl demo down`.
user_start() {
    daemon_start "$1"
    STARTED="$STARTED $(cat "$W/$1/run/i3/i3d.pid")"
}

# The first user has the second in the book.
know() {
    as "$1" i3ctl book add "$2" "$(as "$2" i3ctl id -q)" >/dev/null
}

# A relay before the node, with these options; nobody uses it yet.
relay_start() {
    rm -f "$T/relay.port"
    "$B/tests/lib/relay" --listen 127.0.0.1:0 --to "127.0.0.1:$(cat "$W/ring/port")" --port-file "$T/relay.port" "$@" \
        >"$T/relay.log" 2>&1 &
    RELAY=$!
    STARTED="$STARTED $RELAY"
    wait_for 5 test -s "$T/relay.port" || die "the relay did not start: $(cat "$T/relay.log")"
    RELAY_PORT=$(cat "$T/relay.port")
}

relay_stop() {
    kill "$RELAY"
    wait "$RELAY" || :
    cat "$T/relay.log"
}

# USER's daemon, through the relay, and nothing past it.
relay_use() {
    printf 'nodes = { "127.0.0.1:%s" }\nshortcut = no\n' "$RELAY_PORT" >"$W/$1/config/i3/i3.conf"
    daemon_restart "$1"
}

# USER's daemon, straight to the node again.
relay_unuse() {
    printf 'nodes = { "127.0.0.1:%s" }\n' "$(cat "$W/ring/port")" >"$W/$1/config/i3/i3.conf"
    daemon_restart "$1"
}
