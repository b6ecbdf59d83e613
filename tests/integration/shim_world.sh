#!/bin/sh
# A TCP client sees of a virtual peer what the kernel's TCP shows of a real one: the probe of shim.py, over a true overlay.
. "$(dirname "$0")/../lib/world.sh"
world_up

step "somebody who is there and keeps silent towards strangers"
sed "s|/alice/|/carol/|g" "$W/alice.env" >"$W/carol.env"
mkdir -p "$W/carol/config/i3"
cp "$W/alice/config/i3/i3.conf" "$W/carol/config/i3/"
key=$(as carol i3ctl init --json | field key)
daemon_start carol
STARTED="$STARTED $(as carol i3ctl status --json | field pid)"
as alice i3ctl book add carol "$key" >/dev/null
carol=$(as alice i3run getent ahostsv4 carol.i3 | sed -n '1s/ .*//p')

step "the probe on loopback and on the overlay"
python3 "$LIB/loopback_peers.py" "$B/tests/integration/probes/semantics" >"$T/native" </dev/null
as alice i3run python3 "$LIB/loopback_peers.py" "$B/tests/integration/probes/semantics" >"$T/real" </dev/null
diff "$T/native" "$T/real" || die "i3run makes a difference with a real peer"
serve bob echo python3 "$LIB/loopback_peers.py"
bob=$(address_of bob)
as alice i3run "$B/tests/integration/probes/semantics" "$bob" "$PORT" "$bob" 9 "$carol" 7 >"$T/overlay" </dev/null
[ "$(wc -l <"$T/native")" -gt 140 ] || die "the probe ended early"
diff "$T/native" "$T/overlay" || die "the overlay differs from the kernel"

if ! grep -q '^0*1 ' /proc/net/if_inet6 2>/dev/null; then
    as carol i3ctl stop >/dev/null
    exit
fi
step "and over IPv6"
python3 "$LIB/loopback_peers.py" -6 "$B/tests/integration/probes/semantics" >"$T/native" </dev/null
as alice i3run python3 "$LIB/loopback_peers.py" -6 "$B/tests/integration/probes/semantics" >"$T/real" </dev/null
diff "$T/native" "$T/real" || die "i3run makes a difference with a real peer"
serve bob echo6 python3 "$LIB/loopback_peers.py" -6
bob=$(as bob i3ctl id --json | field address6) carol=$(as carol i3ctl id --json | field address6)
as alice i3run "$B/tests/integration/probes/semantics" "$bob" "$PORT" "$bob" 9 "$carol" 7 >"$T/overlay" </dev/null
[ "$(wc -l <"$T/native")" -gt 135 ] || die "the probe ended early"
diff "$T/native" "$T/overlay" || die "the overlay differs from the kernel"
as carol i3ctl stop >/dev/null
