#include "daemon/io/mirror.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/io/train.h"

enum { SOCKET_BUF = 2 << 20 }; /* asked for; the kernel gives at most its rmem_max */

/* From one mirror to one socket. */
struct train {
    int fd;
    struct addr to;
    unsigned first, n; /* of span */
    size_t size, bytes;
};

struct mirrors_io {
    uint8_t *buf[MIRROR_BATCH];
    uint64_t probe; /* what a probe of mirror_refuse() carries: one that is late must not go to the peer */
    bool no_gso;
    unsigned trains, spans;
    struct train train[MIRROR_TRAINS];
    struct iovec span[MIRROR_SPANS];
    uint8_t refused[128];
};

struct mirrors_io *mirrors_io_new(uint64_t random)
{
    struct mirrors_io *io = calloc(1, sizeof(*io));
    if (!io)
        return NULL;
    io->probe = random;
    if (train_buffers_new(io->buf, MIRROR_BATCH) == 0)
        return io;
    free(io);
    return NULL;
}

void mirrors_io_free(struct mirrors_io *io)
{
    if (!io)
        return;
    train_buffers_free(io->buf, MIRROR_BATCH);
    free(io);
}

static int bind_to(int fd, struct addr *at)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(at, &ss);
    if (bind(fd, (struct sockaddr *)&ss, len) < 0)
        return -errno;
    len = sizeof(ss);
    if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        return -errno;
    *at = addr_from_sockaddr(&ss, len);
    return 0;
}

static int datagram_socket(uint8_t family)
{
    return socket(family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* On that very port: one that the kernel has chosen for a socket is taken from it when it is disconnected (mirror_refuse). */
static int open_at(struct addr *at)
{
    int fd = datagram_socket(at->family);
    if (fd < 0)
        return -errno;
    int err = bind_to(fd, at);
    if (!err)
        return fd;
    close(fd);
    return err;
}

static int open_anywhere(struct addr *at)
{
    enum { TRIES = 8 };
    int fd = -EADDRINUSE;
    for (int i = 0; i < TRIES && fd == -EADDRINUSE; i++) {
        at->port = 0;
        fd = open_at(at);
        if (fd < 0)
            return fd;
        close(fd);
        fd = open_at(at);
    }
    return fd;
}

int mirror_open(struct addr *at)
{
    int one = 1, size = SOCKET_BUF;
    int fd = at->port ? open_at(at) : -EADDRINUSE;
    if (fd == -EADDRINUSE || fd == -EACCES)
        fd = open_anywhere(at);
    if (fd < 0)
        return fd;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    setsockopt(fd, at->family == 6 ? IPPROTO_IPV6 : IPPROTO_IP, at->family == 6 ? IPV6_RECVERR : IP_RECVERR, &one, sizeof(one));
    train_prepare(fd, at->family == 6 ? AF_INET6 : AF_INET);
    return fd;
}

/* ---- in ---- */

int mirror_recv(struct mirrors_io *io, int fd, mirror_datagram_fn *fn, void *ctx)
{
    struct train_in t[MIRROR_BATCH];
    int got = trains_recv(fd, io->buf, MIRROR_BATCH, t);
    if (got < 0)
        return got == -EAGAIN ? 0 : -EIO;
    for (int i = 0; i < got; i++) {
        size_t at = 0;
        if (t[i].len == sizeof(io->probe) && !memcmp(t[i].p, &io->probe, sizeof(io->probe)))
            continue;
        do { /* an empty one is one, too */
            fn(ctx, &t[i].from, t[i].p + at, t[i].len - at < t[i].size ? t[i].len - at : t[i].size);
            at += t[i].size;
        } while (at < t[i].len);
    }
    return got == MIRROR_BATCH;
}

static bool is_refusal(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        struct sock_extended_err e;
        bool v6 = c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR;
        if (!v6 && (c->cmsg_level != IPPROTO_IP || c->cmsg_type != IP_RECVERR))
            continue;
        memcpy(&e, CMSG_DATA(c), sizeof(e));
        return e.ee_origin == (v6 ? SO_EE_ORIGIN_ICMP6 : SO_EE_ORIGIN_ICMP) && e.ee_errno == ECONNREFUSED;
    }
    return false;
}

bool mirror_refused(struct mirrors_io *io, int fd, struct addr *to, const uint8_t **data, size_t *len)
{
    struct sockaddr_in6 name;
    struct iovec v = {io->refused, sizeof(io->refused)};
    union {
        char space[512];
        struct cmsghdr align;
    } control;
    for (;;) {
        struct msghdr m = {.msg_name = &name, .msg_namelen = sizeof(name), .msg_iov = &v, .msg_iovlen = 1,
            .msg_control = &control, .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
        if (n < 0)
            return false;
        if (!is_refusal(&m))
            continue;
        *to = addr_from_sockaddr(&name, m.msg_namelen);
        *data = io->refused;
        *len = (size_t)n;
        return true;
    }
}

/* ---- out ---- */

void mirror_send(struct mirrors_io *io, int fd, const struct addr *to, const uint8_t *data, size_t len)
{
    struct train *t = io->trains ? &io->train[io->trains - 1] : NULL;
    bool joins = t && !io->no_gso && t->fd == fd && addr_eq(&t->to, to) && t->n < TRAIN_SEGMENTS && len && len <= t->size &&
                 t->bytes == t->n * t->size && t->bytes + len <= TRAIN_BYTES;
    if (!joins) {
        t = &io->train[io->trains++];
        *t = (struct train){.fd = fd, .to = *to, .first = io->spans, .size = len};
    }
    io->span[io->spans++] = (struct iovec){(void *)data, len};
    t->n++;
    t->bytes += len;
}

bool mirrors_full(const struct mirrors_io *io)
{
    return io->trains == MIRROR_TRAINS || io->spans == MIRROR_SPANS;
}

static ssize_t send_some(struct mirrors_io *io, const struct train *t, unsigned first, unsigned n)
{
    struct sockaddr_storage to;
    union train_control control;
    struct msghdr m = {.msg_name = &to, .msg_namelen = addr_to_sockaddr(&t->to, &to), .msg_iov = io->span + first, .msg_iovlen = n};
    train_mark(&m, &control, n > 1 ? t->size : 0, 0, t->to.family == 6);
    ssize_t sent = -1;
    for (int tries = 0; sent < 0 && tries < 3; tries++) { /* an error of an earlier one is told first, and once */
        sent = sendmsg(t->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno != ECONNREFUSED && errno != EINTR)
            break;
    }
    return sent;
}

static unsigned send_train(struct mirrors_io *io, const struct train *t)
{
    unsigned lost = 0;
    bool never;
    if (send_some(io, t, t->first, t->n) >= 0)
        return 0;
    if (t->n == 1 || !train_singly(errno, &never))
        return t->n;
    io->no_gso |= never;
    for (unsigned i = 0; i < t->n; i++)
        lost += send_some(io, t, t->first + i, 1) < 0;
    return lost;
}

unsigned mirrors_flush(struct mirrors_io *io)
{
    unsigned lost = 0;
    for (unsigned i = 0; i < io->trains; i++)
        lost += send_train(io, &io->train[i]);
    io->trains = io->spans = 0;
    return lost;
}

/* ---- refusing ---- */

static struct addr nowhere(uint8_t family)
{
    return family == 6 ? addr_v6(in6addr_loopback.s6_addr, 1) : addr_v4(INADDR_LOOPBACK, 1);
}

static int connect_to(int fd, const struct addr *to)
{
    struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
    socklen_t len = to ? addr_to_sockaddr(to, &ss) : sizeof(struct sockaddr_in6);
    return connect(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

/* A second socket on the program's port sends a datagram to the mirror, which meanwhile takes datagrams from nobody: the
 * kernel answers with ICMP, and looks for the socket that the answer is for. That is the program's, since the second one is
 * connected elsewhere. */
int mirror_refuse(const struct mirrors_io *io, int fd, const struct addr *real, const struct addr *at)
{
    struct sockaddr_storage ss;
    struct addr local = *at;
    int one = 1, err;
    struct addr elsewhere = nowhere(real->family);
    int probe = datagram_socket(real->family);
    if (probe < 0)
        return -errno;
    setsockopt(probe, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    err = bind_to(probe, &local);
    if (!err)
        err = connect_to(probe, &elsewhere);
    if (!err)
        err = connect_to(fd, &elsewhere);
    if (!err) {
        socklen_t len = addr_to_sockaddr(real, &ss);
        if (sendto(probe, &io->probe, sizeof(io->probe), MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&ss, len) < 0)
            err = -errno;
        connect_to(fd, NULL);
    }
    close(probe);
    return err;
}
