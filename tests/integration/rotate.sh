#!/bin/sh
# A key is changed: those who are online take the new one at once and go on with their connections; who was away learns it later, also
# when both ends were killed in between; names, addresses and shares stay.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/people.sh"
people ann ben cay
plain web python3 "$LIB/web.py"
web=$PORT
plain drip python3 "$LIB/drip.py" serve
drip=$PORT
cd "$T"
key_of() {
    person "$1" i3ctl peers --json | python3 -c 'import json,sys
for p in json.load(sys.stdin)["peers"]:
    if p["name"] == sys.argv[1] + ".i3":
        print(p["fingerprint"])' "$2"
}
own() {
    person "$1" i3ctl peers --json | field own_fingerprint
}
knows() {
    [ "$(key_of "$1" "$2")" = "$(own "$2")" ]
}
told() {
    person "$1" i3ctl peers --json | python3 -c 'import json,sys
print(*sorted(p.get("knows_our_new_key") for p in json.load(sys.stdin)["peers"]))'
}
told_is() {
    [ "$(told "$1")" = "$2" ]
}
fetch() {
    person "$1" timeout 30 i3run curl -4 -sS -o /dev/null -m 20 "http://$2.i3:$3/"
}

person ben i3ctl join "$(code ann 8080 --target "$web" --node "$NODE" --as ann)" >/dev/null
person ben i3ctl join "$(code ann 8081 --target "$drip")" >/dev/null
person cay i3ctl join "$(code ann 8080 --target "$web" --as ann)" >/dev/null
person cay i3ctl join "$(code ben 7000 --target "$web" --as ben)" >/dev/null
fetch ben ann 8080
fetch cay ann 8080
fetch cay ben 7000
address=$(person ben i3ctl peers --json | field peers.0.address)
mine=$(person ann i3ctl id --json | field address)
old=$(own ann)

step "a connection stands, cay is away: ann changes the key"
person cay i3ctl stop >/dev/null
person ben i3run python3 -c 'import runpy, socket, sys
real = socket.getaddrinfo
socket.getaddrinfo = lambda h, p, f=0, *rest: real(h, p, socket.AF_INET, *rest)
sys.argv[0] = sys.argv.pop(1)
runpy.run_path(sys.argv[0], run_name="__main__")' "$LIB/drip.py" ann.i3 8081 4 >"$T/dripped" 2>&1 &
pull=$!
wait_for 10 grep -q started "$T/dripped"
person ann i3ctl rotate --json >"$T/rotated"
expect "was" "$(field former_fingerprint <"$T/rotated")" "$old"
wait_for 10 knows ben ann || die "ben has not learned it"
grep -q "changed its key.*was=$old is=$(own ann)" "$T/ben/run/i3/i3d.log" || die "ben's log does not say so"
person ben i3ctl peers >"$T/peers"
grep -q "it was $old" "$T/peers" || die "ben's screen does not show the old key"
expect "ben's address of ann" "$(person ben i3ctl peers --json | field peers.0.address)" "$address"
expect "ann's own address" "$(person ann i3ctl id --json | field address)" "$mine"
fetch ben ann 8080 || die "nothing after the change"
wait $pull || die "the connection broke: $(cat "$T/dripped")"
expect "who knows" "$(told ann)" "False True"

step "kill -9 here and there, and a second change, before cay is back"
kill -9 "$(cat "$T/ann/run/i3/i3d.pid")" "$(cat "$T/ben/run/i3/i3d.pid")"
wait_for 10 person ann i3ctl id
expect "the new key stays" "$(person ann i3ctl id -q)" "$(field key <"$T/rotated")"
person ann i3ctl rotate >/dev/null
person ben i3ctl id >/dev/null
wait_for 30 knows ben ann || die "ben has not learned the second"
fetch ben ann 8080

step "cay comes back, and knows the first key alone"
person cay i3ctl id >/dev/null
person cay i3run curl -sS -m 5 -o /dev/null "http://ann.i3:8080/" 2>/dev/null || :
wait_for 30 knows cay ann || die "cay has not learned it"
fetch cay ann 8080 || die "cay's share is lost"
wait_for 20 told_is ann "True True" || die "ann does not know that all know: $(person ann i3ctl peers)"

step "both ends change at the same time"
person cay i3ctl rotate >/dev/null &
person ben i3ctl rotate >/dev/null
wait $!
wait_for 30 knows cay ben || die "cay has lost ben"
wait_for 30 told_is ben "True True" || die "ben does not know that all know: $(person ben i3ctl peers)"
fetch cay ben 7000 || die "nothing after both have changed"

step "a code that was made before the change is good after it"
mkdir -m 700 "$T/dee" "$T/dee/run"
before=$(code ann 8080 --target "$web" --as ann)
person ann i3ctl rotate >/dev/null
person dee i3ctl join "$before" >/dev/null || die "the code is of no use any more"
wait_for 20 knows dee ann || die "who has joined by the old key does not learn the new one"
fetch dee ann 8080

step "there is an end to old keys, and the time of one is over"
refused 1 'still being answered for' person ann i3ctl rotate
fetch ben ann 8080
person dee i3ctl rotate --for 3s >/dev/null
wait_for 3 told_is dee "True" || die "ann did not hear in time"
wait_for 10 grep -q 'answers no more' "$T/dee/run/i3/i3d.log" || die "the old key goes on"
fetch dee ann 8080
