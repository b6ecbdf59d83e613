#!/bin/sh
# rsync: from and to a daemon of its own, with the module open to one virtual address only, and over ssh.
. "$(dirname "$0")/../lib/world.sh"
. "$LIB/programs.sh"
. "$LIB/sshd.sh"
need rsync ssh
world_up
alice=$(address_of alice) bob=$(address_of bob)
port=$(free_port)
mkdir -p "$T/tree/deep/er" "$T/in" "$T/got"
for i in $(seq 200); do
    echo "file $i" >"$T/tree/deep/$i"
done
head -c 8000000 /dev/urandom >"$T/tree/deep/er/big"
ln -s deep/1 "$T/tree/link"
cat >"$T/rsyncd.conf" <<END
uid = $(id -u)
gid = $(id -g)
use chroot = no
log file = $T/rsyncd.log
[tree]
    path = $T/tree
    hosts allow = $alice
[in]
    munge symlinks = no
    path = $T/in
    read only = no
    hosts allow = $alice
[closed]
    path = $T/tree
    hosts allow = $bob
END
back_on "$port" bob rsyncd rsync --daemon --no-detach --config="$T/rsyncd.conf" --port="$port" --address=127.0.0.1
sync() {
    as alice i3run timeout 60 rsync --timeout=20 "$@"
}

step "a daemon's modules: list, fetch, fetch what has changed, put"
sync "rsync://bob.i3:$port/" >"$T/modules"
must_have "$T/modules" tree
sync -a "rsync://bob.i3:$port/tree/" "$T/got/"
diff -r "$T/tree" "$T/got"
printf changed | dd of="$T/tree/deep/er/big" bs=1 seek=4000000 conv=notrunc 2>/dev/null
touch -d 2020-01-01 "$T/tree/deep/er/big" # rsync looks at sizes and whole seconds
sync -a --stats "rsync://bob.i3:$port/tree/" "$T/got/" >"$T/stats"
diff -r "$T/tree" "$T/got"
expect "files sent anew" "$(sed -n 's/Number of regular files transferred: //p' "$T/stats")" 1
[ "$(sed -n 's/^Literal data: \([0-9,]*\) bytes/\1/p' "$T/stats" | tr -d ,)" -lt 100000 ] || die "the whole file was sent: $(cat "$T/stats")"
sync -a -z "$T/tree/" "rsync://bob.i3:$port/in/"
diff -r "$T/tree" "$T/in"
must_have "$T/rsyncd.log" "connect from .*$alice"

step "a module which is closed to this address"
! sync "rsync://bob.i3:$port/closed/" >"$T/closed" 2>&1 || die "it was open"
must_have "$T/closed" 'access denied to closed from'

step "over ssh, there and back"
sshd_up bob
rm -rf "$T/in" "$T/got"
sync -a -e "ssh $SSH -p $SSH_PORT" "$T/tree/" "$ME@bob.i3:$T/in/" || die "$(cat "$T/sshd.log")"
diff -r "$T/tree" "$T/in"
sync -a -e "ssh $SSH -p $SSH_PORT" "$ME@bob.i3:$T/in/" "$T/got/"
diff -r "$T/tree" "$T/got"
must_have "$T/sshd.log" "Accepted publickey for $ME from $alice port"
