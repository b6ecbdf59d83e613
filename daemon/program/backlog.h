/* backlog.h - datagrams that wait for room in a program's socket: a ring of records, each with the peer it came from.
 *
 * A record is contiguous (head, data, up to the next multiple of 8) and never wraps: what is left at the end of the ring is
 * skipped. Bound: the size given at its birth, of which only what is used takes memory; when a datagram does not fit, it is the
 * newest that is lost.
 */
#ifndef I3_BACKLOG_H
#define I3_BACKLOG_H

#include <stddef.h>

#include "daemon/base/mono.h"
#include "include/addr.h"

struct backlog_ring;

struct backlog_entry {
    struct addr from;
    mono_t at; /* when it came */
    const uint8_t *data;
    size_t len;
};

/* size: a multiple of 8. NULL when out of memory. */
struct backlog_ring *backlog_ring_new(uint32_t size);
void backlog_ring_free(struct backlog_ring *b);

/* False: no room. */
bool backlog_put(struct backlog_ring *b, const struct backlog_entry *e);

/* The oldest: valid until backlog_put() after its backlog_drop(). False: none. */
bool backlog_first(struct backlog_ring *b, struct backlog_entry *e);
void backlog_drop(struct backlog_ring *b);

bool backlog_is_empty(const struct backlog_ring *b);

#endif
