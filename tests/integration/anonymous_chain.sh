#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# waits: for those who are dead
# A user who knows the way: anonymously, through a middle-box, by a gateway, to a web server of the other world. What each of them
# sees is captured and judged packet by packet; so too when one after the other of them dies. interop/anonymous_web.sh is the same with a browser.
. "$(dirname "$0")/../lib/netns.sh"
. "$LIB/star.sh"
. "$LIB/chain.sh"
command -v tcpdump >/dev/null || { echo "needs tcpdump"; exit 77; }
chain_up

# fetch OPTION... PATH: of the site, as it comes
fetch() {
    as client i3run --anonymous curl -sS -b "$T/client/jar" -c "$T/client/jar" --cacert "$T/tls.pem" -H 'X-Needle: in-the-haystack' "$@"
}
echo in-the-haystack >>"$T/never"

step "a page, its cookie, a redirect, an upload; HTTPS; from one that is told by name alone"
capture
fetch --max-time 20 http://www.example.test/ >"$T/page" || die "no page"
grep -q script.js "$T/page" || die "the page: $(cat "$T/page")"
expect "the cookie" "$(fetch --max-time 10 http://www.example.test/cookie)" crumb=42
expect "what a redirect leads to" "$(fetch --max-time 10 -L http://www.example.test/moved)" '{"answer": 42}'
expect "by HTTPS" "$(fetch --max-time 10 https://www.example.test/json)" '{"answer": 42}'
head -c 3000000 /dev/urandom >"$T/up"
expect "an upload's sum" "$(fetch --max-time 20 --data-binary "@$T/up" http://www.example.test/sha)" "$(sha256sum <"$T/up" | cut -d' ' -f1)"
for url in "http://$(at web)/" "http://[$(at6 web)]/"; do
    rc=0
    fetch --max-time 5 "$url" >"$T/got" 2>&1 || rc=$?
    [ $rc = 7 ] || die "$url, a literal address: curl ended with $rc: $(cat "$T/got")"
done
rc=0
fetch --max-time 10 http://nowhere.example.net/ >"$T/got" 2>&1 || rc=$?
[ $rc = 6 ] || die "a name that there is not: curl ended with $rc: $(cat "$T/got")"
captured
chain_check
expect "whom the web server saw" "$(sed -n 's/^\([0-9.]*\) [GP].*/\1/p' "$T/site.log" "$T/tls.log" | sort -u)" "$(at gw)"

step "the judge sees what leaks"
capture
as client curl -sS --max-time 5 http://www.example.test/cookie >"$T/got" || die "the client could not leak if it would"
captured
! (chain_check) >"$T/judge" 2>&1 || die "the judge has seen nothing: $(cat "$T/judge")"
must="packets that should not be there
tcp 192.0.2
udp .*53
stands in a packet"
echo "$must" | while read -r w; do
    grep -q "$w" "$T/judge" || die "no '$w': $(cat "$T/judge")"
done
: >"$T/dns.hub.log" # that question

# dies WHO HOW...: in the middle of a transfer the command HOW is run; nothing of it goes another way, nor does what is begun then.
dies() {
    step "$1 dies"
    dead=$1
    shift
    capture
    fetch --max-time 30 --limit-rate 200k http://www.example.test/big >"$T/got.$dead" 2>"$T/err.$dead" &
    transfer=$!
    wait_for 15 test -s "$T/got.$dead" || die "nothing comes: $(cat "$T/err.$dead")"
    "$@"
    rc=0
    fetch --max-time 4 http://www.example.test/json >"$T/again" 2>&1 || rc=$?
    [ $dead != client ] || [ $rc != 0 ] || rc=7 # i3run has started it anew
    case $rc in 5 | 6 | 7 | 28 | 52 | 56) ;; *) die "with $dead dead, curl ended with $rc: $(cat "$T/again")" ;; esac
    kill $transfer 2>/dev/null || :
    wait $transfer || :
    captured
}
back_again() {
    began=$(date +%s%N)
    wait_for 40 works || die "it does not work again: $(fetch --max-time 5 http://www.example.test/json 2>&1)"
    echo "works again after $((($(date +%s%N) - began) / 1000000)) ms"
}
works() {
    [ "$(fetch --max-time 3 http://www.example.test/json)" = '{"answer": 42}' ]
}

DEAD=''
for one in box gw client; do
    dies $one daemon_kill $one
    user_start $one
    DEAD="$DEAD $one"
    chain_check
    back_again
done
