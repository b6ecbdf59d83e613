/* trap_dgram.c - addressed sending and receiving under the engine, as shim/hooks/addressed.c and received.c have it: the supervisor
 * sends and receives what it has copied. Only sockets of IP which are not streams: others pay for the question, and go on. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "shim/dns.h"
#include "shim/hooks/control.h"
#include "shim/overlay.h"
#include "shim/pair.h"
#include "shim/sys.h"
#include "shim/udp.h"
#include "tools/i3run/wait.h"

enum { DATA_MAX = 65536 + 256, CONTROL_MAX = 4096, PARTS_MAX = 1024, MANY_MAX = 1024 };

/* A message of the program, in our memory. One is dealt with at a time. */
static struct {
    struct sockaddr_storage name;
    char data[DATA_MAX];
    _Alignas(struct cmsghdr) char control[CONTROL_MAX];
    struct iovec part[PARTS_MAX]; /* where the data are in the program */
} room;

static bool is_datagram(struct trap *t)
{
    int domain = trap_domain(t);
    return (domain == AF_INET || domain == AF_INET6) && sys_sockopt_int(t->fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM;
}

static bool may_wait(struct trap *t, int flags)
{
    return !(flags & MSG_DONTWAIT) && !(sys_fcntl(t->fd, F_GETFL, 0) & O_NONBLOCK);
}

/* The data's places, cut to what a datagram can have; how much that is, or -errno. */
static long read_parts(struct trap *t, struct msghdr *m)
{
    size_t total = 0;
    if (m->msg_iovlen > PARTS_MAX)
        return -EMSGSIZE;
    int err = trap_read(t, (uintptr_t)m->msg_iov, room.part, m->msg_iovlen * sizeof(room.part[0]));
    if (err)
        return err;
    for (size_t i = 0; i < m->msg_iovlen; i++) {
        if (room.part[i].iov_len > DATA_MAX - total)
            room.part[i].iov_len = DATA_MAX - total;
        total += room.part[i].iov_len;
    }
    return (long)total;
}

/* Between the parts and room.data. */
static int move_data(struct trap *t, const struct msghdr *m, size_t n, bool out)
{
    struct iovec here = {room.data, n};
    size_t count = m->msg_iovlen, done = 0, parts = 0;
    for (; parts < count && done < n; parts++) {
        if (room.part[parts].iov_len > n - done)
            room.part[parts].iov_len = n - done;
        done += room.part[parts].iov_len;
    }
    if (!n)
        return 0;
    ssize_t moved = out ? process_vm_writev(t->tid, &here, 1, room.part, parts, 0)
                        : process_vm_readv(t->tid, &here, 1, room.part, parts, 0);
    return moved == (ssize_t)n && trap_valid(t) ? 0 : -EFAULT;
}

/* ---- sending ---- */

/* UDP takes an address without a family for IPv4. */
static struct addr destination(const struct sockaddr_storage *ss, socklen_t len)
{
    struct sockaddr_storage in = *ss;
    if (len >= sizeof(struct sockaddr_in) && in.ss_family == AF_UNSPEC)
        in.ss_family = AF_INET;
    return len < sizeof(struct sockaddr_in) ? (struct addr){0} : addr_from_sockaddr(&in, len);
}

/* A datagram for a real DNS server: whether it asks about something else than the overlay. */
static bool leave_to_server(const struct addr *to, const struct msghdr *m)
{
    return !dns_is_ours(m->msg_iov, m->msg_iovlen) && (!overlay_covers(to) || overlay_verdict(to) == IPC_NOT_VIRTUAL);
}

/* To where it goes in truth. `m` is ours, in `room`. 0 or -errno. */
static int redirect(struct trap *t, struct msghdr *m, char control[CONTROL_ROOM])
{
    struct addr to = m->msg_name ? destination(m->msg_name, m->msg_namelen) : (struct addr){0}, mirror;
    bool dns = to.family && dns_is_server(&to);
    if (!to.family || (!dns && !overlay_covers(&to)) || (dns && leave_to_server(&to, m)))
        return 0;
    int err = udp_route(t->fd, &to, &mirror);
    if (err)
        return err == UDP_PASS ? 0 : err;
    m->msg_namelen = overlay_sockaddr(&mirror, room.name.ss_family, &room.name);
    control_sent(t->fd, m, control);
    return 0;
}

/* The program's message into ours, the data included. */
static int read_message(struct trap *t, struct msghdr *m, struct iovec *iov)
{
    int err = 0;
    if (m->msg_name)
        err = trap_read_addr(t, (uintptr_t)m->msg_name, m->msg_namelen, &room.name);
    if (!err && m->msg_controllen > CONTROL_MAX)
        err = -ENOBUFS;
    if (!err && m->msg_control)
        err = trap_read(t, (uintptr_t)m->msg_control, room.control, m->msg_controllen);
    long n = err ? err : read_parts(t, m);
    if (n >= 0)
        err = move_data(t, m, (size_t)n, false);
    if (n < 0 || err)
        return n < 0 ? (int)n : err;
    *iov = (struct iovec){room.data, (size_t)n};
    m->msg_iov = iov;
    m->msg_iovlen = 1;
    m->msg_name = m->msg_name ? &room.name : NULL;
    m->msg_control = m->msg_control ? room.control : NULL;
    return 0;
}

/* One message as the program has it; what sendmsg() returns. */
static long send_one(struct trap *t, struct msghdr m, int flags)
{
    char control[CONTROL_ROOM] __attribute__((aligned(_Alignof(struct cmsghdr))));
    struct iovec iov;
    int err = read_message(t, &m, &iov);
    if (!err)
        err = redirect(t, &m, control);
    return err ? err : sys_sendmsg(t->fd, &m, flags | MSG_DONTWAIT | MSG_NOSIGNAL);
}

static answer_t send_call(struct trap *t);

static answer_t send_waited(struct trap *t, void *data, short events)
{
    (void)data;
    answer_t a = send_call(t);
    return a.how == ANSWER_VALUE && a.value == -EAGAIN && events ? LATER : a;
}

/* Where the call, or its first message, goes. */
static int read_destination(struct trap *t, struct sockaddr_storage *ss, socklen_t *len)
{
    struct msghdr m = {.msg_name = (void *)(uintptr_t)t->arg[4], .msg_namelen = (socklen_t)t->arg[5]};
    int err = t->nr == SYS_sendto ? 0 : trap_read(t, t->arg[1], &m, sizeof(m));
    *len = m.msg_name ? m.msg_namelen : 0;
    return err || !*len ? err : trap_read_addr(t, (uintptr_t)m.msg_name, m.msg_namelen, ss);
}

static answer_t stream_waited(struct trap *t, void *data, short events)
{
    (void)data;
    answer_t a = connect_send(t, t->fd);
    return a.value == -EAGAIN && events ? LATER : a;
}

/* A stream: the address counts with MSG_FASTOPEN only, but a pair, being a Unix socket, would take it amiss. */
static answer_t send_stream(struct trap *t, int family, int flags)
{
    struct sockaddr_storage ss;
    struct sock_name name;
    socklen_t len;
    bool pair = family == AF_UNIX && pair_of(t->fd, &name);
    if (!pair && (family == AF_UNIX || !(flags & MSG_FASTOPEN)))
        return PASS;
    int err = read_destination(t, &ss, &len);
    if (err || !len)
        return err ? VALUE(err) : PASS;
    if (!pair)
        return connect_address(t, family, &ss, len);
    if (flags & MSG_FASTOPEN)
        return VALUE(-EISCONN);
    answer_t a = connect_send(t, t->fd);
    if (a.value != -EAGAIN || !may_wait(t, flags))
        return a;
    return wait_for(t, t->fd, POLLOUT, wait_limit(t->fd, SO_SNDTIMEO), stream_waited, NULL, 0);
}

static answer_t send_or_wait(struct trap *t, int flags)
{
    int family = trap_domain(t);
    if (!is_datagram(t))
        return family == AF_UNIX || family == AF_INET || family == AF_INET6 ? send_stream(t, family, flags) : PASS;
    answer_t a = send_call(t);
    if (a.how != ANSWER_VALUE || a.value != -EAGAIN || !may_wait(t, flags))
        return a;
    return wait_for(t, t->fd, POLLOUT, wait_limit(t->fd, SO_SNDTIMEO), send_waited, NULL, 0);
}

static answer_t send_many(struct trap *t)
{
    struct mmsghdr m;
    uint64_t at = t->arg[1];
    long n = 0, done = 0, most = (uint32_t)t->arg[2] > MANY_MAX ? MANY_MAX : (long)(uint32_t)t->arg[2];
    for (; done < most; done++, at += sizeof(m)) {
        n = trap_read(t, at, &m, sizeof(m));
        if (!n)
            n = send_one(t, m.msg_hdr, (int)t->arg[3]);
        if (n < 0)
            break;
        m.msg_len = (unsigned)n;
        trap_write(t, at + offsetof(struct mmsghdr, msg_len), &m.msg_len, sizeof(m.msg_len));
    }
    return VALUE(done ? done : n);
}

static answer_t send_call(struct trap *t)
{
    struct msghdr m = {.msg_name = (void *)(uintptr_t)t->arg[4], .msg_namelen = (socklen_t)t->arg[5], .msg_iov = NULL};
    t->acted = true;
    if (t->nr == SYS_sendmmsg)
        return send_many(t);
    if (t->nr == SYS_sendmsg) {
        int err = trap_read(t, t->arg[1], &m, sizeof(m));
        return VALUE(err ? err : send_one(t, m, (int)t->arg[2]));
    }
    /* sendto(): one part, which is not in the program's memory but told by the arguments */
    size_t n = t->arg[2] > DATA_MAX ? DATA_MAX : t->arg[2];
    char control[CONTROL_ROOM] __attribute__((aligned(_Alignof(struct cmsghdr))));
    struct iovec iov = {room.data, n};
    int err = trap_read_addr(t, t->arg[4], t->arg[5], &room.name);
    if (!err)
        err = trap_read(t, t->arg[1], room.data, n);
    m.msg_name = &room.name;
    m.msg_iov = &iov;
    m.msg_iovlen = 1;
    if (!err)
        err = redirect(t, &m, control);
    return VALUE(err ? err : sys_sendmsg(t->fd, &m, (int)t->arg[3] | MSG_DONTWAIT | MSG_NOSIGNAL));
}

answer_t trap_sendto(struct trap *t)
{
    return send_or_wait(t, (int)t->arg[3]);
}

answer_t trap_sendmsg(struct trap *t)
{
    return send_or_wait(t, (int)t->arg[2]);
}

answer_t trap_sendmmsg(struct trap *t)
{
    return send_or_wait(t, (int)t->arg[3]);
}

/* ---- receiving ---- */

/* Into room, the source translated; what recvmsg() returns. */
static long receive(struct trap *t, struct msghdr *m, size_t n, size_t controllen, int flags)
{
    struct iovec iov = {room.data, n};
    *m = (struct msghdr){.msg_name = &room.name, .msg_namelen = sizeof(room.name), .msg_iov = &iov, .msg_iovlen = 1};
    m->msg_control = controllen ? room.control : NULL;
    m->msg_controllen = controllen > CONTROL_MAX ? CONTROL_MAX : controllen;
    long got = sys_recvmsg(t->fd, m, flags | MSG_DONTWAIT);
    if (got < 0)
        return got;
    struct addr from = m->msg_namelen ? addr_from_sockaddr(&room.name, m->msg_namelen) : (struct addr){0};
    if (from.family && udp_source(t->fd, &from)) {
        m->msg_namelen = overlay_sockaddr(&from, room.name.ss_family, &room.name);
        control_received(m, &from);
    }
    return got;
}

/* To the program's `there`, whose parts are in room. `got` may be more than was received (MSG_TRUNC). */
static int write_message(struct trap *t, const struct msghdr *m, struct msghdr *there, size_t got)
{
    int err = move_data(t, there, got, true);
    if (!err && there->msg_name) {
        err = trap_write(t, (uintptr_t)there->msg_name, &room.name,
            m->msg_namelen < there->msg_namelen ? m->msg_namelen : there->msg_namelen);
        there->msg_namelen = m->msg_namelen;
    }
    if (!err && there->msg_control)
        err = trap_write(t, (uintptr_t)there->msg_control, room.control, m->msg_controllen);
    there->msg_controllen = m->msg_controllen;
    there->msg_flags = m->msg_flags;
    return err;
}

/* recvmsg() of the header at that place. */
static long receive_one(struct trap *t, uint64_t at, int flags)
{
    struct msghdr m, there;
    int err = trap_read(t, at, &there, sizeof(there));
    long n = err ? err : (int32_t)there.msg_namelen < 0 ? -EINVAL : read_parts(t, &there);
    long got = n < 0 ? n : receive(t, &m, (size_t)n, there.msg_control ? there.msg_controllen : 0, flags);
    if (got < 0)
        return got;
    err = write_message(t, &m, &there, got < n ? (size_t)got : (size_t)n);
    if (!err)
        err = trap_write(t, at, &there, sizeof(there));
    return err ? err : got;
}

static answer_t receive_from(struct trap *t)
{
    struct msghdr m;
    size_t n = t->arg[2] > DATA_MAX ? DATA_MAX : t->arg[2];
    long got = receive(t, &m, n, 0, (int)t->arg[3]);
    if (got < 0)
        return VALUE(got);
    int err = trap_write(t, t->arg[1], room.data, (size_t)got < n ? (size_t)got : n);
    if (!err)
        err = trap_write_addr(t, t->arg[4], t->arg[5], &room.name, m.msg_namelen);
    return VALUE(err ? err : got);
}

/* As many as there are now: a program takes fewer than it has room for. */
static answer_t receive_many(struct trap *t)
{
    uint64_t at = t->arg[1];
    long n = 0, done = 0, most = (uint32_t)t->arg[2] > MANY_MAX ? MANY_MAX : (long)(uint32_t)t->arg[2];
    for (; done < most; done++, at += sizeof(struct mmsghdr)) {
        n = receive_one(t, at, (int)t->arg[3] & ~MSG_WAITFORONE);
        if (n < 0)
            break;
        unsigned len = (unsigned)n;
        trap_write(t, at + offsetof(struct mmsghdr, msg_len), &len, sizeof(len));
    }
    return VALUE(done ? done : n);
}

static answer_t receive_call(struct trap *t)
{
    t->acted = true;
    if (t->nr == SYS_recvmmsg)
        return receive_many(t);
    return t->nr == SYS_recvmsg ? VALUE(receive_one(t, t->arg[1], (int)t->arg[2])) : receive_from(t);
}

static answer_t receive_waited(struct trap *t, void *data, short events)
{
    (void)data;
    answer_t a = receive_call(t);
    return a.value == -EAGAIN && events ? LATER : a;
}

static answer_t receive_or_wait(struct trap *t, int flags)
{
    if (!is_datagram(t))
        return PASS;
    answer_t a = receive_call(t);
    if (a.value != -EAGAIN || !may_wait(t, flags) || flags & MSG_ERRQUEUE)
        return a;
    int64_t limit = wait_limit(t->fd, SO_RCVTIMEO);
    struct timespec ts;
    if (t->nr == SYS_recvmmsg && t->arg[4] && trap_read(t, t->arg[4], &ts, sizeof(ts)) == 0 && ts.tv_sec < INT_MAX)
        limit = ts.tv_sec * 1000 + (ts.tv_nsec + 999999) / 1000000;
    return wait_for(t, t->fd, POLLIN, limit, receive_waited, NULL, 0);
}

answer_t trap_recvfrom(struct trap *t)
{
    return receive_or_wait(t, (int)t->arg[3]);
}

answer_t trap_recvmsg(struct trap *t)
{
    return receive_or_wait(t, (int)t->arg[2]);
}

answer_t trap_recvmmsg(struct trap *t)
{
    return receive_or_wait(t, (int)t->arg[3]);
}
