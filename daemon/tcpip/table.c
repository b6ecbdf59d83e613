/* Connections by four-tuple and by slot, TIME_WAIT, paths. All tables are chained, of power-of-two size, keyed. */
#include "daemon/tcpip/engine.h"

#include <stdlib.h>
#include <string.h>

enum { TABLE_FIRST = 64 };

uint64_t engine_random(struct tcpip *t)
{
    t->random++;
    return hash_words(&t->key, t->random, ~t->random);
}

static uint64_t tuple_hash(const struct hash_key *k, const struct tuple *w)
{
    return hash_words(k, (uint64_t)w->local << 32 | w->remote,
        (uint64_t)w->v6 << 32 | (uint64_t)w->local_port << 16 | w->remote_port);
}

static bool tuple_eq(const struct tuple *a, const struct tuple *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

/* RFC 6528: a clock of 4 µs plus a keyed hash of the four-tuple. */
uint32_t engine_isn(struct tcpip *t, const struct tuple *who)
{
    if (t->isn_fixed)
        return t->isn;
    return (uint32_t)(t->now / 4) + (uint32_t)tuple_hash(&t->isn_key, who);
}

/* Makes a table of n chains; false when out of memory. */
static void *table_alloc(struct tcpip *t, uint32_t n)
{
    void *v = calloc(n, sizeof(void *));
    if (v)
        t->memory += n * sizeof(void *);
    return v;
}

static void table_drop(struct tcpip *t, void *v, uint32_t n)
{
    if (v)
        t->memory -= n * sizeof(void *);
    free(v);
}

static void table_resize(struct tcpip *t, uint32_t n)
{
    struct conn **v = table_alloc(t, n);
    if (!v)
        return; /* longer chains, no harm else */
    for (uint32_t i = 0; t->buckets && i <= t->mask; i++) {
        for (struct conn *c = t->buckets[i], *next; c; c = next) {
            next = c->chain;
            c->chain = v[c->hash & (n - 1)];
            v[c->hash & (n - 1)] = c;
        }
    }
    table_drop(t, t->buckets, t->mask + 1);
    t->buckets = v;
    t->mask = n - 1;
}

struct conn *table_find(struct tcpip *t, const struct tuple *who)
{
    if (t->last && tuple_eq(&t->last->who, who))
        return t->last;
    if (!t->buckets)
        return NULL;
    uint64_t h = tuple_hash(&t->key, who);
    for (struct conn *c = t->buckets[h & t->mask]; c; c = c->chain) {
        if (tuple_eq(&c->who, who))
            return t->last = c;
    }
    return NULL;
}

struct conn *table_get(const struct tcpip *t, struct tcp_ref ref)
{
    if (ref.slot >= t->n_slots || t->slots[ref.slot].generation != ref.generation)
        return NULL;
    return t->slots[ref.slot].conn;
}

static bool slots_grow(struct tcpip *t)
{
    if (t->free_slot != UINT32_MAX)
        return true;
    uint32_t n = t->n_slots ? t->n_slots * 2 : 16;
    struct slot *v = realloc(t->slots, n * sizeof(*v));
    if (!v)
        return false;
    t->memory += (n - t->n_slots) * sizeof(*v);
    for (uint32_t i = t->n_slots; i < n; i++)
        v[i] = (struct slot){NULL, 0, i + 1 < n ? i + 1 : UINT32_MAX};
    t->free_slot = t->n_slots;
    t->slots = v;
    t->n_slots = n;
    return true;
}

/* One count for all slots, so that an array given back and taken anew never revives a reference. */
static uint32_t slot_generation(struct tcpip *t)
{
    t->generation += 1 + (t->generation == UINT32_MAX); /* never 0: a zeroed reference is always stale */
    return t->generation;
}

static void slot_take(struct tcpip *t, struct conn *c)
{
    uint32_t i = t->free_slot;
    struct slot *s = &t->slots[i];
    t->free_slot = s->next_free;
    s->conn = c;
    s->generation = slot_generation(t);
    c->ref = (struct tcp_ref){i, s->generation};
}

void table_forget_ref(struct tcpip *t, struct conn *c)
{
    c->ref.generation = t->slots[c->ref.slot].generation = slot_generation(t);
}

struct conn *table_new(struct tcpip *t, const struct tuple *who)
{
    if (t->conns >= t->cfg.conns_max || !memory_admits(t) || !slots_grow(t) || !heap_reserve(&t->heap, t->conns + 1, &t->memory))
        return NULL;
    if (!t->buckets || t->conns > t->mask)
        table_resize(t, t->buckets ? 2 * (t->mask + 1) : TABLE_FIRST);
    struct path *p = t->buckets ? path_get(t, who->remote, true) : NULL;
    struct conn *c = p ? calloc(1, sizeof(*c)) : NULL;
    if (!c) {
        if (p)
            path_put(t, p);
        return NULL;
    }
    t->memory += sizeof(*c);
    t->conns++;
    c->who = *who;
    c->heap.place = HEAP_NONE;
    for (int i = 0; i < TIMERS; i++)
        c->timer[i] = UINT64_MAX;
    c->hash = tuple_hash(&t->key, who);
    c->chain = t->buckets[c->hash & t->mask];
    t->buckets[c->hash & t->mask] = c;
    c->path = p;
    list_add(&p->conns, &c->on_path);
    p->n_conns++;
    slot_take(t, c);
    return c;
}

void table_unhash(struct tcpip *t, struct conn *c)
{
    if (t->last == c)
        t->last = NULL;
    for (struct conn **at = &t->buckets[c->hash & t->mask]; *at; at = &(*at)->chain) {
        if (*at == c) {
            *at = c->chain;
            return;
        }
    }
}

void table_free(struct tcpip *t, struct conn *c)
{
    table_forget_ref(t, c);
    struct slot *s = &t->slots[c->ref.slot];
    s->conn = NULL;
    s->next_free = t->free_slot;
    t->free_slot = c->ref.slot;
    t->memory -= sizeof(*c);
    t->conns--;
    free(c);
    if (t->conns == 0)
        table_trim(t);
    else if (t->mask >= TABLE_FIRST && t->conns < t->mask / 8)
        table_resize(t, (t->mask + 1) / 2);
}

void table_trim(struct tcpip *t)
{
    table_drop(t, t->buckets, t->mask + 1);
    t->buckets = NULL;
    t->mask = 0;
    t->memory -= t->n_slots * sizeof(*t->slots) + t->heap.cap * sizeof(*t->heap.v);
    free(t->slots);
    t->slots = NULL;
    t->n_slots = 0;
    t->free_slot = UINT32_MAX;
    heap_free(&t->heap);
    t->heap = (struct heap){0};
    for (struct spans *s; (s = t->span_pool);) {
        t->span_pool = s->next;
        t->memory -= sizeof(*s);
        free(s);
    }
    t->span_free = 0;
}

/* ---- TIME_WAIT ---- */

/* They come when connections go. One by one they would settle in the holes which those leave in the heap, and keep ten times
 * their own size from the system for a minute. */
enum { TW_BLOCK = 500 };

struct tw_block {
    struct link with_room;
    struct time_wait *unused; /* by chain */
    uint32_t live;
    struct time_wait v[TW_BLOCK];
};

static struct time_wait *tw_take(struct tcpip *t)
{
    struct link *l = list_first(&t->tw_room);
    struct tw_block *b = l ? LIST_OWNER(l, struct tw_block, with_room) : NULL;
    if (!b) {
        b = calloc(1, sizeof(*b));
        if (!b)
            return NULL;
        t->memory += sizeof(*b);
        for (uint32_t i = 0; i < TW_BLOCK; i++) {
            b->v[i].chain = b->unused;
            b->unused = &b->v[i];
        }
        list_add(&t->tw_room, &b->with_room);
    }
    struct time_wait *w = b->unused;
    b->unused = w->chain;
    if (!b->unused)
        list_remove(&b->with_room);
    b->live++;
    *w = (struct time_wait){.block = b};
    return w;
}

static void tw_give(struct tcpip *t, struct time_wait *w)
{
    struct tw_block *b = w->block;
    if (--b->live == 0) {
        list_remove(&b->with_room);
        t->memory -= sizeof(*b);
        free(b);
        return;
    }
    w->chain = b->unused;
    b->unused = w;
    list_add(&t->tw_room, &b->with_room);
}

static void tw_resize(struct tcpip *t, uint32_t n)
{
    struct time_wait **v = n ? table_alloc(t, n) : NULL;
    if (n && !v)
        return;
    for (uint32_t i = 0; t->tw_buckets && i <= t->tw_mask && n; i++) {
        for (struct time_wait *w = t->tw_buckets[i], *next; w; w = next) {
            next = w->chain;
            uint64_t h = tuple_hash(&t->key, &w->who) & (n - 1);
            w->chain = v[h];
            v[h] = w;
        }
    }
    table_drop(t, t->tw_buckets, t->tw_mask + 1);
    t->tw_buckets = v;
    t->tw_mask = n ? n - 1 : 0;
}

struct time_wait *tw_find(struct tcpip *t, const struct tuple *who)
{
    if (!t->tw_buckets)
        return NULL;
    struct time_wait *w = t->tw_buckets[tuple_hash(&t->key, who) & t->tw_mask];
    while (w && !tuple_eq(&w->who, who))
        w = w->chain;
    return w;
}

void tw_free(struct tcpip *t, struct time_wait *w)
{
    struct time_wait **at = &t->tw_buckets[tuple_hash(&t->key, &w->who) & t->tw_mask];
    while (*at != w)
        at = &(*at)->chain;
    *at = w->chain;
    list_remove(&w->order);
    tw_give(t, w);
    if (--t->n_tw == 0)
        tw_resize(t, 0);
}

void tw_restart(struct tcpip *t, struct time_wait *w)
{
    w->expiry = t->now + t->cfg.time_wait_us;
    list_remove(&w->order);
    list_add(&t->tw_order, &w->order);
}

/* As many as there may be connections; beyond it the oldest goes. */
struct time_wait *tw_add(struct tcpip *t, const struct conn *c)
{
    if (t->n_tw >= t->cfg.conns_max)
        tw_free(t, LIST_OWNER(list_first(&t->tw_order), struct time_wait, order));
    if (!t->tw_buckets || t->n_tw > t->tw_mask)
        tw_resize(t, t->tw_buckets ? 2 * (t->tw_mask + 1) : TABLE_FIRST);
    struct time_wait *w = t->tw_buckets ? tw_take(t) : NULL;
    if (!w)
        return NULL;
    t->n_tw++;
    w->who = c->who;
    w->since = t->now;
    w->snd_nxt = (uint32_t)c->snd_nxt;
    w->rcv_nxt = (uint32_t)conn_rcv_nxt(c);
    w->stamps = c->stamps;
    w->ts_recent = c->ts_recent;
    w->ts_offset = c->ts_offset;
    uint64_t wnd = c->edge > c->in_end ? (c->edge - c->in_end) >> c->rcv_scale : 0;
    w->window = (uint32_t)min64(wnd, 65535);
    struct time_wait **at = &t->tw_buckets[tuple_hash(&t->key, &w->who) & t->tw_mask];
    w->chain = *at;
    *at = w;
    tw_restart(t, w);
    return w;
}

void tw_expire(struct tcpip *t)
{
    for (struct link *l; (l = list_first(&t->tw_order));) {
        struct time_wait *w = LIST_OWNER(l, struct time_wait, order);
        if (w->expiry > t->now)
            return;
        tw_free(t, w);
    }
}

/* ---- paths ---- */

static uint64_t path_hash(const struct tcpip *t, uint32_t remote)
{
    return hash_words(&t->key, remote, 0);
}

static void path_resize(struct tcpip *t, uint32_t n)
{
    struct path **v = n ? table_alloc(t, n) : NULL;
    if (n && !v)
        return;
    for (uint32_t i = 0; t->paths && i <= t->path_mask && n; i++) {
        for (struct path *p = t->paths[i], *next; p; p = next) {
            next = p->chain;
            struct path **at = &v[path_hash(t, p->remote) & (n - 1)];
            p->chain = *at;
            *at = p;
        }
    }
    table_drop(t, t->paths, t->path_mask + 1);
    t->paths = v;
    t->path_mask = n ? n - 1 : 0;
}

static struct path *path_find(const struct tcpip *t, uint32_t remote)
{
    struct path *p = t->paths ? t->paths[path_hash(t, remote) & t->path_mask] : NULL;
    while (p && p->remote != remote)
        p = p->chain;
    return p;
}

/* make: with one more user. */
struct path *path_get(struct tcpip *t, uint32_t remote, bool make)
{
    struct path *p = path_find(t, remote);
    if (p && p->via)
        p = p->via;
    if (!make)
        return p;
    if (!p) {
        if (!t->paths || t->n_paths > t->path_mask)
            path_resize(t, t->paths ? 2 * (t->path_mask + 1) : TABLE_FIRST);
        p = t->paths ? calloc(1, sizeof(*p)) : NULL;
        if (!p)
            return NULL;
        t->memory += sizeof(*p);
        t->n_paths++;
        p->remote = remote;
        p->low = p->low_before = UINT32_MAX;
        list_init(&p->conns);
        list_init(&p->blocked);
        struct path **at = &t->paths[path_hash(t, remote) & t->path_mask];
        p->chain = *at;
        *at = p;
    }
    p->users++;
    return p;
}

void path_put(struct tcpip *t, struct path *p)
{
    if (--p->users > 0 || p->flight_max || p->mtu)
        return;
    struct path **at = &t->paths[path_hash(t, p->remote) & t->path_mask];
    while (*at != p)
        at = &(*at)->chain;
    *at = p->chain;
    t->memory -= sizeof(*p);
    free(p);
    if (--t->n_paths == 0)
        path_resize(t, 0);
}

bool path_set_via(struct tcpip *t, uint32_t remote, uint32_t via)
{
    struct path *p = path_find(t, remote), *leader = via ? path_get(t, via, true) : NULL;
    if (via && !leader)
        return false;
    if (p && p->via) {
        path_put(t, p->via);
        p->via = leader;
    } else if (leader && (p = path_get(t, remote, true))) {
        p->flight_max = p->mtu = 0; /* no setting of its own */
        p->via = leader;
        return true;
    } else if (leader) {
        path_put(t, leader);
        return false;
    } else {
        return true; /* it was none */
    }
    if (!leader)
        path_put(t, p);
    return true;
}

void path_rtt(struct path *p, uint64_t now, uint32_t rtt)
{
    if (now - p->low_at > PATH_FLOOR_US) {
        p->low_before = p->low;
        p->low = UINT32_MAX;
        p->low_at = now;
    }
    if (rtt < p->low)
        p->low = rtt;
}

/* What the peer's socket holds is what arrives between two of its looks at it, which are DRAIN_US apart at most as long as it
 * has anything to do. Where the round trip is shorter than that, all that is in flight may be there; where it is
 * longer, only so much of it, as what goes far is paced. */
uint64_t path_flight_max(const struct path *p)
{
    uint32_t floor = p->low < p->low_before ? p->low : p->low_before;
    if (!p->flight_max)
        return UINT64_MAX;
    return floor == UINT32_MAX || floor < DRAIN_US ? p->flight_max : (uint64_t)p->flight_max * floor / DRAIN_US;
}

/* However many connections there are, what leaves at once stays below what the peer's socket holds; a near path has its bound in
 * what is in flight. */
void path_refill(const struct tcpip *t, struct path *p)
{
    uint64_t full = max64(p->flight_max, t->cfg.mtu);
    if (path_flight_max(p) <= p->flight_max || !p->flight_max) {
        p->burst = UINT64_MAX;
    } else {
        uint64_t spent = t->now - p->burst_at;
        bool fresh = spent >= DRAIN_US || p->burst == UINT64_MAX;
        p->burst = fresh ? full : min64(full, p->burst + spent * full / DRAIN_US);
    }
    p->burst_at = t->now;
}

/* The first of those who wait for the next burst will be called. */
void path_later(struct tcpip *t, struct path *p)
{
    struct conn *c = LIST_OWNER(list_first(&p->blocked), struct conn, on_blocked);
    if (c->timer[TIMER_PACE] == UINT64_MAX || c->timer[TIMER_PACE] <= t->now)
        timer_set(t, c, TIMER_PACE, t->now + DRAIN_US / 2);
}

/* The path has room again: the first in the queue may send, and wakes the next when it leaves room. */
void path_wake(struct tcpip *t, struct path *p)
{
    struct link *l = list_first(&p->blocked);
    if (!l || p->flight >= path_flight_max(p))
        return;
    if (p->burst < t->cfg.mtu) {
        path_later(t, p);
        return;
    }
    struct conn *c = LIST_OWNER(l, struct conn, on_blocked);
    list_remove(l);
    conn_activate(t, c);
}

/* The rest of tcpip_free(): no connection is left. */
void table_release(struct tcpip *t)
{
    for (struct link *l; (l = list_first(&t->tw_order));)
        tw_free(t, LIST_OWNER(l, struct time_wait, order));
    for (uint32_t i = 0; t->paths && i <= t->path_mask; i++) {
        for (struct path *p = t->paths[i], *next; p; p = next) {
            next = p->chain;
            free(p);
        }
    }
    free(t->paths);
}
