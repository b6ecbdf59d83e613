/* Names by hash: golden values, made from the drawing by another program (tests/lib/i3wire.py has its pieces); and what is refused. */
#include "daemon/naming/hashname.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"

static const char golden_id[] = "262c3227c995221035b15ebd68340b4100000000000000000000000000000000";
static const char golden_question[] =
    "01000102030405060708090a0b0c0d0e0f13be4feaeaf204c7fd3358fc9c00721881d174278128227ec674f37f7fe97b6d40""4142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f16824d060669bb67d2f62c1468a12201";
static const char golden_answer[] =
    "02000102030405060708090a0b0c0d0e0f57db4b359f23ae5e146e4e2512056704722506348c150c14753d0c933d04d4211d""1c550accf4d62c6d32b4061df2e833";

static struct hashname box;
static struct hashname_question asked;
static uint8_t fresh_priv[KEY_LEN], priv[KEY_LEN], pub[KEY_LEN];

static void setup(void)
{
    hashname_of(&box, "box.i3");
    memset(fresh_priv, 7, sizeof(fresh_priv));
    memset(priv, 9, sizeof(priv));
    x25519_public(pub, priv);
    x25519_public(asked.fresh, fresh_priv);
    for (unsigned i = 0; i < HASHNAME_NONCE; i++)
        asked.nonce[i] = (uint8_t)i;
    for (unsigned i = 0; i < ID_LEN; i++)
        asked.answer_to.b[i] = (uint8_t)(0x40 + i);
}

static void is_hex(const uint8_t *p, size_t n, const char *hex)
{
    char text[2 * HASHNAME_QUESTION + 1];
    for (size_t i = 0; i < n; i++)
        snprintf(text + 2 * i, 3, "%02x", p[i]);
    ck_assert_str_eq(text, hex);
}

START_TEST(the_golden_bytes)
{
    uint8_t q[HASHNAME_QUESTION], a[HASHNAME_ANSWER];
    is_hex(box.id.b, ID_LEN, golden_id);
    hashname_ask(&box, &asked, q);
    is_hex(q, sizeof(q), golden_question);
    ck_assert_int_eq(hashname_answer(&box, &asked, priv, pub, a), 0);
    is_hex(a, sizeof(a), golden_answer);
    ck_assert_uint_lt(sizeof(a), sizeof(q));
}
END_TEST

START_TEST(a_name_is_the_same_in_any_case_and_with_its_dot)
{
    struct hashname other;
    hashname_of(&other, "BOX.i3.");
    ck_assert_mem_eq(&other, &box, sizeof(box));
    hashname_of(&other, "box.i4");
    ck_assert_mem_ne(&other.id, &box.id, sizeof(box.id));
    hashname_of(&other, "ox.i3");
    ck_assert_mem_ne(&other.id, &box.id, sizeof(box.id));
}
END_TEST

START_TEST(a_question_is_read_by_who_knows_the_name_and_no_byte_may_differ)
{
    uint8_t q[HASHNAME_QUESTION + 1] = {0};
    struct hashname_question got;
    struct hashname other;
    hashname_ask(&box, &asked, q);
    ck_assert_int_eq(hashname_read_question(&box, q, HASHNAME_QUESTION, &got), 0);
    ck_assert_mem_eq(&got, &asked, sizeof(got));
    hashname_of(&other, "box.work.i3");
    ck_assert_int_eq(hashname_read_question(&other, q, HASHNAME_QUESTION, &got), -EBADMSG);
    for (size_t n = 0; n <= sizeof(q); n++)
        ck_assert(n == HASHNAME_QUESTION || hashname_read_question(&box, q, n, &got) == -EBADMSG);
    for (size_t i = 0; i < HASHNAME_QUESTION; i++) {
        q[i] ^= 0x20;
        ck_assert_int_eq(hashname_read_question(&box, q, HASHNAME_QUESTION, &got), -EBADMSG);
        q[i] ^= 0x20;
    }
}
END_TEST

START_TEST(an_answer_proves_the_key_that_it_tells)
{
    uint8_t a[HASHNAME_ANSWER + 1] = {0}, key[KEY_LEN], thief[KEY_LEN] = {3};
    struct hashname_question another = asked;
    struct hashname other;
    ck_assert_int_eq(hashname_answer(&box, &asked, priv, pub, a), 0);
    ck_assert_int_eq(hashname_read_answer(&box, &asked, fresh_priv, a, HASHNAME_ANSWER, key), 0);
    ck_assert_mem_eq(key, pub, KEY_LEN);
    for (size_t n = 0; n <= sizeof(a); n++)
        ck_assert(n == HASHNAME_ANSWER || hashname_read_answer(&box, &asked, fresh_priv, a, n, key) == -EBADMSG);
    for (size_t i = 0; i < HASHNAME_ANSWER; i++) {
        a[i] ^= 1;
        ck_assert_int_eq(hashname_read_answer(&box, &asked, fresh_priv, a, HASHNAME_ANSWER, key), -EBADMSG);
        a[i] ^= 1;
    }
    another.answer_to.b[31] ^= 1; /* an answer to that question is none to ours */
    ck_assert_int_eq(hashname_read_answer(&box, &another, fresh_priv, a, HASHNAME_ANSWER, key), -EBADMSG);
    hashname_of(&other, "box.work.i3");
    ck_assert_int_eq(hashname_read_answer(&other, &asked, fresh_priv, a, HASHNAME_ANSWER, key), -EBADMSG);
    ck_assert_int_eq(hashname_answer(&box, &asked, thief, pub, a), 0); /* somebody else's key */
    ck_assert_int_eq(hashname_read_answer(&box, &asked, fresh_priv, a, HASHNAME_ANSWER, key), -EBADMSG);
}
END_TEST

START_TEST(weak_points_are_refused)
{
    uint8_t a[HASHNAME_ANSWER], key[KEY_LEN], zero[KEY_LEN] = {0};
    struct hashname_question weak = asked;
    memset(weak.fresh, 0, KEY_LEN);
    ck_assert_int_eq(hashname_answer(&box, &weak, priv, pub, a), -EBADMSG);
    ck_assert_int_eq(hashname_answer(&box, &asked, priv, zero, a), 0);
    ck_assert_int_eq(hashname_read_answer(&box, &asked, fresh_priv, a, sizeof(a), key), -EBADMSG);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("naming/hashname");
    TCase *c = tcase_create("hashname");
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, the_golden_bytes);
    tcase_add_test(c, a_name_is_the_same_in_any_case_and_with_its_dot);
    tcase_add_test(c, a_question_is_read_by_who_knows_the_name_and_no_byte_may_differ);
    tcase_add_test(c, an_answer_proves_the_key_that_it_tells);
    tcase_add_test(c, weak_points_are_refused);
    suite_add_tcase(s, c);
    return suite_run(s);
}
