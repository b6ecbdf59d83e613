/* deadline.h - who is due next: a binary heap of deadlines which live inside their owners.
 *
 *     struct peer { ...; struct deadline due; };
 *     deadline_set(&heap, &p->due, mono_add(now, 250 * USEC_PER_MSEC));    O(log n); MONO_NEVER takes it out
 *     struct deadline *d = deadlines_first(&heap);                        O(1)
 *
 * Places are reserved when an owner is made, so that setting a deadline never fails.
 */
#ifndef I3_DEADLINE_H
#define I3_DEADLINE_H

#include <stddef.h>

#include "daemon/base/mono.h"

/* Zeroed is "none set"; but its time then reads 0, so ask deadline_at(). */
struct deadline {
    mono_t at;
    uint32_t place; /* in the heap, from 1; 0: not in it */
};

struct deadlines {
    struct deadline **v;
    uint32_t n, cap;
};

void deadlines_fini(struct deadlines *h);
/* Room for n in all. 0 or -ENOMEM. */
int deadlines_reserve(struct deadlines *h, uint32_t n);

void deadline_set(struct deadlines *h, struct deadline *d, mono_t at);

static inline mono_t deadline_at(const struct deadline *d)
{
    return d->place ? d->at : MONO_NEVER;
}

/* The earliest, NULL when none is set. */
static inline struct deadline *deadlines_first(const struct deadlines *h)
{
    return h->n ? h->v[1] : NULL;
}

static inline mono_t deadlines_next(const struct deadlines *h)
{
    return h->n ? h->v[1]->at : MONO_NEVER;
}

#endif
