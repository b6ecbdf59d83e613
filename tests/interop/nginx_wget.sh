#!/bin/sh
# nginx with four workers under i3run, fetched by wget and by many curls: an inherited listener, accept4 and epoll at the
# server; the log shows the caller's virtual address.
. "$(dirname "$0")/../lib/world.sh"
world_up
mkdir "$T/www" "$T/tmp"
head -c 3000000 /dev/urandom >"$T/www/big"
echo hello >"$T/www/index.html"
port=18080
[ "$(id -u)" = 0 ] && user='user root;' || user='' # or its workers could not read the pages
cat >"$T/nginx.conf" <<EOF
$user
worker_processes 4;
daemon off;
pid $T/nginx.pid;
error_log $T/error.log;
events { worker_connections 512; }
http {
    access_log $T/access.log;
    client_body_temp_path $T/tmp/a; proxy_temp_path $T/tmp/b; fastcgi_temp_path $T/tmp/c; uwsgi_temp_path $T/tmp/d;
    scgi_temp_path $T/tmp/e;
    sendfile on;
    server { listen 127.0.0.1:$port; root $T/www; }
}
EOF
(
    . "$W/bob.env"
    exec i3run nginx -e "$T/error.log" -c "$T/nginx.conf"
) >"$T/nginx.log" 2>&1 &
STARTED="$STARTED $!"
wait_for 10 test -s "$T/nginx.pid" || die "nginx: $(cat "$T/nginx.log" "$T/error.log")"
wait_for 10 as alice i3run wget -q -T 5 -t 1 -O /dev/null "http://bob.i3:$port/" || die "nginx does not answer over i3"

step "wget, whole and resumed"
as alice i3run wget -q -T 20 -t 1 -O "$T/got" "http://bob.i3:$port/big"
cmp "$T/got" "$T/www/big"
head -c 1000000 "$T/www/big" >"$T/got"
as alice i3run wget -q -c -T 20 -t 1 -O "$T/got" "http://bob.i3:$port/big"
cmp "$T/got" "$T/www/big"

step "one curl, many requests on one connection"
as alice i3run curl -sS --max-time 20 "http://bob.i3:$port/index.html?[1-50]" >"$T/pages"
expect "pages" "$(grep -c hello "$T/pages")" 50

step "curl's parallel mode"
as alice i3run curl -sS --max-time 30 --parallel --parallel-max 30 -o "$T/p#1" "http://bob.i3:$port/big?[1-30]"
for i in 1 7 30; do
    cmp "$T/p$i" "$T/www/big"
done

step "nginx saw alice"
alice=$(address_of alice)
expect "other callers in the log" "$(grep -vc "^$alice " "$T/access.log" || :)" 0
