/* lookout.h - a short look-out for an answer before a thread sleeps for it.
 *
 * The daemon mostly answers within 30 us. To be woken takes about as long again, so a thread asks for a moment without
 * waiting. It does not yield the processor meanwhile: that would cost a program its turn wherever others have much to do.
 */
#ifndef I3_SHIM_LOOKOUT_H
#define I3_SHIM_LOOKOUT_H

#include <stdbool.h>
#include <stdint.h>

struct lookout {
    uint64_t since; /* ns; 0: not begun */
};

/* After an attempt that would have had to wait: true to try again, false to sleep. */
bool lookout_goes_on(struct lookout *l);

#endif
