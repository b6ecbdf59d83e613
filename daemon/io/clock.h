/* clock.h - the time, and random bytes: what pure rooms get as arguments. */
#ifndef I3_CLOCK_H
#define I3_CLOCK_H

#include <stddef.h>

#include "daemon/base/mono.h"

/* CLOCK_BOOTTIME, so that a sleep of the machine counts. */
mono_t mono_now(void);

/* Microseconds since 1970. */
uint64_t wall_now_us(void);

/* From the kernel; aborts when there is none to be had. */
void entropy_fill(void *p, size_t len);

#endif
