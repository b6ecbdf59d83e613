#include "daemon/node/store.h"

#include <errno.h>
#include <stdlib.h>

#include "include/bytes.h"

/* Open addressing with linear probing, at most half full; removal shifts back what follows. */
struct slot {
    uint32_t hash;
    trie_ref root; /* 0: empty */
};

/* One id of a trigger's stack. */
struct hop {
    struct i3_id id;
    uint32_t next;
};

struct store {
    struct trie trie;    /* has the slabs of triggers and branches */
    void *triggers_base; /* as allocated: the slab starts at the next cache line */
    struct hop *hops;
    struct slot *slots;
    uint32_t slot_mask;
    uint32_t triggers_free, triggers_used, count;
    uint32_t hops_free, hops_used;
    uint32_t oldest, newest;
    struct store_config config;
    uint32_t sources[SOURCE_BUCKETS];
};

/* A power of two, so that the table is at most half full. */
static uint32_t slots_for(uint32_t triggers_max)
{
    uint32_t slots = 16;
    while (slots < 2 * triggers_max && slots < 1u << 31)
        slots *= 2;
    return slots;
}

uint64_t store_memory(uint32_t triggers_max)
{
    uint64_t each = sizeof(struct hop) + sizeof(struct branch) + sizeof(struct trigger);
    return sizeof(struct store) + (uint64_t)slots_for(triggers_max) * sizeof(struct slot) + (triggers_max + 2ull) * each;
}

struct store *store_new(const struct store_config *c)
{
    uint32_t max = c->triggers_max, slots = slots_for(max);
    struct store *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->config = *c;
    s->slot_mask = slots - 1;
    s->slots = calloc(slots, sizeof(*s->slots));
    s->hops = calloc((size_t)max + 1, sizeof(*s->hops));
    s->trie.branches = calloc((size_t)max + 1, sizeof(*s->trie.branches));
    s->triggers_base = calloc((size_t)max + 2, sizeof(*s->trie.triggers));
    if (!s->slots || !s->hops || !s->trie.branches || !s->triggers_base || max > STORE_TRIGGERS_MAX) {
        store_free(s);
        return NULL;
    }
    uintptr_t line = _Alignof(struct trigger), base = (uintptr_t)s->triggers_base;
    s->trie.triggers = (struct trigger *)((base + line - 1) / line * line);
    return s;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    if (s->trie.triggers)
        crypto_wipe(s->trie.triggers, ((size_t)s->triggers_used + 1) * sizeof(*s->trie.triggers));
    free(s->triggers_base);
    free(s->trie.branches);
    free(s->hops);
    free(s->slots);
    free(s);
}

/* ---- hashes: keyed, so that nobody can aim at a slot ---- */

static uint32_t hash128(const struct store *s, const uint8_t b[16])
{
    uint64_t v[2];
    memcpy(v, b, sizeof(v));
    __uint128_t m = (__uint128_t)(v[0] ^ s->config.secret[0]) * (v[1] ^ s->config.secret[1]);
    uint64_t h = (uint64_t)m ^ (uint64_t)(m >> 64);
    return (uint32_t)(h ^ h >> 32);
}

uint32_t store_source_hash(const struct store *s, const struct addr *from)
{
    uint8_t b[16] = {from->family};
    memcpy(b + 8, from->ip, from->family == 4 ? 4 : 8);
    return hash128(s, b);
}

static uint32_t *source_counter(struct store *s, const struct addr *from)
{
    return &s->sources[store_source_hash(s, from) % SOURCE_BUCKETS];
}

/* ---- slots ---- */

/* A trie's prefix is that of any trigger in it. */
static const struct i3_id *root_id(const struct store *s, trie_ref ref)
{
    while (ref & TRIE_BRANCH)
        ref = s->trie.branches[ref & ~TRIE_BRANCH].side[0];
    return &s->trie.triggers[ref].id;
}

/* Where this prefix is, or where it would go. */
static struct slot *slot_find(const struct store *s, const struct i3_id *id, uint32_t hash)
{
    for (uint32_t i = hash & s->slot_mask;; i = (i + 1) & s->slot_mask) {
        struct slot *slot = &s->slots[i];
        if (!slot->root || (slot->hash == hash && !memcmp(root_id(s, slot->root), id, ID_PREFIX_LEN)))
            return slot;
    }
}

/* Empties the slot; those behind it which would not be found any more move up. */
static void slot_clear(struct store *s, struct slot *slot)
{
    uint32_t hole = (uint32_t)(slot - s->slots), i = hole;
    for (;;) {
        i = (i + 1) & s->slot_mask;
        struct slot *next = &s->slots[i];
        if (!next->root)
            break;
        uint32_t home = next->hash & s->slot_mask;
        if (((i - home) & s->slot_mask) >= ((i - hole) & s->slot_mask)) {
            s->slots[hole] = *next;
            hole = i;
        }
    }
    s->slots[hole].root = 0;
}

/* ---- slabs ---- */

static uint32_t trigger_take(struct store *s)
{
    uint32_t i = s->triggers_free;
    if (i)
        s->triggers_free = s->trie.triggers[i].newer;
    else if (s->triggers_used < s->config.triggers_max)
        i = ++s->triggers_used;
    return i;
}

static void trigger_give(struct store *s, uint32_t i)
{
    struct trigger *t = &s->trie.triggers[i];
    crypto_wipe(&t->key, sizeof(t->key));
    t->expiry.us = 0;
    t->newer = s->triggers_free;
    s->triggers_free = i;
}

static void stack_give(struct store *s, struct trigger *t)
{
    for (uint32_t i = t->stack, next; i; i = next) {
        next = s->hops[i].next;
        s->hops[i].next = s->hops_free;
        s->hops_free = i;
    }
    t->stack = 0;
    t->n = 0;
}

static int stack_take(struct store *s, struct trigger *t, const uint8_t *ids, unsigned n)
{
    for (t->n = 0; t->n < n; t->n++) {
        uint32_t i = s->hops_free;
        if (i)
            s->hops_free = s->hops[i].next;
        else if (s->hops_used < s->config.triggers_max)
            i = ++s->hops_used;
        else
            break;
        /* from the last to the first, so that each is put in front */
        memcpy(&s->hops[i].id, ids + (size_t)(n - 1 - t->n) * ID_LEN, ID_LEN);
        s->hops[i].next = t->stack;
        t->stack = i;
    }
    if (t->n == n)
        return 0;
    stack_give(s, t);
    return -ENOSPC;
}

void store_stack(const struct store *s, const struct trigger *t, uint8_t *out)
{
    for (uint32_t i = t->stack; i; i = s->hops[i].next, out += ID_LEN)
        memcpy(out, &s->hops[i].id, ID_LEN);
}

/* ---- the order of expiry ---- */

static uint32_t index_of(const struct store *s, const struct trigger *t)
{
    return (uint32_t)(t - s->trie.triggers);
}

static void queue_remove(struct store *s, struct trigger *t)
{
    if (t->older)
        s->trie.triggers[t->older].newer = t->newer;
    else
        s->oldest = t->newer;
    if (t->newer)
        s->trie.triggers[t->newer].older = t->older;
    else
        s->newest = t->older;
}

static void queue_append(struct store *s, mono_t now, struct trigger *t)
{
    t->expiry = mono_add(now, s->config.life_us);
    t->older = s->newest;
    t->newer = 0;
    if (s->newest)
        s->trie.triggers[s->newest].newer = index_of(s, t);
    else
        s->oldest = index_of(s, t);
    s->newest = index_of(s, t);
}

/* ---- doors ---- */

struct trigger *store_find(
    const struct store *s, const struct i3_id *id, unsigned plen, const struct addr *owner)
{
    const struct slot *slot = slot_find(s, id, hash128(s, id->b));
    for (uint32_t i = slot->root ? trie_find(&s->trie, slot->root, id) : 0; i; i = s->trie.triggers[i].same) {
        struct trigger *t = &s->trie.triggers[i];
        if (t->plen + 128u == plen && addr_eq(&t->owner, owner))
            return t;
    }
    return NULL;
}

struct trigger *store_other(
    const struct store *s, const struct i3_id *id, unsigned plen, const struct addr *owner, uint8_t flags)
{
    const struct slot *slot = slot_find(s, id, hash128(s, id->b));
    for (uint32_t i = slot->root ? trie_find(&s->trie, slot->root, id) : 0; i; i = s->trie.triggers[i].same) {
        struct trigger *t = &s->trie.triggers[i];
        if (t->plen + 128u == plen && t->flags & flags && !addr_eq(&t->owner, owner))
            return t;
    }
    return NULL;
}

/* The target, the key and the number; a stack that does not fit leaves the old one. */
static int trigger_fill(struct store *s, struct trigger *t, const struct store_item *item)
{
    struct trigger fresh = {0};
    int err = stack_take(s, &fresh, item->ids, item->n);
    if (err)
        return err;
    stack_give(s, t);
    t->stack = fresh.stack;
    t->n = fresh.n;
    t->flags = item->flags;
    t->key = *item->key;
    t->seq = item->seq;
    return 0;
}

static bool is_greedy(struct store *s, const struct addr *source)
{
    uint32_t has = *source_counter(s, source), free = s->config.triggers_max - s->count;
    return s->config.source_max ? has >= s->config.source_max : has && has >= free;
}

static int trigger_new(struct store *s, const struct store_item *item, uint32_t *index)
{
    if (is_greedy(s, item->owner))
        return s->count == s->config.triggers_max ? -ENOSPC : -EDQUOT;
    uint32_t i = trigger_take(s);
    if (!i)
        return -ENOSPC;
    struct trigger *t = &s->trie.triggers[i];
    memset(t, 0, sizeof(*t));
    t->id = *item->id;
    t->plen = (uint8_t)(item->plen - 128);
    t->owner = *item->owner;
    int err = trigger_fill(s, t, item);
    if (err)
        goto give;

    uint32_t hash = hash128(s, item->id->b);
    struct slot *slot = slot_find(s, item->id, hash);
    err = trie_add(&s->trie, &slot->root, i, s->config.same_max);
    if (err)
        goto give;
    slot->hash = hash;
    ++*source_counter(s, item->owner);
    s->count++;
    *index = i;
    return 0;

give:
    stack_give(s, t);
    trigger_give(s, i);
    return err;
}

int store_put(struct store *s, mono_t now, const struct store_item *item)
{
    struct trigger *t = store_find(s, item->id, item->plen, item->owner);
    if (t) {
        int err = trigger_fill(s, t, item);
        if (!err)
            store_renew(s, now, t);
        return err;
    }
    uint32_t i;
    int err = trigger_new(s, item, &i);
    if (!err)
        queue_append(s, now, &s->trie.triggers[i]);
    return err;
}

void store_renew(struct store *s, mono_t now, struct trigger *t)
{
    queue_remove(s, t);
    queue_append(s, now, t);
}

void store_remove(struct store *s, struct trigger *t)
{
    struct slot *slot = slot_find(s, &t->id, hash128(s, t->id.b));
    trie_remove(&s->trie, &slot->root, index_of(s, t));
    if (!slot->root)
        slot_clear(s, slot);
    --*source_counter(s, &t->owner);
    s->count--;
    queue_remove(s, t);
    stack_give(s, t);
    trigger_give(s, index_of(s, t));
}

struct trie_match store_match(const struct store *s, const struct i3_id *x)
{
    const struct slot *slot = slot_find(s, x, hash128(s, x->b));
    return slot->root ? trie_match(&s->trie, slot->root, x) : (struct trie_match){NULL, 0};
}

void store_ready(const struct store *s, const struct i3_id *const *id, unsigned n)
{
    const struct slot *slot[STORE_READY_MAX];
    for (unsigned i = 0; i < n; i++) {
        slot[i] = &s->slots[hash128(s, id[i]->b) & s->slot_mask];
        __builtin_prefetch(slot[i]);
    }
    for (unsigned i = 0; i < n; i++) {
        trie_ref root = slot[i]->root;
        const struct trigger *t = &s->trie.triggers[root];
        if (root & TRIE_BRANCH) {
            __builtin_prefetch(&s->trie.branches[root & ~TRIE_BRANCH]);
        } else {
            __builtin_prefetch(t);
            __builtin_prefetch(&t->key); /* a REFRESH reads on */
        }
    }
}

const struct trigger *store_match_next(const struct store *s, const struct trigger *at, unsigned bits)
{
    return trie_match_next(&s->trie, at, bits);
}

uint32_t store_index(const struct store *s, const struct trigger *t)
{
    return index_of(s, t);
}

mono_t store_deadline(const struct store *s)
{
    return s->oldest ? s->trie.triggers[s->oldest].expiry : MONO_NEVER;
}

unsigned store_expire(struct store *s, mono_t now)
{
    unsigned n = 0;
    for (; s->oldest && mono_due(s->trie.triggers[s->oldest].expiry, now); n++)
        store_remove(s, &s->trie.triggers[s->oldest]);
    return n;
}

struct trigger *store_next(const struct store *s, uint32_t *cursor)
{
    while (*cursor < s->triggers_used) {
        struct trigger *t = &s->trie.triggers[++*cursor];
        if (t->expiry.us)
            return t;
    }
    return NULL;
}

uint32_t store_count(const struct store *s)
{
    return s->count;
}
