# people.sh - sourced behind world.sh: users who have never run any of this, on one machine with a node; no demo world.
#
#     people ann ben                       homes without any file in them, and a node: NODE is its address
#     person ann i3ctl share 22
#
# T/NAME is a home.
# shellcheck shell=sh

person() {
    person_name=$1
    shift
    env -u XDG_DATA_HOME -u XDG_CONFIG_HOME HOME="$T/$person_name" XDG_RUNTIME_DIR="$T/$person_name/run" "$@"
}

people_end() {
    for home in "$T"/*/run; do
        who=$(basename "$(dirname "$home")")
        [ ! -S "$home/i3/i3d.sock" ] || person "$who" timeout 10 i3ctl stop >/dev/null 2>&1
    done
}

# What a person would look at first; in the place of a world's.
people_tell() {
    for home in "$T"/*/run; do
        echo "---- $(dirname "$home")"
        tail -n 25 "$home/i3/i3d.log" 2>/dev/null
    done
    [ -z "$DIED" ] || echo "$DIED"
}

people() {
    trap 'status=$?; trap - EXIT; set +e; [ $status = 0 ] || [ $status = 77 ] || people_tell; people_end; (exit $status); world_cleanup' EXIT
    NODE=127.0.0.1:$(free_port)
    i3node --listen "$NODE" >"$T/node.log" 2>&1 </dev/null &
    STARTED="$STARTED $!"
    for who; do
        mkdir -m 700 "$T/$who" "$T/$who/run"
    done
}

# A server that knows nothing of the overlay: plain NAME CMD..., its port is left in PORT.
plain() {
    plain_log=$T/$1.log
    shift
    "$@" >"$plain_log" 2>&1 </dev/null &
    STARTED="$STARTED $!"
    wait_for 15 grep -q '^port ' "$plain_log" || die "the server does not start: $(cat "$plain_log")"
    PORT=$(sed -n 's/^port //p' "$plain_log" | head -1)
}

# code NAME SHARE-WORDS...: the code that share prints
code() {
    code_of=$1
    shift
    person "$code_of" i3ctl share "$@" --json | field code
}

# refused STATUS WORDS COMMAND...: fails with that exit status, and says that
refused() {
    refused_status=$1 refused_words=$2
    shift 2
    rc=0
    "$@" >"$T/said" 2>&1 || rc=$?
    [ $rc = "$refused_status" ] || die "exit status $rc, wanted $refused_status, of: $* ($(cat "$T/said"))"
    grep -q -e "$refused_words" "$T/said" || die "no '$refused_words' in: $(cat "$T/said")"
}
