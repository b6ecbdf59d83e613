#!/bin/sh
# curl in all its ways: whole and in ranges, up and down, kept alive and in parallel, either family, from a port of its own choice,
# through a proxy, by names and addresses, HTTP/2 and telnet; and its exit status where there is nobody.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
need curl nginx openssl socat
world_up
alice=$(address_of alice) bob=$(address_of bob)
bob6=$(as bob i3ctl id --json | field address6)
mkdir "$T/www" "$T/tmp"
head -c 3000000 /dev/urandom >"$T/www/big"
echo hello >"$T/www/small"
port=$(free_port) tls=$(free_port)
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=bob.i3 -addext subjectAltName=DNS:bob.i3 -keyout "$T/key" -out "$T/crt" 2>/dev/null
[ "$(id -u)" = 0 ] && user='user root;' || user=''
cat >"$T/nginx.conf" <<END
$user
daemon off;
pid $T/nginx.pid;
events { }
http {
    access_log $T/access.log;
    client_max_body_size 100m;
    client_body_temp_path $T/tmp/a; proxy_temp_path $T/tmp/b; fastcgi_temp_path $T/tmp/c; uwsgi_temp_path $T/tmp/d;
    scgi_temp_path $T/tmp/e;
    server {
        listen $port;
        listen [::]:$port;
        listen $tls ssl http2;
        listen [::]:$tls ssl http2;
        ssl_certificate $T/crt;
        ssl_certificate_key $T/key;
        root $T/www;
        location /put/ { dav_methods PUT DELETE; create_full_put_path on; }
        location /seen { return 200 "\$remote_addr \$remote_port \$server_addr \$server_port\n"; }
        location /moved { return 302 /small; }
    }
}
END
back_on "$port" bob nginx nginx -e "$T/error.log" -c "$T/nginx.conf"
wait_for 10 listens bob "$tls"
fetch() {
    as alice i3run curl -sS --max-time 20 "$@"
}
url=http://bob.i3:$port

step "down: whole, in ranges, resumed, compressed, moved, its head alone"
fetch "$url/big" | cmp - "$T/www/big"
fetch -r 1000000-1999999 "$url/big" >"$T/range"
tail -c +1000001 "$T/www/big" | head -c 1000000 | cmp - "$T/range"
head -c 777777 "$T/www/big" >"$T/got"
fetch -C - -o "$T/got" "$url/big"
cmp "$T/got" "$T/www/big"
expect "compressed" "$(fetch --compressed "$url/small")" hello
expect "moved" "$(fetch -L "$url/moved")" hello
fetch -I "$url/big" | tr -d '\r' >"$T/head"
must_have "$T/head" '^Content-Length: 3000000$'
expect "HTTP/1.0" "$(fetch --http1.0 "$url/small")" hello
fetch --limit-rate 3M "$url/big" | cmp - "$T/www/big"

step "up: from a file, from a pipe (chunked), with Expect"
fetch -T "$T/www/big" "$url/put/one"
cmp "$T/www/put/one" "$T/www/big"
fetch -T - "$url/put/two" <"$T/www/big"
cmp "$T/www/put/two" "$T/www/big"
fetch -H 'Expect: 100-continue' -T "$T/www/big" "$url/put/three"
cmp "$T/www/put/three" "$T/www/big"
fetch -X DELETE "$url/put/three"
[ ! -e "$T/www/put/three" ] || die "it is still there"

step "by name and by address, in either family; the same four-tuple at both ends"
for to in "-4 bob.i3" "-6 bob.i3" "$bob" "-g [$bob6]" "--resolve x.example:$port:$bob x.example" "--connect-to y.example::bob.i3: y.example"; do
    host=${to##* }
    case $to in *' '*) how=${to% *} ;; *) how= ;; esac
    # shellcheck disable=SC2086
    fetch $how -w '%{local_ip} %{local_port} %{remote_ip} %{remote_port}\n' "http://$host:$port/seen" >"$T/seen" || die "curl $to"
    expect "curl $to" "$(sed -n 1p "$T/seen")" "$(sed -n 2p "$T/seen")"
done
own=$(free_port)
expect "a port of one's own" "$(fetch --local-port "$own" "$url/seen")" "$alice $own $bob $port"
expect "the own address" "$(fetch --interface "$alice" "$url/seen" | cut -d ' ' -f 1)" "$alice"

step "kept alive, in parallel, HTTP/2"
fetch -w '%{num_connects}\n' -o /dev/null "$url/small?[1-50]" | sort | uniq -c | tr -s ' ' >"$T/connects"
expect "one connection" "$(tr '\n' ' ' <"$T/connects")" " 49 0  1 1 "
fetch -Z --no-progress-meter --parallel-max 40 --parallel-immediate -o "$T/p#1" "$url/big?[1-40]"
for i in 1 20 40; do
    cmp "$T/p$i" "$T/www/big"
done
expect "HTTP/2" "$(fetch --cacert "$T/crt" --http2 -w '%{http_version}' -o "$T/got" "https://bob.i3:$tls/big")" 2
cmp "$T/got" "$T/www/big"
fetch --cacert "$T/crt" -6 -Z --no-progress-meter --parallel-max 20 -o "$T/q#1" "https://bob.i3:$tls/big?[1-20]"
cmp "$T/q20" "$T/www/big"

step "a virtual name for a proxy"
proxy=$(free_port)
back_on "$proxy" bob proxy socat "TCP-LISTEN:$proxy,fork,reuseaddr" "TCP:127.0.0.1:$port"
expect "by bob's proxy" "$(fetch -x "http://bob.i3:$proxy" http://whatever.example/small)" hello
end $SERVER

step "telnet"
expect "telnet" "$(printf 'GET /small HTTP/1.0\r\n\r\n' | fetch "telnet://bob.i3:$port" | tail -1)" hello

step "nobody there: the status, at once"
closed=$(free_port)
mkfifo "$T/silence"
# try STATUS OPTIONS... URL
try() {
    want=$1
    shift
    got=0
    timeout 15 sh -c '. "$1"; shift; exec i3run curl -sS --max-time 10 "$@"' - "$W/alice.env" "$@" >"$T/out" 2>&1 || got=$?
    expect "curl $*" "$got" "$want"
}
try 7 "http://bob.i3:$closed/"
must_have "$T/out" "refused\|Couldn't connect"
try 7 -6 "http://bob.i3:$closed/"
try 6 "http://nobody-of-that-name.i3:$port/"
must_have "$T/out" 'Could not resolve host'
back_on "$closed" bob silent socat "TCP-LISTEN:$closed" PIPE:"$T/silence",rdonly
try 28 --max-time 0.3 "http://bob.i3:$closed/"
