/* sockopt.c - a replaced socket answers like the TCP socket that it was. Other sockets are asked about only after the
 * kernel's own answer shows that they might be ours, so that they cost nothing. */
#include "shim/client.h"
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
    if (name == SO_MAX_PACING_RATE && pair_of(fd, &sn)) {
        memset(value, 0xff, len); /* that of the pair is a mark of ours */
        return;
    }
    if (name == SO_PEERCRED && len == sizeof(struct ucred) && pair_of(fd, &sn)) {
        memcpy(value, &(struct ucred){0, (uid_t)-1, (gid_t)-1}, len); /* the daemon's business */
        return;
    }
    bool suspect = (name == SO_DOMAIN && v == AF_UNIX) || (name == SO_PROTOCOL && v == 0) ||
                   (name == SO_ERROR && (v == ECONNRESET || v == EPIPE));
    if (!suspect || !pair_of(fd, &sn))
        return;
    if (name == SO_DOMAIN)
        set_int(pair_family(fd), value, len);
    else if (name == SO_PROTOCOL)
        set_int(IPPROTO_TCP, value, len);
    else
        set_int(pair_state(fd) == PAIR_FAILED ? pair_error(&sn) : pair_end(&sn), value, len);
}

/* Options whose answer may have to be corrected. */
static bool tells(int name)
{
    return name == SO_ERROR || name == SO_DOMAIN || name == SO_PROTOCOL || name == SO_PEERCRED || name == SO_MAX_PACING_RATE;
}

HOOK int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    struct sock_name sn;
    int saved = errno;
    int rc = REAL(getsockopt)(fd, level, name, value, len);
    if (rc == 0) {
        if (level == SOL_SOCKET && tells(name) && value && len)
            correct_answer(fd, name, value, *len);
        return 0;
    }
    if (level == SOL_SOCKET || errno != EOPNOTSUPP || !pair_of(fd, &sn))
        return rc;
    errno = saved;
    if (!sys_readable(len, sizeof(*len)) || !sys_readable(value, 1))
        return fail(-EFAULT);
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

/* The daemon closes for the program, so it has to know how. */
static void tell_linger(int fd, const void *value, socklen_t len)
{
    struct linger l;
    struct sock_name sn;
    if (len < sizeof(l) || !pair_of(fd, &sn))
        return;
    memcpy(&l, value, sizeof(l));
    client_sock_reset(sn.handle, l.l_onoff && !l.l_linger);
}

HOOK int setsockopt(int fd, int level, int name, const void *value, socklen_t len)
{
    struct sock_name sn;
    int saved = errno;
    if (level == SOL_SOCKET && (name == SO_SNDBUF || name == SO_SNDBUFFORCE) && len >= sizeof(int) && pair_of(fd, &sn) &&
        sys_readable(value, sizeof(int)))
        return set_sndbuf(fd, name, value, len);
    if (level == SOL_SOCKET && name == SO_MAX_PACING_RATE && pair_of(fd, &sn))
        return 0; /* nothing paces a Unix socket, and it is marked so (pair.h) */
    int rc = REAL(setsockopt)(fd, level, name, value, len);
    if (rc == 0 && level == SOL_SOCKET && name == SO_LINGER)
        tell_linger(fd, value, len);
    if (rc == 0 || errno != EOPNOTSUPP || !pair_of(fd, &sn))
        return rc;
    if (level == SOL_SOCKET && name != SO_REUSEPORT)
        return rc;
    errno = saved;
    return level == SOL_SOCKET ? 0 : fail(options_set(fd, level, name, value, len));
}
