#include "shim/twins.h"

#include <dirent.h>
#include <stdlib.h>

#include "shim/fdtable.h"
#include "shim/pair.h"
#include "shim/sys.h"

int twins_watch(int fd)
{
    struct epoll_event any = {.events = EPOLLHUP};
    int ep = (int)sys_call(SYS_epoll_create1, EPOLL_CLOEXEC, 0, 0, 0, 0, 0);
    if (ep >= 0 && sys_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &any) < 0) {
        sys_close(ep);
        return -1;
    }
    return ep;
}

bool twins_left(int watch)
{
    struct epoll_event ev;
    if (watch < 0)
        return false;
    long n = sys_call(SYS_epoll_pwait, watch, (long)&ev, 1, 0, 0, 0); /* a socket that is not connected hangs up all the time */
    sys_close(watch);
    return n == 1;
}

static void follow(int fd, uint64_t cookie, int with)
{
    struct fd_entry e;
    if (sys_cookie(fd) != cookie)
        return;
    int copy = sys_fcntl(with, F_DUPFD_CLOEXEC, 0);
    if (copy < 0 || pair_swap(fd, copy) < 0)
        return;
    if (fdtable_get(with, sys_cookie(with), &e))
        fdtable_put(fd, &e);
}

static int number(const char *s)
{
    int n = 0;
    for (; *s >= '0' && *s <= '9' && n < INT32_MAX / 10; s++)
        n = n * 10 + (*s - '0');
    return *s ? -1 : n;
}

void twins_follow(uint64_t cookie, int with)
{
    struct record {
        uint64_t ino;
        int64_t off;
        uint16_t len;
        uint8_t type;
        char name[];
    };
    _Alignas(struct record) char buf[2048];
    int dir = (int)sys_call(SYS_openat, AT_FDCWD, (long)"/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0, 0, 0);
    if (dir < 0)
        return;
    long n;
    while ((n = sys_call(SYS_getdents64, dir, (long)buf, sizeof(buf), 0, 0, 0)) > 0)
        for (long at = 0; at < n;) {
            const struct record *r = (const void *)(buf + at);
            int fd = number(r->name);
            if (fd >= 0 && r->name[0] != '.')
                follow(fd, cookie, with);
            at += r->len;
        }
    sys_close(dir);
}
