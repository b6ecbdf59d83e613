/* Which law, what BBR makes of a path, and the parts that feed it. */
#include <check.h>

#include "tests/unit/tcpip/script.h"

#include "include/bytes.h"
#include "tests/lib/suite.h"

enum { MSS = 1000 };

/* ---- the rule ---- */

struct story {
    const char *name;
    uint32_t calm, at_loss; /* round trips between the losses, and at them */
    uint32_t between;       /* bytes delivered from one loss to the next */
    int changes_at;         /* the loss event which brings the change; 0: none of the first 50 */
};

/* The floor is 20 ms in all of them. */
static const struct story stories[] = {
    {"nothing queues", 20000, 20000, 50000, 2},
    {"it queues a little", 20000, 22400, 50000, 4},
    {"a sixth of the path queues", 21000, 24000, 50000, 0},
    {"the queue is at its highest when it loses", 24000, 40000, 50000, 0},
    {"a short queue that is full", 20000, 30000, 50000, 0},
    {"the round trip varies, but not with the losses", 60000, 30000, 50000, 4},
    {"one packet in fifty thousand", 20000, 20000, 50000000, 0},
};

static int changes_at(const struct story *s)
{
    struct choice h = {0};
    struct company alone = {0};
    uint64_t now = 1000000, total = 0, lost = 0;
    choice_init(&h);
    choice_rtt(&h, now, 20000);
    for (int i = 1; i <= 50; i++) {
        for (int k = 0; k < 40; k++)
            choice_rtt(&h, now += 10000, s->calm);
        for (int k = 0; k < 20; k++)
            choice_rtt(&h, now += 1000, s->at_loss);
        total += s->between;
        lost += MSS;
        const struct cc_law *law = choice_loss(&h, &cc_cubic, &alone, now, total, lost);
        ck_assert(!law || law == &cc_bbr);
        if (law)
            return i;
        choice_rtt(&h, now, 20000);
    }
    return 0;
}

START_TEST(bbr_is_for_losses_without_a_queue)
{
    for (size_t i = 0; i < ARRAY_LEN(stories); i++)
        ck_assert_msg(changes_at(&stories[i]) == stories[i].changes_at, "%s: %d", stories[i].name, changes_at(&stories[i]));
}
END_TEST

START_TEST(what_follows_a_full_queue_counts_for_nothing)
{
    struct choice h = {0};
    struct company alone = {0};
    uint64_t now = 1000000;
    choice_init(&h);
    for (int round = 0; round < 20; round++) {
        choice_rtt(&h, now += 20000, 20000);
        for (int k = 0; k < 20; k++)
            choice_rtt(&h, now += 1000, 40000);
        ck_assert_ptr_null(choice_loss(&h, &cc_cubic, &alone, now, round * 50000, round * 5000));
        for (int after = 0; after < 3; after++) { /* the queue has drained, and the packets it dropped are missed only now */
            for (int k = 0; k < 20; k++)
                choice_rtt(&h, now += 500, 20000);
            ck_assert_ptr_null(choice_loss(&h, &cc_cubic, &alone, now, round * 50000, round * 5000));
        }
        now += 1000000;
    }
}
END_TEST

START_TEST(connections_follow_the_first_that_found_losses)
{
    struct choice h = {0};
    struct company suspect = {.lossy_until = UINT64_MAX};
    choice_init(&h);
    choice_rtt(&h, 1000000, 20000);
    choice_rtt(&h, 1000000, 30000); /* 22.5 ms of late: no full queue, but not bare */
    ck_assert_ptr_null(choice_loss(&h, &cc_cubic, &suspect, 1100000, 100000, 5000));
    ck_assert_ptr_eq(choice_loss(&h, &cc_cubic, &suspect, 1200000, 200000, 10000), &cc_bbr);
    ck_assert_ptr_null(choice_loss(&h, &cc_bbr, &suspect, 1300000, 300000, 11000));
}
END_TEST

START_TEST(whoever_has_company_under_bbr_joins_it_at_the_next_loss)
{
    struct choice h = {0};
    struct company joined = {.paced = 1};
    choice_init(&h);
    choice_rtt(&h, 1000000, 20000);
    for (int k = 0; k < 20; k++)
        choice_rtt(&h, 1001000, 40000); /* a full queue: it is theirs */
    ck_assert_ptr_eq(choice_loss(&h, &cc_cubic, &joined, 1100000, 100000, 5000), &cc_bbr);
    h.fixed = true;
    ck_assert_ptr_null(choice_loss(&h, &cc_cubic, &joined, 1100000, 100000, 5000));
}
END_TEST

START_TEST(a_fixed_law_stays)
{
    struct choice h = {.fixed = true};
    struct company suspect = {.lossy_until = UINT64_MAX};
    struct cc c = {.law = &cc_bbr, .crowded = true};
    choice_init(&h);
    choice_rtt(&h, 1000000, 20000);
    for (int i = 1; i < 20; i++)
        ck_assert_ptr_null(choice_loss(&h, &cc_cubic, &suspect, 1000000 + i * 100000ull, i * 10000ull, i * 1000ull));
    ck_assert_ptr_null(choice_ack(&h, &c, 2000000, 0, 0));
}
END_TEST

START_TEST(cubic_comes_back_when_losses_cease_or_others_crowd)
{
    struct choice h = {0};
    struct cc c = {.law = &cc_bbr};
    uint64_t total = 0, lost = 0, now = 1000000;
    choice_init(&h);
    for (int i = 0; i < 1000; i++) { /* a packet in a thousand is lost */
        total += 1000000;
        lost += MSS;
        ck_assert_ptr_null(choice_ack(&h, &c, now += 100000, total, lost));
    }
    const struct cc_law *law = NULL;
    int steps = 0;
    for (; steps < 200 && !law; steps++)
        law = choice_ack(&h, &c, now += 100000, total += 1000000, lost);
    ck_assert_ptr_eq(law, &cc_cubic);
    ck_assert_int_gt(steps, 24);
    c.crowded = true;
    ck_assert_ptr_eq(choice_ack(&h, &c, now, total, lost), &cc_cubic);
}
END_TEST

/* ---- the rate of delivery ---- */

START_TEST(the_rate_is_what_arrived_over_the_longer_of_both_times)
{
    uint64_t memory = 0;
    struct scoreboard b;
    struct rack k = {0};
    scoreboard_init(&b, 0, &memory);
    for (uint64_t i = 0; i < 100; i++) { /* 1 byte/µs goes out */
        ck_assert(scoreboard_room(&b));
        scoreboard_sent(&b, i * MSS, (i + 1) * MSS, 1000000 + i * 1000, 0);
    }
    uint64_t rate = 0;
    for (uint64_t i = 0; i < 90; i++) { /* and half of that arrives */
        struct delivery d = {.top = b.top};
        scoreboard_ack(&b, (i + 1) * MSS, 1020000 + i * 2000, 20000, &k, &d);
        rate = scoreboard_rate(&b, &d, 20000);
        ck_assert_uint_le(rate, 1000000);
    }
    ck_assert_uint_ge(rate, 450000);
    ck_assert_uint_le(rate, 550000);
    ck_assert_uint_eq(b.rate.delivered, 90 * MSS);
    struct delivery d = {.top = b.top}; /* ten at once: ACKs in a heap are no faster path */
    scoreboard_ack(&b, 100 * MSS, 1200001, 20000, &k, &d);
    ck_assert_uint_le(scoreboard_rate(&b, &d, 20000), 600000);
    scoreboard_release(&b);
}
END_TEST

START_TEST(a_silent_program_tells_nothing_of_the_path)
{
    uint64_t memory = 0;
    struct scoreboard b;
    struct rack k = {0};
    scoreboard_init(&b, 0, &memory);
    ck_assert(scoreboard_room(&b));
    scoreboard_sent(&b, 0, MSS, 1000000, 0);
    scoreboard_limited(&b);
    ck_assert(scoreboard_room(&b));
    scoreboard_sent(&b, MSS, 2 * MSS, 1005000, 0);
    struct delivery d = {0};
    scoreboard_ack(&b, MSS, 1020000, 20000, &k, &d);
    ck_assert(!d.limited);
    d = (struct delivery){0};
    scoreboard_ack(&b, 2 * MSS, 1025000, 20000, &k, &d);
    ck_assert(d.limited);
    ck_assert_uint_eq(b.rate.limited, 0); /* what goes out from here on tells again */
    scoreboard_release(&b);
}
END_TEST

/* ---- BBR ---- */

/* A path of `rate` bytes per second and 20 ms with an endless queue, fed as pacing and window allow; time in steps of 1 ms. */
static void bbr_path(struct cc *c, uint64_t rate, uint32_t percent, uint64_t *peak_queue)
{
    enum { STEPS = 3000, RTT = 20 };
    static uint64_t out[STEPS + 1], total_at[STEPS + 1];
    uint64_t queue = 0, pipe = 0, total = 0, lost = 0;
    memset(out, 0, sizeof(out));
    cc_init(c, &cc_bbr, MSS, 1000000);
    *peak_queue = 0;
    for (int i = 1; i <= STEPS; i++) {
        uint64_t now = 1000000 + i * 1000ull, room = c->cwnd > pipe ? c->cwnd - pipe : 0;
        uint64_t pace = c->pacing ? c->pacing / 1000 : c->cwnd, send = room < pace ? room : pace;
        queue += send;
        pipe += send;
        total_at[i] = total;
        uint64_t left = queue < rate / 1000 ? queue : rate / 1000;
        queue -= left;
        out[i] = left;
        if (i > STEPS / 2 && queue > *peak_queue)
            *peak_queue = queue;
        uint64_t back = i > RTT ? out[i - RTT] : 0, good = back * (100 - percent) / 100;
        pipe -= back;
        total += good;
        lost += back - good;
        int since = i - RTT - (int)(queue / (rate / 1000));
        struct cc_ack a = {.now = now, .delivered = good, .total = total, .lost = lost, .pipe = pipe, .srtt = RTT * 1000,
            .min_rtt = RTT * 1000, .floor = RTT * 1000, .rtt = RTT * 1000 + (uint32_t)(queue * 1000000 / rate),
            .prior = since > 0 ? total_at[since] : 0};
        a.rate = since > 0 ? (total - a.prior) * 1000 / (uint64_t)(i - since) : 0;
        if (good)
            c->law->ack(c, &a);
    }
}

START_TEST(bbr_finds_the_rate_of_the_path)
{
    struct cc c;
    uint64_t queue, bdp = 10000000 / 50;
    bbr_path(&c, 10000000, 0, &queue);
    ck_assert(c.bbr.full);
    ck_assert_uint_ge(c.pacing, 7000000);
    ck_assert_uint_le(c.pacing, 13500000);
    ck_assert_uint_ge(c.cwnd, bdp);
    ck_assert_uint_lt(queue, bdp);
}
END_TEST

START_TEST(bbr_does_not_mind_losses)
{
    for (uint32_t percent = 1; percent <= 20; percent += 19) {
        struct cc c;
        uint64_t queue;
        bbr_path(&c, 10000000, percent, &queue);
        ck_assert_uint_ge(c.pacing, 5000000);
        ck_assert_uint_ge(c.cwnd, 10000000 / 50 * (100 - percent) / 100);
    }
}
END_TEST

START_TEST(quanta_are_bounded)
{
    struct cc c = {.law = &cc_bbr, .mss = MSS, .pacing = 5000000, .near = 20000};
    ck_assert_uint_eq(cc_quantum(&c), 5000); /* a millisecond's */
    c.near = 2000;
    ck_assert_uint_eq(cc_quantum(&c), 2500);
    c.pacing = 1000;
    ck_assert_uint_eq(cc_quantum(&c), 2 * MSS);
    c.pacing = 1000000000;
    ck_assert_uint_eq(cc_quantum(&c), 65536);
}
END_TEST

/* ---- pacing ---- */

static struct conn *paced(struct script *s, uint64_t rate)
{
    script_begin(s, NULL);
    script_run(s, "open\n");
    struct conn *c = table_get(s->t, s->ref);
    c->choice.fixed = true;
    conn_law(s->t, c, &cc_bbr, true);
    c->cc.pacing = rate;
    return c;
}

START_TEST(a_paced_stream_leaves_in_quanta)
{
    struct script s;
    paced(&s, 100000); /* 1000 bytes each 10 ms */
    script_run(&s,
        "write 5000 push\n"
        "> A 1:1000\n> A 1001:1000\n"
        "none\n"
        "+19ms\nnone\n"
        "+1ms\n> A 2001:1000\n> A 3001:1000\n"
        "none\n");
    script_end(&s);
}
END_TEST

START_TEST(a_lone_write_is_not_held_back)
{
    struct script s;
    paced(&s, 100000);
    script_run(&s,
        "write 10 push\n> PA 1:10\n"
        "write 10 push\n> PA 11:10\n"
        "+30ms\n");
    script_end(&s);
}
END_TEST

/* ---- SACK ---- */

START_TEST(every_range_is_told_of_in_its_turn)
{
    struct ranges r = {0};
    uint64_t fresh, memory = 0;
    bool told[10] = {false};
    for (uint64_t i = 0; i < 10; i++)
        ck_assert(ranges_add(&r, 100 + i * 100, 150 + i * 100, &fresh, &memory));
    ck_assert_uint_eq(r.unsaid, 10);
    for (int i = 0; i < 10; i++) {
        struct range out[3];
        int n = ranges_report(&r, out, 3);
        ck_assert_uint_eq(out[0].start, 1000); /* the latest comes first, each time */
        for (int k = 0; k < n; k++)
            told[out[k].start / 100 - 1] = true;
    }
    for (int i = 0; i < 10; i++)
        ck_assert(told[i]);
    ck_assert_uint_eq(r.unsaid, 0);
    ranges_release(&r, &memory);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        bbr_is_for_losses_without_a_queue, what_follows_a_full_queue_counts_for_nothing, connections_follow_the_first_that_found_losses,
        a_fixed_law_stays, cubic_comes_back_when_losses_cease_or_others_crowd,
        the_rate_is_what_arrived_over_the_longer_of_both_times, a_silent_program_tells_nothing_of_the_path,
        whoever_has_company_under_bbr_joins_it_at_the_next_loss, bbr_finds_the_rate_of_the_path, bbr_does_not_mind_losses, quanta_are_bounded, a_paced_stream_leaves_in_quanta,
        a_lone_write_is_not_held_back, every_range_is_told_of_in_its_turn,
    };
    Suite *s = suite_create("tcpip/laws");
    TCase *c = tcase_create("laws");
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    return suite_run(s);
}
