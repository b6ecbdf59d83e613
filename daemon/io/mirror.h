/* mirror.h - loopback UDP sockets that stand for virtual peers: datagrams of local programs in batches, trains towards them.
 *
 * A mirror is bound to a port of 127.a.b.c, or of ::1 for a peer in IPv6, not connected and without SO_REUSEADDR, so that as
 * long as it is open nobody else on the machine can speak from that address. Buffers of a whole batch are shared by all mirrors.
 */
#ifndef I3_MIRROR_H
#define I3_MIRROR_H

#include <stddef.h>

#include "include/addr.h"

enum {
    MIRROR_BATCH = 32,   /* messages per recvmmsg; each may be a train of up to 64 datagrams */
    MIRROR_TRAINS = 128, /* on their way to programs */
    MIRROR_SPANS = 512,
};

struct mirrors_io;

/* NULL when out of memory. random: marks our own probes. */
struct mirrors_io *mirrors_io_new(uint64_t random);
void mirrors_io_free(struct mirrors_io *io);

/* Bound to *at; where that is taken or not allowed, to another port of the same address, which goes to *at. The fd, or -errno. */
int mirror_open(struct addr *at);

/* One datagram of a local program, and the address of its socket. */
typedef void mirror_datagram_fn(void *ctx, const struct addr *from, const uint8_t *p, size_t len);

/* One batch. 1: there may be more. 0: drained. -EIO: the error queue has something (mirror_refused), and there may be more. */
int mirror_recv(struct mirrors_io *io, int fd, mirror_datagram_fn *fn, void *ctx);

/* From the error queue: a datagram that was sent to *to found no socket; *data and *len are its beginning, valid until the
 * next call here. False: the queue is empty. */
bool mirror_refused(struct mirrors_io *io, int fd, struct addr *to, const uint8_t **data, size_t *len);

/* Queues a datagram for a program's socket; the bytes must stay until mirrors_flush(), which is to be called first when
 * mirrors_full(). Datagrams of one size that follow each other become one system call. */
bool mirrors_full(const struct mirrors_io *io);
void mirror_send(struct mirrors_io *io, int fd, const struct addr *to, const uint8_t *data, size_t len);
/* Sends what is queued. Returns how many datagrams were lost: no buffer, or no such socket. */
unsigned mirrors_flush(struct mirrors_io *io);

/* Makes the kernel tell the program's socket at `at` that the peer's port is closed, as if its last datagram to the mirror had
 * been refused: ECONNREFUSED for who waits in recv(), an entry in the error queue (IP_RECVERR). The mirror is
 * bound to *real. 0 or -errno (EADDRINUSE: the socket does not share its port, the shim has not prepared it). */
int mirror_refuse(const struct mirrors_io *io, int fd, const struct addr *real, const struct addr *at);

#endif
