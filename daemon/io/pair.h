/* pair.h - the socketpair of a virtual connection (SHIM.md, recipes 1 and 2).
 *
 *   program's end                     daemon's end
 *   small SO_SNDBUF, filled  ------>  unread bytes: the program's end polls as not writable
 *
 * pair_release(): the bytes are drained and the buffer enlarged: writable, as after a connect that succeeded.
 * pair_refuse(): the daemon's end is closed unread: EPOLLERR|EPOLLHUP and ECONNRESET, as after one that failed.
 * Both ends are bound to the names of ipc.h. Of a connection that stands already the pair is released from the start.
 */
#ifndef I3_PAIR_H
#define I3_PAIR_H

#include "include/ipc.h"

struct pair {
    int daemon;    /* non-blocking; the daemon's for good */
    int program;   /* to be passed on, and kept until released or refused; -1 afterwards */
    size_t filled; /* bytes to drain */
};

/* 0 or -errno. name->side is ignored. */
int pair_open(struct pair *p, const struct sock_name *name, bool standing);

/* The program's end has been passed on, or will not be. 0, or -errno when it is gone. */
int pair_release(struct pair *p);
void pair_refuse(struct pair *p);

#endif
