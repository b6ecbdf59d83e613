#include "shim/names.h"

#include "shim/claim.h"
#include "shim/client.h"
#include "shim/dns.h"
#include "shim/fdtable.h"
#include "shim/overlay.h"
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
    if (!dns_local(peer, &e->remote, &e->local))
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

bool names_peer(int fd, struct addr *peer)
{
    struct fd_entry e;
    if (!accepted_from_overlay(fd, peer, &e))
        return false;
    *peer = e.remote;
    return true;
}

static bool may_be_virtual(const struct addr *local)
{
    if (local->family == 4)
        return local->ip[0] == 127;
    return local->family == 6 && (!memcmp(local->ip, &in6addr_any, sizeof(local->ip)) || overlay_is_mirror(local));
}

bool names_local(int fd, struct addr *local)
{
    struct sockaddr_storage ss;
    socklen_t full = sizeof(ss);
    struct fd_entry e;
    static const uint8_t any[16];
    if (!may_be_virtual(local))
        return false;
    bool claimed = claim_name(fd, local, local), loopback = claimed && may_be_virtual(local) && memcmp(local->ip, any, sizeof(any));
    if (loopback || sys_getpeername(fd, &ss, &full) < 0)
        return claimed;
    /* what was accepted from the overlay may be at another own address than the listener's: that of a group */
    struct addr peer = addr_from_sockaddr(&ss, full);
    if (!accepted_from_overlay(fd, &peer, &e))
        return claimed;
    e.local.port = claimed ? local->port : e.local.port;
    *local = e.local;
    return true;
}
