# boxes.sh - sourced by the scripts about middle-boxes, behind world.sh.
# shellcheck shell=sh
restart() { # USER
    as "$1" i3ctl stop >/dev/null
    user_start "$1"
}
# What follows the first lines of USER's configuration, which are the world's, comes by stdin.
conf() { # USER
    [ -e "$T/$1.conf" ] || cp "$W/$1/config/i3/i3.conf" "$T/$1.conf"
    cat "$T/$1.conf" - >"$W/$1/config/i3/i3.conf"
    as "$1" i3ctl reload >/dev/null || die "$1 does not take its configuration"
}
box() { # USER FIELD: of i3ctl box --json
    as "$1" i3ctl box --json | field "$2"
}
fetch_big() { # PORT
    as alice i3run curl -sS --max-time 60 "http://bob.i3:$1/big" | sha256sum | cut -d' ' -f1
}
captured() { # FILE FILTER FIELD...
    file=$1 filter=$2
    shift 2
    tshark -r "$file" -Y "$filter" -T fields "$@" 2>/dev/null
}
# Ends USER's daemon and starts it anew with that configuration.
reconf() { # USER
    conf "$1"
    restart "$1"
}
