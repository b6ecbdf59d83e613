/* received.c - receiving with a source: a datagram from a mirror came from a virtual peer (udp.h). Everything else is the kernel's
 * answer, untouched; what costs is one look at the source's first byte. */
#include <netinet/in.h>

#include "shim/fdtable.h"
#include "shim/hooks/control.h"
#include "shim/libc.h"
#include "shim/overlay.h"
#include "shim/pair.h"
#include "shim/readable.h"
#include "shim/sys.h"
#include "shim/udp.h"

/* The source as far as the program's buffer holds it; none when it is not on loopback. */
static struct addr loopback_source(const void *sa, socklen_t len)
{
    struct addr none = {0}, a;
    if (len < sizeof(struct sockaddr_in))
        return none;
    a = addr_from_sockaddr(sa, len);
    return (a.family == 4 && a.ip[0] == 127) || overlay_is_mirror(&a) ? a : none;
}

/* True: the source was virtual, and *virt is it. */
static bool translate(int fd, void *sa, socklen_t room, socklen_t *len, struct addr *virt)
{
    struct sockaddr_storage ss;
    struct addr a = loopback_source(sa, *len < room ? *len : room);
    if (!a.family || !udp_source(fd, &a))
        return false;
    socklen_t full = overlay_sockaddr(&a, ((struct sockaddr *)sa)->sa_family, &ss);
    *len = room;
    overlay_copy_out(&ss, full, sa, len);
    *virt = a;
    return true;
}

/* TCP tells no source, a Unix socket does. Known pairs are asked for none, so that nothing is written; what turns out to be one
 * (after an exec) has at least no length. */
static bool is_pair(int fd)
{
    struct sock_name name;
    return pair_of(fd, &name);
}

static bool has_no_source(int fd, socklen_t room)
{
    return room && fdtable_may_be(fd, FD_PAIR) && is_pair(fd);
}

static void forget_source(int fd, const void *sa, socklen_t room, socklen_t *len)
{
    if (room >= sizeof(sa_family_t) && *len && ((const struct sockaddr *)sa)->sa_family == AF_UNIX && is_pair(fd))
        *len = 0;
}

static void translate_message(int fd, struct msghdr *m, socklen_t room)
{
    struct addr virt;
    if (!m->msg_name)
        return;
    if (translate(fd, m->msg_name, room, &m->msg_namelen, &virt))
        control_received(m, &virt);
    else
        forget_source(fd, m->msg_name, room, &m->msg_namelen);
}

HOOK ssize_t recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *sa, socklen_t *len)
{
    struct addr virt;
    socklen_t room = sa && readable(len, sizeof(*len)) ? *len : 0;
    bool none = has_no_source(fd, room);
    ssize_t got = REAL(recvfrom)(fd, buf, n, flags, none ? NULL : sa, none ? NULL : len);
    if (got >= 0 && none)
        *len = 0;
    else if (got >= 0 && room && !translate(fd, sa, room, len, &virt))
        forget_source(fd, sa, room, len);
    return got;
}

/* libc's headers name it to programs built with _FORTIFY_SOURCE only. */
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);

/* What recvfrom() is to such programs: a buffer too small for n is the end of the program, in libc. */
HOOK ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags, struct sockaddr *sa, socklen_t *len)
{
    struct addr virt;
    socklen_t room = sa && readable(len, sizeof(*len)) ? *len : 0;
    bool none = has_no_source(fd, room);
    ssize_t got = REAL(__recvfrom_chk)(fd, buf, n, size, flags, none ? NULL : sa, none ? NULL : len);
    if (got >= 0 && none)
        *len = 0;
    else if (got >= 0 && room && !translate(fd, sa, room, len, &virt))
        forget_source(fd, sa, room, len);
    return got;
}

static ssize_t receive_connected(int fd, struct msghdr *m, int flags)
{
    void *name = m->msg_name;
    m->msg_name = NULL;
    ssize_t got = REAL(recvmsg)(fd, m, flags);
    m->msg_name = name;
    if (got >= 0)
        m->msg_namelen = 0;
    return got;
}

HOOK ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    socklen_t room = readable(m, sizeof(*m)) && m->msg_name ? m->msg_namelen : 0;
    if (has_no_source(fd, room))
        return receive_connected(fd, m, flags);
    ssize_t got = REAL(recvmsg)(fd, m, flags);
    if (got >= 0 && room)
        translate_message(fd, m, room);
    return got;
}

HOOK int recvmmsg(int fd, struct mmsghdr *v, unsigned int n, int flags, struct timespec *timeout)
{
    enum { MOST = 1024 }; /* more the kernel does not take */
    socklen_t room[MOST];
    for (unsigned int i = 0; i < n && i < MOST && readable(&v[i], sizeof(*v)); i++)
        room[i] = v[i].msg_hdr.msg_name ? v[i].msg_hdr.msg_namelen : 0;
    int got = REAL(recvmmsg)(fd, v, n, flags, timeout);
    for (int i = 0; i < got && i < MOST; i++)
        if (room[i])
            translate_message(fd, &v[i].msg_hdr, room[i]);
    return got;
}
