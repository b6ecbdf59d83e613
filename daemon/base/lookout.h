/* lookout.h - when it pays to look out for the next event for a moment before going to sleep.
 *
 * To be woken costs more than a short look-out: on a virtual machine some 30 us for each of the six wake-ups of a round trip.
 * As in the halt-polling of hypervisors experience decides: an event that came soon after the last one earns a look-out, one
 * that finds nothing spends it. The looker yields the processor in between; where others have so much to do that it gets it
 * back late, sleeping is better (a sleeper is woken at once, one who yielded waits for his turn), for a time which doubles
 * whenever that is found to be so again.
 */
#ifndef I3_LOOKOUT_H
#define I3_LOOKOUT_H

#include "daemon/base/mono.h"

enum {
    LOOKOUT_US = 50,      /* a look-out takes so long at most */
    LOOKOUTS_MAX = 4,     /* may be saved up */
    LOOKOUT_LATE_US = 300, /* off the processor for longer than that: it is crowded */
};
#define LOOKOUT_PAUSE     (100 * USEC_PER_MSEC)
#define LOOKOUT_PAUSE_MAX (3200 * USEC_PER_MSEC)

struct lookout {
    unsigned saved;
    mono_t last; /* event */
    mono_t paused_until;
    uint64_t pause; /* the next one, us; 0: none yet */
};

/* Events have come at `now`, after a sleep or in a look-out, and have been dealt with by `done`. */
void lookout_events(struct lookout *l, mono_t now, mono_t done);

/* Nothing is there; the processor was yielded at `yielded`. True: go on looking. False: sleep. */
bool lookout_goes_on(struct lookout *l, mono_t yielded, mono_t now);

#endif
