#!/bin/sh
# sipp: a thousand calls over UDP and a thousand over TCP, on one connection and on one each; the addresses inside the messages are
# the virtual ones, and they are those which the other side sees, so a second call can go to the Contact of the first.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
need sipp
world_up
alice=$(address_of alice) bob=$(address_of bob)
cd "$T" # sipp leaves its files where it is

# calls TRANSPORT PROTO NUMBER RATE
calls() {
    port=$(free_port) own=$(free_port)
    rm -f "$T"/uac_*
    back_on "$port$2" bob "sipp-$1" sipp -sn uas -t "${1%?}1" -i "$bob" -p "$port" -nostdin -trace_err
    as alice i3run timeout 100 sipp -sn uac -t "$1" -i "$alice" -p "$own" "bob.i3:$port" -m "$3" -r "$4" -d 20 -max_socket 2000 \
        -nostdin -trace_msg -trace_err >"$T/uac.log" 2>&1 || die "sipp: $(tail -45 "$T/uac.log"; tail -5 "$T"/uac_*errors.log)"
    must_have "$T/uac.log" "Successful call  *| *[0-9]* *| *$3 "
    must_have "$T/uac.log" "Failed call  *| *[0-9]* *| *0 "
    cat "$T"/uac_*messages.log >"$T/messages"
    [ "${1#?}" = 1 ] || own='[0-9]*'
    must_have "$T/messages" "Contact: .*sip:.*@$alice:$own"
    must_have "$T/messages" "Contact: <sip:$bob:$port"
    must_have "$T/messages" "^Via: SIP/2.0/.* $alice:$own"
    must_have "$T/messages" "^c=IN IP4 $bob"
    end $SERVER
}

step "1000 calls over UDP"
calls u1 /udp 1000 250
step "1000 calls over one TCP connection"
calls t1 '' 1000 250
step "200 calls over UDP with a socket each, and over TCP with a connection each"
calls un /udp 200 100
calls tn '' 200 100
