#!/bin/sh
# What reads a middle-box's taps: tshark from a FIFO while it happens, ndpiReader and tcpflow from a file. FTP, active and passive, and HTTP
# pass the box; each session is put together again, with the two hosts' own addresses, and with synthesised ones.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
. "$LIB/boxes.sh"
need vsftpd lftp curl tshark ndpiReader tcpflow
world_up
user_add carol
know bob alice
know alice bob
know alice carol
know carol alice
alice=$(address_of alice) bob=$(address_of bob)
mkdir -p "$T/taps" "$T/pub" "$T/empty"
head -c 400000 /dev/urandom | base64 >"$T/pub/letter"
echo 'rule { match = "^bob.i3$" action = "overlay" through = { "carol" } }' | conf alice
cat >"$T/vsftpd.conf" <<END
listen=YES
listen_port=21
background=NO
run_as_launching_user=YES
anonymous_enable=YES
anon_root=$T/pub
secure_chroot_dir=$T/empty
xferlog_enable=YES
vsftpd_log_file=$T/xfer.log
log_ftp_protocol=YES
END
chmod 600 "$T/vsftpd.conf"
back_on 21 bob vsftpd vsftpd "$T/vsftpd.conf"
cd "$T/pub"
serve bob web python3 "$LIB/web.py"
cd "$T"
fetch() { # FTP both ways, and HTTP
    for mode in yes no; do
        rm -f got
        as alice i3run timeout 60 lftp -c "set net:timeout 10; set ftp:ssl-allow no; set dns:order inet; set cmd:fail-exit yes; set ftp:passive-mode $mode
            open -u anonymous,me ftp://bob.i3:21; get letter -o $T/got" >lftp.log 2>&1 || die "lftp, passive $mode: $(cat lftp.log)"
        cmp got pub/letter || die "passive $mode: other bytes came"
    done
    as alice i3run curl -4 -sS --max-time 20 -o got "http://bob.i3:$PORT/letter" || die "no page"
    cmp got pub/letter || die "HTTP: other bytes came"
}
# How many of the flows that tcpflow puts together are the letter, between hosts whose names begin so.
letters() { # PATTERN
    for f in flows/$1; do
        [ ! -f "$f" ] || grep -c -F "$(sed -n 1000p pub/letter)" "$f"
    done | grep -c '^[1-9]' || :
}
read_tap() { # FILE
    rm -rf flows
    mkdir flows
    tcpflow -a -o flows -r "$1" >tcpflow.log 2>&1 || die "tcpflow: $(cat tcpflow.log)"
    ndpiReader -i "$1" >ndpi.log 2>&1 || die "ndpiReader: $(cat ndpi.log)"
    must_have ndpi.log 'FTP'
    must_have ndpi.log 'HTTP'
}

step "original addresses: a FIFO that tshark reads while it happens, a file for the others"
conf carol <<END
middlebox { allow = { "alice" } tap = { "fifo:$T/taps/live", "file:$T/taps/original.pcap" } }
END
restart carol
timeout 60 tshark -l -n -i taps/live -Y 'ftp || http' >live.log 2>live.err &
reader=$!
STARTED="$STARTED $reader"
reads() { box carol taps.0.state | grep -q open; }
wait_for 10 reads || die "nobody reads the FIFO: $(cat live.err)"
fetch
seen() { grep -q 'FTP.*PORT' live.log && grep -q 'FTP.*227 Entering Passive' live.log && grep -q 'HTTP.*GET /letter' live.log; }
wait_for 10 seen || die "tshark has seen too little: $(tail -5 live.log) $(cat live.err)"
grep -q "$alice.*$bob" live.log || die "it does not show the two hosts: $(head -3 live.log)"
kill -9 $reader
fetch # without a reader
sleep 0.5
read_tap taps/original.pcap
host() { printf '%03d.%03d.%03d.%03d' $(echo "$1" | tr . ' '); }
[ "$(letters "$(host "$bob").*-$(host "$alice").*")" -ge 6 ] || die "tcpflow has put together too little: $(ls flows | head -20)"

step "synthesised: the same is read, and nobody is named"
conf carol <<END
middlebox { allow = { "alice" } addresses = "synthesised" tap = { "file:$T/taps/synthesised.pcap" } }
END
restart carol
fetch
sleep 0.5
read_tap taps/synthesised.pcap
[ "$(letters "010.064.*-010.064.*")" -ge 3 ] || die "tcpflow has put together too little: $(ls flows | head -20)"
expect "flows between others" "$(ls flows | grep '^[0-9]*\.' | grep -vc '^010\.064\..*-010\.064\.')" 0
grep -q -e "$alice" -e "$bob" ndpi.log && die "ndpiReader shows who it is"
tshark -n -r taps/synthesised.pcap -T fields -e ip.addr 2>/dev/null | tr , '\n' | sort -u >seen
grep -v '^10\.64\.' seen | grep -q . && die "other addresses: $(xargs <seen)"
step "done"
