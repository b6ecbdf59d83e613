/* socket.c - accept and the names of sockets: addresses are translated, the traffic is left alone. */
#include "shim/claim.h"
#include "shim/libc.h"
#include "shim/names.h"
#include "shim/overlay.h"
#include "shim/pair.h"
#include "shim/readable.h"
#include "shim/sys.h"

static void copy_addr(const struct addr *a, int family, struct sockaddr *sa, socklen_t *len, socklen_t room)
{
    struct sockaddr_storage ss;
    socklen_t full = overlay_sockaddr(a, family, &ss);
    *len = room;
    overlay_copy_out(&ss, full, sa, len);
}

/* After a successful accept: the peer as the program shall see it. */
static void translate_accepted(int fd, struct sockaddr *sa, socklen_t *len, socklen_t room)
{
    struct addr peer = addr_from_sockaddr(sa, *len < room ? *len : room);
    if (names_peer(fd, &peer))
        copy_addr(&peer, sa->sa_family, sa, len, room);
}

/* One that accepts again and again is not asked each time who it is. */
static bool asked_lately(int fd)
{
    enum { SLOTS = 64, GOOD_MS = 100 };
    static uint64_t lately[SLOTS]; /* fd(16) time(48), each entry one word */
    uint64_t *slot = &lately[(unsigned)fd % SLOTS], now = (uint64_t)sys_millis(), word = __atomic_load_n(slot, __ATOMIC_RELAXED);
    if (word >> 48 == ((uint64_t)fd & 0xffff) && now - (word & 0xffffffffffff) < GOOD_MS)
        return true;
    __atomic_store_n(slot, (uint64_t)fd << 48 | (now & 0xffffffffffff), __ATOMIC_RELAXED);
    return false;
}

static void tell_of_listener(int fd)
{
    if (!asked_lately(fd))
        claim_tell_once(fd);
}

HOOK int accept(int fd, struct sockaddr *sa, socklen_t *len)
{
    socklen_t room = sa && readable(len, sizeof(*len)) ? *len : 0;
    tell_of_listener(fd);
    int conn = REAL(accept)(fd, sa, len);
    if (conn >= 0 && room)
        translate_accepted(conn, sa, len, room);
    return conn;
}

HOOK int accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
    socklen_t room = sa && readable(len, sizeof(*len)) ? *len : 0;
    tell_of_listener(fd);
    int conn = REAL(accept4)(fd, sa, len, flags);
    if (conn >= 0 && room)
        translate_accepted(conn, sa, len, room);
    return conn;
}

/* A name for the program, as the kernel hands one out. */
static int answer(const struct addr *a, int family, struct sockaddr *sa, socklen_t *len)
{
    if (!sys_readable(len, sizeof(*len)) || (*len && !sys_readable(sa, 1))) {
        errno = EFAULT;
        return -1;
    }
    if (*len > INT32_MAX) {
        errno = EINVAL;
        return -1;
    }
    copy_addr(a, family, sa, len, *len);
    return 0;
}

/* What the kernel has said of a socket which is just that, as the kernel would have given it to the program; false: the kernel shall
 * do that itself, as it knows better what becomes of such arguments. */
static inline __attribute__((always_inline)) bool hand_on(const struct sockaddr_storage *ss, socklen_t full, struct sockaddr *sa,
    socklen_t *len)
{
    if (!sys_in_callers(len, sizeof(*len)) || *len > sizeof(*ss) || !sys_in_callers(sa, *len))
        return false;
    overlay_copy_out(ss, full, sa, len);
    return true;
}

/* Both ask for themselves first, so that of a replaced socket's own name nothing gets into the program's buffer. */
HOOK int getpeername(int fd, struct sockaddr *sa, socklen_t *len)
{
    struct sockaddr_storage ss;
    struct sock_name name;
    socklen_t full = sizeof(ss);
    if (sys_getpeername(fd, &ss, &full) < 0)
        return REAL(getpeername)(fd, sa, len);
    struct addr peer = addr_from_sockaddr(&ss, full);
    if (names_peer(fd, &peer))
        return answer(&peer, ss.ss_family, sa, len);
    if (ss.ss_family != AF_UNIX || !pair_of(fd, &name))
        return hand_on(&ss, full, sa, len) ? 0 : REAL(getpeername)(fd, sa, len);
    if (pair_state(fd) == PAIR_UP)
        return answer(&name.remote, pair_family(fd), sa, len);
    errno = ENOTCONN;
    return -1;
}

HOOK int getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
    struct sockaddr_storage ss;
    struct sock_name name;
    socklen_t full = sizeof(ss);
    if (sys_getsockname(fd, &ss, &full) < 0)
        return REAL(getsockname)(fd, sa, len);
    struct addr local = addr_from_sockaddr(&ss, full);
    if (names_local(fd, &local))
        return answer(&local, ss.ss_family, sa, len);
    if (ss.ss_family == AF_UNIX && pair_of(fd, &name))
        return answer(&name.local, pair_family(fd), sa, len);
    return hand_on(&ss, full, sa, len) ? 0 : REAL(getsockname)(fd, sa, len);
}
