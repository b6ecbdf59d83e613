/* pump/move.c - this host has moved to another network, or was asleep. Triggers, the way to each peer and the choice of the node all
 * hang on where we are, so they are told at once, instead of each finding out by silence.
 *
 * Where we are is the address from which packets to the node leave: it changes with interfaces, addresses and routes, of which the
 * kernel tells. Sleep is a turn that comes much too late, since the clock goes on in it and the timer is never set further than a
 * second ahead.
 */
#include "daemon/pump/anon.h"

#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/io/addresses.h"

enum { SLEPT_US = 5000000, LOOK_PAUSE_US = 20000, LOOK_ANYWAY_US = 1000000 };

/* What is outstanding was asked elsewhere, or long ago, and says nothing of those who were asked. */
void move_ring_again(struct overlay *o)
{
    struct pump *p = o->p;
    o->ring->node_since = p->now;
    if (o->ring->nodes)
        nodes_restart(o->ring->nodes, p->now), sampler_restart(o->ring->sample.sampler, p->now);
    triggers_moved(o->ring->triggers, p->now);
    owners_moved(o->ring->owners, p->now);
    link_moved(o);
}

void move_ask_again(struct overlay *o)
{
    for (struct side *s = o->sides; s; s = s->next)
        peers_uprooted(s->peers, o->p->now);
    o->kind->moved(o);
}

/* A node to which there is a way from here: the present one if possible. */
static bool find_way(struct overlay *o, struct addr *source)
{
    if (addresses_source(&o->ring->node_addr, source) == 0)
        return true;
    for (unsigned i = 1; i < o->ring->n_configured; i++) {
        unsigned k = (o->ring->node_index + i) % o->ring->n_configured;
        const struct addr *node = &o->ring->configured[k];
        if (node->family == 6 && udp_local(o->udp)->family == 4)
            continue;
        if (addresses_source(node, source) == 0) {
            net_use_node(o, k);
            return true;
        }
    }
    *source = (struct addr){0};
    return false;
}

static void look(struct overlay *o)
{
    struct pump *p = o->p;
    struct addr before = o->ring->place;
    char s[ADDR_STR], t[ADDR_STR];
    o->ring->place_dirty = false;
    o->ring->place_at = p->now;
    if (!o->ring->node_addr.family || !find_way(o, &o->ring->place) || addr_eq(&before, &o->ring->place))
        return;
    log_info("host moved from=%s to=%s", before.family ? addr_str(&before, s) : "nowhere", addr_str(&o->ring->place, t));
    move_ask_again(o);
    if (o == o->p->overlays)
        anon_moved(o->p);
}

void move_look(struct overlay *o, bool anyway)
{
    uint64_t since = mono_since(o->ring->place_at, o->p->now);
    if ((o->ring->place_dirty && since >= LOOK_PAUSE_US) || (anyway && since >= LOOK_ANYWAY_US))
        look(o);
}

void move_addresses(struct overlay *o)
{
    o->ring->addresses_dirty = o->ring->place_dirty = true;
    transport_moved(&o->ring->transport, o->p->now);
}

void move_turn(struct pump *p)
{
    mono_t before = p->last_turn;
    bool slept = mono_since(before, p->now) > SLEPT_US;
    p->last_turn = p->now;
    if (slept)
        log_info("host slept s=%u", (unsigned)(mono_since(before, p->now) / USEC_PER_SEC));
    if (slept)
        anon_moved(p);
    for (struct overlay *o = p->overlays; o; o = o->next) {
        o->kind->look(o, p->addresses_fd < 0);
        if (!slept)
            continue;
        move_ask_again(o);
        for (struct side *s = o->sides; s; s = s->next)
            peers_woke(s->peers, before, p->now);
    }
}

static void on_change(void *ctx, uint32_t events)
{
    struct pump *p = ctx;
    (void)events;
    addresses_drain(p->addresses_fd);
    for (struct overlay *o = p->overlays; o; o = o->next)
        o->kind->addresses(o);
}

void move_begin(struct overlay *o)
{
    o->ring->addresses_dirty = true;
    find_way(o, &o->ring->place);
    o->ring->place_at = o->p->now;
}

void move_start(struct pump *p)
{
    p->last_turn = p->now;
    p->addresses_fd = addresses_watch();
    if (p->addresses_fd >= 0)
        p->addresses_entry = fdset_add(p->set, p->addresses_fd, false, on_change, p);
    else
        log_info("changes of addresses are not told here err=%d", p->addresses_fd);
}

void move_stop(struct pump *p)
{
    fdset_del(p->set, p->addresses_entry);
    if (p->addresses_fd >= 0)
        close(p->addresses_fd);
}
