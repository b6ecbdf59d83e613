#include "shim/udp.h"

#include "shim/client.h"
#include "shim/config.h"
#include "shim/conn.h"
#include "shim/dns.h"
#include "shim/explain.h"
#include "shim/dns.h"
#include "shim/libc.h"
#include "shim/overlay.h"
#include "shim/sys.h"

enum { ROUTES = 1024, PEERS = 1024, GOOD_MS = 1000, SELF_MS = 3600 * 1000 };

/* An answer of the daemon; a sequence lock as in fdtable.c: odd while being written. */
struct entry {
    uint32_t seq;
    int status;
    uint64_t cookie; /* of the socket asked for, 0 for all */
    struct addr key, value;
    int64_t until;
};

static struct entry routes[ROUTES], peers[PEERS];
static struct {
    bool known;
    struct addr a;
} own[2]; /* IPv4, IPv6 */
static bool self_used; /* somebody has sent to the own virtual address */

static struct entry *entry_for(struct entry *table, unsigned n, uint64_t cookie, const struct addr *key)
{
    uint64_t words[2];
    memcpy(words, key->ip, sizeof(words));
    uint64_t h = (words[0] ^ words[1] * 31 ^ cookie * 0x9e3779b97f4a7c15ull ^ (uint64_t)key->port << 17) * 0xff51afd7ed558ccdull;
    return &table[(h >> 32) % n];
}

/* False: not known, or no longer good. */
static bool entry_get(const struct entry *e, uint64_t cookie, const struct addr *key, struct addr *value, int *status)
{
    struct entry copy;
    uint32_t before = __atomic_load_n(&e->seq, __ATOMIC_ACQUIRE);
    if (before == 0 || before & 1)
        return false;
    memcpy(&copy, e, sizeof(copy));
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&e->seq, __ATOMIC_RELAXED) != before || copy.cookie != cookie || !addr_eq(&copy.key, key) ||
        sys_millis() >= copy.until)
        return false;
    *value = copy.value;
    *status = copy.status;
    return true;
}

/* Best effort, as fdtable_put(). */
static void entry_put(struct entry *e, uint64_t cookie, const struct addr *key, const struct addr *value, int status, int64_t life)
{
    uint32_t seq = __atomic_load_n(&e->seq, __ATOMIC_RELAXED);
    if (seq & 1 || !conn_owner())
        return;
    if (!__atomic_compare_exchange_n(&e->seq, &seq, seq + 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
        return;
    e->cookie = cookie;
    e->key = *key;
    e->value = *value;
    e->status = status;
    e->until = sys_millis() + life;
    __atomic_store_n(&e->seq, seq + 2, __ATOMIC_RELEASE);
}

struct addr udp_own(uint8_t family)
{
    int i = family == 6;
    return __atomic_load_n(&own[i].known, __ATOMIC_ACQUIRE) ? own[i].a : (struct addr){0};
}

static void learn_own(const struct addr *a)
{
    int i = a->family == 6;
    if (!a->family || !conn_owner() || __atomic_load_n(&own[i].known, __ATOMIC_ACQUIRE))
        return;
    own[i].a = *a;
    own[i].a.port = 0;
    __atomic_store_n(&own[i].known, true, __ATOMIC_RELEASE);
}

/* ---- sending ---- */

/* What getsockname says once the socket has a port; the kernel would give it one with the first datagram. */
static struct addr bound_address(int fd)
{
    struct sockaddr_storage ss;
    struct addr a = {0};
    socklen_t len = sizeof(ss);
    if (sys_getsockname(fd, &ss, &len) < 0)
        return a;
    a = addr_from_sockaddr(&ss, len);
    if (!a.family || a.port)
        return a;
    sys_bind(fd, &ss, len); /* to its own address and port 0 */
    len = sizeof(ss);
    return sys_getsockname(fd, &ss, &len) < 0 ? (struct addr){0} : addr_from_sockaddr(&ss, len);
}

/* So that the daemon can have the kernel tell this socket of ICMP errors (daemon/io/mirror.h). */
static void share_port(int fd)
{
    int one = 1;
    sys_setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
}

static int ask_route(int fd, uint64_t cookie, const struct addr *to, bool connects, struct addr *via)
{
    struct ipc_udp_open q = {.connects = connects, .cookie = cookie, .remote = *to};
    struct addr mine;
    if (config_get()->strict) /* mirrors are on another loopback */
        return overlay_covers(to) ? -ENETUNREACH : UDP_PASS;
    if (sys_sockopt_int(fd, SOL_SOCKET, SO_PROTOCOL) != IPPROTO_UDP)
        return overlay_verdict(to) == IPC_NOT_VIRTUAL ? UDP_PASS : -ENETUNREACH;
    if (to->port != DNS_PORT && overlay_known_real(to) && overlay_verdict(to) == IPC_NOT_VIRTUAL)
        return UDP_PASS;
    q.bound = bound_address(fd);
    if (!to->port || !q.bound.port)
        return UDP_PASS; /* the kernel says what is wrong */
    int status = client_udp_open(&q, via, &mine);
    switch (status) {
    case 0:
        overlay_learn(to, true);
        learn_own(&mine);
        if (connects || sys_sockopt_int(fd, IPPROTO_IP, IP_RECVERR) > 0 || sys_sockopt_int(fd, IPPROTO_IPV6, IPV6_RECVERR) > 0)
            share_port(fd);
        return 0;
    case IPC_DNS:
        dns_used();
        if (connects)
            share_port(fd);
        return 0;
    case IPC_NOT_VIRTUAL:
        overlay_learn(to, false);
        return UDP_PASS;
    case IPC_SELF:
        learn_own(&mine);
        if (!via->family)
            *via = overlay_loopback(to->family, to->port);
        entry_put(entry_for(peers, PEERS, cookie, via), cookie, via, to, 0, SELF_MS);
        __atomic_store_n(&self_used, true, __ATOMIC_RELAXED);
        return 0;
    case CLIENT_DEAD:
        return to->port == DNS_PORT ? -ECONNREFUSED : overlay_known_real(to) ? UDP_PASS : -ENETUNREACH;
    default:
        return -status;
    }
}

static int ask_and_keep(int fd, uint64_t cookie, const struct addr *to, bool connects, struct addr *via)
{
    *via = (struct addr){0};
    int status = ask_route(fd, cookie, to, connects, via);
    explain_addr("datagrams", to,
        status == UDP_PASS    ? "direct"
        : status < 0          ? "overlay, refused"
        : dns_is_server(to)   ? "by the daemon"
                              : "overlay",
        status < 0 ? status : 0);
    if (status >= 0)
        entry_put(entry_for(routes, ROUTES, cookie, to), cookie, to, via, status, GOOD_MS);
    return status;
}

int udp_route(int fd, const struct addr *to, struct addr *via)
{
    uint64_t cookie = sys_cookie(fd);
    int status;
    if (!cookie)
        return UDP_PASS;
    if (entry_get(entry_for(routes, ROUTES, cookie, to), cookie, to, via, &status))
        return status;
    return ask_and_keep(fd, cookie, to, false, via);
}

/* The daemon is told of each: a mirror to which a socket is connected stays longer. */
int udp_connect(int fd, int family, const struct addr *to)
{
    struct sockaddr_storage ss;
    struct addr via;
    int err = ask_and_keep(fd, sys_cookie(fd), to, true, &via);
    if (err)
        return err;
    socklen_t len = overlay_sockaddr(&via, family, &ss);
    return sys_connect(fd, &ss, len);
}

void udp_leave(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    if ((!udp_own(4).family && !udp_own(6).family && !dns_was_used()) || sys_sockopt_int(fd, SOL_SOCKET, SO_TYPE) != SOCK_DGRAM || sys_getpeername(fd, &ss, &len) < 0)
        return;
    struct addr peer = addr_from_sockaddr(&ss, len);
    if (!udp_source(fd, &peer))
        return;
    ss = (struct sockaddr_storage){.ss_family = AF_UNSPEC};
    sys_connect(fd, &ss, sizeof(struct sockaddr_in));
}

/* ---- receiving ---- */

/* What comes from a port of loopback to which this socket has sent under the own virtual address. */
static bool self_source(int fd, struct addr *a)
{
    struct addr virtual;
    uint64_t cookie;
    int status;
    if (!__atomic_load_n(&self_used, __ATOMIC_RELAXED) || !(cookie = sys_cookie(fd)) ||
        !entry_get(entry_for(peers, PEERS, cookie, a), cookie, a, &virtual, &status))
        return false;
    *a = virtual;
    return true;
}

/* What a server gets from a peer it answers next: the daemon, which has delivered it, knows both. */
static void source_found(int fd, struct addr *a, const struct addr *virtual)
{
    uint64_t cookie = sys_cookie(fd);
    struct entry *e = entry_for(routes, ROUTES, cookie, virtual);
    struct addr via;
    int status;
    if (cookie && !entry_get(e, cookie, virtual, &via, &status))
        entry_put(e, cookie, virtual, a, 0, GOOD_MS);
    *a = *virtual;
}

bool udp_source(int fd, struct addr *a)
{
    struct addr virtual = {0}, mine;
    int status;
    if (self_source(fd, a))
        return true;
    if (!overlay_is_mirror(a))
        return false;
    struct entry *e = entry_for(peers, PEERS, 0, a);
    if (!entry_get(e, 0, a, &virtual, &status)) {
        status = client_udp_peer(a, &virtual, &mine);
        if (status == 0)
            learn_own(&mine);
        if (status != CLIENT_DEAD)
            entry_put(e, 0, a, &virtual, status, GOOD_MS);
    }
    if (status == 0)
        source_found(fd, a, &virtual);
    else if (status == IPC_DNS)
        *a = virtual;
    return status == 0 || status == IPC_DNS;
}
