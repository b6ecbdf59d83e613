/* Mappings as records: what is restored, and what becomes of addresses that collide. */
#include "daemon/naming/mappings.h"

#include <string.h>

#include "include/addr.h"
#include "tests/lib/suite.h"

#define NOW  ((mono_t){1000000})
#define WALL 1700000000000000ull

enum { NETWORK = 0x0a000000 };

static struct pool *pool;

static struct pool *make(unsigned bits)
{
    uint8_t seed[32] = {7};
    return pool_new(NETWORK, bits, seed);
}

static void setup(void)
{
    pool = make(8);
}

static void teardown(void)
{
    pool_free(pool);
}

static const uint8_t *key_of(uint8_t n)
{
    static uint8_t key[256][KEY_LEN];
    memset(key[n], n, KEY_LEN);
    return key[n];
}

static bool take(uint8_t key, uint32_t ip, uint64_t due_us)
{
    uint8_t body[MAPPING_LEN];
    struct pool_entry e = {key_of(key), ip, {due_us}};
    mapping_put(&e, NOW, WALL, body);
    return mapping_take(pool, body, sizeof(body), NOW, WALL);
}

#define LATER (NOW.us + POOL_LIFE / 2)

START_TEST(what_was_given_out_is_given_out_again)
{
    uint32_t own = pool_get(pool, NOW, key_of(1)), other = own ^ 0x010203;
    ck_assert(take(1, other, LATER)); /* not what its key hashes to: it had collided then */
    ck_assert_uint_eq(pool_get(pool, NOW, key_of(1)), other);
    ck_assert_mem_eq(pool_key(pool, NOW, other), key_of(1), KEY_LEN);
    ck_assert_ptr_null(pool_key(pool, NOW, own));
    ck_assert_uint_eq(pool_count(pool), 1);
}
END_TEST

START_TEST(the_latest_record_of_an_address_holds)
{
    uint32_t ip = NETWORK + 0x123456;
    ck_assert(take(1, ip, LATER));
    ck_assert(take(2, ip, LATER)); /* 1's life had ended, and 2 was given its address */
    ck_assert_mem_eq(pool_key(pool, NOW, ip), key_of(2), KEY_LEN);
    uint32_t again = pool_get(pool, NOW, key_of(1));
    ck_assert_uint_ne(again, 0);
    ck_assert_uint_ne(again, ip); /* two hosts never share one */
    ck_assert_uint_eq(pool_get(pool, NOW, key_of(2)), ip);
}
END_TEST

START_TEST(whoever_hashes_to_a_restored_address_takes_another)
{
    uint32_t home = pool_get(pool, NOW, key_of(3));
    ck_assert(take(4, home, LATER)); /* 4 sits there since before */
    uint32_t now = pool_get(pool, NOW, key_of(3));
    ck_assert_uint_ne(now, 0);
    ck_assert_uint_ne(now, home);
    ck_assert_mem_eq(pool_key(pool, NOW, home), key_of(4), KEY_LEN);
}
END_TEST

START_TEST(an_address_that_is_routed_for_real_by_now_is_not_restored)
{
    uint32_t ip = NETWORK + 0x050607;
    ck_assert_int_eq(pool_exclude(pool, NETWORK + 0x050000, 16), 0);
    ck_assert(!take(1, ip, LATER));
    ck_assert_uint_eq(pool_count(pool), 0);
    uint32_t given = pool_get(pool, NOW, key_of(1));
    ck_assert_uint_ne(given, 0);
    ck_assert_uint_ne(given & 0xffff0000, NETWORK + 0x050000);
}
END_TEST

START_TEST(nor_is_one_of_another_network)
{
    ck_assert(!take(1, 0x0b000001, LATER));
    ck_assert(!take(1, 0, LATER));
    ck_assert_uint_eq(pool_count(pool), 0);
}
END_TEST

START_TEST(a_life_is_never_shorter_nor_endless)
{
    ck_assert(take(1, NETWORK + 0x111111, NOW.us + 1000000));
    pool_expire(pool, (mono_t){NOW.us + 1000000});
    ck_assert_ptr_nonnull(pool_key(pool, NOW, NETWORK + 0x111111));
    ck_assert(take(2, NETWORK + 0x222222, MONO_NEVER.us)); /* pinned then: as long as one that was just used */
    pool_expire(pool, (mono_t){NOW.us + 2 * POOL_LIFE + 1});
    ck_assert_uint_eq(pool_count(pool), 0);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    uint8_t body[MAPPING_LEN + 1] = {0};
    struct pool_entry e = {key_of(1), NETWORK + 0x111111, {LATER}};
    mapping_put(&e, NOW, WALL, body);
    for (size_t len = 0; len <= sizeof(body); len++)
        ck_assert_int_eq(mapping_take(pool, body, len, NOW, WALL), len == MAPPING_LEN);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mappings");
    TCase *t = tcase_create("records");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, what_was_given_out_is_given_out_again);
    tcase_add_test(t, the_latest_record_of_an_address_holds);
    tcase_add_test(t, whoever_hashes_to_a_restored_address_takes_another);
    tcase_add_test(t, an_address_that_is_routed_for_real_by_now_is_not_restored);
    tcase_add_test(t, nor_is_one_of_another_network);
    tcase_add_test(t, a_life_is_never_shorter_nor_endless);
    tcase_add_test(t, every_truncation_is_refused);
    suite_add_tcase(s, t);
    return suite_run(s);
}
