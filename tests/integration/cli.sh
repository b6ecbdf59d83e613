#!/bin/sh
# i3ctl from end to end: every verb, its JSON, its errors and its exit status; demo worlds made, refused and ended.
. "$(dirname "$0")/../lib/world.sh"

# status WANTED CMD...: runs it with output in $T/out, errors in $T/err
status() {
    wanted=$1 rc=0
    shift
    "$@" >"$T/out" 2>"$T/err" </dev/null || rc=$?
    [ $rc = "$wanted" ] || die "$*: status $rc, wanted $wanted: $(cat "$T/out" "$T/err")"
}

json() {
    python3 -c 'import json,sys
json.load(sys.stdin)' <"$T/out" || die "no JSON: $(cat "$T/out")"
}

said() {
    grep -q -e "$1" "$T/err" || die "stderr without '$1': $(cat "$T/err")"
}

step "usage"
status 2 i3ctl
status 0 i3ctl help
status 0 i3ctl --help
status 0 i3ctl help book
status 0 i3ctl book add --help
status 2 i3ctl sttaus
said 'did you mean `status`'
status 2 i3ctl book
status 2 i3ctl book rm
status 2 i3ctl book ad x
status 2 i3ctl ping a 1 2
status 2 i3ctl id --frob
status 0 i3ctl version
status 0 i3ctl version --json
json

step "no daemon: status and stop say so and start none"
mkdir -p "$T/none/run"
status 3 env XDG_RUNTIME_DIR="$T/none/run" i3ctl status
said 'no daemon runs'
status 3 env XDG_RUNTIME_DIR="$T/none/run" i3ctl stop --json
json
expect "processes left" "$(ps -e -o args= | grep -F "$T/none" | grep -v grep || :)" ''

step "a first start: identity made, kept, private"
mkdir -p "$T/u/config" "$T/u/data" "$T/u/run"
W=$T/u # so that processes are looked for
new() {
    env XDG_CONFIG_HOME="$T/u/config" XDG_DATA_HOME="$T/u/data" XDG_RUNTIME_DIR="$T/u/run" "$@"
}
status 0 new i3ctl init --json
json
expect "created" "$(field created <"$T/out")" True
key=$(field key <"$T/out")
expect "characters in a key" ${#key} 52
status 0 new i3ctl id -q
expect "i3ctl id -q" "$(cat "$T/out")" "$key"
status 0 new i3ctl id
expect "first line of i3ctl id" "$(head -1 "$T/out")" "$key"
status 0 new i3ctl stop
status 3 new i3ctl status
expect "processes left" "$(world_processes)" ''
status 0 new i3ctl id -q
expect "the key after a restart" "$(cat "$T/out")" "$key"
expect "mode of the identity" "$(stat -c %a "$T/u/data/i3/identity")" 600
expect "mode of the runtime folder" "$(stat -c %a "$T/u/run/i3")" 700
expect "mode of the socket" "$(stat -c %a "$T/u/run/i3/i3d.sock")" 600
status 0 new i3ctl stop
W=''

step "a bad config names file, line and option"
echo 'mtu = "many"' >"$T/u/config/i3.conf" && mkdir -p "$T/u/config/i3" && mv "$T/u/config/i3.conf" "$T/u/config/i3/i3.conf"
status 78 new i3ctl id
said 'i3.conf:1:'
status 78 new i3ctl id --json
json

world_up
alice() {
    as alice i3ctl "$@"
}
bob_key=$(as bob i3ctl id -q)

step "the book"
status 0 alice book ls
grep -q "bob.*$bob_key" "$T/out" || die "bob is not in the list: $(cat "$T/out")"
status 0 alice book ls --json
json
status 0 alice book add carol "$bob_key"
status 0 alice book add carol "$bob_key"
status 4 alice book add carol "$(as alice i3ctl id -q)"
said 'i3ctl: '
status 1 alice book add dave AAAA
status 1 alice book add 'no name' "$bob_key"
status 1 alice book add --json dave AAAA
json
status 0 alice book rm carol
status 1 alice book rm carol
said carol

step "ping"
status 0 alice ping bob.i3 2
expect "lines of ping" "$(wc -l <"$T/out")" 5
status 0 alice ping --json bob 1
python3 -c 'import json,sys
rows = [json.loads(line) for line in sys.stdin]
assert len(rows) == 2 and rows[0]["seq"] == 1 and rows[0]["rtt_us"] > 0, rows
assert rows[1]["sent"] == rows[1]["received"] == 1, rows' <"$T/out"
status 1 alice ping nobody-knows.i3
said nobody-knows
status 2 alice ping bob -- -1
status 2 alice ping bob many
said 'COUNT is a number'

step "status"
status 0 alice status
grep -q '^online *yes, by overlay node' "$T/out" || die "status: $(cat "$T/out")"
status 0 alice status -v
grep -q ': all standing' "$T/out" || die "status: $(cat "$T/out")"
status 0 alice status --json
json
expect "the address in status" "$(field address <"$T/out")" "$(address_of alice)"
python3 -c 'import json,sys
s = json.load(sys.stdin)
assert s["node"]["reachable"] and s["triggers"] and s["pid"] > 0 and s["peers"][0]["bytes_in"] > 0, s' <"$T/out"

step "an unknown verb of the daemon is refused"
python3 - "$W/alice/run/i3/i3d.sock" <<'PY'
import json, socket, struct, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(5)
s.connect(sys.argv[1])
def ask(serial, *words):
    s.send(bytes([1, 8, 0, 0]) + struct.pack(">I", serial) + b"".join(w.encode() + b"\0" for w in words))
    r = s.recv(65536)
    assert r[:4] == b"\x01\x88\0\0" and struct.unpack(">I", r[4:8])[0] == serial, r
    return r[9], json.loads(r[12:].rstrip(b"\0"))
code, doc = ask(7, "frobnicate")
assert code and doc["error"], (code, doc)
code, doc = ask(8, "id")
assert code == 0 and len(doc["key"]) == 52, (code, doc)
code, doc = ask(9, *["x" * 100] * 100)
assert code and doc["error"], (code, doc)
PY

step "demo worlds: status, side by side, refused where they must be"
status 0 i3ctl demo status "$W"
status 0 i3ctl demo up "$T/w2" --json
json
status 0 env -C "$T" i3ctl demo status w2
status 1 i3ctl demo up "$T/w2"
said 'new or an empty'
status 1 i3ctl demo down "$T"
said 'not a demo world'
status 1 i3ctl demo down "$T/nowhere"
status 1 i3ctl demo up "$T/$(printf '%0100d' 0)"
said 'too long'
# shellcheck disable=SC2046
kill -9 $(with_keeper "$(cat "$T/w2/bob/run/i3/i3d.pid")")
status 3 i3ctl demo status "$T/w2"
status 0 i3ctl demo down "$T/w2"
[ ! -e "$T/w2" ] || die "demo down left $T/w2"
expect "processes left" "$(ps -e -o args= | grep -F "$T/w2" | grep -v grep || :)" ''
status 0 i3ctl demo status "$W"
mkdir "$T/it's a world"
status 0 i3ctl demo up "$T/it's a world"
status 0 sh -euc '. "$1/bob.env"; . "$1/alice.env"; i3ctl ping bob 1' - "$T/it's a world"
status 0 i3ctl demo down "$T/it's a world"

step "stop"
status 0 alice stop
status 3 alice status
