# browser.sh - sourced after world.sh by the tests of browsers: bob's site (site.py), and what a picture of it must show.
#
#     site_up NAME [--v6]    bob serves the site; PORT; its log is $T/NAME.log
#     tls_up                 bob's nginx before the site, with TLS and HTTP/2; TLS_PORT, certificate $T/tls.pem
#     shown NAME             the site last begun has been seen: $T/NAME.png shows the whole of the page, whose script was content; $T/NAME.log: the browser's words
#     callers_are LOG ADDR   every line of the log begins with this address
#     tracing                may processes be traced here?
#     trace NAME             prints what to put before a command so that what it sends is in $T/NAME.trace
#     nothing_leaked NAME    no question about .i3 has gone to a DNS server
# shellcheck shell=sh

export HOME="$T/home" DBUS_SESSION_BUS_ADDRESS=disabled: MOZ_CRASHREPORTER_DISABLE=1
mkdir "$HOME"

site_up() {
    SITE=$T/$1.log SHOWN=0
    shift
    : >"$T/go"
    serve bob "$(basename "$SITE" .log)" python3 "$LIB/site.py" --hold "$T/go" "$@"
}

tls_up() {
    TLS_PORT=$(free_port)
    mkdir "$T/nginx"
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/tls.key" -out "$T/tls.pem" -days 2 -subj /CN=bob.i3 \
        -addext subjectAltName=DNS:bob.i3 2>"$T/openssl.log" || die "$(cat "$T/openssl.log")"
    [ "$(id -u)" = 0 ] && user='user root;' || user=''
    cat >"$T/nginx.conf" <<EOF
$user
daemon off;
pid $T/nginx.pid;
error_log $T/nginx.error;
events { }
http {
    log_format plain '\$remote_addr \$server_protocol \$request_uri';
    access_log $T/nginx.access plain;
    client_body_temp_path $T/nginx/a; proxy_temp_path $T/nginx/b; fastcgi_temp_path $T/nginx/c; uwsgi_temp_path $T/nginx/d;
    scgi_temp_path $T/nginx/e;
    map \$http_upgrade \$connection_upgrade { default upgrade; '' ''; }
    server {
        listen $TLS_PORT ssl http2;
        ssl_certificate $T/tls.pem;
        ssl_certificate_key $T/tls.key;
        client_max_body_size 8m;
        proxy_http_version 1.1;
        proxy_buffering off;
        proxy_set_header Upgrade \$http_upgrade;
        proxy_set_header Connection \$connection_upgrade;
        location / { proxy_pass http://127.0.0.1:$PORT; }
    }
}
EOF
    (
        . "$W/bob.env"
        exec i3run nginx -e "$T/nginx.error" -c "$T/nginx.conf"
    ) >"$T/nginx.log" 2>&1 </dev/null &
    STARTED="$STARTED $!"
    wait_for 10 test -s "$T/nginx.pid" || die "nginx: $(cat "$T/nginx.log" "$T/nginx.error")"
}

shown() {
    SHOWN=$((SHOWN + 1))
    [ -s "$T/$1.png" ] || die "no picture: $(tail -20 "$T/$1.log")"
    grep 'POST /done' "$SITE" >"$T/done"
    expect "pages which said that they are done" "$(wc -l <"$T/done")" "$SHOWN"
    tail -1 "$T/done" | grep -q '?all-well$' || die "the page's script: $(tail -1 "$T/done")"
    python3 "$LIB/pixels.py" "$T/$1.png" 50,50=2060c0 150,50=c02060 250,50=20c060 350,50=c0a020
}

callers_are() {
    [ -s "$1" ] || die "nobody called"
    ! grep -v -e "^$2 " -e '^port ' "$1" || die "who is that? alice is $2"
}

tracing() {
    strace -qq -f --seccomp-bpf -o /dev/null true 2>/dev/null
}

trace() {
    echo "strace -f -qq --seccomp-bpf -yy -s 300 -e trace=connect,sendto,sendmsg,sendmmsg -o $T/$1.trace"
}

nothing_leaked() {
    python3 "$LIB/leaks.py" "$T/$1.trace" || die "questions about .i3 have left the machine"
}
