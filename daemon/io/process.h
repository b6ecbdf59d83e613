/* process.h - what the system knows of this process. What is read from is opened at the start, so that it works in a sandbox. */
#ifndef I3_PROCESS_H
#define I3_PROCESS_H

#include <stdint.h>

struct process_info {
    uint64_t resident, virtual_size; /* bytes; 0: not known */
    uint64_t cpu_us;
    uint32_t fds, fds_max, threads;
    uint64_t started; /* seconds since 1970 */
};

/* Once, before the sandbox. */
void process_watch(void);
void process_look(struct process_info *out);

#endif
