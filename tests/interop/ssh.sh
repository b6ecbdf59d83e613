#!/bin/sh
# OpenSSH: sshd under i3run as an ordinary user, sftp and scp to it under i3run, and an interactive-like session over an idle
# time. What needs a login shell is left out where the user of the tests has none (nobody).
. "$(dirname "$0")/../lib/world.sh"
world_up
port=12222
mkdir -m 700 "$T/ssh"
ssh-keygen -q -t ed25519 -N '' -f "$T/ssh/host"
ssh-keygen -q -t ed25519 -N '' -f "$T/ssh/user"
cp "$T/ssh/user.pub" "$T/ssh/authorized"
me=$(id -un)
pam=yes # without PAM, sshd takes the account of nobody for locked
if [ "$(id -u)" = 0 ]; then
    pam=no
    mkdir -p /run/sshd # sshd wants it when root runs it
fi
cat >"$T/ssh/sshd.conf" <<EOF
Port $port
ListenAddress 127.0.0.1
HostKey $T/ssh/host
AuthorizedKeysFile $T/ssh/authorized
PidFile none
StrictModes no
UsePAM $pam
PasswordAuthentication no
Subsystem sftp internal-sftp
ForceCommand internal-sftp
LogLevel VERBOSE
EOF
(
    . "$W/bob.env"
    exec i3run /usr/sbin/sshd -D -e -f "$T/ssh/sshd.conf"
) >"$T/sshd.log" 2>&1 &
STARTED="$STARTED $!"
wait_for 10 grep -q 'Server listening' "$T/sshd.log" || die "sshd: $(cat "$T/sshd.log")"
opts="-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=$T/ssh/known -o IdentityFile=$T/ssh/user -o BatchMode=yes"

step "sftp and scp carry files both ways"
head -c 5000000 /dev/urandom >"$T/file"
echo "put $T/file $T/there" >"$T/batch"
as alice i3run sftp -q $opts -P $port -b "$T/batch" "$me@bob.i3" || die "sftp: $(cat "$T/sshd.log")"
cmp "$T/file" "$T/there"
as alice i3run scp -q $opts -P $port "$me@bob.i3:$T/there" "$T/back"
cmp "$T/file" "$T/back"

step "sshd saw alice's virtual address"
grep -q "Accepted publickey for $me from $(address_of alice) port" "$T/sshd.log" || die "$(cat "$T/sshd.log")"

step "a session that stays idle goes on"
mkfifo "$T/in"
as alice i3run sftp -q $opts -P $port "$me@bob.i3" <"$T/in" >"$T/out" 2>&1 &
sftp=$!
STARTED="$STARTED $sftp"
exec 3>"$T/in"
echo "ls $T/file" >&3
wait_for 10 grep -q "$T/file" "$T/out"
sleep "${IDLE:-20}"
echo "ls $T/back" >&3
wait_for 10 grep -q "$T/back" "$T/out" || die "after the pause: $(cat "$T/out")"
exec 3>&-
wait $sftp
