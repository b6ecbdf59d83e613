#include "daemon/io/train.h"

#include <errno.h>
#include <netinet/udp.h>
#include <stdlib.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

int train_buffers_new(uint8_t **buf, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        buf[i] = malloc(TRAIN_BUF);
        if (!buf[i]) {
            train_buffers_free(buf, i);
            return -ENOMEM;
        }
    }
    return 0;
}

void train_buffers_free(uint8_t **buf, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        free(buf[i]);
        buf[i] = NULL;
    }
}

void train_prepare(int fd, int family)
{
    int one = 1;
    setsockopt(fd, IPPROTO_UDP, UDP_GRO, &one, sizeof(one)); /* older kernels: single datagrams */
    setsockopt(fd, IPPROTO_IP, IP_RECVTOS, &one, sizeof(one));
    if (family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, &one, sizeof(one));
}

/* What the kernel tells beside the bytes. */
static void read_aside(struct msghdr *m, struct train_in *t)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        int value = 0;
        if (c->cmsg_len < CMSG_LEN(1) || c->cmsg_len > CMSG_LEN(sizeof(value)))
            continue;
        memcpy(&value, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
        if (c->cmsg_level == IPPROTO_UDP && c->cmsg_type == UDP_GRO && value > 0)
            t->size = (size_t)value;
        else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS)
            t->ecn = *CMSG_DATA(c) & 3;
        else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS)
            t->ecn = (uint8_t)(value & 3);
    }
}

int trains_recv(int fd, uint8_t *const *buf, unsigned n, struct train_in *out)
{
    struct mmsghdr m[TRAIN_BATCH_MAX];
    struct iovec v[TRAIN_BATCH_MAX];
    struct sockaddr_in6 from[TRAIN_BATCH_MAX]; /* or one of IPv4, which is shorter */
    union {
        char space[2 * CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control[TRAIN_BATCH_MAX];
    for (unsigned i = 0; i < n; i++) {
        v[i] = (struct iovec){buf[i], TRAIN_BUF};
        m[i].msg_hdr = (struct msghdr){.msg_name = &from[i],
            .msg_namelen = sizeof(from[i]),
            .msg_iov = &v[i],
            .msg_iovlen = 1,
            .msg_control = &control[i],
            .msg_controllen = sizeof(control[i])};
    }
    int got = recvmmsg(fd, m, n, MSG_DONTWAIT, NULL);
    if (got < 0)
        return -errno;
    for (int i = 0; i < got; i++) {
        out[i] = (struct train_in){.from = addr_from_sockaddr(&from[i], m[i].msg_hdr.msg_namelen),
            .p = buf[i],
            .len = m[i].msg_len,
            .size = m[i].msg_len};
        read_aside(&m[i].msg_hdr, &out[i]);
    }
    return got;
}

static struct cmsghdr *aside_put(struct cmsghdr *c, int level, int type, const void *value, size_t len)
{
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(len);
    memcpy(CMSG_DATA(c), value, len);
    return (struct cmsghdr *)(void *)((char *)c + CMSG_SPACE(len));
}

void train_mark(struct msghdr *m, union train_control *control, size_t size, uint8_t ecn, bool v6)
{
    struct cmsghdr *c = &control->align;
    uint16_t segment = (uint16_t)size;
    int bits = ecn;
    if (size)
        c = aside_put(c, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof(segment));
    if (ecn)
        c = aside_put(c, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TCLASS : IP_TOS, &bits, sizeof(bits));
    m->msg_controllen = (size_t)((char *)c - control->space);
    m->msg_control = m->msg_controllen ? control : NULL;
}

bool train_singly(int err, bool *never)
{
    *never = err == EIO || err == EOPNOTSUPP;
    return *never || err == EINVAL || err == EMSGSIZE;
}
