#include "daemon/policy/drops.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/id.h"
#include "tests/lib/suite.h"

static struct drops d;

static void setup(void)
{
    d.n = 0;
}

static const uint8_t *key(unsigned n)
{
    static uint8_t k[4][KEY_LEN];
    static unsigned at;
    uint8_t *out = k[at++ % 4];
    memset(out, 9, KEY_LEN);
    out[0] = (uint8_t)n;
    out[1] = (uint8_t)(n >> 8);
    return out;
}

START_TEST(what_was_asked_for_is_not_shortened_by_misuse)
{
    ck_assert_int_eq(drops_add(&d, key(1), DROP_ASKED, 0), 0);
    ck_assert_int_eq(drops_add(&d, key(1), DROP_MISUSE, 50), -EALREADY);
    ck_assert_uint_eq(drops_find(&d, key(1))->until_s, 0);
    ck_assert_int_eq(drops_add(&d, key(1), DROP_ASKED, 0), -EALREADY);
    ck_assert_int_eq(drops_add(&d, key(1), DROP_ASKED, 70), 0); /* but by whoever asked */
    ck_assert_uint_eq(drops_find(&d, key(1))->until_s, 70);
    ck_assert_int_eq(drops_add(&d, key(2), DROP_MISUSE, 50), 0);
    ck_assert_int_eq(drops_add(&d, key(2), DROP_ASKED, 0), 0);
    ck_assert_uint_eq(d.n, 2);
    ck_assert_ptr_null(drops_find(&d, key(3)));
    ck_assert(drops_remove(&d, key(1)));
    ck_assert(!drops_remove(&d, key(1)));
    ck_assert_uint_eq(d.n, 1);
}
END_TEST

START_TEST(they_end_in_time)
{
    uint8_t k[KEY_LEN];
    ck_assert_uint_eq(drops_next_s(&d), UINT64_MAX);
    drops_add(&d, key(1), DROP_ASKED, 0);
    ck_assert_uint_eq(drops_next_s(&d), UINT64_MAX);
    drops_add(&d, key(2), DROP_ASKED, 100);
    drops_add(&d, key(3), DROP_MISUSE, 90);
    ck_assert_uint_eq(drops_next_s(&d), 90);
    ck_assert(!drops_expire(&d, 89, k));
    ck_assert(drops_expire(&d, 90, k));
    ck_assert_mem_eq(k, key(3), KEY_LEN);
    ck_assert(!drops_expire(&d, 99, k));
    ck_assert(drops_expire(&d, 1000, k));
    ck_assert_mem_eq(k, key(2), KEY_LEN);
    ck_assert(!drops_expire(&d, UINT64_MAX, k));
}
END_TEST

START_TEST(the_table_is_bounded_and_a_hand_counts_more)
{
    for (unsigned i = 0; i < DROPS_MAX; i++)
        ck_assert_int_eq(drops_add(&d, key(i), DROP_MISUSE, 1000 + (i ^ 5)), 0);
    ck_assert_int_eq(drops_add(&d, key(999), DROP_ASKED, 0), 0);
    ck_assert_ptr_null(drops_find(&d, key(5))); /* the first to end */
    for (unsigned i = 0; i < DROPS_MAX - 1; i++)
        ck_assert_int_eq(drops_add(&d, key(2000 + i), DROP_ASKED, 0), 0);
    ck_assert_int_eq(drops_add(&d, key(5000), DROP_ASKED, 0), -ENOSPC);
    ck_assert_int_eq(drops_add(&d, key(5000), DROP_MISUSE, 1), -ENOSPC);
    ck_assert_ptr_nonnull(drops_find(&d, key(999)));
    ck_assert_uint_eq(d.n, DROPS_MAX);
}
END_TEST

START_TEST(the_file_says_the_same)
{
    struct drops back = {.n = 0};
    size_t len;
    unsigned line;
    drops_add(&d, key(1), DROP_ASKED, 0);
    drops_add(&d, key(2), DROP_MISUSE, 1800000000);
    for (unsigned i = 3; i < DROPS_MAX; i++)
        drops_add(&d, key(i), DROP_ASKED, 999999999999999999ull);
    char *text = drops_format(&d, &len);
    ck_assert_uint_eq(strlen(text), len);
    ck_assert_int_eq(drops_parse(&back, text, len, &line), 0);
    ck_assert_uint_eq(back.n, d.n);
    for (unsigned i = 0; i < d.n; i++) {
        const struct drop *b = drops_find(&back, d.v[i].key);
        ck_assert_ptr_nonnull(b);
        ck_assert_uint_eq(b->until_s, d.v[i].until_s);
        ck_assert_int_eq(b->why, d.v[i].why);
    }
    for (size_t cut = 0; cut < 400 && cut < len; cut++) { /* exact bytes, for ASan */
        char *part = malloc(cut ? cut : 1);
        memcpy(part, text, cut);
        int err = drops_parse(&back, part, cut, &line);
        ck_assert(err == 0 || err == -EINVAL);
        free(part);
    }
    free(text);
}
END_TEST

static const struct {
    const char *text;
    unsigned line;
} bad[] = {
    {"x\n", 1},
    {"\n\nKEY asked 0\n", 3},
    {"%s asked\n", 1},
    {"%s asked \n", 1},
    {"%s asked -1\n", 1},
    {"%s asked 1234567890123456789\n", 1},
    {"%s never 0\n", 1},
    {"%s  asked 0\n", 1},
    {"%s asked 0 0\n", 1},
    {"%1$s asked 0\n%1$s asked 0\n", 2},
};

START_TEST(a_broken_file_is_refused_with_its_line)
{
    char text[400], k[KEY_STR_LEN + 1];
    unsigned line;
    drops_add(&d, key(7), DROP_ASKED, 0);
    key_format(key(3), k);
    snprintf(text, sizeof(text), bad[_i].text, k);
    ck_assert_int_eq(drops_parse(&d, text, strlen(text), &line), -EINVAL);
    ck_assert_uint_eq(line, bad[_i].line);
    ck_assert_uint_eq(d.n, 1); /* as before */
}
END_TEST

static const struct {
    const char *text;
    uint64_t s;
} times[] = {{"1", 1}, {"90s", 90}, {"10m", 600}, {"2h", 7200}, {"7d", 604800}, {"366d", 366 * 86400}, {"367d", 0}, {"0", 0}, {"", 0}, {"m", 0},
    {"-1", 0}, {"1w", 0}, {"1mm", 0}, {" 1", 0}, {"99999999999", 0}, {"1.5h", 0}};

START_TEST(times_are_read)
{
    ck_assert_uint_eq(drop_time(times[_i].text), times[_i].s);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("policy/drops");
    TCase *c = tcase_create("drops");
    tcase_add_checked_fixture(c, setup, NULL);
    tcase_add_test(c, what_was_asked_for_is_not_shortened_by_misuse);
    tcase_add_test(c, they_end_in_time);
    tcase_add_test(c, the_table_is_bounded_and_a_hand_counts_more);
    tcase_add_test(c, the_file_says_the_same);
    tcase_add_loop_test(c, a_broken_file_is_refused_with_its_line, 0, ARRAY_LEN(bad));
    tcase_add_loop_test(c, times_are_read, 0, ARRAY_LEN(times));
    suite_add_tcase(s, c);
    return suite_run(s);
}
