#!/bin/sh
# make install PREFIX=X: a world and a fetch from there, also after X was moved.
. "$(dirname "$0")/../lib/world.sh"
san=''
case $B in */san) san=1 ;; esac
step "make install"
make -C "$TOP" --no-print-directory install PREFIX="$T/one" ${san:+SAN=1} >"$T/make.log" 2>&1 || die "$(cat "$T/make.log")"
for f in bin/i3ctl bin/i3d bin/i3node bin/i3run lib/i3run/libi3shim.so share/man/man1/i3run.1 share/man/man5/i3.conf.5 \
    lib/systemd/system/i3node.service share/bash-completion/completions/i3node; do
    [ -e "$T/one/$f" ] || die "no $f"
done

grep -q "^ExecStart=$T/one/bin/i3node " "$T/one/lib/systemd/system/i3node.service" || die "the unit starts another i3node"

# fetch PREFIX: all of it by the programs under PREFIX and no others
fetch() (
    PATH=$1/bin:/usr/bin:/bin
    i3ctl demo up "$T/w$2" >/dev/null
    W=$T/w$2
    mkdir "$T/www$2"
    echo "hello $2" >"$T/www$2/page"
    cd "$T/www$2"
    (
        . "$W/bob.env"
        exec i3run python3 "$LIB/web.py"
    ) >"$T/log$2" 2>&1 &
    server=$!
    wait_for 15 grep -q '^port ' "$T/log$2" || cat "$T/log$2"
    port=$(sed -n 's/^port //p' "$T/log$2")
    rc=0
    as alice i3run curl -sS --max-time 20 "http://bob.i3:$port/page" | cmp - page || rc=1
    as alice sh -c 'command -v i3run' | grep -q "^$1/bin/i3run" || rc=1
    kill $server
    i3ctl demo down "$W"
    [ ! -e "$W" ] || rc=1
    expect "processes left" "$(world_processes)" ''
    return $rc
)

step "a world from there"
fetch "$T/one" 1 || die "the fetch failed"
step "and after it was moved"
mv "$T/one" "$T/two"
fetch "$T/two" 2 || die "the fetch failed after the move"
step "make uninstall leaves nothing"
make -C "$TOP" --no-print-directory uninstall PREFIX="$T/two" ${san:+SAN=1} >"$T/make.log" 2>&1 || die "$(cat "$T/make.log")"
left=$(find "$T/two" ! -type d)
expect "files left" "$left" ''
