/* pump/move.c - this host has moved to another network, or was asleep. Triggers, the way to each peer and the choice of the node all
 * hang on where we are, so they are told at once, instead of each finding out by silence.
 *
 * Where we are is the address from which packets to the node leave: it changes with interfaces, addresses and routes, of which the
 * kernel tells. Sleep is a turn that comes much too late, since the clock goes on in it and the timer is never set further than a
 * second ahead.
 */
#include "daemon/pump/impl.h"

#include <unistd.h>

#include "daemon/base/log.h"
#include "daemon/io/addresses.h"

enum { SLEPT_US = 5000000, LOOK_PAUSE_US = 20000, LOOK_ANYWAY_US = 1000000 };

/* What is outstanding was asked elsewhere, or long ago, and says nothing of those who were asked. */
static void ask_all_again(struct pump *p)
{
    p->node_since = p->now;
    if (p->nodes)
        nodes_restart(p->nodes, p->now), sampler_restart(p->sample.sampler, p->now);
    triggers_moved(p->triggers, p->now);
    owners_moved(p->owners, p->now);
    for (struct side *s = p->sides; s; s = s->next)
        peers_uprooted(s->peers, p->now);
    link_moved(p);
}

/* A node to which there is a way from here: the present one if possible. */
static bool find_way(struct pump *p, struct addr *source)
{
    if (addresses_source(&p->node_addr, source) == 0)
        return true;
    for (unsigned i = 1; i < p->config.n_nodes; i++) {
        unsigned k = (p->node_index + i) % p->config.n_nodes;
        const struct addr *node = &p->config.nodes[k];
        if (node->family == 6 && udp_local(p->udp)->family == 4)
            continue;
        if (addresses_source(node, source) == 0) {
            net_use_node(p, k);
            return true;
        }
    }
    *source = (struct addr){0};
    return false;
}

static void look(struct pump *p)
{
    struct addr before = p->place;
    char s[ADDR_STR], t[ADDR_STR];
    p->place_dirty = false;
    p->place_at = p->now;
    if (!p->node_addr.family || !find_way(p, &p->place) || addr_eq(&before, &p->place))
        return;
    log_info("host moved from=%s to=%s", before.family ? addr_str(&before, s) : "nowhere", addr_str(&p->place, t));
    ask_all_again(p);
}

void move_turn(struct pump *p)
{
    mono_t before = p->last_turn;
    bool anyway = p->addresses_fd < 0 && mono_since(p->place_at, p->now) >= LOOK_ANYWAY_US;
    p->last_turn = p->now;
    if ((p->place_dirty && mono_since(p->place_at, p->now) >= LOOK_PAUSE_US) || anyway)
        look(p);
    if (mono_since(before, p->now) > SLEPT_US) {
        log_info("host slept s=%u", (unsigned)(mono_since(before, p->now) / USEC_PER_SEC));
        ask_all_again(p);
        for (struct side *s = p->sides; s; s = s->next)
            peers_woke(s->peers, before, p->now);
    }
}

static void on_change(void *ctx, uint32_t events)
{
    struct pump *p = ctx;
    (void)events;
    addresses_drain(p->addresses_fd);
    p->addresses_dirty = p->place_dirty = true;
    transport_moved(&p->transport, p->now);
}

void move_start(struct pump *p)
{
    p->last_turn = p->now;
    p->addresses_fd = addresses_watch();
    if (p->addresses_fd >= 0)
        p->addresses_entry = fdset_add(p->set, p->addresses_fd, false, on_change, p);
    else
        log_info("changes of addresses are not told here err=%d", p->addresses_fd);
    p->addresses_dirty = true;
    find_way(p, &p->place);
    p->place_at = p->now;
}

void move_stop(struct pump *p)
{
    fdset_del(p->set, p->addresses_entry);
    if (p->addresses_fd >= 0)
        close(p->addresses_fd);
}
