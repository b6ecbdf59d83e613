/* Verdicts: what programs may say, which packets wait and for how long, which flows are known. */
#include "daemon/middlebox/verdict.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/suite.h"

static struct verdicts *v;
static const mono_t now = {1000};

static void begin(void)
{
    v = verdicts_new();
}

static void end(void)
{
    verdicts_free(v);
}

static const struct {
    const char *line;
    enum verdict_verb verb;
    uint32_t number;
    const char *text;
} lines[] = {
    {"mode inline", VERB_INLINE, 0, ""},
    {"mode watch", VERB_WATCH, 0, ""},
    {"show packets", VERB_PACKETS, 0, ""},
    {"show flows", VERB_FLOWS, 0, ""},
    {"forward 17", VERB_FORWARD, 17, ""},
    {"drop 4294967295", VERB_DROP, UINT32_MAX, ""},
    {"accept 3", VERB_ACCEPT, 3, ""},
    {"block 3", VERB_BLOCK, 3, ""},
    {"alert 3 a worm, and more", VERB_ALERT, 3, "a worm, and more"},
    {"", VERB_BAD, 0, NULL},
    {"mode", VERB_BAD, 0, NULL},
    {"mode inline ", VERB_BAD, 0, NULL},
    {"forward", VERB_BAD, 0, NULL},
    {"forward ", VERB_BAD, 0, NULL},
    {"forward 0", VERB_BAD, 0, NULL},
    {"forward -1", VERB_BAD, 0, NULL},
    {"forward 17x", VERB_BAD, 0, NULL},
    {"forward 17 now", VERB_BAD, 0, NULL},
    {"forward 4294967296", VERB_BAD, 0, NULL},
    {"forward 99999999999999999999999999", VERB_BAD, 0, NULL},
    {"alert 3", VERB_BAD, 0, NULL},
    {"alert 3 ", VERB_BAD, 0, NULL},
    {"FORWARD 1", VERB_BAD, 0, NULL},
};

START_TEST(lines_mean_what_is_said_or_nothing)
{
    uint32_t number;
    const char *text;
    ck_assert_int_eq(verdict_parse(lines[_i].line, &number, &text), lines[_i].verb);
    if (lines[_i].verb == VERB_BAD)
        return;
    ck_assert_uint_eq(number, lines[_i].number);
    ck_assert_str_eq(text, lines[_i].text);
}
END_TEST

START_TEST(packets_wait_in_order_and_leave_in_any)
{
    struct waiting *w[VERDICT_WAIT];
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < VERDICT_WAIT; i++) {
            w[i] = verdict_wait(v, now);
            ck_assert_ptr_nonnull(w[i]);
            w[i]->flow = i % 3;
        }
        ck_assert_ptr_null(verdict_wait(v, now));
        ck_assert_ptr_eq(verdict_numbered(v, w[100]->number), w[100]);
        ck_assert_ptr_eq(verdict_of_flow(v, 2), w[2]);
        verdict_done(v, w[2]);
        ck_assert_ptr_eq(verdict_of_flow(v, 2), w[5]);
        ck_assert_ptr_null(verdict_numbered(v, w[2]->number));
        ck_assert_uint_eq(verdicts_waiting(v), VERDICT_WAIT - 1);
        for (unsigned i = VERDICT_WAIT; i-- > 0;)
            if (i != 2)
                verdict_done(v, w[i]);
        ck_assert_uint_eq(verdicts_waiting(v), 0);
        ck_assert_uint_eq(verdicts_deadline(v).us, MONO_NEVER.us);
    }
}
END_TEST

START_TEST(patience_ends)
{
    struct waiting *first = verdict_wait(v, now);
    mono_t later = mono_add(now, VERDICT_PATIENCE / 2), end_of = mono_add(now, VERDICT_PATIENCE);
    verdict_wait(v, later);
    ck_assert_uint_eq(verdicts_deadline(v).us, end_of.us);
    ck_assert_ptr_null(verdict_late(v, mono_add(now, VERDICT_PATIENCE - 1), false));
    ck_assert_ptr_eq(verdict_late(v, end_of, false), first);
    verdict_done(v, first);
    ck_assert_ptr_null(verdict_late(v, end_of, false));
    ck_assert_ptr_nonnull(verdict_late(v, end_of, true));
}
END_TEST

static struct flow_key key_of(uint32_t n)
{
    return (struct flow_key){.serial = n, .proto = 6};
}

START_TEST(flows_keep_their_fate_until_they_are_forgotten)
{
    struct flow_key k = key_of(1);
    struct flow_entry *f = verdict_flow(v, &k, now);
    uint32_t number = f->number;
    f->fate = FLOW_BLOCK;
    ck_assert_ptr_eq(verdict_flow(v, &k, now), f);
    ck_assert_ptr_eq(verdict_flow_numbered(v, number), f);
    ck_assert_ptr_null(verdict_flow_numbered(v, number + 1));
    verdicts_ask_again(v);
    ck_assert_int_eq(f->fate, FLOW_ASK);
    struct flow_key other = key_of(2);
    verdict_flow(v, &other, mono_add(now, FLOW_IDLE + 1));
    ck_assert_ptr_null(verdict_flow_numbered(v, number));
    ck_assert_uint_eq(verdicts_flows(v), 1);
}
END_TEST

START_TEST(flows_are_bounded)
{
    struct flow_key k = key_of(0);
    uint32_t first = verdict_flow(v, &k, now)->number;
    for (uint32_t i = 1; i <= FLOWS_MAX; i++) {
        k = key_of(i);
        ck_assert_ptr_nonnull(verdict_flow(v, &k, now));
    }
    ck_assert_uint_eq(verdicts_flows(v), FLOWS_MAX);
    ck_assert_ptr_null(verdict_flow_numbered(v, first));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("middlebox/verdict");
    TCase *c = tcase_create("verdicts");
    tcase_add_checked_fixture(c, begin, end);
    tcase_add_loop_test(c, lines_mean_what_is_said_or_nothing, 0, (int)(sizeof(lines) / sizeof(lines[0])));
    tcase_add_test(c, packets_wait_in_order_and_leave_in_any);
    tcase_add_test(c, patience_ends);
    tcase_add_test(c, flows_keep_their_fate_until_they_are_forgotten);
    tcase_add_test(c, flows_are_bounded);
    suite_add_tcase(s, c);
    return suite_run(s);
}
