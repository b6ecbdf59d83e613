/* Which overlay a name belongs to. */
#include "daemon/policy/suffix.h"

#include <check.h>
#include <string.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"

static const char *const suffixes[] = {".i3", ".work.i3", ".corp", ".eu.work.i3"};

static const struct {
    const char *name;
    int which;
    const char *bare;
} cases[] = {
    {"box.i3", 0, "box"},
    {"box.work.i3", 1, "box"},
    {"a.b.work.i3", 1, "a.b"},
    {"box.eu.work.i3", 3, "box"},
    {"BOX.Work.I3", 1, "BOX"},
    {"box.corp", 2, "box"},
    {"work.i3", 0, "work"}, /* the suffix itself is a name of the one above it */
    {"homework.i3", 0, "homework"},
    {"eu.work.i3", 1, "eu"},
    {"i3", -1, NULL},
    {".i3", -1, NULL},
    {"corp", -1, NULL},
    {"boxi3", -1, NULL},
    {"box.i3.org", -1, NULL},
    {"box.i4", -1, NULL},
    {"", -1, NULL},
};

START_TEST(the_longest_suffix_wins)
{
    size_t bare = 99;
    int got = suffix_longest(cases[_i].name, strlen(cases[_i].name), suffixes, ARRAY_LEN(suffixes), &bare);
    ck_assert_int_eq(got, cases[_i].which);
    if (got < 0)
        return;
    ck_assert_uint_eq(bare, strlen(cases[_i].bare));
    ck_assert(!strncmp(cases[_i].name, cases[_i].bare, bare));
}
END_TEST

START_TEST(the_order_does_not_matter)
{
    const char *const turned[] = {suffixes[3], suffixes[2], suffixes[1], suffixes[0]};
    size_t a = 0, b = 0;
    int one = suffix_longest(cases[_i].name, strlen(cases[_i].name), suffixes, 4, &a);
    int two = suffix_longest(cases[_i].name, strlen(cases[_i].name), turned, 4, &b);
    ck_assert_int_eq(one < 0 ? one : 3 - one, two);
    ck_assert_uint_eq(a, b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("policy/suffix");
    TCase *c = tcase_create("suffix");
    tcase_add_loop_test(c, the_longest_suffix_wins, 0, ARRAY_LEN(cases));
    tcase_add_loop_test(c, the_order_does_not_matter, 0, ARRAY_LEN(cases));
    suite_add_tcase(s, c);
    return suite_run(s);
}
