#include "daemon/io/fdset.h"

#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { FDSET_BATCH = 256 };

struct fdset_entry {
    int fd;
    fdset_fn *fn; /* NULL: deleted, waiting for the end of the turn */
    void *ctx;
    struct fdset_entry *next_dead;
};

struct fdset {
    int epfd;
    uv_poll_t *poll;
    void (*after)(void *ctx);
    void *ctx;
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

static void on_ready(uv_poll_t *poll, int status, int events)
{
    struct fdset *s = poll->data;
    struct epoll_event ev[FDSET_BATCH];
    (void)status, (void)events;
    int n = epoll_wait(s->epfd, ev, FDSET_BATCH, 0);
    s->dispatching = true;
    for (int i = 0; i < n; i++) {
        struct fdset_entry *e = ev[i].data.ptr;
        if (e->fn)
            e->fn(e->ctx, ev[i].events);
    }
    s->dispatching = false;
    if (s->after)
        s->after(s->ctx);
    bury(s);
}

struct fdset *fdset_new(uv_loop_t *loop, void (*after)(void *ctx), void *ctx)
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

static struct fdset_entry *add(struct fdset *s, int fd, uint32_t events, fdset_fn *fn, void *ctx)
{
    struct fdset_entry *e = malloc(sizeof(*e));
    if (!e)
        return NULL;
    *e = (struct fdset_entry){fd, fn, ctx, NULL};
    struct epoll_event ev = {.events = events | EPOLLET, .data.ptr = e};
    if (epoll_ctl(s->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        free(e);
        return NULL;
    }
    return e;
}

struct fdset_entry *fdset_add(struct fdset *s, int fd, fdset_fn *fn, void *ctx)
{
    return add(s, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP, fn, ctx);
}

struct fdset_entry *fdset_add_reader(struct fdset *s, int fd, fdset_fn *fn, void *ctx)
{
    return add(s, fd, EPOLLIN, fn, ctx);
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
