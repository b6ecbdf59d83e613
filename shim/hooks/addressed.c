/* addressed.c - sending with a destination. To a virtual one: TCP's MSG_FASTOPEN connects first; datagrams are refused
 * (UDP over the overlay is yet to come), so that none reaches the real network. */
#include "shim/hooks/connect.h"
#include "shim/libc.h"
#include "shim/overlay.h"
#include "shim/sys.h"

/* What is to be done before sending to `sa`: 0 nothing; CONNECT_DONE drop the destination; -errno fail. */
enum { SEND_AS_IS = 0, SEND_CONNECTED = 1 };

static int before_send(int fd, const void *sa, socklen_t len, int flags)
{
    struct addr to = {0};
    if (sa && len >= sizeof(struct sockaddr_in))
        to = addr_from_sockaddr(sa, len);
    if (!to.family || !overlay_covers(&to))
        return SEND_AS_IS;
    if (flags & MSG_FASTOPEN) {
        int err = connect_covered(fd, &to, ((const struct sockaddr *)sa)->sa_family);
        return err == CONNECT_PASS ? SEND_AS_IS : err == 0 || err == -EISCONN ? SEND_CONNECTED : err;
    }
    if (sys_sockopt_int(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM)
        return SEND_AS_IS; /* the kernel ignores or refuses the destination */
    return overlay_verdict(&to) == IPC_NOT_VIRTUAL ? SEND_AS_IS : -ENETUNREACH;
}

static int fail(int err)
{
    errno = -err;
    return -1;
}

HOOK ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *sa, socklen_t len)
{
    int todo = sa ? before_send(fd, sa, len, flags) : SEND_AS_IS;
    if (todo < 0)
        return fail(todo);
    if (todo == SEND_CONNECTED)
        return REAL(send)(fd, buf, n, flags & ~MSG_FASTOPEN);
    return REAL(sendto)(fd, buf, n, flags, sa, len);
}

HOOK ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    int todo = m && m->msg_name ? before_send(fd, m->msg_name, m->msg_namelen, flags) : SEND_AS_IS;
    if (todo < 0)
        return fail(todo);
    if (todo == SEND_AS_IS)
        return REAL(sendmsg)(fd, m, flags);
    struct msghdr plain = *m;
    plain.msg_name = NULL;
    plain.msg_namelen = 0;
    return REAL(sendmsg)(fd, &plain, flags & ~MSG_FASTOPEN);
}

/* Messages up to the first that must not go out; that one fails when it is the first. */
HOOK int sendmmsg(int fd, struct mmsghdr *v, unsigned int n, int flags)
{
    for (unsigned int i = 0; v && i < n; i++) {
        const struct msghdr *m = &v[i].msg_hdr;
        int todo = m->msg_name ? before_send(fd, m->msg_name, m->msg_namelen, flags & ~MSG_FASTOPEN) : SEND_AS_IS;
        if (todo >= 0)
            continue;
        if (i == 0)
            return fail(todo);
        n = i;
    }
    return REAL(sendmmsg)(fd, v, n, flags);
}
