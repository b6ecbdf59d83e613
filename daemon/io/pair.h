/* pair.h - the socketpair of a virtual connection (SHIM.md, recipes 1 and 2).
 *
 *   program's end                     daemon's end
 *   small SO_SNDBUF, filled  ------>  unread bytes: the program's end polls as not writable
 *
 * pair_release(): the bytes are drained and the buffer enlarged: writable, as after a connect that succeeded.
 * pair_refuse(): the daemon's end is closed unread: EPOLLERR|EPOLLHUP and ECONNRESET, as after one that failed.
 * Both ends are bound to the names of ipc.h. Of a connection that stands already the pair is released from the start.
 *
 * A Unix socket knows a reset only as that: its other end goes while something lies there unread. For a program a connection
 * that breaks must not look like one that ends, so one byte is left there all the time, the keeper:
 *
 *   daemon's end   [keeper] [fresh bytes ...]      the keeper has been read, by peeking: the last byte that there was
 *
 *   close()                                        the program reads what it has, then ECONNRESET: also when a daemon is killed
 *   pair_part(), close()                           it reads what it has, then end of file
 */
#ifndef I3_PAIR_H
#define I3_PAIR_H

#include <sys/uio.h>

#include "include/ipc.h"

struct pair {
    int daemon;    /* non-blocking; the daemon's for good */
    int program;   /* to be passed on, and kept until released or refused; -1 afterwards */
    size_t filled; /* bytes to drain, beside the keeper */
};

/* 0 or -errno. name->side is ignored. */
int pair_open(struct pair *p, const struct sock_name *name, bool standing);

/* The program's end has been passed on, or will not be. 0, or -errno when it is gone. */
int pair_release(struct pair *p);
void pair_refuse(struct pair *p);

/* Reads from the daemon's end `fd` as readv() does, all but the keeper; n is 1 or 2, `room` what iov holds, above 0. `ended`: nothing
 * follows what is there. Bytes, 0 at the end, or -errno; *drained: there was no more (a read also stops before an urgent byte). */
ssize_t pair_read(int fd, const struct iovec *iov, int n, size_t room, bool ended, bool *drained);

/* The connection has ended in good order: takes the keeper away. */
void pair_part(int fd);

#endif
