/* anonymous.c - --anonymous: what i3run does beside the empty network of strict.c.
 *
 * The daemon is told a token, drawn for this start, and makes an instance for it (daemon/pump/anon.h). The program and its children find the
 * token in their environment. They could reach others by files, too: the sockets of services that ask the network in their own name, and
 * resolve names for whoever comes, are covered; a filter takes away the kinds of sockets that network namespaces know nothing of. A program that
 * is determined to be found out still can (its user's D-Bus session, X11): see i3run(1).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "include/bytes.h"
#include "tools/i3run/i3run.h"

/* ---- the token ---- */

/* What this process was given itself: a program that runs i3run stays what it is, unless it is to be another one. */
static bool take_over(const char *given)
{
    size_t token = 2 * IPC_TOKEN_LEN;
    if (!given || strlen(given) < token + 2 || given[token] != '.')
        return false;
    struct reader r = reader_of(given, token);
    get_hex(&r, run.program.token, IPC_TOKEN_LEN);
    snprintf(run.program.name, sizeof(run.program.name), "%.63s", given + token + 1);
    return reader_done(&r);
}

static int draw(void)
{
    const char *base = strrchr(run.argv[0], '/');
    base = base && base[1] ? base + 1 : run.argv[0];
    snprintf(run.program.name, sizeof(run.program.name), "%.63s", *base ? base : "?");
    return getrandom(run.program.token, IPC_TOKEN_LEN, 0) == IPC_TOKEN_LEN ? 0 : -errno;
}

static const char *refusal(int err)
{
    switch (err) {
    case ENOSPC:
        return "64 programs are anonymous already; 'i3ctl anonymous' lists them";
    case ENETUNREACH:
        return "the daemon has no socket or no memory for one more";
    default:
        return err < 0 ? strerror(-err) : strerror(err);
    }
}

int anonymous_begin(const struct ipc_info *info)
{
    const char *inherited = getenv("I3_ANONYMOUS");
    bool child = inherited && !strcmp(inherited, "1");
    bool asked = run.anonymous;
    run.anonymous = asked || child || info->flags & IPC_INFO_ANONYMOUS;
    run.strict |= run.anonymous;
    if (!run.anonymous && !(info->flags & IPC_INFO_PROGRAMS))
        return 0;
    run.program.all = run.anonymous;
    if ((asked || !take_over(getenv("I3_PROGRAM")) || run.anonymous != child) && draw() < 0) {
        say("no random numbers: %s", strerror(errno));
        return -EIO;
    }
    int kept, err = run.anonymous ? daemon_program(&run.program, &kept) : 0;
    if (err)
        say("--anonymous: %s; %s is not run", refusal(err), run.path);
    return err ? -EAGAIN : 0;
}

/* ---- sockets that are there already ---- */

int anonymous_check(void)
{
    DIR *d = opendir("/proc/self/fd");
    const struct dirent *e;
    int bad = -1;
    while (d && bad < 0 && (e = readdir(d))) {
        int fd = atoi(e->d_name), family = AF_UNIX;
        socklen_t len = sizeof(family);
        if (*e->d_name == '.' || fcntl(fd, F_GETFD) & FD_CLOEXEC || getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &family, &len) < 0)
            continue;
        bad = family == AF_UNIX ? -1 : fd;
    }
    if (d)
        closedir(d);
    if (bad >= 0)
        say("--anonymous: fd %d is a socket of another network, by which %s would be known; it is not run", bad, run.path);
    return bad >= 0 ? -EPERM : 0;
}

/* ---- the fence ---- */

/* Folders with the sockets of resolvers and of those who ask them. */
static const char *const covered[] = {"/run/nscd", "/var/run/nscd", "/run/systemd/resolve", "/run/avahi-daemon", "/run/dbus", "/run/systemd/machine",
    "/run/unbound", "/run/dnsmasq", "/run/sssd", "/var/lib/sss/pipes", "/run/cups"};

static int cover(void)
{
    struct stat st;
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    for (size_t i = 0; i < ARRAY_LEN(covered); i++) {
        if (lstat(covered[i], &st) < 0 || !S_ISDIR(st.st_mode))
            continue;
        if (mount("none", covered[i], "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,mode=755") < 0)
            return -errno;
    }
    return 0;
}

#define LOAD(at) {BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(offsetof(struct seccomp_data, at))}
#define IS(k, yes, no) {BPF_JMP | BPF_JEQ | BPF_K, yes, no, k}
#define RETURN(k) {BPF_RET | BPF_K, 0, 0, k}

/* socket() of no other family than these; no io_uring, by which the library would not see what is asked for. Calls of other architectures
 * go unlooked at: what they reach is an empty network as well. */
static int filter(void)
{
    struct sock_filter code[] = {
        LOAD(nr),
        IS(SYS_io_uring_setup, 0, 1),
        RETURN(SECCOMP_RET_ERRNO | ENOSYS),
        IS(SYS_socket, 1, 0),
        RETURN(SECCOMP_RET_ALLOW),
        LOAD(args[0]),
        IS(AF_UNIX, 4, 0),
        IS(AF_INET, 3, 0),
        IS(AF_INET6, 2, 0),
        IS(AF_NETLINK, 1, 0),
        RETURN(SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        RETURN(SECCOMP_RET_ALLOW),
    };
    struct sock_fprog prog = {.len = ARRAY_LEN(code), .filter = code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0)
        return 0;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) == 0 ? 0 : -errno;
}

int anonymous_fence(void)
{
    int err = cover();
    if (!err)
        err = filter();
    if (err)
        say("--anonymous: the services that resolve names cannot be covered: %s; %s is not run", strerror(-err), run.path);
    return err;
}
