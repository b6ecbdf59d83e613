#!/bin/sh
# FTP: vsftpd of an ordinary user, lftp and curl in passive and in active mode. In active mode the server connects to the address
# which the client has named inside the control connection: the addresses are the same at both ends, so that works as it is.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
need vsftpd lftp curl
world_up
alice=$(address_of alice) bob=$(address_of bob)
port=21 # on the overlay alone, as nobody but root could bind it
mkdir -p "$T/pub/in" "$T/empty"
head -c 3000000 /dev/urandom >"$T/pub/in/big"
echo hello >"$T/pub/in/small"

# vsftpd_up listen|listen_ipv6
vsftpd_up() {
    cat >"$T/vsftpd.conf" <<END
$1=YES
listen_port=$port
background=NO
run_as_launching_user=YES
anonymous_enable=YES
anon_root=$T/pub
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_umask=022
write_enable=YES
secure_chroot_dir=$T/empty
xferlog_enable=YES
vsftpd_log_file=$T/xfer.log
log_ftp_protocol=YES
END
    chmod 600 "$T/vsftpd.conf"
    back_on "$port" bob vsftpd vsftpd "$T/vsftpd.conf"
}

# lftp of alice, one line of settings and one of commands
ftp_as_alice() {
    as alice i3run timeout 60 lftp -c "set net:timeout 10; set net:max-retries 1; set ftp:ssl-allow no; set cmd:fail-exit yes; $1
        open -u anonymous,me ftp://bob.i3:$port; $2" >"$T/lftp.log" 2>&1 || die "lftp: $(cat "$T/lftp.log" "$T/vsftpd.log" "$T/xfer.log")"
}

vsftpd_up listen
for mode in passive active; do
    [ $mode = passive ] && setting='set ftp:passive-mode yes' || setting='set ftp:passive-mode no'
    step "lftp, $mode: list, fetch, put, fetch by parts"
    : >"$T/xfer.log"
    rm -f "$T/got" "$T/parts"
    ftp_as_alice "$setting" "cls -1 in; get in/big -o $T/got; put $T/got -o in/up-$mode; pget -n 4 in/big -o $T/parts"
    grep -q '^in/small' "$T/lftp.log" || die "the listing: $(cat "$T/lftp.log")"
    cmp "$T/got" "$T/pub/in/big"
    cmp "$T/parts" "$T/pub/in/big"
    cmp "$T/pub/in/up-$mode" "$T/pub/in/big"
    [ $mode = passive ] && wanted=PASV || wanted=PORT
    must_have "$T/xfer.log" "FTP command: Client \"$alice\".*\"$wanted"
done

# alice's curl, OPTIONS...: a fetch, a listing and an upload
ftp_by_curl() {
    : >"$T/xfer.log"
    rm -f "$T/got" "$T/pub/in/up-curl"
    as alice i3run curl -sS --max-time 20 "$@" -o "$T/got" "ftp://bob.i3:$port/in/big" || die "curl $*"
    cmp "$T/got" "$T/pub/in/big"
    as alice i3run curl -sS --max-time 20 "$@" --list-only "ftp://bob.i3:$port/in/" >"$T/listing"
    must_have "$T/listing" small
    as alice i3run curl -sS --max-time 20 "$@" -T "$T/got" "ftp://bob.i3:$port/in/up-curl" || die "curl $* -T"
    cmp "$T/pub/in/up-curl" "$T/pub/in/big"
    as alice i3run curl -sS --max-time 20 "$@" -r 1000-1999 "ftp://bob.i3:$port/in/big" | cmp - "$T/range"
}
tail -c +1001 "$T/pub/in/big" | head -c 1000 >"$T/range"

step "Python's ftplib, active: the data comes from bob's address"
cat >"$T/active.py" <<'P'
import ftplib, sys
f = ftplib.FTP()
f.connect(sys.argv[1], int(sys.argv[2]), 20)
f.login()
f.set_pasv(False)
peers, size = [], 0
for _ in range(3):
    with f.transfercmd("RETR in/big") as data:
        peers.append(data.getpeername()[0])
        while True:
            piece = data.recv(65536)
            if not piece:
                break
            size += len(piece)
    f.voidresp()
f.quit()
assert size == 9000000, size
print(*peers)
P
expect "the peers" "$(as alice i3run timeout 60 python3 "$T/active.py" bob.i3 "$port")" "$bob $bob $bob"

step "curl: EPSV, PASV, EPRT and PORT"
ftp_by_curl
must_have "$T/xfer.log" EPSV
ftp_by_curl --disable-epsv
must_have "$T/xfer.log" PASV
ftp_by_curl -P -
must_have "$T/xfer.log" "EPRT |1|$alice|"
ftp_by_curl -P - --disable-eprt
must_have "$T/xfer.log" "PORT $(echo "$alice" | tr . ,),"
end $SERVER

step "over IPv6: EPSV and EPRT"
vsftpd_up listen_ipv6
alice6=$(as alice i3ctl id --json | field address6)
ftp_by_curl -6
must_have "$T/xfer.log" EPSV
ftp_by_curl -6 -P -
must_have "$T/xfer.log" "EPRT |2|$alice6|"
