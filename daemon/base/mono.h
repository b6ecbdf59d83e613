/* mono.h - monotonic time as a type: microseconds since an arbitrary start.
 *
 * Pure rooms never ask for the time; it comes in as an argument named `now`.
 */
#ifndef I3_MONO_H
#define I3_MONO_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t us;
} mono_t;

#define MONO_NEVER ((mono_t){UINT64_MAX})
#define USEC_PER_SEC 1000000ull
#define USEC_PER_MSEC 1000ull

static inline mono_t mono_add(mono_t t, uint64_t us)
{
    return (mono_t){t.us > UINT64_MAX - us ? UINT64_MAX : t.us + us};
}

/* t is at or before now: a deadline t has come. */
static inline bool mono_due(mono_t t, mono_t now)
{
    return t.us <= now.us;
}

static inline mono_t mono_min(mono_t a, mono_t b)
{
    return a.us < b.us ? a : b;
}

static inline mono_t mono_max(mono_t a, mono_t b)
{
    return a.us > b.us ? a : b;
}

/* Microseconds from a to b, 0 when b is not after a. */
static inline uint64_t mono_since(mono_t a, mono_t b)
{
    return b.us > a.us ? b.us - a.us : 0;
}

#endif
