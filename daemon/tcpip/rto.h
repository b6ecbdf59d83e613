/* rto.h - round-trip time and retransmission time-out (RFC 6298), in microseconds.
 *
 * SRTT and RTTVAR are fed once per round trip, as the RFC's gains assume, not with every ACK. The smallest RTT of
 * the last minutes serves RACK and HyStart.
 */
#ifndef I3_TCPIP_RTO_H
#define I3_TCPIP_RTO_H

#include <stdbool.h>
#include <stdint.h>

#define RTO_MIN 200000u
#define RTO_MAX 60000000u
#define RTO_INITIAL 1000000u

struct rto {
    uint32_t srtt, rttvar; /* 0: no sample yet */
    uint32_t base;         /* RTO without back-off */
    uint32_t min_rtt;      /* UINT32_MAX: none */
    uint64_t min_rtt_at;
    bool guess;      /* the only sample is that of the handshake, which may be long */
    uint8_t backoff; /* doublings since the last good sample */
};

void rto_init(struct rto *r);
/* fold: this sample counts for SRTT (the first of a round). */
void rto_sample(struct rto *r, uint64_t now, uint32_t rtt, bool fold);
uint32_t rto_value(const struct rto *r);

#endif
