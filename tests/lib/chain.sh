# chain.sh - sourced behind star.sh: a client, a ring of nodes, a middle-box, a gateway, and a web server which knows nothing of
# any of this, on one network; all that the client asks for goes anonymously through the box and the gateway.
#
# Box and gateway take no shortcut to each other, so that all they say to hosts of the overlay goes to nodes.
#
#     chain_up             all of it stands: HTTP at www.example.test:80, HTTPS at :443 (certificate $T/tls.pem)
#     chain_check          what has been captured is judged, at each host; $T/never: texts which only gateway and server may see
# shellcheck shell=sh

chain_up() {
    star_begin client n0 n1 n2 box gw web
    dns_at hub "$(at web)" # whom the client would ask, and who would answer
    dns_at web "$(at web)"
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$T/tls.key" -out "$T/tls.pem" -days 2 -subj /CN=www.example.test \
        -addext subjectAltName=DNS:www.example.test 2>"$T/openssl.log" || die "$(cat "$T/openssl.log")"
    chmod a+r "$T/tls.key" "$T/tls.pem"
    server web site python3 "$T/site.py" --port 80 "$@"
    server web tls python3 "$T/site.py" --port 443 --tls "$T/tls.pem" "$T/tls.key" "$@"
    ring n0 n1 n2
    printf '%s\n' www.example.test example.test crumb=42 'GET /' 'HTTP/1' Set-Cookie >"$T/never"
    chain_users
}
chain_users() {
    user box <<'C'
middlebox {
    allow = { "anyone" }
    addresses = "synthesised"
}
shortcut = no
C
    user gw <<C
gateway {
    allow = { "anyone" }
    networks = { "$(at web)/32" }
    dns-server = "$(at web)"
}
shortcut = no
C
    user client <<'C'
rule {
    match = "."
    action = "gateway"
    via = "gw"
    through = { "box" }
    anonymity = yes
}
C
    know client gw gw
    know client box box
}
# OTHER_PORT: one more of the web server that somebody has tried. DEAD: hosts whose daemon has been killed: the kernel there says so, by ICMP, to the nodes which still send to it
chain_check() {
    nodes=$(nodes_only n0 n1 n2) OTHER_PORT_GW='' OTHER_PORT_WEB=''
    [ -z "${OTHER_PORT-}" ] || OTHER_PORT_GW="--allow tcp/$(at web):$OTHER_PORT" OTHER_PORT_WEB="--allow tcp/$(at gw)@$OTHER_PORT"
    for other in client box gw; do
        eval "icmp_$other="
    done
    for other in ${DEAD-}; do
        eval "icmp_$other='--allow >icmp/$(at n0) --allow >icmp/$(at n1) --allow >icmp/$(at n2)'"
    done
    # shellcheck disable=SC2086
    check client $nodes $icmp_client "$@" --never "@$T/never" --key "$(key gw)" --key "$(key box)" --some 'udp/*:5610'
    # shellcheck disable=SC2086
    check box $nodes $icmp_box --never "@$T/never" --key "$(key client)" --some 'udp/*:5610'
    # shellcheck disable=SC2086
    check gw $nodes $icmp_gw --allow "udp/$(at web):53" --allow "tcp/$(at web):80" --allow "tcp/$(at web):443" $OTHER_PORT_GW --key "$(key client)"
    # shellcheck disable=SC2086
    check web --allow "udp/$(at gw)@53" --allow "tcp/$(at gw)@80" --allow "tcp/$(at gw)@443" $OTHER_PORT_WEB
    for n in n0 n1 n2; do
        everybody=''
        for other in client box gw n0 n1 n2; do
            [ $other = $n ] || everybody="$everybody --allow udp/$(at $other)"
        done
        for other in ${DEAD-}; do
            everybody="$everybody --allow <icmp/$(at $other)"
        done
        # shellcheck disable=SC2086
        check $n $everybody --never "@$T/never"
    done
    expect "what the client's own DNS server was asked" "$(asked hub)" ""
    expect "who asked the other one" "$(asked web | sed 's/.* //' | sort -u)" "$(at gw)"
}
