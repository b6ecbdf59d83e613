/* trap_connect.c - connect() under the engine, as shim/hooks/connect.c has it: what it means on a fresh socket, on one whose peer is
 * virtual, and on all others, where the supervisor connects the program's socket to the address that it has read. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shim/claim.h"
#include "shim/client.h"
#include "shim/dns.h"
#include "shim/explain.h"
#include "shim/options.h"
#include "shim/overlay.h"
#include "shim/pair.h"
#include "shim/sys.h"
#include "shim/udp.h"
#include "tools/i3run/wait.h"

enum { STACK = 256 * 1024 };

/* ---- data that come with the call (MSG_FASTOPEN) ---- */

enum { FIRST_MAX = 16384 };

/* Where the data begin, and how long that piece is: no more than a part of them has to be sent. */
static int first_data(const struct trap *t, struct iovec *iov)
{
    struct msghdr m;
    *iov = (struct iovec){(void *)(uintptr_t)t->arg[1], t->arg[2]};
    if (t->nr == SYS_sendto)
        return 0;
    int err = trap_read(t, t->arg[1], &m, sizeof(m)); /* of a struct mmsghdr it is the first member */
    *iov = (struct iovec){NULL, 0};
    return err || !m.msg_iovlen ? err : trap_read(t, (uintptr_t)m.msg_iov, iov, sizeof(*iov));
}

answer_t connect_send(struct trap *t, int fd)
{
    char data[FIRST_MAX];
    struct iovec iov;
    int err = first_data(t, &iov);
    size_t n = iov.iov_len < FIRST_MAX ? iov.iov_len : FIRST_MAX;
    if (!err)
        err = trap_read(t, (uintptr_t)iov.iov_base, data, n);
    if (err)
        return VALUE(err);
    struct iovec here = {data, n};
    struct msghdr m = {.msg_iov = &here, .msg_iovlen = 1};
    long sent = sys_sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    t->acted = true;
    if (sent < 0 || t->nr != SYS_sendmmsg)
        return VALUE(sent);
    unsigned len = (unsigned)sent;
    trap_write(t, t->arg[1] + offsetof(struct mmsghdr, msg_len), &len, sizeof(len));
    return VALUE(1);
}

static answer_t connected(struct trap *t, int fd)
{
    return t->nr == SYS_connect ? VALUE(0) : connect_send(t, fd);
}

/* ---- an address which is not virtual ---- */

/* A connect() that waits, in a thread of ours. It is interrupted, if at all, in the program; a second one then waits for the same
 * connection, as in the kernel. */
struct blocking {
    struct blocking *next;
    struct trap trap;
    struct sockaddr_storage ss;
    socklen_t len;
    uint64_t cookie;
    bool limited; /* SO_SNDTIMEO */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct blocking *running;
static int threads;

static void *connect_and_answer(void *arg)
{
    struct blocking *b = arg, **at = &running;
    int err = sys_connect(b->trap.fd, &b->ss, b->len);
    answer_t a = err ? VALUE(err) : connected(&b->trap, b->trap.fd);
    pthread_mutex_lock(&lock);
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    threads--;
    pthread_mutex_unlock(&lock);
    trap_send(&b->trap, a.value, false);
    close(b->trap.fd);
    free(b);
    return NULL;
}

/* True: it goes on, and must not be restarted since it has a limit (as in wait_forget()). False: there is no room. */
static bool begin(struct blocking *b, bool *interrupted)
{
    const struct trap *t = &b->trap;
    *interrupted = false;
    pthread_mutex_lock(&lock);
    for (struct blocking *r = running; r; r = r->next)
        *interrupted |= r->limited && r->trap.tid == t->tid && r->cookie == b->cookie;
    bool fits = threads < THREADS_MAX;
    if (fits && !*interrupted) {
        b->next = running;
        running = b;
        threads++;
    }
    pthread_mutex_unlock(&lock);
    return fits;
}

static answer_t connect_thread(struct trap *t, const struct sockaddr_storage *ss, socklen_t len)
{
    pthread_attr_t attr;
    pthread_t id;
    bool interrupted;
    struct blocking *b = malloc(sizeof(*b));
    if (!b)
        return VALUE(-ENOMEM);
    *b = (struct blocking){NULL, *t, *ss, len, sys_cookie(t->fd), wait_limit(t->fd, SO_SNDTIMEO) != 0};
    if (!begin(b, &interrupted) || interrupted) {
        free(b);
        return VALUE(interrupted ? -EINTR : -EAGAIN);
    }
    t->fd = -1;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, STACK);
    if (pthread_create(&id, &attr, connect_and_answer, b) != 0)
        connect_and_answer(b); /* others have to wait for it */
    pthread_attr_destroy(&attr);
    return GIVEN;
}

static answer_t connect_real(struct trap *t, const struct sockaddr_storage *ss, socklen_t len)
{
    int type = sys_sockopt_int(t->fd, SOL_SOCKET, SO_TYPE);
    if ((type == SOCK_STREAM || type == SOCK_SEQPACKET) && !(sys_fcntl(t->fd, F_GETFL, 0) & O_NONBLOCK))
        return connect_thread(t, ss, len);
    t->acted = true;
    int err = sys_connect(t->fd, ss, len);
    return err ? VALUE(err) : connected(t, t->fd);
}

static answer_t connect_to(struct trap *t, int family, const struct addr *to)
{
    struct sockaddr_storage ss;
    socklen_t len = overlay_sockaddr(to, family, &ss);
    return connect_real(t, &ss, len);
}

/* ---- a virtual one ---- */

struct dialling {
    int pair;
    bool again; /* the socket had been replaced before this call */
    uint64_t handle;
};

/* A new TCP socket in place of a pair. */
static int revert(struct trap *t, int pair)
{
    int with = sys_socket(pair_family(pair), SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (with < 0)
        return with;
    options_restore(pair, with);
    int err = trap_swap(t, pair, with);
    close(with);
    return err;
}

static answer_t give_up(struct trap *t, const struct dialling *d)
{
    struct sock_name name = {.handle = d->handle};
    int err = -pair_error(&name);
    if (!trap_still(t, sys_cookie(d->pair)))
        return VALUE(-ECONNABORTED); /* as after shutdown() by another thread */
    if (d->again)
        revert(t, d->pair);
    else
        trap_swap(t, d->pair, t->fd);
    return VALUE(err);
}

static answer_t connect_waited(struct trap *t, void *data, short events)
{
    struct dialling *d = data;
    switch (pair_state(d->pair)) {
    case PAIR_DIALLING:
        return events ? LATER : VALUE(d->again ? -EALREADY : -EINPROGRESS);
    case PAIR_FAILED:
        return give_up(t, d);
    case PAIR_UP:
    case PAIR_ENDED:
        break;
    }
    pair_told(d->pair);
    t->acted = true;
    return connected(t, d->pair);
}

static answer_t wait_up(struct trap *t, const struct dialling *d)
{
    answer_t a = connect_waited(t, (void *)d, POLLOUT);
    if (a.how == ANSWER_LATER)
        return wait_for(t, d->pair, POLLOUT, wait_limit(d->pair, SO_SNDTIMEO), connect_waited, d, sizeof(*d));
    if (d->pair != t->fd)
        close(d->pair);
    return a;
}

static answer_t take_over(struct trap *t, int family, int with, const struct ipc_socket *s)
{
    bool blocking = !(sys_fcntl(t->fd, F_GETFL, 0) & O_NONBLOCK);
    struct fd_entry e = pair_prepare(t->fd, with, family, s);
    fdtable_put(with, &e);
    int err = trap_swap(t, t->fd, with);
    if (!err && blocking)
        return wait_up(t, &(struct dialling){with, false, s->handle});
    close(with);
    return VALUE(err ? err : -EINPROGRESS);
}

static answer_t dial(struct trap *t, int family, const struct addr *to)
{
    struct ipc_connect ask = {.proto = IPPROTO_TCP, .resets = options_reset(t->fd), .remote = *to, .local = claim_bound_to(t->fd)};
    struct ipc_socket s;
    int with;
    int status = client_connect(&ask, &s, &with);
    switch (status) {
    case 0:
        if (to->port != DNS_PORT)
            overlay_learn(to, true);
        return take_over(t, family, with, &s);
    case IPC_NOT_VIRTUAL:
        overlay_learn(to, false);
        return connect_to(t, family, to);
    case IPC_SELF: {
        struct addr here = s.remote.family ? s.remote : overlay_loopback(to->family, to->port);
        return connect_to(t, family, &here);
    }
    case CLIENT_DEAD:
        if (to->port == DNS_PORT)
            return VALUE(-ECONNREFUSED);
        return overlay_known_real(to) ? connect_to(t, family, to) : VALUE(-ENETUNREACH);
    default:
        return VALUE(-status);
    }
}

/* On a socket which has been replaced: what inet_stream_connect() answers. */
static answer_t connect_again(struct trap *t, const struct sock_name *name)
{
    bool dialling = pair_is_untold(t->fd);
    struct dialling d = {t->fd, true, name->handle};
    switch (pair_state(t->fd)) {
    case PAIR_DIALLING:
        return sys_fcntl(t->fd, F_GETFL, 0) & O_NONBLOCK ? VALUE(-EALREADY) : wait_up(t, &d);
    case PAIR_UP:
        pair_told(t->fd);
        return VALUE(dialling ? 0 : -EISCONN); /* the first call after success says so */
    case PAIR_ENDED:
        return VALUE(-EISCONN);
    case PAIR_FAILED:
        break;
    }
    return give_up(t, &d);
}

/* getaddrinfo() in the program itself finds out which addresses have a way by connecting a UDP socket to port 0 (glibc) or 65535
 * (musl), and sorts them (RFC 6724). All virtual ones have one; but there are programs that try the first alone, and servers that
 * listen on IPv4 alone, as the library's own answers know: IPv4 comes first. */
static bool is_to_sort_by(const struct addr *to)
{
    return to->family == 6 && (to->port == 0 || to->port == 65535);
}

static answer_t connect_udp(struct trap *t, const struct sockaddr_storage *ss, socklen_t len, const struct addr *to)
{
    if (is_to_sort_by(to))
        return VALUE(-ENETUNREACH);
    int err = udp_connect(t->fd, ss->ss_family, to);
    return err == UDP_PASS ? connect_real(t, ss, len) : VALUE(err);
}

static answer_t connect_covered(struct trap *t, int family, const struct sockaddr_storage *ss, socklen_t len, const struct addr *to)
{
    int protocol = sys_sockopt_int(t->fd, SOL_SOCKET, SO_PROTOCOL);
    if (family == AF_INET6 && to->family == 4 && sys_sockopt_int(t->fd, IPPROTO_IPV6, IPV6_V6ONLY) > 0)
        return connect_real(t, ss, len);
    if (protocol == IPPROTO_UDP && (family == ss->ss_family || family == AF_INET6))
        return connect_udp(t, ss, len, to);
    if (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP)
        return overlay_verdict(to) == IPC_NOT_VIRTUAL ? connect_real(t, ss, len) : VALUE(-ENETUNREACH);
    if (family != ss->ss_family || (protocol == IPPROTO_TCP && !sys_tcp_is_fresh(t->fd)))
        return connect_real(t, ss, len); /* as the kernel sees it */
    return dial(t, family, to);
}

static answer_t connect_replaced(struct trap *t)
{
    struct sock_name name;
    struct sockaddr_storage ss;
    if (!pair_of(t->fd, &name))
        return PASS; /* a Unix socket: with whom it connects is no affair of ours */
    int err = trap_read_addr(t, t->arg[1], t->arg[2], &ss);
    if (err || t->arg[2] < sizeof(ss.ss_family))
        return VALUE(err ? err : -EINVAL);
    return ss.ss_family == AF_UNSPEC ? VALUE(revert(t, t->fd)) : connect_again(t, &name);
}

answer_t connect_address(struct trap *t, int family, const struct sockaddr_storage *ss, socklen_t len)
{
    struct addr to = {0};
    if (len >= sizeof(struct sockaddr_in))
        to = addr_from_sockaddr(ss, len);
    if (to.family && (overlay_covers(&to) || dns_is_server(&to))) {
        explain_addr("connect", &to, overlay_covers(&to) ? "overlay" : "by the daemon, which looks for names of the overlay", 0);
        return connect_covered(t, family, ss, len, &to);
    }
    if (to.family) { /* what binds the socket to loopback for the overlay's sake has to go */
        udp_leave(t->fd);
        claim_leave(t->fd, &to);
    }
    if (to.family)
        explain_addr("connect", &to, "direct", 0);
    return connect_real(t, ss, len);
}

answer_t trap_connect(struct trap *t)
{
    struct sockaddr_storage ss;
    int family = trap_domain(t);
    if (family == AF_UNIX)
        return connect_replaced(t);
    if (family != AF_INET && family != AF_INET6)
        return family == -EPERM ? VALUE(-EACCES) : family < 0 ? VALUE(family) : PASS;
    int err = trap_read_addr(t, t->arg[1], t->arg[2], &ss);
    return err ? VALUE(err) : connect_address(t, family, &ss, (socklen_t)t->arg[2]);
}

/* As shim/hooks/shutdown.c has it: while it dials, the connection is aborted. */
answer_t trap_shutdown(struct trap *t)
{
    struct sock_name name;
    if (trap_domain(t) != AF_UNIX || !pair_of(t->fd, &name) || pair_state(t->fd) != PAIR_DIALLING || t->arg[1] > SHUT_RDWR)
        return PASS;
    sys_call(SYS_shutdown, t->fd, SHUT_RDWR, 0, 0, 0, 0);
    return VALUE(revert(t, t->fd));
}
