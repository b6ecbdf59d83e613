#include "shim/dns.h"

#include <sys/uio.h>

#include "shim/client.h"
#include "shim/config.h"
#include "shim/overlay.h"
#include "shim/readable.h"
#include "shim/sys.h"

static bool used;

bool dns_is_server(const struct addr *to)
{
    return to->port == DNS_PORT && (!addr_is_link_local(to) || addr_scope(to));
}

void dns_used(void)
{
    __atomic_store_n(&used, true, __ATOMIC_RELAXED);
}

bool dns_was_used(void)
{
    return __atomic_load_n(&used, __ATOMIC_RELAXED);
}

static bool name_is_ours(void *ctx, const char *name)
{
    char plain[IPC_NAME_MAX + 1];
    struct addr a;
    (void)ctx;
    if (overlay_name(name, plain) || dns_zone_of(name, config_get()->zones, false))
        return true;
    return dns_parse_reverse(name, &a) && overlay_covers(&a) && overlay_verdict(&a) != IPC_NOT_VIRTUAL;
}

bool dns_is_ours(const struct iovec *v, size_t n)
{
    uint8_t msg[1024]; /* questions come first, and one is at most 271 bytes from the beginning */
    struct writer w = writer_of(msg, sizeof(msg));
    struct dns_question q;
    for (size_t i = 0; i < n && writer_len(&w) < sizeof(msg) && readable(&v[i], sizeof(v[i])); i++) {
        size_t room = sizeof(msg) - writer_len(&w), some = v[i].iov_len < room ? v[i].iov_len : room;
        if (some && !readable(v[i].iov_base, some))
            break;
        put_bytes(&w, v[i].iov_base, some);
    }
    return dns_look(msg, writer_len(&w), config_get()->zones, name_is_ours, NULL, &q) != DNS_THEIRS;
}

bool dns_local(const struct addr *mirror, const struct addr *server, struct addr *local)
{
    struct addr same;
    return dns_is_server(server) && dns_was_used() && client_udp_peer(mirror, &same, local) == IPC_DNS && local->family;
}
