/* fdset.h - many file descriptors inside libuv's loop, edge-triggered and registered once for good.
 *
 * A virtual connection's socket changes its interests at every turn; as a uv_poll_t each change would cost an
 * epoll_ctl(). Here every fd is watched for everything, edge-triggered, in an epoll set of its own, which libuv watches as
 * one fd; the callback notes what has become possible, and the owner reads or writes until EAGAIN.
 */
#ifndef I3_FDSET_H
#define I3_FDSET_H

#include <stdint.h>
#include <sys/epoll.h>
#include <uv.h>

struct fdset;
struct fdset_entry;

/* events: EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR. */
typedef void fdset_fn(void *ctx, uint32_t events);

/* after: called once per turn, after all callbacks of that turn (may be NULL). NULL when out of fds or memory. */
struct fdset *fdset_new(uv_loop_t *loop, void (*after)(void *ctx), void *ctx);
void fdset_free(struct fdset *s);

/* Watches fd; it stays the caller's. NULL when that cannot be. */
struct fdset_entry *fdset_add(struct fdset *s, int fd, fdset_fn *fn, void *ctx);
/* Tells of EPOLLIN and EPOLLERR only: a datagram socket would say after each sending that there is room again. */
struct fdset_entry *fdset_add_reader(struct fdset *s, int fd, fdset_fn *fn, void *ctx);
/* No callback for it follows, not even one already gathered. Call before the fd is closed. */
void fdset_del(struct fdset *s, struct fdset_entry *e);

#endif
