/* When the loop looks out before it sleeps. */
#include "daemon/base/lookout.h"
#include "tests/lib/suite.h"

#include <check.h>

static mono_t at(uint64_t us)
{
    return (mono_t){us};
}

/* An event every `gap` us, `n` times, each dealt with in 5 us; the time after the last. */
static uint64_t events(struct lookout *l, uint64_t t, uint64_t gap, int n)
{
    for (int i = 0; i < n; i++, t += 5 + gap)
        lookout_events(l, at(t), at(t + 5));
    return t;
}

START_TEST(sleeps_at_once_without_experience)
{
    struct lookout l = {0};
    lookout_events(&l, at(1000000), at(1000005));
    ck_assert(!lookout_goes_on(&l, at(1000005), at(1000006)));
}
END_TEST

START_TEST(looks_out_after_quick_answers_and_not_beyond_its_time)
{
    struct lookout l = {0};
    uint64_t t = events(&l, 1000000, 30, 2) - 30;
    ck_assert(lookout_goes_on(&l, at(t), at(t + 1)));
    ck_assert(lookout_goes_on(&l, at(t), at(t + LOOKOUT_US - 1)));
    ck_assert(!lookout_goes_on(&l, at(t), at(t + LOOKOUT_US)));
}
END_TEST

START_TEST(never_looks_out_when_events_are_far_apart)
{
    struct lookout l = {0};
    uint64_t t = events(&l, 1000000, LOOKOUT_US, 100);
    ck_assert(!lookout_goes_on(&l, at(t), at(t + 1)));
}
END_TEST

START_TEST(gives_up_after_as_many_vain_ones_as_were_saved)
{
    struct lookout l = {0};
    uint64_t t = events(&l, 1000000, 10, 50) - 10;
    int vain = 0;
    for (; lookout_goes_on(&l, at(t), at(t + 1)) && vain < 100; vain++, t += 10000) {
        ck_assert(!lookout_goes_on(&l, at(t + LOOKOUT_US), at(t + LOOKOUT_US + 1)));
        lookout_events(&l, at(t + 9995), at(t + 10000));
    }
    ck_assert_int_eq(vain, LOOKOUTS_MAX);
}
END_TEST

/* Comes back late from a yield; returns how long it leaves look-outs alone. */
static uint64_t crowded_pause(struct lookout *l, uint64_t t)
{
    t = events(l, t, 10, 5) - 10;
    ck_assert(lookout_goes_on(l, at(t), at(t + 1)));
    ck_assert(!lookout_goes_on(l, at(t), at(t + LOOKOUT_LATE_US + 1)));
    uint64_t since = t + LOOKOUT_LATE_US + 1;
    for (t = since; !l->saved; t += 15)
        lookout_events(l, at(t), at(t + 5));
    return t - since;
}

START_TEST(leaves_a_crowded_processor_alone_for_longer_each_time)
{
    struct lookout l = {0};
    uint64_t first = crowded_pause(&l, 1000000);
    ck_assert(first >= LOOKOUT_PAUSE && first < LOOKOUT_PAUSE + 100);
    l.pause = 2 * LOOKOUT_PAUSE; /* what the events of the pause have taken off it */
    uint64_t second = crowded_pause(&l, 100000000);
    ck_assert(second > first * 3 / 2);
    l.pause = LOOKOUT_PAUSE_MAX;
    uint64_t most = crowded_pause(&l, 200000000);
    ck_assert(most <= LOOKOUT_PAUSE_MAX + 100);
    ck_assert(l.pause <= LOOKOUT_PAUSE_MAX);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("base/lookout");
    TCase *c = tcase_create("lookout");
    tcase_add_test(c, sleeps_at_once_without_experience);
    tcase_add_test(c, looks_out_after_quick_answers_and_not_beyond_its_time);
    tcase_add_test(c, never_looks_out_when_events_are_far_apart);
    tcase_add_test(c, gives_up_after_as_many_vain_ones_as_were_saved);
    tcase_add_test(c, leaves_a_crowded_processor_alone_for_longer_each_time);
    suite_add_tcase(s, c);
    return suite_run(s);
}
