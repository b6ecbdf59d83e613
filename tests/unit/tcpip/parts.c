/* The parts that keep books, each against a model that marks every byte. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/tcpip/cc.h"
#include "daemon/tcpip/heap.h"
#include "daemon/tcpip/ranges.h"
#include "daemon/tcpip/ring.h"
#include "daemon/tcpip/rto.h"
#include "daemon/tcpip/scoreboard.h"
#include "include/bytes.h"
#include "tests/lib/suite.h"

static uint64_t rng = 88172645463325252ull;

static uint32_t draw(uint32_t bound)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng >> 32) % bound;
}

enum { SPACE = 600 };

/* ---- scoreboard ---- */

struct model {
    uint8_t state[SPACE];
    uint32_t una, end;
};

static void model_compare(const struct scoreboard *b, const struct model *m)
{
    uint64_t count[4] = {0}, at = m->una;
    for (uint32_t i = 0; i < b->n; i++) {
        const struct run *r = &b->v[b->head + i];
        ck_assert_uint_eq(r->start, at);
        ck_assert_uint_lt(r->start, r->end);
        for (at = r->start; at < r->end && m->state[at] == r->state;)
            at++;
        ck_assert_uint_eq(at, r->end);
    }
    ck_assert_uint_eq(at, m->end);
    for (uint32_t i = m->una; i < m->end; i++)
        count[m->state[i]]++;
    ck_assert_mem_eq(count, b->bytes, sizeof(count));
}

static uint64_t model_set(struct model *m, uint32_t from, uint32_t to, uint8_t state)
{
    uint64_t changed = 0;
    for (uint32_t i = from; i < to; i++) {
        if (m->state[i] == state || (state == RUN_LOST && m->state[i] == RUN_SACKED))
            continue;
        m->state[i] = state;
        changed++;
    }
    return changed;
}

static void scoreboard_round(struct scoreboard *b, struct model *m, uint64_t now)
{
    struct rack k = {0};
    struct delivery d = {0};
    uint32_t span = m->end - m->una, from = m->una + (span ? draw(span) : 0);
    uint32_t to = from + (span ? 1 + draw(m->end - from) : 0);
    uint64_t start, end, want;
    switch (draw(6)) {
    case 0:
    case 1:
        to = m->end + 1 + draw(30);
        if (to > SPACE)
            return;
        ck_assert(scoreboard_room(b));
        scoreboard_sent(b, m->end, to, now, 5);
        memset(m->state + m->end, RUN_FLIGHT, to - m->end);
        m->end = to;
        break;
    case 2:
        if (!span)
            return;
        want = model_set(m, from, to, RUN_SACKED);
        scoreboard_sack(b, from, to, now, 1, &k, &d);
        ck_assert_uint_eq(d.sacked, want);
        break;
    case 3:
        if (!span)
            return;
        want = model_set(m, from, to, RUN_LOST);
        ck_assert_uint_eq(scoreboard_lose(b, from, to), want);
        break;
    case 4:
        if (!scoreboard_next_lost(b, &start, &end)) {
            for (uint32_t i = m->una; i < m->end; i++)
                ck_assert_int_ne(m->state[i], RUN_LOST);
            return;
        }
        for (uint32_t i = m->una; i < start; i++)
            ck_assert_int_ne(m->state[i], RUN_LOST);
        end = start + 1 + draw((uint32_t)(end - start));
        ck_assert(scoreboard_resent(b, start, end, now));
        model_set(m, (uint32_t)start, (uint32_t)end, RUN_RETX);
        break;
    case 5:
        to = m->una + draw(span / 4 + 1);
        for (want = 0; m->una < to; m->una++)
            want += m->state[m->una] != RUN_SACKED;
        scoreboard_ack(b, to, now, 1, &k, &d);
        ck_assert_uint_eq(d.acked, want);
        break;
    }
}

START_TEST(scoreboard_keeps_the_fate_of_every_byte)
{
    uint64_t memory = 0;
    for (int world = 0; world < 60; world++) {
        struct scoreboard b;
        struct model m = {.una = 1, .end = 1};
        scoreboard_init(&b, 1, &memory);
        for (uint64_t now = 1; now < 300; now++) {
            scoreboard_round(&b, &m, now);
            model_compare(&b, &m);
        }
        scoreboard_release(&b);
        ck_assert_uint_eq(memory, 0);
    }
}
END_TEST

START_TEST(rack_holds_lost_what_younger_segments_overtook)
{
    uint64_t memory = 0, next;
    struct scoreboard b;
    struct rack k = {0};
    struct delivery d = {0};
    scoreboard_init(&b, 1, &memory);
    for (uint32_t i = 0; i < 4; i++) {
        ck_assert(scoreboard_room(&b));
        scoreboard_sent(&b, 1 + 100 * i, 101 + 100 * i, 1000 + 100 * i, 0);
    }
    scoreboard_sack(&b, 201, 301, 11200, 1, &k, &d); /* sent at 1200: a round trip of 10000 */
    ck_assert_uint_eq(k.rtt, 10000);
    ck_assert_uint_eq(scoreboard_detect(&b, &k, 11200, 500, &next), 0);
    ck_assert_uint_eq(next, 11500); /* the first, sent at 1000 */
    ck_assert_uint_eq(scoreboard_detect(&b, &k, 11500, 500, &next), 100);
    ck_assert_uint_eq(next, 11600);
    ck_assert_uint_eq(scoreboard_detect(&b, &k, 11600, 500, &next), 100);
    ck_assert_uint_eq(next, UINT64_MAX); /* the fourth is younger than what arrived */
    ck_assert_uint_eq(b.bytes[RUN_LOST], 200);
    scoreboard_release(&b);
}
END_TEST

/* ---- ranges ---- */

START_TEST(ranges_know_what_is_there)
{
    uint64_t memory = 0;
    for (int world = 0; world < 100; world++) {
        struct ranges r = {0};
        bool have[SPACE + 1] = {false};
        uint64_t next = 1;
        for (int step = 0; step < 100; step++) {
            uint64_t start = next + 1 + draw(SPACE / 2), end = start + 1 + draw(40), fresh, want = 0, all = 1;
            if (end > SPACE)
                break;
            for (uint64_t i = start; i < end; i++) {
                want += !have[i];
                all &= have[i];
            }
            ck_assert_int_eq(ranges_cover(&r, start, end), (int)all);
            ck_assert(ranges_add(&r, start, end, &fresh, &memory));
            ck_assert_uint_eq(fresh, want);
            memset(have + start, 1, end - start);
            struct range out[4];
            int n = ranges_report(&r, out, 4);
            ck_assert_int_ge(n, 1);
            ck_assert(out[0].start <= start && out[0].end >= end); /* RFC 2018: the latest first */
            for (int i = 0; i < n; i++) {
                ck_assert(have[out[i].start] && !have[out[i].start - 1] && have[out[i].end - 1] && !have[out[i].end]);
                for (int k = 0; k < i; k++)
                    ck_assert_uint_ne(out[i].start, out[k].start);
            }
            if (draw(8) == 0) {
                uint64_t to = next + 1 + draw(20);
                memset(have + next, 1, to - next);
                next = ranges_advance(&r, to, &memory);
                ck_assert_uint_ge(next, to);
                ck_assert(!have[next] && have[next - 1]);
            }
        }
        ranges_release(&r, &memory);
        ck_assert_uint_eq(memory, 0);
    }
}
END_TEST

START_TEST(ranges_remember_the_others_while_one_grows)
{
    struct ranges r = {0};
    struct range out[4];
    uint64_t memory = 0, fresh;
    ck_assert(ranges_add(&r, 10, 20, &fresh, &memory) && ranges_add(&r, 30, 40, &fresh, &memory));
    for (uint64_t i = 0; i < 2 * RANGES_RECENT; i++)
        ck_assert(ranges_add(&r, 50 + i, 51 + i, &fresh, &memory));
    ck_assert_int_eq(ranges_report(&r, out, 4), 3);
    ck_assert(out[0].start == 50 && out[1].start == 30 && out[2].start == 10);
    ranges_release(&r, &memory);
}
END_TEST

START_TEST(ranges_are_bounded)
{
    struct ranges r = {0};
    uint64_t memory = 0, fresh;
    for (uint64_t i = 0; i < RANGES_MAX; i++)
        ck_assert(ranges_add(&r, 10 + 10 * i, 15 + 10 * i, &fresh, &memory));
    ck_assert(!ranges_add(&r, 5, 7, &fresh, &memory));
    ck_assert(ranges_add(&r, 10, 20, &fresh, &memory)); /* growing is no new range */
    ck_assert_uint_eq(fresh, 5);
    ranges_release(&r, &memory);
}
END_TEST

/* ---- ring, heap ---- */

START_TEST(ring_keeps_its_bytes_while_it_grows)
{
    struct ring r = {0};
    uint64_t memory = 0, from = 5000000000ull - 100, to = from;
    uint8_t buf[3000], back[3000];
    for (int i = 0; i < 1000; i++) {
        size_t n = 1 + draw(2000);
        for (size_t k = 0; k < n; k++)
            buf[k] = (uint8_t)((to + k) * 31 >> 3);
        ck_assert(ring_reserve(&r, to + n - from, from, to, &memory));
        ck_assert_uint_eq(memory, r.cap);
        ring_write(&r, to, buf, n);
        to += n;
        n = draw((uint32_t)(to - from < 2990 ? to - from : 2990) + 1);
        ring_read(&r, from, back, n);
        for (size_t k = 0; k < n; k++)
            buf[k] = (uint8_t)((from + k) * 31 >> 3);
        ck_assert(memcmp(back, buf, n) == 0);
        from += i % 50 ? n : n / 2;
    }
    ring_release(&r, &memory);
    ck_assert_uint_eq(memory, 0);
}
END_TEST

START_TEST(heap_gives_the_earliest_first)
{
    enum { N = 300 };
    struct heap h = {0};
    struct heap_node node[N];
    uint64_t when[N], memory = 0;
    ck_assert(heap_reserve(&h, N, &memory));
    for (int i = 0; i < N; i++)
        node[i].place = HEAP_NONE;
    for (int round = 0; round < 4000; round++) {
        uint32_t i = draw(N);
        if (draw(3)) {
            when[i] = draw(1000);
            heap_set(&h, &node[i], when[i]);
        } else {
            heap_remove(&h, &node[i]);
        }
        if (!h.n)
            continue;
        uint64_t least = UINT64_MAX;
        for (int k = 0; k < N; k++) {
            if (node[k].place != HEAP_NONE) {
                if (h.v[node[k].place].node != &node[k])
                    ck_abort_msg("a node does not know its place");
                least = when[k] < least ? when[k] : least;
            }
        }
        ck_assert_uint_eq(h.v[0].when, least);
    }
    heap_free(&h);
}
END_TEST

/* ---- RTO, CUBIC ---- */

START_TEST(rto_follows_rfc_6298)
{
    struct rto r;
    rto_init(&r);
    ck_assert_uint_eq(rto_value(&r), 1000000);
    rto_sample(&r, 0, 400000, true);
    ck_assert_uint_eq(r.srtt, 400000);
    ck_assert_uint_eq(rto_value(&r), 400000 + 4 * 200000);
    rto_sample(&r, 0, 800000, true);
    ck_assert_uint_eq(r.rttvar, (3 * 200000 + 400000) / 4);
    ck_assert_uint_eq(r.srtt, (7 * 400000 + 800000) / 8);
    uint32_t base = rto_value(&r);
    r.backoff = 1;
    ck_assert_uint_eq(rto_value(&r), 2 * base);
    r.backoff = 16;
    ck_assert_uint_eq(rto_value(&r), RTO_MAX);
    r.backoff = 0;
    for (int i = 0; i < 200; i++)
        rto_sample(&r, 0, 100, true);
    ck_assert_uint_eq(rto_value(&r), RTO_MIN);
    ck_assert_uint_eq(r.min_rtt, 100);
}
END_TEST

static void cubic_run(struct cc *c, uint64_t *now, uint64_t rtt, uint64_t until)
{
    for (; *now < until; *now += rtt) {
        struct cc_ack a = {.now = *now, .delivered = c->cwnd, .srtt = (uint32_t)rtt, .min_rtt = (uint32_t)rtt, .limited = true,
            .snd_una = *now, .snd_nxt = *now + 1};
        c->law->ack(c, &a);
    }
}

START_TEST(cubic_comes_back_to_where_it_lost)
{
    struct cc c;
    uint64_t now = 1000000;
    cc_init(&c, &cc_cubic, 1000, now);
    ck_assert_uint_eq(c.cwnd, 10000);
    c.cwnd = c.ssthresh = 1000000;
    c.law->loss(&c, now);
    ck_assert_uint_eq(c.ssthresh, 700000);
    c.cwnd = c.ssthresh;
    /* K = cbrt(1000 * 0.3 / 0.4) = 9.09 s: then it is at W_max, and flat there */
    cubic_run(&c, &now, 100000, 1000000 + 9100000);
    ck_assert_uint_gt(c.cwnd, 980000);
    ck_assert_uint_lt(c.cwnd, 1020000);
    cubic_run(&c, &now, 100000, 1000000 + 18200000);
    ck_assert_uint_gt(c.cwnd, 1250000);
    uint64_t before = c.cwnd;
    c.law->loss(&c, now);
    c.cwnd = c.ssthresh;
    c.law->undo(&c);
    ck_assert_uint_eq(c.cwnd, before);
}
END_TEST

START_TEST(cubic_does_not_grow_unused)
{
    struct cc c;
    struct cc_ack a = {.now = 1000, .delivered = 50000, .srtt = 1000, .min_rtt = 1000, .limited = false};
    cc_init(&c, &cc_cubic, 1000, 0);
    c.law->ack(&c, &a);
    ck_assert_uint_eq(c.cwnd, 10000);
    a.limited = true;
    c.law->ack(&c, &a);
    ck_assert_uint_eq(c.cwnd, 60000);
    cc_idle(&c, 1000, 2000);
    ck_assert_uint_eq(c.cwnd, 60000);
    cc_idle(&c, 4001, 2000);
    ck_assert_uint_eq(c.cwnd, 15000);
    cc_idle(&c, UINT64_MAX, 2000);
    ck_assert_uint_eq(c.cwnd, 10000);
}
END_TEST

START_TEST(slow_start_ends_when_the_round_trip_grows)
{
    struct cc c;
    uint64_t now = 0;
    cc_init(&c, &cc_cubic, 1000, now);
    for (uint32_t round = 1; round <= 12; round++) {
        uint32_t rtt = round < 5 ? 50000 : 50000 + 8000;
        for (uint32_t i = 0; i < 10; i++) {
            struct cc_ack a = {.now = now += 1000, .delivered = 1000, .srtt = rtt, .min_rtt = 50000, .rtt = rtt, .limited = true,
                .snd_una = round * 1000 + i, .snd_nxt = (round + 1) * 1000};
            c.law->ack(&c, &a);
        }
        if (round < 10)
            ck_assert(cc_slow_start(&c));
    }
    ck_assert(!cc_slow_start(&c));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tcpip/parts");
    TCase *c = tcase_create("parts");
    tcase_add_test(c, scoreboard_keeps_the_fate_of_every_byte);
    tcase_add_test(c, rack_holds_lost_what_younger_segments_overtook);
    tcase_add_test(c, ranges_know_what_is_there);
    tcase_add_test(c, ranges_remember_the_others_while_one_grows);
    tcase_add_test(c, ranges_are_bounded);
    tcase_add_test(c, ring_keeps_its_bytes_while_it_grows);
    tcase_add_test(c, heap_gives_the_earliest_first);
    tcase_add_test(c, rto_follows_rfc_6298);
    tcase_add_test(c, cubic_comes_back_to_where_it_lost);
    tcase_add_test(c, cubic_does_not_grow_unused);
    tcase_add_test(c, slow_start_ends_when_the_round_trip_grows);
    suite_add_tcase(s, c);
    return suite_run(s);
}
