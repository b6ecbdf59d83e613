#!/bin/sh
# Java, whose sockets are IPv6 ones unless told otherwise: servers and clients of java.net, java.nio and java.net.http, once with
# sockets for both families, once with -Djava.net.preferIPv4Stack=true at both ends.
. "$(dirname "$0")/../lib/world.sh"
command -v javac >/dev/null || { echo "no Java here"; exit 77; }
world_up
alice=$(address_of alice)
javac -d "$T/classes" "$TOP"/tests/interop/apps/Server.java "$TOP"/tests/interop/apps/Client.java
java="java -XX:TieredStopAtLevel=1 -XX:-UsePerfData -cp $T/classes"

round() {
    log=$1
    shift
    # shellcheck disable=SC2086
    serve bob "$log" $java "$@" Server
    # shellcheck disable=SC2086,SC2046
    as alice i3run timeout 80 $java "$@" Client bob.i3 "$alice" $(sed -n 's/^\([a-z]*\) \([0-9]*\)$/\1=\2/p' "$T/$log.log") \
        >"$T/client.log" 2>&1 || die "$(cat "$T/client.log" "$T/$log.log")"
    [ ! -s "$T/client.log" ] || die "$(cat "$T/client.log"; sort "$T/$log.log" | uniq -c)"
    grep -v '^[a-z]* [0-9]*$' "$T/$log.log" >"$T/callers"
    ! grep -v -e "^$alice " -e "^fd69:3300:" "$T/callers" || die "who is that? alice is $alice"
    for kind in plain selecting asynchronous packets datagrams web; do
        grep -q "^$alice $kind" "$T/callers" || die "nobody came for $kind: $(sort "$T/callers" | uniq -c)"
    done
}

step "sockets for both families"
round both
[ "$(grep -c '^fd69:3300:' "$T/callers")" -ge 3 ] || die "nobody came by IPv6"
step "IPv4 alone"
round four -Djava.net.preferIPv4Stack=true
