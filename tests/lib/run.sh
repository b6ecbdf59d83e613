#!/bin/sh
# run.sh SCRIPT: runs one integration test as an ordinary user (root drops to `nobody`, with a HOME of its own), prints
# one line for a pass and the whole output for a failure. A script which needs root to build its own network namespaces
# says so on its first lines: "# root: ...". Environment: B, the build folder; TEST_SECONDS (600), after which a test is
# ended; STEP_TIMES=1, for the time of day at each step; and what scripts take from it by hand: SIZE_MB, FETCHES,
# IDLE_SECONDS, CUT_SECONDS, SCALE, PACKETS, CRASHES, SLACK.
# What a sanitizer finds in any process, daemons in the background included, fails the test.
script=$1
name=${script#tests/}
out=$(mktemp) home=$(mktemp -d /tmp/i3test.XXXXXX) || exit 2
trap 'rm -rf "$out" "$home"' EXIT
path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
start=$(date +%s)

# As whom: root itself, nobody, or nobody who finds the tree at /media, in a mount namespace of the test's own, since a clone in a
# folder of root's is out of nobody's reach.
nobody='setpriv --reuid=nobody --regid=nogroup --clear-groups'
run() {
    case $as in
    root) exec env "$@" ;;
    nobody) exec $nobody env "$@" ;;
    mounted) exec unshare --mount --propagation private sh -c 'mount --bind "$PWD" /media && cd /media && exec "$@"' - $nobody env "$@" ;;
    esac
}

as=root
san="ASAN_OPTIONS=log_path=$home/sanitizer:detect_leaks=0 UBSAN_OPTIONS=log_path=$home/sanitizer:print_stacktrace=1 TSAN_OPTIONS=log_path=$home/sanitizer"
if [ "$(id -u)" = 0 ] && ! head -5 "$script" | grep -q '^# root:'; then
    if $nobody sh -c 'test -x "$1" && test -x "$2/bin/i3ctl"' - "$PWD/$script" "$B"; then
        as=nobody
    elif [ "${B#"$PWD"/}" != "$B" ] && [ "${script#/}" = "$script" ] && (as=mounted run test -x "$script") 2>/dev/null; then
        as=mounted
        B=/media/${B#"$PWD"/}
    fi
    [ $as = root ] || chown nobody "$home"
fi
for v in STEP_TIMES SIZE_MB FETCHES IDLE_SECONDS SCALE PACKETS CUT_SECONDS CRASHES SLACK; do
    eval "[ -z \"\${$v-}\" ] || set -- \"\$@\" \"$v=\${$v-}\""
done
shift
# timeout has a process group of its own, so that a late test ends with all that it started
run -i PATH="$path" HOME="$home" TMPDIR="$home" LANG=C.UTF-8 B="$B" $san "$@" timeout -k 20 "${TEST_SECONDS:-600}" "$script" \
    >"$out" 2>&1 </dev/null &
trap 'kill $!; wait $!; exit 130' INT TERM HUP
wait $!
rc=$?
if cat "$home"/sanitizer.* >>"$out" 2>/dev/null; then
    rc=99
fi
took=$(($(date +%s) - start))
if [ $rc = 0 ]; then
    echo "ok    $name (${took}s)"
elif [ $rc = 77 ]; then
    echo "skip  $name: $(tail -1 "$out")"
    rc=0
else
    cat "$out"
    [ $rc != 124 ] || echo "(not done after ${TEST_SECONDS:-600} s)"
    echo "FAIL  $name (${took}s, status $rc)"
fi
exit $rc
