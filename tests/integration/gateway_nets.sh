#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# Two intranets with the same addresses, used at the same time by one user through two gateways; each has a DNS server of its own (dnsmasq), a
# web server, an FTP server. Nothing of it goes another way than sealed between the hosts.
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/nats.sh"
command -v dnsmasq >/dev/null || { echo "needs dnsmasq"; exit 77; }
netns_begin pub ring user gwa gwb inta intb
nats_begin
host_public user $PUBLIC.51
host_public gwa $PUBLIC.52
host_public gwb $PUBLIC.53
for x in a b; do
    link gw$x in int$x eth
    in_ns gw$x ip addr add 10.77.0.1/24 dev in
    in_ns int$x ip addr add 10.77.0.5/24 dev eth
    in_ns int$x ip -6 addr add fd77::5/64 dev eth nodad
    in_ns gw$x ip -6 addr add fd77::1/64 dev in nodad
    mkdir "$T/www$x"
    echo "this is intranet $x" >"$T/www$x/page"
    head -c 400000 /dev/urandom >"$T/www$x/big"
    chmod -R a+rX "$T/www$x"
    in_ns int$x sh -c "cd $T/www$x && exec setpriv --reuid=nobody --regid=nogroup --clear-groups /usr/bin/python3 -m http.server --bind 10.77.0.5 8080" >"$T/web$x.out" 2>&1 </dev/null &
    in_ns int$x sh -c "cd $T/www$x && exec setpriv --reuid=nobody --regid=nogroup --clear-groups /usr/bin/python3 -m http.server --bind fd77::5 8086" >"$T/web6$x.out" 2>&1 </dev/null &
    in_ns int$x dnsmasq --keep-in-foreground --no-resolv --no-hosts --no-daemon --user=nobody --pid-file= --listen-address=10.77.0.5 --bind-interfaces \
        --address=/wiki.intra/10.77.0.5 --host-record=six.intra,fd77::5 --host-record=outside.intra,$PUBLIC.51 --local=/intra/ >"$T/dnsmasq$x.out" 2>&1 </dev/null &
done
for x in a b; do
    for url in http://10.77.0.5:8080/page "http://[fd77::5]:8086/page"; do
        n=0
        until in_ns int$x curl -s --noproxy '*' -o /dev/null "$url"; do
            n=$((n + 1))
            [ $n -lt 100 ] || die "no web server in intranet $x: $url: $(cat "$T"/web*$x.out)"
            sleep 0.1
        done
    done
done
ring_stands
CONFIG='' host_up user 1
for x in a b; do
    CONFIG="gateway {
 allow = { \"$(cat "$T/user/key")\" }
 networks = { \"10.77.0.0/24\", \"fd77::/64\" }
 dns-server = \"10.77.0.5\"
}"
    host_up gw$x $([ $x = a ] && echo 2 || echo 3)
    as user i3ctl book add gw$x "$(cat "$T/gw$x/key")" >/dev/null
    cat >>"$T/user/.config/i3/i3.conf" <<END
rule { suffix = ".$x"  action = "gateway"  via = "gw$x"  strip = yes }
END
done
as user i3ctl reload >/dev/null
get() {
    as user i3run curl -sS --max-time 20 "$@"
}
is() { # is WHAT GOT WANTED
    [ "$2" = "$3" ] || die "$1: got '$2', wanted '$3'"
}
is "intranet a" "$(get http://wiki.intra.a:8080/page)" "this is intranet a"
is "intranet b" "$(get http://wiki.intra.b:8080/page)" "this is intranet b"
is "the same address behind a" "$(get http://10.77.0.5.a:8080/page)" "this is intranet a"
is "the same address behind b" "$(get http://10.77.0.5.b:8080/page)" "this is intranet b"
is "a server with an IPv6 address only" "$(get http://six.intra.b:8086/page)" "this is intranet b"
is "an IPv6 address" "$(get http://fd77--5.a:8086/page)" "this is intranet a"
get --parallel --parallel-immediate -o "$T/user/a" http://wiki.intra.a:8080/big -o "$T/user/b" http://wiki.intra.b:8080/big
cmp "$T/user/a" "$T/wwwa/big" && cmp "$T/user/b" "$T/wwwb/big" || die "at the same time: not what was sent"
rc=0
get http://outside.intra.a:8080/ >/dev/null 2>"$T/said" || rc=$?
[ $rc = 7 ] || die "an address that is not listed: status $rc, $(cat "$T/said")"

# the DNS itself, by UDP: an answer of dnsmasq, asked for at its address
is "DNS over UDP through the gateway" "$(as user i3run /usr/bin/python3 -c 'import socket, struct
q = b"\x12\x34\x01\0\0\1\0\0\0\0\0\0\4wiki\5intra\0\0\1\0\1"
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(3)
a = socket.getaddrinfo("10.77.0.5.a", 53, socket.AF_INET, socket.SOCK_DGRAM)[0][4]
for i in range(5):
    s.sendto(q, a)
    try:
        d = s.recvfrom(600)[0]
        print(socket.inet_ntoa(d[-4:]))
        break
    except socket.timeout:
        pass')" 10.77.0.5

# a host that is not there; one that says nothing
errno_of() {
    as user i3run timeout 60 /usr/bin/python3 -c 'import errno, socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 50)
    print("open")
except OSError as e:
    print(errno.errorcode.get(e.errno, e))' "$@"
}
is "nobody at that address" "$(errno_of 10.77.0.99.a 80)" EHOSTUNREACH
in_ns inta nft -f - <<END
table inet mute {
    chain in {
        type filter hook input priority 0;
        tcp dport 81 drop
    }
}
END
sed -i 's/^ dns-server/ connect-timeout = 2\n dns-server/' "$T/gwa/.config/i3/i3.conf"
as gwa i3ctl reload >/dev/null
is "no answer" "$(errno_of 10.77.0.5.a 81)" ETIMEDOUT

# FTP in passive mode: the second connection goes to where the first has said, which is a real address; curl takes the name's
if command -v vsftpd >/dev/null; then
    mkdir -p "$T/ftp"
    cp "$T/wwwa/big" "$T/ftp/big"
    chmod 755 "$T/ftp"
    chmod 644 "$T/ftp/big"
    cat >"$T/vsftpd.conf" <<END
listen=YES
listen_port=2121
listen_address=10.77.0.5
anonymous_enable=YES
local_enable=NO
anon_root=$T/ftp
secure_chroot_dir=$T/ftp
run_as_launching_user=YES
background=NO
pasv_enable=YES
seccomp_sandbox=NO
END
    chown nobody "$T/vsftpd.conf"
    in_ns inta setpriv --reuid=nobody --regid=nogroup --clear-groups vsftpd "$T/vsftpd.conf" >"$T/ftp.out" 2>&1 </dev/null &
    n=0
    until get -o "$T/user/ftp" "ftp://wiki.intra.a:2121/big" 2>"$T/said"; do
        n=$((n + 1))
        [ $n -lt 10 ] || die "no FTP: $(cat "$T/said" "$T/ftp.out")"
        sleep 0.3
    done
    cmp "$T/user/ftp" "$T/ftp/big" || die "FTP: not what was sent"
fi

# both gateways' accounts are of this user alone
for x in a b; do
    as gw$x i3ctl gateway --json | python3 -c 'import json, sys
s = json.load(sys.stdin)["server"]
assert s["users_total"] == 1 and s["bytes_down"] > 400000, s'
done
