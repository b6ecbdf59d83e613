#include "shim/lookout.h"

#include <time.h>

enum { LOOKOUT_NS = 60000 };

bool lookout_goes_on(struct lookout *l)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t now = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    if (!l->since)
        l->since = now;
    return now - l->since < LOOKOUT_NS;
}
