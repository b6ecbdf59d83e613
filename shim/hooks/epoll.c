/* epoll.c - epoll_ctl() takes notes for a later swap (epolls.h). Waiting is not hooked. */
#include "shim/epolls.h"
#include "shim/libc.h"

HOOK int epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    int rc = REAL(epoll_ctl)(epfd, op, fd, event);
    if (rc == 0 && op != EPOLL_CTL_DEL)
        epolls_set(epfd, fd, event);
    return rc;
}
