/* The search for what gets through, in virtual time, on ways of every width. */
#include "daemon/i3/pmtu.h"

#include <check.h>
#include <stdlib.h>

#include "daemon/i3/inner.h"
#include "tests/lib/suite.h"

#define MS  USEC_PER_MSEC
#define SEC USEC_PER_SEC

enum { FLIGHT = 256 };

static struct way {
    struct pmtu m;
    mono_t now;
    uint16_t width; /* what is larger is lost */
    unsigned loss;  /* percent of the rest */
    bool dumb;      /* the peer does not answer */
    uint64_t rtt;
    uint32_t random;
    unsigned probes, falls;
    uint16_t lowest;
    struct { mono_t at; uint16_t size; uint32_t id; } v[FLIGHT];
    unsigned n;
} w;

static unsigned draw(unsigned below)
{
    w.random = w.random * 1103515245 + 12345;
    return (w.random >> 16) % below;
}

static void begin(uint16_t max, uint16_t width)
{
    w = (struct way){.now = {SEC}, .width = width, .rtt = 20 * MS, .random = 1};
    pmtu_start(&w.m, w.now, max, (uint32_t)w.rtt, UINT32_MAX - 3); /* ids wrap */
    w.lowest = w.m.mtu;
}

static void note(uint16_t before)
{
    w.falls += w.m.mtu < before;
    w.lowest = w.m.mtu < w.lowest ? w.m.mtu : w.lowest;
}

static void speak(void)
{
    uint32_t id;
    uint16_t size, before = w.m.mtu;
    for (unsigned i = 0; (size = pmtu_output(&w.m, w.now, &id)); i++) {
        ck_assert_uint_lt(i, 3);
        ck_assert_uint_le(size, w.m.max);
        ck_assert_uint_ge(size, PMTU_BASE);
        w.probes++;
        if (size > w.width || w.dumb || draw(100) < w.loss)
            continue;
        ck_assert_uint_lt(w.n, FLIGHT);
        w.v[w.n].at = mono_add(w.now, w.rtt);
        w.v[w.n].size = size;
        w.v[w.n++].id = id;
    }
    note(before);
}

static void run(uint64_t us)
{
    mono_t end = mono_add(w.now, us);
    for (;;) {
        mono_t next = mono_min(end, pmtu_deadline(&w.m));
        for (unsigned i = 0; i < w.n; i++)
            next = mono_min(next, w.v[i].at);
        if (next.us >= end.us)
            break;
        w.now = next.us > w.now.us ? next : w.now;
        speak();
        for (unsigned i = 0; i < w.n; i++) {
            if (!mono_due(w.v[i].at, w.now))
                continue;
            uint16_t before = w.m.mtu;
            pmtu_input(&w.m, w.now, w.v[i].size, w.v[i].id);
            note(before);
            w.v[i--] = w.v[--w.n];
        }
    }
    w.now = end;
}

/* Full packets, 50 a second. */
static void talk(uint64_t us)
{
    for (; us >= 20 * MS; us -= 20 * MS) {
        pmtu_sent(&w.m, w.now, w.m.mtu);
        speak();
        run(20 * MS);
    }
}

START_TEST(a_wide_way_is_used_in_full_from_the_start)
{
    begin(9000, 9000);
    run(SEC);
    ck_assert_uint_eq(w.m.mtu, 9000);
    ck_assert_uint_eq(w.lowest, PMTU_USUAL);
    ck_assert_uint_eq(w.probes, 3);
    run(1000 * SEC);
    ck_assert_uint_eq(w.probes, 3); /* nobody asks while nothing large is sent */
    for (unsigned i = 0; i < 1000; i++) {
        ck_assert(!pmtu_sent(&w.m, w.now, 200));
        run(20 * MS);
    }
    ck_assert_uint_eq(w.probes, 3);
    talk(100 * SEC);
    ck_assert_uint_eq(w.m.mtu, 9000);
    ck_assert_uint_eq(w.falls, 0);
    ck_assert_uint_le(w.probes, 3 + 100);
}
END_TEST

START_TEST(the_width_is_found_quickly)
{
    static const uint16_t max[] = {1400, 1500, 9000, 1200, 1147, 1139, 576};
    for (unsigned i = 0; i < ARRAY_LEN(max); i++) {
        for (unsigned width = PMTU_BASE; width < max[i]; width += 1 + max[i] / 700) {
            begin(max[i], (uint16_t)width);
            run(500 * MS);
            if (max[i] > PMTU_BASE + PMTU_GRAIN)
                ck_assert_uint_le(w.m.mtu, width); /* in doubt already */
            run(9 * SEC);
            if (max[i] > PMTU_BASE + PMTU_GRAIN) {
                ck_assert_uint_le(w.m.mtu, width);
                ck_assert_uint_ge(w.m.mtu + PMTU_GRAIN, width);
            }
            ck_assert_uint_eq(w.falls, max[i] > PMTU_BASE + PMTU_GRAIN && width < PMTU_USUAL);
            unsigned probes = w.probes;
            run(1000 * SEC);
            ck_assert_uint_eq(w.probes, probes);
            ck_assert_uint_le(probes, 60);
        }
    }
}
END_TEST

START_TEST(without_any_answer_nothing_is_concluded)
{
    begin(1400, _i ? 0 : 1400);
    w.dumb = true;
    talk(100 * SEC);
    ck_assert_uint_eq(w.lowest, 1400);
    ck_assert_uint_le(w.probes, 100 * 2 * PMTU_TRIES);
}
END_TEST

START_TEST(a_way_that_gets_narrow_is_noticed_within_3_s)
{
    static const uint64_t rtt[] = {MS / 10, 20 * MS, 100 * MS};
    begin(1400, 1400);
    w.rtt = rtt[_i];
    talk(30 * SEC);
    w.width = 1250;
    talk(3 * SEC);
    ck_assert_uint_le(w.m.mtu, 1250);
    talk(10 * SEC);
    ck_assert_uint_ge(w.m.mtu, 1250 - PMTU_GRAIN);
    ck_assert_uint_eq(w.falls, 1);
}
END_TEST

START_TEST(more_is_tried_after_600_s_of_traffic_and_not_before)
{
    begin(1400, _i ? 1250 : PMTU_BASE);
    talk(10 * SEC);
    uint16_t found = w.m.mtu;
    ck_assert_uint_le(found, w.width);
    w.width = 1400;
    talk(580 * SEC);
    ck_assert_uint_eq(w.m.mtu, found);
    run(1000 * SEC); /* nothing is sent: nothing is tried */
    ck_assert_uint_eq(w.m.mtu, found);
    talk(2 * SEC);
    ck_assert_uint_eq(w.m.mtu, 1400);
}
END_TEST

START_TEST(losses_are_not_taken_for_narrowness)
{
    begin(1400, 1400);
    run(SEC);
    w.loss = 10;
    w.falls = 0;
    talk(3600 * SEC);
    ck_assert_uint_le(w.falls, 3);
    w.loss = 0;
    talk(700 * SEC);
    ck_assert_uint_eq(w.m.mtu, 1400);
}
END_TEST

START_TEST(late_answers_count)
{
    begin(1400, 1400);
    talk(10 * SEC);
    w.rtt = 1500 * MS; /* a queue has filled up */
    talk(10 * SEC);
    ck_assert_uint_eq(w.m.mtu, 1400);
    unsigned falls = w.falls;
    talk(30 * SEC);
    ck_assert_uint_eq(w.falls, falls); /* and what is slow is known by then */
}
END_TEST

/* What was given up and is answered after all counts again, in all respects. */
START_TEST(a_late_answer_takes_a_verdict_back)
{
    begin(1400, 1139);
    uint32_t first = w.m.first;
    run(2 * SEC);
    ck_assert_uint_eq(w.m.mtu, PMTU_BASE);
    pmtu_input(&w.m, w.now, 1400, first);
    ck_assert_uint_eq(w.m.mtu, 1400);
    pmtu_too_big(&w.m, w.now, 1400);
    ck_assert_uint_eq(w.m.mtu, PMTU_BASE);
}
END_TEST

START_TEST(what_the_kernel_refuses_is_believed_at_once)
{
    begin(1400, 1300);
    pmtu_too_big(&w.m, w.now, 1400);
    ck_assert_uint_eq(w.m.mtu, PMTU_BASE);
    for (unsigned i = 0; i < 64; i++)
        pmtu_too_big(&w.m, w.now, 1400); /* a whole train of them */
    ck_assert_uint_eq(w.falls, 0);
    run(SEC);
    ck_assert_uint_le(w.m.mtu, 1300);
    run(5 * SEC);
    ck_assert_uint_ge(w.m.mtu, 1300 - PMTU_GRAIN);
    pmtu_too_big(&w.m, w.now, 1399); /* an old one */
    ck_assert_uint_ge(w.m.mtu, 1300 - PMTU_GRAIN);
    pmtu_too_big(&w.m, w.now, PMTU_BASE); /* there is no smaller one */
    ck_assert_uint_ge(w.m.mtu, 1300 - PMTU_GRAIN);
}
END_TEST

START_TEST(answers_to_nothing_change_nothing)
{
    begin(1400, PMTU_BASE);
    run(10 * SEC);
    ck_assert_uint_eq(w.m.mtu, PMTU_BASE);
    struct pmtu before = w.m;
    uint32_t next = w.m.next;
    pmtu_input(&w.m, w.now, 1400, next);
    pmtu_input(&w.m, w.now, 1400, next + 1000);
    pmtu_input(&w.m, w.now, 1400, next - 1000);
    pmtu_input(&w.m, w.now, 1400, w.m.first - 1);
    pmtu_input(&w.m, w.now, 1401, next - 2);
    pmtu_input(&w.m, w.now, 100, next - 2);
    ck_assert_mem_eq(&w.m, &before, sizeof(before));
    w.m = (struct pmtu){0}; /* never started */
    pmtu_input(&w.m, w.now, 0, 0);
    pmtu_too_big(&w.m, w.now, 1400);
    ck_assert_uint_eq(pmtu_deadline(&w.m).us, MONO_NEVER.us);
}
END_TEST

START_TEST(probes_survive_the_wire)
{
    uint8_t p[1500];
    uint16_t size;
    uint32_t id;
    for (uint16_t want = INNER_PROBE_LEN; want <= sizeof(p); want = (uint16_t)(want + 71)) {
        ck_assert_uint_eq(probe_encode(p, sizeof(p), INNER_PROBE, want, 0x01020304), want);
        ck_assert_int_eq(probe_decode(p, want, INNER_PROBE, &size, &id), 0);
        ck_assert_uint_eq(size, want);
        ck_assert_uint_eq(id, 0x01020304);
        ck_assert_int_eq(probe_decode(p, want - 1u, INNER_PROBE, &size, &id), -EBADMSG);
        ck_assert_int_eq(probe_decode(p, want, INNER_PROBE_ACK, &size, &id), -EBADMSG);
        ck_assert_uint_eq(probe_encode(p, want - 1u, INNER_PROBE, want, 1), 0);
    }
    static const uint8_t golden[] = {0x15, 0, 5, 120, 1, 2, 3, 4};
    ck_assert_uint_eq(probe_encode(p, sizeof(p), INNER_PROBE_ACK, 1400, 0x01020304), sizeof(golden));
    ck_assert_mem_eq(p, golden, sizeof(golden));
    ck_assert_int_eq(probe_decode(p, sizeof(golden), INNER_PROBE_ACK, &size, &id), 0);
    ck_assert_uint_eq(size, 1400);
    ck_assert_int_eq(probe_decode(p, sizeof(golden) + 1, INNER_PROBE_ACK, &size, &id), -EBADMSG);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i3/pmtu");
    TCase *t = tcase_create("pmtu");
    tcase_set_timeout(t, 30);
    tcase_add_test(t, a_wide_way_is_used_in_full_from_the_start);
    tcase_add_test(t, the_width_is_found_quickly);
    tcase_add_loop_test(t, without_any_answer_nothing_is_concluded, 0, 2);
    tcase_add_loop_test(t, a_way_that_gets_narrow_is_noticed_within_3_s, 0, 3);
    tcase_add_loop_test(t, more_is_tried_after_600_s_of_traffic_and_not_before, 0, 2);
    tcase_add_test(t, losses_are_not_taken_for_narrowness);
    tcase_add_test(t, late_answers_count);
    tcase_add_test(t, a_late_answer_takes_a_verdict_back);
    tcase_add_test(t, what_the_kernel_refuses_is_believed_at_once);
    tcase_add_test(t, answers_to_nothing_change_nothing);
    tcase_add_test(t, probes_survive_the_wire);
    suite_add_tcase(s, t);
    return suite_run(s);
}
