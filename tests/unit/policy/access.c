/* Who may reach which port. */
#include "daemon/policy/access.h"

#include <check.h>
#include <errno.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"

static struct access *a;
static const uint8_t bob[KEY_LEN] = {1}, carol[KEY_LEN] = {2}, dave[KEY_LEN] = {3};
static struct addr here;

static void setup(void)
{
    a = access_new();
    here = addr_v4(INADDR_LOOPBACK, 22);
    ck_assert_ptr_nonnull(a);
}

static void teardown(void)
{
    access_free(a);
}

START_TEST(a_door_is_open_to_the_keys_named_for_that_port_and_protocol_alone)
{
    struct door *d = access_add(a, ACCESS_EXPOSE, "ssh", IPPROTO_TCP, 22, &here);
    ck_assert_ptr_null(access_find(a, IPPROTO_TCP, 22, bob)); /* open to nobody yet */
    ck_assert(!access_knows(a, bob));
    ck_assert_int_eq(door_admit(d, bob), 0);
    const struct {
        uint8_t proto;
        uint16_t port;
        const uint8_t *key;
        bool open;
    } cases[] = {
        {IPPROTO_TCP, 22, bob, true},
        {IPPROTO_UDP, 22, bob, false},
        {IPPROTO_TCP, 23, bob, false},
        {IPPROTO_TCP, 0, bob, false},
        {IPPROTO_TCP, 22, carol, false},
        {IPPROTO_TCP, 22, dave, false},
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++)
        ck_assert_msg((access_find(a, cases[i].proto, cases[i].port, cases[i].key) != NULL) == cases[i].open, "case %u", i);
    ck_assert(access_knows(a, bob) && !access_knows(a, carol));
}
END_TEST

START_TEST(what_is_open_to_anyone_is_open_to_every_key_and_nothing_else_is)
{
    struct door *web = access_add(a, ACCESS_EXPOSE, "web", IPPROTO_TCP, 80, &here), *ssh = access_add(a, ACCESS_EXPOSE, "ssh", IPPROTO_TCP, 22, &here);
    door_admit(ssh, bob);
    ck_assert(!access_is_open(a) && !access_knows(a, carol));
    web->who.anyone = true;
    ck_assert(access_is_open(a));
    ck_assert_ptr_eq(access_find(a, IPPROTO_TCP, 80, carol), web);
    ck_assert_ptr_null(access_find(a, IPPROTO_TCP, 22, carol));
    ck_assert_ptr_eq(access_find(a, IPPROTO_TCP, 22, bob), ssh);
    ck_assert(access_knows(a, carol) && access_names(a, bob) && !access_names(a, carol));
    access_clear(a);
    ck_assert(!access_is_open(a) && !access_knows(a, carol));
}
END_TEST

START_TEST(a_use_is_for_those_of_its_own_list)
{
    ck_assert_int_eq(access_list_add(access_use(a, ACCESS_GATEWAY), bob), 0);
    access_use(a, ACCESS_BOX)->anyone = true;
    ck_assert(access_may_use(a, ACCESS_GATEWAY, bob) && !access_may_use(a, ACCESS_GATEWAY, carol));
    ck_assert(access_may_use(a, ACCESS_BOX, bob) && access_may_use(a, ACCESS_BOX, carol));
    ck_assert(access_is_open(a) && access_knows(a, dave) && access_names(a, bob) && !access_names(a, dave));
    ck_assert_ptr_null(access_find(a, IPPROTO_TCP, 80, carol)); /* no door */
    access_clear(a);
    ck_assert(!access_may_use(a, ACCESS_GATEWAY, bob) && !access_may_use(a, ACCESS_BOX, bob));
}
END_TEST

START_TEST(each_of_two_doors_at_a_port_holds_for_its_own_keys)
{
    struct addr there = addr_v4(0xc0a80105, 2222);
    struct door *first = access_add(a, ACCESS_EXPOSE, "", IPPROTO_TCP, 22, &here), *second = access_add(a, ACCESS_SHARE, "", IPPROTO_TCP, 22, &there);
    door_admit(first, bob);
    door_admit(first, dave);
    door_admit(second, carol);
    door_admit(second, dave);
    ck_assert_ptr_eq(access_find(a, IPPROTO_TCP, 22, bob), first);
    ck_assert_ptr_eq(access_find(a, IPPROTO_TCP, 22, carol), second);
    ck_assert_ptr_eq(access_find(a, IPPROTO_TCP, 22, dave), first);
    ck_assert(addr_eq(&access_find(a, IPPROTO_TCP, 22, carol)->target, &there));
    ck_assert_ptr_eq(access_at(a, 1), second);
    ck_assert_ptr_null(access_at(a, 2));
    access_clear(a);
    ck_assert(!access_knows(a, bob) && !access_at(a, 0));
}
END_TEST

START_TEST(is_bounded)
{
    uint8_t key[KEY_LEN] = {0};
    struct door *d = access_add(a, ACCESS_SHARE, "", IPPROTO_TCP, 1, &here);
    for (unsigned i = 0; i < ACCESS_KEYS; i++) {
        memcpy(key, &i, sizeof(i));
        ck_assert_int_eq(door_admit(d, key), 0);
        ck_assert_int_eq(door_admit(d, key), 0);
    }
    key[31] = 1;
    ck_assert_int_eq(door_admit(d, key), -ENOSPC);
    for (unsigned i = 1; i < ACCESS_DOORS; i++)
        ck_assert_ptr_nonnull(access_add(a, ACCESS_SHARE, "", IPPROTO_TCP, (uint16_t)i, &here));
    ck_assert_ptr_null(access_add(a, ACCESS_SHARE, "", IPPROTO_TCP, 1, &here));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("policy/access");
    TCase *tc = tcase_create("access");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_door_is_open_to_the_keys_named_for_that_port_and_protocol_alone);
    tcase_add_test(tc, what_is_open_to_anyone_is_open_to_every_key_and_nothing_else_is);
    tcase_add_test(tc, a_use_is_for_those_of_its_own_list);
    tcase_add_test(tc, each_of_two_doors_at_a_port_holds_for_its_own_keys);
    tcase_add_test(tc, is_bounded);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
