#include "daemon/program/dgram.h"

#include <string.h>

#include "include/bytes.h"
#include "include/ipc.h"

enum { PORTS = 65536 };

/* Least recently used first. */
struct mirror_list {
    struct mirror *oldest, *newest;
};

struct usock_list {
    struct usock *oldest, *newest;
};

/* A peer's mirrors that nobody has asked for. */
struct crowd {
    struct addr who; /* port 0 */
    unsigned n;
    UT_hash_handle hh;
};

struct dgrams {
    unsigned n_usocks, n_mirrors;
    struct usock_list servers, clients;
    struct mirror_list plain, asked;
    struct mirror *by_virt, *by_real;
    struct crowd *crowds;
    void (*gone)(void *ctx, struct usock *u);
    void *ctx;
    struct usock *port[PORTS], *real_port[PORTS];
};

#define LIST_ADD(l, x)                                                                                                 \
    do {                                                                                                               \
        (x)->older = (l)->newest;                                                                                      \
        (x)->newer = NULL;                                                                                             \
        if ((l)->newest)                                                                                               \
            (l)->newest->newer = (x);                                                                                  \
        else                                                                                                           \
            (l)->oldest = (x);                                                                                         \
        (l)->newest = (x);                                                                                             \
    } while (0)

#define LIST_REMOVE(l, x)                                                                                              \
    do {                                                                                                               \
        if ((x)->older)                                                                                                \
            (x)->older->newer = (x)->newer;                                                                            \
        else                                                                                                           \
            (l)->oldest = (x)->newer;                                                                                  \
        if ((x)->newer)                                                                                                \
            (x)->newer->older = (x)->older;                                                                            \
        else                                                                                                           \
            (l)->newest = (x)->older;                                                                                  \
    } while (0)

struct dgrams *dgrams_new(void (*gone)(void *ctx, struct usock *u), void *ctx)
{
    struct dgrams *d = calloc(1, sizeof(*d));
    if (d) {
        d->gone = gone;
        d->ctx = ctx;
    }
    return d;
}

void dgrams_free(struct dgrams *d)
{
    if (!d)
        return;
    while (d->clients.oldest)
        usock_free(d, d->clients.oldest);
    while (d->servers.oldest)
        usock_free(d, d->servers.oldest);
    while (mirror_oldest(d))
        mirror_free(d, mirror_oldest(d));
    free(d);
}

/* ---- programs' sockets ---- */

static struct usock_list *usock_list(struct dgrams *d, const struct usock *u)
{
    return u->server ? &d->servers : &d->clients;
}

static void asked_link(struct dgrams *d, struct usock *u)
{
    u->chain = d->port[u->asked.port];
    d->port[u->asked.port] = u;
}

static void asked_unlink(struct dgrams *d, struct usock *u)
{
    struct usock **at = &d->port[u->asked.port];
    while (*at != u)
        at = &(*at)->chain;
    *at = u->chain;
}

struct usock *usock_add(struct dgrams *d, mono_t now, const struct addr *at, uint64_t cookie, bool server)
{
    struct usock *u = usock_by_cookie(d, at->port, cookie);
    if (u) {
        LIST_REMOVE(usock_list(d, u), u);
        u->server |= server;
        if (addr_eq(&u->at, &u->asked))
            u->asked = *at;
        u->at = *at;
        u->used = u->verified = now;
        LIST_ADD(usock_list(d, u), u);
        return u;
    }
    if (d->n_usocks == USOCKS_MAX)
        usock_free(d, d->clients.oldest ? d->clients.oldest : d->servers.oldest);
    u = calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    *u = (struct usock){.at = *at, .asked = *at, .cookie = cookie, .server = server, .used = now, .verified = now};
    u->real_chain = d->real_port[at->port];
    d->real_port[at->port] = u;
    asked_link(d, u);
    LIST_ADD(usock_list(d, u), u);
    d->n_usocks++;
    return u;
}

void usock_ask(struct dgrams *d, struct usock *u, const struct addr *asked, uint8_t flags)
{
    asked_unlink(d, u);
    u->asked = *asked;
    u->flags = flags;
    asked_link(d, u);
}

struct usock *usock_by_cookie(const struct dgrams *d, uint16_t port, uint64_t cookie)
{
    struct usock *u = d->real_port[port];
    while (u && u->cookie != cookie)
        u = u->real_chain;
    return u;
}

static struct addr loopback(uint8_t family, uint16_t port)
{
    static const uint8_t one6[16] = {[15] = 1};
    return family == 6 ? addr_v6(one6, port) : addr_v4(INADDR_LOOPBACK, port);
}

/* Bound to all of IPv6, it takes IPv4 as well (if not, the kernel will tell). */
bool usock_takes(const struct usock *u, uint8_t family)
{
    return u->asked.family == family || (family == 4 && addr_is_any(&u->asked));
}

bool usock_conflicts(const struct usock *u, const struct addr *asked, uint8_t flags)
{
    return u->asked.family == asked->family && (addr_is_any(&u->asked) || addr_is_any(asked) || addr_eq(&u->asked, asked)) &&
           !(u->flags & flags & (IPC_LISTEN_REUSEPORT | IPC_LISTEN_REUSEADDR));
}

struct addr usock_address(const struct usock *u, uint8_t family)
{
    return addr_is_any(&u->at) ? loopback(family, u->at.port) : u->at;
}

struct usock *usock_find(const struct dgrams *d, const struct addr *from)
{
    for (struct usock *u = d->real_port[from->port]; u; u = u->real_chain) {
        struct addr speaks = usock_address(u, from->family);
        if ((u->at.family == from->family || u->at.family == 6) && addr_eq(&speaks, from))
            return u;
    }
    return NULL;
}

/* 0: not at all. */
static int rank(const struct usock *u, const struct addr *own)
{
    struct addr at = loopback(own->family, own->port);
    if (!usock_takes(u, own->family))
        return 0;
    if (addr_eq(&u->asked, own))
        return 3;
    return addr_is_any(&u->asked) || addr_eq(&u->asked, &at) ? 2 : 1;
}

struct usock *usock_for(const struct dgrams *d, const struct addr *own, uint32_t hash)
{
    int best = 0;
    unsigned n = 0;
    for (struct usock *u = d->port[own->port]; u; u = u->chain) {
        int r = rank(u, own);
        n = r > best ? 1 : n + (r == best);
        best = r > best ? r : best;
    }
    if (!best)
        return NULL;
    n = hash % n;
    for (struct usock *u = d->port[own->port]; u; u = u->chain)
        if (rank(u, own) == best && n-- == 0)
            return u;
    return NULL;
}

void usock_touch(struct dgrams *d, struct usock *u, mono_t now)
{
    struct usock_list *l = usock_list(d, u);
    u->used = now;
    if (l->newest == u)
        return;
    LIST_REMOVE(l, u);
    LIST_ADD(l, u);
}

void usock_free(struct dgrams *d, struct usock *u)
{
    struct usock **at = &d->real_port[u->at.port];
    d->gone(d->ctx, u);
    while (*at != u)
        at = &(*at)->real_chain;
    *at = u->real_chain;
    asked_unlink(d, u);
    LIST_REMOVE(usock_list(d, u), u);
    d->n_usocks--;
    free(u);
}

void usock_demote(struct dgrams *d, struct usock *u)
{
    LIST_REMOVE(usock_list(d, u), u);
    u->server = false;
    LIST_ADD(usock_list(d, u), u);
}

struct usock *usock_newest(const struct dgrams *d)
{
    return d->clients.newest;
}

struct usock *usock_server(const struct dgrams *d)
{
    return d->servers.oldest;
}

struct usock *usock_on_port(const struct dgrams *d, uint16_t port, const struct usock *u)
{
    return u ? u->chain : d->port[port];
}

struct usock *usock_next(const struct dgrams *d, const struct usock *u)
{
    if (!u)
        return d->clients.oldest ? d->clients.oldest : d->servers.oldest;
    return u->newer || u->server ? u->newer : d->servers.oldest;
}

unsigned usocks_count(const struct dgrams *d)
{
    return d->n_usocks;
}

void usocks_expire(struct dgrams *d, mono_t now)
{
    struct usock *u;
    while ((u = d->clients.oldest) && mono_due(mono_add(u->used, USOCK_IDLE_US), now))
        usock_free(d, u);
}

/* ---- mirrors ---- */

static struct mirror_list *mirror_list(struct dgrams *d, const struct mirror *m)
{
    return m->asked ? &d->asked : &d->plain;
}

static struct addr crowd_key(const struct addr *virt)
{
    struct addr who = *virt;
    who.port = 0;
    return who;
}

static struct crowd *crowd_find(const struct dgrams *d, const struct addr *virt)
{
    struct crowd *c;
    struct addr who = crowd_key(virt);
    HASH_FIND(hh, d->crowds, &who, sizeof(who), c);
    return c;
}

static bool crowd_enter(struct dgrams *d, struct mirror *m)
{
    struct crowd *c = crowd_find(d, &m->virt);
    if (!c) {
        c = calloc(1, sizeof(*c));
        if (!c)
            return false;
        c->who = crowd_key(&m->virt);
        HASH_ADD(hh, d->crowds, who, sizeof(c->who), c);
    }
    c->n++;
    m->crowd = c;
    return true;
}

static void crowd_leave(struct dgrams *d, struct mirror *m)
{
    struct crowd *c = m->crowd;
    m->crowd = NULL;
    if (!c || --c->n)
        return;
    HASH_DELETE(hh, d->crowds, c);
    free(c);
}

bool mirrors_of_enough(const struct dgrams *d, const struct addr *virt, unsigned max)
{
    const struct crowd *c = crowd_find(d, virt);
    unsigned left = d->n_mirrors < max ? max - d->n_mirrors : 0;
    return c && c->n >= MIRRORS_LEAST && c->n >= left;
}

struct mirror *mirror_oldest_of(const struct dgrams *d, const struct addr *virt)
{
    enum { LOOK = 64 };
    const struct crowd *c = crowd_find(d, virt);
    struct mirror *m = d->plain.oldest;
    for (unsigned i = 0; m && i < LOOK && m->crowd != c; i++)
        m = m->newer;
    return c && m && m->crowd == c ? m : NULL;
}

struct mirror *mirror_new(struct dgrams *d, mono_t now, const struct addr *virt, const struct addr *real, bool asked)
{
    struct mirror *m = d->n_mirrors < MIRRORS_MAX ? calloc(1, sizeof(*m)) : NULL;
    if (!m)
        return NULL;
    m->virt = *virt;
    m->real = *real;
    m->asked = asked;
    m->used = now;
    if (!asked && !crowd_enter(d, m)) {
        free(m);
        return NULL;
    }
    HASH_ADD(by_virt, d->by_virt, virt, sizeof(m->virt), m);
    HASH_ADD(by_real, d->by_real, real, sizeof(m->real), m);
    LIST_ADD(mirror_list(d, m), m);
    d->n_mirrors++;
    return m;
}

struct mirror *mirror_find(const struct dgrams *d, const struct addr *virt)
{
    struct mirror *m;
    HASH_FIND(by_virt, d->by_virt, virt, sizeof(*virt), m);
    return m;
}

struct mirror *mirror_find_real(const struct dgrams *d, const struct addr *real)
{
    struct mirror *m;
    HASH_FIND(by_real, d->by_real, real, sizeof(*real), m);
    return m;
}

void mirror_touch(struct dgrams *d, struct mirror *m, mono_t now)
{
    struct mirror_list *l = mirror_list(d, m);
    m->used = now;
    if (l->newest == m)
        return;
    LIST_REMOVE(l, m);
    LIST_ADD(l, m);
}

void mirror_ask(struct dgrams *d, struct mirror *m, mono_t now)
{
    LIST_REMOVE(mirror_list(d, m), m);
    crowd_leave(d, m);
    m->asked = true;
    m->used = now;
    LIST_ADD(mirror_list(d, m), m);
}

void mirror_free(struct dgrams *d, struct mirror *m)
{
    crowd_leave(d, m);
    HASH_DELETE(by_virt, d->by_virt, m);
    HASH_DELETE(by_real, d->by_real, m);
    LIST_REMOVE(mirror_list(d, m), m);
    d->n_mirrors--;
    free(m);
}

struct mirror *mirror_oldest(const struct dgrams *d)
{
    return d->plain.oldest ? d->plain.oldest : d->asked.oldest;
}

struct mirror *mirror_next_asked(const struct dgrams *d, const struct mirror *m)
{
    return m ? m->newer : d->asked.oldest;
}

unsigned mirrors_count(const struct dgrams *d)
{
    return d->n_mirrors;
}

static mono_t mirror_end(const struct mirror *m)
{
    return m ? mono_add(m->used, m->asked ? MIRROR_ASKED_US : MIRROR_IDLE_US) : MONO_NEVER;
}

struct mirror *mirror_expired(const struct dgrams *d, mono_t now)
{
    if (mono_due(mirror_end(d->plain.oldest), now))
        return d->plain.oldest;
    return mono_due(mirror_end(d->asked.oldest), now) ? d->asked.oldest : NULL;
}

mono_t dgrams_deadline(const struct dgrams *d)
{
    mono_t at = mono_min(mirror_end(d->plain.oldest), mirror_end(d->asked.oldest));
    return d->clients.oldest ? mono_min(at, mono_add(d->clients.oldest->used, USOCK_IDLE_US)) : at;
}
