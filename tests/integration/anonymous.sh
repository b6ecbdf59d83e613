#!/bin/sh
# i3run --anonymous: the server sees a stranger, another one each time; nothing but the overlay is reached; what it ends with.
. "$(dirname "$0")/../lib/world.sh"
world_up
python3 "$LIB/who.py" bob 0 127.0.0.1 >"$T/open.log" 2>&1 </dev/null &
STARTED="$STARTED $!"
wait_for 15 grep -q '^port ' "$T/open.log"
open=$(sed -n 's/^port //p' "$T/open.log")
serve bob friends python3 "$LIB/who.py" bob 0
friends=$PORT
conf=$W/bob/config/i3/i3.conf
printf '\nexpose web { port = 8000 target = "127.0.0.1:%s" allow = { "anyone" } }\n' "$open" >>"$conf"
as bob i3ctl reload >/dev/null
as alice i3run --anonymous true || {
    [ $? = 125 ] && echo "no user namespaces here" && exit 77
}
anon() { as alice i3run --anonymous "$@"; }

step "a page of what is open to anyone"
anon curl -sS -m 20 http://bob.i3:8000/
