/* connect.c - connect(), and what it means on a socket which has been replaced already.
 *
 * The pair takes the number of the program's socket (dup3), and other numbers of it follow (twins.h). A thread that is cancelled
 * while it waits for a blocking connect leaves two fds open, the TCP socket put aside and the watch over it.
 */
#include "shim/hooks/connect.h"

#include <sys/mman.h>

#include "shim/claim.h"
#include "shim/client.h"
#include "shim/explain.h"
#include "shim/dns.h"
#include "shim/libc.h"
#include "shim/overlay.h"
#include "shim/pair.h"
#include "shim/options.h"
#include "shim/sys.h"
#include "shim/twins.h"
#include "shim/udp.h"

enum { KEEP_FD = 500 };

/* A page that nobody can read. */
static const void *unreadable(void)
{
    static void *page;
    void *p = __atomic_load_n(&page, __ATOMIC_ACQUIRE);
    if (p)
        return p;
    enum { SIZE = 4096 };
    long at = sys_call(SYS_mmap, 0, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at < 0 && at > -4096)
        return (const void *)1; /* below every mapping */
    if (!__atomic_compare_exchange_n(&page, &p, (void *)at, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
        sys_call(SYS_munmap, at, SIZE, 0, 0, 0, 0);
        return p;
    }
    return (const void *)at;
}

/* Blocks until the dialling pair is up: 0; or -EINTR, -EINPROGRESS (SO_SNDTIMEO ran out), or -EPIPE when it failed.
 *
 * poll() would not do: it is never restarted after a signal, whereas connect() is when the handler has SA_RESTART. So the
 * kernel is asked to send one byte which cannot be read: it waits for room with the time-out, restart and cancellation
 * rules of a blocking socket call, and then fails with EFAULT, having sent nothing. */
static int wait_up(int fd)
{
    int saved = errno;
    ssize_t n = REAL(send)(fd, unreadable(), 1, MSG_NOSIGNAL);
    int err = n < 0 ? -errno : 0;
    errno = saved;
    switch (err) {
    case 0:
    case -EFAULT:
        return 0;
    case -EAGAIN:
        return -EINPROGRESS;
    case -ECONNRESET:
        return -EPIPE;
    default:
        return err;
    }
}

/* The wait of a blocking connect. `keep` is the program's TCP socket, which comes back when the dialling fails. */
static int finish_blocking(int fd, int keep, uint64_t cookie, uint64_t handle)
{
    int err = wait_up(fd);
    if (err == -EPIPE) {
        struct sock_name name = {.handle = handle};
        err = -pair_error(&name);
        if (sys_cookie(fd) == cookie) { /* and not closed or replaced by another thread meanwhile */
            pair_swap(fd, keep);
            return err;
        }
        err = -ECONNABORTED; /* as after shutdown() by another thread */
    } else if (err == 0) {
        pair_told(fd);
    }
    sys_close(keep);
    return err;
}

/* Puts the pair in the place of the program's socket. */
static int take_over(int fd, int family, int with, const struct ipc_socket *s)
{
    bool blocking = !(sys_fcntl(fd, F_GETFL, 0) & O_NONBLOCK);
    struct fd_entry e = pair_prepare(fd, with, family, s);
    int keep = -1, watch = twins_watch(fd);
    uint64_t old = sys_cookie(fd);
    if (blocking) {
        keep = sys_fcntl(fd, F_DUPFD_CLOEXEC, KEEP_FD);
        if (keep < 0)
            keep = sys_fcntl(fd, F_DUPFD_CLOEXEC, 0);
    }
    int err = pair_swap(fd, with);
    if (err < 0) {
        twins_left(watch);
        if (keep >= 0)
            sys_close(keep);
        return err;
    }
    fdtable_put(fd, &e);
    err = blocking ? finish_blocking(fd, keep, e.cookie, s->handle) : -EINPROGRESS;
    if (twins_left(watch) && sys_cookie(fd) == e.cookie)
        twins_follow(old, fd);
    return err;
}

/* One's own virtual address: the service is on this host, and the kernel is the shorter way. */
static int connect_self(int fd, int family, const struct addr *to, const struct addr *at)
{
    struct sockaddr_storage ss;
    struct addr loopback = at->family ? *at : overlay_loopback(to->family, to->port);
    socklen_t len = overlay_sockaddr(&loopback, family, &ss);
    int saved = errno;
    int err = REAL(connect)(fd, (struct sockaddr *)&ss, len) < 0 ? -errno : 0;
    errno = saved;
    return err;
}

static int dial(int fd, int family, const struct addr *to)
{
    struct ipc_connect ask = {.proto = IPPROTO_TCP,
        .patient = !(sys_fcntl(fd, F_GETFL, 0) & O_NONBLOCK),
        .resets = options_reset(fd),
        .remote = *to,
        .local = claim_bound_to(fd)};
    struct ipc_socket s;
    int with;
    int status = client_connect(&ask, &s, &with);
    switch (status) {
    case 0:
        if (to->port != DNS_PORT)
            overlay_learn(to, true);
        return take_over(fd, family, with, &s);
    case IPC_NOT_VIRTUAL:
        overlay_learn(to, false);
        return CONNECT_PASS;
    case IPC_SELF:
        return connect_self(fd, family, to, &s.remote);
    case CLIENT_DEAD:
        return to->port == DNS_PORT ? -ECONNREFUSED : overlay_known_real(to) ? CONNECT_PASS : -ENETUNREACH;
    default:
        return -status;
    }
}

/* connect() on a socket which has been replaced; what it answers is what inet_stream_connect() answers. */
static int connect_again(int fd, const struct sock_name *name)
{
    bool dialling = pair_is_untold(fd);
    int err;
    switch (pair_state(fd)) {
    case PAIR_DIALLING:
        if (sys_fcntl(fd, F_GETFL, 0) & O_NONBLOCK)
            return -EALREADY;
        err = wait_up(fd);
        if (err == -EINPROGRESS)
            err = -EALREADY;
        if (err != -EPIPE) {
            if (err == 0)
                pair_told(fd);
            return err;
        }
        break;
    case PAIR_UP:
        if (!dialling)
            return -EISCONN;
        pair_told(fd); /* the first call after success says so */
        return 0;
    case PAIR_ENDED:
        return -EISCONN;
    case PAIR_FAILED:
        break;
    }
    err = -pair_error(name);
    pair_revert(fd);
    return err;
}

int connect_covered(int fd, const struct addr *to, int sa_family)
{
    struct sock_name name;
    int family = sys_sockopt_int(fd, SOL_SOCKET, SO_DOMAIN);
    if (family == AF_UNIX && pair_of(fd, &name))
        return connect_again(fd, &name);
    int protocol = sys_sockopt_int(fd, SOL_SOCKET, SO_PROTOCOL);
    if (family == AF_INET6 && to->family == 4 && sys_sockopt_int(fd, IPPROTO_IPV6, IPV6_V6ONLY) > 0)
        return CONNECT_PASS;
    if (protocol == IPPROTO_UDP && (family == sa_family || family == AF_INET6)) { /* it takes an IPv4 address as such */
        int err = udp_connect(fd, sa_family, to);
        return err == UDP_PASS ? CONNECT_PASS : err;
    }
    if (family != sa_family) /* the kernel refuses, or takes no packet out */
        return family == AF_INET6 && sys_sockopt_int(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM &&
                       overlay_verdict(to) != IPC_NOT_VIRTUAL
                   ? -ENETUNREACH
                   : CONNECT_PASS;
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP)
        return overlay_verdict(to) == IPC_NOT_VIRTUAL ? CONNECT_PASS : -ENETUNREACH;
    if (protocol == IPPROTO_TCP && !sys_tcp_is_fresh(fd))
        return CONNECT_PASS; /* EISCONN or EALREADY, as the kernel sees it */
    return dial(fd, family, to);
}

/* A replaced socket, and an address which is not virtual: AF_UNSPEC dissolves the connection. */
static int connect_replaced(int fd, const struct sockaddr *sa, socklen_t len)
{
    struct sock_name name;
    if (len < sizeof(sa->sa_family) || !sys_readable(sa, sizeof(sa->sa_family)) || !pair_of(fd, &name))
        return CONNECT_PASS;
    return sa->sa_family == AF_UNSPEC ? pair_revert(fd) : connect_again(fd, &name);
}

/* To the real network: what binds the socket to loopback for the overlay's sake has to go. */
static void leave(int fd, const struct addr *to)
{
    udp_leave(fd);
    claim_leave(fd, to);
}

static void explain_connect(const struct addr *to, int err)
{
    bool dialled = err == 0 || err == -EINPROGRESS;
    explain_addr("connect", to, err == CONNECT_PASS ? "direct" : dialled ? "overlay" : "overlay, refused", dialled || err > 0 ? 0 : err);
}

HOOK int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
    int saved = errno;
    struct addr to = {0};
    if (len >= sizeof(struct sockaddr_in) && len <= sizeof(struct sockaddr_storage) && sys_readable(sa, len))
        to = addr_from_sockaddr(sa, len);
    int err = CONNECT_PASS;
    if (overlay_shuns(&to))
        err = -ENETUNREACH;
    else if (to.family && (overlay_covers(&to) || dns_is_server(&to)))
        err = connect_covered(fd, &to, sa->sa_family);
    else if (to.family)
        leave(fd, &to);
    if (to.family && __builtin_expect(explain_on, 0))
        explain_connect(&to, err);
    if (err == CONNECT_PASS) {
        if (REAL(connect)(fd, sa, len) == 0) {
            return 0;
        }
        if (errno != EINVAL)
            return -1;
        err = connect_replaced(fd, sa, len);
        if (err == CONNECT_PASS)
            return -1;
        errno = saved;
    }
    if (err < 0)
        errno = -err;
    return err < 0 ? -1 : 0;
}

HOOK int __connect(int fd, const struct sockaddr *sa, socklen_t len) __attribute__((alias("connect"), copy(connect)));
