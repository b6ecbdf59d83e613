#!/bin/sh
# Rule 6 of SHIM.md at full size: FORKS (100000) forks and vforks while eight threads and a signal handler dial a peer which refuses;
# nobody hangs, everybody gets the peer's answer, and no fd is left.
. "$(dirname "$0")/../lib/world.sh"
world_up
step "${FORKS:=100000} forks"
as alice i3run timeout 550 "$B/tests/integration/probes/storm" "$FORKS" 8 "$(address_of bob)" 9 || die "status $?"
