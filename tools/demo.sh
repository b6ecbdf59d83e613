#!/bin/sh
# demo.sh BUILD: a ring and two users on this machine; curl of alice fetches a page from the web server of bob, both under
# i3run and neither knowing of it. Prints what it runs; fails loudly unless the page that came is the page that was served.
set -eu
PATH=$(cd "$1/bin" && pwd):$PATH
unset http_proxy HTTP_PROXY all_proxy ALL_PROXY # curl would ask the proxy for bob.i3
server='' work='' world=''

cleanup() {
    status=$?
    trap - EXIT INT TERM HUP
    [ -z "$server" ] || kill "$server" 2>/dev/null || :
    [ -z "$world" ] || i3ctl demo down "$world" || status=1
    [ -z "$work" ] || rm -rf "$work"
    [ "$status" = 0 ] || echo "demo: FAILED" >&2
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

die() {
    echo "demo: $*" >&2
    exit 1
}

say() {
    printf '\n\033[1m%s\033[0m %s\n' "$1" "$2"
}
[ -t 1 ] || say() {
    printf '\n%s %s\n' "$1" "$2"
}

# Bob's server on a port: 0 once it listens, 1 when the port is taken, for there may be another demo.
serve() {
    : >"$work/server.log"
    (
        . "$world/bob.env"
        cd "$work/www"
        PYTHONUNBUFFERED=1 exec i3run python3 -m http.server "$1"
    ) >"$work/server.log" 2>&1 &
    server=$!
    tries=0
    until grep -q 'Serving HTTP' "$work/server.log"; do
        if ! kill -0 "$server" 2>/dev/null; then
            server=''
            grep -q 'Address already in use' "$work/server.log" && return 1
            cat "$work/server.log" >&2
            die "bob's server did not start"
        fi
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || die "bob's server does not listen after 10 s"
        sleep 0.05
    done
}

work=$(mktemp -d "${TMPDIR:-/tmp}/i3page.XXXXXX")
world=$work/w
mkdir "$work/www"
printf '<h1>Hello from bob</h1>\nServed %s by process %s.\n' "$(date)" $$ >"$work/www/index.html"

say '$' "i3ctl demo up $world"
i3ctl demo up "$world" || {
    world=''
    die "no world"
}

port=8000
until serve $port; do
    port=$((port + 1))
    [ $port -lt 8064 ] || die "no free port from 8000 to 8063"
done
say 'bob$' "i3run python3 -m http.server $port"
cat "$work/server.log"

. "$world/alice.env"
say 'alice$' "i3run curl http://bob.i3:$port/"
i3run curl -sS --max-time 30 -o "$work/page" "http://bob.i3:$port/" || die "curl failed with status $?"
cat "$work/page"
cmp "$work/page" "$work/www/index.html" || die "the page is not the one that was served"

say 'bob$' "what the server wrote"
alice=$(i3ctl id | sed -n 's/^address  *//p')
grep "^$alice .*GET / .* 200" "$work/server.log" || {
    cat "$work/server.log" >&2
    die "the server did not see alice as $alice"
}

say 'alice$' "i3ctl ping bob.i3 2"
i3ctl ping bob.i3 2

say 'alice$' "i3ctl status"
i3ctl status

say '$' "i3ctl demo down $world"
i3ctl demo down "$world"
world=''
printf '\nThe page is the one that was served, byte for byte, and the server saw its caller as %s, which is alice.\n' "$alice"
