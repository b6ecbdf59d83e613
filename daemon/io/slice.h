/* slice.h - the daemon's share of the processor comes in short slices: more often, not more.
 *
 * Linux from 6.12 on lets a task ask for short slices (EEVDF: its deadlines are earlier then, and it may take the processor from
 * one with long slices as soon as it wakes). For a process that works some microseconds at each packet this is what "wake
 * me at once" means; and sched_yield() costs it a short slice instead of 3 ms.
 */
#ifndef I3_SLICE_H
#define I3_SLICE_H

/* 0, or -errno where the system has no such thing: nothing is lost then. */
int slice_shorten(void);

#endif
