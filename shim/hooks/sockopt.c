/* sockopt.c - a replaced socket answers like the TCP socket that it was. Other sockets are asked about only after the
 * kernel's own answer shows that they might be ours, so that they cost nothing. */
#include "shim/libc.h"
#include "shim/options.h"
#include "shim/pair.h"
#include "shim/sys.h"

#include <string.h>

static int fail(int err)
{
    if (err < 0)
        errno = -err;
    return err < 0 ? -1 : 0;
}

static void set_int(int v, void *value, socklen_t len)
{
    memcpy(value, &v, len < sizeof(v) ? len : sizeof(v));
}

/* SOL_SOCKET options whose answer tells a Unix socket from a TCP socket. */
static void correct_answer(int fd, int name, void *value, socklen_t len)
{
    struct sock_name sn;
    int v = 0;
    memcpy(&v, value, len < sizeof(v) ? len : sizeof(v));
    bool suspect = (name == SO_DOMAIN && v == AF_UNIX) || (name == SO_PROTOCOL && v == 0) ||
                   (name == SO_ERROR && (v == ECONNRESET || v == EPIPE));
    if (!suspect || !pair_of(fd, &sn))
        return;
    if (name == SO_DOMAIN)
        set_int(pair_family(fd), value, len);
    else if (name == SO_PROTOCOL)
        set_int(IPPROTO_TCP, value, len);
    else if (pair_state(fd) == PAIR_FAILED)
        set_int(pair_error(&sn), value, len);
}

HOOK int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    struct sock_name sn;
    int saved = errno;
    socklen_t room = sys_room(value, len);
    int rc = REAL(getsockopt)(fd, level, name, value, len);
    if (rc == 0) {
        if (level == SOL_SOCKET && (name == SO_ERROR || name == SO_DOMAIN || name == SO_PROTOCOL) && value && len)
            correct_answer(fd, name, value, *len);
        return 0;
    }
    if (level == SOL_SOCKET || errno != EOPNOTSUPP || !pair_of(fd, &sn))
        return rc;
    errno = saved;
    if (!sys_plausible(len) || !sys_plausible(value))
        return fail(-EFAULT);
    *len = room;
    return fail(options_get(fd, level, name, value, len));
}

/* A send buffer below what tells a dialling pair from an established one is not allowed to come about, and while it dials
 * the buffer is the daemon's. */
static int set_sndbuf(int fd, int name, const void *value, socklen_t len)
{
    int v;
    if (len < sizeof(v))
        return REAL(setsockopt)(fd, SOL_SOCKET, name, value, len);
    memcpy(&v, value, sizeof(v));
    if (v < PAIR_MIN_SNDBUF / 2)
        v = PAIR_MIN_SNDBUF / 2;
    return pair_state(fd) == PAIR_DIALLING ? 0 : REAL(setsockopt)(fd, SOL_SOCKET, name, &v, sizeof(v));
}

HOOK int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    struct sock_name sn;
    int saved = errno;
    if (level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_SNDBUFFORCE) && sys_plausible(value) && pair_of(fd, &sn))
        return set_sndbuf(fd, name, value, len);
    int rc = REAL(setsockopt)(fd, level, name, value, len);
    if (rc == 0 || errno != EOPNOTSUPP || !pair_of(fd, &sn))
        return rc;
    if (level == SOL_SOCKET && name != SO_REUSEPORT)
        return rc;
    errno = saved;
    return level == SOL_SOCKET ? 0 : fail(options_set(fd, level, name, value, len));
}
