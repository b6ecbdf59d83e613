/* What is shared: grants, invitations, changes of keys, and the file. */
#include "daemon/policy/shares.h"

#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"

enum { TCP = IPPROTO_TCP, UDP = IPPROTO_UDP };
#define NOW    1800000000000000ull
#define MINUTE (60ull * 1000000)

static struct shares *s;
static struct addr here, there;
static uint8_t ann[KEY_LEN], ben[KEY_LEN], cay[KEY_LEN];

static void setup(void)
{
    s = shares_new();
    here = addr_v4(INADDR_LOOPBACK, 22);
    there = addr_v4(INADDR_LOOPBACK, 2222);
    uint8_t priv[KEY_LEN] = {1};
    x25519_public(ann, priv);
    priv[1] = 2;
    x25519_public(ben, priv);
    priv[1] = 3;
    x25519_public(cay, priv);
}

static void teardown(void)
{
    shares_free(s);
}

static struct invitation invitation(uint8_t n, uint16_t port)
{
    struct invitation v = {.token = {n, 7}, .tag = {n}, .proto = TCP, .port = port, .made = NOW, .until = NOW + 10 * MINUTE, .name = "bob"};
    return v;
}

START_TEST(a_port_leads_to_one_target_and_is_open_to_the_keys_granted)
{
    ck_assert_int_eq(share_grant(s, TCP, 22, ann), -ENOENT);
    ck_assert_int_eq(share_add(s, TCP, 22, &here), 0);
    ck_assert_int_eq(share_add(s, TCP, 22, &here), 0);
    ck_assert_int_eq(share_add(s, TCP, 22, &there), -EEXIST);
    ck_assert_int_eq(share_add(s, UDP, 22, &there), 0);
    ck_assert_int_eq(share_grant(s, TCP, 22, ann), 0);
    ck_assert(share_granted(s, TCP, 22, ann) && !share_granted(s, UDP, 22, ann) && !share_granted(s, TCP, 22, ben));
    share_grant(s, UDP, 22, ann);
    share_grant(s, TCP, 22, ben);
    ck_assert_uint_eq(share_grants(s, ann), 2);
    ck_assert_uint_eq(share_revoke(s, TCP, 22, ann), 1);
    ck_assert_ptr_nonnull(share_find(s, TCP, 22));
    ck_assert_uint_eq(share_revoke(s, 0, 0, ben), 1);
    ck_assert_ptr_null(share_find(s, TCP, 22)); /* nobody's any more */
    ck_assert_int_eq(share_remove(s, UDP, 22), 0);
    ck_assert_int_eq(share_remove(s, UDP, 22), -ENOENT);
    ck_assert_uint_eq(share_grants(s, ann), 0);
}
END_TEST

START_TEST(an_invitation_is_open_for_its_time_and_remembered_for_another)
{
    struct invitation v = invitation(1, 22);
    share_add(s, TCP, 22, &here);
    invitation_add(s, &v);
    ck_assert_int_eq(invitation_state(&v, NOW), INVITATION_OPEN);
    ck_assert_int_eq(invitation_state(&v, v.until - 1), INVITATION_OPEN);
    ck_assert_int_eq(invitation_state(&v, v.until), INVITATION_OVER);
    ck_assert_int_eq(invitation_state(&v, NOW - 2 * 60 * MINUTE), INVITATION_OVER); /* the clock was set back */
    ck_assert(!shares_expire(s, v.until - 1));
    ck_assert(shares_expire(s, v.until));
    ck_assert_ptr_null(share_find(s, TCP, 22)); /* it was shared by that code alone */
    ck_assert_int_eq(invitation_by_tag(s, v.tag)->state, INVITATION_OVER);
    ck_assert(!shares_expire(s, v.until + SHARES_REMEMBER - 1));
    ck_assert(shares_expire(s, v.until + SHARES_REMEMBER));
    ck_assert_ptr_null(invitation_by_tag(s, v.tag));
}
END_TEST

START_TEST(what_is_withdrawn_or_unshared_is_open_no_more)
{
    struct invitation a = invitation(1, 22), b = invitation(2, 80), c = invitation(3, 80);
    share_add(s, TCP, 22, &here);
    share_add(s, TCP, 80, &there);
    invitation_add(s, &a);
    invitation_add(s, &b);
    c.state = INVITATION_TAKEN;
    memcpy(c.key, ann, KEY_LEN);
    invitation_add(s, &c);
    ck_assert_uint_eq(invitation_withdraw(s, TCP, 22, NOW), 1);
    ck_assert_int_eq(invitation_by_tag(s, a.tag)->state, INVITATION_WITHDRAWN);
    ck_assert_int_eq(share_remove(s, TCP, 80), 0);
    ck_assert_int_eq(invitation_by_tag(s, b.tag)->state, INVITATION_WITHDRAWN);
    ck_assert_int_eq(invitation_by_tag(s, c.tag)->state, INVITATION_TAKEN);
    ck_assert_uint_eq(invitation_withdraw(s, 0, 0, NOW), 0);
}
END_TEST

START_TEST(a_new_key_takes_the_place_of_the_old_one_everywhere)
{
    struct invitation v = invitation(1, 22);
    v.state = INVITATION_TAKEN;
    memcpy(v.key, ann, KEY_LEN);
    share_add(s, TCP, 22, &here);
    share_grant(s, TCP, 22, ann);
    invitation_add(s, &v);
    received_add(s, TCP, 80, ann);
    ck_assert_int_eq(shares_rekey(s, ann, ben, NOW), 0);
    ck_assert(share_granted(s, TCP, 22, ben) && !share_granted(s, TCP, 22, ann));
    ck_assert(received_from(s, ben) && !received_from(s, ann));
    ck_assert_mem_eq(invitation_by_tag(s, v.tag)->key, ben, KEY_LEN);
    ck_assert_mem_eq(former_find(s, ann)->new, ben, KEY_LEN);
    ck_assert_mem_eq(former_of(s, ben)->old, ann, KEY_LEN);
    ck_assert_int_eq(shares_rekey(s, ben, cay, NOW + 1), 0); /* and once more */
    ck_assert_mem_eq(former_find(s, ann)->new, cay, KEY_LEN);
    ck_assert_mem_eq(former_of(s, cay)->old, ben, KEY_LEN);
    ck_assert_uint_eq(share_grants(s, cay), 1);
    ck_assert(shares_expire(s, NOW + SHARES_FORMER));
    ck_assert_ptr_null(former_find(s, ann));
    ck_assert_ptr_nonnull(former_find(s, ben));
    former_forget(s, cay);
    ck_assert_ptr_null(former_at(s, 0));
}
END_TEST

START_TEST(the_file_comes_back_as_it_was_written)
{
    struct invitation v = invitation(1, 22);
    size_t len, again_len;
    unsigned line;
    char err[200];
    share_add(s, TCP, 22, &here);
    share_add(s, UDP, 53, &there);
    share_grant(s, TCP, 22, ann);
    share_grant(s, UDP, 53, ben);
    invitation_add(s, &v);
    v = invitation(2, 22);
    v.state = INVITATION_TAKEN;
    v.name[0] = '\0';
    strcpy(v.as, "box");
    memcpy(v.key, ann, KEY_LEN);
    invitation_add(s, &v);
    received_add(s, TCP, 443, cay);
    shares_rekey(s, ben, cay, NOW);
    char *text = shares_format(s, &len);
    struct shares *t = shares_new();
    ck_assert_int_eq(shares_parse(t, text, len, &line, err, sizeof(err)), 0);
    char *again = shares_format(t, &again_len);
    ck_assert_str_eq(text, again);
    ck_assert_uint_eq(len, again_len);
    ck_assert(share_granted(t, UDP, 53, cay) && received_from(t, cay) && former_find(t, ben));
    ck_assert_str_eq(invitation_at(t, 0)->name, "bob");
    ck_assert_str_eq(invitation_at(t, 1)->as, "box");
    ck_assert_int_eq(invitation_at(t, 1)->state, INVITATION_TAKEN);
    for (size_t i = 0; i < len; i++) { /* torn off: refused, or a line less; never something else */
        int rc = shares_parse(t, text, i, &line, err, sizeof(err));
        ck_assert(rc == 0 || (rc == -EINVAL && line > 0));
    }
    free(text);
    free(again);
    shares_free(t);
}
END_TEST

static const struct {
    const char *text;
    unsigned line;
} broken[] = {
    {"share tcp 22 127.0.0.1:22\nshare tcp 22 127.0.0.1:23\n", 2},
    {"share tcp 0 127.0.0.1:22\n", 1},
    {"share tcp 65536 127.0.0.1:22\n", 1},
    {"share tcp 22x 127.0.0.1:22\n", 1},
    {"share sctp 22 127.0.0.1:22\n", 1},
    {"share tcp 22 127.0.0.1\n", 1},
    {"share tcp 22\n", 1},
    {"share tcp 22 127.0.0.1:22 more\n", 1},
    {"share  tcp 22 127.0.0.1:22\n", 1},
    {"\ngrant tcp 22 aaaa\n", 2},
    {"share tcp 22 127.0.0.1:22\ngrant tcp 22 aaaa\n", 2},
    {"invite aeaaaaaaaaaaaaaaaaaaaaaaaa tcp 22 1 2 open - - -\n", 1},
    {"share tcp 22 127.0.0.1:22\ninvite aeaaaaaaaaaaaaaaaaaaaaaaaa tcp 22 -1 2 open - - -\n", 2},
    {"share tcp 22 127.0.0.1:22\ninvite aeaaaaaaaaaaaaaaaaaaaaaaaa tcp 22 1 2 shut - - -\n", 2},
    {"share tcp 22 127.0.0.1:22\ninvite aeaaaaaaaaaaaaaaaaaaaaaaaa tcp 22 1 2 taken - - -\n", 2},
    {"share tcp 22 127.0.0.1:22\ninvite aeaa tcp 22 1 2 open - - -\n", 2},
    {"share tcp 22 127.0.0.1:22\ninvite aeaaaaaaaaaaaaaaaaaaaaaaaa tcp 22 1 2 open a.b - -\n", 2},
    {"former a b 1\n", 1},
    {"something else\n", 1},
};

START_TEST(a_broken_line_is_told_and_nothing_changes)
{
    unsigned line;
    char err[200];
    share_add(s, TCP, 1, &here);
    ck_assert_int_eq(shares_parse(s, broken[_i].text, strlen(broken[_i].text), &line, err, sizeof(err)), -EINVAL);
    ck_assert_uint_eq(line, broken[_i].line);
    ck_assert_uint_gt(strlen(err), 5);
    ck_assert_ptr_nonnull(share_find(s, TCP, 1));
}
END_TEST

START_TEST(is_bounded)
{
    uint8_t key[KEY_LEN] = {0};
    share_add(s, TCP, 1, &here);
    for (unsigned i = 0; i < ACCESS_KEYS; i++) {
        memcpy(key, &i, sizeof(i));
        ck_assert_int_eq(share_grant(s, TCP, 1, key), 0);
    }
    ck_assert_int_eq(share_grant(s, TCP, 1, ann), -ENOSPC);
    for (unsigned i = 1; i <= SHARES_MAX; i++)
        ck_assert_int_eq(share_add(s, TCP, (uint16_t)i, &here), 0);
    ck_assert_int_eq(share_add(s, UDP, 1, &here), -ENOSPC);
    struct invitation v = invitation(0, 1);
    for (unsigned i = 0; i < INVITATIONS_MAX; i++) {
        v.tag[1] = (uint8_t)i;
        ck_assert_int_eq(invitation_add(s, &v), 0);
    }
    ck_assert_int_eq(invitation_add(s, &v), -ENOSPC);
    invitation_at(s, 5)->state = INVITATION_WITHDRAWN; /* that makes room */
    v.tag[1] = 200;
    ck_assert_int_eq(invitation_add(s, &v), 0);
    v.tag[1] = 5;
    ck_assert_ptr_null(invitation_by_tag(s, v.tag));
    for (unsigned i = 0; i < RECEIVED_MAX + 3; i++) {
        memcpy(key, &i, sizeof(i));
        ck_assert_int_eq(received_add(s, TCP, 1, key), 0);
    }
    key[0] = key[1] = 0;
    ck_assert(!received_from(s, key)); /* the oldest has given way */
    ck_assert_ptr_null(received_at(s, RECEIVED_MAX));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("policy/shares");
    TCase *tc = tcase_create("shares");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_port_leads_to_one_target_and_is_open_to_the_keys_granted);
    tcase_add_test(tc, an_invitation_is_open_for_its_time_and_remembered_for_another);
    tcase_add_test(tc, what_is_withdrawn_or_unshared_is_open_no_more);
    tcase_add_test(tc, a_new_key_takes_the_place_of_the_old_one_everywhere);
    tcase_add_test(tc, the_file_comes_back_as_it_was_written);
    tcase_add_loop_test(tc, a_broken_line_is_told_and_nothing_changes, 0, (int)ARRAY_LEN(broken));
    tcase_add_test(tc, is_bounded);
    suite_add_tcase(suite, tc);
    return suite_run(suite);
}
