/* The table of routes: found by either end, forgotten when idle, bounded for each who opens and in all. */
#include "daemon/middlebox/route.h"

#include <check.h>

#include "tests/lib/suite.h"

static struct routes *t;
static const mono_t now = {1000};

static void begin(void)
{
    t = routes_new();
}

static void end(void)
{
    routes_free(t);
}

static struct route_at at(uint64_t place, uint8_t key, uint16_t num)
{
    struct route_at a = {.place = place, .num = num};
    memset(a.key, key, sizeof(a.key));
    return a;
}

static struct route *add(struct route_at a, struct route_at b)
{
    return route_add(t, &a, &b, now);
}

START_TEST(a_route_is_found_by_both_ends)
{
    unsigned which = 9;
    struct route *r = add(at(1, 'a', 5), at(2, 'b', 7));
    ck_assert_ptr_nonnull(r);
    struct route_at a = at(1, 'a', 5), b = at(2, 'b', 7);
    ck_assert_ptr_eq(route_find(t, &a, &which), r);
    ck_assert_uint_eq(which, ROUTE_OPENER);
    ck_assert_ptr_eq(route_find(t, &b, &which), r);
    ck_assert_uint_eq(which, ROUTE_OTHER);
    const struct route_at none[] = {at(2, 'a', 5), at(1, 'a', 7), at(1, 'b', 5), at(1, 'a', 0)};
    for (unsigned i = 0; i < 4; i++)
        ck_assert_ptr_null(route_find(t, &none[i], &which));
    route_remove(t, r);
    ck_assert_ptr_null(route_find(t, &a, &which));
    ck_assert_ptr_null(route_find(t, &b, &which));
    ck_assert_uint_eq(routes_count(t), 0);
}
END_TEST

START_TEST(an_end_belongs_to_one_route)
{
    ck_assert_ptr_nonnull(add(at(1, 'a', 5), at(1, 'b', 7)));
    ck_assert_ptr_null(add(at(1, 'a', 5), at(1, 'c', 7)));
    ck_assert_ptr_null(add(at(1, 'c', 5), at(1, 'b', 7)));
    ck_assert_ptr_null(add(at(1, 'd', 1), at(1, 'd', 1)));
    ck_assert_uint_eq(routes_count(t), 1);
}
END_TEST

START_TEST(one_opener_has_its_share_and_no_more)
{
    for (unsigned i = 0; i < ROUTES_EACH; i++)
        ck_assert_ptr_nonnull(add(at(1, 'a', (uint16_t)(i + 1)), at(1, 'b', (uint16_t)(i + 1))));
    ck_assert_ptr_null(add(at(1, 'a', 9999), at(1, 'b', 9999)));
    struct route *r = add(at(1, 'c', 9999), at(1, 'b', 9999)); /* others are not hurt */
    ck_assert_ptr_nonnull(r);
    struct route_at gone = at(1, 'a', 1);
    unsigned which;
    route_remove(t, route_find(t, &gone, &which));
    ck_assert_ptr_nonnull(add(at(1, 'a', 9999), at(1, 'b', 1)));
}
END_TEST

START_TEST(all_together_are_bounded)
{
    unsigned n = 0;
    for (unsigned i = 0; i < ROUTES_MAX + 300; i++)
        n += add(at(i / 100, (uint8_t)(i / 100 % 250), (uint16_t)(i + 1)), at(7, 1, (uint16_t)(i + 1))) != NULL;
    ck_assert_uint_eq(n, ROUTES_MAX);
}
END_TEST

START_TEST(numbers_of_two_neighbours_never_meet)
{
    uint8_t low[KEY_LEN] = {1}, high[KEY_LEN] = {2};
    for (unsigned i = 0; i < 300; i++) {
        struct route_at a = {.place = 1}, b = {.place = 1};
        memcpy(a.key, high, KEY_LEN);
        memcpy(b.key, low, KEY_LEN);
        ck_assert(route_number(t, low, &a));
        ck_assert(route_number(t, high, &b));
        ck_assert(a.num && a.num < 0x8000);
        ck_assert(b.num >= 0x8000);
        struct route_at other = at(3, 'x', (uint16_t)(i + 1));
        struct route *r = route_add(t, &other, &a, now);
        ck_assert(r || i >= ROUTES_EACH);
    }
}
END_TEST

START_TEST(what_is_idle_is_forgotten)
{
    struct route *r = add(at(1, 'a', 1), at(1, 'b', 1)), *used = add(at(1, 'a', 2), at(1, 'b', 2));
    ck_assert_ptr_nonnull(r);
    mono_t later = mono_add(now, ROUTE_IDLE - 1);
    ck_assert_uint_eq(routes_expire(t, later), 0);
    used->used = later;
    ck_assert_uint_eq(routes_expire(t, mono_add(now, ROUTE_IDLE)), 1);
    ck_assert_ptr_eq(route_first(t), used);
    ck_assert_ptr_null(route_next(used));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("middlebox/route");
    TCase *c = tcase_create("routes");
    tcase_add_checked_fixture(c, begin, end);
    tcase_add_test(c, a_route_is_found_by_both_ends);
    tcase_add_test(c, an_end_belongs_to_one_route);
    tcase_add_test(c, one_opener_has_its_share_and_no_more);
    tcase_add_test(c, all_together_are_bounded);
    tcase_add_test(c, numbers_of_two_neighbours_never_meet);
    tcase_add_test(c, what_is_idle_is_forgotten);
    suite_add_tcase(s, c);
    return suite_run(s);
}
