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
void move_ask_again(struct overlay *o)
{
    struct pump *p = o->p;
    o->node_since = p->now;
    if (o->nodes)
        nodes_restart(o->nodes, p->now), sampler_restart(o->sample.sampler, p->now);
    triggers_moved(o->triggers, p->now);
    owners_moved(o->owners, p->now);
    for (struct side *s = o->sides; s; s = s->next)
        peers_uprooted(s->peers, p->now);
    link_moved(o);
}

/* A node to which there is a way from here: the present one if possible. */
static bool find_way(struct overlay *o, struct addr *source)
{
    if (addresses_source(&o->node_addr, source) == 0)
        return true;
    for (unsigned i = 1; i < o->n_configured; i++) {
        unsigned k = (o->node_index + i) % o->n_configured;
        const struct addr *node = &o->configured[k];
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
    struct addr before = o->place;
    char s[ADDR_STR], t[ADDR_STR];
    o->place_dirty = false;
    o->place_at = p->now;
    if (!o->node_addr.family || !find_way(o, &o->place) || addr_eq(&before, &o->place))
        return;
    log_info("host moved from=%s to=%s", before.family ? addr_str(&before, s) : "nowhere", addr_str(&o->place, t));
    move_ask_again(o);
    if (o == o->p->overlays)
        anon_moved(o->p);
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
        uint64_t since = mono_since(o->place_at, p->now);
        if ((o->place_dirty && since >= LOOK_PAUSE_US) || (p->addresses_fd < 0 && since >= LOOK_ANYWAY_US))
            look(o);
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
    for (struct overlay *o = p->overlays; o; o = o->next) {
        o->addresses_dirty = o->place_dirty = true;
        transport_moved(&o->transport, p->now);
    }
}

void move_begin(struct overlay *o)
{
    o->addresses_dirty = true;
    find_way(o, &o->place);
    o->place_at = o->p->now;
}

void move_start(struct pump *p)
{
    p->last_turn = p->now;
    p->addresses_fd = addresses_watch();
    if (p->addresses_fd >= 0)
        p->addresses_entry = fdset_add(p->set, p->addresses_fd, false, on_change, p);
    else
        log_info("changes of addresses are not told here err=%d", p->addresses_fd);
    for (struct overlay *o = p->overlays; o; o = o->next)
        move_begin(o);
}

void move_stop(struct pump *p)
{
    fdset_del(p->set, p->addresses_entry);
    if (p->addresses_fd >= 0)
        close(p->addresses_fd);
}
