/* shutdown.c - shutdown() is the kernel's own on both kinds of socket, except while a connection is dialled: on TCP it gives the
 * attempt up, and the socket is as before connect(). */
#include "shim/fdtable.h"
#include "shim/libc.h"
#include "shim/pair.h"
#include "shim/sys.h"

HOOK int shutdown(int fd, int how)
{
    struct sock_name name;
    int saved = errno;
    if (!fdtable_may_be(fd, FD_PAIR) || how < SHUT_RD || how > SHUT_RDWR || sys_sockopt_int(fd, SOL_SOCKET, SO_DOMAIN) != AF_UNIX || !pair_of(fd, &name))
        return REAL(shutdown)(fd, how);
    switch (pair_state(fd)) {
    case PAIR_DIALLING:
        REAL(shutdown)(fd, SHUT_RDWR); /* wakes who waits in connect() */
        pair_revert(fd);
        errno = saved;
        return 0;
    case PAIR_FAILED:
    case PAIR_ENDED:
        errno = ENOTCONN;
        return -1;
    case PAIR_UP:
        break;
    }
    return REAL(shutdown)(fd, how);
}
