/* pump/ipc.c - what programs ask: a table from request to handler. */
#include "daemon/pump/anon.h"
#include "daemon/pump/gateway.h"
#include "daemon/pump/impl.h"
#include "daemon/pump/lookup.h"
#include "daemon/pump/policy.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "daemon/base/log.h"

struct request {
    struct pump *p;
    struct ipc_client *client;
    uint32_t serial;
    struct reader r;
    struct writer w; /* the reply, its header written */
};

void ipc_reply(struct ipc_client *c, struct writer *w, int fd)
{
    if (writer_ok(w))
        ipc_send(c, w->start, writer_len(w), fd);
}

static void reply(struct request *q, int fd)
{
    ipc_reply(q->client, &q->w, fd);
}

static void reply_status(struct request *q, uint32_t status)
{
    put_u32(&q->w, status);
    reply(q, -1);
}

/* Everything that it does is anonymous. */
static bool is_hidden(const struct pump *p)
{
    return p->asker && anon_is_all(p->asker);
}

static void on_info(struct request *q)
{
    struct pump *p = q->p;
    const struct overlay *o = is_hidden(p) ? anon_overlay(p->asker, p->overlays) : NULL;
    unsigned every = policy_wants_every_name(p) || is_hidden(p) ? IPC_INFO_EVERY_NAME : 0;
    ipc_put_info(&q->w, &(struct ipc_info){.own = addr_v4(o ? o->sides->own : p->own, 0),
                            .own6 = addr_v6(o ? o->sides->own6 : p->own6, 0),
                            .pool = p->config.network,
                            .pool_bits = (uint8_t)p->config.network_bits,
                            .flags = (uint8_t)(every | (p->config.anonymity ? IPC_INFO_ANONYMOUS : 0) | (policy_wants_programs(p) ? IPC_INFO_PROGRAMS : 0)),
                            .pid = (uint32_t)getpid()});
    reply(q, -1);
}

static void on_program(struct request *q)
{
    struct ipc_program v;
    ipc_get_program(&q->r, &v);
    reply_status(q, q->r.failed ? EINVAL : (uint32_t)-anon_client_is(q->p, q->client, &v));
}

/* By which names a program knows that they are ours. */
static void on_suffixes(struct request *q)
{
    struct pump *p = q->p;
    struct ipc_suffixes v = {.flags = p->overlays->ring->nodes || p->ever_met ? 0 : IPC_SUFFIXES_NO_NODE};
    size_t at = 0;
    for (const struct overlay *o = p->overlays; o && at < sizeof(v.list); o = o->next)
        at += (size_t)snprintf(v.list + at, sizeof(v.list) - at, "%s%s", at ? "," : "", o->suffix);
    ipc_put_suffixes(&q->w, &v);
    reply(q, -1);
}

/* The answer comes when there is one, or in a moment. */
static bool wait_for_name(struct request *q, const char *name)
{
    return policy_wait(q->p, name, policy_app(q->p, q->client), q->client, q->serial);
}

static void on_resolve(struct request *q)
{
    struct ipc_name name;
    ipc_get_name(&q->r, &name);
    struct ipc_resolved v = {.status = ENOENT};
    if (!q->r.failed)
        policy_resolve(q->p, name.name, policy_app(q->p, q->client), &v);
    if (v.status == IPC_PENDING && wait_for_name(q, name.name))
        return;
    ipc_put_resolved(&q->w, &v);
    reply(q, -1);
}

static void on_reverse(struct request *q)
{
    struct addr a;
    char name[IPC_NAME_MAX + 1];
    get_addr(&q->r, &a);
    bool ours = !q->r.failed && names_is_ours(q->p, &a);
    const char *found = ours ? names_reverse(q->p, names_host(q->p, &a), name) : NULL;
    put_u32(&q->w, found ? 0 : ours ? ENOENT : IPC_NOT_VIRTUAL);
    if (found)
        put_bytes(&q->w, found, strlen(found));
    reply(q, -1);
}

/* What one program has resolved anonymously is no way for another, nor for itself when it is not. */
static bool is_own_via(struct pump *p, const struct via *v)
{
    struct overlay *o = ((struct side *)v->side)->o;
    return o->anon ? p->by && anon_overlay(p->by, anon_ring(o)) == o : !p->by;
}

/* What that destination is to us: 0, an errno, or an enum ipc_status. */
static uint32_t remote_verdict(struct pump *p, const struct addr *remote, const char *app)
{
    uint32_t ip = names_host(p, remote);
    if (!names_is_virtual(p, ip))
        return is_hidden(p) ? ENETUNREACH : IPC_NOT_VIRTUAL;
    const uint8_t *key = twin_key(p, pool_key(p->pool, p->now, ip));
    struct via *v = gate_via(p, ip);
    bool self = side_by_own(p, ip), anonymous = v ? policy_via_is_anonymous(p, v, app) : policy_is_anonymous(p, key, app);
    if (anonymous && (self || !p->asker))
        return ENETUNREACH; /* nobody's servers here, and nobody whom i3run has not started for it */
    if (self)
        return IPC_SELF;
    int err = v ? policy_connect_via(p, v, app) : policy_connect(p, key, app);
    if (err)
        return (uint32_t)err;
    p->by = anonymous ? p->asker : NULL;
    if (v)
        return is_own_via(p, v) ? (uint32_t)gate_connect(p, v) : ENETUNREACH;
    return names_address_at(p, ip) ? 0 : ENETUNREACH;
}

/* Programs which were refused over IPv4 try IPv6 next: a host that cannot be reached just now is not waited for a second time. */
static uint32_t connect_verdict(struct pump *p, const struct ipc_connect *c, const char *app)
{
    int lately = c->remote.family == 6 ? net_failed_lately(p, names_host(p, &c->remote)) : 0;
    if (lately)
        return (uint32_t)lately;
    uint32_t status = remote_verdict(p, &c->remote, app);
    if (!status && names_is_multicast(p, names_host(p, &c->remote)))
        return ENETUNREACH; /* as the kernel says of 224.0.0.0/4 */
    return !status && c->proto != IPPROTO_TCP ? EPROTONOSUPPORT : status;
}

void reply_socket(struct ipc_client *c, uint32_t serial, const struct ipc_socket *s, int fd)
{
    uint8_t out[128];
    struct writer w = writer_of(out, sizeof(out));
    ipc_put_header(&w, IPC_CONNECT | IPC_REPLY, serial);
    ipc_put_socket(&w, s);
    ipc_reply(c, &w, fd);
}

/* By which of our sides packets to that host go; NULL: by none. */
static const struct side *side_of_host(struct pump *p, uint32_t host)
{
    const struct via *v = gate_via(p, host);
    const uint8_t *key = pool_key(p->pool, p->now, host);
    const struct book_entry *e = v ? NULL : twin_entry(p, key);
    char full[IPC_NAME_MAX + 1];
    struct overlay *o = e ? overlay_of_entry(p, e->name, full) : overlay_of_key(p, key);
    return v ? v->side : o ? side_in(p, o) : NULL;
}

int ipc_way(struct pump *p, const struct addr *remote, const struct side **s)
{
    uint32_t verdict = remote_verdict(p, remote, "");
    *s = verdict ? NULL : side_of_host(p, names_host(p, remote));
    p->by = NULL;
    return verdict ? (int)verdict : *s ? 0 : ENETUNREACH;
}

static int connect_by(struct request *q, const struct ipc_connect *c)
{
    const struct side *s = side_of_host(q->p, names_host(q->p, &c->remote));
    return s ? flow_connect(q->p, s, c, q->client, q->serial) : -ENETUNREACH;
}

static void on_connect(struct request *q)
{
    struct ipc_connect c;
    struct ipc_socket s = {.status = EINVAL};
    ipc_get_connect(&q->r, &c);
    bool dns = !q->r.failed && c.proto == IPPROTO_TCP && !is_hidden(q->p) && dns_is_server(q->p, &c.remote);
    if (!q->r.failed && !dns)
        s.status = connect_verdict(q->p, &c, policy_app(q->p, q->client));
    if (dns)
        s.status = (uint32_t)-dns_connect(q->p, &c, q->client, q->serial);
    else if (!s.status)
        s.status = (uint32_t)-connect_by(q, &c);
    if (s.status == IPC_SELF)
        listen_self(q->p, IPPROTO_TCP, &c.remote, &s.remote);
    if (s.status)
        reply_socket(q->client, q->serial, &s, -1);
}

static void on_sock_error(struct request *q)
{
    uint64_t handle = get_u64(&q->r);
    reply_status(q, q->r.failed ? EINVAL : (uint32_t)vsock_error(q->p->vsocks, handle));
}

static void on_sock_reset(struct request *q)
{
    struct ipc_sock_reset s;
    ipc_get_sock_reset(&q->r, &s);
    struct vsock *v = q->r.failed ? NULL : vsock_by_handle(q->p->vsocks, s.handle);
    if (v)
        v->resets = s.resets;
    reply_status(q, v ? 0 : EINVAL);
}

static void on_sock_state(struct request *q)
{
    struct ipc_sock_state s = {.status = EINVAL};
    struct tcp_info_row row;
    uint64_t handle = get_u64(&q->r);
    const struct vsock *v = q->r.failed ? NULL : vsock_by_handle(q->p->vsocks, handle);
    uint32_t slot = v ? v->tcp.slot : 0;
    if (v && tcpip_next(q->p->tcpip, &slot, &row) && row.ref.slot == v->tcp.slot && row.ref.generation == v->tcp.generation)
        s = (struct ipc_sock_state){0, row.send_queued, row.recv_queued, row.srtt_us, row.rto_us, row.cwnd, row.ssthresh, row.mss,
            (uint32_t)row.retransmits, row.bytes_in, row.bytes_out};
    ipc_put_sock_state(&q->w, &s);
    reply(q, -1);
}

static void on_listen(struct request *q)
{
    struct ipc_listen l;
    struct addr asked = {0};
    int err = -EINVAL;
    ipc_get_listen(&q->r, &l);
    bool known = (l.proto == IPPROTO_TCP || l.proto == IPPROTO_UDP) && !is_hidden(q->p); /* which nobody calls */
    if (!q->r.failed && known && (l.flags & IPC_LISTEN_TRY ? l.asked.family : l.bound.port))
        err = listen_ask(q->p, &l, &asked);
    put_u32(&q->w, (uint32_t)-err);
    put_addr_or_none(&q->w, &asked);
    reply(q, -1);
}

static void on_bound(struct request *q)
{
    struct ipc_bound b;
    struct addr asked = {0};
    ipc_get_bound(&q->r, &b);
    put_u32(&q->w, !q->r.failed && listen_asked(q->p, &b, &asked) ? 0 : ENOENT);
    put_addr_or_none(&q->w, &asked);
    reply(q, -1);
}

static void on_verify(struct request *q)
{
    struct ipc_pair seen;
    ipc_get_pair(&q->r, &seen);
    struct vsock *v = q->r.failed ? NULL : vsock_by_mirror(q->p->vsocks, &seen.remote, &seen.local);
    put_u32(&q->w, v ? 0 : ENOENT);
    ipc_put_pair(&q->w, &(struct ipc_pair){.local = v ? v->local : (struct addr){0},
                            .remote = v ? v->remote : (struct addr){0}});
    reply(q, -1);
}

static void on_udp_open(struct request *q)
{
    struct ipc_udp_open u;
    struct addr mirror = {0}, local = {0};
    uint32_t status = EINVAL;
    ipc_get_udp_open(&q->r, &u);
    bool asked = !q->r.failed && u.bound.port && u.remote.port, dns = asked && !is_hidden(q->p) && dns_is_server(q->p, &u.remote);
    if (dns)
        dns_tell(q->p, u.bound.port, policy_app(q->p, q->client));
    if (dns)
        status = (uint32_t)-dns_open(q->p, &u, &mirror);
    else if (asked)
        status = remote_verdict(q->p, &u.remote, policy_app(q->p, q->client));
    if (!status && q->p->by)
        status = ENETUNREACH; /* datagrams of anonymous programs are not carried */
    if (dns && !status)
        status = IPC_DNS;
    else if (!status)
        status = (uint32_t)-dgram_open(q->p, &u, &mirror);
    if (status == IPC_SELF)
        listen_self(q->p, IPPROTO_UDP, &u.remote, &mirror);
    if (!status || status == IPC_SELF)
        local = names_host_address(q->p, q->p->own, u.remote.family, u.bound.port);
    put_u32(&q->w, status);
    ipc_put_pair(&q->w, &(struct ipc_pair){.local = mirror, .remote = local});
    reply(q, -1);
}

static void on_udp_peer(struct request *q)
{
    struct addr real;
    get_addr(&q->r, &real);
    uint32_t ours = q->p->own;
    const struct addr *peer = q->r.failed ? NULL : dgram_peer(q->p, &real, &ours);
    struct addr own = names_host_address(q->p, ours, peer ? peer->family : 4, 0);
    const struct addr *server = q->r.failed || peer ? NULL : dns_peer(q->p, &real, &own);
    put_u32(&q->w, peer ? 0 : server ? IPC_DNS : ENOENT);
    peer = server ? server : peer;
    ipc_put_pair(&q->w, &(struct ipc_pair){.local = peer ? *peer : (struct addr){0}, .remote = own});
    reply(q, -1);
}

static void on_control(struct request *q)
{
    control_request(q->p, q->client, q->serial, q->r.at, reader_left(&q->r));
}

void ipc_record(void *ctx, struct ipc_client *c, const uint8_t *data, size_t len)
{
    static void (*const handler[IPC_TYPES])(struct request *) = {
        [IPC_INFO] = on_info,
        [IPC_RESOLVE] = on_resolve,
        [IPC_REVERSE] = on_reverse,
        [IPC_CONNECT] = on_connect,
        [IPC_SOCK_ERROR] = on_sock_error,
        [IPC_LISTEN] = on_listen,
        [IPC_VERIFY] = on_verify,
        [IPC_CONTROL] = on_control,
        [IPC_UDP_OPEN] = on_udp_open,
        [IPC_UDP_PEER] = on_udp_peer,
        [IPC_BOUND] = on_bound,
        [IPC_SOCK_RESET] = on_sock_reset,
        [IPC_SOCK_STATE] = on_sock_state,
        [IPC_SUFFIXES] = on_suffixes,
        [IPC_PROGRAM] = on_program,
    };
    struct ipc_header h;
    uint8_t out[1024];
    struct request q = {.p = ctx, .client = c, .r = reader_of(data, len), .w = writer_of(out, sizeof(out))};
    ipc_get_header(&q.r, &h);
    if (q.r.failed || h.type >= IPC_TYPES || !handler[h.type]) {
        log_debug("ipc record type=%u len=%zu not understood", h.type, len);
        return;
    }
    q.serial = h.serial;
    pump_clock(q.p);
    ipc_put_header(&q.w, h.type | IPC_REPLY, h.serial);
    q.p->asker = anon_of_client(c);
    handler[h.type](&q);
    q.p->asker = q.p->by = NULL;
}

void ipc_gone(void *ctx, struct ipc_client *c)
{
    anon_client_gone(ctx, c);
    ping_client_gone(ctx, c);
    flow_client_gone(ctx, c);
    lookup_client_gone(ctx, c);
    gate_client_gone(ctx, c);
    share_client_gone(ctx, c);
}
