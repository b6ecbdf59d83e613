#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# SYNs by the ten thousand from invented addresses, at a portal's waypoint and at its web port: others who come meanwhile are served, by Host
# and by waypoint, and the daemon does not grow. With figures.
. "$(dirname "$0")/../lib/netns.sh"
. "$LIB/star.sh"
star_begin portal n0 srv outside
ring n0
echo | user srv
echo | user portal
know portal foo srv
know srv portal portal
user portal <<C
portal {
    zone = "i3.test"
    dns = { "$(at portal):53" }
    ns = { "ns.i3.test" }
    mail = "hostmaster.i3.test"
    waypoints = { "$(at portal)" }
    http = { "$(at portal):8080" }
    ports = { 7000 }
}
publish foo {
    to = "foo.i3"
    ports = { 80, 7000 }
}
C
as srv i3run python3 "$T/hardships.py" serve 0.0.0.0 7000 >"$T/echo.log" 2>&1 </dev/null &
as srv i3run python3 "$T/site.py" --port 80 >"$T/site.log" 2>&1 </dev/null &
wait_for 10 grep -q '^port' "$T/echo.log" || die "no server: $(cat "$T/echo.log")"
wait_for 10 grep -q '^port' "$T/site.log" || die "no server: $(cat "$T/site.log")"
echo "nameserver $(at portal)" >"/etc/netns/${N}outside/resolv.conf"

rss() {
    awk '/^VmRSS/ { print $2 }' "/proc/$(of_status portal 's["pid"]')/status"
}
cookies() { # that the kernel has sent in the place of keeping a SYN
    in_ns portal nstat -asz TcpExtSyncookiesSent | awk '/Sync/ { print $2 }'
}
# So many fetches and dials one after the other: how many ended well, and the median and the longest, in ms
visits() {
    as outside python3 - "$T" "$1" <<'P'
import socket, sys, time, urllib.request
took, bad = [], 0
for i in range(int(sys.argv[2])):
    start = time.monotonic()
    try:
        if i % 2:
            assert urllib.request.urlopen("http://foo.i3.test:8080/json", timeout=10).read() == b'{"answer": 42}'
        else:
            with socket.create_connection(("foo.i3.test", 7000), timeout=10) as s:
                s.sendall(b"hello")
                assert s.recv(5, socket.MSG_WAITALL) == b"hello"
        took.append((time.monotonic() - start) * 1e3)
    except (OSError, AssertionError) as e:
        bad += 1
        print(i, repr(e), file=sys.stderr)
    time.sleep(0.03)
took.sort()
print(len(took), "of", len(took) + bad, "median %.0f ms, longest %.0f ms" % (took[len(took) // 2], took[-1]) if took else "")
P
}

step "in peace"
visits 20 >"$T/peace" 2>"$T/err"
cat "$T/peace"
grep -q '^20 of 20' "$T/peace" || die "not all were served: $(cat "$T/err")"
before=$(rss)

step "20,000 SYNs a second"
for port in 8080 7000; do
    in_ns hub python3 "$T/hardships.py" syns "$(at portal)" $port 8 10000 >"$T/syns.$port" 2>&1 </dev/null &
    wait_for 10 grep -q started "$T/syns.$port" || die "no flood: $(cat "$T/syns.$port")"
done
visits 100 >"$T/flood" 2>"$T/err"
now=$(rss)
wait_for 20 grep -q sent "$T/syns.8080"
wait_for 20 grep -q sent "$T/syns.7000"
echo "$(($(sed -n 's/^sent //p' "$T/syns.8080") + $(sed -n 's/^sent //p' "$T/syns.7000"))) SYNs; meanwhile $(cat "$T/flood"); memory $before kB, then $now kB; $(cookies) cookies"
[ "$(cookies)" -gt 1000 ] || die "that was no flood"
grep -q '^100 of 100' "$T/flood" || die "not all were served: $(cat "$T/err")"
[ $((now - before)) -lt 20000 ] || die "it has grown"
visits 4 >"$T/after" 2>&1
grep -q '^4 of 4' "$T/after" || die "afterwards: $(cat "$T/after")"
