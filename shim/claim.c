#include "shim/claim.h"

#include "shim/client.h"
#include "shim/config.h"
#include "shim/explain.h"
#include "shim/fdtable.h"
#include "shim/options.h"
#include "shim/overlay.h"
#include "shim/pair.h"
#include "shim/sys.h"

enum { CLAIM_IP = 0x7f000033, PRIVILEGED = 1024 };

static int protocol_of(int fd)
{
    int protocol = sys_sockopt_int(fd, SOL_SOCKET, SO_PROTOCOL);
    return protocol == IPPROTO_MPTCP ? IPPROTO_TCP : protocol;
}

static struct addr real_name(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    return sys_getsockname(fd, &ss, &len) < 0 ? (struct addr){0} : addr_from_sockaddr(&ss, len);
}

static bool on_lo(int fd)
{
    char name[16] = "";
    socklen_t len = sizeof(name);
    return sys_getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, &len) == 0 && !memcmp(name, "lo", sizeof("lo"));
}

static int bind_to_lo(int fd)
{
    int err = sys_setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, "lo", sizeof("lo"));
    return err == -EPERM && on_lo(fd) ? 0 : err;
}

static uint8_t flags_of(int fd)
{
    uint8_t flags = 0;
    if (sys_sockopt_int(fd, SOL_SOCKET, SO_REUSEPORT) > 0)
        flags |= IPC_LISTEN_REUSEPORT;
    if (sys_sockopt_int(fd, SOL_SOCKET, SO_REUSEADDR) > 0)
        flags |= IPC_LISTEN_REUSEADDR;
    if (config_get()->overlay_only)
        flags |= IPC_LISTEN_OVERLAY_ONLY;
    return flags;
}

/* Of this host: the kernel would bind to it. */
static bool is_ours(const struct addr *a)
{
    struct sockaddr_storage ss;
    struct addr any_port = *a;
    any_port.port = 0;
    socklen_t len = addr_to_sockaddr(&any_port, &ss);
    int fd = sys_socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ours = fd >= 0 && sys_bind(fd, &ss, len) == 0;
    if (fd >= 0)
        sys_close(fd);
    return ours;
}

static bool is_low(uint16_t port)
{
    return port > 0 && port < PRIVILEGED;
}

bool claim_wanted(int fd, const struct addr *asked, int err)
{
    int protocol;
    if (err != EACCES || !is_low(asked->port))
        return false;
    protocol = protocol_of(fd);
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

/* ---- binding ---- */

/* To a port of its own, which the kernel chooses: options that would share it, or put off the choice, are put aside. */
static int bind_alone(int fd, const void *sa, socklen_t len)
{
    static const struct {
        int level, name;
    } aside[] = {{SOL_SOCKET, SO_REUSEADDR}, {SOL_SOCKET, SO_REUSEPORT}, {IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT}};
    enum { ASIDE = sizeof(aside) / sizeof(aside[0]) };
    int value[ASIDE], zero = 0;
    for (int i = 0; i < ASIDE; i++) {
        value[i] = sys_sockopt_int(fd, aside[i].level, aside[i].name);
        if (value[i] > 0)
            sys_setsockopt(fd, aside[i].level, aside[i].name, &zero, sizeof(zero));
    }
    int err = sys_bind(fd, sa, len);
    for (int i = 0; i < ASIDE; i++)
        if (value[i] > 0)
            sys_setsockopt(fd, aside[i].level, aside[i].name, &value[i], sizeof(value[i]));
    return err;
}

static int bind_somewhere(int fd, int family, const struct addr *asked)
{
    struct sockaddr_storage ss;
    struct addr real = addr_v4(CLAIM_IP, 0);
    if (asked->family == 6) /* an older kernel lets nobody but root name an interface: then not known again after exec */
        real = bind_to_lo(fd) == 0 ? addr_v6(in6addr_any.s6_addr, 0) : overlay_loopback(6, 0);
    socklen_t len = overlay_sockaddr(&real, family, &ss);
    return bind_alone(fd, &ss, len);
}

/* An address of the local network, which shall not reach the port. */
static int bind_same_port(int fd, int family, const struct addr *asked)
{
    struct sockaddr_storage ss;
    struct addr real = overlay_loopback(asked->family, asked->port);
    int err = is_ours(asked) ? bind_to_lo(fd) : -EADDRNOTAVAIL;
    socklen_t len = overlay_sockaddr(&real, family, &ss);
    return err ? err : sys_bind(fd, &ss, len);
}

static int status_error(int status, int dead)
{
    return status == CLIENT_DEAD ? dead : status > 0 && status < IPC_NOT_VIRTUAL ? -status : status ? -EADDRNOTAVAIL : 0;
}

/* Asks the daemon whether the address is free, and which it is for port 0, before the socket is bound for good. */
static int bind_as_granted(int fd, int family, struct ipc_listen *l)
{
    int refused = is_low(l->asked.port) ? -EACCES : -EADDRNOTAVAIL;
    l->flags |= IPC_LISTEN_TRY;
    int err = status_error(client_listen(l, &l->asked), refused);
    l->flags &= (uint8_t)~IPC_LISTEN_TRY;
    return err ? err : bind_somewhere(fd, family, &l->asked);
}

int claim_bind(int fd, int family, const struct addr *asked)
{
    struct ipc_listen l = {.proto = (uint8_t)protocol_of(fd), .asked = *asked, .cookie = sys_cookie(fd)};
    struct fd_entry e = {.cookie = l.cookie, .kind = FD_BOUND};
    if (config_get()->strict)
        return is_low(asked->port) ? -EACCES : -EADDRNOTAVAIL;
    bool in_network = !is_low(asked->port) && !overlay_is_own(asked);
    if (real_name(fd).port)
        return -EINVAL; /* it is bound already */
    l.flags = flags_of(fd) | IPC_LISTEN_OVERLAY_ONLY | (l.proto == IPPROTO_TCP ? IPC_LISTEN_BOUND : 0);
    int err = in_network ? bind_same_port(fd, family, asked) : bind_as_granted(fd, family, &l);
    if (err)
        return err;
    l.bound = real_name(fd);
    if (!l.asked.port)
        l.asked.port = l.bound.port;
    err = status_error(client_listen(&l, &e.local), -EADDRNOTAVAIL);
    if (!err)
        fdtable_put(fd, &e);
    return err;
}

void claim_leave(int fd, const struct addr *to)
{
    struct fd_entry e, set = {0};
    if (!fdtable_used(fd) || addr_is_loopback(to) || addr_is_any(to) || !fdtable_get(fd, sys_cookie(fd), &e) || e.kind != FD_BOUND ||
        !is_low(e.local.port) || overlay_is_own(&e.local) || protocol_of(fd) != IPPROTO_TCP)
        return;
    int with = sys_socket(sys_sockopt_int(fd, SOL_SOCKET, SO_DOMAIN), SOCK_STREAM | SOCK_CLOEXEC,
        sys_sockopt_int(fd, SOL_SOCKET, SO_PROTOCOL));
    if (with < 0)
        return;
    options_carry(fd, with, &set);
    for (int i = 0; i < set.options; i++)
        sys_setsockopt(with, set.option[i].level, set.option[i].name, &set.option[i].value, sizeof(set.option[i].value));
    pair_swap(fd, with);
}

/* ---- names ---- */

/* Without --overlay-only those of IPv4 are all at one address: the others need not be asked for their interface. */
static bool may_be_claim(int fd, const struct addr *real)
{
    if (!real->port || (real->family == 4 && addr_ip4(real) == CLAIM_IP))
        return real->port;
    return (real->family == 6 || config_get()->overlay_only) && (addr_is_any(real) || addr_is_loopback(real)) && on_lo(fd);
}

bool claim_name(int fd, const struct addr *real, struct addr *asked)
{
    struct ipc_bound b = {.bound = *real};
    struct fd_entry e;
    bool maybe = may_be_claim(fd, real);
    if (!maybe && !fdtable_may_be(fd, FD_BOUND))
        return false;
    b.cookie = sys_cookie(fd);
    if (fdtable_get(fd, b.cookie, &e) && (e.kind == FD_BOUND || e.kind == FD_PLAIN)) {
        if (e.kind == FD_BOUND)
            *asked = e.local;
        return e.kind == FD_BOUND;
    }
    if (!maybe)
        return false;
    b.proto = (uint8_t)protocol_of(fd);
    e = (struct fd_entry){.cookie = b.cookie, .kind = FD_BOUND};
    int status = client_bound(&b, &e.local);
    if (status != 0)
        e.kind = FD_PLAIN;
    if (status != CLIENT_DEAD)
        fdtable_put(fd, &e);
    if (status == 0)
        *asked = e.local;
    return status == 0;
}

/* ---- telling ---- */

int claim_fence(int fd)
{
    struct addr a = real_name(fd);
    if (!config_get()->overlay_only || !a.family || addr_is_loopback(&a))
        return 0;
    if (!addr_is_any(&a))
        return -EADDRNOTAVAIL; /* it was bound to an address of the network with port 0 */
    return bind_to_lo(fd);
}

bool claim_fenced(int fd, const struct addr *a, int *err)
{
    *err = 0;
    if (!config_get()->overlay_only || !a->family)
        return false;
    bool udp = protocol_of(fd) == IPPROTO_UDP;
    if (!addr_is_group(a) && !addr_is_any(a) && !addr_is_loopback(a))
        return a->port || udp;
    if (udp)
        *err = claim_fence(fd);
    return false;
}

/* The kernel's bound address goes with it, so that who has it is known. */
static void remember_told(int fd, uint64_t cookie)
{
    struct fd_entry e;
    if (!fdtable_get(fd, cookie, &e))
        e = (struct fd_entry){.cookie = cookie, .kind = FD_PLAIN};
    e.told = true;
    fdtable_put(fd, &e);
}

int claim_tell(int fd)
{
    struct ipc_listen l = {.bound = real_name(fd), .cookie = sys_cookie(fd)};
    struct addr got;
    if (!l.bound.port)
        return 0;
    if (config_get()->strict) { /* the daemon would look on another loopback */
        explain_addr("listen", &l.bound, "not on the overlay (--strict)", 0);
        return 0;
    }
    l.proto = (uint8_t)protocol_of(fd);
    l.flags = flags_of(fd);
    if (claim_name(fd, &l.bound, &l.asked))
        l.flags |= IPC_LISTEN_OVERLAY_ONLY;
    int status = client_listen(&l, &got);
    explain_addr(l.proto == IPPROTO_UDP ? "bind" : "listen", l.asked.family ? &l.asked : &l.bound,
        status == CLIENT_DEAD                       ? "the daemon does not answer: not on the overlay"
        : status != 0                               ? "not on the overlay"
        : l.flags & IPC_LISTEN_OVERLAY_ONLY         ? "on the overlay only"
                                                    : "on the overlay as well",
        status > 0 && status < IPC_NOT_VIRTUAL ? -status : 0);
    if (status != CLIENT_DEAD)
        remember_told(fd, l.cookie);
    if (status != EADDRINUSE || !l.asked.family)
        return 0;
    sys_call(SYS_shutdown, fd, SHUT_RD, 0, 0, 0, 0);
    return -EADDRINUSE;
}

void claim_tell_once(int fd)
{
    enum { RETRY_MS = 2000 };
    static int64_t retry_at;
    struct fd_entry e;
    if (config_get()->strict || (fdtable_used(fd) && fdtable_get(fd, sys_cookie(fd), &e) && e.told) ||
        sys_millis() < __atomic_load_n(&retry_at, __ATOMIC_RELAXED))
        return;
    if (sys_sockopt_int(fd, SOL_SOCKET, SO_ACCEPTCONN) <= 0)
        return;
    claim_fence(fd); /* an inherited one; there is no good moment to fail */
    if (protocol_of(fd) != IPPROTO_TCP) {
        remember_told(fd, sys_cookie(fd)); /* a Unix socket, say */
        return;
    }
    claim_tell(fd);
    if (!fdtable_get(fd, sys_cookie(fd), &e) || !e.told)
        __atomic_store_n(&retry_at, sys_millis() + RETRY_MS, __ATOMIC_RELAXED);
}

struct addr claim_bound_to(int fd)
{
    struct addr a = real_name(fd);
    if (!a.port)
        return (struct addr){0};
    claim_name(fd, &a, &a);
    return a;
}

void claim_after_bind(int fd, const struct addr *a)
{
    if (a->family && !addr_is_group(a) && protocol_of(fd) == IPPROTO_UDP)
        claim_tell(fd);
}
