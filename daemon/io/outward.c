#include "daemon/io/outward.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "include/bytes.h"

int outward_tcp(const struct addr *to)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(to, &ss);
    int on = 1, fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (!connect(fd, (struct sockaddr *)&ss, len) || errno == EINPROGRESS)
        return fd;
    int err = errno;
    close(fd);
    return -err;
}

int outward_udp(uint8_t family)
{
    int on = 1, fd = socket(family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (family == 6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (family == 6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof(on));
    else
        setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof(on));
    return fd;
}

int outward_error(int fd, struct addr *to)
{
    struct sockaddr_storage ss;
    char control[512] __attribute__((aligned(8)));
    uint8_t byte;
    struct iovec v = {&byte, 1};
    struct msghdr m = {.msg_name = &ss, .msg_namelen = sizeof(ss), .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
        return 0;
    *to = addr_from_sockaddr(&ss, m.msg_namelen);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
        bool ours = (c->cmsg_level == SOL_IP && c->cmsg_type == IP_RECVERR) || (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_RECVERR);
        const struct sock_extended_err *e = (const void *)CMSG_DATA(c);
        if (ours && e->ee_errno)
            return (int)e->ee_errno;
    }
    return EPROTO;
}
