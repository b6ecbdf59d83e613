#!/bin/sh
# Redis: redis-cli and redis-benchmark over the overlay, publish and subscribe, and a replica at the other user's that follows its
# master by name.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
need redis-server redis-cli redis-benchmark
world_up
alice=$(address_of alice) bob=$(address_of bob)
port=$(free_port) port2=$(free_port)
mkdir "$T/r1" "$T/r2"

back_on "$port" bob redis redis-server --port "$port" --bind 127.0.0.1 --protected-mode no --save '' --dir "$T/r1" --repl-diskless-sync-delay 0

cli() {
    as alice i3run timeout 20 redis-cli -h bob.i3 -p "$port" "$@"
}

step "redis-cli: values, a pipe of 10000 commands, a value of 8 MB"
expect "SET" "$(cli SET greeting hello)" OK
expect "GET" "$(cli GET greeting)" hello
seq 10000 | sed 's/.*/INCR counter/' | cli --pipe >"$T/pipe" || die "$(cat "$T/pipe")"
must_have "$T/pipe" 'errors: 0, replies: 10000'
expect "the counter" "$(cli GET counter)" 10000
head -c 6000000 /dev/urandom | base64 -w 0 >"$T/value"
expect "SET of 8 MB" "$(cli -x SET big <"$T/value")" OK
cli --raw GET big | tr -d '\n' | cmp - "$T/value"
cli CLIENT LIST >"$T/clients"
must_have "$T/clients" " addr=$alice:[0-9]* laddr=$bob:$port "

step "publish and subscribe"
back alice news redis-cli -h bob.i3 -p "$port" SUBSCRIBE news
wait_for 10 has "$T/news.log" subscribe
for i in 1 2 3; do
    expect "receivers" "$(as bob i3run redis-cli -p "$port" PUBLISH news "message $i")" 1
done
wait_for 10 has "$T/news.log" 'message 3' || die "no news: $(cat "$T/news.log")"
end $SERVER

step "redis-benchmark: 50 clients, pipelined, and on several threads"
as alice i3run timeout 60 redis-benchmark -h bob.i3 -p "$port" -c 50 -n 20000 -t set,get,lpush,mset -q >"$T/bench" 2>&1 ||
    die "$(cat "$T/bench")"
as alice i3run timeout 60 redis-benchmark -h bob.i3 -p "$port" -c 50 -n 100000 -P 32 -t set,get -q --threads 2 >>"$T/bench" 2>&1 ||
    die "$(cat "$T/bench")"
! grep -i error "$T/bench" || die "errors"
tr '\r' '\n' <"$T/bench" | grep 'requests per second' | sed 's/^/    /'

step "a replica at alice's, by name"
back_on "$port2" alice replica redis-server --port "$port2" --bind 127.0.0.1 --protected-mode no --save '' --dir "$T/r2" --replicaof bob.i3 "$port" 
in_step() {
    [ "$(as bob i3run redis-cli -h alice.i3 -p "$port2" GET last)" = "$1" ]
}
cli SET last word >/dev/null
wait_for 20 in_step word || die "the replica: $(cat "$T/replica.log")"
expect "its keys" "$(as bob i3run redis-cli -h alice.i3 -p "$port2" DBSIZE)" "$(cli DBSIZE)"
expect "a write to it" "$(as bob i3run redis-cli -h alice.i3 -p "$port2" SET a b 2>&1 | cut -c 1-8)" READONLY
cli INFO replication >"$T/info"
must_have "$T/info" "slave0:ip=$alice,port=$port2,state=online"
