/* Ids, addresses and the written form of keys. Golden values come from another implementation:
 *
 *     python3 -c 'import hashlib as h; print(h.blake2s(b"i3run id v1" + bytes(range(32))).hexdigest()[:32])'
 *     python3 -c 'import hashlib as h; print(h.blake2s(b"i3run address v1" + bytes(4) + ID).hexdigest()[:8])'   # counter 0
 *     python3 -c 'import hashlib as h; print("fd69330000" + h.blake2s(b"i3run address6 v1" + ID).hexdigest()[:22])'
 *     python3 -c 'import base64 as b; print(b.b32encode(bytes(range(32))).decode().lower().rstrip("="))'
 */
#include "daemon/base/id.h"

#include <check.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "tests/lib/suite.h"
#include "tests/unit/i3/hex.h"

static const struct golden {
    const char *key, *written, *prefix;
    uint32_t in_8, in_12, in_24;
    const char *in_6;
} golden[] = {
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypq", "030fac40264f1495a21510b208de0f6c",
        0x0a3580a3, 0xac1580a3, 0xc0a805a3, "fd693300007b7721abf64824236f37f8"},
    {"de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
        "32pnw7l3pxa3ju23mhbozzbvg47ygq6iln4gotnn7r7bi34ifnhq", "c053c5edb0ee5c4c4d72e7a6e3c4f431",
        0x0a2befec, 0xac1befec, 0xc0a805ec, "fd6933000046a6d71204c794c525b1ea"},
    {"ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "777777777777777777777777777777777777777777777777757q", "6ed900c7537be6a8a06b82d204f2ce29",
        0x0ac3f65e, 0xac13f65e, 0xc0a8055e, "fd69330000ce519cbe635756ccdf637c"},
};

START_TEST(keys_hash_to_golden_ids)
{
    const struct golden *g = &golden[_i];
    uint8_t key[KEY_LEN], prefix[ID_PREFIX_LEN];
    struct i3_id id, other;
    char s[ID_STR];
    unhex(g->key, key, sizeof(key));
    unhex(g->prefix, prefix, sizeof(prefix));
    id_of_key(&id, key, NULL);
    ck_assert_mem_eq(id.b, prefix, ID_PREFIX_LEN);
    for (unsigned i = ID_PREFIX_LEN; i < ID_LEN; i++)
        ck_assert_uint_eq(id.b[i], 0);
    ck_assert_int_eq(strncmp(id_format(&id, s), g->prefix, 32), 0);
    ck_assert_uint_eq(strlen(s), 64);
    ck_assert_int_eq(strncmp(id_short(&id, s), g->prefix, 8), 0);
    ck_assert_uint_eq(strlen(s), 8);

    uint8_t suffix[16] = {9, 8, 7};
    id_of_key(&other, key, suffix);
    ck_assert_mem_eq(other.b + 16, suffix, 16);
    ck_assert(id_same_prefix(&id, &other));
    ck_assert(id_is_of_key(&other, key));
    key[31] ^= 1;
    ck_assert(!id_is_of_key(&other, key));
}
END_TEST

START_TEST(ids_hash_to_golden_addresses)
{
    const struct golden *g = &golden[_i];
    uint8_t key[KEY_LEN];
    struct i3_id id;
    unhex(g->key, key, sizeof(key));
    id_of_key(&id, key, NULL);
    ck_assert_uint_eq(id_address(&id, 0x0a000000, 8), g->in_8);
    ck_assert_uint_eq(id_address(&id, 0xac100000, 12), g->in_12);
    ck_assert_uint_eq(id_address(&id, 0xc0a80500, 24), g->in_24);
    ck_assert_uint_eq(id_address(&id, 0x0affffff, 8), g->in_8); /* host bits of the pool do not count */
    uint8_t in_6[16], ip6[16];
    unhex(g->in_6, in_6, sizeof(in_6));
    id_address6(&id, ip6);
    ck_assert_mem_eq(ip6, in_6, sizeof(ip6));
    struct addr a = addr_v6(ip6, 1);
    ck_assert(addr_has_prefix6(&a));
    a.ip[4] ^= 1;
    ck_assert(!addr_has_prefix6(&a));
}
END_TEST

/* Ids found by search whose first hash is not usable. */
static const struct {
    uint32_t id, address;
} second_choice[] = {
    {0x0000003b, 0x0a7d9c30}, /* last byte 255 */
    {0x00000083, 0x0a9d8233}, /* last byte 0 */
    {0x0000086e, 0x0ad0a525}, /* 10.0.0.x */
};

START_TEST(unusable_addresses_are_hashed_again)
{
    struct i3_id id = {{0}};
    struct writer w = writer_of(id.b, sizeof(id.b));
    put_u32(&w, second_choice[_i].id);
    ck_assert_uint_eq(id_address(&id, 0x0a000000, 8), second_choice[_i].address);
}
END_TEST

START_TEST(a_pool_that_cannot_be_ends)
{
    struct i3_id id = {{1}};
    ck_assert_uint_eq(id_address(&id, 0x0a000000, 25), 0);
    ck_assert_uint_eq(id_address(&id, 0x0a000000, 32), 0);
    ck_assert_uint_eq(id_address(&id, 0x0a000000, 24), 0); /* all of it mirrors to 127.0.0.x */
}
END_TEST

START_TEST(common_bits_count_from_the_top)
{
    struct i3_id a = {{0}}, b = {{0}};
    ck_assert_uint_eq(id_common_bits(&a, &b), 256);
    for (unsigned i = 0; i < 256; i++) {
        b = a;
        b.b[i / 8] ^= (uint8_t)(0x80 >> i % 8);
        if (i < 255)
            b.b[31] ^= 1;
        ck_assert_uint_eq(id_common_bits(&a, &b), i);
        ck_assert_uint_eq(id_common_bits(&b, &a), i);
    }
}
END_TEST

START_TEST(keys_are_written_and_read)
{
    const struct golden *g = &golden[_i];
    uint8_t key[KEY_LEN], back[KEY_LEN] = {0};
    char s[KEY_STR_LEN + 1], upper[KEY_STR_LEN + 1];
    unhex(g->key, key, sizeof(key));
    key_format(key, s);
    ck_assert_str_eq(s, g->written);
    ck_assert_int_eq(key_parse(s, back), 0);
    ck_assert_mem_eq(back, key, KEY_LEN);
    for (unsigned i = 0; i <= KEY_STR_LEN; i++)
        upper[i] = (char)toupper((unsigned char)s[i]);
    memset(back, 0, sizeof(back));
    ck_assert_int_eq(key_parse(upper, back), 0);
    ck_assert_mem_eq(back, key, KEY_LEN);
}
END_TEST

static const struct {
    const char *s;
    int err;
} bad_key[] = {
    {"", -EINVAL}, {"aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dyp", -EINVAL}, /* 51 */
    {"aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypqa", -EINVAL},              /* 53 */
    {"aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypr", -EINVAL}, /* the last 4 bits not 0 */
    {"aaaqeayeaudaocajbifqydiob4ibceqtcqkrmfyydenbwha5dypy", -EINVAL},
    {"aaaqeayeaudaocajb1fqydiob4ibceqtcqkrmfyydenbwha5dypq", -EINVAL}, /* 1 is no digit */
    {"aaaqeayeaudaocajb=fqydiob4ibceqtcqkrmfyydenbwha5dypq", -EINVAL},
    {"aaaqeayeaudaocajb fqydiob4ibceqtcqkrmfyydenbwha5dypq", -EINVAL},
    {"aaaqeayeaudaocajb\xc3\xa4qydiob4ibceqtcqkrmfyydenbwha5dypq", -EINVAL},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -EKEYREJECTED},
    {"aeaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", -EKEYREJECTED}, /* u = 1 */
    {"5t7777777777777777777777777777777777777777777777757q", -EKEYREJECTED}, /* p - 1 */
};

START_TEST(what_is_no_key_is_refused)
{
    uint8_t key[KEY_LEN], before[KEY_LEN];
    memset(key, 0x5a, sizeof(key));
    memcpy(before, key, sizeof(key));
    ck_assert_int_eq(key_parse(bad_key[_i].s, key), bad_key[_i].err);
    ck_assert_mem_eq(key, before, KEY_LEN);
}
END_TEST

static const char *const fingerprint[] = {"amh2-yqbg-j4kj-liqv-ccza", "ybj4-l3nq-5zoe-ytls-46to", "n3mq-br2t-pptk-ridl-qlja"};

/* The id's prefix, once more as people compare it: python3's base64 of the golden prefix. */
START_TEST(fingerprints_are_the_beginning_of_the_id)
{
    uint8_t key[KEY_LEN];
    char fp[FINGERPRINT_STR], digits[BASE32_LEN(ID_PREFIX_LEN) + 1];
    struct i3_id id;
    unhex(golden[_i].key, key, sizeof(key));
    ck_assert_str_eq(key_fingerprint(key, fp), fingerprint[_i]);
    ck_assert_uint_eq(strlen(fp), FINGERPRINT_STR - 1);
    id_of_key(&id, key, NULL);
    base32_encode(id.b, ID_PREFIX_LEN, digits);
    ck_assert_int_eq(strncmp(digits, fp, 4), 0);
    ck_assert_int_eq(strncmp(digits + 16, fp + 20, 4), 0);
}
END_TEST

START_TEST(base32_takes_what_it_gives_and_nothing_else)
{
    uint8_t in[41], out[41];
    char text[BASE32_LEN(41) + 2];
    for (unsigned i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)(i * 37 + 5);
    for (size_t n = 1; n <= sizeof(in); n++) {
        base32_encode(in, n, text);
        ck_assert_uint_eq(strlen(text), BASE32_LEN(n));
        memset(out, 0xee, sizeof(out));
        ck_assert_int_eq(base32_decode(text, out, n), 0);
        ck_assert_mem_eq(in, out, n);
        ck_assert(n == sizeof(out) || out[n] == 0xee);
        strcat(text, "a");
        ck_assert_int_eq(base32_decode(text, out, n), -EINVAL);
        text[BASE32_LEN(n) - 1] = '\0';
        ck_assert_int_eq(base32_decode(text, out, n), -EINVAL);
    }
    ck_assert_int_eq(base32_decode("ab", out, 1), -EINVAL); /* spare bits */
    ck_assert_int_eq(base32_decode("a1", out, 1), -EINVAL);
    ck_assert_int_eq(base32_decode("AE", out, 1), 0);
    ck_assert_uint_eq(out[0], 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/id");
    TCase *t = tcase_create("id");
    tcase_add_loop_test(t, keys_hash_to_golden_ids, 0, ARRAY_LEN(golden));
    tcase_add_loop_test(t, ids_hash_to_golden_addresses, 0, ARRAY_LEN(golden));
    tcase_add_loop_test(t, unusable_addresses_are_hashed_again, 0, ARRAY_LEN(second_choice));
    tcase_add_loop_test(t, fingerprints_are_the_beginning_of_the_id, 0, ARRAY_LEN(golden));
    tcase_add_test(t, base32_takes_what_it_gives_and_nothing_else);
    tcase_add_test(t, a_pool_that_cannot_be_ends);
    tcase_add_test(t, common_bits_count_from_the_top);
    tcase_add_loop_test(t, keys_are_written_and_read, 0, ARRAY_LEN(golden));
    tcase_add_loop_test(t, what_is_no_key_is_refused, 0, ARRAY_LEN(bad_key));
    suite_add_tcase(s, t);
    return suite_run(s);
}
