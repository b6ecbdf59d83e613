/* worker.c - datagrams by the train, and who does what to them: see node.h on looking and acting. */
#include "daemon/node/inside.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

enum { SLOT_US = 100000, READY_TRIGGERS = 64 };

/* ---- life ---- */

static uint32_t share(const struct node *n, uint32_t per_s)
{
    return per_s / n->config.workers ? per_s / n->config.workers : per_s;
}

int workers_new(struct node *n, mono_t now)
{
    n->worker = calloc(n->config.workers, sizeof(*n->worker));
    if (!n->worker)
        return -ENOMEM;
    for (unsigned i = 0; i < n->config.workers; i++) {
        struct worker *w = &n->worker[i];
        w->slot = now;
        limit_init(&w->errors, now, share(n, n->config.errors_per_s));
        limit_init(&w->proofs, now, share(n, n->config.proofs_per_s));
        limit_init(&w->proofs_busy, now, share(n, n->config.proofs_busy_per_s));
    }
    return 0;
}

void workers_free(struct node *n)
{
    for (unsigned i = 0; n->worker && i < n->config.workers; i++) {
        x25519_key_free(n->worker[i].key[0]);
        x25519_key_free(n->worker[i].key[1]);
        crypto_wipe(&n->worker[i], sizeof(n->worker[i]));
    }
    free(n->worker);
    n->worker = NULL;
}

/* Two epochs that are accepted at one time have numbers of different parity. */
static struct x25519_key *prepared(struct worker *w, const struct epoch *e)
{
    unsigned i = e->number & 1;
    if (!w->key[i] || memcmp(w->key_pub[i], e->pub, KEY_LEN)) {
        x25519_key_free(w->key[i]);
        w->key[i] = x25519_key_new(e->priv);
        memcpy(w->key_pub[i], e->pub, KEY_LEN);
        crypto_wipe(w->agreed[i], sizeof(w->agreed[i]));
    }
    return w->key[i];
}

/* ---- limits ---- */

void worker_forwarded(struct visit *v, unsigned n)
{
    v->worker->forwarded += n;
}

/* More than NODE_BUSY a second, over one or two slots. */
static bool is_busy(struct worker *w, mono_t now)
{
    uint64_t since = mono_since(w->slot, now);
    if (since >= SLOT_US) {
        w->before = since < 2 * SLOT_US ? w->forwarded : 0;
        w->forwarded = 0;
        w->slot = now;
    }
    return w->forwarded + w->before > NODE_BUSY * SLOT_US / USEC_PER_SEC;
}

static bool may_prove(struct visit *v)
{
    struct worker *w = v->worker;
    uint32_t source = store_source_hash(v->node->store, v->from);
    if (limit_take(is_busy(w, v->now) ? &w->proofs_busy : &w->proofs, v->now, source))
        return true;
    w->stats.rate_limited++;
    return false;
}

static struct agreed *agreed_place(struct worker *w, const struct epoch *e, const uint8_t pub[KEY_LEN])
{
    uint32_t at;
    memcpy(&at, pub, sizeof(at));
    return &w->agreed[e->number & 1][at % AGREED];
}

int worker_agree(struct visit *v, const struct epoch *e, const uint8_t pub[KEY_LEN], struct proof_key *out)
{
    struct x25519_key *mine = prepared(v->worker, e);
    const struct agreed *a = agreed_place(v->worker, e, pub);
    if (a->used && memcmp(a->pub, pub, KEY_LEN) == 0) {
        *out = a->key;
        return 0;
    }
    return may_prove(v) ? proof_key_at_node(out, mine, pub, e->pub) : -EBUSY;
}

void worker_agreed(struct visit *v, const struct epoch *e, const uint8_t pub[KEY_LEN], const struct proof_key *key)
{
    struct agreed *a = agreed_place(v->worker, e, pub);
    a->used = true;
    a->key = *key;
    memcpy(a->pub, pub, KEY_LEN);
}

bool node_may_complain(struct visit *v)
{
    if (limit_take(&v->worker->errors, v->now, store_source_hash(v->node->store, v->from)))
        return true;
    v->worker->stats.rate_limited++;
    return false;
}

/* ---- replies ---- */

void node_reply(struct visit *v, const uint8_t *p, size_t len)
{
    if (v->answers && len <= v->len) {
        batch_add(v->answers, p, len);
        return;
    }
    uint8_t *room = len <= v->len ? outbox_alloc(v->out, len) : NULL;
    if (!room)
        return;
    memcpy(room, p, len);
    outbox_push(v->out, v->from, room, len);
}

void node_refuse(struct visit *v, enum refused_reason reason, uint64_t seq)
{
    uint8_t p[REFUSED_LEN];
    v->worker->stats.refused++;
    v->worker->stats.full += reason == REFUSED_FULL;
    if (node_may_complain(v))
        node_reply(v, p, refused_encode(p, sizeof(p), &(struct wire_refused){(uint8_t)reason, seq}));
}

/* How many datagrams of the train its source may have handled; those behind are dropped. */
static void limit_source(struct visit *v, struct train_in *t)
{
    unsigned n = (unsigned)((t->len + t->size - 1) / t->size);
    bool tell;
    t->counted = true;
    unsigned got = rates_take(&v->node->sources, store_source_hash(v->node->store, v->from), v->now, n, &tell);
    if (got == n)
        return;
    if (tell)
        node_slow_down(v);
    v->worker->stats.in += n - got;
    v->worker->stats.source_drops += n - got;
    t->len = got * t->size;
}

void node_slow_down(struct visit *v)
{
    uint8_t p[REFUSED_LEN];
    struct wire_refused f = {.reason = REFUSED_RATE};
    if (wire_kind(v->p, v->len) == WIRE_DATA && v->len >= DATA_HEADER_LEN) {
        struct reader r = reader_of(v->p + DATA_FIXED_LEN, 8);
        f.seq = get_u64(&r);
    }
    if (node_may_complain(v))
        node_reply(v, p, refused_encode(p, sizeof(p), &f));
}

/* ---- datagrams ---- */

enum { SPARED_US = 30000000 };

/* A member of the ring, whose mac was right, passes on what others send. */
static void on_ring(struct visit *v)
{
    struct node *n = v->node;
    struct ring_stats before, after;
    if (!n->sources.full_at || !n->cluster) {
        cluster_on_ring(v);
        return;
    }
    ring_stats(cluster_ring(n->cluster), &before);
    cluster_on_ring(v);
    ring_stats(cluster_ring(n->cluster), &after);
    if (after.bad == before.bad)
        rates_spare(&n->sources, store_source_hash(n->store, v->from), mono_add(v->now, SPARED_US));
}

static void on_ping(struct visit *v)
{
    uint8_t nonce[NONCE_LEN], p[PING_LEN];
    if (ping_decode(v->p, v->len, WIRE_PING, nonce))
        v->worker->stats.bad++;
    else if (!node_lingers(v->node))
        node_reply(v, p, ping_encode(p, sizeof(p), WIRE_PONG, nonce));
}

static void on_bad(struct visit *v)
{
    v->worker->stats.bad++;
}

/* May it be looked at, or is it a deed at once? */
struct kind {
    void (*take)(struct visit *);
    bool look;
};

/* DATA is not here: it comes in runs. */
static const struct kind on_kind[16] = {
    [0] = {on_bad, true},
    [WIRE_DATA] = {on_bad, true},
    [WIRE_INSERT] = {insert_ask, true},
    [WIRE_CHALLENGE] = {on_bad, true},
    [WIRE_PROVE] = {insert_prove, true},
    [WIRE_ACK] = {on_bad, true},
    [WIRE_REFRESH] = {insert_refresh, true},
    [WIRE_NOT_PRESENT] = {on_bad, true},
    [WIRE_PING] = {on_ping, true},
    [WIRE_PONG] = {on_bad, true},
    [WIRE_REFUSED] = {on_bad, true},
    [WIRE_RING] = {on_ring, false},
    [WIRE_LOOKUP] = {cluster_on_lookup, false},
    [WIRE_OWNER] = {on_bad, true},
    [WIRE_BATCH] = {batch_take, false},
    [15] = {on_bad, true},
};

void worker_later(struct visit *v, const struct proof_key *proven)
{
    struct worker *w = v->worker;
    struct deed *d = &w->deed[w->n_deeds++];
    d->from = *v->from;
    d->p = v->p;
    d->len = v->len;
    d->ecn = v->ecn;
    d->proven = proven;
    if (proven)
        d->key = *proven;
}

/* One datagram, or several of DATA with one header; how many of the `all` bytes at v->p. */
static size_t take(struct visit *v, size_t all, size_t size)
{
    unsigned kind = wire_kind(v->p, v->len);
    size_t used = v->len;
    if (kind == WIRE_DATA)
        used = forward_data(v, all, size);
    else if (v->looking && !on_kind[kind].look)
        worker_later(v, NULL);
    else
        on_kind[kind].take(v);
    return used;
}

static void take_front(struct visit *v, struct train_in *t)
{
    v->p = t->p;
    v->len = t->len < t->size ? t->len : t->size;
    if (!v->from->family || !v->from->port || !v->len) {
        v->worker->stats.in++;
        v->worker->stats.bad++;
        t->len = 0;
        return;
    }
    if (v->node->sources.full_at && !t->counted) {
        limit_source(v, t);
        if (!t->len)
            return;
        v->len = t->len < t->size ? t->len : t->size;
    }
    size_t used = take(v, t->len, t->size);
    v->worker->stats.in += used > v->len ? (used + t->size - 1) / t->size : 1;
    t->p += used;
    t->len -= used;
}

void node_look(struct node *n, unsigned i, mono_t now, struct train_in *t, struct outbox *out)
{
    struct worker *w = &n->worker[i];
    struct visit v = {.node = n, .worker = w, .now = now, .from = &t->from, .out = out, .ecn = t->ecn, .looking = n->config.workers > 1};
    do
        take_front(&v, t);
    while (t->len && w->n_deeds < NODE_DEEDS && !outbox_is_tight(out));
}

unsigned node_deeds(const struct node *n, unsigned i)
{
    return n->worker[i].n_deeds - n->worker[i].done;
}

void node_act(struct node *n, unsigned i, mono_t now, struct outbox *out)
{
    struct worker *w = &n->worker[i];
    for (; w->done < w->n_deeds && !outbox_is_tight(out); w->done++) {
        struct deed *d = &w->deed[w->done];
        struct visit v = {.node = n, .worker = w, .now = now, .from = &d->from, .p = d->p, .len = d->len, .out = out, .ecn = d->ecn,
            .proven = d->proven ? &d->key : NULL};
        take(&v, d->len, d->len);
        if (d->proven)
            crypto_wipe(&d->key, sizeof(d->key));
    }
    if (w->done == w->n_deeds)
        w->done = w->n_deeds = 0;
}

void node_input(struct node *n, mono_t now, const struct addr *from, uint8_t *p, size_t len, struct outbox *out)
{
    struct train_in t = {.from = *from, .p = p, .len = len, .size = len};
    struct visit v = {.node = n, .worker = &n->worker[0], .now = now, .from = from, .out = out};
    node_expire(n, now); /* what has expired must not match, however late the timer is */
    take_front(&v, &t);
}

enum { AT_ID = 4 }; /* of INSERT, PROVE and REFRESH */

/* The ids that a datagram will have looked up, as far as there is room for them; nothing is believed of it but its length. */
static unsigned ids_of(const uint8_t *p, size_t len, const struct i3_id **id, unsigned room)
{
    unsigned kind = wire_kind(p, len), n = 0;
    if (kind == WIRE_DATA && len >= DATA_HEADER_LEN && room)
        id[n++] = (const struct i3_id *)(p + DATA_FIXED_LEN);
    else if ((kind == WIRE_PROVE || kind == WIRE_REFRESH) && len >= REFRESH_LEN && room)
        id[n++] = (const struct i3_id *)(p + AT_ID);
    for (size_t at = BATCH_HEADER_LEN + 2; kind == WIRE_BATCH && at + REFRESH_LEN <= len && n < room; at += 2 + REFRESH_LEN)
        id[n++] = (const struct i3_id *)(p + at + AT_ID);
    return n;
}

/* A few need no reading ahead; but already a thousand lie on a thousand pages of the table, which the TLB does not hold. */
void node_ready(const struct node *n, const struct train_in *t, unsigned trains)
{
    const struct i3_id *id[STORE_READY_MAX];
    unsigned k = 0;
    if (store_count(n->store) < READY_TRIGGERS)
        return;
    for (unsigned i = 0; i < trains && k < STORE_READY_MAX; i++)
        k += ids_of(t[i].p, t[i].len, id + k, STORE_READY_MAX - k);
    store_ready(n->store, id, k);
}

/* ---- counts ---- */

static_assert(offsetof(struct node_stats, triggers) % sizeof(uint64_t) == 0, "all counts before it");

void node_stats(const struct node *n, struct node_stats *out)
{
    *out = n->stats;
    for (unsigned i = 0; i < n->config.workers; i++) {
        const uint64_t *from = &n->worker[i].stats.in;
        for (size_t k = 0; k < offsetof(struct node_stats, triggers) / sizeof(uint64_t); k++)
            (&out->in)[k] += from[k];
    }
    out->triggers = store_count(n->store);
}
