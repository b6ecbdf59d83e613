/* backlog.h - datagrams that wait for room in a program's socket: a ring of records, each with the peer it came from.
 *
 * A record is contiguous (head, data, up to the next multiple of 8) and never wraps: what is left at the end of the ring is
 * skipped. Bound: BACKLOG_BYTES; when a datagram does not fit, the newest, it is lost.
 */
#ifndef I3_BACKLOG_H
#define I3_BACKLOG_H

#include <stddef.h>

#include "include/addr.h"

enum { BACKLOG_BYTES = 1 << 20 };

struct backlog_ring {
    uint32_t first, end, used;
    uint64_t align;
    uint8_t bytes[BACKLOG_BYTES];
};

void backlog_init(struct backlog_ring *b);

/* False: no room. */
bool backlog_put(struct backlog_ring *b, const struct addr *from, const uint8_t *data, size_t len);

/* The oldest: valid until backlog_put() after its backlog_drop(). False: none. */
bool backlog_first(struct backlog_ring *b, struct addr *from, uint8_t **data, size_t *len);
void backlog_drop(struct backlog_ring *b);

static inline bool backlog_is_empty(const struct backlog_ring *b)
{
    return b->used == 0;
}

#endif
