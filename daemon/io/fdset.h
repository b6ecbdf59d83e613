/* fdset.h - many file descriptors inside libuv's loop, edge-triggered and registered once for good.
 *
 * A virtual connection's socket changes its interests at every turn; as a uv_poll_t each change would cost an
 * epoll_ctl(). Here every fd is watched edge-triggered, in an epoll set of its own, which libuv watches as one fd; the
 * callback notes what has become possible, and the owner reads or writes until EAGAIN. Room to write is reported only once
 * it was asked for: else every byte that a program reads would wake its writer.
 *
 * A turn that seems to be half of a talk is followed by a short look-out for the other half before the loop sleeps
 * (daemon/base/lookout.h).
 */
#ifndef I3_FDSET_H
#define I3_FDSET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <uv.h>

struct fdset;
struct fdset_entry;

/* events: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR. */
typedef void fdset_fn(void *ctx, uint32_t events);

/* after: called once per turn, after all callbacks of that turn; true when an answer may come soon. NULL when out of fds or
 * memory. */
struct fdset *fdset_new(uv_loop_t *loop, bool (*after)(void *ctx), void *ctx);
void fdset_free(struct fdset *s);

/* Watches fd, for room to write as well if `out`; it stays the caller's. NULL when that cannot be. */
struct fdset_entry *fdset_add(struct fdset *s, int fd, bool out, fdset_fn *fn, void *ctx);
/* A write found no room: EPOLLOUT is reported from now on, at once if there is some already. */
void fdset_want_out(struct fdset *s, struct fdset_entry *e);
/* No callback for it follows, not even one already gathered. Call before the fd is closed. */
void fdset_del(struct fdset *s, struct fdset_entry *e);

#endif
