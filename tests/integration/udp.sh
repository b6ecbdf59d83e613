#!/bin/sh
# UDP: what a program sees of a virtual peer is what the kernel shows of one on loopback; a real peer beside it; both directions.
. "$(dirname "$0")/../lib/world.sh"
world_up
PROBE=$B/tests/integration/probes/dgrams

# A UDP server of nobody's: real SERVER ADDRESS; its port goes to PORT.
real() {
    "$LIB/udp_echo.py" "$1" >"$T/real.$1" 2>&1 </dev/null &
    STARTED="$STARTED $!"
    wait_for 10 grep -q '^port ' "$T/real.$1"
    PORT=$(sed -n 's/^port //p' "$T/real.$1")
}

step "the probe on loopback and on the overlay"
real 127.0.0.1
other=$PORT
real 127.0.9.9
"$PROBE" 127.0.9.9 "$PORT" 9 127.0.0.1 "$other" >"$T/native"
[ "$(wc -l <"$T/native")" -gt 60 ] || die "the probe ended early: $(tail -3 "$T/native")"
serve bob echo "$LIB/udp_echo.py"
as alice i3run "$PROBE" "$(address_of bob)" "$PORT" 9 127.0.0.1 "$other" >"$T/overlay"
diff "$T/native" "$T/overlay" || die "the overlay differs from the kernel"

step "and the other way round, the server bound to its own virtual address"
serve alice echo "$LIB/udp_echo.py" "$(address_of alice)"
as bob i3run "$PROBE" "$(address_of alice)" "$PORT" 9 127.0.0.1 "$other" >"$T/overlay"
diff "$T/native" "$T/overlay" || die "the overlay differs from the kernel"
