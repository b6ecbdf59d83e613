#!/bin/sh
# root: the engine against the kernel's TCP over a TUN device, each case in a network namespace of its own: both roles, all that
# TCP does, laws of congestion control, options, MTUs, loss and reordering. The list: tests/interop/tcp_linux.py --list
[ "$(id -u)" = 0 ] && [ -c /dev/net/tun ] && unshare -n true 2>/dev/null || { echo "needs root and /dev/net/tun"; exit 77; }
py=$(dirname "$0")/tcp_linux.py
bad=0 n=0
list=$(mktemp)
"$py" --list >"$list"
while read -r line; do
    n=$((n + 1))
    # shellcheck disable=SC2086
    timeout 100 unshare -n "$py" $line </dev/null || { bad=$((bad + 1)); echo "failed, to be repeated by: B=$B unshare -n $py $line"; }
done <"$list"
rm "$list"
echo "$((n - bad)) of $n cases hold"
[ "$bad" = 0 ]
