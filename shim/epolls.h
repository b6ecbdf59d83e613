/* epolls.h - which epoll instances watch which fds, so that a swap can register the new socket as the old one was.
 *
 * epoll keys on the open file and the number: after dup3 the registrations of the old file are gone (or, where a dup keeps
 * that file open, point to the wrong one). The epoll_ctl hook records what is added and modified; a swap takes it off
 * before dup3 and adds it again after it. The kernel refuses to take off what is not there any more, so that neither removal
 * nor close has to be recorded.
 *
 * A vfork child that registers something writes here into its parent's memory. It changes the parent's epoll as well, and
 * what is wrong the kernel refuses; to look out for it would cost a getpid() in each epoll_ctl().
 *
 * Bounds: 4 watchers for each of 16384 fd numbers; a fifth one takes the place of one for another fd number with the same
 * remainder, or else of the first.
 */
#ifndef I3_SHIM_EPOLLS_H
#define I3_SHIM_EPOLLS_H

#include <sys/epoll.h>

enum { EPOLLS_WAYS = 4 };

struct epolls_saved {
    int n;
    struct {
        int epfd;
        struct epoll_event event;
    } watch[EPOLLS_WAYS];
};

void epolls_set(int epfd, int fd, const struct epoll_event *event);

/* Takes `fd` off every epoll that watches it, remembering how; then, when another file has its number, adds it back. */
void epolls_detach(int fd, struct epolls_saved *saved);
void epolls_attach(int fd, const struct epolls_saved *saved);

#endif
