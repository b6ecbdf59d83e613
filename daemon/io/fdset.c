#include "daemon/io/fdset.h"

#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "daemon/base/lookout.h"
#include "daemon/io/clock.h"

enum { FDSET_BATCH = 256 };

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
    struct lookout lookout;
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
    mono_t now = mono_now();
    s->dispatching = true;
    for (int i = 0; i < n; i++) {
        struct fdset_entry *e = ev[i].data.ptr;
        if (e->fn)
            e->fn(e->ctx, ev[i].events);
    }
    s->dispatching = false;
    *answer_soon = s->after(s->ctx);
    bury(s);
    lookout_events(&s->lookout, now, mono_now());
    return true;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct fdset *s = poll->data;
    bool answer_soon = false;
    (void)status, (void)events;
    turn(s, &answer_soon);
    for (mono_t yielded = mono_now(); answer_soon && lookout_goes_on(&s->lookout, yielded, mono_now());) {
        if (turn(s, &answer_soon))
            continue;
        yielded = mono_now();
        sched_yield();
    }
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
