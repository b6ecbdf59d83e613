#include "daemon/io/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

static int open_at(const struct addr *at, int type, struct addr *local)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(at, &ss);
    int one = 1, fd = socket(ss.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (type == SOCK_STREAM)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (at->family == 6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&ss, len) < 0 || (type == SOCK_STREAM && listen(fd, ACCEPT_BACKLOG) < 0)) {
        int err = errno;
        close(fd);
        return -err;
    }
    len = sizeof(ss);
    getsockname(fd, (struct sockaddr *)&ss, &len);
    *local = addr_from_sockaddr(&ss, len);
    return fd;
}

int accept_open(const struct addr *at, struct addr *local)
{
    return open_at(at, SOCK_STREAM, local);
}

static void turn_away(int fd, int *spare, uint64_t *turned)
{
    if (*spare < 0)
        return;
    close(*spare);
    int one = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (one >= 0) {
        close(one);
        ++*turned;
    }
    *spare = fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

unsigned accept_batch(int fd, struct accepted *v, unsigned max, bool *more, int *spare, uint64_t *turned)
{
    unsigned n = 0;
    *more = true;
    for (unsigned tries = 0; n < max && tries < max; tries++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof(ss);
        int one = 1, got = accept4(fd, (struct sockaddr *)&ss, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (got < 0 && (errno == EMFILE || errno == ENFILE)) {
            turn_away(fd, spare, turned);
            continue;
        }
        if (got < 0 && errno == EAGAIN) {
            *more = false;
            break;
        }
        if (got < 0)
            continue; /* one that has gone already */
        v[n].fd = got;
        v[n].source = addr_from_sockaddr(&ss, len);
        len = sizeof(ss);
        getsockname(got, (struct sockaddr *)&ss, &len);
        v[n++].local = addr_from_sockaddr(&ss, len);
        setsockopt(got, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    }
    return n;
}

void accept_reset(int fd)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(fd);
}

int answer_open(const struct addr *at, struct addr *local)
{
    int one = 1, fd = open_at(at, SOCK_DGRAM, local);
    if (fd >= 0 && at->family == 4)
        setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
    if (fd >= 0 && at->family == 6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
    return fd;
}

ssize_t answer_recv(int fd, void *buf, size_t cap, struct answer_way *way)
{
    struct iovec v = {buf, cap};
    struct msghdr m = {.msg_name = &way->name, .msg_namelen = sizeof(way->name), .msg_iov = &v, .msg_iovlen = 1, .msg_control = way->control,
        .msg_controllen = sizeof(way->control)};
    ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
    if (n < 0)
        return -errno;
    way->len = m.msg_namelen;
    way->control_len = m.msg_controllen;
    way->source = addr_from_sockaddr(&way->name, m.msg_namelen);
    /* the way back begins where the datagram arrived; by which interface is the route's business */
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo *i = (void *)CMSG_DATA(c);
            i->ipi_spec_dst = i->ipi_addr;
            i->ipi_ifindex = 0;
        }
    }
    return n;
}

int answer_send(int fd, const struct answer_way *way, const void *buf, size_t len)
{
    struct iovec v = {(void *)(uintptr_t)buf, len};
    struct msghdr m = {.msg_name = (void *)(uintptr_t)&way->name, .msg_namelen = way->len, .msg_iov = &v, .msg_iovlen = 1,
        .msg_control = (void *)(uintptr_t)way->control, .msg_controllen = way->control_len};
    return sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}
