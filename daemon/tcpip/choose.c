/* Which law of congestion control: the rule stands in cc.h. */
#include "daemon/tcpip/cc.h"

#include <stddef.h>

enum { ENOUGH = 4, ENOUGH_SUSPECT = 2, LOST_ONE_IN = 4096, CLEAN_ONE_IN = 8192, CLEAN_BYTES = 24 << 20, AFTERMATH = 4 };

#define FLOOR_US 30000000u
#define CLEAN_US 5000000u
#define BARE_US 500u

void choice_init(struct choice *h)
{
    bool fixed = h->fixed;
    *h = (struct choice){.low = UINT32_MAX, .low_before = UINT32_MAX, .fixed = fixed};
}

void choice_rtt(struct choice *h, uint64_t now, uint32_t rtt)
{
    if (now - h->low_at > FLOOR_US) {
        h->low_before = h->low;
        h->low = UINT32_MAX;
        h->low_at = now;
    }
    if (rtt < h->low)
        h->low = rtt;
    h->rtt = h->rtt ? (uint32_t)((3ull * h->rtt + rtt) / 4) : rtt;
    if (h->rtt > h->high)
        h->high = h->rtt;
}

static bool explained(const struct choice *h)
{
    uint64_t floor = choice_floor(h);
    if (h->rtt <= floor + floor / 8)
        return false;
    return h->rtt >= floor + (h->high - floor) * 3 / 4;
}

/* Not even the beginning of a queue. */
static bool bare(const struct choice *h)
{
    uint64_t floor = choice_floor(h);
    return h->rtt <= floor + floor / 16 + BARE_US;
}

static void restart(struct choice *h, uint64_t now, uint64_t total, uint64_t lost)
{
    h->lost = lost;
    h->total = total;
    h->since = now;
}

const struct cc_law *choice_loss(struct choice *h, const struct cc_law *law, struct company *others, uint64_t now, uint64_t total,
    uint64_t lost)
{
    bool was = !h->rtt || explained(h);
    uint32_t less = h->high > choice_floor(h) ? (h->high - choice_floor(h)) / 8 : 0;
    h->high = h->high - less > h->rtt ? h->high - less : h->rtt;
    h->unexplained = false;
    if (law->paced || h->fixed)
        return NULL;
    bool suspect = now < others->lossy_until;
    if (others->paced) {
        restart(h, now, total, lost);
        return &cc_bbr;
    }
    if (was) {
        h->score -= h->score > 0 && !suspect;
        others->full_at = now;
        return NULL;
    }
    if (now - others->full_at < AFTERMATH * (uint64_t)h->rtt)
        return NULL;
    if (h->score == 0)
        restart(h, now, total, lost);
    h->unexplained = true;
    h->score += bare(h) ? 2 : 1;
    if (h->score < (suspect ? ENOUGH_SUSPECT : ENOUGH))
        return NULL;
    if ((lost - h->lost) * LOST_ONE_IN < total - h->total) { /* rare enough to live with */
        h->score = 0;
        return NULL;
    }
    h->score = 0;
    restart(h, now, total, lost);
    return &cc_bbr;
}

const struct cc_law *choice_ack(struct choice *h, const struct cc *c, uint64_t now, uint64_t total, uint64_t lost)
{
    if (!c->law->paced || h->fixed)
        return NULL;
    if (c->crowded)
        return &cc_cubic;
    if (total - h->total < CLEAN_BYTES || now - h->since < CLEAN_US)
        return NULL;
    bool clean = (lost - h->lost) * CLEAN_ONE_IN < total - h->total;
    restart(h, now, total, lost);
    return clean ? &cc_cubic : NULL;
}
