/* pump_shortcut.c - where this daemon is, for peers who would take a shortcut to it: the addresses of the machine, and the one which
 * the node sees. */
#include "daemon/pump_impl.h"

#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/io/addresses.h"

struct collect {
    struct pump *p;
    struct path_own own;
};

static void offer(struct path_own *own, const struct addr *a)
{
    for (unsigned i = 0; i < own->n; i++)
        if (addr_eq(a, &own->addr[i]))
            return;
    if (a->family && a->port && a->via == ADDR_UDP && own->n < OFFER_MAX)
        own->addr[own->n++] = *a;
}

static void on_address(void *ctx, const struct addr *a)
{
    struct collect *c = ctx;
    struct addr with_port = *a;
    with_port.port = udp_local(c->p->udp)->port;
    if (a->family == 4 ? c->own.v4 : c->own.v6)
        offer(&c->own, &with_port);
}

/* The outside address first, as the only one that works from everywhere. */
static void shortcut_look(struct pump *p)
{
    const struct addr *local = udp_local(p->udp), *seen = triggers_seen_address(p->triggers);
    struct collect c = {.p = p};
    p->addresses_dirty = false;
    p->addresses_seen = *seen;
    c.own.v6 = local->family == 6;
    c.own.v4 = local->family == 4 || addr_is_any(local);
    c.own.loopback = addr_is_loopback(seen) || addr_is_loopback(local);
    offer(&c.own, seen);
    if (addr_is_any(local))
        addresses_each(on_address, &c);
    else
        offer(&c.own, local);
    if (memcmp(&c.own, &p->own_addresses, sizeof(c.own)) == 0)
        return;
    p->own_addresses = c.own;
    log_info("addresses offered to peers n=%u", c.own.n);
    peers_set_own(p->peers, p->now, &c.own);
}

static void on_change(void *ctx, uint32_t events)
{
    struct pump *p = ctx;
    (void)events;
    addresses_drain(p->addresses_fd);
    p->addresses_dirty = true;
    transport_moved(&p->transport, p->now);
}

/* Every turn: something has changed? */
void shortcut_turn(struct pump *p)
{
    if (p->config.shortcut && (p->addresses_dirty || !addr_eq(triggers_seen_address(p->triggers), &p->addresses_seen)))
        shortcut_look(p);
}

void shortcut_start(struct pump *p)
{
    p->addresses_fd = -1;
    if (!p->config.shortcut)
        return;
    p->addresses_fd = addresses_watch();
    if (p->addresses_fd >= 0)
        p->addresses_entry = fdset_add(p->set, p->addresses_fd, false, on_change, p);
    else
        log_info("changes of addresses are not told here err=%d", p->addresses_fd);
    shortcut_look(p);
}

void shortcut_stop(struct pump *p)
{
    fdset_del(p->set, p->addresses_entry);
    if (p->addresses_fd >= 0)
        close(p->addresses_fd);
}
