#include "daemon/io/addresses.h"

#include <errno.h>
#include <ifaddrs.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <unistd.h>

static bool link_local(const struct addr *a)
{
    if (a->family == 4)
        return a->ip[0] == 169 && a->ip[1] == 254;
    return a->ip[0] == 0xfe && (a->ip[1] & 0xc0) == 0x80;
}

int addresses_each(void (*fn)(void *ctx, const struct addr *a), void *ctx)
{
    struct ifaddrs *list;
    if (getifaddrs(&list) < 0)
        return -errno;
    for (const struct ifaddrs *i = list; i; i = i->ifa_next) {
        if (!i->ifa_addr || !(i->ifa_flags & IFF_UP) || i->ifa_flags & IFF_LOOPBACK)
            continue;
        bool v6 = i->ifa_addr->sa_family == AF_INET6;
        struct addr a = addr_from_sockaddr(i->ifa_addr, v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in));
        if (a.family && !link_local(&a))
            fn(ctx, &a);
    }
    freeifaddrs(list);
    return 0;
}

int addresses_source(const struct addr *to, struct addr *out)
{
    struct sockaddr_storage ss;
    struct addr plain = addr_by(to, ADDR_UDP);
    socklen_t len = addr_to_sockaddr(&plain, &ss);
    int err = 0, fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&ss, len) < 0)
        err = -errno;
    len = sizeof(ss);
    if (!err && getsockname(fd, (struct sockaddr *)&ss, &len) < 0)
        err = -errno;
    close(fd);
    if (!err) {
        *out = addr_from_sockaddr(&ss, len);
        out->port = 0;
    }
    return err;
}

int addresses_watch(void)
{
    struct sockaddr_nl nl = {.nl_family = AF_NETLINK,
        .nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
    if (fd < 0)
        return -errno;
    if (bind(fd, (struct sockaddr *)&nl, sizeof(nl)) == 0)
        return fd;
    int err = -errno;
    close(fd);
    return err;
}

void addresses_drain(int fd)
{
    char buf[8192];
    while (recv(fd, buf, sizeof(buf), MSG_DONTWAIT) >= 0 || errno == ENOBUFS || errno == EINTR)
        ;
}
