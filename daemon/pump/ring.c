/* pump/ring.c - overlays of kind i3: a ring of nodes, of which one is the home node, where our triggers are and to which packets go whose
 * owner is not known (struct ring). What its rooms need beside this: link.c (TCP), nodes.c, sample.c, shortcut.c, move.c.
 *
 * Without configured nodes the first overlay runs a node in this process; the others wait until they have some.
 */
#include "daemon/pump/impl.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/control/overlay_report.h"
#include "daemon/pump/anon.h"
#include "daemon/pump/lookup.h"

#define HEARD_AGAIN_US (100 * USEC_PER_MSEC) /* how often a node that passes on packets is taken note of */

/* ---- state ---- */

/* Where to bind: as configured; where that is all of IPv4 and a node has an IPv6 address, both families by one socket. The port is the
 * first overlay's. */
static struct addr bind_address(const struct overlay *o)
{
    struct addr a = o->p->config.bind;
    bool any4 = a.family == 4 && addr_ip4(&a) == INADDR_ANY;
    for (unsigned i = 0; any4 && i < o->ring->n_configured; i++)
        if (o->ring->configured[i].family == 6)
            a.family = 6;
    if (o != o->p->overlays)
        a.port = 0;
    return a;
}

int overlay_rebind(struct overlay *o)
{
    struct addr local = bind_address(o);
    return local.family == 4 || udp_local(o->udp)->family == 6 ? 0 : overlay_socket_anew(o, &local);
}

static int i3_open(struct overlay *o, const struct overlay_plan *c, char *why, size_t whylen)
{
    struct pump *p = o->p;
    uint8_t seed[BLAKE2S_LEN];
    struct ring *r = o->ring = calloc(1, sizeof(*r));
    if (!r)
        return -ENOMEM;
    memcpy(r->configured, c->nodes, c->n_nodes * sizeof(*c->nodes));
    r->n_configured = c->n_nodes;
    r->by_config = c->by_config;
    struct addr local = bind_address(o);
    int err = overlay_socket(o, &local, why, whylen);
    if (!err)
        err = link_start(o);
    if (err)
        return err;
    drbg_draw(&p->random, seed, sizeof(seed));
    r->triggers = triggers_new(seed);
    drbg_draw(&p->random, seed, sizeof(seed));
    r->owners = owners_new(seed);
    if (!r->triggers || !r->owners)
        return -ENOMEM;
    drbg_draw(&p->random, seed, sizeof(seed));
    if (!o->anon && r->n_configured && !(r->nodes = nodes_new(r->configured, r->n_configured, p->public_id.b, seed)))
        return -ENOMEM;
    return 0;
}

static int i3_change(struct overlay *o, const struct overlay_plan *c, char *why, size_t whylen)
{
    (void)why;
    (void)whylen;
    o->ring->by_config = c->by_config;
    return overlay_set_nodes(o, c->nodes, c->n_nodes);
}

static void i3_begin(struct overlay *o)
{
    net_choose_node(o);
    move_begin(o);
}

static void i3_renewed(struct overlay *o)
{
    o->ring->addresses_dirty = true;
}

static void i3_leave(struct overlay *o)
{
    triggers_remove_all(o->ring->triggers, o->p->now, &o->out);
}

static void i3_close(struct overlay *o)
{
    struct ring *r = o->ring;
    if (!r)
        return;
    link_stop(o);
    node_pump_stop(r->node);
    triggers_free(r->triggers);
    owners_free(r->owners);
    nodes_free(r->nodes);
    sampler_free(r->sample.sampler);
    free(r);
    o->ring = NULL;
}

static int i3_side_up(struct side *s)
{
    struct ring *r = s->o->ring;
    peers_set_owners(s->peers, r->owners);
    peers_set_node(s->peers, &r->node_addr);
    if (r->own_addresses.n)
        peers_set_own(s->peers, s->o->p->now, &r->own_addresses);
    return 0;
}

/* ---- ids of ours: triggers ---- */

static int i3_announce(struct overlay *o, const struct i3_id *id, unsigned bits, const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN],
    unsigned flags)
{
    return trigger_add(o->ring->triggers, o->p->now, id, bits, priv, pub, NULL, 0, flags);
}

static void i3_withdraw(struct overlay *o, const struct i3_id *id, unsigned bits)
{
    trigger_remove(o->ring->triggers, o->p->now, id, bits, &o->out);
}

static bool i3_stands(const struct overlay *o, const struct i3_id *id)
{
    struct trigger_info t;
    for (unsigned i = 0; triggers_info(o->ring->triggers, i, &t); i++)
        if (!memcmp(&t.id, id, sizeof(*id)))
            return t.state == TRIGGER_STANDING || t.state == TRIGGER_REFRESHING;
    return false;
}

static bool i3_ready(const struct overlay *o)
{
    return triggers_all_standing(o->ring->triggers);
}

/* ---- packets in ---- */

static void not_present_in(struct overlay *o, const struct addr *from, uint8_t *data, size_t len)
{
    struct pump *p = o->p;
    struct wire_not_present np;
    if (!owners_has(o->ring->owners, from) || not_present_decode(data, len, &np) < 0) {
        p->count.packets_bad++;
        return;
    }
    lookup_not_present(o, &np);
    for (struct side *s = o->sides; s; s = s->next)
        peers_not_present(s->peers, p->now, p->wall, &np);
    join_not_present(o, &np);
    triggers_doubt(o->ring->triggers, p->now); /* the node may have lost ours as well */
}

static void trigger_in(struct overlay *o, const struct addr *from, uint8_t *data, size_t len)
{
    struct pump *p = o->p;
    if (triggers_input(o->ring->triggers, p->now, from, data, len) < 0)
        p->count.packets_bad++;
    else
        transport_heard(&o->ring->transport, p->now, from);
}

/* That of a trigger; or we send faster than the node's operator allows, which it says once. */
static void refused_in(struct overlay *o, const struct addr *from, uint8_t *data, size_t len)
{
    struct pump *p = o->p;
    struct wire_refused r;
    if (refused_decode(data, len, &r) || r.reason != REFUSED_RATE)
        trigger_in(o, from, data, len);
    else
        p->count.slowed++;
}

/* Who owns an id, for a packet or for a trigger of ours; and whether a node lives. */
static void owner_in(struct overlay *o, const struct addr *from, uint8_t *data, size_t len)
{
    struct pump *p = o->p;
    bool ours = owners_input(o->ring->owners, p->now, from, data, len) == 0;
    if (!ours && o->ring->nodes)
        ours = nodes_input(o->ring->nodes, p->now, from, data, len) == 0 || sampler_input(o->ring->sample.sampler, p->now, from, data, len) == 0;
    if (ours)
        transport_heard(&o->ring->transport, p->now, from);
    else if (transport_input(&o->ring->transport, p->now, from, data, len) < 0)
        trigger_in(o, from, data, len);
}

void net_packet_in(void *ctx, const struct addr *from, uint8_t *data, size_t len)
{
    static void (*const handler[16])(struct overlay *, const struct addr *, uint8_t *, size_t) = {
        [WIRE_DATA] = net_data_in,
        [WIRE_NOT_PRESENT] = not_present_in,
        [WIRE_CHALLENGE] = trigger_in,
        [WIRE_ACK] = trigger_in,
        [WIRE_REFUSED] = refused_in,
        [WIRE_BATCH] = trigger_in,
        [WIRE_OWNER] = owner_in,
        [WIRE_PONG] = owner_in,
    };
    struct overlay *o = ctx;
    unsigned kind = wire_kind(data, len);
    if (handler[kind])
        handler[kind](o, from, data, len);
    else
        o->p->count.packets_bad++; /* and not a word to strangers */
    if (outbox_is_tight(&o->out))
        net_flush(o);
}


static bool i3_receive(struct overlay *o)
{
    o->udp_ready = o->udp_ready && udp_recv(o->udp, net_packet_in, o);
    return link_recv(o) || o->udp_ready;
}

static bool i3_pending(const struct overlay *o)
{
    return o->udp_ready || o->ring->streams_ready;
}

static void i3_heard(struct overlay *o, const struct addr *from)
{
    struct ring *r = o->ring;
    mono_t now = o->p->now;
    triggers_delivered(r->triggers, now, from);
    if (mono_since(r->transport.heard, now) > HEARD_AGAIN_US && owners_has(r->owners, from))
        transport_heard(&r->transport, now, from);
}

/* ---- packets out ---- */

static const struct addr *i3_way(struct overlay *o, const struct i3_id *id)
{
    return owners_node(o->ring->owners, id);
}

static void i3_send(struct overlay *o)
{
    link_send(o);
    if (o->out.n)
        udp_send(o->udp, &o->out, net_send_failed, o);
}

static void i3_sent(struct overlay *o)
{
    transport_used(&o->ring->transport, o->p->now);
}

static const struct streams_stats *i3_by_tcp(const struct overlay *o)
{
    return o->ring->streams ? streams_stats(o->ring->streams) : NULL;
}

/* ---- time ---- */

static void i3_turn(struct overlay *o)
{
    link_turn(o);
    net_choose_node(o);
    sample_turn(o);
    shortcut_turn(o);
}

static void i3_output(struct overlay *o)
{
    struct ring *r = o->ring;
    mono_t now = o->p->now;
    owners_output(r->owners, now, &o->out);
    if (r->nodes && mono_due(nodes_deadline(r->nodes), now))
        nodes_output(r->nodes, now, &o->out);
    if (r->nodes && mono_due(sampler_deadline(r->sample.sampler), now))
        sampler_output(r->sample.sampler, now, &o->out);
}

static void i3_output_last(struct overlay *o)
{
    struct ring *r = o->ring;
    if (outbox_is_tight(&o->out))
        net_flush(o);
    if (r->node_addr.family && mono_due(triggers_deadline(r->triggers), o->p->now))
        triggers_output(r->triggers, o->p->now, &o->out);
}

static mono_t i3_deadline(const struct overlay *o)
{
    const struct ring *r = o->ring;
    mono_t at = r->node_addr.family ? triggers_deadline(r->triggers) : MONO_NEVER;
    at = mono_min(at, owners_deadline(r->owners));
    if (r->nodes)
        at = mono_min(at, mono_min(nodes_deadline(r->nodes), sampler_deadline(r->sample.sampler)));
    return mono_min(at, link_deadline(o));
}

static void i3_doubt(struct overlay *o)
{
    triggers_doubt(o->ring->triggers, o->p->now);
    transport_doubt(&o->ring->transport, o->p->now);
}

/* ---- the node ---- */

enum { NODE_SILENCE_US = 6000000 };

static void set_home(struct overlay *o, const struct addr *node)
{
    struct pump *p = o->p;
    char s[ADDR_STR];
    o->ring->node_addr = *node;
    o->ring->node_since = p->now;
    if (node->family && !o->anon)
        log_info("node address=%s%s%s%s", addr_str(node, s), o->ring->node ? " embedded" : "", *o->name ? " overlay=" : "", o->name);
    for (struct side *side = o->sides; side; side = side->next)
        peers_set_node(side->peers, node);
    if (o->ring->nodes)
        sampler_set_home(o->ring->sample.sampler, p->now, node);
    transport_home(&o->ring->transport, p->now, node);
}

void net_set_home(struct overlay *o, const struct addr *node)
{
    struct pump *p = o->p;
    set_home(o, node);
    owners_set_home(o->ring->owners, node);
    triggers_set_node(o->ring->triggers, p->now, node);
}

/* What is known of other nodes stays true, as long as they are reached as before. */
static void use_node(struct overlay *o, const struct addr *node, bool old_lives)
{
    struct pump *p = o->p;
    struct addr way = transport_way(&o->ring->transport, node);
    if (!o->ring->node_addr.family || o->ring->node_addr.via != way.via) {
        net_set_home(o, &way);
        return;
    }
    set_home(o, &way);
    owners_change_home(o->ring->owners, p->now, &way, old_lives);
    triggers_change_node(o->ring->triggers, p->now, &way, old_lives);
}

/* No node configured: the first daemon of a machine runs one on the well-known port, the others use it, and whoever notices
 * that it is gone takes its place. */
static void use_local_node(struct overlay *o)
{
    struct pump *p = o->p;
    struct addr local = addr_v4(INADDR_LOOPBACK, CONFIG_DEFAULT_PORT);
    int err = o->ring->node ? -EALREADY : node_pump_start(&o->ring->node, p->loop, &local, NULL, NULL);
    if (err && err != -EADDRINUSE && err != -EALREADY)
        log_error("node embedded start failed err=%d", err);
    use_node(o, &local, false);
}

void net_drawn_node(struct overlay *o, const struct addr *node)
{
    use_node(o, node, false);
}

void net_use_node(struct overlay *o, unsigned i)
{
    struct pump *p = o->p;
    nodes_prefer(o->ring->nodes, p->now, i);
    o->ring->node_index = i;
    use_node(o, &o->ring->configured[i], false);
}

/* Another one when the present one has been silent for long. */
static void choose_by_silence(struct overlay *o)
{
    struct pump *p = o->p;
    mono_t heard = triggers_last_answer(o->ring->triggers);
    if (o->ring->node_addr.family && o->ring->node)
        return;
    bool silent = !triggers_all_standing(o->ring->triggers) && mono_since(o->ring->node_since, p->now) > NODE_SILENCE_US &&
                  (heard.us == MONO_NEVER.us || mono_since(heard, p->now) > NODE_SILENCE_US);
    if (o->ring->node_addr.family && !silent && !owners_home_silent(o->ring->owners, p->now))
        return;
    if (o->anon)
        anon_choose_node(o);
    else if (!o->ring->nodes && o == o->p->overlays)
        use_local_node(o);
    else if (o->ring->nodes)
        net_use_node(o, (o->ring->node_index + 1) % o->ring->n_configured);
}

/* The nearest that answers (i3/nodes.h), where it is measured: by UDP. */
static void choose_by_distance(struct overlay *o)
{
    struct pump *p = o->p;
    mono_t used = owners_home_used(o->ring->owners);
    if (!triggers_all_standing(o->ring->triggers))
        nodes_used(o->ring->nodes, p->now);
    else if (used.us && mono_since(used, p->now) < USEC_PER_SEC)
        nodes_used(o->ring->nodes, used);
    unsigned i = nodes_choice(o->ring->nodes);
    if (o->ring->node_addr.family && i == o->ring->node_index)
        return;
    bool old_lives = o->ring->node_addr.family && nodes_lives(o->ring->nodes, o->ring->node_index);
    o->ring->node_index = i;
    use_node(o, &o->ring->configured[i], old_lives);
}

void net_leave_node(struct overlay *o)
{
    net_set_home(o, &(struct addr){0});
}

void net_choose_node(struct overlay *o)
{
    if (o->ring->nodes && o->ring->node_addr.via == ADDR_UDP)
        choose_by_distance(o);
    else
        choose_by_silence(o);
}

/* ---- an instance for an anonymous program ---- */

/* No node is measured, no private id moves nearer, the way of every packet is by the node. */
static int hidden_up(struct overlay *o)
{
    triggers_set_private(o->ring->triggers);
    o->wall = drbg_u64(&o->p->random) >> 16; /* no clock: microseconds of nothing, greater each time */
    anon_choose_node(o);
    return 0;
}

static int hidden_side_up(struct side *s)
{
    peers_set_node(s->peers, &s->o->ring->node_addr);
    return 0;
}

static const struct addr *hidden_way(struct overlay *o, const struct i3_id *id)
{
    (void)id;
    return &o->ring->node_addr;
}

static void hidden_turn(struct overlay *o)
{
    link_turn(o);
    if (anon_fades(o))
        return;
    net_choose_node(o);
    o->stood |= i3_stands(o, &o->sides->session_id);
}

static void hidden_output_last(struct overlay *o)
{
    if (!anon_fades(o))
        i3_output_last(o);
}

static mono_t hidden_deadline(const struct overlay *o)
{
    return anon_fades(o) ? MONO_NEVER : i3_deadline(o);
}

/* ---- looking in ---- */

static void i3_describe(struct overlay *o, struct report_overlay *out)
{
    const struct ring *r = o->ring;
    out->source = r->by_config ? NODES_OF_CONFIG : r->n_configured ? NODES_OF_FILE : NODES_OF_NOBODY;
    out->node = r->node_addr;
    out->embedded = r->node;
    out->nodes = r->nodes;
    out->transport = transport_name(&r->transport);
    out->transport_why = transport_why(&r->transport);
    out->triggers = r->triggers;
}

static const char *i3_path(struct overlay *o, const struct peer_info *info, char *out)
{
    return report_path(info, &o->ring->node_addr, transport_why(&o->ring->transport), out);
}

static const char *i3_silence(struct overlay *o, const uint8_t key[KEY_LEN])
{
    (void)key;
    if (!o->ring->nodes)
        return "no answer: no overlay node is configured, so only users of this machine can be reached: i3ctl nodes add HOST:PORT, or i3ctl join CODE";
    return triggers_all_standing(o->ring->triggers) ? NULL : "no answer: the overlay node cannot be reached";
}

const struct overlay_kind overlay_kind_i3 = {
    .name = "i3",
    .named = true,
    .shortcuts = true,
    .open = i3_open,
    .up = sample_start,
    .change = i3_change,
    .begin = i3_begin,
    .renewed = i3_renewed,
    .leave = i3_leave,
    .close = i3_close,
    .side_up = i3_side_up,
    .rekeyed = sample_restart,
    .replaced = sample_replaced,
    .announce = i3_announce,
    .withdraw = i3_withdraw,
    .stands = i3_stands,
    .ready = i3_ready,
    .way = i3_way,
    .receive = i3_receive,
    .pending = i3_pending,
    .send = i3_send,
    .full = link_is_full,
    .by_tcp = i3_by_tcp,
    .heard = i3_heard,
    .sent = i3_sent,
    .turn = i3_turn,
    .output = i3_output,
    .output_last = i3_output_last,
    .deadline = i3_deadline,
    .doubt = i3_doubt,
    .look = move_look,
    .moved = move_ring_again,
    .addresses = move_addresses,
    .describe = i3_describe,
    .path = i3_path,
    .silence = i3_silence,
};

const struct overlay_kind overlay_kind_hidden = {
    .name = "i3",
    .open = i3_open,
    .up = hidden_up,
    .close = i3_close,
    .side_up = hidden_side_up,
    .announce = i3_announce,
    .withdraw = i3_withdraw,
    .stands = i3_stands,
    .ready = i3_ready,
    .way = hidden_way,
    .receive = i3_receive,
    .pending = i3_pending,
    .send = i3_send,
    .full = link_is_full,
    .by_tcp = i3_by_tcp,
    .heard = i3_heard,
    .sent = i3_sent,
    .turn = hidden_turn,
    .output = i3_output,
    .output_last = hidden_output_last,
    .deadline = hidden_deadline,
    .doubt = i3_doubt,
    .moved = move_ring_again,
    .describe = i3_describe,
    .path = i3_path,
    .silence = i3_silence,
};
