#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# What a middle-box shows at its taps is what passed, so that others' programs can work with it: FTP (vsftpd, lftp, active and passive,
# there and back) and HTTP (curl) through a box; its tap read by ndpiReader, tshark (from the file and live) and tcpflow, each of which puts the
# files together again. With the hosts' own addresses first; then anonymously, with addresses which the box has made up.
. "$(dirname "$0")/../lib/netns.sh"
. "$LIB/star.sh"
for program in vsftpd lftp curl tshark tcpflow ndpiReader; do
    command -v $program >/dev/null || { echo "needs $program"; exit 77; }
done
PATH=$PATH:/usr/sbin
star_begin client n0 box srv
ring n0
mkfifo "$T/box/live"
chown nobody "$T/box/live"

# box_with ADDRESSES: the box anew, with an empty tap
box_with() {
    rm -f "$T/box/tap.pcap"
    user box <<C
middlebox {
    allow = { "anyone" }
    addresses = "$1"
    tap = { "file:$T/box/tap.pcap", "fifo:$T/box/live" }
}
C
}
echo | user srv
{
    echo 'rule { match = "^srv\.i3$" action = "overlay" through = { "box" } }'
} | user client
box_with original
know client box box
know client srv srv
know srv client client
know srv box box
know box client client
know box srv srv

# ---- servers ----

mkdir -p "$T/srv/pub/in" "$T/srv/empty"
# what begins as a picture does, so that nDPI knows what it sees
{ printf 'GIF89a' && head -c 2000000 /dev/urandom; } >"$T/srv/pub/in/big"
{ printf 'GIF89a' && head -c 700000 /dev/urandom; } >"$T/client/up"
cat >"$T/srv/vsftpd.conf" <<END
listen=YES
listen_port=21
background=NO
run_as_launching_user=YES
anonymous_enable=YES
anon_root=$T/srv/pub
anon_upload_enable=YES
anon_other_write_enable=YES
anon_umask=022
write_enable=YES
secure_chroot_dir=$T/srv/empty
xferlog_enable=YES
vsftpd_log_file=$T/srv/xfer.log
log_ftp_protocol=YES
END
chmod 600 "$T/srv/vsftpd.conf"
chown -R nobody "$T/srv" "$T/client"
as srv i3run vsftpd "$T/srv/vsftpd.conf" >"$T/vsftpd.log" 2>&1 </dev/null &
vsftpd=$!
(cd "$T/srv/pub/in" && as srv i3run python3 "$T/web.py" 8000 >"$T/web.log" 2>&1 </dev/null) &
port=$(port_in "$T/web.log")

# ---- what is done ----

# session MODES OPTION-OF-I3RUN...: files by FTP and HTTP
session() {
    modes=$1
    shift
    rm -f "$T/client/got"* "$T"/srv/pub/in/up*
    for mode in $modes; do
        if [ $mode = curl ]; then
            as client i3run "$@" curl -sS --max-time 30 --disable-epsv -o "$T/client/got.curl" -T "$T/client/up" ftp://srv.i3/in/up.curl \
                >"$T/curl.log" 2>&1 || die "curl: $(cat "$T/curl.log" "$T/srv/xfer.log")"
            as client i3run "$@" curl -sS --max-time 30 --disable-epsv -o "$T/client/got.curl" ftp://srv.i3/in/big >"$T/curl.log" 2>&1 ||
                die "curl: $(cat "$T/curl.log" "$T/srv/xfer.log")"
            cmp "$T/client/got.curl" "$T/srv/pub/in/big"
            cmp "$T/client/up" "$T/srv/pub/in/up.curl"
            continue
        fi
        as client i3run "$@" timeout 40 lftp -c "set net:timeout 10; set net:max-retries 1; set ftp:ssl-allow no; set cmd:fail-exit yes
            set ftp:passive-mode $([ $mode = passive ] && echo yes || echo no)
            open -u anonymous,me ftp://srv.i3; get in/big -o $T/client/got.$mode; put $T/client/up -o in/up.$mode" >"$T/lftp.log" 2>&1 ||
            die "lftp, $mode: $(cat "$T/lftp.log" "$T/vsftpd.log" "$T/srv/xfer.log")"
        cmp "$T/client/got.$mode" "$T/srv/pub/in/big"
        cmp "$T/client/up" "$T/srv/pub/in/up.$mode"
    done
    as client i3run "$@" curl -sS --max-time 30 -o "$T/client/got.1" "http://srv.i3:$port/big?1" -o "$T/client/got.2" "http://srv.i3:$port/big?2" \
        -o "$T/client/got.3" "http://srv.i3:$port/up.${modes%% *}" || die "curl"
    cmp "$T/client/got.2" "$T/srv/pub/in/big"
    sleep 1 # the tap is read behind the packets
}

# ---- what others make of it ----

# some_file DIRECTORY FILE COUNT: so many files there have what FILE has, at least
some_file() {
    sum=$(sha256sum <"$2")
    n=0
    for f in "$1"/*; do
        [ "$(sha256sum <"$f")" != "$sum" ] || n=$((n + 1))
    done
    [ $n -ge "$3" ] || die "$n of $3 files in $1 are $2: $(ls -l "$1")"
    FOUND="$FOUND$n x $(basename "$2"), "
}
ends() { # who speaks to whom in the tap
    tshark -r "$T/box/tap.pcap" -T fields -e ip.src -e ip.dst 2>/dev/null | tr '\t' '\n' | sort -u | xargs
}
read_tap() { # read_tap TRANSFERS: of each file, by FTP
    FOUND='' ftp=$1
    cp "$T/box/tap.pcap" "$T/tap.pcap"
    rm -rf "$T/objects" "$T/flows" "$T/followed"
    mkdir "$T/objects" "$T/flows" "$T/followed" "$T/objects/http" "$T/objects/ftp"

    tshark -r "$T/tap.pcap" -Y 'tcp.analysis.lost_segment or tcp.checksum.status == 0 or ip.checksum.status == 0 or _ws.malformed' -o tcp.check_checksum:TRUE \
        -o ip.check_checksum:TRUE 2>/dev/null | head -5 >"$T/faults"
    [ ! -s "$T/faults" ] || die "tshark does not like the tap: $(cat "$T/faults")"
    tshark -q -r "$T/tap.pcap" --export-objects "http,$T/objects/http" --export-objects "ftp-data,$T/objects/ftp" >"$T/tshark.log" 2>&1 || die "tshark: $(cat "$T/tshark.log")"
    some_file "$T/objects/http" "$T/srv/pub/in/big" 2
    some_file "$T/objects/http" "$T/client/up" 1
    # what FTP says of addresses is true in the first case alone; and of the passive mode: tshark's FTP-DATA does not know the other one
    if [ $ftp = 2 ]; then
        some_file "$T/objects/ftp" "$T/srv/pub/in/big" 1
        some_file "$T/objects/ftp" "$T/client/up" 1
    fi
    for stream in $(tshark -r "$T/tap.pcap" -Y 'tcp.flags.syn == 1 and tcp.flags.ack == 0 and tcp.dstport != 21' -T fields -e tcp.stream 2>/dev/null); do
        tshark -q -r "$T/tap.pcap" -z "follow,tcp,raw,$stream" 2>/dev/null | python3 -c 'import sys
sys.stdout.buffer.write(b"".join(bytes.fromhex(l) for l in sys.stdin if not l.strip("0123456789abcdef\t\n")))' >"$T/followed/$stream"
    done
    some_file "$T/followed" "$T/srv/pub/in/big" $ftp
    some_file "$T/followed" "$T/client/up" $ftp

    stream=$(tshark -r "$T/tap.pcap" -Y http.request -T fields -e tcp.stream 2>/dev/null | sort | uniq -c)
    echo "requests and their connection: $stream"
    set -- $stream
    expect "HTTP requests on one connection" "$1 $#" "3 2"
    tshark -q -r "$T/tap.pcap" -z "follow,tcp,ascii,$2" 2>/dev/null | grep -q 'GET /big?2 HTTP/1.1' || die "follow,tcp shows no request"

    (cd "$T/flows" && tcpflow -a -r "$T/tap.pcap" -o "$T/flows" >"$T/tcpflow.log" 2>&1) || die "tcpflow: $(tail -3 "$T/tcpflow.log")"
    some_file "$T/flows" "$T/srv/pub/in/big" $((ftp + 2)) # FTP's own connections, and bodies of HTTP
    some_file "$T/flows" "$T/client/up" $((ftp + 1))

    ndpiReader -i "$T/tap.pcap" >"$T/ndpi" 2>&1 || die "ndpiReader: $(tail -5 "$T/ndpi")"
    for protocol in FTP_CONTROL FTP_DATA HTTP; do
        grep -q "^[[:space:]]*$protocol[[:space:]]*packets:" "$T/ndpi" || die "ndpiReader sees no $protocol: $(grep 'packets:' "$T/ndpi")"
    done
    echo "whole again: $FOUND$(grep -c . "$T/flows/report.xml" 2>/dev/null || :) lines of tcpflow's report; nDPI: $(sed -n 's/^[[:space:]]*\([A-Z_a-z]*\)[[:space:]]*packets: \([0-9]*\).*/\1 \2/p' "$T/ndpi" | xargs)"
}

step "the hosts' own addresses"
tshark -i "$T/box/live" -l -Y 'http.request or ftp.request' -T fields -e ip.src -e http.request.uri -e ftp.request.command >"$T/live" 2>"$T/live.log" </dev/null &
live=$!
wait_for 15 grep -q 'Capture started' "$T/live.log" || die "tshark does not read the FIFO: $(cat "$T/live.log")"
session 'passive active'
kill $live
read_tap 2
expect "who speaks in the tap" "$(ends)" "$(printf '%s\n' "$(of_id client address)" "$(of_id srv address)" | sort | xargs)"
for what in '/big?1' '/big?2' STOR RETR PORT PASV; do
    grep -q -F "$what" "$T/live" || die "the live tap has not shown $what: $(cat "$T/live.log" "$T/live"; as box i3ctl box)"
done
must="PORT $(of_id client address | tr . ,),"
grep -q "$must" "$T/srv/xfer.log" || die "no $must"

step "anonymously: addresses which the box has made up"
box_with synthesised
# who is nobody's friend comes in where anyone may: at servers which know nothing of all this, by ports that are known beforehand
pkill -TERM -P $vsftpd || :
{
    for open in 21 2121 8001; do
        echo "expose p$open { port = $open allow = { \"anyone\" } }"
    done
} | user srv
printf '%s\n' pasv_min_port=2121 pasv_max_port=2121 "pasv_address=$(of_id srv address)" pasv_promiscuous=YES >>"$T/srv/vsftpd.conf"
as srv vsftpd "$T/srv/vsftpd.conf" >"$T/vsftpd.log" 2>&1 </dev/null &
(cd "$T/srv/pub/in" && as srv python3 "$T/web.py" 8001 >"$T/web2.log" 2>&1 </dev/null) &
port=$(port_in "$T/web2.log")
session "curl passive" --anonymous # nobody connects to one who is anonymous
seen=$(ends)
echo "who speaks in the tap: $seen"
for address in $seen; do
    case $address in
    10.*) ;;
    *) die "no address of the overlay: $address" ;;
    esac
    for host in client srv; do
        [ "$address" != "$(of_id $host address)" ] || die "that is a true one: $address"
    done
done
read_tap 1
