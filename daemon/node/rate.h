/* rate.h - packets per second, of each source or to each trigger: token buckets, of which there are many.
 *
 * A bucket is one number, the time at which it will be full again (GCRA, as of ATM and of RFC 2697's kin): a packet moves it on by
 * 1 / rate, and is dropped when that would be more than the bucket's depth from now. The depth is a twentieth of a second's worth, at
 * least RATE_DEPTH packets, so that a burst passes. Whoever is dropped first is to be told, once: not again before the bucket has been
 * full, that is, before the sender has slowed down.
 *
 * Several threads use a bucket without a lock: it is changed by compare-and-swap. Rates hold within 0.3 % up to 10,000,000 per second.
 *
 * Bounds: as many buckets as `places`, a power of two; two sources whose hashes fall on one share it, and its rate. The hash is secret.
 * A source may be spared for a time (a node of the same ring, which passes on what many hosts send).
 */
#ifndef I3_RATE_H
#define I3_RATE_H

#include <stddef.h>

#include "daemon/base/mono.h"

enum { RATE_DEPTH = 64, RATE_PER_SECOND_MAX = 10000000, RATE_SOURCES = 65536 };

struct rates {
    uint64_t step, depth; /* of time: 1/4096 us */
    uint32_t mask;
    uint64_t *full_at;      /* NULL: no limit. The lowest bit: it was told */
    uint32_t *spared_until; /* seconds; NULL: nobody ever is */
};

/* per_s 0: no limit, and nothing is allocated. 0 or -ENOMEM. */
int rates_init(struct rates *r, uint32_t per_s, uint32_t places, bool sparing);
void rates_fini(struct rates *r);
/* Bytes that it takes. */
uint64_t rates_memory(uint32_t per_s, uint32_t places, bool sparing);

/* How many of `want` packets may pass now; *tell: the sender is to be told that they are too many. */
unsigned rates_take(struct rates *r, uint32_t place, mono_t now, unsigned want, bool *tell);
/* No limit for that source until then. */
void rates_spare(struct rates *r, uint32_t place, mono_t until);

#endif
