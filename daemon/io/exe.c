#include "daemon/io/exe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <seccomp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { ANSWER_MS = 500, CHILD_FD = 3 };

struct question {
    uint32_t serial;
    pid_t pid;
};

struct answer {
    uint32_t serial;
    int err;
    char path[PATH_MAX];
};

static int helper_fd = -1;

/* ---- the helper ---- */

/* Nothing but what its loop needs; where there is no seccomp it goes without. */
static void confine(void)
{
    static const int calls[] = {SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(close), SCMP_SYS(recvfrom), SCMP_SYS(sendto), SCMP_SYS(readlink),
        SCMP_SYS(readlinkat), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn)};
    scmp_filter_ctx f = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!f)
        return;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
    seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, O_ACCMODE, O_RDONLY));
    seccomp_load(f);
    seccomp_release(f);
}

/* What a process that may not be looked at says of itself: at most 15 characters. */
static ssize_t read_comm(pid_t pid, char *out, size_t cap)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, cap);
    if (fd >= 0)
        close(fd);
    return n > 0 && out[n - 1] == '\n' ? n - 1 : n;
}

static void look(const struct question *q, struct answer *a)
{
    char link[40];
    snprintf(link, sizeof(link), "/proc/%d/exe", (int)q->pid);
    ssize_t n = readlink(link, a->path, sizeof(a->path) - 1);
    if (n < 0 && errno == EACCES)
        n = read_comm(q->pid, a->path, sizeof(a->path) - 1);
    a->serial = q->serial;
    a->err = n < 0 ? (errno == ENOENT ? ESRCH : errno) : 0;
    a->path[n < 0 ? 0 : n] = '\0';
}

static void serve(int fd)
{
    static struct answer a;
    struct question q;
    while (recv(fd, &q, sizeof(q), 0) == sizeof(q)) {
        look(&q, &a);
        if (send(fd, &a, offsetof(struct answer, path) + strlen(a.path) + 1, MSG_NOSIGNAL) < 0)
            break;
    }
}

/* So that whoever looks for the daemon in a list of processes does not find two. */
static void rename_to(char **argv, const char *name)
{
    char *end = argv[0] + strlen(argv[0]) + 1;
    for (int i = 1; argv[i]; i++)
        end = argv[i] == end ? end + strlen(end) + 1 : end; /* they lie side by side */
    size_t room = (size_t)(end - argv[0]);
    memset(argv[0], 0, room);
    snprintf(argv[0], room, "%s", name);
    prctl(PR_SET_NAME, name);
}

static void helper_main(int fd, char **argv)
{
    sigset_t all;
    sigfillset(&all); /* it ends when the daemon does, not before: also on ^C */
    sigprocmask(SIG_BLOCK, &all, NULL);
    rename_to(argv, "i3exe");
    prctl(PR_SET_DUMPABLE, 0);
    if (dup2(fd, CHILD_FD) == CHILD_FD) {
        for (int i = 0; i < CHILD_FD; i++)
            close(i);
        close_range(CHILD_FD + 1, ~0u, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        confine();
#else
        (void)confine;
#endif
        serve(CHILD_FD);
    }
    _exit(0);
}

/* ---- the daemon's side ---- */

int exe_start(char **argv)
{
    int fd[2];
    struct timeval limit = {.tv_usec = ANSWER_MS * 1000};
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd) < 0)
        return -errno;
    pid_t helper = fork();
    if (helper < 0) {
        int err = errno;
        close(fd[0]);
        close(fd[1]);
        return -err;
    }
    if (helper == 0)
        helper_main(fd[1], argv);
    close(fd[1]);
    setsockopt(fd[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    helper_fd = fd[0];
    return 0;
}

int exe_of(pid_t pid, char *out, size_t cap)
{
    static struct answer a;
    static uint32_t serial;
    struct question q = {++serial, pid};
    if (helper_fd < 0)
        return -ENOTCONN;
    if (send(helper_fd, &q, sizeof(q), MSG_NOSIGNAL) < 0)
        return -ENOTCONN;
    do {
        ssize_t n = recv(helper_fd, &a, sizeof(a), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= (ssize_t)offsetof(struct answer, path))
            return -ENOTCONN;
        a.path[n - (ssize_t)offsetof(struct answer, path) - 1] = '\0';
    } while (a.serial != q.serial); /* one that came too late for who had asked */
    if (a.err)
        return -a.err;
    return snprintf(out, cap, "%s", a.path) < (int)cap ? 0 : -ENAMETOOLONG;
}

void exe_stop(void)
{
    if (helper_fd < 0)
        return;
    close(helper_fd); /* at which it ends; it is not waited for, since the sandbox knows no wait */
    helper_fd = -1;
}
