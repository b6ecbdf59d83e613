/* Invitations: the code that people carry, and the two messages by which it is taken up. */
#include "daemon/i3/invite.h"

#include <check.h>
#include <errno.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"

static uint8_t ja[KEY_LEN] = {[1] = 1}, jp[KEY_LEN], ia[KEY_LEN] = {[1] = 2}, ip[KEY_LEN], e1[KEY_LEN] = {[1] = 3}, e2[KEY_LEN] = {[1] = 4};
static struct invite inv;

static void setup(void)
{
    struct i3_id id;
    x25519_public(jp, ja);
    x25519_public(ip, ia);
    id_of_key(&id, ip, NULL);
    memset(&inv, 0, sizeof(inv));
    for (unsigned i = 0; i < INVITE_TOKEN_LEN; i++)
        inv.token[i] = (uint8_t)(7 * i + 1);
    memcpy(inv.prefix, id.b, ID_PREFIX_LEN);
    inv.n = 1;
    inv.nodes[0] = addr_v4(0xcb007109, 5610);
}

START_TEST(a_code_is_read_as_it_was_written_and_every_mistyped_character_is_noticed)
{
    char code[INVITE_STR], wrong[INVITE_STR];
    struct invite out;
    invite_format(&inv, code);
    ck_assert_uint_eq(strlen(code), 66 + 10);
    ck_assert_int_eq(invite_parse(code, &out), 0);
    ck_assert_mem_eq(&out, &inv, sizeof(inv));
    for (unsigned i = 0; code[i]; i++) {
        strcpy(wrong, code);
        if (code[i] == '-')
            continue;
        wrong[i] = code[i] == 'q' ? 'x' : 'q';
        ck_assert_int_lt(invite_parse(wrong, &out), 0);
        memmove(wrong + i, code + i + 1, strlen(code + i));
        ck_assert_int_lt(invite_parse(wrong, &out), 0);
    }
    ck_assert_int_eq(invite_parse("", &out), -EMSGSIZE);
    ck_assert_int_eq(invite_parse("hello/world", &out), -EINVAL);
}
END_TEST

START_TEST(who_knows_the_token_joins_and_both_learn_the_others_key)
{
    struct noise j, i;
    uint8_t join[JOIN_LEN], joined[JOINED_LEN];
    char name[INVITE_NAME_MAX + 1];
    struct joined say = {IPPROTO_TCP, 22, "alice"}, got;
    ck_assert_int_le(JOINED_LEN, JOIN_LEN);
    ck_assert_int_eq(join_write(&j, &inv, e1, ja, jp, "bob", join), 0);
    ck_assert(join_is_for(inv.token, PROTO_JOIN, join, sizeof(join)));
    ck_assert_int_eq(join_read(&i, inv.token, ia, ip, join, name), 0);
    ck_assert_str_eq(name, "bob");
    ck_assert_mem_eq(i.rs, jp, KEY_LEN);
    ck_assert_int_eq(joined_write(&i, inv.token, e2, &say, joined), 0);
    ck_assert(join_is_for(inv.token, PROTO_JOINED, joined, sizeof(joined)));
    ck_assert(!join_is_for(inv.token, PROTO_JOIN, joined, sizeof(joined)));
    ck_assert_int_eq(joined_read(&j, &inv, joined, &got), 0);
    ck_assert_mem_eq(j.rs, ip, KEY_LEN);
    ck_assert_str_eq(got.name, "alice");
    ck_assert_uint_eq(got.port, 22);
    ck_assert_int_eq(join_write(&j, &inv, e1, ja, jp, "no.label", join), -EINVAL);
}
END_TEST

START_TEST(what_is_cut_changed_or_of_another_token_or_key_is_refused)
{
    struct noise j, i, copy;
    uint8_t join[JOIN_LEN], joined[JOINED_LEN];
    char name[INVITE_NAME_MAX + 1];
    struct joined say = {IPPROTO_TCP, 22, "alice"}, got;
    struct invite other = inv;
    join_write(&j, &inv, e1, ja, jp, "bob", join);
    for (unsigned k = 0; k < sizeof(join); k++) {
        ck_assert(!join_is_for(inv.token, PROTO_JOIN, join, k));
        join[k] ^= 1;
        ck_assert(!join_is_for(inv.token, PROTO_JOIN, join, sizeof(join)));
        join[k] ^= 1;
    }
    other.token[15] ^= 1;
    ck_assert(!join_is_for(other.token, PROTO_JOIN, join, sizeof(join)));
    ck_assert_int_eq(join_read(&i, inv.token, ja, jp, join, name), -EBADMSG); /* invited by somebody else */
    ck_assert_int_eq(join_read(&i, inv.token, ia, ip, join, name), 0);
    ck_assert_int_eq(joined_write(&i, inv.token, e2, &say, joined), 0);
    other = inv;
    other.prefix[0] ^= 1; /* who answers has not the key of the code */
    copy = j;
    ck_assert_int_eq(joined_read(&copy, &other, joined, &got), -EBADMSG);
    joined[INVITE_TAG_LEN + 40] ^= 1;
    copy = j;
    ck_assert_int_eq(joined_read(&copy, &inv, joined, &got), -EBADMSG);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i3/invite");
    TCase *tc = tcase_create("invite");
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, a_code_is_read_as_it_was_written_and_every_mistyped_character_is_noticed);
    tcase_add_test(tc, who_knows_the_token_joins_and_both_learn_the_others_key);
    tcase_add_test(tc, what_is_cut_changed_or_of_another_token_or_key_is_refused);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
