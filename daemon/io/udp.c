#include "daemon/io/udp.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/io/train.h"

enum { SEND_BATCH = 64 }; /* messages per sendmmsg */

struct udp {
    int fd;
    bool gso;
    struct addr local;
    uint32_t buffer;
    struct udp_stats stats;
    uint8_t ecn; /* of the datagram being handed out */
    unsigned batch; /* trains to ask for */
    uint8_t *recv[UDP_BATCH_MAX];
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
    int size = (int)buffer;
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    forbid_fragments(fd, family);
    train_prepare(fd, family);
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

static int open_at(struct udp **out, const struct addr *bind_to, uint32_t buffer, bool beside)
{
    int one = 1;
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(bind_to, &ss);
    struct udp *u = calloc(1, sizeof(*u));
    int err = -ENOMEM;
    if (!u)
        return err;
    u->gso = true;
    u->batch = UDP_BATCH;
    if (train_buffers_new(u->recv, UDP_BATCH_MAX) < 0)
        goto err_free;
    err = u->fd = open_socket(ss.ss_family, buffer);
    if (err < 0)
        goto err_free;
    if ((beside && setsockopt(u->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0) ||
        bind(u->fd, (struct sockaddr *)&ss, len) < 0) {
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

int udp_open(struct udp **out, const struct addr *bind_to, uint32_t buffer)
{
    return open_at(out, bind_to, buffer, false);
}

int udp_open_beside(struct udp **out, struct udp *first, uint32_t buffer)
{
    int one = 1;
    if (setsockopt(first->fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0)
        return -errno;
    return open_at(out, &first->local, buffer, true);
}

void udp_close(struct udp *u)
{
    if (!u)
        return;
    if (u->fd >= 0)
        close(u->fd);
    train_buffers_free(u->recv, UDP_BATCH_MAX);
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

/* Short trains, and many of them: more the next time. */
static unsigned next_batch(size_t bytes, unsigned got, unsigned asked)
{
    unsigned n = got == asked ? 2 * asked : got + 1;
    if (bytes > (size_t)UDP_BATCH * TRAIN_BUF / 2 || n < UDP_BATCH)
        return UDP_BATCH;
    return n < UDP_BATCH_MAX ? n : UDP_BATCH_MAX;
}

unsigned udp_take(struct udp *u, struct train_in *t, bool *more)
{
    size_t bytes = 0;
    int got = trains_recv(u->fd, u->recv, u->batch, t);
    *more = got == (int)u->batch;
    for (int i = 0; i < got; i++) {
        bytes += t[i].len;
        u->stats.packets_in += t[i].len > t[i].size ? (t[i].len + t[i].size - 1) / t[i].size : 1;
    }
    u->stats.bytes_in += bytes;
    u->stats.calls_in += got > 0;
    u->batch = next_batch(bytes, got > 0 ? (unsigned)got : 0, u->batch);
    return got > 0 ? (unsigned)got : 0;
}

bool udp_recv(struct udp *u, udp_packet_fn *fn, void *ctx)
{
    struct train_in t[UDP_BATCH_MAX];
    bool more;
    unsigned got = udp_take(u, t, &more);
    for (unsigned i = 0; i < got; i++) {
        u->ecn = t[i].ecn;
        for (size_t at = 0; at < t[i].len; at += t[i].size)
            fn(ctx, &t[i].from, t[i].p + at, t[i].len - at < t[i].size ? t[i].len - at : t[i].size);
    }
    return more;
}

/* ---- out ---- */

/* One message of a batch: a run of entries to one address, all of one size but for a shorter last one, with the same ECN bits; or an
 * entry that is a train by itself. */
struct train {
    unsigned first, n; /* entries */
    size_t bytes, size; /* size: of its datagrams, 0: it is one */
    struct sockaddr_storage to;
    unsigned iov_first, iov_n;
    union train_control control;
};

/* How many entries from `first` on can go as one. */
static unsigned train_length(const struct udp *u, const struct outbox *o, unsigned first, size_t *bytes)
{
    const struct dgram *d = &o->v[first];
    unsigned n = 1;
    *bytes = d->len;
    if (d->size)
        return 1;
    while (u->gso && first + n < o->n && n < TRAIN_SEGMENTS && d[n - 1].len == d->len && !d->alone) {
        if (d[n].alone || d[n].size || d[n].ecn != d->ecn || d[n].len > d->len || !d[n].len || *bytes + d[n].len > TRAIN_BYTES ||
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

static void train_message(struct train *t, const struct outbox *o, struct iovec *v, struct msghdr *m)
{
    *m = (struct msghdr){.msg_name = &t->to,
        .msg_namelen = addr_to_sockaddr(&o->v[t->first].to, &t->to),
        .msg_iov = v + t->iov_first,
        .msg_iovlen = t->iov_n};
    const struct dgram *d = &o->v[t->first];
    train_mark(m, &t->control, t->size, d->ecn, d->to.family == 6);
}

static void send_one(struct udp *u, const struct dgram *d, udp_failed_fn *fn, void *ctx)
{
    struct sockaddr_storage to;
    union train_control control;
    struct iovec v = {d->data, d->len};
    struct msghdr m = {.msg_name = &to, .msg_namelen = addr_to_sockaddr(&d->to, &to), .msg_iov = &v, .msg_iovlen = 1};
    train_mark(&m, &control, 0, d->ecn, d->to.family == 6);
    if (sendmsg(u->fd, &m, MSG_DONTWAIT) >= 0)
        return;
    u->stats.send_lost++;
    if (fn)
        fn(ctx, &d->to, d->len, errno);
}

/* One by one: the path (or the kernel) takes no trains. */
static void send_singly(struct udp *u, const struct outbox *o, const struct train *t, udp_failed_fn *fn, void *ctx)
{
    for (unsigned i = t->first; i < t->first + t->n; i++) {
        const struct dgram *d = &o->v[i];
        for (uint32_t at = 0, size = d->size ? d->size : d->len; at < d->len; at += size) {
            struct dgram one = *d;
            one.data = d->data + at;
            one.len = d->len - at < size ? d->len - at : size;
            send_one(u, &one, fn, ctx);
        }
    }
}

static unsigned train_count(const struct outbox *o, const struct train *t)
{
    return t->n > 1 ? t->n : dgram_count(&o->v[t->first]);
}

/* Handles the failure of the message for train t. */
static void send_failed(
    struct udp *u, const struct outbox *o, const struct train *t, int err, udp_failed_fn *fn, void *ctx)
{
    bool never;
    if (t->size && train_singly(err, &never)) {
        if (never) {
            log_info("udp gso is not available here err=%d", err);
            u->gso = false;
        }
        send_singly(u, o, t, fn, ctx);
        return;
    }
    u->stats.send_lost += train_count(o, t);
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
            t[k].size = t[k].n > 1 ? o->v[next].len : o->v[next].size;
            t[k].iov_first = iovs;
            t[k].iov_n = train_iovecs(o, next, t[k].n, v + iovs);
            iovs += t[k].iov_n;
            next += t[k].n;
            train_message(&t[k], o, v, &m[k].msg_hdr);
            u->stats.packets_out += train_count(o, &t[k]);
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
