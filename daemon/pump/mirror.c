/* pump/mirror.c - mirrors and programs' sockets come and go, are remembered, and are held against what the kernel knows.
 *
 * Whose datagram is it? Any local user may send to a mirror, so the sender's socket must be this user's: the kernel is asked
 * (sock_diag) when a socket is first seen, and then about once a second while it is in use.
 */
#include "daemon/pump/udp.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/io/mirror.h"
#include "daemon/program/dgram_file.h"

enum {
    SAVE_AT_ONCE = 256,       /* with more to write, once a second is enough */
    EXPIRE_MAX = 8,           /* mirrors looked after in one turn: each may be a walk through all sockets of the host */
    VERIFY_MAX = 256,         /* sockets looked after in one go */
    STRANGERS_BURST = 200,    /* questions to the kernel about sockets that nobody has told us of */
    PLAIN_REST_US = 100000,   /* a mirror used since is not idle, and makes no room for another: a server may still answer */
    ASKED_REST_US = 10000000, /* ... to which a program may be connected */
};
#define VERIFY_US USEC_PER_SEC
#define VERIFIED_US (5 * USEC_PER_SEC / 2) /* a verdict holds so long: two rounds and a half */

bool dgram_bucket_take(struct bucket *b, mono_t now, uint32_t burst, uint32_t rate)
{
    uint64_t more = mono_since(b->at, now) * rate / USEC_PER_SEC;
    if (more) {
        b->tokens = more + b->tokens > burst ? burst : b->tokens + (uint32_t)more;
        b->at = now;
    }
    if (!b->tokens)
        return false;
    b->tokens--;
    return true;
}

/* ---- mirrors ---- */

int dgram_fd(const struct mirror *m)
{
    return ((const struct mirror_io *)m->io)->fd;
}

void mirror_ready(struct mirror_io *x)
{
    struct dgram_side *s = x->p->dgram;
    if (x->m->ready)
        return;
    x->m->ready = true;
    x->next_ready = NULL;
    if (s->ready_last)
        s->ready_last->next_ready = x;
    else
        s->ready_first = x;
    s->ready_last = x;
}

static void on_mirror(void *ctx, uint32_t events)
{
    (void)events;
    mirror_ready(ctx);
}

void mirror_unready(struct dgram_side *s, struct mirror_io *x)
{
    struct mirror_io **at = &s->ready_first, *before = NULL;
    for (; *at && *at != x; at = &(*at)->next_ready)
        before = *at;
    if (!*at)
        return;
    *at = x->next_ready;
    if (s->ready_last == x)
        s->ready_last = before;
    x->m->ready = false;
}

static void mirror_close(struct pump *p, struct mirror *m)
{
    struct mirror_io *x = m->io;
    dgram_flush(p); /* it may still have to deliver */
    if (m->ready)
        mirror_unready(p->dgram, x);
    fdset_del(p->set, x->watch);
    close(x->fd);
    free(x);
    mirror_free(p->dgram->t, m);
}

/* Room for one more, at the cost of one that has not been used for a while. */
static bool make_room(struct pump *p)
{
    struct mirror *m = mirror_oldest(p->dgram->t);
    if (!m || mono_since(m->used, p->now) < (m->asked ? ASKED_REST_US : PLAIN_REST_US) || m == p->dgram->reading)
        return false;
    mirror_close(p, m);
    p->dgram->count.evicted++;
    return true;
}

/* The peer has its share: one of its own goes, if it rests. */
static bool make_room_of(struct pump *p, const struct addr *virt)
{
    struct mirror *m = mirror_oldest_of(p->dgram->t, virt);
    if (!m || mono_since(m->used, p->now) < PLAIN_REST_US || m == p->dgram->reading) {
        p->dgram->count.over_share++;
        return false;
    }
    mirror_close(p, m);
    p->dgram->count.evicted++;
    return true;
}

static int open_fd(struct pump *p, struct addr *real)
{
    int fd = mirror_open(real);
    if ((fd == -EMFILE || fd == -ENFILE) && make_room(p))
        fd = mirror_open(real);
    return fd;
}

/* The mirror of a virtual peer, made if need be, at `real` if that is free. 0 or -errno (-ENOBUFS: too many, and all in use). */
static int mirror_get_at(struct pump *p, const struct addr *virt, struct addr real, bool asked, struct mirror **out)
{
    struct dgram_side *s = p->dgram;
    struct mirror *m = *out = mirror_find(s->t, virt);
    if (m)
        return 0;
    if (!asked && mirrors_of_enough(s->t, virt, s->mirrors_max) && !make_room_of(p, virt))
        return -ENOBUFS;
    if (mirrors_count(s->t) >= s->mirrors_max && !make_room(p))
        return -ENOBUFS;
    int fd = open_fd(p, &real);
    if (fd < 0)
        return fd == -EMFILE || fd == -ENFILE ? -ENOBUFS : fd;
    struct mirror_io *x = calloc(1, sizeof(*x));
    m = x ? mirror_new(s->t, p->now, virt, &real, asked) : NULL;
    if (m) {
        m->host = names_host(p, virt);
        m->own = p->own;
        *x = (struct mirror_io){.p = p, .m = m, .fd = fd};
        m->io = x;
        x->watch = fdset_add(p->set, fd, false, on_mirror, x);
    }
    if (!m || !x->watch) {
        if (m)
            mirror_free(s->t, m);
        free(x);
        close(fd);
        return -ENOMEM;
    }
    *out = m;
    return 0;
}

/* At a port that the kernel chooses: at the peer's own, a program of this host could not bind the same port to all addresses
 * as long as the mirror stands, and well-known ports are the same everywhere. */
int dgram_mirror(struct pump *p, const struct addr *virt, bool asked, struct mirror **out)
{
    struct addr real = mirror_address(virt);
    real.port = 0;
    return mirror_get_at(p, virt, real, asked, out);
}

/* ---- whose socket ---- */

struct usock *dgram_verify(struct pump *p, struct usock *u, const struct addr *from)
{
    struct dgram_side *s = p->dgram;
    struct diag_udp_info info;
    struct addr at = usock_address(u, from->family);
    int err = diag_udp(p->diag, &at, from, &info);
    struct usock *found = err == -EOPNOTSUPP ? u : NULL;
    if (!err && info.uid == s->uid)
        found = usock_by_cookie(s->t, u->at.port, info.cookie);
    if (found) {
        found->verified = p->now;
        return found;
    }
    if (err == -ENOENT && u->server && from->port) { /* it may have connected itself to somebody else, or be closed */
        u->verified = (mono_t){0};
        usock_demote(s->t, u);
        return NULL;
    }
    s->save |= u->server;
    usock_free(s->t, u);
    return NULL;
}

/* From where a datagram reaches it in any case: the peer that it has last spoken to, and may be connected to. */
static struct addr likely_source(const struct usock *u)
{
    return u->peer.family ? u->peer : (struct addr){.family = u->at.family};
}

static struct usock *verify_alive(struct pump *p, struct usock *u)
{
    struct addr from = likely_source(u);
    return dgram_verify(p, u, &from);
}

/* Where several share the port, the one that answers for it may be another. */
static bool is_alive(struct pump *p, struct usock *u)
{
    struct usock *found = verify_alive(p, u);
    if (!found || found == u || diag_udp_alive(p->diag, &u->at, u->cookie))
        return found;
    p->dgram->save |= u->server;
    usock_free(p->dgram->t, u);
    return false;
}

static bool fresh(const struct pump *p, const struct usock *u)
{
    return mono_since(u->verified, p->now) < VERIFIED_US;
}

struct usock *dgram_sender(struct pump *p, const struct mirror *m, const struct addr *from)
{
    struct dgram_side *s = p->dgram;
    struct usock *u = usock_find(s->t, from);
    struct diag_udp_info info;
    if (u && fresh(p, u))
        return u;
    if (!u && !dgram_bucket_take(&s->strangers, p->now, STRANGERS_BURST, STRANGERS_BURST))
        return NULL;
    int err = diag_udp(p->diag, from, &m->real, &info);
    if (err == -EOPNOTSUPP)
        return u;
    if (err || info.uid != s->uid)
        return NULL;
    u = usock_by_cookie(s->t, from->port, info.cookie);
    if (!u) /* as far as this datagram shows where it is bound */
        return usock_add(s->t, p->now, from, info.cookie, false);
    u->verified = p->now;
    return u;
}

struct usock *dgram_other(struct pump *p, const struct mirror *m, uint16_t port, uint64_t cookie)
{
    for (struct usock *u = usock_on_port(p->dgram->t, port, NULL), *next; u; u = next) {
        struct usock *found;
        next = u->chain;
        if (u->cookie != cookie && usock_takes(u, m->real.family) && (found = dgram_verify(p, u, &m->real)))
            return found;
    }
    return NULL;
}

struct usock *dgram_receiver(struct pump *p, const struct mirror *m, uint16_t port)
{
    struct addr own = names_host_address(p, m->own, m->real.family, port);
    struct usock *u = usock_for(p->dgram->t, &own, addr_ip4(&m->virt) ^ m->virt.port);
    if (!u || fresh(p, u))
        return u;
    uint64_t cookie = u->cookie; /* it may be gone then */
    u = dgram_verify(p, u, &m->real);
    return u ? u : dgram_other(p, m, port, cookie);
}

unsigned dgram_deliver_all(struct pump *p, const struct mirror *m, uint16_t port, uint64_t but, const uint8_t *data, size_t len)
{
    unsigned n = 0;
    for (struct usock *u = usock_on_port(p->dgram->t, port, NULL), *next; u; u = next) {
        next = u->chain;
        if (!u->server || u->cookie == but || !usock_takes(u, m->real.family) || (!fresh(p, u) && dgram_verify(p, u, &m->real) != u))
            continue;
        deliver(p, u, m, data, len);
        n++;
    }
    return n;
}

/* Sockets in use are looked after, so that neither their last datagram before close() nor the first after a pause has to wait
 * for a question. */
static void verify_some(struct pump *p)
{
    struct usock *older;
    unsigned n = 0;
    for (struct usock *u = usock_newest(p->dgram->t); u && n < VERIFY_MAX; u = older, n++) {
        older = u->older;
        verify_alive(p, u);
    }
    for (struct usock *u; n < VERIFY_MAX && (u = usock_server(p->dgram->t)) && !fresh(p, u); n++) {
        usock_touch(p->dgram->t, u, p->now);
        verify_alive(p, u);
    }
}

/* ---- the file ---- */

void dgram_save(struct pump *p)
{
    size_t len;
    char *text = dgrams_format(p->dgram->t, &len);
    pump_state_save(p, "udp", text, len);
    p->dgram->save = false;
}

/* After a restart: servers whose sockets are still there, and mirrors at the addresses they had. */
int dgram_load(struct pump *p, char *why, size_t whylen)
{
    char *text;
    struct dgram_line line;
    struct mirror *m;
    int err = pump_state_load(p, "udp", &text, why, whylen);
    if (!text)
        return err;
    for (const char *at = text; dgrams_parse(&at, &line);) {
        if (line.mirror && addr_is_loopback(&line.real) && names_is_virtual(p, names_host(p, &line.a)))
            mirror_get_at(p, &line.a, line.real, true, &m);
        if (line.mirror)
            continue;
        struct usock *u = usock_add(p->dgram->t, p->now, &line.a, line.cookie, true);
        if (!u)
            continue;
        usock_ask(p->dgram->t, u, &line.asked, line.flags);
        verify_alive(p, u);
    }
    free(text);
    return 0;
}

/* ---- what programs ask ---- */

/* Servers that are gone leave no trace until somebody looks: each new one pays for a look at two old ones. */
static void forget_some(struct pump *p)
{
    struct usock *u;
    for (int i = 0; i < 2 && (u = usock_server(p->dgram->t)); i++) {
        usock_touch(p->dgram->t, u, p->now);
        is_alive(p, u);
    }
}

int dgram_open(struct pump *p, const struct ipc_udp_open *q, struct addr *mirror)
{
    struct dgram_side *s = p->dgram;
    bool any = !memcmp(q->bound.ip, (uint8_t[16]){0}, 16);
    struct mirror *m;
    if (q->bound.family != q->remote.family && !(q->bound.family == 6 && any))
        return -ENETUNREACH; /* as the kernel says when source and destination do not go together */
    int err = dgram_mirror(p, &q->remote, false, &m);
    if (err)
        return err;
    s->save |= q->connects;
    if (q->connects)
        mirror_ask(s->t, m, p->now);
    else
        mirror_touch(s->t, m, p->now);
    struct usock *u = usock_add(s->t, p->now, &q->bound, q->cookie, false);
    if (!u)
        return -ENOBUFS;
    u->peer = m->real;
    *mirror = m->real;
    return 0;
}

int dgram_listen(struct pump *p, const struct addr *bound, uint64_t cookie, const struct addr *asked, uint8_t flags)
{
    struct dgram_side *s = p->dgram;
    forget_some(p);
    struct usock *u = usock_add(s->t, p->now, bound, cookie, true);
    if (!u)
        return -ENOBUFS;
    usock_ask(s->t, u, asked, flags);
    s->save = true;
    if (usocks_count(s->t) + mirrors_count(s->t) <= SAVE_AT_ONCE)
        dgram_save(p);
    return 0;
}

bool dgram_taken(struct pump *p, const struct addr *asked, uint64_t cookie, uint8_t flags)
{
    for (struct usock *u = usock_on_port(p->dgram->t, asked->port, NULL), *next; u; u = next) {
        next = u->chain;
        if (u->cookie != cookie && usock_conflicts(u, asked, flags) && is_alive(p, u))
            return true;
    }
    return false;
}

const struct addr *dgram_asked(const struct pump *p, const struct addr *bound, uint64_t cookie)
{
    const struct usock *u = usock_by_cookie(p->dgram->t, bound->port, cookie);
    return u && !addr_eq(&u->asked, &u->at) ? &u->asked : NULL;
}

bool dgram_self(const struct pump *p, const struct addr *own, struct addr *at)
{
    const struct usock *u = usock_for(p->dgram->t, own, 0);
    if (u)
        *at = usock_address(u, own->family);
    return u;
}

const struct addr *dgram_peer(const struct pump *p, const struct addr *real, uint32_t *own)
{
    const struct mirror *m = mirror_find_real(p->dgram->t, real);
    *own = m ? m->own : p->own;
    return m ? &m->virt : NULL;
}

/* ---- life ---- */

/* No more than a fourth of the files we may have. */
static unsigned mirrors_limit(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur / 4 >= MIRRORS_MAX)
        return MIRRORS_MAX;
    return (unsigned)r.rlim_cur / 4;
}

int dgram_start(struct pump *p)
{
    struct dgram_side *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    p->dgram = s;
    s->t = dgrams_new(deliver_forget, p);
    s->io = mirrors_io_new(drbg_u64(&p->random));
    s->ip_id = (uint16_t)drbg_u64(&p->random);
    s->uid = geteuid();
    s->mirrors_max = mirrors_limit();
    s->verify_at = MONO_NEVER;
    s->pieces = reassembly_new();
    return s->t && s->io && s->pieces ? 0 : -ENOMEM;
}

void dgram_stop(struct pump *p)
{
    struct dgram_side *s = p->dgram;
    struct mirror *m;
    if (!s)
        return;
    if (s->t && s->io && p->set)
        dgram_save(p);
    while (s->t && s->io && (m = mirror_oldest(s->t)))
        mirror_close(p, m);
    mirrors_io_free(s->io);
    reassembly_free(s->pieces);
    dgrams_free(s->t); /* backlogs go with their sockets */
    free(s);
    p->dgram = NULL;
}

/* Idle mirrors go, but for those to which some socket is still connected: it would not ask again. */
static void mirrors_expire(struct pump *p)
{
    struct dgram_side *s = p->dgram;
    struct mirror *m;
    for (int i = 0; i < EXPIRE_MAX && (m = mirror_expired(s->t, p->now)); i++) {
        if (m->asked && diag_udp_connected(p->diag, &m->real))
            mirror_ask(s->t, m, p->now);
        else
            mirror_close(p, m);
    }
}

void dgram_expire(struct pump *p)
{
    struct dgram_side *s = p->dgram;
    if (mono_due(s->verify_at, p->now)) {
        s->verify_at = MONO_NEVER;
        verify_some(p);
        deliver_trim(p);
        if (s->save)
            dgram_save(p);
    }
    deliver_expire(p);
    reassembly_expire(s->pieces, p->now);
    if (s->verify_at.us == MONO_NEVER.us && usocks_count(s->t))
        s->verify_at = mono_add(p->now, VERIFY_US);
    usocks_expire(s->t, p->now);
    mirrors_expire(p);
}

mono_t dgram_deadline(const struct pump *p)
{
    mono_t at = mono_min(p->dgram->verify_at, dgrams_deadline(p->dgram->t));
    at = mono_min(at, reassembly_deadline(p->dgram->pieces));
    return mono_min(at, deliver_deadline(p));
}

void dgram_sweep(struct pump *p)
{
    for (struct usock *u = usock_next(p->dgram->t, NULL), *next; u; u = next) {
        next = usock_next(p->dgram->t, u);
        if (u->server)
            is_alive(p, u);
    }
}

const struct dgrams *dgram_table(const struct pump *p)
{
    return p->dgram->t;
}

const struct dgram_counters *dgram_counters(const struct pump *p)
{
    p->dgram->count.mirrors = mirrors_count(p->dgram->t);
    p->dgram->count.sockets = usocks_count(p->dgram->t);
    p->dgram->count.fragments = *reassembly_stats(p->dgram->pieces);
    return &p->dgram->count;
}
