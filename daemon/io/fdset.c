#include "daemon/io/fdset.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/io/clock.h"

enum {
    FDSET_BATCH = 256,
    LOOKOUT_US = 50,
    LOOKOUTS_MAX = 4, /* how many may be saved up */
    CROWDED_US = 300, /* that long a look-out was off the processor: others need it more ... */
    CROWDED_FOR_US = 100000, /* ... and sleepers are woken sooner than those who yield */
};

struct fdset_entry {
    int fd;
    bool out;
    fdset_fn *fn; /* NULL: deleted, waiting for the end of the turn */
    void *ctx;
    struct fdset_entry *next_dead;
};

struct fdset {
    int epfd;
    uv_poll_t *poll;
    bool (*after)(void *ctx);
    void *ctx;
    mono_t slept; /* since when */
    unsigned lookouts;
    mono_t crowded_until;
    bool dispatching;
    struct fdset_entry *dead;
};

static void bury(struct fdset *s)
{
    while (s->dead) {
        struct fdset_entry *e = s->dead;
        s->dead = e->next_dead;
        free(e);
    }
}

/* False when nothing has happened. */
static bool turn(struct fdset *s, bool *answer_soon)
{
    struct epoll_event ev[FDSET_BATCH];
    int n = epoll_wait(s->epfd, ev, FDSET_BATCH, 0);
    if (n <= 0)
        return false;
    s->dispatching = true;
    for (int i = 0; i < n; i++) {
        struct fdset_entry *e = ev[i].data.ptr;
        if (e->fn)
            e->fn(e->ctx, ev[i].events);
    }
    s->dispatching = false;
    *answer_soon = s->after(s->ctx);
    bury(s);
    return true;
}

static void look_out(struct fdset *s)
{
    bool answer_soon = true;
    while (answer_soon && s->lookouts) {
        mono_t before = mono_now();
        sched_yield();
        mono_t now = mono_now();
        if (mono_since(before, now) > CROWDED_US) {
            s->lookouts = 0;
            s->crowded_until = mono_add(now, CROWDED_FOR_US);
        }
        if (turn(s, &answer_soon))
            s->slept = mono_now();
        else if (mono_since(s->slept, now) >= LOOKOUT_US)
            s->lookouts--, answer_soon = false;
    }
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct fdset *s = poll->data;
    bool answer_soon = false;
    (void)status, (void)events;
    mono_t now = mono_now();
    if (mono_since(s->slept, now) < LOOKOUT_US && s->lookouts < LOOKOUTS_MAX && mono_due(s->crowded_until, now))
        s->lookouts++;
    turn(s, &answer_soon);
    s->slept = mono_now();
    if (answer_soon)
        look_out(s);
    s->slept = mono_now();
}

struct fdset *fdset_new(uv_loop_t *loop, bool (*after)(void *ctx), void *ctx)
{
    struct fdset *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->after = after;
    s->ctx = ctx;
    s->poll = malloc(sizeof(*s->poll));
    s->epfd = epoll_create1(EPOLL_CLOEXEC);
    if (!s->poll || s->epfd < 0 || uv_poll_init(loop, s->poll, s->epfd) < 0) {
        if (s->epfd >= 0)
            close(s->epfd);
        free(s->poll);
        free(s);
        return NULL;
    }
    s->poll->data = s;
    uv_poll_start(s->poll, UV_READABLE, on_ready);
    return s;
}

static void free_handle(uv_handle_t *h)
{
    free(h);
}

void fdset_free(struct fdset *s)
{
    if (!s)
        return;
    uv_poll_stop(s->poll);
    uv_close((uv_handle_t *)s->poll, free_handle);
    close(s->epfd);
    bury(s);
    free(s);
}

static struct epoll_event interests(struct fdset_entry *e)
{
    uint32_t out = e->out ? EPOLLOUT : 0;
    return (struct epoll_event){.events = EPOLLIN | EPOLLRDHUP | EPOLLET | out, .data.ptr = e};
}

struct fdset_entry *fdset_add(struct fdset *s, int fd, bool out, fdset_fn *fn, void *ctx)
{
    struct fdset_entry *e = malloc(sizeof(*e));
    if (!e)
        return NULL;
    *e = (struct fdset_entry){fd, out, fn, ctx, NULL};
    struct epoll_event ev = interests(e);
    if (epoll_ctl(s->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        free(e);
        return NULL;
    }
    return e;
}

void fdset_want_out(struct fdset *s, struct fdset_entry *e)
{
    if (!e || e->out)
        return;
    e->out = true;
    struct epoll_event ev = interests(e);
    epoll_ctl(s->epfd, EPOLL_CTL_MOD, e->fd, &ev);
}

void fdset_del(struct fdset *s, struct fdset_entry *e)
{
    if (!e)
        return;
    epoll_ctl(s->epfd, EPOLL_CTL_DEL, e->fd, NULL);
    e->fn = NULL;
    e->next_dead = s->dead;
    s->dead = e;
    if (!s->dispatching)
        bury(s);
}
