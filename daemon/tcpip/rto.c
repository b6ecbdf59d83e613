#include "daemon/tcpip/rto.h"

#define MIN_RTT_LIFE 300000000ull /* a path may get longer: the minimum is forgotten after 5 minutes */

void rto_init(struct rto *r)
{
    *r = (struct rto){.base = RTO_INITIAL, .min_rtt = UINT32_MAX};
}

void rto_sample(struct rto *r, uint64_t now, uint32_t rtt, bool fold)
{
    if (rtt == 0)
        rtt = 1;
    if (rtt <= r->min_rtt || now - r->min_rtt_at > MIN_RTT_LIFE) {
        r->min_rtt = rtt;
        r->min_rtt_at = now;
    }
    if (!fold && r->srtt)
        return;
    if (!r->srtt || (r->guess && rtt < r->srtt)) {
        r->srtt = rtt;
        r->rttvar = rtt / 2;
    } else {
        uint32_t gap = rtt > r->srtt ? rtt - r->srtt : r->srtt - rtt;
        r->rttvar = (uint32_t)((3ull * r->rttvar + gap) / 4);
        r->srtt = (uint32_t)((7ull * r->srtt + rtt) / 8);
        r->srtt += !r->srtt;
    }
    r->guess = false;
    uint64_t v = r->srtt + 4ull * r->rttvar;
    r->base = v < RTO_MIN ? RTO_MIN : v > RTO_MAX ? RTO_MAX : (uint32_t)v;
}

uint32_t rto_value(const struct rto *r)
{
    uint64_t v = (uint64_t)r->base << (r->backoff > 16 ? 16 : r->backoff);
    return v > RTO_MAX ? RTO_MAX : (uint32_t)v;
}
