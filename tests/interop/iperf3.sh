#!/bin/sh
# iperf3: TCP one way, the other way, both ways and on 8 streams at once; UDP at a rate, with the loss counted.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
need iperf3
world_up
alice=$(address_of alice) bob=$(address_of bob)
port=$(free_port)
back_on "$port" bob iperf3 iperf3 -s -p "$port" --forceflush

# iperf OPTIONS...: its report is in $T/report
iperf() {
    as alice i3run timeout 30 iperf3 -c bob.i3 -p "$port" -J "$@" >"$T/report" 2>&1 || die "iperf3 $*: $(tail -50 "$T/report" "$T/iperf3.log")"
    grep -q "error" "$T/report" && die "iperf3 $*: $(grep error "$T/report")"
    return 0
}
# check PYTHON: of the report, as r, and its end, as e; prints
report() {
    python3 -c '
import json, sys
r = json.load(open(sys.argv[1]))
e = r["end"]
def rate(x): return x["bits_per_second"] / 1e6
'"$1" "$T/report" || die "$(cat "$T/report")"
}

step "TCP: there, back, both ways"
iperf -n 200M
report 'print("    %.0f Mbit/s" % rate(e["sum_received"])); assert e["sum_received"]["bytes"] >= 190e6'
report 'c = r["start"]["connected"][0]; print("   ", c); assert c["local_host"] == "'"$alice"'" and c["remote_host"] == "'"$bob"'" and c["remote_port"] == '"$port"
must_have "$T/iperf3.log" "Accepted connection from $alice"
iperf -R -t 1
report 'print("    %.0f Mbit/s" % rate(e["sum_received"])); assert rate(e["sum_received"]) > 50'
iperf --bidir -t 1
report 'print("    %.0f and %.0f Mbit/s" % (rate(e["sum_received"]), rate(e["sum_received_bidir_reverse"])))
assert rate(e["sum_received"]) > 20 and rate(e["sum_received_bidir_reverse"]) > 20'

step "TCP: 8 streams, there and back, and over IPv6"
iperf -P 8 -t 1
report 'print("    %.0f Mbit/s" % rate(e["sum_received"])); assert len(e["streams"]) == 8 and all(s["receiver"]["bytes"] > 1e6 for s in e["streams"])'
iperf -P 8 -R -t 1
report 'print("    %.0f Mbit/s" % rate(e["sum_received"])); assert len(e["streams"]) == 8 and all(s["receiver"]["bytes"] > 1e6 for s in e["streams"])'
iperf -6 -t 1 -O 0
report 'print("    %.0f Mbit/s" % rate(e["sum_received"])); assert r["start"]["connected"][0]["remote_host"].startswith("fd69:3300:")'

step "UDP: 20 Mbit/s there, back, both ways, and 4 streams"
udp='print("    %.1f Mbit/s, %.2f %% of %d lost" % (rate(e["sum"]), e["sum"]["lost_percent"], e["sum"]["packets"]))
assert e["sum"]["lost_percent"] < 2 and rate(e["sum"]) > 18'
iperf -u -b 20M -l 1200 -t 2
report "$udp"
iperf -u -b 20M -l 1200 -t 2 -R
report "$udp"
iperf -u -b 5M -P 4 -l 1200 -t 1
report "$udp"
iperf -u -b 10M -l 1200 -t 1 --bidir
report 'print("    %.2f %% and %.2f %% lost" % (e["sum"]["lost_percent"], e.get("sum_bidir_reverse", {"lost_percent": 0})["lost_percent"]))
assert e["sum"]["lost_percent"] < 2 and rate(e["sum"]) > 8'
