#!/bin/sh
# root: hosts in namespaces. Chromium and Firefox without our software, whose resolver (dnsmasq) knows the portal as the server of a zone, open
# http://foo.<zone>:8080/: a page with all that a page may ask of its server (tests/lib/site.py), which is on a host of the overlay alone.
. "$(dirname "$0")/../lib/netns.sh"
. "$LIB/star.sh"
command -v dnsmasq >/dev/null || { echo "no dnsmasq here"; exit 77; }
command -v chromium >/dev/null || { echo "no chromium here"; exit 77; }
star_begin n0 gate foo res out
ring n0
echo | user foo
user gate <<EOF
portal {
    zone = "i3.example.org"
    dns = { "$(at gate):5353" }
    waypoints = { "$(at gate)", "$(at6 gate)" }
    http = { "0.0.0.0:8080", "[::]:8080" }
}
publish foo { to = "foo.i3"  ports = { 80 } }
EOF
know gate foo foo
know foo gate gate
as foo i3run python3 "$T/site.py" --port 80 >"$T/site.log" 2>&1 </dev/null &
in_ns res dnsmasq --no-daemon --no-resolv --no-hosts --port=53 --server="/i3.example.org/$(at gate)#5353" --log-facility="$T/dnsmasq.log" \
    >/dev/null 2>&1 </dev/null &
echo "nameserver $(at res)" >"/etc/netns/${N}out/resolv.conf"
wait_for 10 grep -q '^port' "$T/site.log" || die "no server: $(cat "$T/site.log")"
URL=http://foo.i3.example.org:8080/
wait_for 10 as out curl -sS -m 5 -o /dev/null "${URL}json"

# shown NAME NTH: the picture shows all of the page, whose script was content
shown() {
    [ -s "$T/out/$1.png" ] || die "no picture: $(tail -20 "$T/$1.log")"
    [ "$(grep -c 'POST /done?all-well' "$T/site.log")" = "$2" ] || die "the page's script: $(grep 'POST /done' "$T/site.log")"
    python3 "$LIB/pixels.py" "$T/out/$1.png" 50,50=2060c0 150,50=c02060 250,50=20c060 350,50=c0a020 || die "the page is not as it should be"
}

step "chromium"
as out timeout -k 5 50 chromium --headless --disable-gpu --disable-quic --no-sandbox --user-data-dir="$T/out/chromium" --window-size=600,300 \
    --screenshot="$T/out/chromium.png" "$URL" >"$T/chromium.log" 2>&1 || die "chromium: $(tail -20 "$T/chromium.log")"
shown chromium 1

firefox=$(command -v firefox-esr || command -v firefox) || { echo "    no firefox here"; exit 0; }
step "firefox"
mkdir "$T/out/firefox"
echo 'user_pref("browser.shell.checkDefaultBrowser", false);' >"$T/out/firefox/user.js"
chown -R nobody "$T/out/firefox"
as out env MOZ_CRASHREPORTER_DISABLE=1 DBUS_SESSION_BUS_ADDRESS=disabled: timeout -k 5 60 "$firefox" --headless --no-remote --profile "$T/out/firefox" \
    --window-size=600,300 --screenshot "$T/out/firefox.png" "$URL" >"$T/firefox.log" 2>&1 || die "firefox: $(tail -20 "$T/firefox.log")"
shown firefox 2
