/* trap.c - reaching into the program that waits: its memory, its fds, the answer. */
#include "tools/i3run/wait.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shim/sys.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif

int trap_notify = -1;

bool trap_valid(const struct trap *t)
{
    return ioctl(trap_notify, SECCOMP_IOCTL_NOTIF_ID_VALID, &t->id) == 0;
}

/* ---- its fds ---- */

/* For kernels before 6.9, where a pidfd is a process's only. */
static pid_t process_of(pid_t tid)
{
    char path[64], line[128];
    pid_t pid = -1;
    snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
    FILE *f = fopen(path, "re");
    while (f && pid < 0 && fgets(line, sizeof(line), f))
        if (!strncmp(line, "Tgid:", 5))
            pid = atoi(line + 5);
    if (f)
        fclose(f);
    return pid;
}

int trap_thread(pid_t tid)
{
    static bool old;
    long fd = old ? -1 : syscall(SYS_pidfd_open, tid, PIDFD_THREAD);
    if (fd >= 0 || (!old && errno != EINVAL))
        return (int)fd;
    old = true;
    return (int)syscall(SYS_pidfd_open, process_of(tid), 0);
}

/* Those who called lately. A pidfd is the thread's for good: when another has got its number, the old one finds nobody. */
enum { CALLERS = 16 };

static struct {
    pid_t tid; /* 0: free */
    int fd;
} callers[CALLERS];

static int caller(pid_t tid, bool anew)
{
    unsigned at = (unsigned)tid % CALLERS;
    if (callers[at].tid == tid && !anew)
        return callers[at].fd;
    if (callers[at].tid)
        close(callers[at].fd);
    callers[at].fd = trap_thread(tid);
    callers[at].tid = callers[at].fd < 0 ? 0 : tid;
    return callers[at].fd;
}

static int duplicate(pid_t tid, int number)
{
    int who = caller(tid, false);
    long fd = who < 0 ? -1 : syscall(SYS_pidfd_getfd, who, number, 0);
    if (who >= 0 && fd < 0 && errno == ESRCH && (who = caller(tid, true)) >= 0)
        fd = syscall(SYS_pidfd_getfd, who, number, 0);
    return fd < 0 ? -errno : (int)fd;
}

int trap_fd(struct trap *t)
{
    if (t->fd >= 0)
        return t->fd;
    if (t->arg[0] > INT32_MAX && (int32_t)t->arg[0] < 0)
        return -EBADF;
    int fd = duplicate(t->tid, (int)t->arg[0]);
    if (fd >= 0)
        t->fd = fd;
    return fd;
}

int trap_domain(struct trap *t)
{
    int fd = trap_fd(t);
    return fd < 0 ? fd : sys_sockopt_int(fd, SOL_SOCKET, SO_DOMAIN);
}

/* ---- its memory ---- */

int trap_read(const struct trap *t, uint64_t from, void *to, size_t n)
{
    struct iovec here = {to, n}, there = {(void *)(uintptr_t)from, n};
    return !n || (process_vm_readv(t->tid, &here, 1, &there, 1, 0) == (ssize_t)n && trap_valid(t)) ? 0 : -EFAULT;
}

int trap_write(const struct trap *t, uint64_t to, const void *from, size_t n)
{
    struct iovec here = {(void *)from, n}, there = {(void *)(uintptr_t)to, n};
    return !n || process_vm_writev(t->tid, &here, 1, &there, 1, 0) == (ssize_t)n ? 0 : -EFAULT;
}

int trap_read_addr(const struct trap *t, uint64_t from, uint64_t len, struct sockaddr_storage *ss)
{
    memset(ss, 0, sizeof(*ss));
    return (int32_t)len < 0 || (uint32_t)len > sizeof(*ss) ? -EINVAL : trap_read(t, from, ss, (uint32_t)len);
}

int trap_write_addr(const struct trap *t, uint64_t to, uint64_t lenp, const struct sockaddr_storage *ss, socklen_t full)
{
    int32_t room;
    int err = trap_read(t, lenp, &room, sizeof(room));
    if (!err && room < 0)
        err = -EINVAL;
    if (!err)
        err = trap_write(t, to, ss, (socklen_t)room < full ? (socklen_t)room : full);
    return err ? err : trap_write(t, lenp, &full, sizeof(full));
}

/* ---- a socket in the place of another ---- */

enum { WATCHES_MAX = 16 };

struct watch {
    int epfd; /* our duplicate */
    struct epoll_event event;
};

/* The registrations of `number`, while it is `old`, in one of the program's epolls. */
static int read_watches(struct trap *t, int epfd, int number, const struct stat *old, struct watch *w, int n)
{
    char path[64], line[160];
    snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)t->tid, epfd);
    FILE *f = fopen(path, "re");
    while (f && n < WATCHES_MAX && fgets(line, sizeof(line), f)) {
        unsigned long long data, pos, ino;
        unsigned events;
        int tfd;
        if (sscanf(line, "tfd: %d events: %x data: %llx pos:%llu ino:%llx", &tfd, &events, &data, &pos, &ino) != 5 ||
            tfd != number || ino != old->st_ino)
            continue;
        w[n] = (struct watch){duplicate(t->tid, epfd), {.events = events, .data.u64 = data}};
        n += w[n].epfd >= 0;
        break;
    }
    if (f)
        fclose(f);
    return n;
}

static int find_watches(struct trap *t, int number, int fd, struct watch w[WATCHES_MAX])
{
    char path[64], link[64];
    struct stat old;
    struct dirent *e;
    int n = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)t->tid);
    DIR *dir = fstat(fd, &old) == 0 ? opendir(path) : NULL;
    while (dir && n < WATCHES_MAX && (e = readdir(dir))) {
        ssize_t len = readlinkat(dirfd(dir), e->d_name, link, sizeof(link) - 1);
        if (len < 0)
            continue;
        link[len] = '\0';
        if (!strcmp(link, "anon_inode:[eventpoll]"))
            n = read_watches(t, atoi(e->d_name), number, &old, w, n);
    }
    if (dir)
        closedir(dir);
    return n;
}

/* In a table of fds of its own, so that `number` may be what it is in the program; our fds which are in the way move first. Only
 * system calls, since the memory is shared. */
static void register_anew(int number, int old, int with, const struct watch *w, int n)
{
    pid_t child = vfork();
    if (child == 0) {
        int above = number + 1;
        old = sys_fcntl(old, F_DUPFD, above);
        with = sys_fcntl(with, F_DUPFD, above);
        for (int i = 0; i < n && with >= 0 && old >= 0; i++) {
            struct epoll_event event = w[i].event;
            int epfd = sys_fcntl(w[i].epfd, F_DUPFD, above);
            sys_dup3(old, number, 0);
            sys_epoll_ctl(epfd, EPOLL_CTL_DEL, number, NULL);
            sys_dup3(with, number, 0);
            sys_epoll_ctl(epfd, EPOLL_CTL_ADD, number, &event);
        }
        _exit(0);
    }
    while (child > 0 && waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
}

static bool is_cloexec(struct trap *t, int number)
{
    char path[64], text[128] = "";
    snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)t->tid, number);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return true;
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    char *flags = n > 0 ? strstr(text, "flags:") : NULL;
    return !flags || strtoul(flags + 6, NULL, 8) & O_CLOEXEC;
}

static int add_fd(struct trap *t, int fd, uint32_t flags, uint32_t number, bool cloexec)
{
    struct seccomp_notif_addfd a = {
        .id = t->id, .flags = flags, .srcfd = (uint32_t)fd, .newfd = number, .newfd_flags = cloexec ? O_CLOEXEC : 0};
    return ioctl(trap_notify, SECCOMP_IOCTL_NOTIF_ADDFD, &a) < 0 ? -errno : 0;
}

int trap_swap(struct trap *t, int old, int with)
{
    struct watch w[WATCHES_MAX];
    int number = (int)t->arg[0], n = find_watches(t, number, old, w);
    bool cloexec = is_cloexec(t, number);
    if (n)
        register_anew(number, old, with, w, n);
    int err = add_fd(t, with, SECCOMP_ADDFD_FLAG_SETFD, (uint32_t)number, cloexec);
    if (err && n)
        register_anew(number, with, old, w, n);
    for (int i = 0; i < n; i++)
        close(w[i].epfd);
    t->acted |= !err;
    return err;
}

bool trap_still(const struct trap *t, uint64_t cookie)
{
    int fd = duplicate(t->tid, (int)t->arg[0]);
    bool still = fd >= 0 && sys_cookie(fd) == cookie;
    if (fd >= 0)
        close(fd);
    return still;
}

int trap_give(struct trap *t, int fd, bool cloexec)
{
    return add_fd(t, fd, SECCOMP_ADDFD_FLAG_SEND, 0, cloexec);
}

int trap_send(const struct trap *t, long value, bool pass)
{
    struct seccomp_notif_resp r = {.id = t->id, .flags = pass ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0};
    if (!pass && value < 0)
        r.error = (int32_t)value;
    else if (!pass)
        r.val = value;
    return ioctl(trap_notify, SECCOMP_IOCTL_NOTIF_SEND, &r) < 0 ? -errno : 0;
}
