/* trap_listen.c - servers under the engine: as shim/hooks/bind.c and socket.c have it. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include "shim/claim.h"
#include "shim/config.h"
#include "shim/names.h"
#include "shim/overlay.h"
#include "shim/sys.h"
#include "tools/i3run/wait.h"

/* ---- bind and listen ---- */

static int bind_socket(int fd, const struct sockaddr_storage *ss, socklen_t len)
{
    struct addr a = {0};
    int err = 0;
    if (len >= sizeof(struct sockaddr_in))
        a = addr_from_sockaddr(ss, len);
    if ((a.family && overlay_is_own(&a)) || claim_fenced(fd, &a, &err))
        return claim_bind(fd, ss->ss_family, &a);
    if (!err)
        err = sys_bind(fd, ss, len);
    if (!err)
        claim_after_bind(fd, &a);
    return err && a.family && claim_wanted(fd, &a, -err) ? claim_bind(fd, ss->ss_family, &a) : err;
}

static bool is_inet(int domain)
{
    return domain == AF_INET || domain == AF_INET6;
}

answer_t trap_bind(struct trap *t)
{
    struct sockaddr_storage ss;
    int domain = trap_domain(t);
    if (!is_inet(domain))
        return PASS; /* of other kinds nothing leads to the overlay */
    int err = trap_read_addr(t, t->arg[1], t->arg[2], &ss);
    t->acted = true;
    return VALUE(err ? err : bind_socket(t->fd, &ss, (socklen_t)t->arg[2]));
}

answer_t trap_listen(struct trap *t)
{
    if (!is_inet(trap_domain(t)))
        return PASS;
    int err = claim_fence(t->fd);
    if (!err)
        err = (int)sys_call(SYS_listen, t->fd, (long)t->arg[1], 0, 0, 0, 0);
    return VALUE(err ? err : claim_tell(t->fd));
}

/* ---- accept ---- */

/* Connections which could not be handed over, as the program was interrupted just then: for the next who asks. */
enum { SPARE_MAX = 16 };

static struct {
    uint64_t cookie; /* the listener's; 0: free */
    int fd;
} spare[SPARE_MAX];

static bool spare_has(uint64_t cookie)
{
    bool has = false;
    for (int i = 0; i < SPARE_MAX; i++)
        has |= spare[i].cookie && spare[i].cookie == cookie;
    return has;
}

static int spare_take(uint64_t cookie, struct sockaddr_storage *ss, socklen_t *full)
{
    for (int i = 0; i < SPARE_MAX; i++)
        if (spare[i].cookie && spare[i].cookie == cookie) {
            spare[i].cookie = 0;
            sys_getpeername(spare[i].fd, ss, full);
            return spare[i].fd;
        }
    return -EAGAIN;
}

static void spare_put(uint64_t cookie, int fd)
{
    for (int i = 0; i < SPARE_MAX; i++)
        if (!spare[i].cookie) {
            spare[i].cookie = cookie;
            spare[i].fd = fd;
            return;
        }
    close(fd);
}

static void interrupt(int sig)
{
    (void)sig;
}

/* Somebody else may have taken what poll() saw: then a blocking listener must not hold us. */
static int accept_now(int fd, int flags, struct sockaddr_storage *ss, socklen_t *full)
{
    static const struct itimerval soon = {.it_value.tv_usec = 20000}, never;
    struct sigaction act = {.sa_handler = interrupt};
    sigset_t alarm_only;
    bool blocking = !(sys_fcntl(fd, F_GETFL, 0) & O_NONBLOCK);
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    if (blocking) {
        sigaction(SIGALRM, &act, NULL);
        sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
        setitimer(ITIMER_REAL, &soon, NULL);
    }
    int conn = (int)sys_call(SYS_accept4, fd, (long)ss, (long)full, flags, 0, 0);
    if (blocking) {
        setitimer(ITIMER_REAL, &never, NULL);
        sigprocmask(SIG_BLOCK, &alarm_only, NULL);
    }
    return conn == -EINTR ? -EAGAIN : conn;
}

static int write_peer(struct trap *t, int conn, struct sockaddr_storage *ss, socklen_t full)
{
    struct addr peer = addr_from_sockaddr(ss, full);
    if (names_peer(conn, &peer))
        full = overlay_sockaddr(&peer, ss->ss_family, ss);
    return trap_write_addr(t, t->arg[1], t->arg[2], ss, full);
}

/* One connection, or -EAGAIN. */
static answer_t accept_one(struct trap *t, int flags)
{
    struct sockaddr_storage ss = {.ss_family = AF_UNSPEC};
    socklen_t full = sizeof(ss);
    uint64_t cookie = sys_cookie(t->fd);
    int conn = spare_take(cookie, &ss, &full);
    if (conn < 0)
        conn = accept_now(t->fd, SOCK_CLOEXEC | (flags & SOCK_NONBLOCK), &ss, &full);
    if (conn < 0)
        return VALUE(conn);
    int err = trap_valid(t) ? write_peer(t, conn, &ss, full) : -ENOENT;
    if (!err)
        err = trap_give(t, conn, flags & SOCK_CLOEXEC);
    if (err == -ENOENT || (err && !trap_valid(t))) {
        spare_put(cookie, conn);
        return GIVEN;
    }
    close(conn);
    return err ? VALUE(err) : GIVEN;
}

static answer_t accept_waited(struct trap *t, void *data, short events)
{
    int flags;
    memcpy(&flags, data, sizeof(flags));
    answer_t a = accept_one(t, flags);
    return a.how == ANSWER_VALUE && a.value == -EAGAIN && events ? LATER : a;
}

answer_t trap_accept(struct trap *t)
{
    int flags = t->nr == SYS_accept4 ? (int)t->arg[3] : 0;
    if (!is_inet(trap_domain(t)))
        return PASS;
    if (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC))
        return VALUE(-EINVAL);
    claim_tell_once(t->fd);
    bool blocking = !(sys_fcntl(t->fd, F_GETFL, 0) & O_NONBLOCK);
    if (blocking && sys_sockopt_int(t->fd, SOL_SOCKET, SO_ACCEPTCONN) <= 0)
        return VALUE(-EINVAL);
    answer_t a = blocking && !spare_has(sys_cookie(t->fd)) && !sys_ready(t->fd, POLLIN) ? VALUE(-EAGAIN) : accept_one(t, flags);
    if (!blocking || a.how != ANSWER_VALUE || a.value != -EAGAIN)
        return a;
    return wait_for(t, t->fd, POLLIN, wait_limit(t->fd, SO_RCVTIMEO), accept_waited, &flags, sizeof(flags));
}
