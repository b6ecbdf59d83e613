/* Invitations: the code that people carry, and the two messages by which it is taken up. */
#include "daemon/i3/invite.h"

#include <check.h>
#include <errno.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"
#include "tests/unit/i3/hex.h"

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

/* ---- against tests/unit/i3/golden_invite.py ---- */

static const char golden_code[] = "cqaqqd-ywdusc-wmrzib-du4vk4-mnvf43-yjffcy-xldqqk-kkgt4x-5kiwvs-yaoeer-l2qcoi";
static const char golden_join[] =
    "ca2e786335065664618532d7afd1977f04d3378c6e4ab78ec3509c67acd7019cc2eff507b3bdcd6d6b78df5a5694b65f05e8"
    "b10b3ee154ffab4deb3baacc18fe082f68c18c28dfb00ecdd4e37e5177e3ec3f1085cdfd08b965b1a6cb8b8d3602c2ed4581"
    "f48816d9860431ebe86fc7e133a6afcff8179fe83603e26bfdbcf63c70efdb5167b411be12dcb74c1167a355800d6281c92e"
    "9341a5e8f96834f8d4e5dd414c51454942118121236ff567f0701222400a1529537a";
static const char golden_joined[] =
    "ca2e7863350656649aabea0e4855b9261b37e924749f14653f53d3b5c333cca7b57d23d0eb184206748c344869a97bf8181d"
    "b35752ef4d084361ecca8210fb973d3e7a78735e2f821da6edd3ce27fbb775fb58d425178bdbfab5eb3f079992b23f089d57"
    "81bb25e3b1153b27168a20c13d4790dbc688ddb6dfc334a55d1ee8a7c2531171677fa6907329b78fdc951049211286d14e77"
    "ea0b7c49c4446b3339c9adbcc324820acde6e620e4f5e02ac63f7f7184646bd8bd53";
static const char golden_refusal[] =
    "ca2e78633506566401000000000000000bcf84f18d4f4a5c533fa9ce520ac3d6";

START_TEST(codes_and_messages_are_golden)
{
    uint8_t joiner[KEY_LEN], joiner_pub[KEY_LEN], inviter[KEY_LEN], inviter_pub[KEY_LEN], ej[KEY_LEN], ei[KEY_LEN];
    uint8_t join[JOIN_LEN], joined[JOINED_LEN], refusal[REFUSAL_LEN], want[JOIN_LEN];
    struct noise j, i;
    struct i3_id id;
    char code[INVITE_STR], name[INVITE_NAME_MAX + 1];
    struct joined say = {IPPROTO_TCP, 22, "alice"};
    fill_key(joiner, 1);
    fill_key(inviter, 2);
    fill_key(ej, 3);
    fill_key(ei, 4);
    x25519_public(joiner_pub, joiner);
    x25519_public(inviter_pub, inviter);
    id_of_key(&id, inviter_pub, NULL);
    memcpy(inv.prefix, id.b, ID_PREFIX_LEN);
    invite_format(&inv, code);
    ck_assert_str_eq(code, golden_code);
    ck_assert_int_eq(join_write(&j, &inv, ej, joiner, joiner_pub, "bob", join), 0);
    ck_assert_uint_eq(unhex(golden_join, want, sizeof(want)), JOIN_LEN);
    ck_assert_mem_eq(join, want, JOIN_LEN);
    ck_assert_int_eq(join_read(&i, inv.token, inviter, inviter_pub, join, name), 0);
    ck_assert_int_eq(joined_write(&i, inv.token, ei, &say, joined), 0);
    ck_assert_uint_eq(unhex(golden_joined, want, sizeof(want)), JOINED_LEN);
    ck_assert_mem_eq(joined, want, JOINED_LEN);
    refusal_write(inv.token, join, JOIN_USED, refusal);
    ck_assert_uint_eq(unhex(golden_refusal, want, sizeof(want)), REFUSAL_LEN);
    ck_assert_mem_eq(refusal, want, REFUSAL_LEN);
}
END_TEST

START_TEST(a_refusal_is_for_that_code_and_that_join_alone)
{
    struct noise j;
    uint8_t join[JOIN_LEN], again[JOIN_LEN], refusal[REFUSAL_LEN];
    struct invite other = inv;
    enum join_refusal why;
    other.token[3] ^= 1;
    join_write(&j, &inv, e1, ja, jp, "bob", join);
    join_write(&j, &inv, e2, ja, jp, "bob", again);
    for (unsigned r = 1; r < JOIN_REFUSALS; r++) {
        refusal_write(inv.token, join, (enum join_refusal)r, refusal);
        ck_assert_int_eq(refusal_read(inv.token, join, refusal, sizeof(refusal), &why), 0);
        ck_assert_uint_eq(why, r);
        ck_assert_int_eq(refusal_read(inv.token, again, refusal, sizeof(refusal), &why), -EBADMSG);
        ck_assert_int_eq(refusal_read(other.token, join, refusal, sizeof(refusal), &why), -EBADMSG);
        for (unsigned k = 0; k < sizeof(refusal); k++) {
            ck_assert_int_eq(refusal_read(inv.token, join, refusal, k, &why), -EBADMSG);
            refusal[k] ^= 1;
            ck_assert_int_eq(refusal_read(inv.token, join, refusal, sizeof(refusal), &why), -EBADMSG);
            refusal[k] ^= 1;
        }
    }
    ck_assert(!join_is_for(inv.token, PROTO_JOINED, refusal, sizeof(refusal)));
}
END_TEST

START_TEST(a_code_that_is_cut_or_has_odd_contents_is_none)
{
    char code[INVITE_STR], cut[INVITE_STR];
    struct invite out;
    inv.n = 3;
    inv.nodes[1] = addr_v4(0xc6336402, 1);
    inv.nodes[2] = (struct addr){.family = 6, .ip = {0x20, 1, 0xd, 0xb8, [15] = 7}, .port = 65535};
    invite_format(&inv, code);
    ck_assert_int_eq(invite_parse(code, &out), 0);
    ck_assert_mem_eq(&out, &inv, sizeof(inv));
    for (unsigned i = 0; i < strlen(code); i++) {
        memcpy(cut, code, i);
        cut[i] = '\0';
        if (code[i] != '-') /* what is cut off is more than a '-' */
            ck_assert_int_lt(invite_parse(cut, &out), 0);
    }
    inv.nodes[0].port = 0; /* nowhere */
    invite_format(&inv, code);
    ck_assert_int_lt(invite_parse(code, &out), 0);
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
    tcase_add_test(tc, codes_and_messages_are_golden);
    tcase_add_test(tc, a_refusal_is_for_that_code_and_that_join_alone);
    tcase_add_test(tc, a_code_that_is_cut_or_has_odd_contents_is_none);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
