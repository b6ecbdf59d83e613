#!/bin/sh
# A disk that is full: the daemon goes on, says so in its status and its log, refuses what it could not keep, and writes when there is room
# again; nothing that was acknowledged is lost, also not by kill -9 in between. In a user and mount namespace of its own, where the disk is
# a small tmpfs.
[ -n "${I3_SMALL_DISK-}" ] || {
    unshare --user --map-root-user --mount true 2>/dev/null || {
        echo "no user namespaces here"
        exit 77
    }
    exec env I3_SMALL_DISK=1 unshare --user --map-root-user --mount "$0"
}
. "$(dirname "$0")/../lib/world.sh"
world_up
# The small disks must be gone before their folders can.
trap 'rc=$?
as alice timeout 5 i3ctl stop >/dev/null 2>&1
umount -l "$data" "$run" "$T/none" 2>/dev/null
(exit $rc)
world_cleanup' EXIT
data=$W/alice/data run=$W/alice/run key=$(as bob i3ctl id -q)

small_disk() { # in place of that folder, with what is in it
    mv "$1" "$1.was"
    mkdir -m 700 "$1"
    mount -t tmpfs -o size=256k,mode=0700 small "$1"
    cp -a "$1.was/." "$1/"
    rm -rf "$1.was"
}
fill() {
    dd if=/dev/zero of="$1/full" bs=4k 2>/dev/null || :
    ! (echo x >"$1/more") 2>/dev/null || die "$1 is not full"
    rm -f "$1/more"
}
warned() {
    as alice i3ctl status --json | grep -q '"state_not_saved"'
}
fine() { ! warned; }
not_rewritten() { ! grep -q "state is written again" "$run/i3/i3d.log"; }
rewritten() { ! not_rewritten; }

step "a first start without room: an error that says why, and no half of a key"
as alice i3ctl stop >/dev/null
mkdir -m 700 "$T/none"
mount -t tmpfs -o size=16k,mode=0700 small "$T/none"
fill "$T/none"
rc=0
as alice i3d --data "$T/none/i3" --runtime "$T/run2" 2>"$T/said" || rc=$?
expect "status" "$rc" 1
grep -q 'No space left' "$T/said" || die "it says: $(cat "$T/said")"
[ ! -s "$T/none/i3/identity" ] || die "an identity was written"

step "the book is kept, what cannot be is refused"
small_disk "$data"
daemon_start alice
as alice i3ctl book add before "$key" >/dev/null
before=$(as alice i3ctl book ls --json) own=$(address_of alice)
fill "$data"
! as alice i3ctl book add after "$key" >"$T/said" 2>&1 || die "added to a full disk"
grep -qi 'no space left' "$T/said" || die "it says: $(cat "$T/said")"
expect "the book" "$(as alice i3ctl book ls --json)" "$before"
as alice i3ctl ping bob 1 >/dev/null || die "the daemon does not go on"

step "kill -9 on the full disk"
kill -9 "$(cat "$run/i3/i3d.pid")"
wait_for 10 triggers_stand alice
expect "the book" "$(as alice i3ctl book ls --json)" "$before"
expect "own address" "$(address_of alice)" "$own"

step "mappings without room: said once, gone on with, written when there is some"
as alice i3ctl stop >/dev/null
rm "$data/i3/mappings"
dd if=/dev/zero of="$data/full2" bs=1k 2>/dev/null || :
daemon_start alice
wait_for 5 warned || die "status does not say it: $(as alice i3ctl status)"
as alice i3ctl status | grep -qi 'no space left' || die "no reason on the screen: $(as alice i3ctl status)"
sleep 2.5 # a second try fails as well
expect "lines in the log" "$(grep -c 'state file=mappings cannot be written' "$run/i3/i3d.log")" 1
as alice i3ctl ping bob 1 >/dev/null || die "the daemon does not go on"
before=$(as alice i3ctl book ls --json)
rm "$data/full" "$data/full2"
wait_for 10 fine || die "it is not written: $(as alice i3ctl status)"
rewritten || die "the log does not say that it is written again"
kill -9 "$(cat "$run/i3/i3d.pid")"
wait_for 10 triggers_stand alice
expect "the book" "$(as alice i3ctl book ls --json)" "$before"
expect "own address" "$(address_of alice)" "$own"

step "the runtime folder: a server's registration waits for room"
as alice i3ctl stop >/dev/null
small_disk "$run"
daemon_start alice
fill "$run"
serve alice web python3 "$LIB/web.py"
as bob i3run curl -s -o "$T/page" --max-time 10 "http://alice.i3:$PORT/" || die "the server is not reached"
wait_for 5 warned || die "status does not say it"
rm "$run/full"
wait_for 10 fine || die "it is not written"
kill -9 "$(cat "$run/i3/i3d.pid")"
wait_for 10 triggers_stand alice
as bob i3run curl -s -o "$T/page" --max-time 10 "http://alice.i3:$PORT/" || die "the registration is lost"
