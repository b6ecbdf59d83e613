#!/bin/sh
# make.sh VERSION [FOLDER]: the Debian package, built in FOLDER (build/deb) from a copy of the sources.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
out=${2-$top/build/deb}
for tool in dpkg-buildpackage dh fakeroot; do
    command -v $tool >/dev/null || { echo "make deb needs $tool: apt-get install dpkg-dev debhelper fakeroot" >&2; exit 1; }
done
command -v scdoc >/dev/null || { echo "make deb needs scdoc, for the manual: apt-get install scdoc" >&2; exit 1; }
rm -rf "$out"
mkdir -p "$out/i3run-$1"
(cd "$top" && tar -cf - --exclude=./build --exclude=./.git --exclude='*.o' --exclude='*.d' .) | tar -xf - -C "$out/i3run-$1"
cp -r "$top/tools/deb" "$out/i3run-$1/debian"
cd "$out/i3run-$1"
rm debian/make.sh
sed -i "1s/(.*)/($1)/" debian/changelog
dpkg-buildpackage -b -us -uc -rfakeroot >"$out/log" 2>&1 || { tail -n 40 "$out/log" >&2; exit 1; }
cd "$out"
rm -rf "i3run-$1"
echo "$out/$(ls i3run_*.deb)"
