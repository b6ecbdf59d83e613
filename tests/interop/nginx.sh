#!/bin/sh
# nginx with four workers under i3run: an inherited listener, accept4, epoll and sendfile at the server; wget, curl and ab as
# clients; a reload, new binaries in place of the old, a proxy to a server of the other user's, TLS, and who may come in.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
need nginx wget curl openssl python3
world_up
alice=$(address_of alice) bob=$(address_of bob)
mkdir "$T/www" "$T/tmp" "$T/alice-www"
head -c 3000000 /dev/urandom >"$T/www/big"
echo hello >"$T/www/index.html"
echo 'from alice' >"$T/alice-www/page"
port=$(free_port) tls=$(free_port) back=$(free_port)
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=bob.i3 -addext subjectAltName=DNS:bob.i3 -keyout "$T/key" -out "$T/crt" 2>/dev/null
[ "$(id -u)" = 0 ] && user='user root;' || user='' # or its workers could not read the pages

# nginx_conf NAME_IN_A_HEADER [reuseport]
nginx_conf() {
    cat >"$T/nginx.conf" <<END
$user
worker_processes 4;
pid $T/nginx.pid;
error_log $T/error.log;
events { worker_connections 512; }
http {
    access_log $T/access.log;
    client_body_temp_path $T/tmp/a; proxy_temp_path $T/tmp/b; fastcgi_temp_path $T/tmp/c; uwsgi_temp_path $T/tmp/d;
    scgi_temp_path $T/tmp/e;
    sendfile on;
    add_header X-Generation $1;
    server {
        listen 0.0.0.0:$port ${2-};
        listen [::]:$port ${2-};
        listen 127.0.0.1:$tls ssl;
        ssl_certificate $T/crt;
        ssl_certificate_key $T/key;
        root $T/www;
        location /alice/ { proxy_pass http://alice.i3:$back/; }
        location /only-alice/ { allow $alice; deny all; alias $T/www/; }
        location /not-alice/ { deny $alice; allow all; alias $T/www/; }
        location /seen { return 200 "\$remote_addr \$remote_port \$server_addr \$server_port\n"; }
    }
}
END
}
# as a daemon, the process is in its file
nginx_up() {
    back_on "$port" bob nginx "$(command -v nginx)" -e "$T/error.log" -c "$T/nginx.conf"
    wait_for 10 test -s "$T/nginx.pid" || die "nginx: $(cat "$T/nginx.log" "$T/error.log")"
    STARTED="$STARTED $(cat "$T/nginx.pid")"
}
nginx_conf first
nginx_up
fetch() {
    as alice i3run curl -sS --max-time 20 "$@"
}
url=http://bob.i3:$port

step "wget, whole, resumed, and a tree"
as alice i3run wget -q -T 20 -t 1 -O "$T/got" "$url/big"
cmp "$T/got" "$T/www/big"
head -c 1000000 "$T/www/big" >"$T/got"
as alice i3run wget -q -c -T 20 -t 1 -O "$T/got" "$url/big"
cmp "$T/got" "$T/www/big"
as alice i3run wget -q -6 -T 20 -t 1 -O "$T/got" "$url/big"
cmp "$T/got" "$T/www/big"
echo '<a href="a/b.html">b</a>' >"$T/www/tree.html"
mkdir "$T/www/a"
echo leaf >"$T/www/a/b.html"
(cd "$T" && as alice i3run wget -q -r -np -nH -P tree -T 20 -t 1 "$url/tree.html")
expect "the leaf" "$(cat "$T/tree/a/b.html")" leaf

step "one curl, many requests on one connection; then in parallel"
many_pages "$url"

step "who is who"
fetch -w '%{local_ip} %{local_port} %{remote_ip} %{remote_port}\n' "$url/seen" >"$T/seen"
expect "the same four-tuple at both ends" "$(sed -n 1p "$T/seen")" "$(sed -n 2p "$T/seen")"
expect "the caller" "$(cut -d ' ' -f 1,3,4 "$T/seen" | head -1)" "$alice $bob $port"
expect "allowed" "$(fetch -o /dev/null -w '%{http_code}' "$url/only-alice/index.html")" 200
expect "denied" "$(fetch -o /dev/null -w '%{http_code}' "$url/not-alice/index.html")" 403
expect "other callers in the log" "$(grep -vc -e "^$alice " -e '^fd69:3300:' "$T/access.log" || :)" 0

step "TLS and HTTP/2 by name"
fetch --cacert "$T/crt" "https://bob.i3:$tls/big" | cmp - "$T/www/big"

step "a proxy to a server of alice's, by name"
cd "$T/alice-www"
back_on "$back" alice web python3 -m http.server --bind 127.0.0.1 "$back"
cd "$T"
# nginx looks names up when it starts: alice's is known by then
expect "the page" "$(fetch "$url/alice/page")" 'from alice'
must_have "$T/web.log" "^$bob .*GET /page"

# the generation that answers
generation() {
    fetch -o /dev/null -D - "$url/" | tr -d '\r' | sed -n 's/^X-Generation: //p'
}
is_generation() {
    [ "$(generation)" = "$1" ]
}
step "a reload: new workers, no request lost"
expect "generation" "$(generation)" first
fetch --limit-rate 2M -o "$T/slow" "$url/big" &
slow=$!
nginx_conf second
kill -HUP "$(cat "$T/nginx.pid")"
wait_for 10 is_generation second || die "$(cat "$T/error.log")"
wait $slow || die "the fetch which ran during the reload"
cmp "$T/slow" "$T/www/big"

step "another binary in its place, with the listeners handed down"
old=$(cat "$T/nginx.pid")
nginx_conf third
kill -USR2 "$old"
wait_for 10 test -s "$T/nginx.pid.oldbin" -a -s "$T/nginx.pid" || die "$(cat "$T/error.log")"
new=$(cat "$T/nginx.pid")
STARTED="$STARTED $new"
kill -WINCH "$old"
wait_for 10 is_generation third || die "$(cat "$T/error.log")"
kill -QUIT "$old"
ended() {
    ! kill -0 "$1" 2>/dev/null
}
wait_for 10 ended "$old" || die "the old one stays"
for i in 1 2 3 4 5; do
    expect "generation" "$(generation)" third
done
fetch "$url/big" | cmp - "$T/www/big"
kill -QUIT "$new"
wait_for 10 ended "$new"

step "a listener for each worker (reuseport): 200 connections reach them all"
nginx_conf fourth reuseport
nginx_up
for i in $(seq 8); do
    fetch -Z --no-progress-meter --parallel-max 25 -H 'Connection: close' -o /dev/null "$url/index.html?[1-25]" || die "curl $i"
done
expect "requests" "$(grep -c "^$alice .*GET /index.html?[0-9]* .* 200" "$T/access.log")" 250
