#!/bin/sh
# Rules as programs see them: by suffix, pattern and program; denied, left to the system, brought into the overlay; and reloads, during which
# a transfer goes on and nothing of a broken file counts.
. "$(dirname "$0")/../lib/world.sh"
world_up
conf=$W/alice/config/i3/i3.conf
nodes=$(grep nodes "$conf")
mkdir "$T/www"
echo 'the page' >"$T/www/page"
cd "$T/www"
serve bob web python3 "$LIB/web.py"
port=$PORT

# The rules from now on.
rules() {
    printf '%s\n%s\n' "$nodes" "$1" >"$conf.new"
    mv "$conf.new" "$conf"
    as alice i3ctl reload >"$T/reload" || die "reload: $(cat "$T/reload")"
}
fetch() { as alice i3run curl -sS -m 10 "http://$1:$port/page" 2>&1 || :; }
# A name as an unpreloadable program, or one that asks a DNS server, would see it is tests/interop's business; here libc's.
name_of() { as alice i3run python3 -c 'import socket, sys
try:
    print(socket.gethostbyname(sys.argv[1]))
except socket.gaierror as e:
    print(e.errno == socket.EAI_NONAME and "no such name" or e)' "$1"; }
why() { as alice i3ctl why "$@" --json | field decision; }
bob=$(address_of bob)

step "no rule: the suffix decides"
expect "bob.i3" "$(fetch bob.i3)" 'the page'
expect "why" "$(why bob.i3) $(why example.org) $(why alice.i3) $(why nobody.i3)" 'overlay system self unknown'

step "deny by suffix: no name, and no connection to the address either"
rules 'rule { suffix = ".i3" action = "deny" }'
expect "name" "$(name_of bob.i3)" 'no such name'
case $(fetch bob.i3) in *'Could not resolve host: bob.i3'*) ;; *) die "not denied: $(fetch bob.i3)" ;; esac
case $(fetch "$bob") in *'onnect'*"$port"*) ;; *) die "not refused: $(fetch "$bob")" ;; esac
expect "datagrams" "$(as alice i3run python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
try:
    s.sendto(b"x", (sys.argv[1], 9))
    print("sent")
except OSError as e:
    print(e.strerror)' "$bob")" 'Connection refused'
expect "why" "$(why bob.i3) $(why "$bob")" 'denied denied'

step "by program: the first rule that fits"
rules 'rule { suffix = ".i3" app = "curl" action = "overlay" }
rule { match = "." app = "curl" action = "direct" }
rule { suffix = ".i3" action = "deny" }'
expect "curl" "$(fetch bob.i3)" 'the page'
expect "curl, by address" "$(fetch "$bob")" 'the page'
expect "python" "$(name_of bob.i3)" 'no such name'
expect "why" "$(why bob.i3 --app curl) $(why bob.i3 --app wget) $(why bob.i3)" 'overlay denied denied'
as alice i3ctl why bob.i3 | grep -q "but for *curl: $conf:2 " || die "$(as alice i3ctl why bob.i3)"

step "questions to a DNS server of the program's own choice"
python=$(basename "$(readlink -f "$(command -v python3)")")
asked() { as alice i3run python3 "$LIB/dns_ask.py" 192.0.2.53 "connect:$1:A" "sendto:$1:A" "tcp:$1:A" | sed 's/, nothing.*//; s/ (SOA)//' | tr '\n' ';'; }
rules "rule { suffix = \".i3\" app = \"$python\" action = \"deny\" }
rule { match = '^denied\\.example$' action = \"deny\" }"
expect "its rule" "$(asked bob.i3)" 'connect bob.i3 A: rcode 3;sendto bob.i3 A: rcode 3;tcp bob.i3 A: rcode 3;'
expect "a pattern" "$(asked denied.example)" 'connect denied.example A: rcode 3;sendto denied.example A: rcode 3;tcp denied.example A: rcode 3;'
rules 'rule { suffix = ".i3" app = "dig" action = "deny" }'
expect "another's rule" "$(asked bob.i3)" "connect bob.i3 A: rcode 0, $bob;sendto bob.i3 A: rcode 0, $bob;tcp bob.i3 A: rcode 0, $bob;"

step "a pattern brings a name without the suffix into the overlay"
rules 'rule { match = '"'^(git|hg)\\.Example\\.org\$'"' action = "overlay" }
rule { match = "^localhost\." action = "deny" }'
expect "not in the book" "$(name_of git.example.org)" 'no such name'
as alice i3ctl book add git.example.org "$(as bob i3ctl id -q)" >/dev/null
expect "git" "$(fetch git.example.org)" 'the page'
expect "in capitals" "$(fetch GIT.Example.ORG.)" 'the page'
expect "bob still" "$(fetch bob.i3)" 'the page'
as alice i3ctl why git.example.org | grep -q "$conf:2 *match = '^(git|hg)" || die "$(as alice i3ctl why git.example.org)"

step "direct: a name with the suffix is the system's"
rules 'rule { match = "^localhost\." action = "direct" }
rule { suffix = ".i3" action = "direct" }'
printf '127.0.0.1 bob.i3\n' >"$T/hosts"
expect "why" "$(why bob.i3)" 'system'
[ "$(name_of bob.i3)" != "$bob" ] || die "bob.i3 is the overlay's"
expect "numbers are nobody's" "$(name_of 127.0.0.1)" '127.0.0.1'
expect "this host is" "$(name_of localhost)" '127.0.0.1'

step "a gateway which is not in the book fails closed, and that is logged once"
rules 'rule { suffix = ".i3" action = "gateway" via = "gate" }'
for n in a.gw.i3 alice.i3 bob.i3; do
    for _ in 1 2 3; do expect "$n" "$(name_of $n)" 'no such name'; done
done
case $(fetch "$bob") in 'the page') die "by its address it can be reached" ;; esac
expect "what is logged" "$(grep -c 'goes through gate, which is not in the address book' "$W/alice/run/i3/i3d.log")" 1
expect "why" "$(why a.gw.i3) $(why bob.i3)" 'gateway gateway'

step "a program that runs learns of new rules"
rules ''
cat >"$T/learner.py" <<'P'
import socket, sys
for line in sys.stdin:
    try:
        print(line.strip(), socket.gethostbyname(line.strip()), flush=True)
    except socket.gaierror:
        print(line.strip(), 'none', flush=True)
P
mkfifo "$T/go"
as alice i3run python3 -u "$T/learner.py" <"$T/go" >"$T/learned" &
STARTED="$STARTED $!"
exec 9>"$T/go"
has_learned() { [ "$(wc -l <"$T/learned")" -ge "$1" ]; }
learn() {
    echo "$1" >&9
    wait_for 10 has_learned "$2" || die "no answer about $1"
    tail -1 "$T/learned"
}
expect "before" "$(learn bob.i3 1)" "bob.i3 $bob"
second='sleep 1.2' # for which a program that runs may remember what it has heard
rules 'rule { suffix = ".i3" action = "deny" }
rule { match = "^git\.example\.org" action = "overlay" }'
$second
expect "denied" "$(learn bob.i3 2)" 'bob.i3 none'
expect "brought in" "$(learn git.example.org 3)" "git.example.org $bob"
rules ''
$second
expect "after" "$(learn bob.i3 4)" "bob.i3 $bob"
exec 9>&-

step "sessions: no shortcut and no encryption where rules want it so"
how() { as alice i3ctl status --json | python3 -c 'import json, sys
for p in json.load(sys.stdin)["peers"]:
    if p["name"].startswith(("bob", "git")):
        print("shortcut" if p.get("shortcut") else "relayed")' | head -1; }
is_how() { [ "$(how)" = "$1" ]; }
fetch bob.i3 >/dev/null
wait_for 20 is_how shortcut || die "no shortcut to begin with: $(as alice i3ctl status --json)"
rules 'rule { suffix = ".i3" action = "overlay" shortcut = no }'
expect "the shortcut is left at once" "$(how)" relayed
expect "by the node" "$(fetch bob.i3)" 'the page'
wait_for 5 is_how relayed || die "a shortcut again"
rules ''
fetch bob.i3 >/dev/null
wait_for 30 sh -c ". '$W/alice.env'; i3run curl -s -m 5 http://bob.i3:$port/page >/dev/null; i3ctl status | grep -q 'shortcut to'" || die "no shortcut again: $(as alice i3ctl status)"

step "a transfer goes on while everything is reloaded"
cat >"$T/pour.py" <<'P'
import http.server
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        import time
        for i in range(60):
            self.wfile.write(b'%05d\n' % i * 2000)
            time.sleep(0.05)
    def log_message(self, *a): pass
s = http.server.HTTPServer(('', 0), H)
print('port', s.server_port, flush=True)
s.serve_forever()
P
serve bob pour python3 "$T/pour.py"
as alice i3run curl -sS -m 60 "http://bob.i3:$PORT/" >"$T/poured" 2>"$T/poured.err" &
pour=$!
wait_for 10 test -s "$T/poured" || die "nothing comes"
pid=$(as alice i3ctl status --json | field pid)
printf '%s\nrule { suffix = ".i3" action = "deny" }\n' "$nodes" >"$conf"
as alice i3ctl reload >/dev/null
printf '%s\nrule { suffix = ".i3" action = "den\n' "$nodes" >"$conf"
rc=0
as alice i3ctl reload 2>"$T/refused" || rc=$?
expect "status of a refused reload" "$rc" 78
grep -q "^$conf:2: syntax: this string is not closed" "$T/refused" || die "$(cat "$T/refused")"
expect "the old rules hold" "$(why bob.i3)" 'denied'
kill -HUP "$pid"
rules 'encrypt = no'
rules 'shortcut = no'
rules ''
wait "$pour" || die "curl: $(cat "$T/poured.err")"
expect "all of it" "$(wc -c <"$T/poured")" 720000
expect "the same daemon" "$(as alice i3ctl status --json | field pid)" "$pid"
