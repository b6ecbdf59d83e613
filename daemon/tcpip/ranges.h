/* ranges.h - what has arrived beyond the first hole: disjoint ranges of positions, sorted, for reassembly and for the
 * SACK option (RFC 2018). The bytes themselves lie in the receive ring.
 *
 * Bound: RANGES_MAX ranges; a segment that would begin another one is refused (the peer sends it again).
 */
#ifndef I3_TCPIP_RANGES_H
#define I3_TCPIP_RANGES_H

#include <stdbool.h>
#include <stdint.h>

enum { RANGES_MAX = 1024, RANGES_RECENT = 8 };

struct range {
    uint64_t start, end;
};

struct ranges {
    struct range *v;
    uint32_t n, cap;
    uint64_t recent[RANGES_RECENT]; /* a position in each range that grew of late, newest first; 0: none */
    uint32_t turn;   /* whose turn it is to be told of again */
    uint32_t unsaid; /* ranges that grew since the last report */
};

/* Adds [start, end). False when full or out of memory. *fresh: how many bytes were not there before. */
bool ranges_add(struct ranges *r, uint64_t start, uint64_t end, uint64_t *fresh, uint64_t *memory);

/* Everything in order up to `next` is there: drops what lies below, and returns the end of the range which
 * continues at next, or next itself. */
uint64_t ranges_advance(struct ranges *r, uint64_t next, uint64_t *memory);

/* Up to max ranges for a SACK option, the latest first. When there are more, the last place goes round among all of them, since
 * the ACK that told of one may have been lost. Returns how many. */
int ranges_report(struct ranges *r, struct range *out, int max);

/* The whole of [start, end) is there already. */
bool ranges_cover(const struct ranges *r, uint64_t start, uint64_t end);

void ranges_release(struct ranges *r, uint64_t *memory);

#endif
