# sshd.sh - sourced after programs.sh: an sshd of an ordinary user's own.
# shellcheck shell=sh
#
#     sshd_up bob          its port is in SSH_PORT, its output in $T/sshd.log, its process in SSHD
#     as alice i3run ssh $SSH -p $SSH_PORT "$ME@bob.i3" ...
#
# The tests' user is often `nobody`, whose shell lets nobody in: libnss-wrapper, preloaded beside the shim, tells sshd of another.

# What sshd is told of our account, by LD_PRELOAD; nothing where the account has a shell.
SSHD_ENV=
sshd_account() {
    case $(getent passwd "$ME") in
    *nologin | *false | *sync) ;;
    *) return ;;
    esac
    ldconfig -p | grep -q libnss_wrapper || { echo "needs libnss-wrapper, as $ME has no shell"; exit 77; }
    mkdir -p "$T/ssh/home"
    getent passwd | grep -v "^$ME:" >"$T/ssh/passwd"
    echo "$ME:*:$(id -u):$(id -g):tests:$T/ssh/home:/bin/sh" >>"$T/ssh/passwd"
    getent group >"$T/ssh/group"
    SSHD_ENV="LD_PRELOAD=libnss_wrapper.so NSS_WRAPPER_PASSWD=$T/ssh/passwd NSS_WRAPPER_GROUP=$T/ssh/group"
}

# sshd_up USER [LINE OF ITS CONFIGURATION]...
sshd_up() {
    sshd_user=$1
    shift
    mkdir -m 700 "$T/ssh"
    ssh-keygen -q -t ed25519 -N '' -f "$T/ssh/host"
    ssh-keygen -q -t ed25519 -N '' -f "$T/ssh/user"
    cp "$T/ssh/user.pub" "$T/ssh/authorized"
    sshd_account
    pam=yes # without PAM, sshd takes the account of nobody for locked
    if [ "$(id -u)" = 0 ]; then
        pam=no
        mkdir -p /run/sshd # sshd wants it when root runs it
    fi
    SSH_PORT=$(free_port)
    cat >"$T/ssh/sshd.conf" <<END
Port $SSH_PORT
ListenAddress 127.0.0.1
HostKey $T/ssh/host
AuthorizedKeysFile $T/ssh/authorized
PidFile none
StrictModes no
UsePAM $pam
PasswordAuthentication no
Subsystem sftp internal-sftp
LogLevel VERBOSE
END
    [ $# = 0 ] || printf '%s\n' "$@" >>"$T/ssh/sshd.conf"
    # shellcheck disable=SC2086
    SSH="-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=$T/ssh/known -o IdentityFile=$T/ssh/user -o BatchMode=yes"
    (
        . "$W/$sshd_user.env"
        # shellcheck disable=SC2086
        exec env $SSHD_ENV i3run /usr/sbin/sshd -D -e -f "$T/ssh/sshd.conf"
    ) >"$T/sshd.log" 2>&1 </dev/null &
    SSHD=$!
    STARTED="$STARTED $SSHD"
    wait_for 10 listens "$sshd_user" "$SSH_PORT" || die "sshd: $(cat "$T/sshd.log")"
}
