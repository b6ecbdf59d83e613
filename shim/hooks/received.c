/* received.c - receiving with a source: a datagram from a mirror came from a virtual peer (udp.h). Everything else is the kernel's
 * answer, untouched; what costs is one look at the source's first byte. */
#include <netinet/in.h>

#include "shim/hooks/control.h"
#include "shim/libc.h"
#include "shim/overlay.h"
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

static void translate_message(int fd, struct msghdr *m, socklen_t room)
{
    struct addr virt;
    if (m->msg_name && translate(fd, m->msg_name, room, &m->msg_namelen, &virt))
        control_received(m, &virt);
}

HOOK ssize_t recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *sa, socklen_t *len)
{
    struct addr virt;
    socklen_t room = sys_room(sa, len);
    ssize_t got = REAL(recvfrom)(fd, buf, n, flags, sa, len);
    if (got >= 0 && room)
        translate(fd, sa, room, len, &virt);
    return got;
}

/* libc's headers name it to programs built with _FORTIFY_SOURCE only. */
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);

/* What recvfrom() is to such programs: a buffer too small for n is the end of the program, in libc. */
HOOK ssize_t __recvfrom_chk(int fd, void *buf, size_t n, size_t size, int flags, struct sockaddr *sa, socklen_t *len)
{
    struct addr virt;
    socklen_t room = sys_room(sa, len);
    ssize_t got = REAL(__recvfrom_chk)(fd, buf, n, size, flags, sa, len);
    if (got >= 0 && room)
        translate(fd, sa, room, len, &virt);
    return got;
}

HOOK ssize_t recvmsg(int fd, struct msghdr *m, int flags)
{
    socklen_t room = sys_plausible(m) && m->msg_name ? m->msg_namelen : 0;
    ssize_t got = REAL(recvmsg)(fd, m, flags);
    if (got >= 0 && room)
        translate_message(fd, m, room);
    return got;
}

HOOK int recvmmsg(int fd, struct mmsghdr *v, unsigned int n, int flags, struct timespec *timeout)
{
    enum { MOST = 1024 }; /* more the kernel does not take */
    socklen_t room[MOST];
    for (unsigned int i = 0; sys_plausible(v) && i < n && i < MOST; i++)
        room[i] = v[i].msg_hdr.msg_name ? v[i].msg_hdr.msg_namelen : 0;
    int got = REAL(recvmmsg)(fd, v, n, flags, timeout);
    for (int i = 0; i < got && i < MOST; i++)
        if (room[i])
            translate_message(fd, &v[i].msg_hdr, room[i]);
    return got;
}
