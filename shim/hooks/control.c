#include "shim/hooks/control.h"

#include <linux/errqueue.h>
#include <string.h>

#include "shim/overlay.h"
#include "shim/sys.h"
#include "shim/udp.h"

static uint32_t host(struct in_addr a)
{
    return ntohl(a.s_addr);
}

static struct in_addr network(uint32_t ip)
{
    return (struct in_addr){htonl(ip)};
}

/* One of our own addresses: loopback as the program shall see it. */
static void own_in(struct in_addr *a)
{
    struct addr own = udp_own(4);
    if (host(*a) >> 24 == 127 && own.family)
        *a = network(addr_ip4(&own));
}

static struct in_addr mapped(const struct in6_addr *a)
{
    struct in_addr v4;
    memcpy(&v4, a->s6_addr + 12, sizeof(v4));
    return v4;
}

static void own6_in(struct in6_addr *a)
{
    struct in_addr v4 = mapped(a);
    struct addr own = udp_own(6);
    if (IN6_IS_ADDR_V4MAPPED(a)) {
        own_in(&v4);
        memcpy(a->s6_addr + 12, &v4, sizeof(v4));
    } else if (IN6_IS_ADDR_LOOPBACK(a) && own.family) {
        memcpy(a, own.ip, sizeof(*a));
    }
}

/* Where the socket speaks from to mirrors: the very address that it is bound to, since one that is named replaces that. */
static struct addr speaks_from(int fd, uint8_t family)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    struct addr a = sys_getsockname(fd, &ss, &len) < 0 ? (struct addr){0} : addr_from_sockaddr(&ss, len);
    return a.family == family && memcmp(a.ip, &in6addr_any, sizeof(a.ip)) ? a : overlay_loopback(family, 0);
}

static void own_out(int fd, struct in_addr *a)
{
    struct addr own = udp_own(4);
    if (!own.family || host(*a) != addr_ip4(&own))
        return;
    own = speaks_from(fd, 4);
    memcpy(a, own.ip, sizeof(*a));
}

static void own6_out(int fd, struct in6_addr *a)
{
    struct in_addr v4 = mapped(a);
    struct addr own = udp_own(6);
    if (IN6_IS_ADDR_V4MAPPED(a)) {
        own_out(fd, &v4);
        memcpy(a->s6_addr + 12, &v4, sizeof(v4));
    } else if (own.family && !memcmp(a, own.ip, sizeof(*a))) {
        own = speaks_from(fd, 6);
        memcpy(a, own.ip, sizeof(*a));
    }
}

/* Who has sent the ICMP error that the message in the error queue is about: the peer itself. */
static void offender_in(struct cmsghdr *c, size_t room, const struct addr *from)
{
    struct sockaddr_in *in = (struct sockaddr_in *)((char *)CMSG_DATA(c) + sizeof(struct sock_extended_err));
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)in;
    if (room >= sizeof(struct sock_extended_err) + sizeof(*in6) && in6->sin6_family == AF_INET6 && from->family == 6 &&
        IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr))
        memcpy(&in6->sin6_addr, from->ip, sizeof(in6->sin6_addr));
    if (room >= sizeof(struct sock_extended_err) + sizeof(*in) && in->sin_family == AF_INET && from->family == 4 &&
        host(in->sin_addr) >> 24 == 127)
        memcpy(&in->sin_addr, from->ip, sizeof(in->sin_addr));
}

static void one_in(struct cmsghdr *c, const struct addr *from)
{
    size_t room = c->cmsg_len - CMSG_LEN(0);
    void *data = CMSG_DATA(c);
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO && room >= sizeof(struct in_pktinfo)) {
        own_in(&((struct in_pktinfo *)data)->ipi_spec_dst);
        own_in(&((struct in_pktinfo *)data)->ipi_addr);
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_ORIGDSTADDR && room >= sizeof(struct sockaddr_in)) {
        own_in(&((struct sockaddr_in *)data)->sin_addr);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO && room >= sizeof(struct in6_pktinfo)) {
        own6_in(&((struct in6_pktinfo *)data)->ipi6_addr);
    } else if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
               (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
        offender_in(c, room, from);
    }
}

void control_received(struct msghdr *m, const struct addr *from)
{
    if (!m->msg_control || m->msg_controllen < sizeof(struct cmsghdr))
        return;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        one_in(c, from);
}

/* The interface is loopback, too, whichever the program has named. */
static void one_out(int fd, struct cmsghdr *c)
{
    struct in6_pktinfo *info6 = (void *)CMSG_DATA(c);
    struct in_pktinfo *info = (void *)CMSG_DATA(c);
    size_t room = c->cmsg_len - CMSG_LEN(0);
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO && room >= sizeof(*info)) {
        info->ipi_ifindex = 0;
        own_out(fd, &info->ipi_spec_dst);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO && room >= sizeof(*info6)) {
        info6->ipi6_ifindex = 0;
        own6_out(fd, &info6->ipi6_addr);
    }
}

void control_sent(int fd, struct msghdr *m, char room[CONTROL_ROOM])
{
    if (!m->msg_control || m->msg_controllen < sizeof(struct cmsghdr) || m->msg_controllen > CONTROL_ROOM)
        return;
    memcpy(room, m->msg_control, m->msg_controllen);
    m->msg_control = room;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_len >= CMSG_LEN(0))
            one_out(fd, c);
}
