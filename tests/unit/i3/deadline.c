/* The heap of deadlines against a plain list of them. */
#include "daemon/i3/deadline.h"

#include <check.h>
#include <stdlib.h>

#include "daemon/base/crypto.h"
#include "include/bytes.h"
#include "tests/lib/suite.h"

START_TEST(the_earliest_is_always_first)
{
    enum { N = 200 };
    static const uint64_t spread[] = {5, 1000, 1u << 30};
    struct deadline d[N] = {{{0}, 0}};
    struct deadlines h = {0};
    struct drbg r;
    drbg_init(&r, (uint8_t[32]){(uint8_t)_i});
    ck_assert_ptr_null(deadlines_first(&h));
    ck_assert_uint_eq(deadlines_next(&h).us, MONO_NEVER.us);
    ck_assert_int_eq(deadlines_reserve(&h, N), 0);
    for (unsigned step = 0; step < 5000; step++) {
        struct deadline *one = &d[drbg_u64(&r) % N];
        uint64_t v = drbg_u64(&r);
        deadline_set(&h, one, v % 4 == 0 ? MONO_NEVER : (mono_t){v % spread[_i]});
        ck_assert_uint_eq(deadline_at(one).us, v % 4 == 0 ? MONO_NEVER.us : v % spread[_i]);
        mono_t first = MONO_NEVER;
        unsigned n = 0;
        for (unsigned i = 0; i < N; i++) {
            first = mono_min(first, deadline_at(&d[i]));
            n += d[i].place != 0;
        }
        ck_assert_uint_eq(deadlines_next(&h).us, first.us);
        ck_assert_uint_eq(h.n, n);
        if (n)
            ck_assert_uint_eq(deadlines_first(&h)->at.us, first.us);
    }
    deadlines_fini(&h);
}
END_TEST

START_TEST(all_come_out_in_order)
{
    enum { N = 1000 };
    struct deadline d[N] = {{{0}, 0}};
    struct deadlines h = {0};
    for (unsigned i = 0; i < N; i++) {
        ck_assert_int_eq(deadlines_reserve(&h, i + 1), 0);
        deadline_set(&h, &d[i], (mono_t){(i * 7919u) % N});
    }
    for (unsigned i = 0; i < N; i++) {
        ck_assert_uint_eq(deadlines_next(&h).us, i);
        deadline_set(&h, deadlines_first(&h), MONO_NEVER);
    }
    ck_assert_uint_eq(h.n, 0);
    deadlines_fini(&h);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i3/deadline");
    TCase *t = tcase_create("deadline");
    tcase_add_loop_test(t, the_earliest_is_always_first, 0, 3);
    tcase_add_test(t, all_come_out_in_order);
    suite_add_tcase(s, t);
    return suite_run(s);
}
