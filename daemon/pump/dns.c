/* pump/dns.c - DNS over UDP between programs, the stub and the servers they have chosen; see pump/dns.h.
 *
 * As with any mirror, everybody on this host may send to one of ours: a datagram counts when the kernel says that the socket it
 * came from is this user's (pump/mirror.c).
 */
#include "daemon/pump/dns.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/io/mirror.h"
#include "daemon/pump/policy.h"
#include "daemon/pump/udp.h"

#define VERIFIED_US (5 * USEC_PER_SEC / 2)

enum { EXPIRE_MAX = 64 };

struct dns_server {
    struct pump *p;
    struct addr at, real; /* the server; where its mirror is bound */
    int fd;
    struct fdset_entry *watch;
    mono_t used;
    UT_hash_handle by_at, by_real;
    TAILQ_ENTRY(dns_server) older;
};

/* A program's socket that asks a server. */
struct asker_key {
    struct addr from, server;
};

struct dns_asker {
    struct asker_key key;
    struct dns_server *s;
    int fd; /* to the server, -1: nothing was for it yet */
    struct fdset_entry *watch;
    mono_t used, verified;
    UT_hash_handle hh;
    TAILQ_ENTRY(dns_asker) older;
};

/* ---- names ---- */

static void find(void *ctx, const char *name, struct dns_facts *f)
{
    struct ipc_resolved v;
    struct pump *p = ctx;
    policy_resolve(p, name, p->dns->app, &v);
    p->dns->pending |= v.status == IPC_PENDING;
    f->rcode = v.status == ENOENT ? DNS_NXDOMAIN : v.status == ENODATA ? DNS_NOERROR : v.status == EKEYREJECTED || v.status == EPROTO ? DNS_REFUSED : v.status ? DNS_SERVFAIL : DNS_NOERROR;
    f->a = v.addr;
    f->a6 = v.addr6;
}

static bool claims(void *ctx, const char *name)
{
    struct pump *p = ctx;
    return policy_claims(p, name, p->dns->app);
}

static bool is_virtual(void *ctx, const struct addr *a)
{
    return names_is_ours(ctx, a);
}

static void reverse(void *ctx, const struct addr *a, struct dns_facts *f)
{
    if (!names_reverse(ctx, names_host(ctx, a), f->ptr))
        f->rcode = DNS_NXDOMAIN;
}

size_t dns_answer(struct pump *p, const char *app, const uint8_t *msg, size_t len, uint8_t out[DNS_REPLY_MAX])
{
    p->dns->app = app;
    return stub_answer(&p->dns->names, msg, len, out, DNS_REPLY_MAX);
}

static struct dns_told *told_by(struct dns_side *d, uint16_t port)
{
    for (unsigned i = 0; i < DNS_TOLD_MAX; i++)
        if (d->told[i].port == port)
            return &d->told[i];
    return NULL;
}

void dns_tell(struct pump *p, uint16_t port, const char *app)
{
    struct dns_told *t = told_by(p->dns, port);
    if (!t && !*app)
        return;
    if (!t)
        t = &p->dns->told[p->dns->told_next++ % DNS_TOLD_MAX];
    t->port = port;
    snprintf(t->app, sizeof(t->app), "%s", app);
}

bool dns_is_server(struct pump *p, const struct addr *remote)
{
    return remote->family && remote->port == DNS_PORT && !names_is_ours(p, remote);
}

/* ---- sockets to servers ---- */

/* An address that says something about the way to the server: not "any", nor that loopback which leads to our mirror. */
static bool is_chosen(const struct addr *from, const struct addr *server)
{
    return from && from->family == server->family && !addr_is_any(from) && addr_is_loopback(from) == addr_is_loopback(server);
}

int dns_dial(int type, const struct addr *server, const struct addr *from, struct addr *local)
{
    struct sockaddr_storage ss;
    socklen_t len = addr_to_sockaddr(server, &ss);
    int fd = socket(ss.ss_family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), err = 0;
    if (fd < 0)
        return -errno;
    if (is_chosen(from, server)) {
        struct sockaddr_storage mine;
        struct addr any_port = *from;
        any_port.port = 0;
        socklen_t n = addr_to_sockaddr(&any_port, &mine);
        err = bind(fd, (struct sockaddr *)&mine, n) < 0 ? -errno : 0;
    }
    if (!err && connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS)
        err = -errno;
    if (err) {
        close(fd);
        return err;
    }
    len = sizeof(ss);
    *local = getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ? (struct addr){0} : addr_from_sockaddr(&ss, len);
    return fd;
}

/* ---- askers ---- */

static void asker_free(struct pump *p, struct dns_asker *a)
{
    struct dns_side *d = p->dns;
    fdset_del(p->set, a->watch);
    if (a->fd >= 0)
        close(a->fd);
    HASH_DELETE(hh, d->askers, a);
    TAILQ_REMOVE(&d->old_askers, a, older);
    d->n_askers--;
    free(a);
}

static void asker_touch(struct dns_side *d, struct dns_asker *a, mono_t now)
{
    a->used = now;
    TAILQ_REMOVE(&d->old_askers, a, older);
    TAILQ_INSERT_TAIL(&d->old_askers, a, older);
}

/* Whether that socket is this user's. Where the kernel cannot be asked, the port must be one of those we were told of. */
static bool is_users(struct pump *p, const struct addr *from, const struct dns_server *s)
{
    struct diag_udp_info info;
    int err = diag_udp(p->diag, from, &s->real, &info);
    if (err == -EOPNOTSUPP)
        return p->dns->opened[from->port / 8] >> from->port % 8 & 1;
    return !err && info.uid == geteuid();
}

/* NULL: a stranger, or out of memory. */
static struct dns_asker *asker_get(struct pump *p, struct dns_server *s, const struct addr *from)
{
    struct dns_side *d = p->dns;
    struct asker_key key = {*from, s->at};
    struct dns_asker *a;
    HASH_FIND(hh, d->askers, &key, sizeof(key), a);
    if (a && mono_since(a->verified, p->now) < VERIFIED_US)
        return a;
    if (!is_users(p, from, s)) {
        p->dgram->count.strangers++;
        if (a)
            asker_free(p, a);
        return NULL;
    }
    if (!a) {
        if (d->n_askers >= d->askers_max)
            asker_free(p, TAILQ_FIRST(&d->old_askers));
        a = calloc(1, sizeof(*a));
        if (!a)
            return NULL;
        *a = (struct dns_asker){.key = key, .s = s, .fd = -1};
        HASH_ADD(hh, d->askers, key, sizeof(key), a);
        TAILQ_INSERT_TAIL(&d->old_askers, a, older);
        d->n_askers++;
    }
    a->verified = p->now;
    return a;
}

/* Nobody serves there: the program hears of it as it would have from the server's host. */
static void refuse(struct pump *p, const struct dns_asker *a)
{
    mirror_refuse(p->dgram->io, a->s->fd, &a->s->real, &a->key.from);
}

static void reply(const struct dns_asker *a, const uint8_t *msg, size_t len)
{
    struct sockaddr_storage ss;
    socklen_t n = addr_to_sockaddr(&a->key.from, &ss);
    for (int tries = 0; tries < 3; tries++) /* an error of an earlier one is told first */
        if (sendto(a->s->fd, msg, len, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&ss, n) >= 0 ||
            (errno != ECONNREFUSED && errno != EINTR))
            return;
}

/* What the server says. */
static void on_server(void *ctx, uint32_t events)
{
    struct dns_asker *a = ctx;
    struct pump *p = a->s->p;
    struct dns_side *d = p->dns;
    ssize_t n;
    (void)events;
    pump_clock(p);
    while ((n = recv(a->fd, d->datagram, sizeof(d->datagram), MSG_DONTWAIT)) >= 0 || errno == ECONNREFUSED || errno == EINTR) {
        if (n >= 0)
            reply(a, d->datagram, (size_t)n);
        else if (errno == ECONNREFUSED)
            refuse(p, a);
    }
    asker_touch(d, a, p->now);
}

/* To the server, unchanged. */
static void forward(struct pump *p, struct dns_asker *a, const uint8_t *msg, size_t len)
{
    struct addr local;
    if (a->fd < 0) {
        a->fd = dns_dial(SOCK_DGRAM, &a->key.server, &a->key.from, &local);
        a->watch = a->fd < 0 ? NULL : fdset_add(p->set, a->fd, false, on_server, a);
    }
    if (!a->watch || (send(a->fd, msg, len, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN && errno != EINTR))
        refuse(p, a);
    if (!a->watch && a->fd >= 0)
        close(a->fd);
    if (!a->watch)
        a->fd = -1;
}

/* A question about a name that is being looked up. False: there is no room, and it fails for now. */
static bool hold(struct pump *p, const struct dns_server *s, const struct addr *from, const uint8_t *msg, size_t len)
{
    struct dns_side *d = p->dns;
    if (d->n_held == DNS_HELD_MAX || len > sizeof(d->held[0].msg))
        return false;
    struct dns_held *h = &d->held[d->n_held++];
    *h = (struct dns_held){.server = s->at, .from = *from, .len = len};
    memcpy(h->msg, msg, len);
    return true;
}

static void from_program(void *ctx, const struct addr *from, const uint8_t *msg, size_t len)
{
    struct dns_server *s = ctx;
    struct pump *p = s->p;
    struct dns_asker *a = asker_get(p, s, from);
    if (!a)
        return;
    asker_touch(p->dns, a, p->now);
    p->dns->pending = false;
    const struct dns_told *t = told_by(p->dns, from->port);
    size_t n = dns_answer(p, t ? t->app : "", msg, len, p->dns->answer);
    if (n && p->dns->pending && hold(p, s, from, msg, len))
        return;
    if (n)
        reply(a, p->dns->answer, n);
    else
        forward(p, a, msg, len);
}

void dns_ask_again(struct pump *p)
{
    struct dns_side *d = p->dns;
    struct dns_held held[DNS_HELD_MAX];
    unsigned n = d->n_held;
    memcpy(held, d->held, n * sizeof(held[0]));
    d->n_held = 0;
    for (unsigned i = 0; i < n; i++) {
        struct dns_server *s;
        HASH_FIND(by_at, d->servers, &held[i].server, sizeof(held[i].server), s);
        if (s)
            from_program(s, &held[i].from, held[i].msg, held[i].len);
    }
}

/* ---- servers ---- */

static void server_touch(struct pump *p, struct dns_server *s)
{
    s->used = p->now;
    TAILQ_REMOVE(&p->dns->old_servers, s, older);
    TAILQ_INSERT_TAIL(&p->dns->old_servers, s, older);
}

static void on_mirror(void *ctx, uint32_t events)
{
    struct dns_server *s = ctx;
    struct pump *p = s->p;
    struct addr to;
    const uint8_t *data;
    size_t len;
    int more = 1;
    (void)events;
    pump_clock(p);
    server_touch(p, s);
    while (more) {
        more = mirror_recv(p->dgram->io, s->fd, from_program, s);
        while (more < 0 && mirror_refused(p->dgram->io, s->fd, &to, &data, &len))
            ; /* the program has not waited for its answer */
    }
}

static void server_free(struct pump *p, struct dns_server *s)
{
    struct dns_side *d = p->dns;
    for (struct dns_asker *a = TAILQ_FIRST(&d->old_askers), *next; a; a = next) {
        next = TAILQ_NEXT(a, older);
        if (a->s == s)
            asker_free(p, a);
    }
    fdset_del(p->set, s->watch);
    close(s->fd);
    HASH_DELETE(by_at, d->servers, s);
    HASH_DELETE(by_real, d->servers_real, s);
    TAILQ_REMOVE(&d->old_servers, s, older);
    d->n_servers--;
    free(s);
}

/* 127.53.x.y, x and y drawn from the server's address, so that a program which connects to two servers has two peers. */
static struct addr mirror_wish(const struct addr *server)
{
    uint32_t h = 2166136261u;
    for (size_t i = 0; i < sizeof(server->ip); i++)
        h = (h ^ server->ip[i]) * 16777619u;
    return server->family == 6 ? addr_v6(in6addr_loopback.s6_addr, 0) : addr_v4(0x7f350000 | (h >> 8 & 0xffff), 0);
}

static int server_new(struct pump *p, const struct addr *at, struct dns_server **out)
{
    struct dns_side *d = p->dns;
    struct addr real = mirror_wish(at);
    if (d->n_servers >= DNS_SERVERS_MAX)
        server_free(p, TAILQ_FIRST(&d->old_servers));
    int fd = mirror_open(&real);
    if (fd < 0)
        return fd == -EMFILE || fd == -ENFILE ? -ENOBUFS : fd;
    struct dns_server *s = calloc(1, sizeof(*s));
    struct fdset_entry *watch = s ? fdset_add(p->set, fd, false, on_mirror, s) : NULL;
    if (!watch) {
        free(s);
        close(fd);
        return -ENOMEM;
    }
    *s = (struct dns_server){.p = p, .at = *at, .real = real, .fd = fd, .watch = watch, .used = p->now};
    HASH_ADD(by_at, d->servers, at, sizeof(s->at), s);
    HASH_ADD(by_real, d->servers_real, real, sizeof(s->real), s);
    TAILQ_INSERT_TAIL(&d->old_servers, s, older);
    d->n_servers++;
    *out = s;
    return 0;
}

int dns_open(struct pump *p, const struct ipc_udp_open *q, struct addr *mirror)
{
    struct dns_side *d = p->dns;
    struct dns_server *s;
    HASH_FIND(by_at, d->servers, &q->remote, sizeof(q->remote), s);
    int err = s ? 0 : server_new(p, &q->remote, &s);
    if (err)
        return err;
    server_touch(p, s);
    d->opened[q->bound.port / 8] |= (uint8_t)(1 << q->bound.port % 8);
    *mirror = s->real;
    return 0;
}

const struct addr *dns_peer(struct pump *p, const struct addr *real, struct addr *local)
{
    struct dns_server *s;
    HASH_FIND(by_real, p->dns->servers_real, real, sizeof(*real), s);
    if (!s)
        return NULL;
    int fd = dns_dial(SOCK_DGRAM, &s->at, NULL, local);
    if (fd >= 0)
        close(fd);
    else
        *local = (struct addr){0};
    local->port = 0;
    return &s->at;
}

/* ---- life ---- */

/* Not more than an eighth of the files we may have. */
static unsigned askers_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur / 8 >= DNS_ASKERS_MAX)
        return DNS_ASKERS_MAX;
    return r.rlim_cur < 16 ? 2 : (unsigned)r.rlim_cur / 8;
}

int dns_start(struct pump *p)
{
    struct dns_side *d = p->dns = calloc(1, sizeof(*d));
    if (!d)
        return -ENOMEM;
    d->names = (struct stub_names){p->zones, claims, find, is_virtual, reverse, p};
    d->askers_max = askers_limit();
    d->app = "";
    TAILQ_INIT(&d->old_servers);
    TAILQ_INIT(&d->old_askers);
    TAILQ_INIT(&d->streams);
    return 0;
}

void dns_stop(struct pump *p)
{
    struct dns_server *s;
    if (!p->dns)
        return;
    dns_streams_stop(p);
    while ((s = TAILQ_FIRST(&p->dns->old_servers)))
        server_free(p, s);
    free(p->dns);
    p->dns = NULL;
}

void dns_expire(struct pump *p)
{
    struct dns_side *d = p->dns;
    struct dns_asker *a;
    struct dns_server *s;
    for (int i = 0; i < EXPIRE_MAX && (a = TAILQ_FIRST(&d->old_askers)) && mono_since(a->used, p->now) > DNS_ASKER_IDLE_US; i++)
        asker_free(p, a);
    if (!(s = TAILQ_FIRST(&d->old_servers)) || mono_since(s->used, p->now) < DNS_SERVER_IDLE_US)
        return;
    if (diag_udp_connected(p->diag, &s->real))
        server_touch(p, s);
    else
        server_free(p, s);
}
