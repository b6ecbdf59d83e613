#include "shim/client.h"

#include "shim/conn.h"
#include "shim/lookout.h"
#include "shim/sys.h"

enum { CALL_MAX = IPC_HEADER_LEN + 4 + IPC_NAME_MAX + 64 };

/* One request and its reply, in place. */
struct call {
    uint8_t buf[CALL_MAX];
    struct writer w; /* the request, header first */
    struct reader r; /* the reply's body */
    uint8_t type;
    uint32_t serial;
    int fd; /* which came with the reply, or -1 */
};

static void call_init(struct call *c, uint8_t type)
{
    static uint32_t serials;
    c->w = writer_of(c->buf, sizeof(c->buf));
    c->type = type;
    c->serial = __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
    c->fd = -1;
    ipc_put_header(&c->w, type, c->serial);
}

/* Keeps the first fd of a control message, closes any other. */
static void take_fds(struct call *c, struct msghdr *m)
{
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h; h = CMSG_NXTHDR(m, h)) {
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = 0; at + sizeof(int) <= h->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + at, sizeof(fd));
            if (c->fd < 0)
                c->fd = fd;
            else
                sys_close(fd);
        }
    }
}

static void drop_fd(struct call *c)
{
    if (c->fd >= 0)
        sys_close(c->fd);
    c->fd = -1;
}

static int send_request(int fd, const uint8_t *request, size_t len, int64_t end)
{
    struct iovec iov = {(void *)request, len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    long n;
    do
        n = sys_sendmsg(fd, &m, MSG_NOSIGNAL);
    while (n == -EINTR && sys_millis() < end);
    return n < 0 ? (int)n : 0;
}

/* The next record; -EPIPE when the daemon is gone. */
static int receive_record(struct call *c, int fd, uint8_t *reply, size_t cap, int64_t end)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(4 * sizeof(int))];
    } control;
    struct iovec iov = {reply, cap};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    struct lookout soon = {0};
    int dont_wait = c->type == IPC_CONNECT ? 0 : MSG_DONTWAIT; /* its answer takes a round trip to the peer */
    long n;
    for (;;) {
        n = sys_recvmsg(fd, &m, MSG_CMSG_CLOEXEC | dont_wait);
        if (n == -EAGAIN && dont_wait)
            dont_wait = lookout_goes_on(&soon) ? MSG_DONTWAIT : 0;
        else if (n != -EINTR || sys_millis() >= end)
            break;
    }
    if (n < 0)
        return (int)n;
    take_fds(c, &m);
    if (n == 0)
        return -EPIPE;
    return m.msg_flags & MSG_TRUNC ? -EMSGSIZE : (int)n;
}

/* Sends the request and waits for the reply with its serial; late replies to calls given up before are skipped. */
static int exchange(struct call *c, int fd, int64_t end)
{
    uint8_t reply[CALL_MAX];
    struct ipc_header h;
    int n = send_request(fd, c->buf, writer_len(&c->w), end);
    while (n >= 0) {
        n = receive_record(c, fd, reply, sizeof(reply), end);
        if (n < 0)
            break;
        c->r = reader_of(reply, (size_t)n);
        ipc_get_header(&c->r, &h);
        if (reader_ok(&c->r) && h.type == (c->type | IPC_REPLY) && h.serial == c->serial) {
            memcpy(c->buf, reply, (size_t)n);
            c->r = reader_of(c->buf + IPC_HEADER_LEN, (size_t)n - IPC_HEADER_LEN);
            return 0;
        }
        drop_fd(c);
        if (sys_millis() >= end)
            n = -ETIMEDOUT;
    }
    drop_fd(c);
    return n;
}

/* A connection which the daemon has closed since its last use says so at once, not by silence. */
static bool is_stale(int err)
{
    return err == -EPIPE || err == -ECONNRESET || err == -ENOTCONN;
}

/* A daemon that has died is started anew, and what is asked meanwhile waits in its socket's queue: what the one before it had taken is asked
 * again. As often as that can happen by chance; one that will not have us is not pestered. */
static int call_run(struct call *c)
{
    enum { AGAIN_MAX = 4 };
    struct conn conn;
    int64_t end = sys_millis() + CONN_TIMEOUT_MS;
    int err = -EPIPE;
    for (int i = 0; i < AGAIN_MAX && is_stale(err) && sys_millis() < end; i++) {
        if (!writer_ok(&c->w) || conn_open(&conn) < 0)
            return CLIENT_DEAD;
        err = exchange(c, conn.fd, end);
        conn_done(&conn, err == 0);
    }
    return err < 0 ? CLIENT_DEAD : 0;
}

/* The status of a reply that was read to its end; one that was not is no better than none. */
static int call_status(const struct call *c, uint32_t status)
{
    return reader_done(&c->r) && status <= IPC_STATUS_MAX ? (int)status : CLIENT_DEAD;
}

int client_info(struct ipc_info *info)
{
    struct call c;
    call_init(&c, IPC_INFO);
    if (call_run(&c) < 0)
        return CLIENT_DEAD;
    ipc_get_info(&c.r, info);
    drop_fd(&c);
    return call_status(&c, info->status);
}

static int resolve_once(const char *name, struct addr *out, struct addr *out6)
{
    struct call c;
    struct ipc_resolved v;
    call_init(&c, IPC_RESOLVE);
    put_bytes(&c.w, name, strlen(name));
    if (call_run(&c) < 0)
        return CLIENT_DEAD;
    ipc_get_resolved(&c.r, &v);
    drop_fd(&c);
    *out = v.addr;
    *out6 = v.addr6;
    return call_status(&c, v.status);
}

/* A name that is being looked up is asked for until that has ended; the daemon's own patience is less than ours. */
int client_resolve(const char *name, struct addr *out, struct addr *out6)
{
    enum { PATIENCE_MS = 15000 };
    int64_t end = sys_millis() + PATIENCE_MS;
    int status;
    do
        status = resolve_once(name, out, out6);
    while (status == IPC_PENDING && sys_millis() < end);
    return status == IPC_PENDING ? EAGAIN : status;
}

int client_reverse(const struct addr *a, char name[IPC_NAME_MAX + 1])
{
    struct call c;
    struct ipc_name n = {0};
    call_init(&c, IPC_REVERSE);
    put_addr(&c.w, a);
    if (call_run(&c) < 0)
        return CLIENT_DEAD;
    drop_fd(&c);
    uint32_t status = get_u32(&c.r);
    if (status) /* a refusal may or may not carry a name */
        return reader_ok(&c.r) && status <= IPC_STATUS_MAX ? (int)status : CLIENT_DEAD;
    ipc_get_name(&c.r, &n);
    memcpy(name, n.name, n.len + 1);
    return call_status(&c, status);
}

int client_connect(const struct ipc_connect *ask, struct ipc_socket *out, int *fd)
{
    struct call c;
    call_init(&c, IPC_CONNECT);
    ipc_put_connect(&c.w, ask);
    if (call_run(&c) < 0)
        return CLIENT_DEAD;
    ipc_get_socket(&c.r, out);
    int status = call_status(&c, out->status);
    if (status == 0 && c.fd < 0)
        status = ENOBUFS; /* it came, but the program has no fd left to receive it */
    if (status != 0)
        drop_fd(&c);
    *fd = c.fd;
    return status;
}

int client_sock_error(uint64_t handle)
{
    struct call c;
    call_init(&c, IPC_SOCK_ERROR);
    put_u64(&c.w, handle);
    if (call_run(&c) < 0)
        return CLIENT_DEAD;
    drop_fd(&c);
    uint32_t status = get_u32(&c.r);
    return call_status(&c, status);
}

/* The reply to a question whose answer is one address. */
static int call_addr(struct call *c, struct addr *out)
{
    if (call_run(c) < 0)
        return CLIENT_DEAD;
    drop_fd(c);
    uint32_t status = get_u32(&c->r);
    get_addr_or_none(&c->r, out);
    return call_status(c, status);
}

int client_sock_state(uint64_t handle, struct ipc_sock_state *out)
{
    struct call c;
    call_init(&c, IPC_SOCK_STATE);
    put_u64(&c.w, handle);
    if (call_run(&c) < 0)
        return CLIENT_DEAD;
    drop_fd(&c);
    ipc_get_sock_state(&c.r, out);
    return call_status(&c, out->status);
}

int client_sock_reset(uint64_t handle, bool resets)
{
    struct call c;
    call_init(&c, IPC_SOCK_RESET);
    ipc_put_sock_reset(&c.w, &(struct ipc_sock_reset){handle, resets});
    if (call_run(&c) < 0)
        return CLIENT_DEAD;
    drop_fd(&c);
    uint32_t status = get_u32(&c.r);
    return call_status(&c, status);
}

int client_listen(const struct ipc_listen *ask, struct addr *asked)
{
    struct call c;
    call_init(&c, IPC_LISTEN);
    ipc_put_listen(&c.w, ask);
    return call_addr(&c, asked);
}

int client_bound(const struct ipc_bound *ask, struct addr *asked)
{
    struct call c;
    call_init(&c, IPC_BOUND);
    ipc_put_bound(&c.w, ask);
    return call_addr(&c, asked);
}

/* The reply to a question whose answer is two addresses. */
static int call_pair(struct call *c, struct addr *local, struct addr *remote)
{
    struct ipc_pair v = {0};
    if (call_run(c) < 0)
        return CLIENT_DEAD;
    drop_fd(c);
    v.status = get_u32(&c->r);
    ipc_get_pair(&c->r, &v);
    *local = v.local;
    *remote = v.remote;
    return call_status(c, v.status);
}

int client_verify(const struct ipc_pair *real, struct ipc_pair *virtual)
{
    struct call c;
    call_init(&c, IPC_VERIFY);
    ipc_put_pair(&c.w, real);
    return call_pair(&c, &virtual->local, &virtual->remote);
}

int client_udp_open(const struct ipc_udp_open *ask, struct addr *mirror, struct addr *own)
{
    struct call c;
    call_init(&c, IPC_UDP_OPEN);
    ipc_put_udp_open(&c.w, ask);
    return call_pair(&c, mirror, own);
}

int client_udp_peer(const struct addr *mirror, struct addr *virtual, struct addr *own)
{
    struct call c;
    call_init(&c, IPC_UDP_PEER);
    put_addr(&c.w, mirror);
    return call_pair(&c, virtual, own);
}
