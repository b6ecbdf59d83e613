#include "shim/lookout.h"

#include <time.h>

enum { LOOKOUT_NS = 40000 };

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

bool lookout_goes_on(struct lookout *l)
{
    uint64_t now = now_ns();
    if (!l->since)
        l->since = now;
    return now - l->since < LOOKOUT_NS;
}
