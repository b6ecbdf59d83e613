/* Which addresses keys get, keep and lose. */
#include "daemon/naming/pool.h"
#include "tests/lib/suite.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>

#define NET 0x0a000000u

static const uint8_t seed[32] = {1, 2, 3};
static const mono_t t0 = {1000 * USEC_PER_SEC};

static void key_of(uint8_t key[KEY_LEN], unsigned n)
{
    blake2s(key, &(struct bytes){&n, sizeof(n)}, 1);
}

static uint32_t hashed(const uint8_t key[KEY_LEN], uint32_t network, unsigned bits)
{
    struct i3_id id;
    id_of_key(&id, key, NULL);
    return id_address(&id, network, bits);
}

static uint32_t get(struct pool *p, mono_t now, unsigned n)
{
    uint8_t key[KEY_LEN];
    key_of(key, n);
    return pool_get(p, now, key);
}

START_TEST(gives_the_address_the_id_hashes_to)
{
    struct pool *p = pool_new(NET, 8, seed);
    uint8_t key[KEY_LEN];
    for (unsigned i = 0; i < 50; i++) {
        key_of(key, i);
        uint32_t ip = pool_get(p, t0, key);
        ck_assert_uint_eq(ip, hashed(key, NET, 8));
        ck_assert_uint_eq(pool_get(p, t0, key), ip);
        ck_assert_mem_eq(pool_key(p, t0, ip), key, KEY_LEN);
        ck_assert(pool_contains(p, ip));
    }
    ck_assert_ptr_null(pool_key(p, t0, NET | 0x123456));
    ck_assert(!pool_contains(p, 0x0b000001));
    ck_assert_uint_eq(pool_network(p), NET);
    ck_assert_uint_eq(pool_bits(p), 8);
    pool_free(p);
}
END_TEST

START_TEST(an_entry_has_an_ipv6_address_while_it_lives)
{
    struct pool *p = pool_new(NET, 8, seed);
    uint8_t key[KEY_LEN], want[16], got[16];
    struct i3_id id;
    for (unsigned i = 0; i < 50; i++) {
        key_of(key, i);
        id_of_key(&id, key, NULL);
        id_address6(&id, want);
        ck_assert_uint_eq(pool_find6(p, t0, want), 0); /* not handed out yet */
        uint32_t ip = pool_get(p, t0, key);
        ck_assert_uint_eq(pool_find6(p, t0, want), ip);
        ck_assert(pool_address6(p, ip, got));
        ck_assert_mem_eq(got, want, sizeof(got));
    }
    ck_assert(!pool_address6(p, NET | 0x123456, got));
    mono_t near = mono_add(t0, POOL_LIFE - 1), late = mono_add(near, POOL_LIFE - 1);
    uint32_t ip = pool_find6(p, near, want); /* in use */
    pool_expire(p, late);
    ck_assert_uint_eq(pool_find6(p, late, want), ip);
    key_of(key, 3);
    id_of_key(&id, key, NULL);
    id_address6(&id, want);
    ck_assert_uint_eq(pool_find6(p, late, want), 0);
    pool_free(p);
}
END_TEST

START_TEST(refuses_networks_it_cannot_serve)
{
    ck_assert_ptr_null(pool_new(NET, 7, seed));
    ck_assert_ptr_null(pool_new(NET, 25, seed));
    ck_assert_ptr_null(pool_new(NET | 1, 8, seed));
}
END_TEST

/* 253 of the 256 addresses of a /24 are usable here; all are given out, each once, and then no more. */
START_TEST(resolves_collisions_until_the_network_is_full)
{
    const uint32_t net = 0xc0a80500;
    struct pool *p = pool_new(net, 24, seed);
    bool seen[256] = {false};
    unsigned moved = 0;
    for (unsigned i = 0; i < 254; i++) {
        uint8_t key[KEY_LEN];
        key_of(key, i);
        uint32_t ip = pool_get(p, t0, key);
        ck_assert_uint_eq(ip & ~0xffu, net);
        ck_assert((ip & 0xff) != 0 && (ip & 0xff) != 0xff && !seen[ip & 0xff]);
        seen[ip & 0xff] = true;
        moved += ip != hashed(key, net, 24);
    }
    ck_assert_uint_gt(moved, 50);
    ck_assert_uint_eq(get(p, t0, 1000), 0);
    for (unsigned i = 0; i < 254; i++) /* whoever has one keeps it */
        ck_assert_uint_ne(get(p, t0, i), 0);
    ck_assert_uint_ne(get(p, mono_add(t0, POOL_LIFE), 1000), 0); /* the others have expired */
    pool_free(p);
}
END_TEST

START_TEST(never_gives_out_excluded_or_mirroring_addresses)
{
    struct pool *p = pool_new(NET, 8, seed);
    ck_assert_int_eq(pool_exclude(p, NET, 9), 0);
    ck_assert_int_eq(pool_exclude(p, 0x0ac00000, 10), 0);
    ck_assert_int_eq(pool_exclude(p, 0x0a800001, 9), -EINVAL);
    ck_assert(pool_is_excluded(p, 0x0a7fffff) && !pool_is_excluded(p, 0x0a800000));
    for (unsigned i = 0; i < 2000; i++) {
        uint32_t ip = get(p, t0, i);
        ck_assert_uint_ge(ip, 0x0a800000);
        ck_assert_uint_le(ip, 0x0abfffff);
    }
    ck_assert_int_eq(pool_exclude(p, 0x0a800000, 16), -EBUSY);
    pool_free(p);

    /* all that is left is one address; it is found */
    p = pool_new(NET, 8, seed);
    ck_assert_int_eq(pool_exclude(p, 0x0a800000, 9), 0);
    for (unsigned bits = 10; bits <= 31; bits++) /* leaves 10.0.0.0/31 and takes all above */
        ck_assert_int_eq(pool_exclude(p, NET | 1u << (32 - bits), bits), 0);
    ck_assert_uint_eq(get(p, t0, 1), 0); /* 10.0.0.1 mirrors to 127.0.0.1 and is not usable */
    pool_free(p);
    p = pool_new(NET, 8, seed);
    ck_assert_int_eq(pool_exclude(p, NET, 9), 0);
    for (unsigned bits = 10; bits <= 31; bits++) /* leaves 10.128.0.0/31 */
        ck_assert_int_eq(pool_exclude(p, 0x0a800000 | 1u << (32 - bits), bits), 0);
    ck_assert_uint_eq(get(p, t0, 1), 0x0a800001);
    ck_assert_uint_eq(get(p, t0, 2), 0);
    pool_free(p);
}
END_TEST

START_TEST(forgets_after_its_life_without_use)
{
    struct pool *p = pool_new(NET, 8, seed);
    ck_assert_uint_eq(pool_deadline(p).us, UINT64_MAX);
    uint32_t a = get(p, t0, 1), b = get(p, t0, 2), c = get(p, mono_add(t0, 5), 3);
    ck_assert_uint_eq(pool_deadline(p).us, t0.us + POOL_LIFE);
    mono_t half = mono_add(t0, POOL_LIFE / 2);
    ck_assert_ptr_nonnull(pool_key(p, half, a)); /* a packet */
    get(p, half, 3);                             /* a look-up */
    pool_expire(p, mono_add(t0, POOL_LIFE - 1));
    ck_assert_uint_eq(pool_deadline(p).us, t0.us + POOL_LIFE);
    pool_expire(p, mono_add(t0, POOL_LIFE));
    ck_assert_ptr_null(pool_key(p, half, b));
    ck_assert_uint_eq(pool_deadline(p).us, half.us + POOL_LIFE);
    pool_expire(p, mono_add(half, POOL_LIFE - 1));
    ck_assert_ptr_nonnull(pool_key(p, half, a));
    ck_assert_ptr_nonnull(pool_key(p, half, c));
    pool_expire(p, mono_add(half, POOL_LIFE));
    ck_assert_ptr_null(pool_key(p, half, a));
    ck_assert_uint_eq(pool_deadline(p).us, UINT64_MAX);
    pool_free(p);
}
END_TEST

START_TEST(pinned_entries_stay)
{
    struct pool *p = pool_new(NET, 8, seed);
    uint8_t key[KEY_LEN], other[KEY_LEN];
    key_of(key, 1);
    key_of(other, 2);
    uint32_t ip = pool_get(p, t0, key);
    pool_pin(p, key, true);
    pool_pin(p, key, true);
    pool_pin(p, other, true); /* reserves */
    ck_assert_uint_eq(pool_deadline(p).us, UINT64_MAX);
    mono_t late = mono_add(t0, 10 * POOL_LIFE);
    pool_expire(p, late);
    ck_assert_mem_eq(pool_key(p, late, ip), key, KEY_LEN);
    ck_assert_mem_eq(pool_key(p, late, hashed(other, NET, 8)), other, KEY_LEN);

    uint32_t mid = get(p, mono_add(late, 10), 3);
    pool_pin(p, key, false); /* lives on from its last use, which was before that of `mid` */
    ck_assert_uint_eq(pool_deadline(p).us, late.us + POOL_LIFE);
    pool_expire(p, mono_add(late, POOL_LIFE));
    ck_assert_ptr_null(pool_key(p, late, ip));
    ck_assert_ptr_nonnull(pool_key(p, late, mid));
    key_of(key, 99);
    pool_pin(p, key, false); /* nothing to unpin */
    pool_free(p);
}
END_TEST

START_TEST(is_bounded)
{
    struct pool *p = pool_new(NET, 8, seed);
    uint8_t key[KEY_LEN] = {0};
    for (unsigned i = 0; i <= POOL_MAX; i++) {
        memcpy(key, &i, sizeof(i));
        ck_assert_int_eq(pool_get(p, t0, key) != 0, i < POOL_MAX);
    }
    pool_free(p);
}
END_TEST

/* Addresses after a collision depend on the seed, so that nobody else can tell them. */
START_TEST(second_choices_depend_on_the_seed)
{
    static const uint8_t other[32] = {9};
    uint8_t key[KEY_LEN];
    key_of(key, 1);
    uint32_t ip = hashed(key, NET, 8);
    struct pool *p = pool_new(NET, 8, seed), *q = pool_new(NET, 8, other), *r = pool_new(NET, 8, seed);
    pool_exclude(p, ip, 32);
    pool_exclude(q, ip, 32);
    pool_exclude(r, ip, 32);
    ck_assert_uint_ne(pool_get(p, t0, key), pool_get(q, t0, key));
    ck_assert_uint_eq(pool_get(p, t0, key), pool_get(r, t0, key));
    pool_free(p);
    pool_free(q);
    pool_free(r);
}
END_TEST

START_TEST(a_new_key_takes_over_the_address_of_the_old_one)
{
    uint8_t old[KEY_LEN] = {1}, new[KEY_LEN] = {2}, before[16], after[16];
    struct pool *p = pool_new(NET, 8, seed);
    struct pool_entry e;
    ck_assert(!pool_rekey(p, t0, old, new));
    uint32_t ip = pool_get(p, t0, old), other = pool_get(p, t0, new);
    pool_pin(p, old, true);
    pool_address6(p, other, after);
    pool_address6(p, ip, before);
    while (pool_unsaved(p, &e))
        ;
    ck_assert(pool_rekey(p, t0, old, new));
    ck_assert_uint_eq(pool_get(p, t0, new), ip);
    ck_assert_mem_eq(pool_key(p, t0, ip), new, KEY_LEN);
    ck_assert_ptr_null(pool_key(p, t0, other));
    pool_address6(p, ip, before);
    ck_assert_mem_eq(before, after, sizeof(before)); /* that follows from the key */
    ck_assert_uint_eq(pool_count(p), 1);
    ck_assert(pool_unsaved(p, &e) && e.ip == ip && e.due.us == MONO_NEVER.us); /* still pinned */
    pool_free(p);
}
END_TEST

START_TEST(who_passes_is_in_nobodys_way_and_not_written_down)
{
    struct pool *p = pool_new(NET, 8, seed);
    uint8_t key[KEY_LEN], other[KEY_LEN];
    struct pool_entry e;
    void *at = NULL;
    for (unsigned i = 0; i < 500; i++) {
        key_of(key, i);
        uint32_t ip = pool_pass(p, t0, key, true);
        ck_assert_uint_eq(ip & 0xff, 0); /* which id_address() never gives */
        ck_assert(ip && ip & 0xffff00 && pool_contains(p, ip) && ip != hashed(key, NET, 8));
        ck_assert_uint_eq(pool_pass(p, t0, key, true), ip);
        ck_assert_mem_eq(pool_key(p, t0, ip), key, KEY_LEN);
    }
    key_of(other, 1000);
    ck_assert_uint_eq(pool_pass(p, t0, other, false), hashed(other, NET, 8)); /* as anybody's */
    ck_assert(!pool_unsaved(p, &e) && !pool_each(p, &at, &e));
    get(p, t0, 2000);
    ck_assert(pool_unsaved(p, &e) && !pool_unsaved(p, &e));
    at = NULL;
    ck_assert(pool_each(p, &at, &e) && !pool_each(p, &at, &e));
    ck_assert_uint_eq(pool_count(p), 502);
    mono_t later = mono_add(t0, 2 * POOL_LIFE);
    pool_expire(p, later);
    ck_assert_uint_eq(pool_count(p), 501); /* they last as long as they are wanted */
    for (unsigned i = 0; i < 500; i++) {
        key_of(key, i);
        pool_passed(p, key);
    }
    pool_passed(p, other);
    ck_assert_uint_eq(pool_count(p), 0);
    get(p, later, 2000);
    key_of(key, 2000);
    pool_passed(p, key); /* has one for good */
    ck_assert_uint_eq(pool_count(p), 1);
    ck_assert_uint_eq(pool_pass(p, later, key, true), 0);
    pool_free(p);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("naming/pool");
    TCase *tc = tcase_create("pool");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, gives_the_address_the_id_hashes_to);
    tcase_add_test(tc, an_entry_has_an_ipv6_address_while_it_lives);
    tcase_add_test(tc, refuses_networks_it_cannot_serve);
    tcase_add_test(tc, resolves_collisions_until_the_network_is_full);
    tcase_add_test(tc, never_gives_out_excluded_or_mirroring_addresses);
    tcase_add_test(tc, forgets_after_its_life_without_use);
    tcase_add_test(tc, pinned_entries_stay);
    tcase_add_test(tc, is_bounded);
    tcase_add_test(tc, second_choices_depend_on_the_seed);
    tcase_add_test(tc, a_new_key_takes_over_the_address_of_the_old_one);
    tcase_add_test(tc, who_passes_is_in_nobodys_way_and_not_written_down);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
