#!/bin/sh
# waits: for what a connection comes to at each of its stages.
# A TCP client sees the same of its peer: on loopback without i3run, on loopback with it, and on the overlay.
. "$(dirname "$0")/../lib/world.sh"
world_up
probe=$B/tests/integration/probes/stages
families='-4'
! grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null || families='-4 -6'

for f in $families; do
    six=''
    address=address
    [ $f = -4 ] || { six=-6 address=address6; }
    # shellcheck disable=SC2086
    python3 "$LIB/script_peer.py" $six "$probe" >"$T/native$f" </dev/null &
    native=$!
    # shellcheck disable=SC2086
    as alice i3run python3 "$LIB/script_peer.py" $six "$probe" >"$T/real$f" </dev/null &
    real=$!
    # shellcheck disable=SC2086
    serve bob "peer$f" python3 "$LIB/script_peer.py" $six
    as alice i3run "$probe" "$(as bob i3ctl id --json | field $address)" "$PORT" >"$T/virtual$f" </dev/null
    wait $native
    wait $real
    [ "$(wc -l <"$T/native$f")" -gt 170 ] || die "the probe ended early"
    step "under i3run, a real peer $f"
    diff "$T/native$f" "$T/real$f" || die "i3run makes a difference"
    step "a virtual peer $f"
    diff "$T/native$f" "$T/virtual$f" || die "the overlay differs from the kernel"
done
