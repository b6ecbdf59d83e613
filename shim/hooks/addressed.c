/* addressed.c - sending with a destination. To a virtual one: TCP's MSG_FASTOPEN connects first; a datagram goes to the peer's
 * mirror instead (udp.h). What has no mirror fails, so that none reaches the real network. */
#include "shim/hooks/connect.h"
#include "shim/hooks/control.h"
#include "shim/dns.h"
#include "shim/libc.h"
#include "shim/overlay.h"
#include "shim/pair.h"
#include "shim/readable.h"
#include "shim/sys.h"
#include "shim/udp.h"

/* Below 0: fail. */
enum { SEND_AS_IS = 0, SEND_CONNECTED = 1 /* the destination is no longer needed */, SEND_VIA = 2 /* to another address */ };

struct via {
    struct sockaddr_storage ss;
    socklen_t len;
};

/* UDP takes an address without a family for IPv4. */
static struct addr destination(const struct sockaddr *sa, socklen_t len)
{
    struct sockaddr_in in;
    if (len < sizeof(in) || sa->sa_family != AF_UNSPEC)
        return addr_from_sockaddr(sa, len);
    memcpy(&in, sa, sizeof(in));
    in.sin_family = AF_INET;
    return addr_from_sockaddr(&in, sizeof(in));
}

/* A datagram for a real DNS server, of which it is seen whether it asks about the overlay; connections are made without a look. */
static bool leave_to_server(const struct addr *to, const struct iovec *v, size_t n, int flags)
{
    return !(flags & MSG_FASTOPEN) && !dns_is_ours(v, n) && (!overlay_covers(to) || overlay_verdict(to) == IPC_NOT_VIRTUAL);
}

static int before_send(int fd, const void *sa, socklen_t len, const struct iovec *v, size_t n, int flags, struct via *via)
{
    struct addr to = {0}, mirror;
    struct sock_name name;
    if (len >= sizeof(struct sockaddr_in) && len <= sizeof(struct sockaddr_storage) && readable(sa, len))
        to = destination(sa, len);
    bool dns = to.family && dns_is_server(&to);
    if (overlay_shuns(&to) && sys_sockopt_int(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM)
        return -ENETUNREACH;
    if (!to.family || (!dns && !overlay_covers(&to)) || (dns && leave_to_server(&to, v, n, flags)))
        return SEND_AS_IS;
    if (flags & MSG_FASTOPEN) {
        int err = connect_covered(fd, &to, ((const struct sockaddr *)sa)->sa_family);
        return err == CONNECT_PASS ? SEND_AS_IS : err == 0 ? SEND_CONNECTED : err;
    }
    if (sys_sockopt_int(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM) /* TCP ignores the destination, a Unix socket would not */
        return pair_of(fd, &name) ? SEND_CONNECTED : SEND_AS_IS;
    int err = udp_route(fd, &to, &mirror);
    if (err)
        return err == UDP_PASS ? SEND_AS_IS : err;
    via->len = overlay_sockaddr(&mirror, ((const struct sockaddr *)sa)->sa_family, &via->ss);
    return SEND_VIA;
}

static int before_message(int fd, const struct msghdr *m, int flags, struct via *via)
{
    return m->msg_name ? before_send(fd, m->msg_name, m->msg_namelen, m->msg_iov, m->msg_iovlen, flags, via) : SEND_AS_IS;
}

static int fail(int err)
{
    errno = -err;
    return -1;
}

/* TCP ignores the destination, the Unix socket in its place does not. */
static bool ignores_destination(int fd)
{
    struct sock_name name;
    return errno == EISCONN && pair_of(fd, &name);
}

HOOK ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *sa, socklen_t len)
{
    struct via via;
    struct iovec v = {(void *)buf, n};
    if (!sa)
        return REAL(sendto)(fd, buf, n, flags, sa, len);
    int todo = before_send(fd, sa, len, &v, 1, flags, &via);
    if (todo < 0)
        return fail(todo);
    if (todo == SEND_CONNECTED)
        return REAL(send)(fd, buf, n, flags & ~MSG_FASTOPEN);
    if (todo == SEND_VIA)
        return REAL(sendto)(fd, buf, n, flags, (struct sockaddr *)&via.ss, via.len);
    int saved = errno;
    ssize_t sent = REAL(sendto)(fd, buf, n, flags, sa, len);
    if (sent >= 0 || !ignores_destination(fd))
        return sent;
    errno = saved;
    return REAL(send)(fd, buf, n, flags);
}

/* The message as it goes to a mirror. */
static void redirect(int fd, struct msghdr *m, struct via *via, char room[CONTROL_ROOM])
{
    m->msg_name = &via->ss;
    m->msg_namelen = via->len;
    control_sent(fd, m, room);
}

/* Apart, so that messages without a destination do not pay for the room. */
static __attribute__((noinline)) ssize_t send_addressed(int fd, const struct msghdr *m, int flags)
{
    struct via via;
    char room[CONTROL_ROOM] __attribute__((aligned(_Alignof(struct cmsghdr))));
    int todo = before_message(fd, m, flags, &via);
    if (todo < 0)
        return fail(todo);
    int saved = errno;
    if (todo == SEND_AS_IS) {
        ssize_t sent = REAL(sendmsg)(fd, m, flags);
        if (sent >= 0 || !ignores_destination(fd))
            return sent;
        errno = saved;
    }
    struct msghdr changed = *m;
    if (todo == SEND_VIA) {
        redirect(fd, &changed, &via, room);
        return REAL(sendmsg)(fd, &changed, flags);
    }
    changed.msg_name = NULL;
    changed.msg_namelen = 0;
    return REAL(sendmsg)(fd, &changed, flags & ~MSG_FASTOPEN);
}

HOOK ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
    return readable(m, sizeof(*m)) && m->msg_name ? send_addressed(fd, m, flags) : REAL(sendmsg)(fd, m, flags);
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

enum { MANY = 16 };

/* The first messages, at most MANY, the first of which goes to a mirror (`via`), up to one that needs something else. Callers know
 * that fewer may be sent than they gave. */
static int send_redirected(int fd, struct mmsghdr *v, unsigned int n, int flags, const struct via *first)
{
    struct mmsghdr copy[MANY];
    struct via via[MANY];
    char room[MANY][CONTROL_ROOM] __attribute__((aligned(_Alignof(struct cmsghdr))));
    unsigned int k = 0;
    for (; k < n && k < MANY; k++) {
        const struct msghdr *m = &v[k].msg_hdr;
        int todo = SEND_VIA;
        if (k == 0)
            via[k] = *first;
        else
            todo = before_message(fd, m, flags & ~MSG_FASTOPEN, &via[k]);
        if (todo < 0 || todo == SEND_CONNECTED)
            break;
        copy[k] = v[k];
        if (todo == SEND_VIA)
            redirect(fd, &copy[k].msg_hdr, &via[k], room[k]);
    }
    int sent = REAL(sendmmsg)(fd, copy, k, flags);
    for (int i = 0; i < sent; i++)
        v[i].msg_len = copy[i].msg_len;
    return sent;
}

/* Redirected messages in slices; those before and after them as they are. What has been sent counts, an error after that comes
 * with the next call, as in the kernel. */
static int send_slices(int fd, struct mmsghdr *v, unsigned int n, int flags, struct via *via)
{
    unsigned int done = 0;
    int saved = errno;
    while (done < n) {
        unsigned int most = n - done < MANY ? n - done : MANY;
        int sent = send_redirected(fd, v + done, most, flags, via);
        if (sent <= 0 && done == 0)
            return sent;
        if (sent <= 0)
            break;
        done += (unsigned int)sent;
        if ((unsigned int)sent < most || done == n)
            break;
        const struct msghdr *m = &v[done].msg_hdr;
        if (before_message(fd, m, flags & ~MSG_FASTOPEN, via) != SEND_VIA)
            break;
    }
    errno = saved;
    return (int)done;
}

/* Messages up to the first that needs something else; that one alone when it is the first. */
HOOK int sendmmsg(int fd, struct mmsghdr *v, unsigned int n, int flags)
{
    struct via via;
    for (unsigned int i = 0; i < n && readable(&v[i], sizeof(*v)); i++) {
        const struct msghdr *m = &v[i].msg_hdr;
        int todo = before_message(fd, m, i == 0 ? flags : flags & ~MSG_FASTOPEN, &via);
        if (todo == SEND_AS_IS && (i == 0 || !m->msg_name || !(flags & MSG_FASTOPEN)))
            continue;
        if (i == 0 && todo == SEND_VIA)
            return send_slices(fd, v, n, flags, &via);
        if (i == 0)
            return todo < 0 ? fail(todo) : send_first(fd, v, flags);
        n = i;
    }
    return REAL(sendmmsg)(fd, v, n, flags);
}
