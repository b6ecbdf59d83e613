#include "daemon/io/resolver.h"

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <utlist.h>

#include "daemon/base/log.h"
#include "daemon/io/clock.h"
#include "include/bytes.h"

enum { SOCKETS_MAX = 32, TIMEOUT_MS = 1000, TRIES = 2 };

#define OTHER_FAMILY_US (300 * USEC_PER_MSEC)

struct watch {
    struct resolver *r;
    ares_socket_t fd;
    struct fdset_entry *entry; /* NULL: free */
};

struct question {
    struct resolver *r; /* NULL: free */
    uint32_t token;
    bool asking; /* we are in resolver_ask(): what comes now is told later */
    bool done;
    int err;
    const char *why;
};

/* A name's addresses are being asked for: A and AAAA at once. */
struct search {
    struct resolver *r;
    uint32_t token;
    unsigned waiting; /* for so many answers */
    bool asking;      /* we are in resolver_ask_addresses(): what comes now is told later */
    bool told;
    mono_t due; /* the one that is missing is not waited for any longer; MONO_NEVER: it is */
    int err[2]; /* of A, of AAAA */
    const char *why;
    struct resolver_found found;
    struct search *prev, *next;
};

struct resolver {
    ares_channel channel;
    struct fdset *set;
    resolver_fn *fn;
    void *ctx;
    struct watch watch[SOCKETS_MAX];
    struct question question[RESOLVER_MAX];
    struct search *searches;
    resolver_found_fn *found;
    unsigned busy, n_searches;
    bool ending, knows_system;
};

static void on_socket(void *ctx, uint32_t events)
{
    struct watch *w = ctx;
    bool out = events & (EPOLLOUT | EPOLLERR | EPOLLHUP), in = events & (EPOLLIN | EPOLLERR | EPOLLHUP | EPOLLRDHUP);
    ares_process_fd(w->r->channel, in ? w->fd : ARES_SOCKET_BAD, out ? w->fd : ARES_SOCKET_BAD);
}

static void on_state(void *ctx, ares_socket_t fd, int readable, int writable)
{
    struct resolver *r = ctx;
    struct watch *mine = NULL, *room = NULL;
    for (unsigned i = 0; i < SOCKETS_MAX; i++) {
        if (r->watch[i].entry && r->watch[i].fd == fd)
            mine = &r->watch[i];
        else if (!r->watch[i].entry && !room)
            room = &r->watch[i];
    }
    if (!readable && !writable) {
        if (mine)
            fdset_del(r->set, mine->entry);
        if (mine)
            mine->entry = NULL;
        return;
    }
    if (!mine && room) {
        *room = (struct watch){.r = r, .fd = fd};
        room->entry = fdset_add(r->set, fd, writable, on_socket, room);
    } else if (mine && writable) {
        fdset_want_out(r->set, mine->entry);
    }
}

static int verdict(int status, const char **why)
{
    *why = ares_strerror(status);
    switch (status) {
    case ARES_ENOTFOUND:
        *why = "the DNS knows no such name";
        return -ENOENT;
    case ARES_ENODATA:
        *why = "the DNS has no TXT record for it";
        return -ENOENT;
    case ARES_ESERVFAIL:
        *why = "the DNS server has trouble of its own (SERVFAIL)";
        return -EAGAIN;
    case ARES_ETIMEOUT:
    case ARES_ECONNREFUSED:
        *why = "no DNS server answers";
        return -EAGAIN;
    case ARES_EREFUSED:
        *why = "the DNS server refuses to answer (REFUSED)";
        return -EPROTO;
    case ARES_ENOTIMP:
    case ARES_EFORMERR:
        *why = "the DNS server does not understand the question";
        return -EPROTO;
    case ARES_EBADRESP:
        *why = "the DNS server's answer is malformed";
        return -EPROTO;
    default:
        return -EAGAIN;
    }
}

static void finish(struct question *q, int err, const char *why, const uint8_t *msg, size_t len)
{
    struct resolver *r = q->r;
    uint32_t token = q->token;
    q->r = NULL;
    r->busy--;
    if (!r->ending)
        r->fn(r->ctx, token, err, why, msg, len);
}

static void on_answer(void *ctx, int status, int timeouts, unsigned char *msg, int len)
{
    struct question *q = ctx;
    const char *why = NULL;
    (void)timeouts;
    int err = status == ARES_SUCCESS ? 0 : verdict(status, &why);
    if (!q->asking) {
        finish(q, err, why, msg, len > 0 ? (size_t)len : 0);
        return;
    }
    q->done = true; /* at once, so it can only be a failure */
    q->err = err ? err : -EAGAIN;
    q->why = err ? why : "the DNS cannot be asked";
}

static int use_server(struct resolver *r, const struct addr *server)
{
    char s[ADDR_STR];
    return ares_set_servers_ports_csv(r->channel, addr_str(server, s)) == ARES_SUCCESS ? 0 : -EINVAL;
}

int resolver_new(struct resolver **out, struct fdset *set, const struct addr *server, resolver_fn *fn, void *ctx)
{
    struct resolver *r = calloc(1, sizeof(*r));
    struct ares_options o = {.timeout = TIMEOUT_MS, .tries = TRIES, .sock_state_cb = on_state, .sock_state_cb_data = r, .lookups = (char *)"b"};
    o.flags = ARES_FLAG_NOCHECKRESP | ARES_FLAG_EDNS;
    o.ednspsz = 1232;
    if (!r)
        return -ENOMEM;
    *r = (struct resolver){.set = set, .fn = fn, .ctx = ctx, .knows_system = access("/etc/resolv.conf", R_OK) == 0 || errno == ENOENT};
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS | ARES_OPT_FLAGS | ARES_OPT_EDNSPSZ;
    int status = ares_library_init(ARES_LIB_INIT_ALL);
    if (status == ARES_SUCCESS)
        status = ares_init_options(&r->channel, &o, mask);
    if (status != ARES_SUCCESS) {
        free(r);
        return status == ARES_ENOMEM ? -ENOMEM : -EIO;
    }
    int err = server->family ? use_server(r, server) : 0;
    if (err) {
        resolver_free(r);
        return err;
    }
    *out = r;
    return 0;
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    r->ending = true;
    ares_destroy(r->channel);
    ares_library_cleanup();
    free(r);
}

int resolver_ask(struct resolver *r, const char *name, uint32_t token)
{
    struct question *q = NULL;
    for (unsigned i = 0; i < RESOLVER_MAX && !q; i++)
        if (!r->question[i].r)
            q = &r->question[i];
    if (!q)
        return -ENOSPC;
    *q = (struct question){.r = r, .token = token, .asking = true};
    r->busy++;
    ares_query(r->channel, name, ns_c_in, ns_t_txt, on_answer, q);
    q->asking = false;
    return 0;
}

/* ---- addresses ---- */

static void search_tell(struct search *s)
{
    struct resolver_found *f = &s->found;
    s->told = true;
    if (!f->n) {
        static const int order[] = {-EAGAIN, -EPROTO, -ENOENT}; /* what one of the two says counts, in this order */
        f->err = -ENODATA;
        for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]) && f->err == -ENODATA; i++)
            if (s->err[0] == order[i] || s->err[1] == order[i])
                f->err = order[i];
        f->why = f->err == -ENODATA ? "the name has no address" : s->why;
    }
    if (!s->r->ending && s->r->found)
        s->r->found(s->r->ctx, s->token, f);
}

static void search_free(struct search *s)
{
    DL_DELETE(s->r->searches, s);
    s->r->n_searches--;
    s->r->busy--;
    free(s);
}

static void add_address(struct resolver_found *f, uint8_t family, const void *ip, int ttl)
{
    struct addr a = {.family = family};
    memcpy(a.ip, ip, family == 4 ? 4 : 16);
    if (f->n == RESOLVER_FOUND_MAX)
        return;
    unsigned at = f->n;
    for (; family == 4 && at && f->addr[at - 1].family == 6; at--)
        f->addr[at] = f->addr[at - 1];
    if (ttl >= 0 && (!f->n || (uint32_t)ttl < f->ttl))
        f->ttl = (uint32_t)ttl;
    f->addr[at] = a;
    f->n++;
}

/* How many there are in a good answer. */
static int read_addresses(struct resolver_found *f, bool v6, const unsigned char *msg, int len)
{
    struct ares_addrttl v4[RESOLVER_FOUND_MAX / 2];
    struct ares_addr6ttl v[RESOLVER_FOUND_MAX / 2];
    int n = RESOLVER_FOUND_MAX / 2;
    int status = v6 ? ares_parse_aaaa_reply(msg, len, NULL, v, &n) : ares_parse_a_reply(msg, len, NULL, v4, &n);
    for (int i = 0; status == ARES_SUCCESS && i < n; i++)
        add_address(f, v6 ? 6 : 4, v6 ? (const void *)&v[i].ip6addr : &v4[i].ipaddr, v6 ? v[i].ttl : v4[i].ttl);
    return status;
}

static bool skip_name(struct reader *r)
{
    for (unsigned n; (n = get_u8(r)) && !r->failed;) {
        if (n >= 0xc0) {
            get_u8(r);
            break;
        }
        get_span(r, n);
    }
    return !r->failed;
}

/* RFC 2308: how long it holds that there is nothing, the least of the SOA's own life and its last field; UINT32_MAX: it is not said. */
static uint32_t negative_ttl(const unsigned char *msg, int len)
{
    struct reader r = reader_of(msg, msg && len > 0 ? (size_t)len : 0);
    get_u32(&r); /* id, flags */
    unsigned questions = get_u16(&r), records = get_u16(&r);
    records += get_u16(&r);
    get_u16(&r);
    for (; questions && skip_name(&r); questions--)
        get_u32(&r);
    for (; records && skip_name(&r); records--) {
        uint16_t type = get_u16(&r);
        get_u16(&r);
        uint32_t ttl = get_u32(&r);
        size_t n = get_u16(&r);
        const uint8_t *data = get_span(&r, n);
        if (!data || type != ns_t_soa || n < 22)
            continue;
        struct reader last = reader_of(data + n - 4, 4);
        uint32_t least = get_u32(&last);
        return least < ttl ? least : ttl;
    }
    return UINT32_MAX;
}

static void on_addresses(struct search *s, bool v6, int status, const unsigned char *msg, int len)
{
    struct resolver_found *f = &s->found;
    const char *why = NULL;
    bool good = status == ARES_SUCCESS;
    if (good)
        status = read_addresses(f, v6, msg, len);
    s->err[v6] = status == ARES_SUCCESS ? 0 : status == ARES_ENODATA ? -ENODATA : verdict(status, &why);
    if (why && s->err[v6] != -ENODATA)
        s->why = why;
    uint32_t ttl = status == ARES_ENODATA || status == ARES_ENOTFOUND ? negative_ttl(msg, len) : UINT32_MAX;
    if (!f->n && ttl != UINT32_MAX && (!f->ttl || ttl < f->ttl))
        f->ttl = ttl;
    s->waiting--;
    if (s->waiting && f->n)
        s->due = mono_add(mono_now(), OTHER_FAMILY_US);
    if (s->asking || s->waiting)
        return;
    if (!s->told)
        search_tell(s);
    search_free(s);
}

static void on_a(void *ctx, int status, int timeouts, unsigned char *msg, int len)
{
    (void)timeouts;
    on_addresses(ctx, false, status, msg, len);
}

static void on_aaaa(void *ctx, int status, int timeouts, unsigned char *msg, int len)
{
    (void)timeouts;
    on_addresses(ctx, true, status, msg, len);
}

void resolver_set_found(struct resolver *r, resolver_found_fn *fn)
{
    r->found = fn;
}

int resolver_ask_addresses(struct resolver *r, const char *name, uint32_t token)
{
    if (r->n_searches == RESOLVER_ADDRESSES_MAX)
        return -ENOSPC;
    struct search *s = calloc(1, sizeof(*s));
    if (!s)
        return -ENOMEM;
    *s = (struct search){.r = r, .token = token, .waiting = 2, .asking = true, .due = MONO_NEVER};
    DL_APPEND(r->searches, s);
    r->n_searches++;
    r->busy++;
    ares_query(r->channel, name, ns_c_in, ns_t_a, on_a, s);
    ares_query(r->channel, name, ns_c_in, ns_t_aaaa, on_aaaa, s);
    s->asking = false;
    if (!s->waiting)
        s->due = mono_now();
    return 0;
}

static mono_t searches_deadline(const struct resolver *r)
{
    mono_t at = MONO_NEVER;
    for (const struct search *s = r->searches; s; s = s->next)
        if (!s->told)
            at = mono_min(at, s->due);
    return at;
}

static void searches_expire(struct resolver *r)
{
    mono_t now = mono_now();
    for (struct search *s = r->searches, *next; s; s = next) {
        next = s->next;
        if (!s->told && mono_due(s->due, now))
            search_tell(s);
        if (s->told && !s->waiting)
            search_free(s);
    }
}

bool resolver_knows_system(const struct resolver *r)
{
    return r->knows_system;
}

unsigned resolver_busy(const struct resolver *r)
{
    return r->busy;
}

mono_t resolver_deadline(struct resolver *r, mono_t now)
{
    struct timeval tv, *t;
    for (unsigned i = 0; i < RESOLVER_MAX && r->busy; i++)
        if (r->question[i].r && r->question[i].done)
            return now;
    t = r->busy ? ares_timeout(r->channel, NULL, &tv) : NULL;
    return mono_min(searches_deadline(r), t ? mono_add(now, (uint64_t)t->tv_sec * USEC_PER_SEC + (uint64_t)t->tv_usec + 1000) : MONO_NEVER);
}

void resolver_expire(struct resolver *r)
{
    for (unsigned i = 0; i < RESOLVER_MAX && r->busy; i++)
        if (r->question[i].r && r->question[i].done)
            finish(&r->question[i], r->question[i].err, r->question[i].why, NULL, 0);
    searches_expire(r);
    if (r->busy)
        ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}
