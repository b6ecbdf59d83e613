#!/bin/sh
# CPython's own tests of sockets, event loops and processes: case by case the same result under i3run as without it. Nothing
# virtual is involved: what is found here is whether the library is in anybody's way. Needs libpython3.11-testsuite.
# VSOCK is left out: as root it waits for ever on some virtual machines. MODULES: which test modules.
. "$(dirname "$0")/../lib/world.sh"

python=/usr/bin/python3
MODULES=${MODULES:-test_socket test_asyncio test_selectors test_ssl test_ftplib test_httplib test_subprocess}
$python -c 'import test.test_socket' 2>/dev/null || { echo "no libpython3.11-testsuite here"; exit 77; }
[ -w /dev/shm ] || export TMPDIR="$T"
world_up

# suite NAME [COMMAND...]: the results of all modules in $T/NAME.xml; regrtest's own status says only whether there was a failure
suite() {
    suite_name=$1
    shift
    mkdir "$T/$suite_name"
    (
        . "$W/alice.env"
        cd "$T/$suite_name" || exit
        # shellcheck disable=SC2086
        exec timeout 560 "$@" $python -m test -j2 --timeout 240 --tempdir "$T/$suite_name" \
            --ignore "*VSOCK*" --junit-xml "$T/$suite_name.xml" $MODULES
    ) >"$T/$suite_name.log" 2>&1 </dev/null || :
    [ -s "$T/$suite_name.xml" ] || { tail -50 "$T/$suite_name.log"; die "the suite did not end $suite_name"; }
}

step "without i3run"
suite native
step "with it"
suite i3run i3run

step "the comparison"
python3 "$LIB/junit_diff.py" "$T/native.xml" "$T/i3run.xml" || { tail -200 "$T/i3run.log"; die "i3run makes a difference"; }
