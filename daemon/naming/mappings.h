/* mappings.h - the pool's entries as records of a journal, so that an address means the same host after a restart (DESIGN section 8).
 *
 *     0           32       36          44
 *     | key       | ip     | until     |      a key has that address, until then at least: microseconds since 1970; UINT64_MAX: for good
 *
 * The latest record of a key, and of an address, holds. An entry that is used is written again when its life would be more than
 * MAPPING_STEP longer than what stands there; `until` is that much later than it should be, so that a life is never shorter for a
 * restart. The IPv6 address follows from the key. The clock may have been set meanwhile: nobody lives longer than POOL_LIFE for it.
 */
#ifndef I3_MAPPINGS_H
#define I3_MAPPINGS_H

#include "daemon/naming/pool.h"

enum { MAPPING_LEN = KEY_LEN + 4 + 8 };
#define MAPPING_STEP (POOL_LIFE / 8)

/* A record of the entry. wall: microseconds since 1970, now. */
void mapping_put(const struct pool_entry *e, mono_t now, uint64_t wall, uint8_t out[MAPPING_LEN]);
/* Takes a record into the pool; false: it is none, or its address is not to be had here (any more). */
bool mapping_take(struct pool *p, const uint8_t *body, size_t len, mono_t now, uint64_t wall);

#endif
