#!/bin/sh
# install.sh install|uninstall|list BUILD PREFIX [DESTDIR]: what `make install` puts where. One list for all three, so that nothing is left.
#
#   PREFIX/bin, lib/i3run, share/man, share/i3run        as everywhere
#   share/bash-completion/completions, share/zsh/site-functions, share/fish/vendor_completions.d
#   lib/systemd/user, lib/systemd/system                 units
#
# Without root: PREFIX=~/.local, whose share is $XDG_DATA_HOME. There the user's units go to share/systemd/user, where systemd looks, and an
# overlay node is no service of the system.
set -eu
umask 022
what=$1 build=$2 prefix=${3%/} dest=${4-}
top=$(cd "$(dirname "$0")/.." && pwd)
case $prefix in
/*) ;;
*) echo "install: PREFIX is to be a whole path, from / on: '$prefix'" >&2; exit 2 ;;
esac
case $prefix in
*[!A-Za-z0-9/._+@~-]*) echo "install: PREFIX has a character that units and scripts cannot do with: '$prefix'" >&2; exit 2 ;;
esac
mine=''
[ "$prefix/share" != "${XDG_DATA_HOME:-${HOME-}/.local/share}" ] || mine=1
made=$prefix/share/i3run/made # folders that were not there before

# MODE SOURCE PLACE, one a line; `unit` instead of a mode: with our prefix in it
files() {
    for p in i3run i3ctl i3d i3node; do
        echo "755 $build/bin/$p bin/$p"
        echo "644 $build/completions/bash/$p share/bash-completion/completions/$p"
        echo "644 $build/completions/zsh/_$p share/zsh/site-functions/_$p"
        echo "644 $build/completions/fish/$p.fish share/fish/vendor_completions.d/$p.fish"
    done
    for f in "$build"/lib/i3run/*.so*; do
        echo "755 $f lib/i3run/${f##*/}"
    done
    for f in "$top"/tools/man/*.scd; do
        page=$(basename "$f" .scd)
        # without scdoc there are none
        [ ! -e "$top/build/man/$page" ] || echo "644 $top/build/man/$page share/man/man${page##*.}/$page"
    done
    echo "644 $top/tools/wireshark/i3.lua share/i3run/wireshark/i3.lua"
    echo "644 $top/tools/i3.conf share/i3run/i3.conf"
    for f in "$top"/tools/schema/*.json; do
        echo "644 $f share/i3run/schema/${f##*/}"
    done
    for f in "$top"/tools/units/*; do
        unit=${f##*/}
        case $unit in
        i3node.*) [ -n "$mine" ] || echo "unit $f lib/systemd/system/$unit" ;;
        *) [ -n "$mine" ] && echo "unit $f share/systemd/user/$unit" || echo "unit $f lib/systemd/user/$unit" ;;
        esac
    done
}

# The folder and what is missing above it; what was made is remembered, to be taken away again.
folder() {
    [ -d "$1" ] && return
    folder "$(dirname "$1")"
    mkdir "$1"
    echo "$1" >>"$dirs"
}

do_install() {
    dirs=$(mktemp)
    trap 'rm -f "$dirs"' EXIT
    # what an earlier one has made is still ours
    [ -n "$dest" ] || [ ! -f "$made" ] || cat "$made" >>"$dirs"
    files | while read -r mode from to; do
        folder "$(dirname "$dest$prefix/$to")"
        # a new file in its place: a program that runs, or a library that is in use, stays whole
        if [ "$mode" = unit ]; then
            sed "s#/usr/local/#$prefix/#g" "$from" >"$dest$prefix/$to.new"
            chmod 644 "$dest$prefix/$to.new"
        else
            install -m "$mode" "$from" "$dest$prefix/$to.new"
        fi
        mv -f "$dest$prefix/$to.new" "$dest$prefix/$to"
    done
    [ -n "$dest" ] || install -m 644 "$dirs" "$made"
}

do_uninstall() {
    dirs=''
    [ -n "$dest" ] || [ ! -f "$made" ] || dirs=$(sort -r "$made")
    files | while read -r _ _ to; do
        rm -f "$dest$prefix/$to"
    done
    [ -n "$dest" ] || rm -f "$made"
    rmdir "$dest$prefix/share/i3run/wireshark" "$dest$prefix/share/i3run/schema" "$dest$prefix/share/i3run" "$dest$prefix/lib/i3run" 2>/dev/null || :
    # the deepest first; others may have put something there meanwhile
    echo "$dirs" | while read -r d; do
        [ -z "$d" ] || rmdir "$d" 2>/dev/null || :
    done
}

# What is left to do by hand.
say() {
    case ":$PATH:" in
    *":$prefix/bin:"*) ;;
    *)
        echo "$prefix/bin is not in your PATH yet. Put this line into ~/.profile, and log in anew:"
        echo "    export PATH=\"$prefix/bin:\$PATH\""
        ;;
    esac
    [ -z "$mine" ] || ! command -v zsh >/dev/null 2>&1 ||
        echo "zsh completes i3run and the others with this line in ~/.zshrc, before compinit:  fpath=($prefix/share/zsh/site-functions \$fpath)"
}

case $what in
list) files | while read -r _ _ to; do echo "$dest$prefix/$to"; done ;;
install)
    do_install
    [ -n "$dest" ] || say
    ;;
uninstall) do_uninstall ;;
*) echo "usage: install.sh install|uninstall|list BUILD PREFIX [DESTDIR]" >&2; exit 2 ;;
esac
