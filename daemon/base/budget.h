/* budget.h - how often something costly may be done: credit grows with time, in microseconds, each time costs a price, and no more is saved
 * up than a burst of `most` takes.
 */
#ifndef I3_BUDGET_H
#define I3_BUDGET_H

#include "daemon/base/mono.h"

struct budget {
    uint64_t credit;
    mono_t at;
};

/* False: not now. */
static inline bool budget_take(struct budget *b, mono_t now, uint64_t price, unsigned most)
{
    uint64_t credit = b->credit + mono_since(b->at, now);
    b->credit = credit < most * price ? credit : most * price;
    b->at = now;
    if (b->credit < price)
        return false;
    b->credit -= price;
    return true;
}

#endif
