/* addressed.c - sending with a destination. To a virtual one: TCP's MSG_FASTOPEN connects first; datagrams are refused
 * (UDP over the overlay is yet to come), so that none reaches the real network. */
#include "shim/hooks/connect.h"
#include "shim/libc.h"
#include "shim/overlay.h"
#include "shim/pair.h"
#include "shim/sys.h"

/* Below 0: fail. */
enum { SEND_AS_IS = 0, SEND_CONNECTED = 1 /* the destination is no longer needed */ };

static int before_send(int fd, const void *sa, socklen_t len, int flags)
{
    struct addr to = {0};
    struct sock_name name;
    if (sa && len >= sizeof(struct sockaddr_in))
        to = addr_from_sockaddr(sa, len);
    if (!to.family || !overlay_covers(&to))
        return SEND_AS_IS;
    if (flags & MSG_FASTOPEN) {
        int err = connect_covered(fd, &to, ((const struct sockaddr *)sa)->sa_family);
        return err == CONNECT_PASS ? SEND_AS_IS : err == 0 ? SEND_CONNECTED : err;
    }
    if (sys_sockopt_int(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM) /* TCP ignores the destination, a Unix socket would not */
        return pair_of(fd, &name) ? SEND_CONNECTED : SEND_AS_IS;
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

/* One message to a socket that was connected on the way. */
static int send_first(int fd, struct mmsghdr *v, int flags)
{
    struct mmsghdr one = v[0];
    one.msg_hdr.msg_name = NULL;
    one.msg_hdr.msg_namelen = 0;
    int n = REAL(sendmmsg)(fd, &one, 1, flags & ~MSG_FASTOPEN);
    if (n == 1)
        v[0].msg_len = one.msg_len;
    return n;
}

/* Messages up to the first that needs something else; that one alone when it is the first. Callers know that fewer may be
 * sent than they gave. */
HOOK int sendmmsg(int fd, struct mmsghdr *v, unsigned int n, int flags)
{
    for (unsigned int i = 0; v && i < n; i++) {
        const struct msghdr *m = &v[i].msg_hdr;
        int todo = SEND_AS_IS;
        if (m->msg_name)
            todo = before_send(fd, m->msg_name, m->msg_namelen, i == 0 ? flags : flags & ~MSG_FASTOPEN);
        if (todo == SEND_AS_IS && (i == 0 || !m->msg_name || !(flags & MSG_FASTOPEN)))
            continue;
        if (i == 0)
            return todo < 0 ? fail(todo) : send_first(fd, v, flags);
        n = i;
    }
    return REAL(sendmmsg)(fd, v, n, flags);
}
