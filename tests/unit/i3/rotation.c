/* A key gives way to another: the announcement byte by byte, against tests/unit/i3/golden_invite.py, and who believes it. */
#include "daemon/i3/rotation.h"

#include <check.h>
#include <errno.h>

#include "tests/lib/suite.h"
#include "tests/unit/i3/hex.h"

static const char golden_rotate[] =
    "18000000618532d7afd1977f04d3378c6e4ab78ec3509c67acd7019cc2eff507b3bdcd6d35ccf79d23ae262f13a7ded0eb7a"
    "87fe";
static const char golden_rotated[] = "1a000000618532d7afd1977f";

static uint8_t old_priv[KEY_LEN], to_priv[KEY_LEN], new_priv[KEY_LEN], old[KEY_LEN], to[KEY_LEN], new[KEY_LEN];

static void setup(void)
{
    fill_key(old_priv, 1);
    fill_key(to_priv, 2);
    fill_key(new_priv, 3);
    x25519_public(old, old_priv);
    x25519_public(to, to_priv);
    x25519_public(new, new_priv);
}

START_TEST(announcement_and_answer_are_golden)
{
    struct inner_rotate m, got;
    uint8_t msg[INNER_ROTATE_LEN], want[INNER_ROTATE_LEN + 1];
    uint64_t token;
    memcpy(m.key, new, KEY_LEN);
    ck_assert_int_eq(rotation_proof(new_priv, to, old, new, to, m.proof), 0);
    ck_assert_uint_eq(rotate_encode(msg, sizeof(msg), &m), INNER_ROTATE_LEN);
    ck_assert_uint_eq(unhex(golden_rotate, want, sizeof(want)), INNER_ROTATE_LEN);
    ck_assert_mem_eq(msg, want, INNER_ROTATE_LEN);
    ck_assert_int_eq(rotate_decode(msg, sizeof(msg), &got), 0);
    ck_assert_mem_eq(&got, &m, sizeof(m));
    for (unsigned i = 0; i < sizeof(msg); i++)
        ck_assert_int_eq(rotate_decode(msg, i, &got), -EBADMSG);
    ck_assert_int_eq(rotate_decode(want, sizeof(want), &got), -EBADMSG); /* a byte too many */
    for (unsigned i = 0; i < 4; i++) {
        msg[i] ^= 1;
        ck_assert_int_eq(rotate_decode(msg, sizeof(msg), &got), -EBADMSG);
        msg[i] ^= 1;
    }
    ck_assert_uint_eq(token_encode(msg, sizeof(msg), INNER_ROTATED, rotation_token(new)), INNER_TOKEN_LEN);
    ck_assert_uint_eq(unhex(golden_rotated, want, sizeof(want)), INNER_TOKEN_LEN);
    ck_assert_mem_eq(msg, want, INNER_TOKEN_LEN);
    ck_assert_int_eq(token_decode(msg, INNER_TOKEN_LEN, INNER_ROTATED, &token), 0);
    ck_assert_uint_eq(token, rotation_token(new));
}
END_TEST

START_TEST(both_ends_make_the_same_proof_and_nobody_else_does)
{
    uint8_t a[ROTATION_PROOF_LEN], b[ROTATION_PROOF_LEN], zero[KEY_LEN] = {0};
    ck_assert_int_eq(rotation_proof(new_priv, to, old, new, to, a), 0);
    ck_assert_int_eq(rotation_proof(to_priv, new, old, new, to, b), 0);
    ck_assert_mem_eq(a, b, sizeof(a));
    rotation_proof(old_priv, to, old, new, to, b); /* who has the old key alone */
    ck_assert_mem_ne(a, b, sizeof(a));
    rotation_proof(new_priv, to, new, old, to, b);
    ck_assert_mem_ne(a, b, sizeof(a));
    rotation_proof(new_priv, to, old, new, old, b); /* said to somebody else */
    ck_assert_mem_ne(a, b, sizeof(a));
    ck_assert_int_eq(rotation_proof(to_priv, zero, old, zero, to, b), -EKEYREJECTED);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i3/rotation");
    TCase *tc = tcase_create("rotation");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, announcement_and_answer_are_golden);
    tcase_add_test(tc, both_ends_make_the_same_proof_and_nobody_else_does);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
