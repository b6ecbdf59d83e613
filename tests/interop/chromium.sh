#!/bin/sh
# Chromium, headless: a page with all that a page may ask of its server (tests/lib/site.py), seen in a screenshot. With the
# browser's own sandbox where the system allows it, and its own DNS resolver; without either; over TLS and HTTP/2; to an IPv6 address.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/browser.sh"
command -v chromium >/dev/null || { echo "no chromium here"; exit 77; }
world_up
site_up site
tls_up
alice=$(address_of alice) v6=$(as bob i3ctl id --json | field address6)

# chrome NAME URL OPTION...: as alice, a picture of URL to $T/NAME.png; `with` goes before the program
with=''
chrome() {
    name=$1 url=$2
    shift 2
    # shellcheck disable=SC2086
    as alice i3run timeout -k 5 50 $with chromium --headless --disable-gpu --disable-quic --user-data-dir="$T/profile.$name" \
        --window-size=600,300 --screenshot="$T/$name.png" "$@" "$url" >"$T/$name.log" 2>&1 || die "chromium: $(tail -20 "$T/$name.log")"
}

descendants() {
    for p in $(pgrep -P "$1"); do
        echo "$p"
        descendants "$p"
    done
}

# Is there a renderer below process $1 which is confined: seccomp filters, and a process namespace of its own?
confined_renderer() {
    for p in $(descendants "$1"); do
        grep -q -a -e '--type=renderer' "/proc/$p/cmdline" && grep -q '^Seccomp:.2$' "/proc/$p/status" &&
            grep -q '^NSpid:.[0-9]*.[0-9]' "/proc/$p/status" && return 0
    done
    return 1
}

step "without the sandbox, names by libc"
chrome plain "http://bob.i3:$PORT/" --no-sandbox --disable-features=AsyncDns
shown plain

step "with the sandbox"
if [ "$(id -u)" != 0 ] && unshare -Ur true 2>/dev/null; then
    rm "$T/go"
    chrome boxed "http://bob.i3:$PORT/" &
    browser=$!
    wait_for 40 confined_renderer $browser || die "no renderer in a sandbox: $(cat "$T/boxed.log")"
    : >"$T/go"
    wait $browser || exit 1
    shown boxed
    box=''
else
    echo "    not for root, and not without user namespaces"
    box=--no-sandbox
fi

callers_are "$SITE" "$alice"

step "TLS and HTTP/2"
chrome tls "https://bob.i3:$TLS_PORT/" --ignore-certificate-errors $box
shown tls
callers_are "$T/nginx.access" "$alice"
expect "pages by HTTP/2" "$(grep -c 'HTTP/2.0 /$' "$T/nginx.access")" 1

step "an IPv6 address"
site_up site_six --v6
chrome six "http://[$v6]:$PORT/" $box
shown six
callers_are "$SITE" "$(as alice i3ctl id --json | field address6)"

step "with its own DNS resolver, which asks no server about .i3"
if tracing; then
    with=$(trace dns)
        site_up site_dns
    chrome dns "http://bob.i3:$PORT/" --enable-features=AsyncDns $box
    with=''
    shown dns
    nothing_leaked dns
else
    echo "    no tracing here"
fi
