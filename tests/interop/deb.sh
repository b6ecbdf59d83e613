#!/bin/sh
# The Debian package: built by Debian's tools, clean for lintian, installed into a root of its own, run from there, and purged without a trace.
. "$(dirname "$0")/../lib/world.sh"
for tool in dpkg-buildpackage dh lintian fakeroot scdoc; do
    command -v $tool >/dev/null || { echo "no $tool here"; exit 77; }
done
R=$T/root

# as root of that root: scripts of the package run outside of it, and know where it is
pkg() {
    fakeroot dpkg --root="$R" --force-not-root --force-script-chrootless --force-depends --log="$T/dpkg.log" "$@"
}

step "make deb"
deb=$(env -u MAKEFLAGS "$TOP/tools/deb/make.sh" "$(sed -n 's/^VERSION := //p' "$TOP/Makefile")" "$T/deb") || die "it is not built"
[ -f "$deb" ] || die "no package: $deb"
echo "$(basename "$deb"): $(du -k "$deb" | cut -f1) kB, of $(dpkg -f "$deb" Installed-Size) kB"

step "lintian"
lintian --allow-root --fail-on error,warning --tag-display-limit 0 "$T"/deb/*.changes >"$T/lintian" 2>&1 || die "$(cat "$T/lintian")"
[ ! -s "$T/lintian" ] || cat "$T/lintian"

step "what is in it"
dpkg -c "$deb" >"$T/contents"
for f in usr/bin/i3run usr/bin/i3ctl usr/bin/i3d usr/bin/i3node usr/lib/i3run/libi3shim.so usr/share/man/man1/i3run.1.gz usr/share/man/man5/i3.conf.5.gz \
    usr/share/bash-completion/completions/i3ctl usr/share/zsh/vendor-completions/_i3ctl usr/share/fish/vendor_completions.d/i3ctl.fish \
    usr/lib/systemd/system/i3node.service usr/share/doc/i3run/copyright; do
    grep -q " \./$f\$" "$T/contents" || die "no $f in it"
done
for u in "$TOP"/tools/units/i3d.*; do
    [ ! -e "$u" ] || grep -q " \./usr/lib/systemd/user/${u##*/}\$" "$T/contents" || die "no ${u##*/} in it"
done
! grep -v -e '^d' "$T/contents" | grep -v ' \./usr/' || die "something outside of /usr"
! dpkg -f "$deb" Depends | grep -q 'shlibs' || die "the libraries are not worked out"

step "installed"
mkdir -p "$R/var/lib/dpkg/info" "$R/var/lib/dpkg/updates" "$R/var/lib/dpkg/triggers" "$R/etc"
: >"$R/var/lib/dpkg/status"
(cd "$R" && find . | sort) >"$T/before"
pkg -i "$deb" >"$T/said" 2>&1 || die "$(cat "$T/said")"
expect "i3run --version" "$("$R/usr/bin/i3run" --version)" "$(i3run --version)"
expect "a program under i3run" "$(env XDG_RUNTIME_DIR="$T" PATH="$R/usr/bin:$PATH" i3run echo hello)" hello
find "$R/etc/systemd" -type l 2>/dev/null | grep . && die "something is enabled that nobody asked for"
env XDG_RUNTIME_DIR="$T" "$R/usr/bin/i3ctl" stop >/dev/null 2>&1 || :

step "purged"
pkg -P i3run >"$T/said" 2>&1 || die "$(cat "$T/said")"
(cd "$R" && find . ! -path './var/lib/dpkg/*' ! -path ./var/lib/dpkg | sort) >"$T/after"
grep -v '^./var/lib/dpkg' "$T/before" >"$T/had"
left=$(comm -13 "$T/had" "$T/after" | grep -v -x -e ./var/log -e ./var/lib/systemd -e ./var/lib/systemd/deb-systemd-helper-enabled -e ./var/lib/systemd/deb-systemd-user-helper-enabled || :)
expect "left behind" "$left" ''
echo "all well"
