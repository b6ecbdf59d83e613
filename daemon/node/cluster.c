#include "daemon/node/cluster.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/node/inside.h"

enum {
    COPIES_AT_ONCE = 256,
    TOLD_AT_ONCE = 64,
    COPY_LEN = 5 + ADDR_WIRE_LEN + ID_LEN,
    COPY_PAUSE = 2000,
    BATCH_PAUSE = 5000,
    YOUNG_US = 10000000,
};

/* A host that waits to hear who owns a prefix. */
struct ask {
    struct addr from; /* family 0: free */
    uint64_t nonce;
    uint8_t prefix[ID_PREFIX_LEN];
    uint16_t generation;
};

/* Triggers on their way to another node: all that it should have. */
struct transfer {
    struct ring_contact to; /* family 0: none under way */
    uint32_t cursor;
    bool ours; /* those we own, to the successor; else those which the predecessor owns */
};

struct cluster {
    struct ring *ring;
    struct ask ask[CLUSTER_ASKS];
    unsigned next_ask;
    struct transfer transfer[2]; /* to the predecessor, to the successor */
    ring_pos predecessor;
    bool leaving;
    mono_t young_until;  /* so long what is ours may still be on its way to us */
    mono_t shrunk_until; /* and so long triggers live here that are others' */
    mono_t transfers_at, batch_at;
    uint8_t batch[RING_PAYLOAD_MAX]; /* copies for the successor */
    size_t batched;
};

struct cluster *cluster_new(const struct ring_config *config, mono_t now)
{
    struct cluster *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->transfers_at = c->batch_at = MONO_NEVER;
    c->young_until = mono_add(now, YOUNG_US);
    c->ring = ring_new(config, now);
    if (c->ring) {
        c->predecessor = ring_self(c->ring)->pos; /* all that is round the ring */
        return c;
    }
    free(c);
    return NULL;
}

void cluster_free(struct cluster *c)
{
    if (!c)
        return;
    ring_free(c->ring);
    free(c);
}

const struct ring *cluster_ring(const struct cluster *c)
{
    return c ? c->ring : NULL;
}

struct ring *cluster_members(struct cluster *c)
{
    return c->ring;
}

mono_t cluster_deadline(const struct cluster *c)
{
    return c ? mono_min(ring_deadline(c->ring), mono_min(c->transfers_at, c->batch_at)) : MONO_NEVER;
}

/* ---- who owns it ---- */

static void tell_owner(struct outbox *out, const struct ask *a, const struct addr *owner)
{
    struct wire_owner o = {.nonce = a->nonce, .seconds = CLUSTER_OWNER_S};
    uint8_t *p = outbox_alloc(out, OWNER_LEN);
    if (owner)
        o.owner = *owner;
    else
        o.flags = OWNER_SELF, o.owner = addr_v4(0, 0);
    memcpy(o.prefix, a->prefix, ID_PREFIX_LEN);
    if (p && owner_encode(p, OWNER_LEN, &o))
        outbox_push(out, &a->from, p, OWNER_LEN);
}

static bool is_ours(const struct cluster *c, const uint8_t prefix[ID_PREFIX_LEN])
{
    return !c || (ring_may_own(c->ring, ring_pos_of(prefix)) && !ring_has_left(c->ring));
}

static struct ask ask_of(const struct visit *v, const uint8_t prefix[ID_PREFIX_LEN], uint64_t nonce)
{
    struct ask a = {.from = *v->from, .nonce = nonce};
    memcpy(a.prefix, prefix, ID_PREFIX_LEN);
    v->node->stats.lookups++;
    return a;
}

/* Another node's: the ring is asked whose. */
static void look_up(struct visit *v, struct ask a)
{
    struct cluster *c = v->node->cluster;
    const struct ring_contact *heir = ring_has_left(c->ring) ? ring_successor(c->ring, 0) : NULL;
    if (heir)
        tell_owner(v->out, &a, &heir->addr);
    if (ring_has_left(c->ring))
        return;
    unsigned slot = c->next_ask % CLUSTER_ASKS;
    struct ask *place = &c->ask[slot];
    if (!limit_take(&v->node->lookups, v->now, store_source_hash(v->node->store, v->from))) {
        v->node->stats.rate_limited++;
        return;
    }
    a.generation = (uint16_t)(place->generation + 1);
    if (ring_find(c->ring, v->now, ring_pos_of(a.prefix), (uint64_t)a.generation << 16 | slot, v->out))
        return; /* the host asks again */
    *place = a;
    c->next_ask++;
}

void cluster_on_lookup(struct visit *v)
{
    uint64_t nonce;
    uint8_t prefix[ID_PREFIX_LEN];
    if (lookup_decode(v->p, v->len, &nonce, prefix)) {
        v->node->stats.bad++;
        return;
    }
    struct ask a = ask_of(v, prefix, nonce);
    if (is_ours(v->node->cluster, prefix))
        tell_owner(v->out, &a, NULL);
    else
        look_up(v, a);
}

bool cluster_redirect(struct visit *v, const struct i3_id *id, uint64_t nonce)
{
    if (is_ours(v->node->cluster, id->b))
        return false;
    look_up(v, ask_of(v, id->b, nonce));
    return true;
}

bool cluster_is_elsewhere(const struct node *n, const struct i3_id *id)
{
    return !is_ours(n->cluster, id->b);
}

bool cluster_passes_on(const struct node *n, const struct i3_id *id)
{
    return n->cluster && !ring_owns(n->cluster->ring, ring_pos_of(id->b));
}

static void found(struct cluster *c, const struct ring_event *e, struct outbox *out)
{
    struct ask *a = &c->ask[e->token % CLUSTER_ASKS];
    if (!a->from.family || a->generation != (uint16_t)(e->token >> 16))
        return;
    bool self = e->contact.pos == ring_self(c->ring)->pos;
    if (e->kind == RING_EV_FOUND)
        tell_owner(out, a, self ? NULL : &e->contact.addr);
    a->from.family = 0;
}

/* Ours, and yet nothing is here: what the one who had it before us is still handing over, it has. Also what comes here while we go. */
static const struct addr *holder(const struct visit *v, const struct i3_id *id)
{
    const struct cluster *c = v->node->cluster;
    const struct ring_contact *successor = ring_successor(c->ring, 0);
    bool elsewhere = (c->leaving || !mono_due(c->young_until, v->now)) && successor && !addr_eq(&successor->addr, v->from);
    return elsewhere && !store_match(v->node->store, id).first ? &successor->addr : NULL;
}

/* Not ours, and yet it may be answered for here: a trigger that was inserted here before the range became another, and has not
 * expired; or, while it is not clear whose it is, a copy. */
static bool serves(const struct visit *v, const struct i3_id *id)
{
    const struct cluster *c = v->node->cluster;
    bool orphaned = !ring_predecessor(c->ring);
    if (!orphaned && mono_due(c->shrunk_until, v->now))
        return false;
    const struct trigger *t = store_match(v->node->store, id).first;
    return t && (orphaned || !(t->flags & TRIGGER_COPY));
}

const struct addr *cluster_next(struct visit *v, const struct i3_id *id)
{
    const struct node *n = v->node;
    struct ring *r = n->cluster->ring;
    ring_pos pos = ring_pos_of(id->b);
    if (ring_owns(r, pos))
        return holder(v, id);
    if (serves(v, id))
        return NULL;
    const struct ring_contact *next = ring_next(r, v->now, pos, v->out);
    if (next && !ring_knows(r, v->now, pos) && limit_take(&v->node->lookups, v->now, store_source_hash(n->store, v->from)))
        ring_learn(r, v->now, pos, v->out);
    return next ? &next->addr : NULL;
}

/* ---- copies ---- */

/*     0      1      2      4           24           56
 *   +------+------+------+--- ... ---+--- ... ---+---- ... ----+
 *   | flags| plen | secs | owner (20)| id (32)   | n, n * 32   |
 *   +------+------+------+--- ... ---+--- ... ---+---- ... ----+ */
static void put_copy(struct writer *w, const struct store *s, const struct trigger *t, unsigned seconds)
{
    put_u8(w, t->flags & INSERT_FLAGS);
    put_u8(w, t->plen);
    put_u16(w, (uint16_t)seconds);
    put_addr(w, &t->owner);
    put_bytes(w, t->id.b, ID_LEN);
    put_u8(w, t->n);
    uint8_t *ids = put_span(w, (size_t)t->n * ID_LEN);
    if (ids)
        store_stack(s, t, ids);
}

/* A connection leads nowhere from another node: its host is told of that one or notices that the connection ends, and goes there
 * itself. */
static bool is_for_all(const struct trigger *t)
{
    return t->owner.via == ADDR_UDP;
}

static size_t copy_len(const struct trigger *t)
{
    return COPY_LEN + (size_t)t->n * ID_LEN;
}

/* The successor is told of many at once. */
static void flush_batch(struct node *n, struct outbox *out)
{
    struct cluster *c = n->cluster;
    const struct ring_contact *to = ring_successor(c->ring, 0);
    if (c->batched && to)
        ring_send_triggers(c->ring, to, (struct bytes){c->batch, c->batched}, out);
    c->batched = 0;
    c->batch_at = MONO_NEVER;
}

void cluster_copy(struct visit *v, const struct trigger *t, unsigned seconds)
{
    struct node *n = v->node;
    struct cluster *c = n->cluster;
    if (!c || !t || !ring_successor(c->ring, 0) || !is_for_all(t))
        return;
    if (c->batched + copy_len(t) > sizeof(c->batch))
        flush_batch(n, v->out);
    if (!c->batched)
        c->batch_at = mono_add(v->now, BATCH_PAUSE);
    struct writer w = writer_of(c->batch + c->batched, sizeof(c->batch) - c->batched);
    put_copy(&w, n->store, t, seconds);
    c->batched += writer_len(&w);
    n->stats.copies_out++;
}

/* Its id is left in `of`. */
static void take_copy(struct node *n, mono_t now, struct reader *r, struct i3_id *of)
{
    struct addr owner;
    struct i3_id id;
    uint8_t flags = get_u8(r);
    unsigned plen = get_u8(r) + 128u;
    uint16_t seconds = get_u16(r);
    get_addr(r, &owner);
    get_bytes(r, id.b, ID_LEN);
    uint8_t n_ids = get_u8(r);
    const uint8_t *ids = n_ids <= STACK_MAX ? get_span(r, (size_t)n_ids * ID_LEN) : NULL;
    if (!ids || r->failed || plen > 256 || flags & ~INSERT_FLAGS) {
        r->failed = true;
        return;
    }
    *of = id;
    struct trigger *t = store_find(n->store, &id, plen, &owner);
    n->stats.copies_in++;
    if (t && !(t->flags & TRIGGER_COPY)) /* ours is the original */
        return;
    if (!seconds && t)
        store_remove(n->store, t);
    struct proof_key none = {0};
    t = seconds && flags & INSERT_ALONE ? store_other(n->store, &id, plen, &owner, INSERT_ALONE) : NULL;
    if (t && t->flags & TRIGGER_COPY) /* from before the host moved */
        store_remove(n->store, t);
    if (seconds)
        store_put(n->store, now,
            &(struct store_item){&id, plen, &owner, flags | TRIGGER_COPY, n_ids, ids, &none, UINT64_MAX});
}

/* Handed over by the successor, which had it before us: but others have come between by now, and it is theirs. */
static bool goes_on(const struct visit *v, const struct i3_id *id)
{
    const struct ring *r = v->node->cluster->ring;
    const struct ring_contact *p = ring_predecessor(r), *s = ring_successor(r, 0);
    return p && s && p->pos != s->pos && addr_eq(&s->addr, v->from) && !ring_owns(r, ring_pos_of(id->b));
}

static void take_copies(struct visit *v, struct bytes copies)
{
    struct node *n = v->node;
    struct reader r = reader_of(copies.at, copies.len);
    uint8_t further[RING_PAYLOAD_MAX];
    struct writer w = writer_of(further, sizeof(further));
    while (reader_left(&r) && !r.failed) {
        const uint8_t *at = r.at;
        struct i3_id id;
        take_copy(n, v->now, &r, &id);
        if (!r.failed && goes_on(v, &id))
            put_bytes(&w, at, (size_t)(r.at - at));
    }
    if (writer_len(&w))
        ring_send_triggers(n->cluster->ring, ring_predecessor(n->cluster->ring), (struct bytes){further, writer_len(&w)}, v->out);
}

void cluster_on_ring(struct visit *v)
{
    struct node *n = v->node;
    struct bytes copies;
    if (!n->cluster || v->from->via != ADDR_UDP) {
        n->stats.bad++;
        return;
    }
    ring_input(n->cluster->ring, v->now, v->from, v->p, v->len, &copies, v->out);
    if (copies.at)
        take_copies(v, copies);
    cluster_run(n, v->now, v->out);
}

/* ---- transfers ---- */

static void transfer_start(struct cluster *c, mono_t now, bool ours, const struct ring_contact *to)
{
    c->transfer[ours] = (struct transfer){.to = *to, .ours = ours};
    c->transfers_at = now;
}

/* What the other one shall have. */
static bool concerns(const struct cluster *c, const struct transfer *x, const struct trigger *t)
{
    return ring_owns(c->ring, ring_pos_of(t->id.b)) == x->ours;
}

/* The host learns who has its trigger now, as if it had refreshed it: its NAT may let in nobody but us until it has inserted there. */
static void tell_host(const struct trigger *t, const struct addr *owner, struct outbox *out)
{
    struct ask a = {.from = t->owner, .nonce = t->seq};
    memcpy(a.prefix, t->id.b, ID_PREFIX_LEN);
    tell_owner(out, &a, owner);
}

static void transfer_run(struct node *n, struct transfer *x, struct outbox *out)
{
    struct cluster *c = n->cluster;
    uint8_t payload[RING_PAYLOAD_MAX];
    struct writer w = writer_of(payload, sizeof(payload));
    bool for_good = !x->ours || c->leaving;
    unsigned sent = 0, told = 0;
    while (x->to.addr.family && sent < COPIES_AT_ONCE && told < TOLD_AT_ONCE) {
        struct trigger *t = store_next(n->store, &x->cursor);
        bool full = t && writer_len(&w) + copy_len(t) > sizeof(payload);
        if ((!t || full) && writer_len(&w)) {
            ring_send_triggers(c->ring, &x->to, (struct bytes){payload, writer_len(&w)}, out);
            w = writer_of(payload, sizeof(payload));
        }
        if (!t) {
            x->to.addr.family = 0;
        } else if (concerns(c, x, t)) {
            if (is_for_all(t)) {
                put_copy(&w, n->store, t, n->config.lifetime_s);
                sent++;
            }
            if (for_good && !(t->flags & TRIGGER_COPY)) {
                tell_host(t, &x->to.addr, out);
                told++;
            }
        }
    }
    if (writer_len(&w))
        ring_send_triggers(c->ring, &x->to, (struct bytes){payload, writer_len(&w)}, out);
    n->stats.copies_out += sent;
}

/* ---- time ---- */

/* Whoever shall have what, now that we own another range. */
static void range_changed(struct node *n, mono_t now, const struct ring_contact *predecessor)
{
    struct cluster *c = n->cluster;
    const struct ring_contact *successor = ring_successor(c->ring, 0);
    bool grown = !ring_between(c->predecessor, predecessor->pos, ring_self(c->ring)->pos);
    c->predecessor = predecessor->pos;
    if (!grown)
        c->shrunk_until = mono_add(now, n->config.lifetime_s * USEC_PER_SEC);
    if (!grown)
        transfer_start(c, now, false, predecessor);
    else if (successor)
        transfer_start(c, now, true, successor);
}

static void on_events(struct node *n, mono_t now, struct outbox *out)
{
    struct cluster *c = n->cluster;
    struct ring_event e;
    while (ring_poll(c->ring, &e)) {
        switch (e.kind) {
        case RING_EV_FOUND:
        case RING_EV_LOST:
            found(c, &e, out);
            break;
        case RING_EV_RANGE:
            range_changed(n, now, &e.contact);
            break;
        case RING_EV_SUCCESSOR:
            if (e.contact.addr.family)
                transfer_start(c, now, true, &e.contact);
            break;
        }
    }
}

void cluster_run(struct node *n, mono_t now, struct outbox *out)
{
    struct cluster *c = n->cluster;
    if (!c)
        return;
    if (mono_due(ring_deadline(c->ring), now))
        ring_expire(c->ring, now, out);
    on_events(n, now, out);
    if (mono_due(c->batch_at, now))
        flush_batch(n, out);
    if (!mono_due(c->transfers_at, now))
        return;
    transfer_run(n, &c->transfer[0], out);
    transfer_run(n, &c->transfer[1], out);
    bool more = c->transfer[0].to.addr.family || c->transfer[1].to.addr.family;
    c->transfers_at = more ? mono_add(now, COPY_PAUSE) : MONO_NEVER;
}

bool cluster_leave(struct node *n, mono_t now, struct outbox *out)
{
    struct cluster *c = n->cluster;
    const struct ring_contact *to = c ? ring_successor(c->ring, 0) : NULL;
    if (c && ring_has_left(c->ring))
        return false;
    if (to && !c->leaving)
        transfer_start(c, now, true, to);
    if (!to)
        return false;
    c->leaving = true;
    transfer_run(n, &c->transfer[1], out);
    if (c->transfer[1].to.addr.family)
        return true;
    ring_leave(c->ring, now, out);
    return false;
}
