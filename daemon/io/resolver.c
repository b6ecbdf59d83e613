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

#include "daemon/base/log.h"

enum { SOCKETS_MAX = 32, TIMEOUT_MS = 1000, TRIES = 2 };

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

struct resolver {
    ares_channel channel;
    struct fdset *set;
    resolver_fn *fn;
    void *ctx;
    struct watch watch[SOCKETS_MAX];
    struct question question[RESOLVER_MAX];
    unsigned busy;
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
    return t ? mono_add(now, (uint64_t)t->tv_sec * USEC_PER_SEC + (uint64_t)t->tv_usec + 1000) : MONO_NEVER;
}

void resolver_expire(struct resolver *r)
{
    for (unsigned i = 0; i < RESOLVER_MAX && r->busy; i++)
        if (r->question[i].r && r->question[i].done)
            finish(&r->question[i], r->question[i].err, r->question[i].why, NULL, 0);
    if (r->busy)
        ares_process_fd(r->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}
