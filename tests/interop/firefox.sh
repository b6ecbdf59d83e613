#!/bin/sh
# Firefox, headless, with a new profile: a page with all that a page may ask of its server (tests/lib/site.py), seen in a screenshot;
# over TLS and HTTP/2; to an IPv6 address. Its look-ups, those of HTTPS records included, ask no server about .i3.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/browser.sh"
firefox=$(command -v firefox-esr || command -v firefox) || { echo "no firefox here"; exit 77; }
world_up
site_up site
tls_up
alice=$(address_of alice) v6=$(as bob i3ctl id --json | field address6)

# settled PROFILE: a young firefox finds out about networks and certificates in the background, and drops its connections when it has;
# over TLS one page in six fails for that, without i3run as well.
settled() {
    for pref in network.notify.changed network.notify.IPv6 network.manage-offline-status network.captive-portal-service.enabled \
        network.connectivity-service.enabled security.osclientcerts.autoload security.enterprise_roots.enabled app.normandy.enabled; do
        echo "user_pref(\"$pref\", false);"
    done >"$1/user.js"
}

# fox NAME URL: as alice, a picture of URL to $T/NAME.png; `with` goes before the program
with=''
fox() {
    mkdir -p "$T/profile.$1"
    settled "$T/profile.$1"
    # shellcheck disable=SC2086
    as alice i3run timeout -k 5 50 $with "$firefox" --headless --no-remote --profile "$T/profile.$1" --window-size=600,300 \
        --screenshot "$T/$1.png" "$2" >"$T/$1.log" 2>&1 || die "firefox: $(tail -20 "$T/$1.log")"
}

step "a page by name"
fox plain "http://bob.i3:$PORT/"
shown plain
callers_are "$SITE" "$alice"

step "TLS and HTTP/2, the certificate known to the profile"
mkdir "$T/profile.tls"
print=$(openssl x509 -in "$T/tls.pem" -noout -fingerprint -sha256 | sed 's/.*=//')
printf 'bob.i3:%s:\tOID.2.16.840.1.101.3.4.2.1\t%s\t\n' "$TLS_PORT" "$print" >"$T/profile.tls/cert_override.txt"
fox tls "https://bob.i3:$TLS_PORT/"
shown tls
callers_are "$T/nginx.access" "$alice"
expect "pages by HTTP/2" "$(grep -c 'HTTP/2.0 /$' "$T/nginx.access")" 1

step "an IPv6 address"
site_up site_six --v6
fox six "http://[$v6]:$PORT/"
shown six
callers_are "$SITE" "$(as alice i3ctl id --json | field address6)"

step "no DNS server is asked about .i3"
if tracing; then
    site_up site_dns
    with=$(trace dns)
    fox dns "http://bob.i3:$PORT/"
    shown dns
    nothing_leaked dns
else
    echo "    no tracing here"
fi
