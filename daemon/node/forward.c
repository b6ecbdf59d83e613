/* forward.c - the way of a DATA packet through the node (paper sections 2 and 2.1).
 *
 * The usual packet matches one trigger with an address: its hop count is lowered in place and it is pushed by
 * reference. A stack of one id is written over ids[0] in place; a longer one, and every stack among multicast
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
    struct node_stats *st = &j->v->node->stats;
    st->forwarded++;
    st->copies += j->sent++ > 0;
}

static void not_present(struct journey *j, const struct copy *c)
{
    j->v->node->stats.not_present++;
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
        j->v->node->stats.loops++;
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

/* The only trigger that matches: c goes out, or is changed to be looked up again (true). */
static bool follow_one(struct journey *j, const struct trigger *t, struct copy *c)
{
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
    n->stats.relayed++;
    send_to(j, to, c);
    return true;
}

static void travel(struct journey *j, struct copy c)
{
    struct store *store = j->v->node->store;
    for (;;) {
        if (!c.p[AT_HOPS] || !j->lookups) {
            j->v->node->stats.loops++;
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

void forward_data(struct visit *v)
{
    struct wire_data d;
    if (data_decode(v->p, v->len, &d)) {
        v->node->stats.bad++;
        return;
    }
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
}
