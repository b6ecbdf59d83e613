/* pump/flow.c - between programs and the engine: connections come and go, and bytes flow.
 *
 * Nothing is stored here: bytes go from the program's socket straight into the engine's send buffer, and from received
 * packets (or the engine's receive buffer) straight into the program's socket.
 */
#include "daemon/pump/gateway.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/base/log.h"

enum { FLOW_SPANS = 256, PATIENCE_US = 2000 };

struct flow {
    struct pump *p;
    struct vsock *v;
    int fd;
    struct fdset_entry *watch;
    struct pair pair; /* clients, until OPEN */
    bool by_door;     /* servers: not one under i3run (policy/access.h) */
    struct gate_conn *gate; /* servers: a real host, for a user of our gateway; NULL: of this machine */
    const struct flow_guest *guest; /* whose the socket is; NULL: ours */
    void *guest_ctx;

    struct ipc_client *asker; /* waits for its answer until `answer_by`; NULL: has it */
    uint32_t serial;
    mono_t answer_by;
    TAILQ_ENTRY(flow) asking;
};

/* ---- life ---- */

static struct flow *flow_new(struct pump *p, enum vsock_role role)
{
    struct flow *f = calloc(1, sizeof(*f));
    struct vsock *v = f ? vsock_new(p->vsocks, role, drbg_u64(&p->random)) : NULL;
    if (!v) {
        free(f);
        return NULL;
    }
    *f = (struct flow){.p = p, .v = v, .fd = -1, .pair = {-1, -1, 0}};
    v->io = f;
    return f;
}

static void flow_answer(struct flow *f, int err)
{
    struct ipc_socket s = {.status = (uint32_t)err};
    if (!err)
        s = (struct ipc_socket){0, f->v->handle, f->v->local, f->v->remote};
    reply_socket(f->asker, f->serial, &s, err ? -1 : f->pair.program);
    ipc_client_has(f->asker);
    f->asker = NULL;
    TAILQ_REMOVE(&f->p->asking, f, asking);
}

/* The engine's side has ended already. err: what the program shall see. */
static void flow_free(struct flow *f, int err)
{
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    const struct flow_guest *guest = f->guest;
    void *guest_ctx = f->guest_ctx;
    fdset_del(f->p->set, f->watch);
    if (f->gate)
        gate_closed(f->gate, err);
    if (guest)
        f->fd = -1;
    if (f->asker)
        flow_answer(f, err ? err : ECONNRESET);
    if (f->v->state == VSOCK_CONNECTING)
        pair_refuse(&f->pair);
    if (f->fd >= 0 && err && f->v->role == VSOCK_SERVER)
        setsockopt(f->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    if (f->fd >= 0 && f->v->role == VSOCK_CLIENT && (!err || f->v->write_eof)) /* no reset after the end of file */
        pair_part(f->fd);
    if (f->fd >= 0)
        close(f->fd);
    vsock_free(f->p->vsocks, f->v, err);
    free(f);
    if (guest)
        guest->ended(guest_ctx, err);
}

static void flow_abort(struct flow *f, int err)
{
    tcp_abort(f->p->tcpip, f->p->now, f->v->tcp);
    flow_free(f, err);
}

/* The program's socket has failed: what it has sent before goes out before the reset, as far as it may. */
static void flow_broken(struct flow *f)
{
    if (f->v->state == VSOCK_OPEN)
        net_output(f->p);
    flow_abort(f, ECONNRESET);
}

static int socket_error(int fd)
{
    int err = 0;
    socklen_t len = sizeof(err);
    getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
    return err;
}

/* The program has closed its socket: in good order, or with something unread, or as SO_LINGER says. */
static void flow_closed(struct flow *f)
{
    if (f->v->resets || socket_error(f->fd)) {
        flow_broken(f);
        return;
    }
    tcp_close(f->p->tcpip, f->p->now, f->v->tcp);
    flow_free(f, 0);
}

static void on_program(void *ctx, uint32_t events);

/* ---- bytes ---- */

static ssize_t read_program(struct flow *f, const struct iovec *iov, int n, size_t room, bool *drained)
{
    if (f->guest)
        return f->guest->read(f->guest_ctx, iov, n, drained);
    if (f->v->role == VSOCK_CLIENT)
        return pair_read(f->fd, iov, n, room, f->v->hup, drained);
    ssize_t got = readv(f->fd, iov, n);
    *drained = got >= 0 && (size_t)got < room;
    return got < 0 ? -errno : got;
}

/* Program to engine. Returns false when the flow is gone. */
static bool flow_read(struct flow *f)
{
    struct vsock *v = f->v;
    struct iovec iov[2];
    while (v->can_read && !v->read_eof) {
        int n = tcp_send_space(f->p->tcpip, v->tcp, iov);
        if (n == 0)
            return true; /* WRITABLE will come */
        size_t room = iov[0].iov_len + (n > 1 ? iov[1].iov_len : 0);
        bool drained;
        ssize_t got = read_program(f, iov, n, room, &drained);
        if (got > 0 && f->gate) {
            f->gate->down += (uint64_t)got;
            f->gate->used = f->p->now;
        }
        if (got > 0) {
            tcp_send_commit(f->p->tcpip, f->p->now, v->tcp, (size_t)got, drained);
            if (drained && !v->hup)
                v->can_read = false;
        } else if (got == 0) {
            v->read_eof = true;
        } else if (got == -EAGAIN) {
            v->can_read = false;
        } else if (got != -EINTR) {
            flow_broken(f);
            return false;
        }
    }
    if (!v->read_eof)
        return true;
    if (v->gone) {
        flow_closed(f);
        return false;
    }
    tcp_send_eof(f->p->tcpip, f->p->now, v->tcp);
    return true;
}

static size_t span_bytes(const struct iovec *iov, int n)
{
    size_t bytes = 0;
    for (int i = 0; i < n; i++)
        bytes += iov[i].iov_len;
    return bytes;
}

/* Engine to program. Returns false when the flow is gone. */
static bool flow_write(struct flow *f)
{
    struct vsock *v = f->v;
    struct iovec iov[FLOW_SPANS];
    while (v->can_write && !v->write_eof) {
        bool eof = false;
        int n = tcp_recv_spans(f->p->tcpip, v->tcp, iov, FLOW_SPANS, &eof);
        if (n == 0) {
            if (eof) {
                v->write_eof = true;
                shutdown(f->fd, SHUT_WR);
                tcp_recv_consume(f->p->tcpip, f->p->now, v->tcp, 0);
            }
            return true;
        }
        struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)n};
        ssize_t sent = sendmsg(f->fd, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0 && f->gate) {
            f->gate->up += (uint64_t)sent;
            f->gate->used = f->p->now;
        }
        if (sent >= 0) {
            if (f->guest)
                f->guest->passed(f->guest_ctx, iov, n, (size_t)sent);
            tcp_recv_consume(f->p->tcpip, f->p->now, v->tcp, (size_t)sent);
        } else if (errno == EAGAIN) {
            v->can_write = false;
            fdset_want_out(f->p->set, f->watch);
        } else if (errno == EPIPE && v->role == VSOCK_CLIENT && !v->gone) {
            tcp_recv_consume(f->p->tcpip, f->p->now, v->tcp, span_bytes(iov, n)); /* shut down for reading: it is for nobody */
        } else if (errno != EINTR) {
            flow_broken(f);
            return false;
        }
    }
    return true;
}

static void flow_open(struct flow *f)
{
    vsock_set_state(f->v, VSOCK_OPEN);
    f->v->can_read = f->v->can_write = true;
    if (flow_read(f))
        flow_write(f);
}

/* The next of the addresses, if there is one. */
static void gate_failed(struct flow *f, int err)
{
    struct pump *p = f->p;
    fdset_del(p->set, f->watch);
    close(f->fd);
    f->watch = NULL;
    f->fd = gate_next(f->gate, err);
    if (f->fd >= 0)
        f->watch = fdset_add(p->set, f->fd, true, on_program, f);
    if (f->watch)
        return;
    err = f->fd < 0 ? -f->fd : EHOSTUNREACH;
    p->count.refused++;
    gate_refuse(f->gate, err);
    flow_free(f, err);
}

/* The loopback connection to a local server stands or has failed. */
static void server_connected(struct flow *f)
{
    int err = socket_error(f->fd);
    if (f->gate && err) {
        gate_failed(f, err);
        return;
    }
    if (f->gate)
        gate_opened(f->gate);
    if (err) {
        f->p->count.refused++;
        tcp_refuse(f->p->tcpip, f->p->now, f->v->tcp);
        flow_free(f, err);
        return;
    }
    tcp_accept(f->p->tcpip, f->p->now, f->v->tcp);
    flow_open(f);
}

static void on_program(void *ctx, uint32_t events)
{
    struct flow *f = ctx;
    struct vsock *v = f->v;
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        v->can_read = true;
    if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        v->hup = true;
    if (events & (EPOLLHUP | EPOLLERR))
        v->gone = true;
    if (events & EPOLLOUT)
        v->can_write = true;
    if (v->state == VSOCK_CONNECTING) {
        if (v->role == VSOCK_SERVER && events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
            server_connected(f);
        else if (f->guest && v->gone)
            flow_abort(f, ECONNRESET);
        return;
    }
    if (v->gone && v->read_eof) {
        flow_closed(f);
        return;
    }
    if (flow_read(f) && v->can_write)
        flow_write(f);
}

/* ---- clients ---- */

/* The program's socket, for its answer. */
static int open_pair(struct flow *f, bool standing)
{
    struct sock_name name = {.handle = f->v->handle, .local = f->v->local, .remote = f->v->remote};
    return pair_open(&f->pair, &name, standing);
}

int flow_connect(struct pump *p, const struct side *s, const struct ipc_connect *ask, struct ipc_client *client, uint32_t serial)
{
    struct flow *f = flow_new(p, VSOCK_CLIENT);
    if (!f)
        return -ENOBUFS;
    struct vsock *v = f->v;
    const struct addr *remote = &ask->remote;
    v->resets = ask->resets;
    uint32_t unused_ip, host = names_host(p, remote);
    uint16_t unused_port, port = ask->local.port;
    int err = remote->family == 6
                  ? tcp_connect6(p->tcpip, p->now, s->own, s->own6, port, host, remote->ip, remote->port, &v->tcp)
                  : tcp_connect(p->tcpip, p->now, s->own, port, host, remote->port, &v->tcp);
    if (err)
        goto err_free;
    tcp_set_user(p->tcpip, v->tcp, (uint64_t)(uintptr_t)f);
    v->local = remote->family == 6 ? addr_v6(s->own6, 0) : addr_v4(s->own, 0);
    v->remote = *remote;
    tcp_names(p->tcpip, v->tcp, &unused_ip, &v->local.port, &unused_ip, &unused_port);
    p->count.connects++;
    if (!ask->patient && (err = open_pair(f, false)))
        goto err_abort;
    err = -EAGAIN;
    if (!ipc_client_waits(client))
        goto err_abort;
    f->asker = client;
    f->serial = serial;
    f->answer_by = mono_add(p->now, PATIENCE_US);
    TAILQ_INSERT_TAIL(&p->asking, f, asking);
    if (!ask->patient)
        flow_answer(f, 0);
    return 0;

err_abort:
    tcp_abort(p->tcpip, p->now, v->tcp);
err_free:
    flow_free(f, -err);
    return err;
}

static void client_connected(struct flow *f)
{
    int err = f->asker ? open_pair(f, true) : 0;
    if (!err && f->asker)
        flow_answer(f, 0);
    if (!err)
        err = pair_release(&f->pair);
    f->fd = f->pair.daemon;
    f->pair.daemon = -1;
    f->v->state = VSOCK_OPEN;
    f->watch = err ? NULL : fdset_add(f->p->set, f->fd, false, on_program, f);
    if (err || !f->watch)
        flow_broken(f);
    else
        flow_open(f);
}

mono_t flow_deadline(const struct pump *p)
{
    const struct flow *f = TAILQ_FIRST(&p->asking);
    return f ? f->answer_by : MONO_NEVER;
}

/* It takes longer: the program gets a socket which is still dialling. */
void flow_expire(struct pump *p)
{
    struct flow *f;
    while ((f = TAILQ_FIRST(&p->asking)) && mono_due(f->answer_by, p->now)) {
        int err = open_pair(f, false);
        if (err)
            flow_abort(f, -err);
        else
            flow_answer(f, 0);
    }
}

void flow_client_gone(struct pump *p, const struct ipc_client *c)
{
    struct flow *f, *next;
    for (f = TAILQ_FIRST(&p->asking); f; f = next) {
        next = TAILQ_NEXT(f, asking);
        if (f->asker != c)
            continue;
        f->asker = NULL;
        TAILQ_REMOVE(&p->asking, f, asking);
        flow_abort(f, ECONNABORTED);
    }
}

/* ---- servers ---- */

static bool is_connected(int fd)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    return getpeername(fd, (struct sockaddr *)&ss, &len) == 0;
}

/* Who serves that: a program under i3run, or the target of a door. *by_door: which. False: nobody. A guest finds a program under
 * i3run behind a door that leads to the very port. */
static bool server_of(struct pump *p, const struct tcpip_event *e, const struct addr *own, struct addr *at, bool *by_door)
{
    bool guest;
    const struct door *d = access_door(p, side_by_own(p, e->local), e->remote, IPPROTO_TCP, e->local_port, &guest);
    bool same = d && addr_is_loopback(&d->target) && d->target.port == e->local_port;
    const struct listener *l = !guest || same ? listen_find(p, own) : NULL;
    *by_door = guest || !l;
    *at = l ? l->bound : d ? d->target : (struct addr){0};
    return at->family;
}

/* From where a target is asked: loopback mirrors the peer's address; elsewhere this machine asks. */
static struct addr asker_of(const struct pump *p, const struct tcpip_event *e, const struct addr *at)
{
    uint8_t family = addr_is_any(at) ? (e->v6 ? 6 : 4) : at->family;
    struct addr virt = names_host_address(p, e->remote, family, e->remote_port);
    if (addr_is_any(at) || addr_is_loopback(at))
        return mirror_address(&virt);
    return (struct addr){.family = family};
}

/* A peer's SYN: a connection to the server decides what it gets. */
static void flow_incoming(struct pump *p, const struct tcpip_event *e)
{
    uint8_t family = e->v6 ? 6 : 4;
    struct addr own = names_host_address(p, e->local, family, e->local_port), at;
    bool by_door;
    if (!side_by_own(p, e->local)) {
        p->count.incoming++;
        gate_incoming(p, e);
        return;
    }
    struct flow *f = server_of(p, e, &own, &at, &by_door) ? flow_new(p, VSOCK_SERVER) : NULL;
    p->count.incoming++;
    if (!f) {
        p->count.refused++;
        tcp_refuse(p->tcpip, p->now, e->ref);
        return;
    }
    struct vsock *v = f->v;
    v->tcp = e->ref;
    v->local = own;
    v->remote = names_host_address(p, e->remote, family, e->remote_port);
    struct addr from = asker_of(p, e, &at), to;
    f->by_door = by_door;
    f->fd = loopback_connect(&from, &at, &to);
    bool connected = f->fd >= 0 && is_connected(f->fd);
    if (f->fd >= 0 && vsock_set_mirror(p->vsocks, v, &from, &to) == 0)
        f->watch = fdset_add(p->set, f->fd, !connected, on_program, f);
    if (!f->watch) {
        p->count.refused++;
        tcp_refuse(p->tcpip, p->now, e->ref);
        flow_free(f, ECONNREFUSED);
        return;
    }
    tcp_set_user(p->tcpip, e->ref, (uint64_t)(uintptr_t)f);
    if (connected)
        server_connected(f);
}

/* ---- for a gateway ---- */

int flow_serve(struct pump *p, struct tcp_ref ref, const struct addr *local, const struct addr *remote, int fd, struct gate_conn *g)
{
    struct flow *f = flow_new(p, VSOCK_SERVER);
    struct fdset_entry *watch = f ? fdset_add(p->set, fd, true, on_program, f) : NULL;
    if (!watch) {
        close(fd);
        if (f)
            flow_free(f, ECONNREFUSED);
        return -ENOMEM;
    }
    f->v->tcp = ref;
    f->v->local = *local;
    f->v->remote = *remote;
    f->fd = fd;
    f->watch = watch;
    f->gate = g;
    g->flow = f;
    tcp_set_user(p->tcpip, ref, (uint64_t)(uintptr_t)f);
    return 0;
}

void flow_drop(struct flow *f, int err)
{
    flow_abort(f, err);
}

void flow_late(struct flow *f)
{
    gate_failed(f, ETIMEDOUT);
}

/* ---- guests ---- */

int flow_dial(struct pump *p, const struct side *s, const struct addr *remote, int fd, const struct flow_guest *guest, void *ctx, struct flow **out)
{
    struct flow *f = flow_new(p, VSOCK_GUEST);
    if (!f)
        return -ENOBUFS;
    struct vsock *v = f->v;
    uint32_t unused_ip;
    uint16_t unused_port;
    int err = tcp_connect(p->tcpip, p->now, s->own, 0, names_host(p, remote), remote->port, &v->tcp);
    if (err)
        goto err_free;
    tcp_set_user(p->tcpip, v->tcp, (uint64_t)(uintptr_t)f);
    v->local = addr_v4(s->own, 0);
    v->remote = *remote;
    tcp_names(p->tcpip, v->tcp, &unused_ip, &v->local.port, &unused_ip, &unused_port);
    p->count.connects++;
    err = -ENOMEM;
    f->watch = fdset_add(p->set, fd, false, on_program, f);
    if (!f->watch)
        goto err_abort;
    f->fd = fd;
    f->guest = guest;
    f->guest_ctx = ctx;
    *out = f;
    return 0;

err_abort:
    tcp_abort(p->tcpip, p->now, v->tcp);
err_free:
    flow_free(f, -err);
    return err;
}

static void guest_connected(struct flow *f)
{
    f->guest->connected(f->guest_ctx);
    flow_open(f);
}

void flow_poke(struct flow *f)
{
    if (f->v->state != VSOCK_OPEN)
        return;
    f->v->can_read = true;
    flow_read(f);
}

void flow_cut(struct flow *f)
{
    tcp_abort(f->p->tcpip, f->p->now, f->v->tcp);
    f->guest = NULL;
    f->fd = -1;
    flow_free(f, ECONNRESET);
}

/* ---- events ---- */

static void flow_event(struct pump *p, const struct tcpip_event *e)
{
    struct flow *f = (struct flow *)(uintptr_t)e->user;
    switch (e->kind) {
    case TCPIP_INCOMING:
        flow_incoming(p, e);
        return;
    case TCPIP_ECHO_REPLY:
        ping_reply(p, e);
        return;
    case TCPIP_CONNECTED:
        if (f->v->role == VSOCK_CLIENT)
            client_connected(f);
        else if (f->guest)
            guest_connected(f);
        return;
    case TCPIP_READABLE:
        if (f->v->state == VSOCK_OPEN)
            flow_write(f);
        return;
    case TCPIP_WRITABLE:
        if (f->v->state == VSOCK_OPEN)
            flow_read(f);
        return;
    case TCPIP_FAILED:
        flow_free(f, e->err);
        return;
    case TCPIP_CLOSED:
        flow_free(f, 0);
        return;
    }
}

void flow_events(struct pump *p)
{
    struct tcpip_event e;
    while (tcpip_event(p->tcpip, &e))
        if (e.user || e.kind == TCPIP_INCOMING || e.kind == TCPIP_ECHO_REPLY)
            flow_event(p, &e);
}

static bool is_local(const struct vsock *v, uint32_t own, const struct addr *own6)
{
    return v->local.family == 6 ? !memcmp(v->local.ip, own6->ip, sizeof(own6->ip)) : addr_ip4(&v->local) == own;
}

bool flow_has_local(struct pump *p, uint32_t own)
{
    struct addr own6 = names_host_address(p, own, 6, 0);
    for (const struct vsock *v = vsock_next(p->vsocks, NULL); v; v = vsock_next(p->vsocks, v))
        if (v->state == VSOCK_OPEN && is_local(v, own, &own6))
            return true;
    return false;
}

void flow_end_local(struct pump *p, uint32_t own)
{
    struct addr own6 = names_host_address(p, own, 6, 0);
    for (struct vsock *v = vsock_next(p->vsocks, NULL), *next; v; v = next) {
        next = vsock_next(p->vsocks, v);
        if (is_local(v, own, &own6))
            flow_broken(v->io);
    }
}

/* What came by a door, and whose door is shut. */
static bool is_barred(struct pump *p, const struct vsock *v)
{
    const struct flow *f = v->io;
    bool guest;
    uint32_t own = names_host(p, &v->local);
    const struct side *s = v->role == VSOCK_SERVER && f->by_door ? side_by_own(p, own) : NULL;
    return s && !access_door(p, s, names_host(p, &v->remote), IPPROTO_TCP, v->local.port, &guest);
}

struct barred {
    struct pump *p;
    const struct side *s;
    uint32_t host;
};

static bool port_is_barred(void *ctx, uint32_t local, uint16_t port)
{
    const struct barred *b = ctx;
    bool guest;
    return local == b->s->own && !access_door(b->p, b->s, b->host, IPPROTO_TCP, port, &guest) && guest;
}

/* What servers have left behind on its way, and gone, goes no further. */
static void recheck_orphans(struct pump *p)
{
    for (struct overlay *o = p->overlays; o; o = o->next)
        for (struct peer *peer = peer_next(o->peers, NULL); peer; peer = peer_next(o->peers, peer)) {
            struct barred b = {p, o->sides, peer_addresses(peer).local};
            if (b.host)
                p->count.cut += tcpip_reset_orphans(p->tcpip, p->now, b.host, port_is_barred, &b);
        }
}

void flow_recheck(struct pump *p)
{
    recheck_orphans(p);
    for (struct vsock *v = vsock_next(p->vsocks, NULL), *next; v; v = next) {
        next = vsock_next(p->vsocks, v);
        if (!is_barred(p, v))
            continue;
        p->count.cut++;
        flow_abort(v->io, ECONNRESET);
    }
}

void flow_end6(struct pump *p, uint32_t host)
{
    for (struct vsock *v = vsock_next(p->vsocks, NULL), *next; v; v = next) {
        next = vsock_next(p->vsocks, v);
        if (v->remote.family == 6 && (!host || names_host(p, &v->remote) == host))
            flow_broken(v->io);
    }
}

/* The daemon ends: every connection is reset. */
void flow_stop(struct pump *p)
{
    struct vsock *v;
    while ((v = vsock_next(p->vsocks, NULL)))
        flow_broken(v->io);
}
