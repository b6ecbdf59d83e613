# programs.sh - sourced after world.sh by the scripts in tests/interop: Debian's own programs as servers and clients of a world.
# shellcheck shell=sh
PATH=$B/bin:/usr/sbin:/usr/bin:/sbin:/bin # Debian's, whatever else a machine has in /usr/local
ME=$(id -un)

# need PROGRAM...: ends the script as skipped where one is missing.
need() {
    for program in "$@"; do
        command -v "$program" >/dev/null || { echo "needs $program"; exit 77; }
    done
}

# A program of USER under i3run, in the background, its output in $T/NAME.log, its process in SERVER: back USER NAME CMD...
# (`as USER i3run CMD... &` would leave in $! a shell that waits for it, which is of no use for a signal.)
back() {
    back_user=$1 back_log=$T/$2.log
    shift 2
    (
        . "$W/$back_user.env"
        exec i3run "$@"
    ) >"$back_log" 2>&1 </dev/null &
    SERVER=$!
    STARTED="$STARTED $SERVER"
}

# Does USER's daemon know of a listener on this port? listens USER PORT [udp]
listens() {
    as "$1" i3ctl status --json | python3 -c 'import json, sys
port, proto = int(sys.argv[1]), sys.argv[2]
sys.exit(not any(x["proto"] == proto and x["port"] == port for x in json.load(sys.stdin)["listeners"]))' "$2" "${3:-tcp}"
}

# The same as a server that is up on PORT, or the end of the script with its output: back_on PORT[/udp] USER NAME CMD...
back_on() {
    back_port=${1%/udp} back_proto=tcp
    [ "$1" = "$back_port" ] || back_proto=udp
    shift
    back "$@"
    wait_for 15 listens "$back_user" "$back_port" $back_proto || die "no server on $back_port: $* $(tail -30 "$back_log")"
}

# Ends a process of ours and waits for it; no status, as it may be one or the other: end PID [SIGNAL]
end() {
    kill -"${2:-TERM}" "$1" 2>/dev/null || :
    wait "$1" 2>/dev/null || :
}

# has FILE PATTERN: for wait_for; and must_have for the end of the script if it has not.
has() {
    grep -q -e "$2" "$1" 2>/dev/null
}
must_have() {
    has "$1" "$2" || die "'$2' is not in $1: $(tail -30 "$1")"
}

# Of a web server with hello in index.html and a copy of $T/www/big, by the script's own `fetch`: pages on one connection, then big files
# on many at once: many_pages URL
many_pages() {
    fetch "$1/index.html?[1-50]" >"$T/pages"
    expect "pages" "$(grep -c hello "$T/pages")" 50
    fetch -Z --no-progress-meter --parallel-max 30 -o "$T/p#1" "$1/big?[1-30]"
    for i in 1 7 30; do
        cmp "$T/p$i" "$T/www/big"
    done
}
