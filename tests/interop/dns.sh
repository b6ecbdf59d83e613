#!/bin/sh
# DNS: dig against dnsmasq, over UDP and TCP and both families, answers that are too long for UDP, and many questions at once.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
need dig dnsmasq
world_up
alice=$(address_of alice) bob=$(address_of bob)
bob6=$(as bob i3ctl id --json | field address6)
port=$(free_port)
long=$(for i in 1 2 3 4 5 6; do printf ',%0200d' "$i"; done) # 1.2 kB

# Does bob's daemon know of no listener there?
free() {
    ! listens bob "$1" udp
}
# dnsmasq_up [--bind-interfaces ADDRESS...]: on these, or on all
dnsmasq_up() {
    for a in "$@"; do
        [ "$a" = --bind-interfaces ] || a=--listen-address=$a
        set -- "$@" "$a"
        shift
    done
    wait_for 10 free "$port" # the daemon looks after the sockets of the one before once a second
    back_on "$port/udp" bob dnsmasq dnsmasq --no-daemon --no-resolv --no-hosts --port="$port" --log-queries "$@" \
        --address=/answer.example/192.0.2.44 --address=/answer.example/2001:db8::44 --txt-record=long.example"$long" \
        --conf-file=/dev/null --edns-packet-max=4096 --user="$ME" --group="$(id -gn)" --pid-file
    wait_for 10 has "$T/dnsmasq.log" 'cleared cache' || die "$(cat "$T/dnsmasq.log")" # it is ready
}
ask() {
    as alice i3run dig +short +time=3 +tries=2 -p "$port" "$@" || die "dig $*: $(cat "$T/dnsmasq.log")"
}

step "bound to bob's virtual addresses alone, of both families"
dnsmasq_up --bind-interfaces "$bob" "$bob6"
for server in bob.i3 "$bob" "$bob6"; do
    expect "A" "$(ask @"$server" answer.example)" 192.0.2.44
    expect "A by TCP" "$(ask +tcp @"$server" answer.example)" 192.0.2.44
done
end $SERVER

# over TCP, dnsmasq would look for an interface with the address that was asked, which no virtual one has
step "bound to all addresses: it answers from the one which was asked (IP_PKTINFO)"
dnsmasq_up
for server in bob.i3 "$bob" "$bob6"; do
    expect "AAAA from $server" "$(ask @"$server" answer.example AAAA)" 2001:db8::44
done
end $SERVER

step "bound to loopback"
dnsmasq_up --bind-interfaces 127.0.0.1
expect "A" "$(ask @bob.i3 answer.example)" 192.0.2.44
expect "A by TCP" "$(ask +tcp @bob.i3 answer.example)" 192.0.2.44
must_have "$T/dnsmasq.log" "query\[A\] answer.example from $alice"
as alice i3run dig -p "$port" @bob.i3 answer.example >"$T/dig"
must_have "$T/dig" "SERVER: $bob#$port(bob.i3) (UDP)"

step "a long answer: truncated and asked again by TCP; whole in one datagram"
expect "by TCP" "$(ask +bufsize=512 @bob.i3 long.example TXT | wc -c)" 1218
as alice i3run dig +ignore +bufsize=512 -p "$port" @bob.i3 long.example TXT >"$T/dig"
must_have "$T/dig" 'flags:.* tc'
expect "by UDP" "$(ask +bufsize=4096 +ignore @bob.i3 long.example TXT | wc -c)" 1218

step "500 questions, then 200 on one TCP connection"
seq 500 | sed 's/.*/n&.answer.example A/' >"$T/questions"
expect "answers" "$(ask @bob.i3 -f "$T/questions" | grep -c 192.0.2.44)" 500
head -200 "$T/questions" >"$T/fewer"
expect "by TCP" "$(ask +tcp +keepopen @bob.i3 -f "$T/fewer" | grep -c 192.0.2.44)" 200
end $SERVER

step "on port 53, where resolvers look: nslookup and host, told of the server, and dig"
[ "$port" != 53 ]
port=53
dnsmasq_up --bind-interfaces "$bob" "$bob6"
for server in "$bob" "$bob6"; do
    expect "A" "$(ask @"$server" answer.example)" 192.0.2.44
    expect "A by TCP" "$(ask +tcp @"$server" answer.example)" 192.0.2.44
done
expect "host" "$(as alice i3run host -t A answer.example "$bob" | grep -c 'has address 192.0.2.44')" 1
as alice i3run nslookup answer.example bob.i3 >"$T/dig" || die "$(cat "$T/dig")"
must_have "$T/dig" 192.0.2.44
end $SERVER

step "nobody there any more"
! as alice i3run dig +time=1 +tries=1 -p "$port" @bob.i3 answer.example >"$T/dig" || die "an answer: $(cat "$T/dig")"
must_have "$T/dig" "refused"
