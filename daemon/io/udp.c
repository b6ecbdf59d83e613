#include "daemon/io/udp.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "include/bytes.h"

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

enum {
    RECV_BUF = 65536,
    GSO_SEGMENTS = 64,
    GSO_BYTES = 65000, /* with headers below 65,535 */
    SEND_BATCH = 16,   /* messages per sendmmsg */
};

struct udp {
    int fd;
    bool gso;
    struct addr local;
    uint32_t buffer;
    struct udp_stats stats;
    uint8_t ecn; /* of the datagram being handed out */
    uint8_t *recv[UDP_BATCH];
};

/* Do not fragment, and do not believe what ICMP says of the path. */
static void forbid_fragments(int fd, int family)
{
    int v4 = IP_PMTUDISC_PROBE, v6 = IPV6_PMTUDISC_PROBE;
    setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &v4, sizeof(v4));
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &v6, sizeof(v6));
}

static int open_socket(int family, uint32_t buffer)
{
    int one = 1, size = (int)buffer;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    forbid_fragments(fd, family);
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one)); /* older kernels: single datagrams */
    setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one));
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &one, sizeof(one));
    return fd;
}

static void learn_local(struct udp *u)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    int size = 0;
    if (getsockname(u->fd, (struct sockaddr *)&ss, &len) == 0)
        u->local = addr_from_sockaddr(&ss, len);
    len = sizeof(size);
    getsockopt(u->fd, SOL_SOCKET, SO_RCVBUF, &size, &len);
    u->buffer = (uint32_t)size;
}

int udp_open(struct udp **out, const struct addr *bind_to, uint32_t buffer)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(bind_to, &ss);
    struct udp *u = calloc(1, sizeof(*u));
    int err = -ENOMEM;
    if (!u)
        return err;
    u->gso = true;
    for (int i = 0; i < UDP_BATCH; i++)
        if (!(u->recv[i] = malloc(RECV_BUF)))
            goto err_free;
    err = u->fd = open_socket(ss.ss_family, buffer);
    if (err < 0)
        goto err_free;
    if (bind(u->fd, (struct sockaddr *)&ss, len) < 0) {
        err = -errno;
        goto err_close;
    }
    learn_local(u);
    *out = u;
    return 0;

err_close:
    close(u->fd);
err_free:
    u->fd = -1;
    udp_close(u);
    return err;
}

void udp_close(struct udp *u)
{
    if (!u)
        return;
    if (u->fd >= 0)
        close(u->fd);
    for (int i = 0; i < UDP_BATCH; i++)
        free(u->recv[i]);
    free(u);
}

int udp_fd(const struct udp *u)
{
    return u->fd;
}

const struct addr *udp_local(const struct udp *u)
{
    return &u->local;
}

uint32_t udp_buffer(const struct udp *u)
{
    return u->buffer;
}

uint8_t udp_ecn(const struct udp *u)
{
    return u->ecn;
}

const struct udp_stats *udp_stats(const struct udp *u)
{
    return &u->stats;
}

/* ---- in ---- */

/* What the kernel tells beside the bytes. */
struct aside {
    size_t size; /* of the segments of a coalesced datagram; 0: it is none */
    uint8_t ecn;
};

static struct aside read_aside(struct msghdr *m)
{
    struct aside a = {0, 0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        int value = 0;
        if (c->cmsg_len < CMSG_LEN(1) || c->cmsg_len > CMSG_LEN(sizeof(value)))
            continue;
        memcpy(&value, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO && value > 0)
            a.size = (size_t)value;
        else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
            a.ecn = *CMSG_DATA(c) & 3;
        else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
            a.ecn = (uint8_t)(value & 3);
    }
    return a;
}

static unsigned deliver(struct udp *u, struct mmsghdr *m, uint8_t *p, udp_packet_fn *fn, void *ctx)
{
    struct aside a = read_aside(&m->msg_hdr);
    size_t len = m->msg_len, size = a.size ? a.size : len;
    struct addr from = addr_from_sockaddr(m->msg_hdr.msg_name, m->msg_hdr.msg_namelen);
    unsigned n = 0;
    u->stats.bytes_in += len;
    u->ecn = a.ecn;
    for (size_t at = 0; at < len; at += size, n++)
        fn(ctx, &from, p + at, len - at < size ? len - at : size);
    return n;
}

bool udp_recv(struct udp *u, udp_packet_fn *fn, void *ctx)
{
    struct mmsghdr m[UDP_BATCH];
    struct iovec v[UDP_BATCH];
    struct sockaddr_storage from[UDP_BATCH];
    union {
        char space[2 * CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control[UDP_BATCH];
    for (int i = 0; i < UDP_BATCH; i++) {
        v[i] = (struct iovec){u->recv[i], RECV_BUF};
        m[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
            .msg_namelen = sizeof(from[i]),
            .msg_iov = &v[i],
            .msg_iovlen = 1,
            .msg_control = &control[i],
            .msg_controllen = sizeof(control[i])};
    }
    int got = recvmmsg(u->fd, m, UDP_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < got; i++)
        u->stats.packets_in += deliver(u, &m[i], u->recv[i], fn, ctx);
    u->stats.calls_in += got > 0;
    return got == UDP_BATCH;
}

/* ---- out ---- */

/* One message of a batch: a run of datagrams to one address, all of one size but for a shorter last one, with the same ECN bits. */
struct train {
    unsigned first, n;
    size_t bytes;
    struct sockaddr_storage to;
    unsigned iov_first, iov_n;
    union {
        char space[CMSG_SPACE(sizeof(uint16_t)) + CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
};

/* How many datagrams from `first` on can go as one. */
static unsigned train_length(const struct udp *u, const struct outbox *o, unsigned first, size_t *bytes)
{
    const struct dgram *d = &o->v[first];
    unsigned n = 1;
    *bytes = d->len;
    while (u->gso && first + n < o->n && n < GSO_SEGMENTS && d[n - 1].len == d->len && !d->alone) {
        if (d[n].alone || d[n].ecn != d->ecn || d[n].len > d->len || !d[n].len || *bytes + d[n].len > GSO_BYTES ||
            !addr_eq(&d[n].to, &d->to))
            break;
        *bytes += d[n++].len;
    }
    return n;
}

/* The datagrams of a train as iovecs; what lies side by side in memory becomes one. */
static unsigned train_iovecs(const struct outbox *o, unsigned first, unsigned n, struct iovec *v)
{
    unsigned k = 0;
    for (unsigned i = first; i < first + n; i++) {
        const struct dgram *d = &o->v[i];
        if (k && (uint8_t *)v[k - 1].iov_base + v[k - 1].iov_len == d->data)
            v[k - 1].iov_len += d->len;
        else
            v[k++] = (struct iovec){d->data, d->len};
    }
    return k;
}

static void aside_put(struct cmsghdr *c, int level, int type, const void *value, size_t len)
{
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), value, len);
}

static void train_message(struct train *t, const struct outbox *o, struct iovec *v, struct msghdr *m)
{
    *m = (struct msghdr){.msg_name = &t->to,
        .msg_namelen = addr_to_sockaddr(&o->v[t->first].to, &t->to),
        .msg_iov = v + t->iov_first,
        .msg_iovlen = t->iov_n};
    const struct dgram *d = &o->v[t->first];
    if (t->n == 1 && !d->ecn)
        return;
    uint16_t size = (uint16_t)d->len;
    int ecn = d->ecn;
    m->msg_control = &t->control;
    m->msg_controllen = sizeof(t->control);
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    size_t used = 0;
    if (t->n > 1) {
        aside_put(c, IPPROTO_UDP, UDP_SEGMENT, &size, sizeof(size));
        used += CMSG_SPACE(sizeof(size));
        c = (struct cmsghdr *)(void *)(t->control.space + used);
    }
    if (ecn) {
        bool v6 = d->to.family == 6;
        aside_put(c, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &ecn, sizeof(ecn));
        used += CMSG_SPACE(sizeof(ecn));
    }
    m->msg_controllen = used;
}

/* One by one: the path (or the kernel) takes no trains. */
static void send_singly(
    struct udp *u, const struct outbox *o, unsigned first, unsigned n, udp_failed_fn *fn, void *ctx)
{
    for (unsigned i = first; i < first + n; i++) {
        struct train one = {.first = i, .n = 1, .iov_n = 1};
        struct iovec v = {o->v[i].data, o->v[i].len};
        struct msghdr m;
        train_message(&one, o, &v, &m);
        if (sendmsg(u->fd, &m, MSG_DONTWAIT) >= 0)
            continue;
        u->stats.send_lost++;
        if (fn)
            fn(ctx, &o->v[i].to, o->v[i].len, errno);
    }
}

/* Handles the failure of the message for train t. */
static void send_failed(
    struct udp *u, const struct outbox *o, const struct train *t, int err, udp_failed_fn *fn, void *ctx)
{
    if (t->n > 1 && (err == EINVAL || err == EIO || err == EMSGSIZE || err == EOPNOTSUPP)) {
        if (err == EIO || err == EOPNOTSUPP) {
            log_info("udp gso is not available here err=%d", err);
            u->gso = false;
        }
        send_singly(u, o, t->first, t->n, fn, ctx);
        return;
    }
    u->stats.send_lost += t->n;
    if (fn)
        fn(ctx, &o->v[t->first].to, o->v[t->first].len, err);
}

void udp_send(struct udp *u, struct outbox *o, udp_failed_fn *fn, void *ctx)
{
    struct train t[SEND_BATCH];
    struct mmsghdr m[SEND_BATCH];
    struct iovec v[OUTBOX_MAX];
    for (unsigned next = 0; next < o->n;) {
        unsigned k = 0, iovs = 0;
        for (; k < SEND_BATCH && next < o->n; k++) {
            t[k].first = next;
            t[k].n = train_length(u, o, next, &t[k].bytes);
            t[k].iov_first = iovs;
            t[k].iov_n = train_iovecs(o, next, t[k].n, v + iovs);
            iovs += t[k].iov_n;
            next += t[k].n;
            train_message(&t[k], o, v, &m[k].msg_hdr);
            u->stats.packets_out += t[k].n;
            u->stats.bytes_out += t[k].bytes;
        }
        for (unsigned done = 0; done < k;) {
            int sent = sendmmsg(u->fd, m + done, k - done, MSG_DONTWAIT);
            u->stats.calls_out++;
            if (sent > 0) {
                done += (unsigned)sent;
                continue;
            }
            if (errno == EINTR)
                continue;
            send_failed(u, o, &t[done], errno, fn, ctx);
            done++;
        }
    }
    outbox_clear(o);
}
