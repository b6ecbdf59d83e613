#include "daemon/io/stream_inside.h"

#include <assert.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <unistd.h>

#include "daemon/base/log.h"

enum {
    BUFFER = 512 << 10,
    READ_MAX = 128 << 10, /* of one connection in one batch */
    READ_MIN = 32 << 10,
    EVENTS_AT_ONCE = 16,
    ACCEPTS_AT_ONCE = 16,
    BACKLOG = 128,
    UNSENT_MAX = 64 << 10, /* in the kernel, beside what is on its way */
};

#define ACCEPT_PAUSE  (1 * USEC_PER_SEC)
#define TOLD_PAUSE    (60 * USEC_PER_SEC)
#define DIAL_PAUSE    (250 * USEC_PER_MSEC)
#define DIAL_MAX      (30 * USEC_PER_SEC)

void streams_config_default(struct streams_config *c)
{
    *c = (struct streams_config){.max = 1024, .per_source = 256, .queue_max = 2 << 20, .memory_max = 64 << 20};
}

int streams_new(struct streams **out, const struct streams_config *c)
{
    int err = -ENOMEM;
    struct streams *s = calloc(1, sizeof(*s));
    if (!s)
        return err;
    s->c = *c;
    s->accept_again = MONO_NEVER;
    TAILQ_INIT(&s->fresh);
    TAILQ_INIT(&s->heard);
    for (s->buckets = 64; s->buckets < c->max;)
        s->buckets *= 2;
    s->bucket = calloc(s->buckets, sizeof(*s->bucket));
    s->buffer = malloc(BUFFER);
    s->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (s->epfd < 0)
        err = -errno;
    if (getrandom(&s->secret, sizeof(s->secret), GRND_NONBLOCK) < 0)
        s->secret = (uint32_t)(uintptr_t)s;
    if (!s->bucket || !s->buffer || s->epfd < 0) {
        streams_free(s);
        return err;
    }
    *out = s;
    return 0;
}

/* ---- the table ---- */

static struct conn **place(const struct streams *s, const struct addr *at)
{
    uint32_t h = s->secret, v[sizeof(*at) / sizeof(uint32_t)];
    static_assert(sizeof(*at) == sizeof(v), "whole words");
    memcpy(v, at, sizeof(v));
    for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++)
        h = (h ^ v[i]) * 0x9e3779b1u, h ^= h >> 15;
    return &s->bucket[h & (s->buckets - 1)];
}

struct conn *conn_find(const struct streams *s, const struct addr *at)
{
    struct conn *c = *place(s, at);
    while (c && !addr_eq(&c->at, at))
        c = c->next;
    return c;
}

static struct conn_list *list_of(struct streams *s, const struct conn *c)
{
    return c->spoke ? &s->heard : &s->fresh;
}

static struct conn *conn_new(struct streams *s, mono_t now, const struct addr *at, int fd)
{
    struct conn *c = calloc(1, sizeof(*c)), **bucket = place(s, at);
    if (!c)
        return NULL;
    c->fd = fd;
    c->at = *at;
    c->last = now;
    c->next = *bucket;
    *bucket = c;
    TAILQ_INSERT_TAIL(&s->fresh, c, age);
    s->stats.open++;
    return c;
}

static void tell(struct streams *s, const struct conn *c, bool up, int err)
{
    if (!c->ours)
        return;
    if (s->events == STREAM_EVENTS) {
        s->event_first = (s->event_first + 1) % STREAM_EVENTS;
        s->events--;
    }
    s->event[(s->event_first + s->events++) % STREAM_EVENTS] = (struct stream_event){c->at, up, !c->connecting, err};
}

bool streams_event(struct streams *s, struct stream_event *out)
{
    if (!s->events)
        return false;
    *out = s->event[s->event_first];
    s->event_first = (s->event_first + 1) % STREAM_EVENTS;
    s->events--;
    return true;
}

static struct dial *dial_of(struct streams *s, const struct addr *at)
{
    return &s->dial[(place(s, at) - s->bucket) % DIALS];
}

/* It may be dialled again at once if it was good, else ever more slowly. */
static void dial_failed(struct streams *s, const struct conn *c)
{
    struct dial *d = dial_of(s, &c->at);
    if (!addr_eq(&d->at, &c->at) || c->spoke)
        *d = (struct dial){.at = c->at};
    d->pause = !d->pause ? DIAL_PAUSE : d->pause * 2 < DIAL_MAX ? d->pause * 2 : DIAL_MAX;
    d->again = c->spoke ? (mono_t){0} : mono_add(c->last, d->pause);
}

void conn_end(struct streams *s, struct conn *c, int err)
{
    struct conn **at = place(s, &c->at);
    char name[ADDR_STR];
    if (c->over)
        return;
    c->over = true;
    log_debug("stream address=%s ended err=%d", addr_str(&c->at, name), err);
    while (*at != c)
        at = &(*at)->next;
    *at = c->next;
    TAILQ_REMOVE(list_of(s, c), c, age);
    if (c->fd >= 0)
        close(c->fd);
    conn_drop_queue(s, c);
    chunk_put(s, c->in);
    c->in = NULL;
    if (c->ours)
        dial_failed(s, c);
    tell(s, c, false, err);
    s->stats.ended++;
    s->stats.open--;
    c->next = s->ended;
    s->ended = c;
}

static void bury(struct streams *s)
{
    while (s->ended) {
        struct conn *c = s->ended;
        s->ended = c->next;
        free(c);
    }
}

void streams_hang_up(struct streams *s)
{
    while (!TAILQ_EMPTY(&s->fresh))
        conn_end(s, TAILQ_FIRST(&s->fresh), 0);
    while (!TAILQ_EMPTY(&s->heard))
        conn_end(s, TAILQ_FIRST(&s->heard), 0);
}

void streams_free(struct streams *s)
{
    if (!s)
        return;
    streams_hang_up(s);
    bury(s);
    while (s->spare) {
        struct chunk *k = s->spare;
        s->spare = k->next;
        free(k);
    }
    for (unsigned i = 0; i < s->listeners; i++)
        close(s->listener[i]);
    if (s->epfd >= 0)
        close(s->epfd);
    free(s->buffer);
    free(s->bucket);
    free(s);
}

int streams_fd(const struct streams *s)
{
    return s->epfd;
}

void streams_lost(struct streams *s, uint64_t n)
{
    s->stats.lost += n;
}

const struct streams_stats *streams_stats(const struct streams *s)
{
    return &s->stats;
}

/* ---- sockets ---- */

static struct epoll_event interests(const struct conn *c)
{
    return (struct epoll_event){.events = EPOLLIN | (c->wants_out ? EPOLLOUT : 0u), .data.ptr = (void *)c};
}

void conn_watch(struct streams *s, struct conn *c, bool out)
{
    if (c->wants_out == out)
        return;
    c->wants_out = out;
    struct epoll_event ev = interests(c);
    epoll_ctl(s->epfd, EPOLL_CTL_MOD, c->fd, &ev);
}

static void prepare(int fd)
{
    int on = 1, unsent = UNSENT_MAX, stuck = STREAM_STUCK_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stuck, sizeof(stuck));
}

static int open_socket(int family)
{
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int watch_listener(struct streams *s, int op, unsigned i, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.ptr = &s->listener[i]};
    return epoll_ctl(s->epfd, op, s->listener[i], &ev) < 0 ? -errno : 0;
}

int streams_listen(struct streams *s, const struct addr *at)
{
    struct sockaddr_storage ss;
    struct addr plain = addr_by(at, ADDR_UDP);
    socklen_t len = addr_to_sockaddr(&plain, &ss);
    int on = 1, err = s->listeners < STREAM_LISTEN_MAX ? open_socket(ss.ss_family) : -ENOSPC;
    if (err < 0)
        return err;
    int fd = s->listener[s->listeners] = err;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    err = bind(fd, (struct sockaddr *)&ss, len) < 0 || listen(fd, BACKLOG) < 0 ? -errno : 0;
    if (!err)
        err = watch_listener(s, EPOLL_CTL_ADD, s->listeners, EPOLLIN);
    if (err)
        close(fd);
    else
        s->listeners++;
    return err;
}

/* ---- accepting ---- */

/* Once a minute at most. */
static void complain(struct streams *s, mono_t now, const char *what, int err)
{
    if (s->told.us && mono_since(s->told, now) < TOLD_PAUSE)
        return;
    s->told = now;
    log_warn("stream connections refused: %s err=%d open=%u; datagrams are served as before", what, err, s->stats.open);
}

static bool same_source(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && !memcmp(a->ip, b->ip, a->family == 4 ? 4 : 8);
}

static bool too_many_of(const struct streams *s, const struct addr *from)
{
    unsigned n = 0;
    const struct conn *c;
    if (!s->c.per_source)
        return false;
    TAILQ_FOREACH(c, &s->fresh, age)
        n += same_source(&c->at, from);
    TAILQ_FOREACH(c, &s->heard, age)
        n += same_source(&c->at, from);
    return n >= s->c.per_source;
}

/* A place in the table, at the cost of whoever has not used its own. */
static bool make_place(struct streams *s, mono_t now)
{
    struct conn *fresh = TAILQ_FIRST(&s->fresh), *heard = TAILQ_FIRST(&s->heard);
    if (s->stats.open < s->c.max)
        return true;
    if (heard && mono_since(heard->last, now) >= STREAM_SPARE_US)
        conn_end(s, heard, ETIMEDOUT);
    else if (fresh && mono_since(fresh->last, now) >= STREAM_FIRST_US / 10)
        conn_end(s, fresh, ETIMEDOUT);
    return s->stats.open < s->c.max;
}

static void welcome(struct streams *s, mono_t now, int fd, const struct addr *from)
{
    struct addr at = addr_by(from, ADDR_TCP);
    const char *why = NULL;
    struct conn *c = NULL;
    if (!at.family || conn_find(s, &at))
        why = "no address of its own";
    else if (too_many_of(s, &at))
        why = "too many of one source";
    else if (!make_place(s, now))
        why = "all places are taken";
    else if (!(c = conn_new(s, now, &at, fd)))
        why = "no memory";
    if (why) {
        s->stats.refused++;
        complain(s, now, why, 0);
        close(fd);
        return;
    }
    s->stats.accepted++;
    prepare(fd);
    struct epoll_event ev = interests(c);
    if (epoll_ctl(s->epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
        conn_end(s, c, errno);
}

static void accept_pause(struct streams *s, mono_t again)
{
    s->accept_again = again;
    for (unsigned i = 0; i < s->listeners; i++)
        watch_listener(s, EPOLL_CTL_MOD, i, again.us == MONO_NEVER.us ? EPOLLIN : 0);
}

static void accept_some(struct streams *s, mono_t now, int listener)
{
    for (unsigned i = 0; i < ACCEPTS_AT_ONCE; i++) {
        struct sockaddr_storage ss;
        socklen_t len = sizeof(ss);
        int fd = accept4(listener, (struct sockaddr *)&ss, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            struct addr from = addr_from_sockaddr(&ss, len);
            welcome(s, now, fd, &from);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            complain(s, now, "out of file descriptors or memory", errno);
            accept_pause(s, mono_add(now, ACCEPT_PAUSE));
        }
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

/* ---- dialling ---- */

void streams_dial(struct streams *s, uint16_t port)
{
    s->dials = true;
    s->dial_port = port;
}

/* A socket on its way to the address, or to that port of it. 0 or -errno. */
static int connect_to(struct streams *s, struct conn *c, uint16_t port)
{
    struct sockaddr_storage ss;
    struct addr to = addr_by(&c->at, ADDR_UDP);
    to.port = port;
    socklen_t len = addr_to_sockaddr(&to, &ss);
    int fd = open_socket(ss.ss_family);
    if (fd < 0)
        return fd;
    prepare(fd);
    int err = connect(fd, (struct sockaddr *)&ss, len) < 0 && errno != EINPROGRESS ? -errno : 0;
    c->wants_out = c->connecting = true;
    struct epoll_event ev = interests(c);
    if (!err && epoll_ctl(s->epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
        err = -errno;
    if (err) {
        close(fd);
        return err;
    }
    if (c->fd >= 0)
        close(c->fd);
    c->fd = fd;
    return 0;
}

struct conn *conn_dial(struct streams *s, mono_t now, const struct addr *at)
{
    struct dial *d = dial_of(s, at);
    if ((addr_eq(&d->at, at) && !mono_due(d->again, now)) || !make_place(s, now))
        return NULL;
    struct conn *c = conn_new(s, now, at, -1);
    if (!c)
        return NULL;
    c->ours = true;
    c->last_port = !s->dial_port || s->dial_port == at->port;
    int err = connect_to(s, c, c->last_port ? at->port : s->dial_port);
    if (err && !c->last_port) {
        c->last_port = true;
        err = connect_to(s, c, at->port);
    }
    if (!err)
        return c;
    conn_end(s, c, -err);
    return NULL;
}

/* The first port does not answer: the address's own. False: the connection has ended. */
static bool dial_on(struct streams *s, mono_t now, struct conn *c, int err)
{
    if (!c->last_port) {
        c->last_port = true;
        err = -connect_to(s, c, c->at.port);
        if (!err) {
            TAILQ_REMOVE(&s->fresh, c, age);
            c->last = now;
            TAILQ_INSERT_TAIL(&s->fresh, c, age);
            return true;
        }
    }
    c->last = now;
    conn_end(s, c, err);
    return false;
}

static void on_connected(struct streams *s, mono_t now, struct conn *c)
{
    int err = 0;
    socklen_t len = sizeof(err);
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err) {
        dial_on(s, now, c, err);
        return;
    }
    c->connecting = false;
    tell(s, c, true, 0);
}

/* ---- in ---- */

static void spoken(struct streams *s, mono_t now, struct conn *c)
{
    TAILQ_REMOVE(list_of(s, c), c, age);
    c->spoke = true;
    c->last = now;
    TAILQ_INSERT_TAIL(&s->heard, c, age);
}

/* What is left of a frame at the end of what was read. */
static void keep(struct streams *s, struct conn *c, const uint8_t *p, size_t len)
{
    if (len && !c->in)
        c->in = chunk_get(s, true);
    if (len && c->in) {
        memcpy(c->in->data, p, len);
        c->in->end = (uint32_t)len;
    } else if (len) {
        conn_end(s, c, ENOMEM);
    } else {
        chunk_put(s, c->in);
        c->in = NULL;
    }
}

static void hand_out(struct streams *s, mono_t now, struct conn *c, uint8_t *p, size_t len, streams_packet_fn *fn, void *ctx)
{
    size_t at = 0;
    int n;
    while ((n = frame_next(p + at, len - at)) > 0) {
        fn(ctx, &c->at, p + at + FRAME_HEAD, (size_t)n - FRAME_HEAD);
        s->stats.frames_in++;
        at += (size_t)n;
        if (c->over)
            return;
    }
    if (at)
        spoken(s, now, c);
    if (!n) {
        keep(s, c, p + at, len - at);
        return;
    }
    s->stats.bad++;
    conn_end(s, c, EMSGSIZE);
}

static void on_input(struct streams *s, mono_t now, struct conn *c, streams_packet_fn *fn, void *ctx)
{
    size_t have = c->in ? c->in->end : 0, room = BUFFER - s->used;
    uint8_t *p = s->buffer + s->used;
    if (room < have + READ_MIN)
        return; /* in the next batch */
    room -= have;
    ssize_t n = recv(c->fd, p + have, room < READ_MAX ? room : READ_MAX, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        conn_end(s, c, n < 0 ? errno : 0);
        return;
    }
    if (have)
        memcpy(p, c->in->data, have);
    s->stats.calls_in++;
    s->stats.bytes_in += (uint64_t)n;
    s->used += have + (size_t)n;
    hand_out(s, now, c, p, have + (size_t)n, fn, ctx);
}

static void on_event(struct streams *s, mono_t now, const struct epoll_event *ev, streams_packet_fn *fn, void *ctx)
{
    struct conn *c = ev->data.ptr;
    if (!c->over && c->connecting && ev->events & (EPOLLOUT | EPOLLERR | EPOLLHUP))
        on_connected(s, now, c);
    if (c->over || c->connecting)
        return;
    if (ev->events & EPOLLOUT)
        conn_flush(s, c);
    if (!c->over && ev->events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        on_input(s, now, c, fn, ctx);
}

bool streams_recv(struct streams *s, mono_t now, streams_packet_fn *fn, void *ctx)
{
    struct epoll_event ev[EVENTS_AT_ONCE];
    bury(s);
    s->used = 0;
    s->now = now;
    int n = epoll_wait(s->epfd, ev, EVENTS_AT_ONCE, 0);
    for (int i = 0; i < n; i++) {
        int *listener = ev[i].data.ptr;
        if (listener >= s->listener && listener < s->listener + STREAM_LISTEN_MAX)
            accept_some(s, now, *listener);
        else
            on_event(s, now, &ev[i], fn, ctx);
    }
    return n > 0;
}

/* ---- time ---- */

static uint64_t patience(const struct conn *c)
{
    return c->connecting ? STREAM_CONNECT_US : c->spoke ? STREAM_IDLE_US : STREAM_FIRST_US;
}

mono_t streams_deadline(const struct streams *s)
{
    const struct conn *c, *heard = TAILQ_FIRST(&s->heard);
    mono_t at = s->accept_again;
    TAILQ_FOREACH(c, &s->fresh, age) {
        at = mono_min(at, mono_add(c->last, patience(c)));
        if (!s->dials)
            break; /* all have the same patience, so the first is the oldest */
    }
    return heard ? mono_min(at, mono_add(heard->last, STREAM_IDLE_US)) : at;
}

void streams_expire(struct streams *s, mono_t now)
{
    struct conn *c, *next;
    if (mono_due(s->accept_again, now))
        accept_pause(s, MONO_NEVER);
    for (c = TAILQ_FIRST(&s->fresh); c; c = next) {
        next = TAILQ_NEXT(c, age);
        bool late = mono_since(c->last, now) >= patience(c);
        if (late && c->connecting)
            dial_on(s, now, c, ETIMEDOUT);
        else if (late)
            conn_end(s, c, ETIMEDOUT);
        else if (!s->dials)
            break;
    }
    while ((c = TAILQ_FIRST(&s->heard)) && mono_since(c->last, now) >= STREAM_IDLE_US)
        conn_end(s, c, ETIMEDOUT);
}
