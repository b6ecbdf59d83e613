/* The trigger store against a model that looks at everything, and its bounds. */
#include "daemon/node/store.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"

static const mono_t t0 = {5 * USEC_PER_SEC};
static const struct store_config small = {.triggers_max = 4000,
    .source_max = 4000,
    .same_max = 8,
    .life_us = 30 * USEC_PER_SEC,
    .secret = {0x9e3779b97f4a7c15, 0xd1b54a32d192ed03}};

static uint64_t state;

static uint32_t rnd(uint32_t below)
{
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((state >> 33) % below);
}

static struct addr owner_of(unsigned n)
{
    return n % 2 ? addr_v4(0x01010000 + n, 99)
                 : (struct addr){.family = 6, .port = 7, .ip = {0x20, 1, (uint8_t)(n >> 8), (uint8_t)n}};
}

static struct i3_id id_hex(const char *suffix)
{
    struct i3_id id = {{1, 2, 3}};
    for (unsigned i = 0; suffix[i] && i < 32; i++) {
        unsigned v = suffix[i] <= '9' ? suffix[i] - 48u : suffix[i] - 87u;
        id.b[16 + i / 2] |= (uint8_t)(i % 2 ? v : v << 4);
    }
    return id;
}

static int put(struct store *s, mono_t now, const struct i3_id *id, unsigned plen, const struct addr *owner)
{
    static const struct proof_key key;
    struct store_item item = {.id = id, .plen = plen, .owner = owner, .key = &key};
    return store_put(s, now, &item);
}

/* ---- table of cases ---- */

START_TEST(the_longest_match_wins)
{
    static const struct {
        struct {
            const char *suffix;
            unsigned plen;
        } t[4];
        const char *x;
        int winner; /* index in t, -1: none */
    } v[] = {
        {{{"00", 128}, {"f0", 128}}, "10", 0}, {{{"00", 128}, {"f0", 128}}, "f1", 1},
        {{{"00", 128}, {"10", 132}, {"18", 133}}, "1c", 2},
        {{{"00", 128}, {"10", 132}, {"18", 136}}, "1c", 1}, /* the nearest wants more bits than are shared */
        {{{"00", 128}, {"10", 140}, {"18", 136}}, "1c", 0},
        {{{"00", 129}, {"10", 140}, {"18", 136}}, "80", -1}, /* nobody takes it */
        {{{"00", 256}}, "00", 0}, {{{"00", 256}}, "00000000000000000000000000000001", -1},
        {{{"00000000000000000000000000000001", 255}}, "00", 0},
        {{{"ab", 256}, {"ab", 128}}, "ac", 1}, /* same id, two lengths: only one of them matches */
        {{{"40", 128}, {"60", 128}}, "00", 0}, /* equally near: the smaller id */
        {{{"40", 130}, {"60", 129}}, "00", 1}, /* and it must match */
    };
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        struct store *s = store_new(&small);
        for (unsigned j = 0; j < 4 && v[i].t[j].suffix; j++) {
            struct i3_id id = id_hex(v[i].t[j].suffix);
            struct addr owner = owner_of(j);
            ck_assert_int_eq(put(s, t0, &id, v[i].t[j].plen, &owner), 0);
        }
        struct i3_id x = id_hex(v[i].x);
        struct trie_match m = store_match(s, &x);
        ck_assert_msg((m.first != NULL) == (v[i].winner >= 0), "case %zu", i);
        if (m.first) {
            struct addr owner = owner_of((unsigned)v[i].winner);
            ck_assert_msg(addr_eq(&m.first->owner, &owner), "case %zu", i);
            ck_assert_ptr_null(store_match_next(s, m.first, m.bits));
        }
        x.b[15] ^= 1; /* another prefix: under 128 bits nothing ever matches */
        ck_assert_ptr_null(store_match(s, &x).first);
        store_free(s);
    }
}
END_TEST

/* ---- the model ---- */

struct model_row {
    bool live;
    struct i3_id id;
    unsigned plen, owner;
    uint8_t n, ids[4 * ID_LEN];
    uint64_t expiry;
};

enum { ROWS = 1500, PREFIXES = 5 };

struct model {
    struct model_row row[ROWS];
};

static unsigned common(const struct i3_id *a, const struct i3_id *b)
{
    for (unsigned i = 0; i < 256; i++)
        if ((a->b[i / 8] ^ b->b[i / 8]) >> (7 - i % 8) & 1)
            return i;
    return 256;
}

/* Ids which are likely to share many bits: few prefixes, suffixes of few different bits here and there. */
static struct i3_id draw_id(unsigned spread)
{
    struct i3_id id = {{0}};
    id.b[0] = (uint8_t)rnd(PREFIXES);
    for (unsigned k = rnd(spread + 1); k; k--) {
        unsigned bit = rnd(4) ? rnd(12) : rnd(128);
        id.b[16 + bit / 8] |= (uint8_t)(0x80 >> bit % 8);
    }
    return id;
}

static unsigned draw_plen(void)
{
    return rnd(3) ? 128 + rnd(14) : rnd(2) ? 256 : 128 + rnd(129);
}

static struct model_row *model_find(struct model *m, const struct i3_id *id, unsigned plen, unsigned owner)
{
    for (unsigned i = 0; i < ROWS; i++) {
        struct model_row *r = &m->row[i];
        if (r->live && r->plen == plen && r->owner == owner && !memcmp(&r->id, id, ID_LEN))
            return r;
    }
    return NULL;
}

static unsigned model_same(const struct model *m, const struct i3_id *id)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ROWS; i++)
        n += m->row[i].live && !memcmp(&m->row[i].id, id, ID_LEN);
    return n;
}

/* Puts the matching rows' numbers into v. */
static unsigned model_match(const struct model *m, const struct i3_id *x, unsigned v[ROWS])
{
    const struct model_row *best = NULL;
    unsigned best_bits = 0, n = 0;
    for (unsigned i = 0; i < ROWS; i++) {
        const struct model_row *r = &m->row[i];
        unsigned bits = r->live ? common(&r->id, x) : 0;
        if (!r->live || bits < r->plen)
            continue;
        if (!best || bits > best_bits || (bits == best_bits && memcmp(&r->id, &best->id, ID_LEN) < 0)) {
            best = r;
            best_bits = bits;
        }
    }
    for (unsigned i = 0; best && i < ROWS; i++)
        if (m->row[i].live && !memcmp(&m->row[i].id, &best->id, ID_LEN) && m->row[i].plen <= best_bits)
            v[n++] = i;
    return n;
}

static void expect_match(const struct store *s, const struct model *m, const struct i3_id *x)
{
    unsigned want[ROWS], n = model_match(m, x, want), got = 0;
    struct trie_match match = store_match(s, x);
    for (const struct trigger *t = match.first; t; t = store_match_next(s, t, match.bits), got++) {
        bool found = false;
        for (unsigned i = 0; i < n; i++) {
            const struct model_row *r = &m->row[want[i]];
            struct addr owner = owner_of(r->owner);
            uint8_t ids[STACK_MAX * ID_LEN];
            found |= addr_eq(&owner, &t->owner) && r->plen == t->plen + 128u && r->n == t->n &&
                     (store_stack(s, t, ids), !memcmp(ids, r->ids, (size_t)r->n * ID_LEN));
        }
        ck_assert(found);
    }
    ck_assert_uint_eq(got, n);
}

static void model_put(struct store *s, struct model *m, mono_t now, unsigned spread)
{
    static const struct proof_key key;
    struct i3_id id = draw_id(spread);
    unsigned plen = draw_plen(), owner = rnd(6), at = rnd(ROWS);
    struct model_row *r = model_find(m, &id, plen, owner);
    unsigned same = model_same(m, &id);
    struct model_row fresh = {.live = true, .id = id, .plen = plen, .owner = owner, .n = (uint8_t)rnd(5)};
    if (rnd(2))
        fresh.n = 0;
    for (unsigned i = 0; i < fresh.n * ID_LEN; i++)
        fresh.ids[i] = (uint8_t)rnd(256);
    fresh.expiry = now.us + small.life_us;
    if (!r && m->row[at].live)
        return;
    struct addr from = owner_of(owner);
    struct store_item item = {
        .id = &id, .plen = plen, .owner = &from, .n = fresh.n, .ids = fresh.ids, .key = &key};
    ck_assert_int_eq(store_put(s, now, &item), !r && same >= small.same_max ? -EMLINK : 0);
    if (r)
        *r = fresh;
    else if (same < small.same_max)
        m->row[at] = fresh;
}

static struct trigger *row_trigger(const struct store *s, const struct model_row *r)
{
    struct addr owner = owner_of(r->owner);
    return store_find(s, &r->id, r->plen, &owner);
}

static void model_step(struct store *s, struct model *m, mono_t now, unsigned spread)
{
    struct model_row *r = &m->row[rnd(ROWS)];
    unsigned what = rnd(10);
    if (what < 5) {
        model_put(s, m, now, spread);
    } else if (what < 7 && r->live) {
        store_renew(s, now, row_trigger(s, r));
        r->expiry = now.us + small.life_us;
    } else if (what == 7 && r->live) {
        store_remove(s, row_trigger(s, r));
        r->live = false;
    } else if (what == 8) {
        store_expire(s, now);
        for (unsigned i = 0; i < ROWS; i++)
            m->row[i].live &= m->row[i].expiry > now.us;
    }
}

START_TEST(equals_a_model_that_looks_at_everything)
{
    struct model *m = calloc(1, sizeof(*m));
    struct store *s = store_new(&small);
    mono_t now = t0;
    unsigned spread = (unsigned)_i % 5 + 1, multicasts = 0, anycasts = 0;
    state = (uint64_t)_i * 77 + 5;
    for (unsigned step = 0; step < 12000; step++) {
        now = mono_add(now, rnd(_i % 2 ? 20000 : 2000));
        model_step(s, m, now, spread);
        if (step % 4 == 0) {
            struct i3_id x = draw_id(spread);
            /* what has expired may still be there until store_expire() */
            if (store_deadline(s).us > now.us) {
                expect_match(s, m, &x);
                struct trie_match match = store_match(s, &x);
                multicasts += match.first && store_match_next(s, match.first, match.bits);
                anycasts += match.first && match.bits < 256;
            }
        }
        if (step % 256 == 0) {
            unsigned live = 0;
            for (unsigned i = 0; i < ROWS; i++) {
                live += m->row[i].live;
                ck_assert(!m->row[i].live || row_trigger(s, &m->row[i]));
            }
            ck_assert_uint_eq(store_count(s), live);
        }
    }
    /* the test is about something */
    ck_assert_uint_gt(multicasts, 20);
    ck_assert_uint_gt(anycasts, 100);
    store_expire(s, (mono_t){UINT64_MAX});
    ck_assert_uint_eq(store_count(s), 0);
    store_free(s);
    free(m);
}
END_TEST

/* ---- bounds ---- */

START_TEST(is_full_at_its_bound_and_serves_again_after_expiry)
{
    struct store_config c = small;
    c.triggers_max = 1000;
    struct store *s = store_new(&c);
    struct addr owner = owner_of(1);
    for (unsigned round = 0; round < 3; round++) {
        mono_t now = mono_add(t0, round * c.life_us);
        store_expire(s, now);
        ck_assert_uint_eq(store_count(s), 0);
        for (unsigned i = 0; i <= c.triggers_max; i++) {
            struct i3_id id = {{(uint8_t)(i >> 8), (uint8_t)i, (uint8_t)round}};
            ck_assert_int_eq(put(s, now, &id, 128, &owner), i < c.triggers_max ? 0 : -ENOSPC);
        }
        struct i3_id last = {{0, 0, (uint8_t)round}};
        ck_assert_int_eq(put(s, now, &last, 128, &owner), 0); /* one that is there is renewed even so */
    }
    store_free(s);
}
END_TEST

START_TEST(stacks_are_bounded_and_a_refused_one_leaves_the_old)
{
    static const struct proof_key key;
    struct store_config c = small;
    c.triggers_max = 10;
    struct store *s = store_new(&c);
    struct addr owner = owner_of(1);
    struct i3_id a = {{1}}, b = {{2}};
    uint8_t ids[STACK_MAX * ID_LEN], got[STACK_MAX * ID_LEN];
    for (unsigned i = 0; i < sizeof(ids); i++)
        ids[i] = (uint8_t)(i * 7);
    struct store_item item = {.id = &a, .plen = 256, .owner = &owner, .key = &key, .n = 4, .ids = ids};
    ck_assert_int_eq(store_put(s, t0, &item), 0);
    item.id = &b;
    item.n = 7;
    ck_assert_int_eq(store_put(s, t0, &item), -ENOSPC);
    ck_assert_uint_eq(store_count(s), 1);
    item.n = 6;
    ck_assert_int_eq(store_put(s, t0, &item), 0);
    item.id = &a;
    item.n = 5;
    ck_assert_int_eq(store_put(s, t0, &item), -ENOSPC);
    struct trigger *t = store_find(s, &a, 256, &owner);
    ck_assert_uint_eq(t->n, 4);
    store_stack(s, t, got);
    ck_assert_mem_eq(got, ids, 4 * ID_LEN);
    store_remove(s, store_find(s, &b, 256, &owner));
    ck_assert_int_eq(store_put(s, t0, &item), 0);
    store_stack(s, store_find(s, &a, 256, &owner), got);
    ck_assert_mem_eq(got, ids, 5 * ID_LEN);
    store_free(s);
}
END_TEST

/* A source is an IPv4 address or an IPv6 /64: other ports, or other hosts of that /64, do not help. */
START_TEST(a_source_has_its_share_and_no_more)
{
    struct store_config c = small;
    c.source_max = 5;
    struct store *s = store_new(&c);
    struct addr v[] = {addr_v4(0x01020304, 1), {.family = 6, .port = 1, .ip = {0x20, 1, 13}}},
                next[] = {v[0], v[1]};
    next[0].ip[3]++;
    next[1].ip[7]++;
    for (unsigned k = 0; k < 2; k++) {
        for (unsigned i = 0; i <= 5; i++) {
            struct i3_id id = {{(uint8_t)k, (uint8_t)i}};
            v[k].port++;
            v[k].ip[15] = k ? (uint8_t)i : 0;
            ck_assert_int_eq(put(s, t0, &id, 128, &v[k]), i < 5 ? 0 : -EDQUOT);
        }
        struct i3_id id = {{(uint8_t)k, 99}};
        ck_assert_int_eq(put(s, t0, &id, 128, &next[k]), 0);
    }
    store_expire(s, mono_add(t0, c.life_us));
    struct i3_id id = {{77}};
    ck_assert_int_eq(put(s, t0, &id, 128, &v[0]), 0); /* what has expired counts no more */
    store_free(s);
}
END_TEST

START_TEST(expires_in_order_and_by_the_last_renewal)
{
    struct store *s = store_new(&small);
    struct addr owner = owner_of(1);
    struct i3_id a = {{1}}, b = {{2}}, c = {{3}};
    ck_assert_uint_eq(store_deadline(s).us, UINT64_MAX);
    put(s, t0, &a, 256, &owner);
    put(s, mono_add(t0, 1), &b, 256, &owner);
    put(s, mono_add(t0, 2), &c, 256, &owner);
    store_renew(s, mono_add(t0, 10), store_find(s, &b, 256, &owner));
    put(s, mono_add(t0, 11), &a, 256, &owner); /* put again: renewed */
    ck_assert_uint_eq(store_deadline(s).us, t0.us + 2 + small.life_us);
    ck_assert_uint_eq(store_expire(s, mono_add(t0, 9 + small.life_us)), 1);
    ck_assert_ptr_null(store_find(s, &c, 256, &owner));
    ck_assert_uint_eq(store_expire(s, mono_add(t0, 10 + small.life_us)), 1);
    ck_assert_ptr_null(store_find(s, &b, 256, &owner));
    ck_assert_ptr_nonnull(store_find(s, &a, 256, &owner));
    ck_assert_ptr_null(store_find(s, &a, 255, &owner));
    store_free(s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node/store");
    TCase *tc = tcase_create("store");
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, the_longest_match_wins);
    tcase_add_loop_test(tc, equals_a_model_that_looks_at_everything, 0, 8);
    tcase_add_test(tc, is_full_at_its_bound_and_serves_again_after_expiry);
    tcase_add_test(tc, stacks_are_bounded_and_a_refused_one_leaves_the_old);
    tcase_add_test(tc, a_source_has_its_share_and_no_more);
    tcase_add_test(tc, expires_in_order_and_by_the_last_renewal);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
