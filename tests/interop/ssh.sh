#!/bin/sh
# OpenSSH, with sshd under i3run as an ordinary user: commands, terminals, sftp and scp, forwarding of all kinds, many sessions
# over one connection, and a session that is idle for a time.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
. "$LIB/sshd.sh"
need ssh ssh-keyscan sftp scp curl nc
world_up
alice=$(address_of alice) bob=$(address_of bob)
sshd_up bob
there="-p $SSH_PORT $ME@bob.i3"
ssh_as_alice() {
    # shellcheck disable=SC2086
    as alice i3run timeout 60 ssh $SSH "$@"
}

step "a command: input, output, errors, status, and the addresses it sees"
expect "status" "$(ssh_as_alice $there 'exit 42' || echo $?)" 42
head -c 5000000 /dev/urandom >"$T/file"
ssh_as_alice $there 'cat; echo complaint >&2' <"$T/file" >"$T/out" 2>"$T/err" || die "$(cat "$T/err" "$T/sshd.log")"
cmp "$T/file" "$T/out"
must_have "$T/err" complaint
expect "SSH_CONNECTION" "$(ssh_as_alice $there 'echo ${SSH_CONNECTION}' | cut -d ' ' -f 1,3,4)" "$alice $bob $SSH_PORT"
must_have "$T/sshd.log" "Accepted publickey for $ME from $alice port"

# sshd wants terminals to be of the group tty, which only a system that has set them up so can give to an ordinary user
if python3 -c 'import grp, os, sys
_, tty = os.openpty()
sys.exit(os.fstat(tty).st_gid != grp.getgrnam("tty").gr_gid)'; then
    step "a terminal"
    ssh_as_alice -tt $there 'stty size; tty' </dev/null >"$T/tty" 2>&1 || die "$(cat "$T/tty" "$T/sshd.log")"
    must_have "$T/tty" /dev/pts/
fi

step "ssh-keyscan and ssh -4 / -6"
as alice i3run ssh-keyscan -p "$SSH_PORT" -t ed25519 bob.i3 >"$T/scan" 2>/dev/null
must_have "$T/scan" "$(cut -d ' ' -f 2 "$T/ssh/host.pub")"
ssh_as_alice -4 $there true

step "sftp and scp carry files both ways"
echo "put $T/file $T/there" >"$T/batch"
as alice i3run sftp -q $SSH -P "$SSH_PORT" -b "$T/batch" "$ME@bob.i3" || die "sftp: $(cat "$T/sshd.log")"
cmp "$T/file" "$T/there"
as alice i3run scp -q $SSH -P "$SSH_PORT" "$ME@bob.i3:$T/there" "$T/back"
cmp "$T/file" "$T/back"
as alice i3run scp -q -O $SSH -P "$SSH_PORT" "$T/file" "$ME@bob.i3:$T/by-scp"
cmp "$T/file" "$T/by-scp"

step "forwarding: -L to a server beside sshd, -R back to alice's, -D for curl"
mkdir "$T/www"
cd "$T/www"
cp "$T/file" "$T/www/file"
serve bob web python3 "$LIB/web.py"
web=$PORT local=$(free_port) remote=$(free_port) socks=$(free_port)
back alice forward ssh $SSH -N -o ExitOnForwardFailure=yes -L "127.0.0.1:$local:127.0.0.1:$web" -R "127.0.0.1:$remote:127.0.0.1:$web" \
    -D "127.0.0.1:$socks" $there
wait_for 10 nc -z 127.0.0.1 "$socks" || die "$(cat "$T/forward.log")"
wait_for 10 nc -z 127.0.0.1 "$remote" || die "$(cat "$T/forward.log")"
curl -sS --max-time 20 "http://127.0.0.1:$local/file" | cmp - "$T/file"
as alice i3run curl -sS --max-time 20 "http://127.0.0.1:$local/file" | cmp - "$T/file"
as bob i3run curl -sS --max-time 20 "http://127.0.0.1:$remote/file" | cmp - "$T/file"
curl -sS --max-time 20 --socks5-hostname "127.0.0.1:$socks" "http://127.0.0.1:$web/file" | cmp - "$T/file"
as alice i3run curl -sS --max-time 20 --parallel --parallel-max 8 -o "$T/p#1" "http://127.0.0.1:$local/file?[1-8]"
for i in 1 4 8; do
    cmp "$T/p$i" "$T/file"
done

step "sshd connects on to a name of the overlay: alice -> bob -> alice"
serve alice web2 python3 "$LIB/web.py"
as alice i3run curl -sS --max-time 20 --socks5-hostname "127.0.0.1:$socks" "http://alice.i3:$PORT/file" | cmp - "$T/file"
expect "ssh -W" "$(printf 'GET /file HTTP/1.0\r\n\r\n' | ssh_as_alice -W "alice.i3:$PORT" $there | tail -c 5000000 | cksum)" "$(cksum <"$T/file")"
end $SERVER

step "many sessions over one connection (ControlMaster)"
control="-o ControlPath=$T/ssh/c -o ControlMaster=auto -o ControlPersist=60"
before=$(grep -c 'Accepted publickey' "$T/sshd.log")
for i in 1 2 3 4 5 6; do
    ssh_as_alice $control $there "echo session $i"
done >"$T/sessions" 2>"$T/control.err"
expect "sessions" "$(grep -c session "$T/sessions")" 6
expect "connections for them" "$(($(grep -c 'Accepted publickey' "$T/sshd.log") - before))" 1
ssh_as_alice $control -O check $there 2>"$T/check"
must_have "$T/check" 'Master running'
ssh_as_alice $control -O exit $there 2>/dev/null

step "a session that stays idle goes on"
mkfifo "$T/in"
as alice i3run sftp -q $SSH -P "$SSH_PORT" "$ME@bob.i3" <"$T/in" >"$T/out" 2>&1 &
sftp=$!
STARTED="$STARTED $sftp"
exec 3>"$T/in"
echo "ls $T/file" >&3
wait_for 10 has "$T/out" "$T/file"
sleep "${IDLE:-8}"
echo "ls $T/back" >&3
wait_for 10 has "$T/out" "$T/back" || die "after the pause: $(cat "$T/out")"
exec 3>&-
wait $sftp
