/* BBR, after its first version, with some of the third's care.
 *
 *   STARTUP   send 2.77 times as fast as it arrives until the rate has not grown by a quarter for 3 rounds
 *   DRAIN     half as fast, until what that left in the queue is gone
 *   PROBE_BW  cycles of 8 phases, of a round trip each: 5/4 of the rate to see if there is more, 3/4 to let that
 *             drain, and then the rate itself
 *   PROBE_RTT after 10 s without a look at the bare round trip, or when a queue will not go away: half a product in
 *             flight for 200 ms
 *
 * What differs: the window allows for up to 2 ms beyond the least round trip where that varies, since hosts wake up late. Where packets are lost and no
 * queue stands, half of the loss is made up in the rate. While a queue stands the window is 5/4 of a product, later one, instead of two.
 */
#include "daemon/tcpip/cc.h"

enum { STARTUP, DRAIN, PROBE_BW, PROBE_RTT };
enum { PHASES = 8, FULL_ROUNDS = 3, QUEUE_ROUNDS = 16, MIN_SEGMENTS = 4, LOSS_MAX = 300, STARTUP_LOSS = 100, SETTLED_ROUNDS = 8 };

#define SLACK_US 2000u
#define PHASE_LEAST_US 4000u
#define MIN_RTT_US 10000000u
#define PROBE_RTT_US 200000u
#define PROBE_AGAIN_US 2000000u

static uint64_t bbr_bw(const struct bbr *b)
{
    return b->bw[0] > b->bw[1] ? b->bw[0] : b->bw[1];
}

static uint64_t bbr_bdp(const struct bbr *b)
{
    return b->min_rtt == UINT32_MAX ? 0 : bbr_bw(b) * b->min_rtt / 1000000;
}

static void bbr_init(struct cc *c, uint64_t now)
{
    c->crowded = false;
    c->pacing = 0;
    c->bbr = (struct bbr){.mode = STARTUP, .min_rtt = UINT32_MAX, .round_min = UINT32_MAX, .min_rtt_at = now, .probed_at = now};
}

/* ---- what is measured ---- */

static bool queue_stands(uint32_t rtt, uint32_t floor)
{
    return rtt != UINT32_MAX && rtt > (uint64_t)floor + (floor / 4 > SLACK_US ? floor / 4 : SLACK_US);
}

static void round_end(struct bbr *b, const struct cc_ack *a)
{
    uint64_t lost = a->lost - b->round_lost, all = lost + a->total - b->round_total;
    uint64_t part = all ? lost * 1024 / all : 0;
    b->loss = (uint16_t)((7 * b->loss + part) / 8);
    bool queue = queue_stands(b->round_min, a->floor);
    if (b->settled < SETTLED_ROUNDS) { /* STARTUP has its losses, seen late */
        b->settled += b->mode == PROBE_BW;
    } else if (queue && b->queue_rounds) { /* a round at the border tells of neither */
        b->queue_lost += lost;
        b->queue_all += all;
    } else if (!queue && !b->queue_rounds) {
        b->clear_lost += lost;
        b->clear_all += all;
    }
    b->queue_rounds = queue ? (uint8_t)(b->queue_rounds + (b->queue_rounds < UINT8_MAX)) : 0;
    if (!b->full && !b->round_limited) {
        if (b->bw[1] >= b->full_bw + b->full_bw / 4) {
            b->full_bw = b->bw[1];
            b->full_rounds = 0;
        } else {
            b->full_rounds++;
        }
        b->full = b->full_rounds >= FULL_ROUNDS || (b->queue_rounds && part > STARTUP_LOSS);
    }
    b->round_lost = a->lost;
    b->round_total = a->total;
    b->round_min = UINT32_MAX;
    b->round_limited = false;
}

static void measure(struct bbr *b, const struct cc_ack *a)
{
    if (!b->round_total) {
        b->next_round = b->round_total = a->total;
        b->round_lost = a->lost;
    }
    if (a->rate) {
        if (!a->rate_limited || a->rate > bbr_bw(b))
            b->bw[1] = a->rate > b->bw[1] ? a->rate : b->bw[1];
        b->round_limited |= a->rate_limited;
        if (a->prior >= b->next_round) {
            b->next_round = a->total;
            round_end(b, a);
        }
    }
    b->slack = a->rttvar < SLACK_US / 4 ? 4 * a->rttvar : SLACK_US;
    if (!a->rtt)
        return;
    if (a->rtt < b->round_min)
        b->round_min = a->rtt;
    if (a->rtt < b->probe_min)
        b->probe_min = a->rtt;
    if (a->rtt <= b->min_rtt) {
        b->min_rtt = a->rtt;
        b->min_rtt_at = a->now;
    }
}

/* ---- what is done ---- */

static void cycle_begin(struct bbr *b, uint64_t now, uint8_t phase)
{
    b->mode = PROBE_BW;
    b->phase = phase;
    b->phase_at = now;
}

/* With the share that is lost while a queue stands, so much would have been lost while none did that its absence tells:
 * then it is the queue which loses. What is long past counts less. */
static bool lost_to_the_queue(struct cc *c)
{
    enum { TELLING_SEGMENTS = 16, MEMORY_SEGMENTS = 16384 };
    struct bbr *b = &c->bbr;
    double expect = b->queue_all ? (double)b->queue_lost / (double)b->queue_all * (double)b->clear_all : 0;
    if (b->clear_all + b->queue_all > MEMORY_SEGMENTS * (uint64_t)c->mss) {
        b->clear_lost /= 2;
        b->clear_all /= 2;
        b->queue_lost /= 2;
        b->queue_all /= 2;
    }
    return expect > TELLING_SEGMENTS * (double)c->mss && (double)b->clear_lost < expect / 4;
}

static void cycle(struct cc *c, const struct cc_ack *a)
{
    struct bbr *b = &c->bbr;
    uint64_t bdp = bbr_bdp(b), spent = a->now - b->phase_at;
    bool over = spent > (b->min_rtt > PHASE_LEAST_US ? b->min_rtt : PHASE_LEAST_US);
    if (b->phase == 1)
        over |= a->pipe <= bdp;
    if (!over)
        return;
    cycle_begin(b, a->now, (uint8_t)((b->phase + 1) % PHASES));
    if (b->phase == 2 && b->bw[1]) { /* the probe's answer is in */
        b->bw[0] = b->bw[1];
        b->bw[1] = 0;
    }
    c->crowded |= b->phase == 0 && lost_to_the_queue(c);
}

static void probe_rtt_begin(struct cc *c, const struct cc_ack *a)
{
    struct bbr *b = &c->bbr;
    c->probe_at = a->now;
    b->mode = PROBE_RTT;
    b->phase_at = a->now;
    b->probe_round = a->total + a->pipe;
    b->probe_min = UINT32_MAX;
}

/* Any phase of the cycle but the second to begin with, so that flows which begin together do not probe together. */
static void cycle_enter(struct cc *c, const struct cc_ack *a)
{
    cycle_begin(&c->bbr, a->now, (uint8_t)(2 + (a->now >> 4) % (PHASES - 2)));
}

static void probe_rtt_end(struct cc *c, const struct cc_ack *a)
{
    struct bbr *b = &c->bbr;
    c->crowded |= b->queue_rounds >= QUEUE_ROUNDS && queue_stands(b->probe_min, a->floor);
    b->min_rtt = b->probe_min;
    b->min_rtt_at = b->probed_at = a->now;
    b->queue_rounds = 0;
    if (b->full)
        cycle_enter(c, a);
    else
        b->mode = STARTUP;
}

static void step(struct cc *c, const struct cc_ack *a)
{
    struct bbr *b = &c->bbr;
    if (b->mode == STARTUP && b->full)
        b->mode = DRAIN;
    if (b->mode == DRAIN && a->pipe <= bbr_bdp(b))
        cycle_enter(c, a);
    if (b->mode == PROBE_BW)
        cycle(c, a);
    bool stale = a->now - b->min_rtt_at > MIN_RTT_US;
    bool queue = b->queue_rounds >= QUEUE_ROUNDS && a->now - b->probed_at > PROBE_AGAIN_US;
    bool others = b->full && a->probed_at > b->probed_at && a->now - a->probed_at < PROBE_RTT_US / 2;
    if (b->mode != PROBE_RTT && (stale || queue || others)) {
        probe_rtt_begin(c, a);
    } else if (b->mode == PROBE_RTT && a->now - b->phase_at > PROBE_RTT_US && a->total >= b->probe_round &&
               b->probe_min != UINT32_MAX) {
        probe_rtt_end(c, a);
    }
}

/* In hundredths. */
static unsigned pacing_gain(const struct bbr *b)
{
    switch (b->mode) {
    case STARTUP:
        return 277;
    case DRAIN:
        return 50;
    case PROBE_BW:
        return b->phase == 0 ? 125 : b->phase == 1 ? 75 : 100;
    default:
        return 100;
    }
}

static void set_pacing(struct cc *c, const struct cc_ack *a)
{
    struct bbr *b = &c->bbr;
    uint64_t bw = bbr_bw(b);
    c->near = b->min_rtt;
    if (!bw)
        bw = a->srtt ? c->cwnd * 1000000 / a->srtt : 0;
    uint64_t rate = bw * pacing_gain(b) / 100;
    if (!b->queue_rounds && b->mode == PROBE_BW)
        rate = rate * 1024 / (1024 - (b->loss < LOSS_MAX ? b->loss : LOSS_MAX) / 2);
    if (b->full || rate > c->pacing)
        c->pacing = rate;
}

static uint64_t window(const struct cc *c)
{
    const struct bbr *b = &c->bbr;
    uint64_t bdp = bbr_bdp(b), least = MIN_SEGMENTS * (uint64_t)c->mss, w;
    if (b->mode == PROBE_RTT) {
        w = bdp / 2;
    } else {
        bool yield = b->full && b->queue_rounds >= 2;
        w = yield ? bdp * (b->queue_rounds < 8 ? 5 : 4) / 4 + cc_quantum(c) : bdp * 2 + bbr_bw(b) * b->slack / 1000000 + cc_quantum(c);
    }
    return w > least ? w : least;
}

static void set_window(struct cc *c, const struct cc_ack *a)
{
    uint64_t target = window(c);
    if (c->bbr.full)
        c->cwnd = c->cwnd + a->delivered < target ? c->cwnd + a->delivered : target;
    else if (c->cwnd < target || a->total < CC_INITIAL_SEGMENTS * (uint64_t)c->mss)
        c->cwnd += a->delivered;
    if (c->bbr.mode == PROBE_RTT && c->cwnd > target)
        c->cwnd = target;
}

static void bbr_ack(struct cc *c, const struct cc_ack *a)
{
    measure(&c->bbr, a);
    step(c, a);
    set_pacing(c, a);
    set_window(c, a);
}

/* One lost packet says nothing; how many are lost, measure() sees. */
static void bbr_loss(struct cc *c, uint64_t now)
{
    (void)c;
    (void)now;
}

/* Whoever marks has a queue and says so before it is full: that much of the rate is not to be had, and STARTUP has seen enough. */
static void bbr_mark(struct cc *c, uint64_t now)
{
    struct bbr *b = &c->bbr;
    b->bw[0] -= b->bw[0] / 8;
    b->bw[1] -= b->bw[1] / 8;
    b->full = true;
    if (b->mode == PROBE_BW && b->phase == 0)
        cycle_begin(b, now, 1);
}

static void bbr_undo(struct cc *c)
{
    (void)c;
}

const struct cc_law cc_bbr = {"bbr", true, bbr_init, bbr_ack, bbr_loss, bbr_mark, bbr_undo};
