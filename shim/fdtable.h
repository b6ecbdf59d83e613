/* fdtable.h - what we remember of the program's sockets: a cache, by fd, without locks.
 *
 * An entry counts only while SO_COOKIE of the fd is the one stored, so nothing has to be told of close, dup2, fclose and
 * their like. A miss costs a question to the daemon or a default answer, never a wrong one; so a writer who finds an entry
 * being written (by another thread, or below a signal handler) simply gives up. Survives fork by being plain memory; a
 * vfork child may read it and does not write it (conn_owner).
 *
 * Bounds: FDTABLE_SIZE entries, directly mapped by fd; a larger fd shares the entry of a smaller one, the later wins.
 * The memory is touched only as far as entries are used.
 */
#ifndef I3_SHIM_FDTABLE_H
#define I3_SHIM_FDTABLE_H

#include "include/addr.h"

enum { FDTABLE_SIZE = 8192, FDTABLE_OPTIONS = 14 };

enum fd_kind {
    FD_NONE,
    FD_LOCAL,    /* an accepted connection which is not the overlay's */
    FD_ACCEPTED, /* one that is: local and remote are the virtual addresses */
    FD_BOUND,    /* bound to an address that the kernel does not know (claim.h): local */
    FD_PLAIN,    /* bound to no such address */
    FD_PAIR,     /* the Unix socket in place of a TCP socket (pair.h) */
};

struct fd_option {
    uint8_t level, name;
    int value;
};

struct fd_entry {
    uint64_t cookie;
    enum fd_kind kind;
    bool told;     /* the daemon knows that it listens */
    bool dialling; /* FD_PAIR: connect() has not yet reported success */
    uint8_t options;
    struct addr local, remote;
    struct fd_option option[FDTABLE_OPTIONS]; /* FD_PAIR: what the program set, below SOL_SOCKET */
};

/* Whether there may be an entry: spares most sockets the question for their cookie. */
bool fdtable_used(int fd);

/* Whether that may be one of this kind. */
bool fdtable_may_be(int fd, enum fd_kind kind);

/* A copy of the entry; false when there is none for the socket which `fd` is now. */
bool fdtable_get(int fd, uint64_t cookie, struct fd_entry *out);

/* Best effort. */
void fdtable_put(int fd, const struct fd_entry *e);

#endif
