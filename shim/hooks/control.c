#include "shim/hooks/control.h"

#include <linux/errqueue.h>
#include <string.h>

#include "shim/udp.h"

static uint32_t host(struct in_addr a)
{
    return ntohl(a.s_addr);
}

static struct in_addr network(uint32_t ip)
{
    return (struct in_addr){htonl(ip)};
}

static uint32_t own4(void)
{
    struct addr a = udp_own(4);
    return addr_ip4(&a);
}

/* One of our own addresses: loopback as the program shall see it. */
static void own_in(struct in_addr *a)
{
    if (host(*a) >> 24 == 127 && own4())
        *a = network(own4());
}

static bool is_mapped(const struct in6_addr *a)
{
    return IN6_IS_ADDR_V4MAPPED(a);
}

static void own6_in(struct in6_addr *a)
{
    struct addr own = udp_own(6);
    struct in_addr v4;
    if (IN6_IS_ADDR_LOOPBACK(a) && own.family)
        memcpy(a, own.ip, sizeof(*a));
    memcpy(&v4, a->s6_addr + 12, sizeof(v4));
    if (is_mapped(a))
        own_in(&v4);
    memcpy(a->s6_addr + 12, &v4, sizeof(v4));
}

/* Who has sent the ICMP error that the message in the error queue is about: the peer itself. */
static void offender_in(struct cmsghdr *c, size_t room, const struct addr *from)
{
    struct sockaddr_in *in = (struct sockaddr_in *)((char *)CMSG_DATA(c) + sizeof(struct sock_extended_err));
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)in;
    if (room >= sizeof(struct sock_extended_err) + sizeof(*in6) && in6->sin6_family == AF_INET6 && from->family == 6 &&
        IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr))
        memcpy(&in6->sin6_addr, from->ip, sizeof(in6->sin6_addr));
    else if (room >= sizeof(struct sock_extended_err) + sizeof(*in) && in->sin_family == AF_INET && from->family == 4 &&
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
static void one_out(struct cmsghdr *c)
{
    struct in6_pktinfo *info6 = (void *)CMSG_DATA(c);
    struct in_pktinfo *info = (void *)CMSG_DATA(c);
    size_t room = c->cmsg_len - CMSG_LEN(0);
    if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO && room >= sizeof(*info)) {
        info->ipi_ifindex = 0;
        if (own4() && host(info->ipi_spec_dst) == own4())
            info->ipi_spec_dst = network(INADDR_LOOPBACK);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO && room >= sizeof(*info6)) {
        struct in_addr v4;
        memcpy(&v4, info6->ipi6_addr.s6_addr + 12, sizeof(v4));
        info6->ipi6_ifindex = 0;
        if (is_mapped(&info6->ipi6_addr) && own4() && host(v4) == own4()) {
            v4 = network(INADDR_LOOPBACK);
            memcpy(info6->ipi6_addr.s6_addr + 12, &v4, sizeof(v4));
        }
        struct addr own = udp_own(6);
        if (own.family && !memcmp(&info6->ipi6_addr, own.ip, sizeof(info6->ipi6_addr)))
            info6->ipi6_addr = in6addr_loopback;
    }
}

void control_sent(struct msghdr *m, char room[CONTROL_ROOM])
{
    if (!m->msg_control || m->msg_controllen < sizeof(struct cmsghdr) || m->msg_controllen > CONTROL_ROOM)
        return;
    memcpy(room, m->msg_control, m->msg_controllen);
    m->msg_control = room;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c))
        if (c->cmsg_len >= CMSG_LEN(0))
            one_out(c);
}
