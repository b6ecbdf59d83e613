#include "daemon/naming/pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>
#include <utlist.h>

struct entry {
    uint8_t key[KEY_LEN];
    uint32_t ip;
    uint8_t ip6[16];
    bool pinned, unsaved;
    bool passing; /* never saved */
    mono_t due;                /* kept while pinned as well */
    mono_t saved;              /* what `due` was when it was saved */
    struct entry *prev, *next; /* in the order of `due`, unless pinned */
    struct entry *unsaved_prev, *unsaved_next;
    UT_hash_handle by_key, by_ip, by_ip6;
};

struct range {
    uint32_t first, last;
};

struct pool {
    uint32_t network;
    unsigned bits;
    uint8_t seed[32];
    struct range excluded[POOL_EXCLUDED_MAX];
    unsigned n_excluded;
    struct entry *keys, *ips, *ip6s, *idle; /* idle: the next to expire first */
    struct entry *unsaved;
    uint64_t step;
};

static uint32_t mask_of(unsigned bits)
{
    return bits ? 0xffffffffu << (32 - bits) : 0;
}

struct pool *pool_new(uint32_t network, unsigned bits, const uint8_t seed[32])
{
    if (bits < POOL_BITS_MIN || bits > POOL_BITS_MAX || network & ~mask_of(bits))
        return NULL;
    struct pool *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->network = network;
    p->bits = bits;
    memcpy(p->seed, seed, sizeof(p->seed));
    return p;
}

void pool_save_step(struct pool *p, uint64_t us)
{
    p->step = us;
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    struct entry *e, *next;
    HASH_CLEAR(by_ip, p->ips);
    HASH_CLEAR(by_ip6, p->ip6s);
    HASH_ITER(by_key, p->keys, e, next)
    {
        HASH_DELETE(by_key, p->keys, e);
        free(e);
    }
    free(p);
}

uint32_t pool_network(const struct pool *p)
{
    return p->network;
}

unsigned pool_bits(const struct pool *p)
{
    return p->bits;
}

bool pool_contains(const struct pool *p, uint32_t ip)
{
    return (ip & mask_of(p->bits)) == p->network;
}

int pool_exclude(struct pool *p, uint32_t network, unsigned bits)
{
    if (bits > 32 || network & ~mask_of(bits))
        return -EINVAL;
    if (p->keys)
        return -EBUSY;
    if (p->n_excluded == POOL_EXCLUDED_MAX)
        return -ENOSPC;
    p->excluded[p->n_excluded++] = (struct range){network, network | ~mask_of(bits)};
    return 0;
}

static const struct range *range_of(const struct pool *p, uint32_t ip)
{
    for (unsigned i = 0; i < p->n_excluded; i++)
        if (ip >= p->excluded[i].first && ip <= p->excluded[i].last)
            return &p->excluded[i];
    return NULL;
}

bool pool_is_excluded(const struct pool *p, uint32_t ip)
{
    return range_of(p, ip) != NULL;
}

/* Addresses which id_address() never gives: network and broadcast look-alikes, and mirrors of 127.0.0.x. */
static bool is_usable(uint32_t ip)
{
    return (ip & 0xff) != 0 && (ip & 0xff) != 0xff && !(ip >> 24 == 10 && (ip & 0xffff00) == 0);
}

static struct entry *find_ip(const struct pool *p, uint32_t ip)
{
    struct entry *e;
    HASH_FIND(by_ip, p->ips, &ip, sizeof(ip), e);
    return e;
}

static struct entry *find_key(const struct pool *p, const uint8_t key[KEY_LEN])
{
    struct entry *e;
    HASH_FIND(by_key, p->keys, key, KEY_LEN, e);
    return e;
}

static bool is_free(const struct pool *p, uint32_t ip)
{
    return is_usable(ip) && !pool_is_excluded(p, ip) && !find_ip(p, ip);
}

/* The first free address at or after `start`, around the end of the network; 0 for none. Excluded ranges are
 * jumped over, so the walk is bounded by the entries and the few unusable addresses. */
static uint32_t scan_free(const struct pool *p, uint32_t start)
{
    uint64_t size = 1ull << (32 - p->bits), at = start - p->network;
    for (uint64_t walked = 0; walked < size;) {
        uint32_t ip = p->network + (uint32_t)(at % size);
        const struct range *r = range_of(p, ip);
        if (!r && is_free(p, ip))
            return ip;
        uint64_t step = r ? (uint64_t)r->last - ip + 1 : 1;
        at += step;
        walked += step;
    }
    return 0;
}

/* A free address for this key: what its id hashes to if possible, so that both ends agree; else one drawn
 * from the seed, so that nobody else can aim at it. */
static uint32_t choose(const struct pool *p, const uint8_t key[KEY_LEN])
{
    struct i3_id id;
    id_of_key(&id, key, NULL);
    uint32_t ip = id_address(&id, p->network, p->bits);
    for (uint8_t tries = 0; tries < 16 && !is_free(p, ip); tries++) {
        uint8_t hash[BLAKE2S_LEN];
        blake2s(hash, (struct bytes[]){{"i3run pool v1", 13}, {p->seed, 32}, {&tries, 1}, {key, KEY_LEN}}, 4);
        uint32_t low = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8 | hash[3];
        ip = p->network | (low & ~mask_of(p->bits));
    }
    return is_free(p, ip) ? ip : scan_free(p, ip);
}

/* One that no id hashes to, so that nobody who is known, now or later, finds his own taken; where there is none, any. */
static uint32_t choose_aside(const struct pool *p, const uint8_t key[KEY_LEN])
{
    for (uint8_t tries = 0; tries < 16; tries++) {
        uint8_t hash[BLAKE2S_LEN];
        blake2s(hash, (struct bytes[]){{"i3run pool aside v1", 19}, {p->seed, 32}, {&tries, 1}, {key, KEY_LEN}}, 4);
        uint32_t low = (uint32_t)hash[0] << 24 | (uint32_t)hash[1] << 16 | (uint32_t)hash[2] << 8;
        uint32_t ip = p->network | (low & ~mask_of(p->bits));
        if (ip & 0xffff00 && ip & ~mask_of(p->bits) && !pool_is_excluded(p, ip) && !find_ip(p, ip))
            return ip;
    }
    return choose(p, key);
}

static void mark(struct pool *p, struct entry *e, bool unsaved)
{
    if (e->unsaved == unsaved || (unsaved && e->passing))
        return;
    e->unsaved = unsaved;
    if (unsaved)
        DL_APPEND2(p->unsaved, e, unsaved_prev, unsaved_next);
    else
        DL_DELETE2(p->unsaved, e, unsaved_prev, unsaved_next);
}

/* Back among those that expire, where its time puts it. */
static void insert_idle(struct pool *p, struct entry *e)
{
    struct entry *before = p->idle;
    if (!before || before->prev->due.us <= e->due.us) { /* as nearly always */
        DL_APPEND(p->idle, e);
        return;
    }
    while (before->due.us <= e->due.us)
        before = before->next;
    DL_PREPEND_ELEM(p->idle, before, e);
}

static struct entry *entry_new(struct pool *p, const uint8_t key[KEY_LEN], uint32_t ip, mono_t due)
{
    struct entry *e = calloc(1, sizeof(*e));
    struct i3_id id;
    if (!e)
        return NULL;
    id_of_key(&id, key, NULL);
    id_address6(&id, e->ip6);
    memcpy(e->key, key, KEY_LEN);
    e->ip = ip;
    e->due = due;
    HASH_ADD(by_key, p->keys, key, KEY_LEN, e);
    HASH_ADD(by_ip, p->ips, ip, sizeof(e->ip), e);
    HASH_ADD(by_ip6, p->ip6s, ip6, sizeof(e->ip6), e);
    insert_idle(p, e);
    return e;
}

static void entry_free(struct pool *p, struct entry *e)
{
    mark(p, e, false);
    if (!e->pinned)
        DL_DELETE(p->idle, e);
    HASH_DELETE(by_key, p->keys, e);
    HASH_DELETE(by_ip, p->ips, e);
    HASH_DELETE(by_ip6, p->ip6s, e);
    free(e);
}

static struct entry *allot(struct pool *p, mono_t now, const uint8_t key[KEY_LEN])
{
    if (HASH_CNT(by_key, p->keys) >= POOL_MAX)
        return NULL;
    uint32_t ip = choose(p, key);
    struct entry *e = ip ? entry_new(p, key, ip, mono_add(now, POOL_LIFE)) : NULL;
    if (e)
        mark(p, e, true);
    return e;
}

uint32_t pool_pass(struct pool *p, mono_t now, const uint8_t key[KEY_LEN], bool aside)
{
    struct entry *e = find_key(p, key);
    if (e)
        return e->passing ? e->ip : 0;
    pool_expire(p, now);
    if (HASH_CNT(by_key, p->keys) >= POOL_MAX)
        return 0;
    uint32_t ip = aside ? choose_aside(p, key) : choose(p, key);
    e = ip ? entry_new(p, key, ip, mono_add(now, POOL_LIFE)) : NULL;
    if (!e)
        return 0;
    e->passing = true;
    pool_pin(p, key, true);
    return e->ip;
}

void pool_passed(struct pool *p, const uint8_t key[KEY_LEN])
{
    struct entry *e = find_key(p, key);
    if (e && e->passing)
        entry_free(p, e);
}

static void use(struct pool *p, mono_t now, struct entry *e)
{
    e->due = mono_add(now, POOL_LIFE);
    if (e->pinned)
        return;
    DL_DELETE(p->idle, e);
    insert_idle(p, e);
    if (mono_since(e->saved, e->due) > p->step)
        mark(p, e, true);
}

uint32_t pool_get(struct pool *p, mono_t now, const uint8_t key[KEY_LEN])
{
    struct entry *e = find_key(p, key);
    if (e) {
        use(p, now, e);
        return e->ip;
    }
    pool_expire(p, now);
    e = allot(p, now, key);
    return e ? e->ip : 0;
}

const uint8_t *pool_key(struct pool *p, mono_t now, uint32_t ip)
{
    struct entry *e = find_ip(p, ip);
    if (!e)
        return NULL;
    use(p, now, e);
    return e->key;
}

uint32_t pool_find6(struct pool *p, mono_t now, const uint8_t ip6[16])
{
    struct entry *e;
    HASH_FIND(by_ip6, p->ip6s, ip6, sizeof(e->ip6), e);
    if (!e)
        return 0;
    use(p, now, e);
    return e->ip;
}

bool pool_address6(const struct pool *p, uint32_t ip, uint8_t ip6[16])
{
    const struct entry *e = find_ip(p, ip);
    if (e)
        memcpy(ip6, e->ip6, sizeof(e->ip6));
    return e != NULL;
}

void pool_pin(struct pool *p, const uint8_t key[KEY_LEN], bool pinned)
{
    struct entry *e = find_key(p, key);
    if (!e && pinned)
        e = allot(p, (mono_t){0}, key);
    if (!e || e->pinned == pinned)
        return;
    e->pinned = pinned;
    mark(p, e, true);
    if (pinned)
        DL_DELETE(p->idle, e);
    else
        insert_idle(p, e);
}

bool pool_rekey(struct pool *p, mono_t now, const uint8_t old[KEY_LEN], const uint8_t new[KEY_LEN])
{
    struct entry *e = find_key(p, old), *other = find_key(p, new);
    if (!e || e == other)
        return false;
    bool pinned = e->pinned;
    uint32_t ip = e->ip;
    entry_free(p, e);
    if (other)
        entry_free(p, other);
    e = entry_new(p, new, ip, mono_add(now, POOL_LIFE));
    if (!e)
        return false;
    mark(p, e, true);
    if (pinned)
        pool_pin(p, new, true);
    return true;
}

/* ---- what is to be kept on disk ---- */

int pool_restore(struct pool *p, const uint8_t key[KEY_LEN], uint32_t ip, mono_t due)
{
    struct entry *e = find_key(p, key);
    if (!pool_contains(p, ip) || !is_usable(ip) || pool_is_excluded(p, ip))
        return -EADDRNOTAVAIL;
    if (e)
        entry_free(p, e);
    e = find_ip(p, ip);
    if (e)
        entry_free(p, e);
    if (HASH_CNT(by_key, p->keys) >= POOL_MAX)
        return -ENOSPC;
    e = entry_new(p, key, ip, due);
    if (!e)
        return -ENOMEM;
    e->saved = due;
    return 0;
}

static struct pool_entry saved(struct pool *p, struct entry *e)
{
    mark(p, e, false);
    e->saved = e->pinned ? MONO_NEVER : e->due;
    return (struct pool_entry){e->key, e->ip, e->saved};
}

bool pool_unsaved(struct pool *p, struct pool_entry *out)
{
    if (!p->unsaved)
        return false;
    *out = saved(p, p->unsaved);
    return true;
}

bool pool_each(struct pool *p, void **at, struct pool_entry *out)
{
    struct entry *e = *at ? ((struct entry *)*at)->by_key.next : p->keys;
    while (e && e->passing)
        e = e->by_key.next;
    *at = e;
    if (e)
        *out = saved(p, e);
    return e;
}

void pool_save_again(struct pool *p)
{
    struct entry *e, *next;
    HASH_ITER(by_key, p->keys, e, next)
        mark(p, e, true);
}

size_t pool_count(const struct pool *p)
{
    return HASH_CNT(by_key, p->keys);
}

mono_t pool_deadline(const struct pool *p)
{
    return p->idle ? p->idle->due : MONO_NEVER;
}

void pool_expire(struct pool *p, mono_t now)
{
    while (p->idle && mono_due(p->idle->due, now))
        entry_free(p, p->idle);
}
