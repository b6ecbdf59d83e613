/* limit.h - so many per second, and of these not all to one source: a token bucket with a fair share.
 *
 * The bucket holds a tenth of a second's worth (at least 1). A source, known by a hash, gets at most a
 * quarter of a second's worth in each whole second; LIMIT_SOURCES counters are shared by hash. What is
 * refused is simply not done.
 */
#ifndef I3_LIMIT_H
#define I3_LIMIT_H

#include "daemon/base/mono.h"

enum { LIMIT_SOURCES = 1024 };

struct limit {
    uint32_t per_s;
    uint64_t credit; /* millionths */
    mono_t filled;
    uint64_t second; /* which the counters are of */
    uint32_t used[LIMIT_SOURCES];
};

void limit_init(struct limit *l, mono_t now, uint32_t per_s);
/* One more for this source? */
bool limit_take(struct limit *l, mono_t now, uint32_t source);

#endif
