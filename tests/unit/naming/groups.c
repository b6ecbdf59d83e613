/* The groups of a daemon: what is kept, carried over and refused. */
#include "daemon/naming/groups.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"

static struct groups *groups;
static uint8_t priv[KEY_LEN], member[GROUP_MEMBER_LEN] = {1, 2, 3, 4, 5, 6, 7, 8};

static void setup(void)
{
    groups = groups_new();
    ck_assert_ptr_nonnull(groups);
    memset(priv, 0x11, sizeof(priv));
}

static void teardown(void)
{
    groups_free(groups);
}

static struct group made(const char *name, enum group_kind kind, uint8_t key, const char *place)
{
    struct group g;
    memset(priv, key, sizeof(priv));
    ck_assert_int_eq(group_make(&g, name, kind, priv, place, member), 0);
    return g;
}

START_TEST(a_group_is_found_by_name_and_by_key)
{
    struct group g = made("Web.Farm", GROUP_ANYCAST, 1, "");
    uint8_t pub[KEY_LEN];
    x25519_public(pub, priv);
    ck_assert_mem_eq(g.entry.key, pub, KEY_LEN);
    ck_assert_mem_eq(g.member, member, sizeof(member));
    ck_assert(!g.entry.multicast);
    ck_assert_int_eq(groups_add(groups, &g), 0);
    ck_assert_str_eq(groups_find(groups, "wEB.farm")->entry.name, "web.farm");
    ck_assert_ptr_eq(groups_by_key(groups, pub), groups_find(groups, "web.farm"));
    ck_assert_ptr_eq(groups_at(groups, 0), groups_find(groups, "web.farm"));
    ck_assert_ptr_null(groups_at(groups, 1));
    ck_assert_ptr_null(groups_find(groups, "web"));
    struct group same_key = made("other", GROUP_ANYCAST, 1, ""), same_name = made("web.farm", GROUP_MULTICAST, 2, "");
    ck_assert(same_name.entry.multicast);
    ck_assert_int_eq(groups_add(groups, &same_key), -EEXIST);
    ck_assert_int_eq(groups_add(groups, &same_name), -EEXIST);
    groups_remove(groups, groups_find(groups, "web.farm"));
    ck_assert_ptr_null(groups_by_key(groups, pub));
    ck_assert_int_eq(groups_add(groups, &same_name), 0);
}
END_TEST

START_TEST(the_file_gives_back_what_was_written)
{
    struct group a = made("a", GROUP_ANYCAST, 1, "eu/berlin"), b = made("b", GROUP_MULTICAST, 2, ""), c = made("c", GROUP_ANYCAST, 3, "");
    size_t len;
    unsigned line;
    ck_assert_int_eq(groups_add(groups, &a) | groups_add(groups, &b) | groups_add(groups, &c), 0);
    char *text = groups_format(groups, &len);
    ck_assert_uint_eq(len, strlen(text));
    struct groups *again = groups_new();
    ck_assert_int_eq(groups_parse(again, text, len, &line), 0);
    for (unsigned i = 0; i < 3; i++)
        ck_assert_mem_eq(groups_at(again, i), groups_at(groups, i), sizeof(struct group));
    ck_assert_ptr_null(groups_at(again, 3));
    groups_free(again);
    free(text);
}
END_TEST

#define HEAD "i3run groups 1\n"
#define KEY1 "aeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaqcaibaeaq"

START_TEST(a_damaged_file_is_refused_whole)
{
    static const struct {
        const char *text;
        int result;
        unsigned line;
    } cases[] = {
        {HEAD, 0, 0},
        {HEAD "a anycast " KEY1 " 0102030405060708\n", 0, 0},
        {HEAD "a anycast " KEY1 " 0102030405060708", 0, 0},
        {HEAD "a anycast " KEY1 " 0102030405060708 eu/berlin\n", 0, 0},
        {"", -EINVAL, 1},
        {"i3run groups 2\n", -EINVAL, 1},
        {"i3run groups 1", -EINVAL, 1},
        {HEAD "\n", -EINVAL, 2},
        {HEAD "a broadcast " KEY1 " 0102030405060708\n", -EINVAL, 2},
        {HEAD "-,- anycast " KEY1 " 0102030405060708\n", -EINVAL, 2},
        {HEAD "a anycast " KEY1 " 010203040506070\n", -EINVAL, 2},
        {HEAD "a anycast " KEY1 " 010203040506070G\n", -EINVAL, 2},
        {HEAD "a anycast " KEY1 " 0000000000000000\n", -EINVAL, 2}, /* that is nobody's */
        {HEAD "a anycast " KEY1 " ffffffffffffffff\n", -EINVAL, 2}, /* that is all's */
        {HEAD "a anycast " KEY1 " 0102030405060708 a/b/c\n", -EINVAL, 2},
        {HEAD "a anycast " KEY1 " 0102030405060708 eu more\n", -EINVAL, 2},
        {HEAD "a anycast aeaq 0102030405060708\n", -EINVAL, 2},
        {HEAD "a anycast\n", -EINVAL, 2},
        {HEAD "a anycast " KEY1 " 0102030405060708\nb anycast " KEY1 " 0102030405060708\n", -EINVAL, 3}, /* the same key */
    };
    struct group keep = made("keep", GROUP_ANYCAST, 9, "");
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        unsigned line;
        groups_free(groups);
        groups = groups_new();
        ck_assert_int_eq(groups_add(groups, &keep), 0);
        int err = groups_parse(groups, cases[i].text, strlen(cases[i].text), &line);
        ck_assert_msg(err == cases[i].result, "case %u: %d", i, err);
        ck_assert_msg(line == cases[i].line, "case %u: line %u", i, line);
        ck_assert_msg(!err || groups_find(groups, "keep"), "case %u", i);
        if (!err)
            ck_assert_ptr_null(groups_find(groups, "keep"));
    }
    unsigned line;
    ck_assert_int_eq(groups_parse(groups, HEAD "a\0b", sizeof(HEAD) + 2, &line), -EINVAL);
    ck_assert_uint_eq(line, 2);
}
END_TEST

START_TEST(the_secret_makes_another_member)
{
    static const char *const wrong[] = {"", "i3run group 1", "i3run group 2 anycast " KEY1, "i3run group 1 unicast " KEY1, "i3run group 1 anycast aeaq",
        "i3run group 1 anycast " KEY1 " more", "x i3run group 1 anycast " KEY1, KEY1};
    char text[GROUP_SECRET_MAX], padded[GROUP_SECRET_MAX + 4];
    uint8_t got[KEY_LEN];
    enum group_kind kind;
    for (unsigned k = 0; k < GROUP_KINDS; k++) {
        struct group g = made("a", (enum group_kind)k, 7, "");
        group_secret_format(&g, text);
        snprintf(padded, sizeof(padded), "\n%s \n", text);
        ck_assert_int_eq(group_secret_parse(padded, &kind, got), 0);
        ck_assert_int_eq(kind, k);
        ck_assert_mem_eq(got, g.priv, KEY_LEN);
    }
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
        ck_assert_msg(group_secret_parse(wrong[i], &kind, got) == -EINVAL, "%s", wrong[i]);
}
END_TEST

START_TEST(places_that_begin_alike_do_so_in_bytes)
{
    static const char *const wrong[] = {"", "/", "eu/", "/berlin", "eu//berlin", "eu/de/berlin", "e u", "eu,de",
        "0123456789012345678901234567890123456789012345678901234567890123"};
    uint8_t eu[GROUP_MEMBER_LEN], berlin[GROUP_MEMBER_LEN], paris[GROUP_MEMBER_LEN], us[GROUP_MEMBER_LEN], upper[GROUP_MEMBER_LEN];
    ck_assert_uint_eq(place_bytes("eu", eu), 2);
    ck_assert_uint_eq(place_bytes("eu/berlin", berlin), 4);
    ck_assert_uint_eq(place_bytes("eu/paris", paris), 4);
    ck_assert_uint_eq(place_bytes("us/berlin", us), 4);
    ck_assert_uint_eq(place_bytes("EU/Berlin", upper), 4);
    ck_assert_mem_eq(eu, berlin, 2);
    ck_assert_mem_eq(eu, paris, 2);
    ck_assert_mem_eq(upper, berlin, 4);
    ck_assert(memcmp(berlin + 2, paris + 2, 2) && memcmp(us, eu, 2) && !memcmp(us + 2, berlin + 2, 2));
    for (unsigned i = 0; i < ARRAY_LEN(wrong); i++)
        ck_assert_msg(place_bytes(wrong[i], eu) == 0, "%s", wrong[i]);
    struct group g = made("a", GROUP_ANYCAST, 1, "eu/berlin");
    ck_assert_mem_eq(g.member, berlin, 4);
    ck_assert_mem_eq(g.member + 4, member + 4, 4);
    ck_assert_int_eq(group_make(&g, "a", GROUP_ANYCAST, priv, "a/b/c", member), -EINVAL);
    ck_assert_int_eq(group_make(&g, "a b", GROUP_ANYCAST, priv, "", member), -EINVAL);
}
END_TEST

START_TEST(a_member_is_never_nobody_nor_all)
{
    static const uint8_t zeros[GROUP_MEMBER_LEN];
    uint8_t ones[GROUP_MEMBER_LEN];
    struct group g;
    memset(ones, 0xff, sizeof(ones));
    ck_assert_int_eq(group_make(&g, "a", GROUP_ANYCAST, priv, "", zeros), 0);
    ck_assert(memcmp(g.member, zeros, sizeof(zeros)) != 0);
    ck_assert_int_eq(group_make(&g, "a", GROUP_ANYCAST, priv, "", ones), 0);
    ck_assert(memcmp(g.member, ones, sizeof(ones)) != 0);
}
END_TEST

START_TEST(is_bounded)
{
    for (unsigned i = 0; i <= GROUPS_MAX; i++) {
        char name[8];
        snprintf(name, sizeof(name), "g%u", i);
        struct group g = made(name, GROUP_ANYCAST, (uint8_t)(8 * i + 8), "");
        g.entry.key[0] = (uint8_t)i; /* another key, whatever clamping makes of it */
        ck_assert_int_eq(groups_add(groups, &g), i < GROUPS_MAX ? 0 : -ENOSPC);
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("naming/groups");
    TCase *tc = tcase_create("groups");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_group_is_found_by_name_and_by_key);
    tcase_add_test(tc, the_file_gives_back_what_was_written);
    tcase_add_test(tc, a_damaged_file_is_refused_whole);
    tcase_add_test(tc, the_secret_makes_another_member);
    tcase_add_test(tc, places_that_begin_alike_do_so_in_bytes);
    tcase_add_test(tc, a_member_is_never_nobody_nor_all);
    tcase_add_test(tc, is_bounded);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
