#include "daemon/io/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
enum { SANITIZED = true };
#else
enum { SANITIZED = false };
#endif

static int landlock_abi;
static bool filtered;

const char *sandbox_text(void)
{
    static char text[64];
    if (!filtered && !landlock_abi)
        return "none";
    snprintf(text, sizeof(text), "%s", filtered ? "seccomp" : "");
    if (landlock_abi)
        snprintf(text, sizeof(text), "%slandlock-%d%s", filtered ? "seccomp," : "", landlock_abi, SANITIZED ? ",relaxed" : "");
    return text;
}

/* ---- Landlock: spelt out, since the headers of the build machine may be older than the kernel ---- */

#ifndef SYS_landlock_create_ruleset
#define SYS_landlock_create_ruleset 444
#define SYS_landlock_add_rule 445
#define SYS_landlock_restrict_self 446
#endif

struct ruleset {
    uint64_t fs, net, scoped;
};

struct path_rule {
    uint64_t access;
    int32_t fd;
} __attribute__((packed));

enum { LL_VERSION = 1, LL_PATH_BENEATH = 1 };

enum {
    LL_EXECUTE = 1 << 0,
    LL_WRITE_FILE = 1 << 1,
    LL_READ_FILE = 1 << 2,
    LL_READ_DIR = 1 << 3,
    LL_REMOVE_FILE = 1 << 5,
    LL_MAKE_CHAR = 1 << 6,
    LL_MAKE_REG = 1 << 8,
    LL_MAKE_SOCK = 1 << 9,
    LL_MAKE_BLOCK = 1 << 11,
    LL_ALL_1 = (1 << 13) - 1,
    LL_REFER = 1 << 13,     /* ABI 2 */
    LL_TRUNCATE = 1 << 14,  /* 3 */
    LL_IOCTL_DEV = 1 << 15, /* 5 */
    LL_CONNECT_TCP = 1 << 1, /* net, 4 */
    LL_SCOPES = 3,           /* abstract sockets, signals: 6 */
};

static struct ruleset rules_of(int abi, bool host)
{
    struct ruleset r = {.fs = LL_ALL_1};
    if (SANITIZED)
        return (struct ruleset){.fs = LL_EXECUTE | LL_MAKE_CHAR | LL_MAKE_BLOCK};
    if (abi >= 2)
        r.fs |= LL_REFER;
    if (abi >= 3)
        r.fs |= LL_TRUNCATE;
    if (abi >= 4 && !host)
        r.net = LL_CONNECT_TCP;
    if (abi >= 5)
        r.fs |= LL_IOCTL_DEV;
    if (abi >= 6)
        r.scoped = LL_SCOPES;
    return r;
}

enum { LL_USE = LL_WRITE_FILE | LL_READ_FILE | LL_READ_DIR | LL_REMOVE_FILE | LL_MAKE_REG | LL_MAKE_SOCK | LL_TRUNCATE };

/* What is said of folders alone cannot be said of a file. */
static int allow(int ruleset, const char *path, uint64_t access)
{
    struct stat st;
    struct path_rule rule = {.fd = open(path, O_PATH | O_CLOEXEC)};
    if (rule.fd < 0)
        return -errno;
    bool folder = fstat(rule.fd, &st) == 0 && S_ISDIR(st.st_mode);
    rule.access = folder ? access : access & (LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE);
    int err = rule.access && syscall(SYS_landlock_add_rule, ruleset, LL_PATH_BENEATH, &rule, 0) < 0 ? -errno : 0;
    close(rule.fd);
    return err;
}

static int restrict_files(const char *const folder[SANDBOX_FOLDERS], const char *const readable[SANDBOX_FOLDERS], bool host)
{
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LL_VERSION), err = 0;
    if (abi < 1)
        return abi < 0 ? -errno : -ENOSYS;
    struct ruleset r = rules_of(abi, host);
    size_t size = abi >= 6 ? sizeof(r) : abi >= 4 ? 2 * sizeof(uint64_t) : sizeof(uint64_t);
    int fd = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0);
    if (fd < 0)
        return -errno;
    for (unsigned i = 0; !err && i < SANDBOX_FOLDERS; i++)
        if (folder[i])
            err = allow(fd, folder[i], r.fs & LL_USE);
    for (unsigned i = 0; !err && readable && i < SANDBOX_FOLDERS; i++)
        if (readable[i] && (err = allow(fd, readable[i], r.fs & (LL_READ_FILE | LL_READ_DIR))) == -ENOENT)
            err = 0;
    if (!err && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        err = -errno;
    if (!err && syscall(SYS_landlock_restrict_self, fd, 0) < 0)
        err = -errno;
    close(fd);
    if (!err)
        landlock_abi = abi;
    return err;
}

int sandbox_files(const char *const folder[SANDBOX_FOLDERS])
{
    return restrict_files(folder, NULL, false);
}

int sandbox_host_files(const char *const folder[SANDBOX_FOLDERS], const char *const readable[SANDBOX_FOLDERS])
{
    return restrict_files(folder, readable, true);
}

/* ---- seccomp ---- */

enum { CALLS_MAX = 40, END = -1 };

struct group {
    const char *why;
    int call[CALLS_MAX]; /* ended by END: pseudo numbers of calls which this machine does not have are negative too, but not -1 */
};

#define CALL(name) SCMP_SYS(name)

static const struct group allowed[] = {
    {"datagrams, trains of them, and the sockets they come by",
        {CALL(recvmmsg), CALL(sendmmsg), CALL(recvmsg), CALL(sendmsg), CALL(recvfrom), CALL(sendto), CALL(getsockopt), CALL(setsockopt),
            CALL(getsockname), CALL(getpeername), END}},
    {"connections to the control socket, the metrics, and by TCP: taken, never made",
        {CALL(accept4), CALL(accept), CALL(shutdown), CALL(read), CALL(write), CALL(readv), CALL(writev), CALL(close), END}},
    {"the loop: what is ready, timers, wake-ups between threads",
        {CALL(epoll_create1), CALL(epoll_ctl), CALL(epoll_wait), CALL(epoll_pwait), CALL(epoll_pwait2), CALL(poll), CALL(ppoll),
            CALL(eventfd2), CALL(pipe2), CALL(dup), CALL(dup3), CALL(fcntl), CALL(futex), CALL(restart_syscall), END}},
    {"time", {CALL(clock_gettime), CALL(clock_getres), CALL(gettimeofday), CALL(time), CALL(clock_nanosleep), CALL(nanosleep), END}},
    {"memory, none of it to be executed: see sandbox_calls() for mmap and mprotect",
        {CALL(munmap), CALL(mremap), CALL(madvise), CALL(brk), CALL(membarrier), CALL(mlock), CALL(mlock2), CALL(munlock), END}},
    {"threads: see below for clone",
        {CALL(set_robust_list), CALL(rseq), CALL(set_tid_address), CALL(sched_yield), CALL(sched_getaffinity), CALL(sched_setaffinity),
            CALL(gettid), CALL(getcpu), CALL(exit), CALL(exit_group), END}},
    {"signals: to itself, see below for tgkill",
        {CALL(rt_sigaction), CALL(rt_sigprocmask), CALL(rt_sigreturn), CALL(sigaltstack), CALL(rt_sigtimedwait), END}},
    {"files: which, is Landlock's business; the log, the pid file and the control socket's lock",
        {CALL(openat), CALL(open), CALL(fstat), CALL(newfstatat), CALL(fstatfs), CALL(lseek), CALL(pread64), CALL(pwrite64), CALL(getdents64),
            CALL(fsync), CALL(fdatasync), CALL(ftruncate), CALL(rename), CALL(renameat), CALL(renameat2), CALL(unlink), CALL(unlinkat),
            CALL(flock), CALL(umask), CALL(access), CALL(faccessat), CALL(faccessat2), CALL(readlink), CALL(stat), CALL(lstat), END}},
    {"what the process is and takes, for the metrics",
        {CALL(getpid), CALL(getppid), CALL(getuid), CALL(geteuid), CALL(getgid), CALL(getegid), CALL(getrusage), CALL(getrlimit),
            CALL(sysinfo), CALL(uname), CALL(times), END}},
    {"randomness", {CALL(getrandom), END}},
};

/* A host's, beside those; for socket() see add_sockets(). */
static const struct group host_allowed[] = {
    {"sockets for programs and overlays, and to servers that were opened", {CALL(connect), CALL(bind), CALL(listen), CALL(socketpair), END}},
    {"timers, and word of a file that has changed",
        {CALL(timerfd_create), CALL(timerfd_settime), CALL(timerfd_gettime), CALL(inotify_init1), CALL(inotify_add_watch), CALL(inotify_rm_watch),
            CALL(signalfd4), END}},
    {"folders of its own", {CALL(mkdir), CALL(mkdirat), CALL(fchmod), CALL(chmod), CALL(fchmodat), CALL(statx), CALL(truncate), CALL(getcwd),
        CALL(readlinkat), CALL(statfs), END}},
};

/* Nothing of ours makes these, whatever goes wrong. */
static const struct group deadly = {"another program, another process, the kernel itself",
    {CALL(execve), CALL(execveat), CALL(ptrace), CALL(process_vm_readv), CALL(process_vm_writev), CALL(init_module), CALL(finit_module),
        CALL(kexec_load), CALL(kexec_file_load), CALL(bpf), CALL(perf_event_open), CALL(userfaultfd), CALL(mount), CALL(umount2),
        CALL(pivot_root), CALL(setns), CALL(unshare), CALL(keyctl), CALL(add_key), CALL(request_key), CALL(io_uring_setup), END}};

/* Under a sanitizer, where all but these is allowed. */
static const struct group forbidden = {"no new socket, no other user",
    {CALL(socket), CALL(socketpair), CALL(connect), CALL(bind), CALL(setuid), CALL(setgid), CALL(chroot), END}};

static int add_group(scmp_filter_ctx f, uint32_t action, const struct group *g)
{
    int err = 0;
    for (unsigned i = 0; !err && g->call[i] != END; i++) {
        err = seccomp_rule_add(f, action, g->call[i], 0);
        if (err == -EDOM || err == -ENOSYS)
            err = 0; /* this machine has no such call */
    }
    return err;
}

/* Calls that are right with some arguments only. */
static int add_special(scmp_filter_ctx f)
{
    static const unsigned long ioctls[] = {FIONBIO, FIONREAD, FIOCLEX};
    const uint32_t yes = SCMP_ACT_ALLOW;
    int err = seccomp_rule_add(f, yes, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    err = err ? err : seccomp_rule_add(f, yes, SCMP_SYS(mprotect), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
    /* a thread, never a process; clone3's arguments cannot be looked at: the C library falls back to clone */
    err = err ? err : seccomp_rule_add(f, yes, SCMP_SYS(clone), 1, SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    err = err ? err : seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    err = err ? err : seccomp_rule_add(f, yes, SCMP_SYS(tgkill), 1, SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())); /* abort() */
    err = err ? err : seccomp_rule_add(f, yes, SCMP_SYS(prctl), 1, SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME));
    err = err ? err : seccomp_rule_add(f, yes, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0)); /* to ask, not to set */
    for (unsigned i = 0; !err && i < sizeof(ioctls) / sizeof(ioctls[0]); i++)
        err = seccomp_rule_add(f, yes, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffffff, ioctls[i]));
    return err;
}

/* The families of our sockets, and no others: each further one is much kernel code to be attacked. */
static int add_sockets(scmp_filter_ctx f)
{
    static const unsigned families[] = {AF_UNIX, AF_INET, AF_INET6}, types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET}; /* nothing raw */
    static const unsigned netlinks[] = {NETLINK_ROUTE, NETLINK_SOCK_DIAG};
    const uint32_t yes = SCMP_ACT_ALLOW;
    int err = 0;
    for (unsigned i = 0; !err && i < 3 * 3; i++)
        err = seccomp_rule_add(f, yes, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, families[i / 3]),
            SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, types[i % 3]));
    for (unsigned i = 0; !err && i < sizeof(netlinks) / sizeof(netlinks[0]); i++)
        err = seccomp_rule_add(f, yes, SCMP_SYS(socket), 2, SCMP_A0(SCMP_CMP_EQ, AF_NETLINK), SCMP_A2(SCMP_CMP_EQ, netlinks[i]));
    return err;
}

static int add_host(scmp_filter_ctx f)
{
    int err = add_sockets(f);
    for (unsigned i = 0; !err && i < sizeof(host_allowed) / sizeof(host_allowed[0]); i++)
        err = add_group(f, SCMP_ACT_ALLOW, &host_allowed[i]);
    return err;
}

static int fill_filter(scmp_filter_ctx f, bool host)
{
    int err = seccomp_attr_set(f, SCMP_FLTATR_CTL_TSYNC, 1);
    if (err)
        return err;
    seccomp_attr_set(f, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: a third of the time; older libraries cannot */
    if (SANITIZED) {
        err = host ? 0 : add_group(f, SCMP_ACT_ERRNO(EPERM), &forbidden);
        return err ? err : add_group(f, SCMP_ACT_ERRNO(EPERM), &deadly);
    }
    for (unsigned i = 0; !err && i < sizeof(allowed) / sizeof(allowed[0]); i++)
        err = add_group(f, SCMP_ACT_ALLOW, &allowed[i]);
    err = err ? err : add_group(f, SCMP_ACT_KILL_PROCESS, &deadly);
    err = err || !host ? err : add_host(f);
    return err ? err : add_special(f);
}

static int restrict_calls(bool host)
{
    scmp_filter_ctx f = seccomp_init(SANITIZED ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(EPERM));
    if (!f)
        return -ENOMEM;
    int err = fill_filter(f, host);
    err = err ? err : seccomp_load(f);
    seccomp_release(f);
    filtered = !err;
    return err;
}

int sandbox_calls(void)
{
    return restrict_calls(false);
}

int sandbox_host_calls(void)
{
    return restrict_calls(true);
}
