/* socket.c - accept and the names of sockets: addresses are translated, the traffic is left alone. */
#include "shim/claim.h"
#include "shim/client.h"
#include "shim/fdtable.h"
#include "shim/libc.h"
#include "shim/overlay.h"
#include "shim/pair.h"
#include "shim/sys.h"
#include "shim/udp.h"

/* A UDP socket whose peer is a mirror. */
static bool connected_to_overlay(int fd, const struct addr *peer, struct fd_entry *e)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    *e = (struct fd_entry){.remote = *peer};
    if (!udp_source(fd, &e->remote) || sys_getsockname(fd, &ss, &len) < 0)
        return false;
    e->local = udp_own(e->remote.family);
    e->local.port = addr_from_sockaddr(&ss, len).port;
    return e->local.family;
}

/* Whether `fd`, whose peer libc gives as `peer`, was accepted from the overlay; the virtual addresses are in `e` then.
 * The daemon is asked once for each connection, and again where the answer has been forgotten (a dup, an exec). */
static bool accepted_from_overlay(int fd, const struct addr *peer, struct fd_entry *e)
{
    if (!overlay_is_mirror(peer))
        return false;
    uint64_t cookie = sys_cookie(fd);
    if (sys_sockopt_int(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM)
        return connected_to_overlay(fd, peer, e);
    if (fdtable_get(fd, cookie, e) && (e->kind == FD_ACCEPTED || e->kind == FD_LOCAL))
        return e->kind == FD_ACCEPTED;
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    struct ipc_pair real = {.remote = *peer}, virtual = {0};
    if (sys_getsockname(fd, &ss, &len) == 0)
        real.local = addr_from_sockaddr(&ss, len);
    int status = client_verify(&real, &virtual);
    if (status == CLIENT_DEAD)
        return false;
    *e = (struct fd_entry){.cookie = cookie, .kind = status == 0 ? FD_ACCEPTED : FD_LOCAL};
    e->local = virtual.local;
    e->remote = virtual.remote;
    fdtable_put(fd, e);
    return status == 0;
}

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
    struct fd_entry e;
    if (accepted_from_overlay(fd, &peer, &e))
        copy_addr(&e.remote, sa->sa_family, sa, len, room);
}

HOOK int accept(int fd, struct sockaddr *sa, socklen_t *len)
{
    socklen_t room = sys_room(sa, len);
    claim_tell_once(fd);
    int conn = REAL(accept)(fd, sa, len);
    if (conn >= 0 && room)
        translate_accepted(conn, sa, len, room);
    return conn;
}

HOOK int accept4(int fd, struct sockaddr *sa, socklen_t *len, int flags)
{
    socklen_t room = sys_room(sa, len);
    claim_tell_once(fd);
    int conn = REAL(accept4)(fd, sa, len, flags);
    if (conn >= 0 && room)
        translate_accepted(conn, sa, len, room);
    return conn;
}

/* The whole of the name of which the program's buffer has at least a part; false when it is gone meanwhile. */
static bool whole_name(int (*get)(int, void *, socklen_t *), int fd, const struct sockaddr *sa, socklen_t len,
    socklen_t room, struct sockaddr_storage *ss, socklen_t *full)
{
    *full = sizeof(*ss);
    if (len > room || len > sizeof(*ss))
        return get(fd, ss, full) == 0;
    memcpy(ss, sa, len);
    *full = len;
    return true;
}

/* A replaced socket that this process knows of: the answer without the kernel's in the program's buffer first, which is longer than
 * ours, so that something of it would be left behind. */
static bool is_pair(int fd, const struct sockaddr *sa, const socklen_t *len, struct sock_name *name)
{
    return fdtable_used(fd) && sys_plausible(sa) && sys_plausible(len) && *len <= INT32_MAX && pair_of(fd, name);
}

static int pair_peer(int fd, const struct sock_name *name, struct sockaddr *sa, socklen_t *len, socklen_t room)
{
    enum pair_state state = pair_state(fd);
    if (state == PAIR_DIALLING || state == PAIR_FAILED) {
        errno = ENOTCONN;
        return -1;
    }
    copy_addr(&name->remote, pair_family(fd), sa, len, room);
    return 0;
}

HOOK int getpeername(int fd, struct sockaddr *sa, socklen_t *len)
{
    struct sockaddr_storage ss;
    struct sock_name name;
    socklen_t full, room = sys_room(sa, len);
    if (is_pair(fd, sa, len, &name))
        return pair_peer(fd, &name, sa, len, room);
    int rc = REAL(getpeername)(fd, sa, len);
    if (rc < 0 || room > INT32_MAX || !whole_name(sys_getpeername, fd, sa, *len, room, &ss, &full))
        return rc;
    struct addr peer = addr_from_sockaddr(&ss, full);
    struct fd_entry e;
    if (accepted_from_overlay(fd, &peer, &e))
        copy_addr(&e.remote, ss.ss_family, sa, len, room);
    else if (ss.ss_family == AF_UNIX && pair_of(fd, &name))
        return pair_peer(fd, &name, sa, len, room);
    return rc;
}

static bool may_be_virtual(const struct addr *local)
{
    if (local->family == 4)
        return local->ip[0] == 127;
    return local->family == 6 && (!memcmp(local->ip, &in6addr_any, sizeof(local->ip)) || overlay_is_mirror(local));
}

/* The virtual address that a socket stands for, of which the kernel says `local`; false: that very address. */
static bool virtual_local(int fd, struct addr *local)
{
    struct sockaddr_storage ss;
    socklen_t full = sizeof(ss);
    struct fd_entry e;
    if (claim_name(fd, local, local))
        return true;
    if (sys_getpeername(fd, &ss, &full) < 0)
        return false;
    struct addr peer = addr_from_sockaddr(&ss, full);
    if (!accepted_from_overlay(fd, &peer, &e))
        return false;
    *local = e.local;
    return true;
}

HOOK int getsockname(int fd, struct sockaddr *sa, socklen_t *len)
{
    struct sockaddr_storage ss;
    struct sock_name name;
    socklen_t full, room = sys_room(sa, len);
    if (is_pair(fd, sa, len, &name)) {
        copy_addr(&name.local, pair_family(fd), sa, len, room);
        return 0;
    }
    int rc = REAL(getsockname)(fd, sa, len);
    if (rc < 0 || room > INT32_MAX || !whole_name(sys_getsockname, fd, sa, *len, room, &ss, &full))
        return rc;
    struct addr local = addr_from_sockaddr(&ss, full);
    if (may_be_virtual(&local)) {
        if (virtual_local(fd, &local))
            copy_addr(&local, ss.ss_family, sa, len, room);
    } else if (ss.ss_family == AF_UNIX && pair_of(fd, &name)) {
        copy_addr(&name.local, pair_family(fd), sa, len, room);
    }
    return rc;
}
