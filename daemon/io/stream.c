#include "daemon/io/stream_inside.h"

#include <assert.h>
#include <errno.h>
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
};

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

struct conn **conn_place(const struct streams *s, const struct addr *at)
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
    struct conn *c = *conn_place(s, at);
    while (c && !addr_eq(&c->at, at))
        c = c->next;
    return c;
}

static struct conn_list *list_of(struct streams *s, const struct conn *c)
{
    return c->spoke ? &s->heard : &s->fresh;
}

struct conn *conn_new(struct streams *s, mono_t now, const struct addr *at, int fd)
{
    struct conn *c = calloc(1, sizeof(*c)), **bucket = conn_place(s, at);
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

void conn_tell(struct streams *s, const struct conn *c, bool up, int err)
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

void conn_end(struct streams *s, struct conn *c, int err)
{
    struct conn **at = conn_place(s, &c->at);
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
        conn_dial_failed(s, c);
    conn_tell(s, c, false, err);
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

struct epoll_event conn_interests(const struct conn *c)
{
    return (struct epoll_event){.events = EPOLLIN | (c->wants_out ? EPOLLOUT : 0u), .data.ptr = (void *)c};
}

void conn_watch(struct streams *s, struct conn *c, bool out)
{
    if (c->wants_out == out)
        return;
    c->wants_out = out;
    struct epoll_event ev = conn_interests(c);
    epoll_ctl(s->epfd, EPOLL_CTL_MOD, c->fd, &ev);
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
        conn_connected(s, now, c);
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
            conn_accept(s, now, *listener);
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
        conn_accept_pause(s, MONO_NEVER);
    for (c = TAILQ_FIRST(&s->fresh); c; c = next) {
        next = TAILQ_NEXT(c, age);
        bool late = mono_since(c->last, now) >= patience(c);
        if (late && c->connecting)
            conn_dial_on(s, now, c, ETIMEDOUT);
        else if (late)
            conn_end(s, c, ETIMEDOUT);
        else if (!s->dials)
            break;
    }
    while ((c = TAILQ_FIRST(&s->heard)) && mono_since(c->last, now) >= STREAM_IDLE_US)
        conn_end(s, c, ETIMEDOUT);
}
