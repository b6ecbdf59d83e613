/* options.h - socket options of a TCP socket, kept when a Unix socket takes its place, and answered for it afterwards.
 *
 * SOL_SOCKET options exist on both kinds and are copied. TCP and IP options do not exist on a Unix socket: values which
 * the program has set are remembered in the fd table, others are answered with the kernel's defaults.
 */
#ifndef I3_SHIM_OPTIONS_H
#define I3_SHIM_OPTIONS_H

#include "shim/pair.h"

/* From the program's socket to the pair that will replace it; what has to be remembered goes into `e`. */
void options_carry(int from, int to, struct fd_entry *e);

/* The way back: from a pair to a fresh TCP socket. */
void options_restore(int from, int to);

/* SO_LINGER with no time: close() resets, which a Unix socket does not. */
bool options_reset(int fd);

/* get and set below SOL_SOCKET on the pair `fd`. 0 or -errno. */
int options_get(int fd, int level, int name, void *value, socklen_t *len);
int options_set(int fd, int level, int name, const void *value, socklen_t len);

#endif
