#!/bin/sh
# Programs of every day over virtual UDP: netcat, socat, dig against dnsmasq, iperf3 both ways, sipp with its calls.
. "$(dirname "$0")/../lib/world.sh"
world_up
bob=$(address_of bob) alice=$(address_of alice)

# A server of USER under i3run, in the background: back USER NAME CMD...
back() {
    back_user=$1 back_log=$T/$2.log
    shift 2
    (
        . "$W/$back_user.env"
        exec i3run "$@"
    ) >"$back_log" 2>&1 </dev/null &
    STARTED="$STARTED $!"
}

# Is a UDP port of 127.0.0.1 or all addresses in use?
bound() {
    grep -q "$(printf ':%04X ' "$1")" /proc/net/udp
}

step "socat echoes what netcat sends"
back bob socat socat UDP4-RECVFROM:7001,fork EXEC:cat
wait_for 10 bound 7001
got=$(printf 'hello over there' | as alice i3run timeout 10 nc -u -w 2 bob.i3 7001)
expect "netcat's answer" "$got" "hello over there"

step "dig asks dnsmasq, bound to all addresses and to bob's own"
for listen in 0.0.0.0 "$bob"; do
    back bob dnsmasq dnsmasq --no-daemon --no-resolv --no-hosts --port=7053 --listen-address="$listen" --bind-interfaces \
        --address=/answer.example/192.0.2.44 --user="$(id -un)" --group="$(id -gn)" --pid-file
    DNSMASQ=$!
    wait_for 10 bound 7053 || die "dnsmasq: $(cat "$T/dnsmasq.log")"
    got=$(as alice i3run dig +short +time=3 +tries=2 -p 7053 @"$bob" answer.example)
    expect "dig's answer" "$got" 192.0.2.44
    kill $DNSMASQ
    wait_for 10 sh -c "! grep -q $(printf ':%04X' 7053) /proc/net/udp"
done

step "iperf3 sends 20 Mbit/s each way and loses little"
back bob iperf3 iperf3 -s -p 7002 --forceflush
wait_for 10 sh -c 'grep -q listening "$1"' - "$T/iperf3.log"
for way in '' -R; do
    as alice i3run iperf3 -u -c bob.i3 -p 7002 -b 20M -l 1200 -t 3 -J $way >"$T/iperf.json" || die "iperf3: $(cat "$T/iperf.json")"
    python3 -c '
import json, sys
s = json.load(open(sys.argv[1]))["end"]["sum"]
print("    %.1f Mbit/s, %.2f %% lost" % (s["bits_per_second"] / 1e6, s["lost_percent"]))
sys.exit(s["lost_percent"] > 2 or s["bits_per_second"] < 15e6)' "$T/iperf.json" || die "iperf3 $way"
done

step "sipp: 50 calls, the addresses inside the messages being the virtual ones"
cd "$T"
back bob sipp sipp -sn uas -i "$bob" -p 7060 -nostdin
wait_for 10 bound 7060
as alice i3run timeout 60 sipp -sn uac -i "$alice" -p 7061 bob.i3:7060 -m 50 -r 25 -d 100 -nostdin -trace_msg >"$T/uac.log" 2>&1 ||
    die "sipp: $(tail -40 "$T/uac.log")"
cat "$T"/uac_*messages.log >"$T/messages" 2>/dev/null || die "no messages"
grep -q "Contact: .*sip:.*@$alice:7061" "$T/messages" || die "alice's address is not in what she sent"
grep -q "Contact: <sip:$bob:7060" "$T/messages" || die "bob's address is not in what he sent"
