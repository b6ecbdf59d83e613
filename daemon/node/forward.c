/* forward.c - the way of a DATA packet through the node (paper sections 2 and 2.1).
 *
 * The usual packet matches one trigger with an address: its hop count is lowered in place and it is pushed by
 * reference, together with those behind it in its train which bear the same header. A stack of one id is written over ids[0] in place; a longer one, and every stack among multicast
 * copies, makes a copy in the outbox's arena. Copies that still have to be looked up wait in a list.
 *
 * Bounds for one datagram: fanout_max copies in all, waiting ones included, LOOKUPS_MAX look-ups, one
 * NOT_PRESENT.
 */
#include "daemon/node/inside.h"

enum { LOOKUPS_MAX = 256 };

struct copy {
    uint8_t *p;
    size_t len;
};

struct journey {
    struct visit *v;
    unsigned copies, lookups; /* still allowed */
    unsigned sent;
    bool complained;
    struct copy waiting[OUTBOX_HEADROOM / 2];
    unsigned n_waiting;
};

enum { AT_HOPS = 2, AT_N = 3 };

static void send_to(struct journey *j, const struct addr *to, const struct copy *c)
{
    if (!outbox_push(j->v->out, to, c->p, c->len))
        return;
    struct node_stats *st = &j->v->worker->stats;
    outbox_set_ecn(j->v->out, j->v->ecn);
    worker_forwarded(j->v, 1);
    st->forwarded++;
    st->copies += j->sent++ > 0;
}

static void not_present(struct journey *j, const struct copy *c)
{
    j->v->worker->stats.not_present++;
    if (j->complained || !node_may_complain(j->v))
        return;
    j->complained = true;
    struct wire_data d;
    struct wire_not_present np = {0};
    uint8_t p[NOT_PRESENT_MIN_LEN + NOT_PRESENT_ECHO];
    if (data_decode(c->p, c->len, &d))
        return;
    memcpy(np.id.b, d.ids, ID_LEN);
    np.echo_len = d.payload_len < NOT_PRESENT_ECHO ? (uint8_t)d.payload_len : NOT_PRESENT_ECHO;
    memcpy(np.echo, d.payload, np.echo_len);
    node_reply(j->v, p, not_present_encode(p, sizeof(p), &np));
}

/* c with ids[0] replaced by the trigger's stack, built in the arena. False: too deep, too long, or no room.
 */
static bool restack(struct journey *j, const struct trigger *t, const struct copy *c, struct copy *out)
{
    unsigned n = c->p[AT_N] - 1u + t->n;
    size_t rest = c->len - DATA_HEADER_LEN;
    out->len = DATA_FIXED_LEN + (size_t)t->n * ID_LEN + rest;
    if (n > STACK_MAX || out->len > WIRE_MAX_LEN) {
        j->v->worker->stats.loops++;
        return false;
    }
    out->p = outbox_alloc(j->v->out, out->len);
    if (!out->p)
        return false;
    memcpy(out->p, c->p, DATA_FIXED_LEN);
    out->p[AT_N] = (uint8_t)n;
    store_stack(j->v->node->store, t, out->p + DATA_FIXED_LEN);
    memcpy(out->p + DATA_FIXED_LEN + (size_t)t->n * ID_LEN, c->p + DATA_HEADER_LEN, rest);
    return true;
}

/* How many of n packets to that trigger may pass; `v` is at the first of them. */
static unsigned pass(struct visit *v, const struct trigger *t, unsigned n)
{
    struct node *node = v->node;
    bool tell;
    if (!node->targets.full_at || !t)
        return n;
    unsigned got = rates_take(&node->targets, store_index(node->store, t), v->now, n, &tell);
    if (got < n && tell)
        node_slow_down(v);
    v->worker->stats.trigger_drops += n - got;
    return got;
}

/* The only trigger that matches: c goes out, or is changed to be looked up again (true). */
static bool follow_one(struct journey *j, const struct trigger *t, struct copy *c)
{
    if (!pass(j->v, t, 1))
        return false;
    if (t->n == 0) {
        send_to(j, &t->owner, c);
        return false;
    }
    if (t->n == 1) {
        store_stack(j->v->node->store, t, c->p + DATA_FIXED_LEN);
        return true;
    }
    struct copy next;
    if (!restack(j, t, c, &next))
        return false;
    *c = next;
    return true;
}

/* Several match. Address targets share c's bytes, which therefore nobody changes any more. */
static void follow_all(struct journey *j, struct trie_match m, const struct copy *c)
{
    j->copies++; /* c itself, which ends here */
    for (const struct trigger *t = m.first; t && j->copies;
         t = store_match_next(j->v->node->store, t, m.bits)) {
        if (!pass(j->v, t, 1))
            continue;
        if (t->n == 0) {
            send_to(j, &t->owner, c);
            j->copies--;
        } else if (restack(j, t, c, &j->waiting[j->n_waiting])) {
            j->n_waiting++;
            j->copies--;
        }
    }
}

/* Another node's: it goes one node further. While its owner may be dead, a copy of the trigger here will do. */
static bool relay(struct journey *j, const struct copy *c)
{
    struct node *n = j->v->node;
    const struct i3_id *id = (const struct i3_id *)(c->p + DATA_FIXED_LEN);
    const struct addr *to = n->cluster ? cluster_next(j->v, id) : NULL;
    if (!to)
        return false;
    j->v->worker->stats.relayed++;
    send_to(j, to, c);
    return true;
}

static void travel(struct journey *j, struct copy c)
{
    struct store *store = j->v->node->store;
    for (;;) {
        if (!c.p[AT_HOPS] || !j->lookups) {
            j->v->worker->stats.loops++;
            return;
        }
        c.p[AT_HOPS]--;
        j->lookups--;
        if (relay(j, &c))
            return;
        struct trie_match m = store_match(store, (const struct i3_id *)(c.p + DATA_FIXED_LEN));
        if (!m.first) {
            not_present(j, &c);
            return;
        }
        if (store_match_next(store, m.first, m.bits)) {
            follow_all(j, m, &c);
            return;
        }
        if (!follow_one(j, m.first, &c))
            return;
    }
}

/* Where all that bears this header goes, if that is one address and nothing else is to be done; by which trigger, NULL: by another node. */
static const struct addr *only_target(struct visit *v, const struct wire_data *d, const struct trigger **by)
{
    const struct i3_id *id = (const struct i3_id *)d->ids;
    *by = NULL;
    if (!d->hops)
        return NULL;
    const struct addr *next = !v->node->cluster || v->looking ? NULL : cluster_next(v, id);
    if (next)
        return next;
    struct trie_match m = store_match(v->node->store, id);
    if (!m.first || m.first->n || store_match_next(v->node->store, m.first, m.bits))
        return NULL;
    *by = m.first;
    return &m.first->owner;
}

/* How many bytes of the train from p on are datagrams with one header, of d->n ids. */
static size_t run_of(const uint8_t *p, const struct wire_data *d, size_t all, size_t size)
{
    size_t at = size, most = all < TRAIN_BYTES ? all : TRAIN_BYTES, header = DATA_FIXED_LEN + (size_t)d->n * ID_LEN;
    for (unsigned n = 1; at < all && n < TRAIN_SEGMENTS; n++) {
        size_t len = all - at < size ? all - at : size;
        if (len < header || at + len > most || memcmp(p, p + at, DATA_HEADER_LEN))
            break;
        at += len;
    }
    return at;
}

static size_t forward_run(struct visit *v, const struct wire_data *d, const struct addr *to, const struct trigger *by, size_t all,
    size_t size)
{
    size_t len = v->len < size || all == v->len ? v->len : run_of(v->p, d, all, size);
    uint8_t hops = (uint8_t)(d->hops - 1);
    unsigned n = 0;
    for (size_t at = 0; at < len; at += size, n++)
        v->p[at + AT_HOPS] = hops;
    unsigned may = pass(v, by, n);
    if (may && outbox_push_train(v->out, to, v->p, may < n ? may * size : len, size, v->ecn)) {
        n = may;
        v->worker->stats.forwarded += n;
        v->worker->stats.relayed += by ? 0 : n;
        worker_forwarded(v, n);
    }
    return len;
}

/* While only reading: no packet that may go to another node, or change on its way here and then do so; and what finds nothing may find a
 * trigger that is about to be stored. */
static bool is_deed(const struct visit *v, const struct wire_data *d, const struct addr *only)
{
    const struct node *n = v->node;
    const struct i3_id *id = (const struct i3_id *)d->ids;
    if (cluster_passes_on(n, id) || (n->cluster && !only))
        return true;
    return v->worker->n_deeds && !store_match(n->store, id).first;
}

size_t forward_data(struct visit *v, size_t all, size_t size)
{
    struct wire_data d;
    if (data_decode(v->p, v->len, &d)) {
        v->worker->stats.bad++;
        return v->len;
    }
    const struct trigger *by;
    const struct addr *to = only_target(v, &d, &by);
    if (v->looking && is_deed(v, &d, to)) {
        worker_later(v, NULL);
        return v->len;
    }
    if (to)
        return forward_run(v, &d, to, by, all, size);
    struct journey j;
    j.v = v;
    j.copies = v->node->config.fanout_max - 1;
    j.lookups = LOOKUPS_MAX;
    j.sent = 0;
    j.complained = false;
    j.n_waiting = 0;
    travel(&j, (struct copy){v->p, v->len});
    while (j.n_waiting)
        travel(&j, j.waiting[--j.n_waiting]);
    return v->len;
}
