/* readable.h - whether what a program points to can be read, where asking the kernel each time would cost too much: on the data path
 * of datagrams. A page that was readable once is taken to be so still; of a page that is not, the answer is always right.
 *
 * Bound: READABLE_PAGES pages are remembered, each word for itself, so that threads need no lock.
 */
#ifndef I3_SHIM_READABLE_H
#define I3_SHIM_READABLE_H

#include "shim/sys.h"

enum { READABLE_PAGES = 64, READABLE_SHIFT = 12 };

extern uintptr_t readable_pages[READABLE_PAGES];

static inline bool readable(const void *p, size_t len)
{
    uintptr_t first = (uintptr_t)p >> READABLE_SHIFT, last = ((uintptr_t)p + len - 1) >> READABLE_SHIFT;
    uintptr_t *slot = &readable_pages[first % READABLE_PAGES];
    if (first && first == last && __atomic_load_n(slot, __ATOMIC_RELAXED) == first)
        return true;
    if (!sys_readable(p, len))
        return false;
    if (first == last)
        __atomic_store_n(slot, first, __ATOMIC_RELAXED);
    return true;
}

#endif
