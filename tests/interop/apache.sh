#!/bin/sh
# Apache: processes made beforehand (prefork) and threads (event), each with many clients, a graceful restart, keep-alive, an upload,
# access by the caller's address, names of callers in the log, and as a proxy to the other user's server.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
modules=/usr/lib/apache2/modules
need apache2 curl ab
[ -d $modules ] || { echo "needs Apache's modules"; exit 77; }
world_up
alice=$(address_of alice) bob=$(address_of bob)
port=$(free_port) back=$(free_port)
mkdir "$T/www" "$T/www/closed" "$T/www/friends" "$T/cgi" "$T/alice-www"
head -c 3000000 /dev/urandom >"$T/www/big"
for page in index.html closed/page friends/page; do
    echo hello >"$T/www/$page"
done
head -c 300000 /dev/urandom >"$T/www/middle"
echo 'from alice' >"$T/alice-www/page"
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"\necho "$REMOTE_ADDR $REMOTE_PORT $SERVER_ADDR $SERVER_PORT $REMOTE_HOST"\n' >"$T/cgi/who"
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"\ncksum\n' >"$T/cgi/sum"
chmod +x "$T/cgi/who" "$T/cgi/sum"

# apache_conf MPM GENERATION
apache_conf() {
    {
        [ "$1" = prefork ] && cgi=cgi || cgi=cgid
        for m in mpm_$1 authz_core authz_host alias env headers mime dir proxy proxy_http $cgi; do
            echo "LoadModule ${m}_module $modules/mod_$m.so"
        done
        cat <<END
ServerRoot "$T"
ServerName bob.i3
DefaultRuntimeDir "$T"
Listen $port
PidFile "$T/httpd.pid"
ErrorLog "$T/error.log"
LogFormat "%a %h %{c}a %A:%{local}p %U %s" short
CustomLog "$T/access.log" short
HostnameLookups On
TypesConfig /dev/null
DocumentRoot "$T/www"
Header set X-Generation $2
$([ "$1" = prefork ] && echo StartServers 40 || echo StartServers 3)
KeepAliveTimeout 1
ScriptAlias /cgi/ "$T/cgi/"
ProxyPass /alice/ http://alice.i3:$back/
<IfModule cgid_module>
    ScriptSock "$T/cgid.sock"
</IfModule>
<Directory "$T">
    Require all granted
</Directory>
<Directory "$T/www/closed">
    <RequireAll>
        Require all granted
        Require not ip $alice
    </RequireAll>
</Directory>
<Directory "$T/www/friends">
    Require host alice.i3
</Directory>
END
    } >"$T/httpd.conf"
}
fetch() {
    as alice i3run curl -sS --max-time 20 "$@"
}
url=http://bob.i3:$port
generation() {
    fetch -o /dev/null -D - "$url/" | tr -d '\r' | sed -n 's/^X-Generation: //p'
}
is_generation() {
    [ "$(generation)" = "$1" ]
}
cd "$T/alice-www"
back_on "$back" alice web python3 -m http.server --bind 127.0.0.1 "$back"
cd "$T"

for mpm in prefork event; do
    step "$mpm: pages, keep-alive, parallel, upload"
    apache_conf $mpm first
    rm -f "$T/access.log"
    # Apache ends its whole process group
    back_on "$port" bob "httpd-$mpm" setsid apache2 -f "$T/httpd.conf" -D FOREGROUND
    many_pages "$url"
    expect "the upload" "$(fetch -T "$T/www/big" "$url/cgi/sum")" "$(cksum <"$T/www/big")"
    as alice i3run timeout 60 ab -q -k -c 20 -n 2000 "$url/index.html" >"$T/ab" 2>&1 || die "$(cat "$T/ab")"
    must_have "$T/ab" '^Complete requests: *2000$'
    must_have "$T/ab" '^Failed requests: *0$'

    step "$mpm: who is who"
    fetch -w '%{local_ip} %{local_port} %{remote_ip} %{remote_port} alice.i3\n' "$url/cgi/who" >"$T/seen"
    expect "the same at both ends" "$(sed -n 1p "$T/seen")" "$(sed -n 2p "$T/seen")"
    expect "the caller" "$(cut -d ' ' -f 1,3,4 "$T/seen" | head -1)" "$alice $bob $port"
    expect "closed" "$(fetch -o /dev/null -w '%{http_code}' "$url/closed/page")" 403
    expect "open to the name" "$(fetch -o /dev/null -w '%{http_code}' "$url/friends/page")" 200
    must_have "$T/access.log" "^$alice alice.i3 $alice $bob:$port /big 200"
    expect "the proxied page" "$(fetch "$url/alice/page")" 'from alice'

    step "$mpm: a graceful restart under load"
    as alice i3run timeout 60 ab -q -c 10 -n 1000 "$url/middle" >"$T/ab" 2>&1 &
    load=$!
    apache_conf $mpm second
    kill -USR1 "$(cat "$T/httpd.pid")"
    wait_for 10 is_generation second || die "$(tail "$T/error.log")"
    wait $load || die "$(cat "$T/ab")"
    must_have "$T/ab" '^Complete requests: *1000$'
    must_have "$T/ab" '^Failed requests: *0$'
    end "$SERVER"
done
must_have "$T/web.log" "^$bob .*GET /page"
