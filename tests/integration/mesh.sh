#!/bin/sh
# root: network namespaces
# A mesh beside the ring: a, b and c reach each other without nodes, by the addresses in their books. The way a-b is blocked in the middle of
# a download, and it goes on by c; the way is back, and so is the download. A stranger gets no answer. At the same time everything of i3 works.
# waits: for a way that is gone
. "$(dirname "$0")/../lib/netns.sh"
. "$LIB/star.sh"
star_begin n0 a b c x
ring n0

conf='overlay lab { kind = "mesh"  suffix = ".lab"  bind = "0.0.0.0:5700" }'
way() { # way HOST NAME: direct, via NAME or none
    as "$1" i3ctl mesh --json | python3 -c 'import json,sys
for m in json.load(sys.stdin)["meshes"][0]["members"]:
    if m["name"] == sys.argv[1]: print(m["path"] + (" " + m["via"] if m["via"] else ""))' "$2"
}
way_is() {
    [ "$(way "$1" "$2")" = "$3" ]
}
lab() { # lab HOST NAME OTHER ADDRESS,...
    as "$1" i3ctl book add "$2" "$(key "$3")" --at "$4" >/dev/null || die "book add $2"
}
block() {
    in_ns a nft -f - <<END
table inet cut {
    chain in { type filter hook input priority 0; ip saddr $(at b) drop; ip6 saddr $(at6 b) drop
    }
    chain out { type filter hook output priority 0; ip daddr $(at b) drop; ip6 daddr $(at6 b) drop
    }
}
END
}

step "three members, and one of them in the ring only by another name"
for u in a b c; do
    echo "$conf" | user $u
done
lab a b.lab b "$(at b):5700"
lab a c.lab c "$(at c)"
lab b a.lab a "$(at a):5700"
lab b c.lab c "[$(at6 c)]:5700"
lab c a.lab a "$(at a):5700"
lab c b.lab b "[$(at6 b)]:5700,$(at b):5700"
echo | user x
know a x x
know x a a
for u in a b c; do
    for o in a b c; do
        [ $u = $o ] || wait_for 10 way_is $u $o.lab direct || die "$u to $o: $(way $u $o.lab) $(as $u i3ctl mesh)"
    done
done
as a i3ctl mesh | cat
as a i3ctl ping b.lab 2 | cat
as b i3ctl ping c.lab 1 | cat

step "servers are reached in both overlays at once"
echo "from b" >"$T/b/www/page"
echo "from x" >"$T/x/www/page"
head -c 300000 /dev/urandom >"$T/a/www/big"
chmod -R a+rX "$T/a/www" "$T/b/www" "$T/x/www"
(cd "$T/b/www" && server b webb i3run python3 "$T/web.py")
bp=$(port_in "$T/webb.log")
(cd "$T/x/www" && server x webx i3run python3 "$T/web.py")
xp=$(port_in "$T/webx.log")
(cd "$T/a/www" && server a weba i3run python3 "$T/web.py")
ap=$(port_in "$T/weba.log")
expect "both pages" "$(as a i3run curl -sS -m 20 -Z "http://b.lab:$bp/page" "http://x.i3:$xp/page" | sort | xargs)" "from b from x"
as x i3run curl -sS -m 20 -o "$T/x/www/got" "http://a.i3:$ap/big" || die "the ring's side of a"
as c i3run curl -sS -m 20 "http://a.lab:$ap/big" >"$T/got" || die "the mesh's side of a"
cmp "$T/got" "$T/a/www/big" || die "other bytes"
as a i3run getent hosts x.lab && die "x is known in the mesh"
as a i3run getent hosts b.i3 && die "b is known in the ring"
as a i3ctl why b.lab | cat

step "the same host by two names, in either overlay"
know a c c
know c a a
(cd "$T/b/www" && server c webc i3run python3 "$T/web.py")
cp=$(port_in "$T/webc.log")
wait_for 5 as a i3ctl ping c.i3 1
expect "a page by the ring and by the mesh" "$(as a i3run curl -sS -m 20 -Z "http://c.i3:$cp/page" "http://c.lab:$cp/page" | xargs)" "from b from b"
expect "and back" "$(as c i3run curl -sS -m 20 -o /dev/null -o /dev/null -w '%{http_code} ' "http://a.lab:$ap/big" "http://a.i3:$ap/big")" "200 200 "
four=$(as a i3run getent ahostsv4 c.i3 c.lab | awk '{ print $1 }' | sort -u | wc -l)
expect "addresses" "$four" 2
as a i3ctl ping c.lab 1 | grep -q 'overlay lab' || die "ping c.lab: $(as a i3ctl ping c.lab 1)"
as a i3ctl ping c.i3 1 | grep -q 'overlay lab' && die "ping c.i3 goes by the mesh"
as a i3ctl book rm c >/dev/null
as c i3ctl book rm a >/dev/null

step "the way between two is blocked while bytes flow: they go by the third"
server b drip i3run python3 "$T/drip.py" serve
dp=$(port_in "$T/drip.log")
DUMPS=''
for u in a b c; do # what is lost of a capture here proves nothing either way
    ip netns exec $N$u tcpdump -i eth -n -s 400 --immediate-mode -B 16384 -Z root -w "$T/$u.pcap" >"$T/tcpdump.$u" 2>&1 </dev/null &
    DUMPS="$DUMPS $!"
    wait_for 10 grep -q 'listening on' "$T/tcpdump.$u" || die "no tcpdump: $(cat "$T/tcpdump.$u")"
done
as a i3run python3 "$T/drip.py" b.lab "$dp" 15 >"$T/drip.out" 2>&1 &
DRIP=$!
wait_for 10 grep -q started "$T/drip.out"
sleep 1
block
wait_for 6 way_is a b.lab "via c.lab" || die "a's way: $(as a i3ctl mesh)"
wait_for 6 way_is b a.lab "via c.lab" || die "b's way: $(as b i3ctl mesh)"
as a i3ctl ping b.lab 1 --json | tail -1
expect "a page by the detour" "$(as a i3run curl -sS -m 20 "http://b.lab:$bp/page")" "from b"
case $(as a i3ctl ping b.lab 1 | cat) in *"via c.lab"*) ;; *) die "ping does not say by whom: $(as a i3ctl ping b.lab 1)" ;; esac
in_ns a ip link set eth mtu 1280 # the head of a detour goes off that as well
as a i3run curl -sS -m 20 -T "$T/a/www/big" "http://b.lab:$bp/up" >"$T/sum" || die "no upload by a narrow link"
expect "what was uploaded" "$(cat "$T/sum")" "$(sha256sum <"$T/a/www/big" | cut -d' ' -f1)"
in_ns a ip link set eth mtu 1500
in_ns a ip -6 addr add "$(at6 a)/64" dev eth nodad 2>/dev/null || :
[ "$(as c i3ctl mesh --json | python3 -c 'import json,sys; print(json.load(sys.stdin)["meshes"][0]["relayed"])')" -gt 50 ] || die "c has relayed nothing"

step "the way is back, and it is used"
in_ns a nft delete table inet cut
wait_for 12 way_is a b.lab direct || die "a's way: $(as a i3ctl mesh)"
wait_for 12 way_is b a.lab direct || die "b's way: $(as b i3ctl mesh)"
wait $DRIP || die "the transfer: $(cat "$T/drip.out")"
cat "$T/drip.out"
[ "$(sed -n 's/^gap //p' "$T/drip.out")" -lt 6000 ] || die "it stalled"
sleep 0.3
# shellcheck disable=SC2086
kill -TERM $DUMPS
for u in $DUMPS; do
    wait "$u" || :
done
for u in a b c; do
    tcpdump -r "$T/$u.pcap" -nA 'net 192.0.2.0/24 or net 2001:db8::/64' >"$T/seen" 2>"$T/err" || die "$(cat "$T/err")"
    [ "$(grep -c 5700 "$T/seen")" -gt 100 ] || die "nothing was seen at $u"
    ! grep 'GET /page\|from b' "$T/seen" || die "plain text at $u"
done

step "strangers, and what is sent again or changed: not a word"
out=$(ip netns exec "${N}x" python3 "$T/mesh_stranger.py" "$T/b.pcap" "$(at b)" 5700) || die "$out"
echo "$out"
case $out in *" got 0") ;; *) die "answers to a stranger: $out" ;; esac
counted=$(($(metric b i3d_mesh_strangers_total) + $(metric b i3d_mesh_forged_total) + $(metric b i3d_mesh_replayed_total)))
[ $counted -gt 100 ] || die "strangers are not counted: $counted"
way_is a b.lab direct || die "a's way after that: $(way a b.lab)"
expect "a page after that" "$(as a i3run curl -sS -m 20 "http://b.lab:$bp/page")" "from b"

step "a member that the book has no address for calls first; one that starts anew is found again"
as a i3ctl book rm c.lab >/dev/null
as a i3ctl book add c.lab "$(key c)" >/dev/null
wait_for 10 way_is a c.lab direct || die "a to c: $(as a i3ctl mesh)"
daemon_kill b
as b i3d --ensure || die "b's daemon"
wait_for 15 way_is a b.lab direct || die "a to b: $(as a i3ctl mesh)"
(cd "$T/b/www" && server b webb i3run python3 "$T/web.py")
bp=$(port_in "$T/webb.log")
expect "a page of the new one" "$(as a i3run curl -sS -m 20 "http://b.lab:$bp/page")" "from b"

step "one that moves is found at its new address"
in_ns c ip addr del "$(at c)/24" dev eth
in_ns c ip addr add 192.0.2.77/24 dev eth
in_ns c ip route replace default via 192.0.2.1
wait_for 15 way_is a c.lab direct || die "a to c: $(as a i3ctl mesh)"
case $(as a i3ctl mesh --json) in *192.0.2.77:5700*) ;; *) die "not at the new address: $(as a i3ctl mesh)" ;; esac

step "nobody reaches it: the error comes in seconds"
in_ns c ip link set eth down
wait_for 10 way_is a c.lab none || die "a to c: $(way a c.lab)"
start=$(date +%s)
as a i3run curl -sS -m 30 "http://c.lab:1/" 2>&1 | cat
[ $(($(date +%s) - start)) -lt 12 ] || die "it took too long"
as a i3ctl status | grep -i lab || die "status does not show the mesh"
grep -h ' mesh peer=' "$T/a/run/i3/i3d.log" | head -20
