#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# Chromium, headless, in the hands of one who wants to be nobody: a page with all that a page may ask of its server (tests/lib/site.py),
# anonymously, through a middle-box, by a gateway, over HTTP and HTTPS. Each packet in each namespace is captured and judged.
. "$(dirname "$0")/../lib/netns.sh"
. "$LIB/star.sh"
. "$LIB/chain.sh"
for program in chromium tcpdump; do
    command -v $program >/dev/null || { echo "needs $program"; exit 77; }
done
chain_up

# The whole of the page at URL as a picture, $T/NAME.png: chrome NAME URL
chrome() {
    as client env DBUS_SESSION_BUS_ADDRESS=disabled: i3run --anonymous timeout -k 5 70 chromium --headless --disable-gpu --no-sandbox \
        --user-data-dir="$T/client/profile.$1" --window-size=600,300 --screenshot="$T/client/$1.png" --ignore-certificate-errors "$2" \
        >"$T/chromium.$1" 2>&1 || die "chromium: $(tail -20 "$T/chromium.$1")"
}
shown() { # shown NAME LOG
    [ -s "$T/client/$1.png" ] || die "no picture: $(tail -20 "$T/chromium.$1")"
    grep 'POST /done' "$2" | tail -1 | grep -q '?all-well$' || die "the page's script: $(grep 'POST /done' "$2")"
    python3 "$LIB/pixels.py" "$T/client/$1.png" 50,50=2060c0 150,50=c02060 250,50=20c060 350,50=c0a020
}

step "a page by HTTP, and all that belongs to it"
capture
chrome plain http://www.example.test/
shown plain "$T/site.log"

step "by HTTPS"
chrome tls https://www.example.test/
shown tls "$T/tls.log"
captured

step "what each has sent and got"
OTHER_PORT=64999 chain_check # the page's script tries that one, which is closed
expect "whom the web server saw" "$(sed -n 's/^\([0-9a-f.:]*\) [GP].*/\1/p' "$T/site.log" "$T/tls.log" | sort -u)" "$(at gw)"
