#!/bin/sh
# Programs of every kind, a line or two for each: those which are installed here. Every one is a server of bob's, or a client of
# alice's, as it is.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
need curl python3
world_up
alice=$(address_of alice) bob=$(address_of bob)
cd "$T"
mkdir www
head -c 3000000 /dev/urandom >www/big
echo hello >www/page
run() {
    as alice i3run timeout 20 "$@"
}
# have PROGRAM...: announces the step; false where one is not installed
have() {
    for program in "$@"; do
        command -v "$program" >/dev/null || return 1
    done
    step "$*"
    port=$(free_port)
}
web=$(free_port)
back_on "$web" bob web python3 -m http.server --bind 127.0.0.1 --directory www "$web"
page=http://bob.i3:$web/page

# ---- clients of that server ----
# page_by PROGRAM OPTIONS...
page_by() {
    ! have "$1" || expect "$1" "$(run "$@" 2>"$T/err" | tr -d ' \r\n')" hello
}
page_by wget -q -O - "$page"
page_by lynx -dump "$page"
page_by w3m -dump "$page"
page_by links -dump "$page"
page_by perl -MHTTP::Tiny -e "print HTTP::Tiny->new->get('$page')->{content}"
page_by ruby -rnet/http -e "puts Net::HTTP.get(URI('$page'))"
page_by php -r "echo file_get_contents('$page');"
page_by http --ignore-stdin -b "$page"
page_by bash -c "exec 3<>/dev/tcp/bob.i3/$web; printf 'GET /page HTTP/1.0\r\n\r\n' >&3; tail -1 <&3"
page_by env -i curl -s "$page"
page_by setsid -w nohup sh -c "echo $page | xargs -P 2 curl -s"
page_by strace -f -o /dev/null curl -s "$page"
page_by valgrind -q --log-file=/dev/null curl -s "$page"
if have gdb; then
    run gdb -q -batch -ex run --args curl -s "$page" >gdb.out 2>&1
    must_have gdb.out '^hello'
    must_have gdb.out 'exited normally'
fi
if have aria2c; then
    run aria2c -q -x 4 -s 4 -k 1M -o got "${page%page}big"
    cmp got www/big
fi
if have nmap; then
    closed=$(free_port)
    run nmap -sT -Pn -n -p "$web,$closed" "$bob" >nmap.out
    must_have nmap.out "^$web/tcp *open"
    must_have nmap.out "^$closed/tcp *closed"
fi
if have tmux; then
    SHELL=/bin/sh run tmux -L "i3-$$" -f /dev/null new-session -d "curl -s $page >$T/tmux.out 2>&1"
    wait_for 10 has tmux.out hello || die "$(cat tmux.out)"
fi

# ---- servers ----
if have memcached memccapable; then
    back_on "$port" bob memcached memcached -p "$port" -l 127.0.0.1
    run memccapable -h bob.i3 -p "$port" >memccapable.out || die "$(cat memccapable.out)"
    end $SERVER
fi
if have mosquitto mosquitto_sub stdbuf; then
    printf 'listener %d 127.0.0.1\nallow_anonymous true\n' "$port" >mosquitto.conf
    back_on "$port" bob mosquitto mosquitto -c mosquitto.conf
    broker=$SERVER
    back alice sub stdbuf -oL mosquitto_sub -h bob.i3 -p "$port" -t news -C 1 -v -d
    wait_for 10 has sub.log SUBACK || die "$(cat sub.log mosquitto.log)"
    run mosquitto_pub -h bob.i3 -p "$port" -t news -m flash
    wait $SERVER
    must_have sub.log '^news flash'
    must_have mosquitto.log "New client connected from $alice:"
    end $broker
fi
if have haproxy; then
    printf 'defaults\n mode http\n timeout client 5s\n timeout server 5s\n timeout connect 5s\nfrontend f\n bind 127.0.0.1:%d\n default_backend b\nbackend b\n server a bob.i3:%d check\n' "$port" "$web" >haproxy.cfg
    back_on "$port" alice haproxy haproxy -f haproxy.cfg -db
    expect "by alice's proxy" "$(as bob i3run curl -s --max-time 10 "http://alice.i3:$port/page")" hello
    end $SERVER
fi
if have squid; then
    printf 'http_port 127.0.0.1:%d\nacl a src %s\nhttp_access allow a\nhttp_access deny all\npid_filename none\ncache_log %s/squid.out\naccess_log none\ncoredump_dir %s\nlogfile_rotate 0\nvisible_hostname x\nshutdown_lifetime 0\nnetdb_filename none\n' \
        "$port" "$alice" "$T" "$T" >squid.conf
    back_on "$port" bob squid squid -N -f squid.conf
    expect "by squid" "$(run curl -s --max-time 10 -x "http://bob.i3:$port" "$page")" hello
    end $SERVER INT
fi
if have stunnel4 openssl; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=alice.i3 -keyout key -out crt 2>/dev/null
    printf 'foreground=yes\npid=\n[s]\naccept=127.0.0.1:%d\nconnect=bob.i3:%d\ncert=%s/crt\nkey=%s/key\n' "$port" "$web" "$T" "$T" >stunnel.conf
    back_on "$port" alice stunnel stunnel4 stunnel.conf
    expect "by TLS" "$(as bob i3run curl -sk --max-time 10 "https://alice.i3:$port/page")" hello
    end $SERVER
fi
if have lighttpd ab; then
    printf 'server.document-root="%s/www"\nserver.port=%d\nserver.bind="127.0.0.1"\nserver.max-worker=2\n' "$T" "$port" >lighttpd.conf
    back_on "$port" bob lighttpd setsid lighttpd -D -f lighttpd.conf
    run ab -q -k -c 20 -n 2000 "http://bob.i3:$port/page" >ab.out 2>&1 || die "$(cat ab.out)"
    must_have ab.out '^Failed requests: *0$'
    end $SERVER
fi
if have ncat; then
    back_on "$port" bob ncat ncat -l -k 127.0.0.1 "$port" -c 'echo $NCAT_REMOTE_ADDR'
    expect "ncat" "$(run ncat --recv-only bob.i3 "$port")" "$alice"
    end $SERVER
fi
if have mosh-server mosh-client; then
    as bob i3run mosh-server new -i "$bob" -p "$port" -- /bin/sh -c 'echo hello from bob; sleep 5' >mosh.out 2>&1
    key=$(sed -n 's/^MOSH CONNECT [0-9]* //p' mosh.out)
    cat >terminal.py <<'P'
import fcntl, os, pty, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
out = b""
try:
    while b"hello from bob" not in out:
        out += os.read(fd, 65536)
except OSError:
    sys.exit("it has ended: %r" % out)
P
    MOSH_KEY=$key TERM=xterm run python3 terminal.py mosh-client "$bob" "$port"
fi
must_have web.log "^$alice .*GET /page"
