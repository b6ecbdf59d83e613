#!/bin/sh
# make install: for a user without root, in a fresh home; what it puts where, that it works from there, also after it was moved; that
# make uninstall takes away exactly that; DESTDIR; and what it says to who has yet something to do.
. "$(dirname "$0")/../lib/world.sh"
san=''
case $B in */san) san=1 ;; esac

# mk TARGET PREFIX [VARIABLE=...]: its output in $T/make.log
mk() {
    target=$1 prefix=$2
    shift 2
    make -C "$TOP" --no-print-directory "$target" PREFIX="$prefix" ${san:+SAN=1} "$@" >"$T/make.log" 2>&1 || die "make $target: $(cat "$T/make.log")"
}
# All that is below a folder: kind, mode, name
below() {
    (cd "$1" && find . -printf '%y %m %P\n' | sort)
}

step "make install, for all users of a machine"
mkdir -p "$T/one/bin" "$T/one/share/man"
echo mine >"$T/one/bin/other"
below "$T/one" >"$T/before"
mk install "$T/one"
for f in bin/i3ctl bin/i3d bin/i3node bin/i3run lib/i3run/libi3shim.so lib/systemd/system/i3node.service \
    share/bash-completion/completions/i3run share/zsh/site-functions/_i3ctl share/fish/vendor_completions.d/i3ctl.fish; do
    [ -f "$T/one/$f" ] || die "no $f"
done
if command -v scdoc >/dev/null; then
    for f in man1/i3run.1 man1/i3ctl.1 man1/i3d.1 man1/i3node.1 man5/i3.conf.5; do
        [ -s "$T/one/share/man/$f" ] || die "no $f"
    done
fi
grep -q "^ExecStart=$T/one/bin/i3node " "$T/one/lib/systemd/system/i3node.service" || die "the unit starts another i3node"
for u in "$TOP"/tools/units/i3d.*; do
    [ ! -e "$u" ] || [ -f "$T/one/lib/systemd/user/${u##*/}" ] || die "no user unit ${u##*/}"
done
grep -q "$T/one/bin is not in your PATH" "$T/make.log" || die "nothing said of PATH: $(cat "$T/make.log")"
[ -z "$(find "$T/one" -name '*.new')" ] || die "half of it left"
"$TOP/tools/install.sh" list "$B" "$T/one" | sort >"$T/list"
(cd "$T/one" && find . ! -type d ! -path ./bin/other ! -path ./share/i3run/made -printf "$T/one/%P\n" | sort) >"$T/found"
cmp "$T/list" "$T/found" || die "the list is not what is there: $(diff "$T/list" "$T/found")"
mk install "$T/one" # over itself

# fetch PREFIX N: all of it by the programs under PREFIX and no others
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
mv "$T/two" "$T/one"

step "make uninstall leaves what was there before"
mk uninstall "$T/one"
below "$T/one" >"$T/after"
cmp "$T/before" "$T/after" || die "$(diff "$T/before" "$T/after")"
mk uninstall "$T/one" # twice is no error

step "without root: PREFIX=~/.local in a fresh home"
mkdir "$T/home"
user() {
    env -u XDG_DATA_HOME -u XDG_CONFIG_HOME HOME="$T/home" "$@"
}
(
    export HOME="$T/home"
    unset XDG_DATA_HOME XDG_CONFIG_HOME
    mk install "$T/home/.local"
    cp "$T/make.log" "$T/said"
)
for f in bin/i3run lib/i3run/libi3shim.so share/bash-completion/completions/i3ctl share/fish/vendor_completions.d/i3run.fish; do
    [ -f "$T/home/.local/$f" ] || die "no ~/.local/$f"
done
for u in "$TOP"/tools/units/i3d.*; do
    [ ! -e "$u" ] || [ -f "$T/home/.local/share/systemd/user/${u##*/}" ] || die "no user unit ${u##*/} where systemd looks"
done
[ ! -e "$T/home/.local/lib/systemd" ] || die "a unit of the system in a home"
grep -q "export PATH=\"$T/home/.local/bin:" "$T/said" || die "nothing said of PATH: $(cat "$T/said")"
[ "$(find "$T/home" -maxdepth 1 -mindepth 1 | wc -l)" = 1 ] || die "more in the home than .local: $(ls -A "$T/home")"
expect "i3run --version" "$(user "$T/home/.local/bin/i3run" --version)" "$(i3run --version)"
if command -v bash >/dev/null && [ -r /usr/share/bash-completion/bash_completion ]; then
    user bash --norc -c '. /usr/share/bash-completion/bash_completion
        declare -F _completion_loader >/dev/null || exit 0
        _completion_loader i3ctl; complete -p i3ctl' | grep -q _i3ctl || die "bash does not find the completion"
fi
if command -v fish >/dev/null; then
    user env PATH="$T/home/.local/bin:$PATH" fish -c "complete -C 'i3ctl undr'" 2>/dev/null | grep -q undrop || die "fish does not find the completion"
    rm -rf "$T/home/.config" "$T/home/.cache" "$T/home/.local/share/fish/fish_history"
fi
fetch "$T/home/.local" 3 || die "the fetch failed"
(
    export HOME="$T/home"
    unset XDG_DATA_HOME XDG_CONFIG_HOME
    mk uninstall "$T/home/.local"
)
left=$(find "$T/home" -mindepth 1 ! -path '*/fish' ! -path '*/fish/generated_completions' ! -path '*/.local' ! -path '*/.local/share')
expect "left in the home" "$left" ''

step "DESTDIR"
mk install /usr DESTDIR="$T/root"
[ -x "$T/root/usr/bin/i3d" ] || die "not in DESTDIR"
grep -q '^ExecStart=/usr/bin/i3node ' "$T/root/usr/lib/systemd/system/i3node.service" || die "DESTDIR is in the unit"
! grep -rIl "$T" "$T/root" || die "DESTDIR is in a file"
! grep -q 'not in your PATH' "$T/make.log" || die "a packager is told of PATH"
mk uninstall /usr DESTDIR="$T/root"
expect "left in DESTDIR" "$(find "$T/root" ! -type d)" ''

step "what cannot be"
make -C "$TOP" --no-print-directory install PREFIX=here ${san:+SAN=1} >"$T/make.log" 2>&1 && die "a prefix that is no whole path"
grep -q 'whole path' "$T/make.log" || die "said: $(cat "$T/make.log")"
[ ! -e "$TOP/here" ] || die "made $TOP/here"
echo "all well"
