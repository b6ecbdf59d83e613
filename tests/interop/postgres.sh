#!/bin/sh
# PostgreSQL: psql over the overlay with a password and TLS, COPY of megabytes both ways, LISTEN/NOTIFY, a query cancelled by a
# second connection, pgbench with many clients, and a physical copy by pg_basebackup; the server knows callers by virtual address.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)
PATH=$bin:$PATH
need initdb postgres psql pgbench openssl
[ "$(id -u)" != 0 ] || { echo "postgres does not run as root"; exit 77; }
world_up
alice=$(address_of alice) bob=$(address_of bob)
port=$(free_port)
D=$T/data
echo secret >"$T/pw"
initdb -D "$D" -U owner --pwfile="$T/pw" -A scram-sha-256 --no-sync --locale=C.UTF-8 >"$T/initdb.log" 2>&1 || die "$(cat "$T/initdb.log")"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=bob.i3 -keyout "$D/server.key" -out "$D/server.crt" 2>/dev/null
chmod 600 "$D/server.key"
cat >>"$D/postgresql.conf" <<END
listen_addresses = '127.0.0.1'
port = $port
unix_socket_directories = '$T'
fsync = off
ssl = on
log_connections = on
END
# only alice's virtual address may come in over TCP, and only encrypted
cat >"$D/pg_hba.conf" <<END
local   all         all              trust
hostssl all         owner  $alice/32 scram-sha-256
hostssl replication owner  $alice/32 scram-sha-256
END
back_on "$port" bob postgres postgres -D "$D"
postgres=$SERVER
wait_for 20 has "$T/postgres.log" 'ready to accept connections' || die "$(cat "$T/postgres.log")"

sql() {
    as alice env PGPASSWORD=secret i3run timeout 60 psql -X -q -A -t -v ON_ERROR_STOP=1 \
        "host=bob.i3 port=$port user=owner dbname=postgres sslmode=verify-full sslrootcert=$D/server.crt" "$@"
}

step "psql, over the Unix socket and over the overlay"
expect "local" "$(as bob i3run psql -X -A -t -h "$T" -p "$port" -U owner postgres -c 'select 6 * 7')" 42
expect "remote" "$(sql -c 'select host(inet_client_addr()), host(inet_server_addr()), inet_server_port()')" "$alice|$bob|$port"
expect "TLS" "$(sql -c 'select ssl from pg_stat_ssl where pid = pg_backend_pid()')" t
must_have "$T/postgres.log" "connection received: host=$alice port="

step "COPY in and out"
seq 1 300000 | sed 's/.*/&\tthe row with the number &/' >"$T/rows"
sql -c 'create table rows (n int primary key, t text)' -c '\copy rows from pstdin' <"$T/rows"
expect "rows" "$(sql -c 'select count(*), sum(n) from rows')" '300000|45000150000'
sql -c '\copy (select * from rows order by n) to pstdout' | cmp - "$T/rows"

step "LISTEN and NOTIFY"
mkfifo "$T/in"
sql <"$T/in" >"$T/heard" 2>&1 &
listener=$!
STARTED="$STARTED $listener"
exec 3>"$T/in"
echo "listen bell; select 'listens';" >&3
wait_for 10 has "$T/heard" listens
sql -c "notify bell, 'ding'"
rung() {
    echo 'select 1;' >&3
    has "$T/heard" 'Asynchronous notification "bell" with payload "ding"'
}
wait_for 10 rung || die "no bell: $(cat "$T/heard")"
exec 3>&-
wait $listener

step "a query is cancelled"
back alice cancel env PGPASSWORD=secret psql -X "host=bob.i3 port=$port user=owner dbname=postgres" -c 'select pg_sleep(60)'
sleeper=$SERVER
sleeping() {
    [ "$(sql -c "select count(*) from pg_stat_activity where wait_event = 'PgSleep'")" = 1 ]
}
wait_for 10 sleeping
kill -INT $sleeper
wait_for 10 has "$T/cancel.log" 'canceling statement due to user request' || die "not cancelled: $(cat "$T/cancel.log")"

step "pgbench: 8 clients on 2 threads, then a connection for each transaction"
bench() {
    as alice env PGPASSWORD=secret PGSSLMODE=require i3run timeout 60 pgbench -h bob.i3 -p "$port" -U owner "$@" postgres >"$T/bench" 2>&1 ||
        die "pgbench $*: $(cat "$T/bench")"
}
bench -i -s 1 -q
bench -c 8 -j 2 -t 250
must_have "$T/bench" 'number of transactions actually processed: 2000/2000'
grep tps "$T/bench" | sed 's/^/    /'
bench -C -S -c 4 -t 25
must_have "$T/bench" 'number of transactions actually processed: 100/100'

step "pg_basebackup copies the cluster, two streams at a time"
as alice env PGPASSWORD=secret i3run timeout 60 pg_basebackup -d "host=bob.i3 port=$port user=owner" -D "$T/copy" -c fast -X stream --no-sync ||
    die "pg_basebackup"
as alice i3run pg_verifybackup "$T/copy" >"$T/verify" 2>&1 || die "$(cat "$T/verify")"
end $postgres INT
