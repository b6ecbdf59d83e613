#include "daemon/io/pair.h"

#include <fcntl.h>
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
    int fd[2], size = standing ? PAIR_LARGE : PAIR_SMALL, deep = PAIR_DEEP, err;
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

void pair_refuse(struct pair *p)
{
    if (p->program >= 0)
        close(p->program);
    if (p->daemon >= 0)
        close(p->daemon);
    p->program = p->daemon = -1;
}
