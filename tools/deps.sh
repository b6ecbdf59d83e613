#!/bin/sh
# deps.sh SET... : installs the Debian packages which the named sets lack; says what it would run when it may not.
# Sets: build (compile and demo), check (the tests), interop (heavy programs).
# Each set is one sorted list, a few names to a line.
build="
    curl gcc libc-ares-dev libc6-dev libconfuse-dev libjansson-dev libpcre2-dev libseccomp-dev libssl-dev libuv1-dev make procps
    curl gcc libc6-dev libconfuse-dev libjansson-dev libpcre2-dev libqrencode-dev libseccomp-dev libssl-dev libuv1-dev make procps
    python3 python3-minimal scdoc uthash-dev"
check="
    check clang iproute2 libclang-rt-14-dev netbase nftables strace tcpdump util-linux"
interop="
    apache2-bin apache2-utils bind9-dnsutils busybox-static chromium debhelper default-jdk-headless dnsmasq-base dpkg-dev fakeroot
    firefox-esr fish git golang-go iperf3 lftp libc-ares-dev libndpi-bin libnss-wrapper libpython3.11-testsuite lintian mosh ncat
    netcat-openbsd nginx-light nodejs openssh-client openssh-server openssl perl php-cli postgresql python3-uvloop redis-server
    redis-tools rsync ruby sip-tester socat systemd tcpflow tshark vsftpd wget zsh"

# the same AES at a fourth of the time, where Intel's instructions are
[ "$(dpkg --print-architecture 2>/dev/null)" != amd64 ] || build="$build libipsec-mb-dev"

command -v dpkg-query >/dev/null 2>&1 || { echo "deps: not a Debian system; needed here:" $build >&2; exit 0; }
want=
for set in "$@"; do
    eval "want=\"\$want \$$set\""
done
missing=
for p in $want; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
done
[ -z "$missing" ] && exit 0

install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
    sudo=
elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then
    sudo="sudo -n"
else
    echo "deps: packages are missing, and installing them takes an administrator. Run this, then again what you ran:" >&2
    echo "    sudo apt-get update && sudo $install" >&2
    exit 1
fi
echo "deps: $install"

$sudo env DEBIAN_FRONTEND=noninteractive sh -ec "apt-get update -qq; $install -qq >/dev/null"
