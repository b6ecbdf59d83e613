#!/bin/sh
# CPython's own tests of sockets, event loops and processes: case by case the same result under i3run as without it. Nothing
# virtual is involved: what is found here is whether the library is in anybody's way. Needs libpython3.11-testsuite.
# VSOCK is left out: as root it waits for ever on some virtual machines. MODULES: which test modules.
#
# Some of these tests measure times and fail now and then on a busy machine, natively as well. So those that differ are run again, by
# themselves and in both ways; what is different each time is a difference.
. "$(dirname "$0")/../lib/world.sh"

python=/usr/bin/python3
MODULES=${MODULES:-test_socket test_asyncio test_selectors test_ssl test_ftplib test_httplib test_subprocess}
$python -c 'import test.test_socket' 2>/dev/null || { echo "no libpython3.11-testsuite here"; exit 77; }
[ -w /dev/shm ] || export TMPDIR="$T"
world_up

# suite NAME [COMMAND...]: the results of all modules, or of the cases in $T/again, in $T/NAME.xml; regrtest's own status says only
# whether there was a failure
suite() {
    suite_name=$1
    shift
    mkdir "$T/$suite_name"
    (
        . "$W/alice.env"
        cd "$T/$suite_name" || exit
        # shellcheck disable=SC2086
        exec timeout 560 "$@" $python -m test -j2 --timeout 240 --tempdir "$T/$suite_name" \
            --ignore "*VSOCK*" ${again:+--matchfile "$again"} --junit-xml "$T/$suite_name.xml" $MODULES
    ) >"$T/$suite_name.log" 2>&1 </dev/null || :
    [ -s "$T/$suite_name.xml" ] || { tail -50 "$T/$suite_name.log"; die "the suite did not end $suite_name"; }
}

# round N: with and without it
round() {
    step "round $1: without i3run"
    suite "native$1"
    step "round $1: with it"
    suite "i3run$1" i3run
    step "round $1: the comparison"
    python3 "$LIB/junit_diff.py" "$T/native" "$T/i3run" >"$T/differing"
}

again=
for n in 1 2 3; do
    ! round $n || exit 0
    cp "$T/differing" "$T/again"
    again=$T/again
done
cat "$T"/i3run[23].log
die "i3run makes a difference: $(tr '\n' ' ' <"$T/differing")"
