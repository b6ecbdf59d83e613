/* process.h - what the system knows of this process, and what it lets it do. What is read from is opened at the start, so that it works in a sandbox. */
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

/* No core dump, and nobody but root may trace it or read its memory; /proc/self/... belongs to root from then on, what the process opens
 * there itself still opens. */
void process_keep_private(void);

/* As many file descriptors as may be had. */
void process_raise_fds(void);

/* From here on SIGTERM, SIGINT and SIGHUP change nothing. For who is about to close libuv's watchers, which would give these signals
 * back their default: a second "stop" in the wrong moment would then turn an orderly end into a death. */
void process_heed_no_end(void);

#endif
