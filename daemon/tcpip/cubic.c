/* CUBIC (RFC 9438), slow start with HyStart++ (RFC 9406). */
#include "daemon/tcpip/cc.h"

#define CUBIC_C 0.4
#define CUBIC_BETA 0.7
#define MARK_BETA 0.85

/* HyStart++'s constants (RFC 9406 4.3), in µs and segments. */
enum { HS_SAMPLES = 8, HS_MIN_THRESH = 4000, HS_MAX_THRESH = 16000, HS_CSS_DIVISOR = 4, HS_CSS_ROUNDS = 5 };

bool cc_slow_start(const struct cc *c)
{
    return c->cwnd < c->ssthresh;
}

void cc_init(struct cc *c, const struct cc_law *law, uint32_t mss, uint64_t now)
{
    *c = (struct cc){.law = law, .mss = mss, .ssthresh = UINT64_MAX};
    uint64_t most = CC_INITIAL_SEGMENTS * (uint64_t)mss;
    uint64_t cap = 2ull * mss > 14600 ? 2ull * mss : 14600; /* RFC 6928 */
    c->cwnd = most < cap ? most : cap;
    law->init(c, now);
}

void cc_change(struct cc *c, const struct cc_law *law, uint64_t now)
{
    struct cc old = *c;
    uint64_t least = CC_INITIAL_SEGMENTS * (uint64_t)c->mss;
    cc_init(c, law, old.mss, now);
    c->cwnd = old.cwnd > least ? old.cwnd : least;
    if (old.law->paced) /* its window held two of the path's products */
        c->ssthresh = c->cwnd = old.cwnd / 2 > least ? old.cwnd / 2 : least;
}

void cc_idle(struct cc *c, uint64_t idle, uint32_t rto)
{
    uint64_t floor = CC_INITIAL_SEGMENTS * (uint64_t)c->mss;
    if (idle <= rto || c->cwnd <= floor || c->law->paced)
        return;
    if (c->ssthresh != UINT64_MAX && c->ssthresh < c->cwnd * 3 / 4)
        c->ssthresh = c->cwnd * 3 / 4;
    for (; idle > rto && c->cwnd > floor; idle -= rto)
        c->cwnd = c->cwnd / 2 > floor ? c->cwnd / 2 : floor;
    c->cubic.epoch = 0;
}

void cc_pace(struct cc *c, uint64_t flight, uint32_t srtt, uint32_t min_rtt)
{
    uint64_t window = c->cwnd > flight ? c->cwnd : flight;
    c->near = min_rtt;
    c->pacing = srtt ? window * 1000000 / srtt * (cc_slow_start(c) ? 200 : 125) / 100 : 0;
}

static double cube_root(double x)
{
    if (x <= 0)
        return 0;
    double r = x > 1 ? x : 1;
    while (r * r * r > 8 * x)
        r /= 2;
    for (int i = 0; i < 8; i++)
        r = (2 * r + x / (r * r)) / 3;
    return r;
}

static void cubic_init(struct cc *c, uint64_t now)
{
    (void)now;
    c->hystart = (struct hystart){.last_min = UINT32_MAX, .now_min = UINT32_MAX, .css_base = UINT32_MAX};
}

static void hystart_round(struct hystart *h, const struct cc_ack *a)
{
    if (a->snd_una < h->round_end)
        return;
    h->round_end = a->snd_nxt;
    h->last_min = h->now_min;
    h->now_min = UINT32_MAX;
    h->samples = 0;
    h->css_rounds += h->css_rounds > 0;
}

static void hystart_sample(struct cc *c, const struct cc_ack *a)
{
    struct hystart *h = &c->hystart;
    hystart_round(h, a);
    if (a->rtt) {
        h->now_min = a->rtt < h->now_min ? a->rtt : h->now_min;
        h->samples++;
    }
    if (h->samples >= HS_SAMPLES && h->now_min != UINT32_MAX && h->last_min != UINT32_MAX) {
        if (h->css_rounds && h->now_min < h->css_base) {
            h->css_rounds = 0;
        } else if (!h->css_rounds) {
            uint32_t by = h->last_min / 8;
            by = by < HS_MIN_THRESH ? HS_MIN_THRESH : by > HS_MAX_THRESH ? HS_MAX_THRESH : by;
            if (h->now_min >= h->last_min + by) {
                h->css_base = h->now_min;
                h->css_rounds = 1;
            }
        }
    }
    if (h->css_rounds > HS_CSS_ROUNDS)
        c->ssthresh = c->cwnd;
}

/* A new epoch starts at the present window: after a loss below w_max, or where slow start ended. */
static void cubic_begin(struct cc *c, const struct cc_ack *a)
{
    struct cubic *q = &c->cubic;
    double w = (double)c->cwnd / c->mss;
    q->epoch = a->now + !a->now;
    q->w_est = w;
    if (q->w_max <= w) {
        q->k = 0;
        q->origin = w;
    } else {
        q->k = cube_root((q->w_max - w) / CUBIC_C);
        q->origin = q->w_max;
    }
}

static double cubic_window(const struct cubic *q, double t)
{
    double d = t - q->k;
    return q->origin + CUBIC_C * d * d * d;
}

static void cubic_avoid(struct cc *c, const struct cc_ack *a)
{
    struct cubic *q = &c->cubic;
    if (!q->epoch)
        cubic_begin(c, a);
    double w = (double)c->cwnd / c->mss;
    double t = (double)(a->now - (q->epoch < a->now ? q->epoch : a->now)) / 1e6;
    double target = cubic_window(q, t + (double)a->srtt / 1e6);
    target = target < w ? w : target > 1.5 * w ? 1.5 * w : target;
    double acked = (double)a->delivered / c->mss;
    double alpha = q->w_est >= q->w_max ? 1.0 : 3.0 * (1 - CUBIC_BETA) / (1 + CUBIC_BETA);
    q->w_est += alpha * acked / w;
    double next = w + (target - w) / w * acked;
    if (cubic_window(q, t) < q->w_est && next < q->w_est)
        next = q->w_est;
    uint64_t bytes = (uint64_t)(next * c->mss);
    if (bytes > c->cwnd)
        c->cwnd = bytes;
}

static void cubic_ack(struct cc *c, const struct cc_ack *a)
{
    uint64_t since = a->now - c->cubic.last;
    c->cubic.last = a->now;
    if (!a->limited) {
        c->cubic.epoch += c->cubic.epoch ? since : 0; /* time without need does not count */
        return;
    }
    if (!cc_slow_start(c)) {
        cubic_avoid(c, a);
        return;
    }
    hystart_sample(c, a);
    c->cwnd += c->hystart.css_rounds ? a->delivered / HS_CSS_DIVISOR : a->delivered;
    if (c->cwnd > c->ssthresh)
        c->cwnd = c->ssthresh;
}

static void cubic_loss(struct cc *c, uint64_t now)
{
    (void)now;
    c->undo_cwnd = c->cwnd;
    c->undo_ssthresh = c->ssthresh;
    c->undo_cubic = c->cubic;
    double w = (double)c->cwnd / c->mss;
    struct cubic *q = &c->cubic;
    q->w_max = w < q->w_max ? w * (1 + CUBIC_BETA) / 2 : w; /* fast convergence */
    q->epoch = 0;
    uint64_t half = (uint64_t)((double)c->cwnd * CUBIC_BETA);
    c->ssthresh = half > 2ull * c->mss ? half : 2ull * c->mss;
}

static void cubic_mark(struct cc *c, uint64_t now)
{
    uint64_t least = 2ull * c->mss, less = (uint64_t)((double)c->cwnd * MARK_BETA);
    cubic_loss(c, now);
    c->cwnd = c->ssthresh = less > least ? less : least;
}

static void cubic_undo(struct cc *c)
{
    if (c->cwnd < c->undo_cwnd)
        c->cwnd = c->undo_cwnd;
    c->ssthresh = c->undo_ssthresh;
    c->cubic = c->undo_cubic;
}

const struct cc_law cc_cubic = {"cubic", false, cubic_init, cubic_ack, cubic_loss, cubic_mark, cubic_undo};
