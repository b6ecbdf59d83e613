#include "daemon/io/loopback.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "include/bytes.h"

/* Of the interface lo, everywhere: sockets may be bound to it. */
enum { LOOPBACK_INDEX = 1 };

struct diag {
    int fd;
};

struct diag *diag_open(void)
{
    struct timeval second = {.tv_sec = 1};
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    struct diag *d = fd >= 0 ? malloc(sizeof(*d)) : NULL;
    if (!d) {
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
    d->fd = fd;
    return d;
}

void diag_close(struct diag *d)
{
    if (d)
        close(d->fd);
    free(d);
}

struct diag_request {
    struct nlmsghdr h;
    struct inet_diag_req_v2 r;
};

union diag_answer {
    char space[8192];
    struct nlmsghdr h;
};

static bool diag_send(struct diag *d, struct diag_request *req)
{
    union diag_answer old;
    while (recv(d->fd, &old, sizeof(old), MSG_DONTWAIT) > 0)
        ; /* nothing old is mistaken for the answer */
    return send(d->fd, req, sizeof(*req), 0) == (ssize_t)sizeof(*req);
}

static bool is_listener(const struct nlmsghdr *h, const void *what)
{
    const struct inet_diag_msg *m = NLMSG_DATA(h);
    uint64_t cookie = *(const uint64_t *)what;
    return h->nlmsg_type == SOCK_DIAG_BY_FAMILY && m->idiag_state == TCP_LISTEN &&
           m->id.idiag_cookie[0] == (uint32_t)cookie && m->id.idiag_cookie[1] == (uint32_t)(cookie >> 32);
}

/* Asks for all sockets that fit and looks for one that `is` it. 1 or 0; -EBADMSG: the kernel refuses to answer; -EOPNOTSUPP: it
 * cannot be asked. */
static int diag_find(struct diag *d, struct diag_request *req, bool (*is)(const struct nlmsghdr *h, const void *what), const void *what)
{
    union diag_answer ans;
    bool found = false;
    req->h.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
    if (!diag_send(d, req))
        return -EOPNOTSUPP;
    for (;;) {
        ssize_t n = recv(d->fd, &ans, sizeof(ans), 0);
        if (n <= 0)
            return -EOPNOTSUPP;
        unsigned left = (unsigned)n;
        for (struct nlmsghdr *h = &ans.h; NLMSG_OK(h, left); h = NLMSG_NEXT(h, left)) {
            if (h->nlmsg_type == NLMSG_DONE || (found && h->nlmsg_type == NLMSG_ERROR))
                return found;
            if (h->nlmsg_type == NLMSG_ERROR)
                return -EBADMSG;
            found = found || is(h, what);
        }
    }
}

/* The kernel finds a socket by its address; when that is another one, several may share the address (SO_REUSEPORT). */
bool diag_listens(struct diag *d, const struct addr *bound, uint64_t cookie)
{
    struct diag_request req = {
        .h = {.nlmsg_len = sizeof(req), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
        .r = {.sdiag_family = bound->family == 6 ? AF_INET6 : AF_INET,
            .sdiag_protocol = IPPROTO_TCP,
            .idiag_states = 1u << TCP_LISTEN,
            .id = {.idiag_if = LOOPBACK_INDEX, .idiag_sport = htons(bound->port), .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
    };
    union diag_answer ans;
    if (!d)
        return true;
    memcpy(req.r.id.idiag_src, bound->ip, sizeof(req.r.id.idiag_src));
    if (!diag_send(d, &req))
        return true;
    ssize_t n = recv(d->fd, &ans, sizeof(ans), 0);
    if (n < (ssize_t)sizeof(ans.h))
        return true;
    if (ans.h.nlmsg_type == NLMSG_ERROR)
        return ((const struct nlmsgerr *)NLMSG_DATA(&ans.h))->error != -ENOENT;
    if (is_listener(&ans.h, &cookie))
        return true;
    int found = diag_find(d, &req, is_listener, &cookie);
    return found != 0 && found != -EBADMSG;
}

/* For UDP the kernel wants source and destination as in the packet, not as in the socket. */
int diag_udp(struct diag *d, const struct addr *at, const struct addr *from, struct diag_udp_info *out)
{
    struct diag_request req = {
        .h = {.nlmsg_len = sizeof(req), .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
        .r = {.sdiag_family = from->family == 6 ? AF_INET6 : AF_INET,
            .sdiag_protocol = IPPROTO_UDP,
            .idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1),
            .idiag_states = UINT32_MAX,
            .id = {.idiag_if = LOOPBACK_INDEX, .idiag_sport = htons(from->port), .idiag_dport = htons(at->port),
                .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}}},
    };
    union diag_answer ans;
    if (!d)
        return -EOPNOTSUPP;
    memcpy(req.r.id.idiag_src, from->ip, sizeof(from->ip));
    memcpy(req.r.id.idiag_dst, at->ip, sizeof(at->ip));
    if (!diag_send(d, &req))
        return -EOPNOTSUPP;
    ssize_t n = recv(d->fd, &ans, sizeof(ans), 0);
    if (n < (ssize_t)sizeof(ans.h))
        return -EOPNOTSUPP;
    if (ans.h.nlmsg_type == NLMSG_ERROR)
        return ((const struct nlmsgerr *)NLMSG_DATA(&ans.h))->error == -ENOENT ? -ENOENT : -EOPNOTSUPP;
    const struct inet_diag_msg *m = NLMSG_DATA(&ans.h);
    if (ans.h.nlmsg_type != SOCK_DIAG_BY_FAMILY || n < (ssize_t)NLMSG_LENGTH(sizeof(*m)))
        return -EOPNOTSUPP;
    *out = (struct diag_udp_info){.cookie = (uint64_t)m->id.idiag_cookie[1] << 32 | m->id.idiag_cookie[0],
        .uid = m->idiag_uid,
        .used = m->idiag_rqueue,
        .buffer = UINT32_MAX};
    int left = (int)(n - (ssize_t)NLMSG_LENGTH(sizeof(*m)));
    for (struct rtattr *a = (struct rtattr *)(void *)((uint8_t *)&ans + NLMSG_SPACE(sizeof(*m))); RTA_OK(a, left);
         a = RTA_NEXT(a, left)) {
        if (a->rta_type == INET_DIAG_SKMEMINFO && RTA_PAYLOAD(a) >= 2 * sizeof(uint32_t)) {
            memcpy(&out->used, (uint8_t *)RTA_DATA(a) + SK_MEMINFO_RMEM_ALLOC * sizeof(uint32_t), sizeof(uint32_t));
            memcpy(&out->buffer, (uint8_t *)RTA_DATA(a) + SK_MEMINFO_RCVBUF * sizeof(uint32_t), sizeof(uint32_t));
        }
    }
    return 0;
}

static bool is_udp_socket(const struct nlmsghdr *h, const void *what)
{
    const struct inet_diag_msg *m = NLMSG_DATA(h);
    uint64_t cookie = *(const uint64_t *)what;
    return h->nlmsg_type == SOCK_DIAG_BY_FAMILY && m->id.idiag_cookie[0] == (uint32_t)cookie &&
           m->id.idiag_cookie[1] == (uint32_t)(cookie >> 32);
}

bool diag_udp_alive(struct diag *d, const struct addr *at, uint64_t cookie)
{
    for (int v6 = at->family == 6; v6 < 2; v6++) { /* a mapped address is a socket's of IPv6 */
        struct diag_request req = {
            .h = {.nlmsg_len = sizeof(req), .nlmsg_type = SOCK_DIAG_BY_FAMILY},
            .r = {.sdiag_family = v6 ? AF_INET6 : AF_INET, .sdiag_protocol = IPPROTO_UDP, .idiag_states = UINT32_MAX,
                .id = {.idiag_sport = htons(at->port)}},
        };
        if (!d || diag_find(d, &req, is_udp_socket, &cookie) != 0)
            return true;
    }
    return false;
}

static bool is_connected_to(const struct nlmsghdr *h, const void *what)
{
    const struct inet_diag_msg *m = NLMSG_DATA(h);
    const struct addr *to = what;
    if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || m->id.idiag_dport != htons(to->port))
        return false;
    struct addr mapped = {.family = 6, .ip = {[10] = 0xff, [11] = 0xff}};
    memcpy(mapped.ip + 12, to->ip, 4);
    return !memcmp(m->id.idiag_dst, to->ip, m->idiag_family == AF_INET6 ? 16 : 4) ||
           (to->family == 4 && m->idiag_family == AF_INET6 && !memcmp(m->id.idiag_dst, mapped.ip, 16));
}

static bool any_connected(struct diag *d, int family, const struct addr *to)
{
    struct diag_request req = {
        .h = {.nlmsg_len = sizeof(req), .nlmsg_type = SOCK_DIAG_BY_FAMILY},
        .r = {.sdiag_family = (uint8_t)family, .sdiag_protocol = IPPROTO_UDP, .idiag_states = UINT32_MAX,
            .id = {.idiag_dport = htons(to->port)}},
    };
    return diag_find(d, &req, is_connected_to, to) != 0;
}

/* A socket of IPv6 may be connected to an IPv4 address. */
bool diag_udp_connected(struct diag *d, const struct addr *to)
{
    return !d || (to->family == 4 && any_connected(d, AF_INET, to)) || any_connected(d, AF_INET6, to);
}

struct addr mirror_address(const struct addr *virt)
{
    struct addr a = *virt;
    if (virt->family == 6)
        return addr_v6(in6addr_loopback.s6_addr, 0);
    a.ip[0] = 127;
    if (a.port < 1024)
        a.port = (uint16_t)(a.port + 64512);
    return a;
}

struct addr loopback_of(const struct addr *bound, uint8_t family)
{
    if (!addr_is_any(bound))
        return *bound;
    return family == 6 ? addr_v6(in6addr_loopback.s6_addr, bound->port) : addr_v4(INADDR_LOOPBACK, bound->port);
}

bool loopback_taken(const struct addr *bound)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(bound, &ss);
    int fd = socket(ss.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool taken = fd < 0 || (bind(fd, (struct sockaddr *)&ss, len) < 0 && errno == EADDRINUSE);
    if (fd >= 0)
        close(fd);
    return taken;
}

/* From *from if that is free, else from its address with another port. */
static int bind_mirror(int fd, struct addr *from)
{
    struct sockaddr_storage ss;
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    socklen_t len = addr_to_sockaddr(from, &ss);
    if (bind(fd, (struct sockaddr *)&ss, len) == 0)
        return 0;
    if (errno != EADDRINUSE)
        return -errno;
    from->port = 0;
    len = addr_to_sockaddr(from, &ss);
    return bind(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
}

/* In IPv6 nothing is bound: the kernel then finds a port which is free for this destination, more than bind() would have. */
static int try_connect(struct addr *from, const struct addr *to)
{
    struct sockaddr_storage ss;
    int one = 1, err = 0;
    int fd = socket(to->family == 6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (to->family == 4)
        err = bind_mirror(fd, from);
    socklen_t len = addr_to_sockaddr(to, &ss);
    if (!err && connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
        err = -errno;
    len = sizeof(ss);
    if (!err && getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
        *from = addr_from_sockaddr(&ss, len);
    if (err) {
        close(fd);
        return err;
    }
    return fd;
}

int loopback_connect(struct addr *from, const struct addr *bound, struct addr *to)
{
    *to = loopback_of(bound, from->family);
    int fd = try_connect(from, to);
    if (fd == -EADDRNOTAVAIL || fd == -EADDRINUSE) {
        /* the same pair is still in TIME_WAIT: any other port will do, VERIFY knows the true one */
        from->port = 0;
        fd = try_connect(from, to);
    }
    return fd;
}

int loopback_udp(const struct addr *from, const struct addr *to)
{
    struct sockaddr_storage ss;
    int err = 0, fd = socket(to->family == 6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    socklen_t len = addr_to_sockaddr(from, &ss);
    if (bind(fd, (struct sockaddr *)&ss, len) < 0)
        err = -errno;
    len = addr_to_sockaddr(to, &ss);
    if (!err && connect(fd, (struct sockaddr *)&ss, len) < 0)
        err = -errno;
    if (!err)
        return fd;
    close(fd);
    return err;
}
