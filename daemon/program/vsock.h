/* vsock.h - virtual sockets: every connection between a local program and the overlay.
 *
 *   client   a program called connect(): its fd is one end of a socketpair, ours the other
 *            CONNECTING (to the peer) -> OPEN
 *   server   a peer's SYN for a registered listener: our fd is a loopback connection to the program
 *            CONNECTING (to the program) -> OPEN
 *
 * A handle names a vsock towards programs; it is unguessable, and how a connection ended can be asked with it even after
 * the vsock is gone (SO_ERROR; the last users of VSOCK_SLOTS slots are remembered). Pure: fds belong to the pump.
 * Bound: `max` vsocks.
 */
#ifndef I3_VSOCK_H
#define I3_VSOCK_H

#include <stdlib.h>

#ifndef uthash_fatal
#define uthash_fatal(msg) abort()
#endif
#include <uthash.h>

#include "daemon/tcpip/tcpip.h"
#include "include/addr.h"

enum vsock_role { VSOCK_CLIENT, VSOCK_SERVER, VSOCK_GUEST /* somebody outside, led to a peer (pump/portal.h) */ };
enum vsock_state { VSOCK_FREE, VSOCK_CONNECTING, VSOCK_OPEN, VSOCK_STATES };

struct vsocks;

struct vsock {
    enum vsock_role role;
    enum vsock_state state;
    uint32_t slot;
    uint64_t handle;
    struct tcp_ref tcp;
    struct addr local, remote; /* virtual, as the program sees them */
    struct { /* server: the loopback addresses of its connection as the program sees them, its peer's and its own */
        struct addr peer, own;
    } mirror;
    UT_hash_handle by_mirror;
    struct vsock *prev, *next; /* all that are in use */

    /* flow (pump/flow.c) */
    void *io;       /* the pump's: fd and its watch */
    bool can_read;  /* the program's side may have bytes for us */
    bool can_write; /* it may take bytes */
    bool hup;       /* it has shut down a direction, or both: a short read does not mean that it is drained */
    bool gone;      /* it has closed both */
    bool read_eof;  /* the program has sent its last byte */
    bool resets;    /* its close() shall be a reset */
    bool write_eof; /* the peer's last byte was passed on */
};

struct vsocks *vsocks_new(uint32_t max);
void vsocks_free(struct vsocks *vs);

/* A new one in the given role, state CONNECTING; `random` makes the handle. NULL when there are `max`. */
struct vsock *vsock_new(struct vsocks *vs, enum vsock_role role, uint64_t random);
/* err: what SOCK_ERROR shall answer from now on, 0 for a good end. */
void vsock_free(struct vsocks *vs, struct vsock *v, int err);

void vsock_set_state(struct vsock *v, enum vsock_state state);
const char *vsock_state_name(enum vsock_state state);

/* NULL when it is gone. */
struct vsock *vsock_by_handle(const struct vsocks *vs, uint64_t handle);
/* The errno with which that handle's connection ended; 0: it has not, or ended well, or is forgotten. */
int vsock_error(const struct vsocks *vs, uint64_t handle);

/* Servers only: makes it findable by v->mirror. -EEXIST when another one has these addresses. */
int vsock_set_mirror(struct vsocks *vs, struct vsock *v, const struct addr *peer, const struct addr *own);
struct vsock *vsock_by_mirror(const struct vsocks *vs, const struct addr *peer, const struct addr *own);

/* All in use: NULL starts; safe against freeing the one just returned only if `next` was taken before. */
struct vsock *vsock_next(const struct vsocks *vs, const struct vsock *v);
uint32_t vsocks_count(const struct vsocks *vs);

#endif
