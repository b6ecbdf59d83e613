#!/bin/sh
# run.sh SCRIPT: runs one integration test as an ordinary user (root drops to `nobody`, with a HOME of its own), prints
# one line for a pass and the whole output for a failure. A script which needs root to build its own network namespaces
# says so on its first lines: "# root: ...". Environment: B, the build folder.
script=$1
name=${script#tests/}
out=$(mktemp) home=$(mktemp -d /tmp/i3test.XXXXXX) || exit 2
trap 'rm -rf "$out" "$home"' EXIT
start=$(date +%s)
if [ "$(id -u)" = 0 ] && ! head -5 "$script" | grep -q '^# root:'; then
    chown nobody "$home"
    setpriv --reuid=nobody --regid=nogroup --clear-groups env -i PATH="$PATH" HOME="$home" TMPDIR="$home" LANG=C.UTF-8 B="$B" \
        "$script" >"$out" 2>&1 </dev/null
else
    env -i PATH="$PATH" HOME="$home" TMPDIR="$home" LANG=C.UTF-8 B="$B" "$script" >"$out" 2>&1 </dev/null
fi
rc=$?
took=$(($(date +%s) - start))
if [ $rc = 0 ]; then
    echo "ok    $name (${took}s)"
elif [ $rc = 77 ]; then
    echo "skip  $name: $(tail -1 "$out")"
    rc=0
else
    cat "$out"
    echo "FAIL  $name (${took}s, status $rc)"
fi
exit $rc
