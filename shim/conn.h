/* conn.h - connections to the daemon.
 *
 * One connection per process is kept, CLOEXEC, on a high fd. It lives under a try-lock: whoever finds it busy (another
 * thread, a signal handler that interrupts, a child of vfork that shares our memory) opens a connection for this one
 * exchange instead. So no lock is ever waited for, and none can be left behind that matters.
 *
 * Its state lies in a page which fork wipes (MADV_WIPEONFORK) and vfork does not: a forked child starts afresh even when
 * the lock was held by a thread that it does not have; a vfork child sees that the page is its parent's and leaves it
 * alone. The program may close our fd or put something of its own there: SO_COOKIE tells before each use.
 */
#ifndef I3_SHIM_CONN_H
#define I3_SHIM_CONN_H

#include <stdbool.h>
#include <stdint.h>

enum { CONN_TIMEOUT_MS = 900 }; /* a dead daemon is noticed within 1 s */

struct conn {
    int fd;
    bool kept; /* the process's own, under its lock */
};

/* 0, or -errno: the daemon does not answer. */
int conn_open(struct conn *c);

/* `ok` false: forget the connection, it cannot be used again. */
void conn_done(struct conn *c, bool ok);

/* True in the process whose memory this is, false in a vfork child: caches may be written. */
bool conn_owner(void);

#endif
