#include "daemon/io/pair.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    PAIR_SMALL = 1,          /* the kernel raises it to its minimum */
    PAIR_LARGE = 256 * 1024, /* of the program's end, once connected; capped by wmem_max */
    PAIR_DEEP = 1024 * 1024, /* of the daemon's end: what the program will read is better kept there than in the engine */
};

static int bind_end(int fd, const struct sock_name *name, char side)
{
    struct sock_name mine = *name;
    struct sockaddr_un un;
    mine.side = side;
    socklen_t len = sock_name_encode(&mine, &un);
    return bind(fd, (struct sockaddr *)&un, len) < 0 ? -errno : 0;
}

static size_t fill(int fd)
{
    static const char zeros[1024];
    size_t filled = 0;
    ssize_t n;
    while ((n = send(fd, zeros, sizeof(zeros), MSG_DONTWAIT | MSG_NOSIGNAL)) > 0)
        filled += (size_t)n;
    return filled;
}

int pair_open(struct pair *p, const struct sock_name *name, bool standing)
{
    int fd[2], size = standing ? PAIR_LARGE : PAIR_SMALL, deep = PAIR_DEEP, one = 1, err;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) < 0)
        return -errno;
    *p = (struct pair){.daemon = fd[0], .program = fd[1]};
    err = bind_end(p->daemon, name, 'd');
    if (!err)
        err = bind_end(p->program, name, 'p');
    if (!err && setsockopt(p->program, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0)
        err = -errno;
    if (!err && setsockopt(p->daemon, SOL_SOCKET, SO_SNDBUF, &deep, sizeof(deep)) < 0)
        err = -errno;
    if (!err && fcntl(p->daemon, F_SETFL, O_NONBLOCK) < 0)
        err = -errno;
    if (!err && send(p->program, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
        err = -errno;
    setsockopt(p->daemon, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)); /* else an urgent byte would be lost */
    if (err) {
        pair_refuse(p);
        return err;
    }
    if (!standing)
        p->filled = fill(p->program);
    return 0;
}

int pair_release(struct pair *p)
{
    char drain[4096];
    int large = PAIR_LARGE;
    if (p->filled)
        setsockopt(p->program, SOL_SOCKET, SO_SNDBUF, &large, sizeof(large));
    close(p->program);
    p->program = -1;
    while (p->filled) {
        size_t want = p->filled < sizeof(drain) ? p->filled : sizeof(drain);
        ssize_t n = recv(p->daemon, drain, want, MSG_DONTWAIT);
        if (n <= 0)
            return n < 0 ? -errno : -EPIPE;
        p->filled -= (size_t)n;
    }
    return 0;
}

/* `bytes` from the start of iov, after one that goes nowhere. */
static ssize_t read_behind(int fd, const struct iovec *iov, int n, size_t bytes)
{
    char keeper;
    struct iovec part[3] = {{&keeper, 1}};
    int parts = 1;
    for (int i = 0; i < n && bytes; i++) {
        size_t len = iov[i].iov_len < bytes ? iov[i].iov_len : bytes;
        part[parts++] = (struct iovec){iov[i].iov_base, len};
        bytes -= len;
    }
    ssize_t got = readv(fd, part, parts);
    return got < 0 ? -errno : got;
}

static char *byte_at(const struct iovec *iov, size_t at)
{
    return at < iov[0].iov_len ? (char *)iov[0].iov_base + at : (char *)iov[1].iov_base + (at - iov[0].iov_len);
}

static ssize_t end_of(int fd)
{
    int err = 0;
    socklen_t len = sizeof(err);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
    return -err;
}

ssize_t pair_read(int fd, const struct iovec *iov, int n, size_t room, bool ended, bool *drained)
{
    int there = 0;
    *drained = false;
    if (ioctl(fd, FIONREAD, &there) < 0)
        return -errno;
    if (there <= 1)
        return ended ? end_of(fd) : -EAGAIN;
    size_t fresh = (size_t)there - 1;
    ssize_t got = read_behind(fd, iov, n, (fresh < room ? fresh : room) - 1);
    if (got <= 0)
        return got < 0 ? got : -EIO;
    *drained = (size_t)got == fresh;
    return recv(fd, byte_at(iov, (size_t)got - 1), 1, MSG_PEEK | MSG_DONTWAIT) == 1 ? got : -EIO;
}

void pair_part(int fd)
{
    char keeper;
    if (recv(fd, &keeper, 1, MSG_DONTWAIT) < 0)
        return; /* broken already */
}

void pair_refuse(struct pair *p)
{
    if (p->program >= 0)
        close(p->program);
    if (p->daemon >= 0)
        close(p->daemon);
    p->program = p->daemon = -1;
}
