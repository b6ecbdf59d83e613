#!/bin/sh
# root: builds network namespaces, and removes them; the programs run as nobody.
# Two fresh users behind two NATs, from the tree to the server at the other end in five typed lines, none of which edits a file: install,
# install, share, join, and the program. The server is a plain one on loopback, which knows nothing of the overlay; with FIVE_SSH set it
# is sshd, and the program ssh (interop/five_lines_ssh.sh).
. "$(dirname "$0")/../lib/netns.sh"
. "$(dirname "$0")/../lib/nats.sh"
netns_begin pub ring ga gb a b
nats_begin
gateway ga port $PUBLIC.21
gateway gb sym $PUBLIC.22
host_behind a ga
host_behind b gb
san=''
case $B in */san) san=' SAN=1' ;; esac
[ -z "${FIVE_SSH-}" ] || { [ -x /usr/sbin/sshd ] && command -v ssh >/dev/null; } || { echo "needs ssh and sshd"; exit 77; }

# the tree, where nobody can read it; what is built need not be built again
TOP=$(cd "$LIB/../.." && pwd)
TREE=$T/tree
mkdir "$TREE"
tar -C "$TOP" --exclude=.git --exclude=./build -cf - . | tar -C "$TREE" -xf -
BUILT=$TREE/build${san:+/san}
mkdir -p "$BUILT"
cp -a "$B/bin" "$B/lib" "$B/obj" "$BUILT"
cp -a "$B/completions" "$BUILT"
[ ! -d "$TOP/build/man" ] || cp -a "$TOP/build/man" "$TREE/build" # wherever the programs are
chmod -R a+rX "$TREE"

for who in a b; do
    mkdir "$T/$who"
    mkdir -m 700 "$T/$who/run"
    chown -R nobody "$T/$who"
done
# typed HOST LINE: by nobody there, with ~/.local/bin in PATH as Debian's ~/.profile has it
lines=0
typed() {
    lines=$((lines + 1))
    in_ns "$1" setpriv --reuid=nobody --regid=nogroup --clear-groups env -i PATH="$T/$1/.local/bin:/usr/bin:/bin" LC_ALL=C.UTF-8 HOME="$T/$1" \
        XDG_RUNTIME_DIR="$T/$1/run" sh -c "cd '$TREE' && $2"
}

if [ -n "${FIVE_SSH-}" ]; then
    mkdir -m 755 "$T/a/ssh" "$T/b/ssh"
    ssh-keygen -q -t ed25519 -N '' -f "$T/a/ssh/host"
    ssh-keygen -q -t ed25519 -N '' -f "$T/b/ssh/key"
    cp "$T/b/ssh/key.pub" "$T/a/ssh/authorized"
    printf '%s\n' "ListenAddress 127.0.0.1:2222" "HostKey $T/a/ssh/host" "PidFile none" "AuthorizedKeysFile $T/a/ssh/authorized" \
        "StrictModes no" "UsePAM no" >"$T/a/ssh/config"
    mkdir -p /run/sshd
    in_ns a /usr/sbin/sshd -D -e -f "$T/a/ssh/config" >"$T/sshd.log" 2>&1 </dev/null &
    chown -R nobody "$T/b/ssh"
else
    in_ns a setpriv --reuid=nobody --regid=nogroup --clear-groups python3 -c 'import socket
s = socket.create_server(("127.0.0.1", 2222))
while True:
    c, a = s.accept()
    c.sendall(c.recv(100).upper() + b"\n")
    c.close()' >"$T/server.log" 2>&1 </dev/null &
fi
ring_stands
for i in $(seq 50); do
    in_ns a python3 -c 'import socket; socket.create_connection(("127.0.0.1", 2222))' 2>/dev/null && break
    sleep 0.1
done

# what is typed
typed a "make install PREFIX=\$HOME/.local$san" >"$T/install.a.log" 2>&1 || die "a cannot install: $(tail -5 "$T/install.a.log")"
typed b "make install PREFIX=\$HOME/.local$san" >"$T/install.b.log" 2>&1 || die "b cannot install: $(tail -5 "$T/install.b.log")"
typed a "i3ctl share 22 --target 2222 --node $RING.1" >"$T/share.log" 2>&1 </dev/null || die "$(cat "$T/share.log")"
code=$(sed -n 's/^    i3ctl join //p' "$T/share.log")
typed b "i3ctl join $code" >"$T/join.log" 2>&1 || die "$(cat "$T/join.log")"
name=$(sed -n 's/.*i3run ssh USER@\(.*\)/\1/p' "$T/join.log")
[ -n "$name" ] || die "join does not say what to type: $(cat "$T/join.log")"
if [ -n "${FIVE_SSH-}" ]; then
    typed b "i3run ssh -i $T/b/ssh/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null root@$name echo at the other end" \
        >"$T/ssh.out" 2>"$T/ssh.log" || die "$(cat "$T/ssh.log" "$T/sshd.log")"
    grep -q '^at the other end' "$T/ssh.out" || die "ssh: $(cat "$T/ssh.out" "$T/ssh.log")"
else
    typed b "i3run python3 -c 'import socket
c = socket.create_connection((\"$name\", 22), 20)
c.sendall(b\"hello\")
print(c.makefile().read())'" >"$T/out" 2>&1 || die "$(cat "$T/out")"
    grep -q HELLO "$T/out" || die "the server says: $(cat "$T/out")"
fi
[ $lines = 5 ] || die "$lines lines were typed"
for who in a b; do
    [ -z "$(find "$T/$who" -name i3.conf -not -path '*/share/*')" ] || die "there is a config file"
    typed $who "i3ctl stop" >/dev/null
done
