/* pump/shortcut.c - where this daemon is, for peers who would take a shortcut to it: the addresses of the machine, and the one which
 * the node sees. */
#include "daemon/pump/impl.h"
#include "daemon/pump/policy.h"

#include "daemon/base/log.h"
#include "daemon/io/addresses.h"

struct collect {
    struct overlay *o;
    struct path_own own;
    bool at_home; /* one of the machine's addresses is what the node sees */
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
    with_port.port = udp_local(c->o->udp)->port;
    c->at_home |= addr_eq(&with_port, triggers_seen_address(c->o->ring->triggers));
    if (a->family == 4 ? c->own.v4 : c->own.v6)
        offer(&c->own, &with_port);
}

/* The outside address first, as the only one that works from everywhere. */
static void shortcut_look(struct overlay *o)
{
    struct pump *p = o->p;
    const struct addr *local = udp_local(o->udp), *seen = triggers_seen_address(o->ring->triggers);
    struct collect c = {.o = o};
    o->ring->addresses_dirty = false;
    o->ring->addresses_seen = *seen;
    o->ring->nat_seen = triggers_nat(o->ring->triggers);
    c.own.v6 = local->family == 6;
    c.own.v4 = local->family == 4 || addr_is_any(local);
    c.own.loopback = addr_is_loopback(seen) || addr_is_loopback(local);
    offer(&c.own, seen);
    if (addr_is_any(local))
        addresses_each(on_address, &c);
    else
        offer(&c.own, local);
    c.own.nat = c.at_home ? NAT_NONE : o->ring->nat_seen;
    if (memcmp(&c.own, &o->ring->own_addresses, sizeof(c.own)) == 0)
        return;
    o->ring->own_addresses = c.own;
    log_info("addresses offered to peers n=%u", c.own.n);
    for (struct side *s = o->sides; s; s = s->next)
        peers_set_own(s->peers, p->now, &c.own);
}

/* Every turn: something has changed? */
void shortcut_turn(struct overlay *o)
{
    struct pump *p = o->p;
    if (policy_wants_shortcuts(p) && (o->ring->addresses_dirty || !addr_eq(triggers_seen_address(o->ring->triggers), &o->ring->addresses_seen) ||
                                  triggers_nat(o->ring->triggers) != o->ring->nat_seen))
        shortcut_look(o);
}
