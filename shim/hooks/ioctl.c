/* ioctl.c - a replaced socket answers like the TCP socket that it was. FIONREAD, FIONBIO, SIOCATMARK and their kin are the same on
 * both kinds; what a Unix socket does not know, a TCP socket is asked, which is idle, as interface queries go to any. */
#include <linux/sockios.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "shim/client.h"
#include "shim/libc.h"
#include "shim/pair.h"
#include "shim/sys.h"

/* A Unix socket tells the memory of what is unread at the other end, where something always is (daemon/io/pair.h); TCP the bytes
 * which the peer has not acknowledged. */
static void correct_queue(int fd, int *unsent)
{
    struct ipc_sock_state s;
    struct sock_name name;
    if (*unsent && pair_of(fd, &name))
        *unsent = pair_state(fd) == PAIR_UP && client_sock_state(name.handle, &s) == 0 ? (int)s.unsent : 0;
}

/* What only TCP knows. */
static int ask_tcp(int fd, unsigned long request, void *arg)
{
    int other = sys_socket(pair_family(fd), SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    if (other < 0)
        return other;
    int err = (int)sys_call(SYS_ioctl, other, (long)request, (long)arg, 0, 0, 0);
    sys_close(other);
    return err;
}

HOOK int ioctl(int fd, unsigned long request, ...)
{
    struct sock_name name;
    va_list ap;
    va_start(ap, request);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    int saved = errno;
    int rc = REAL(ioctl)(fd, request, arg);
    if (rc == 0 && request == SIOCOUTQ)
        correct_queue(fd, arg);
    if (rc >= 0 || (errno != ENOTTY && errno != EINVAL) || !pair_of(fd, &name))
        return rc;
    rc = ask_tcp(fd, request, arg);
    errno = rc < 0 ? -rc : saved;
    return rc < 0 ? -1 : rc;
}
