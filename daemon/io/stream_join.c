/* How connections come to be: accepted, or dialled. */
#include "daemon/io/stream_inside.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "daemon/base/log.h"

enum {
    ACCEPTS_AT_ONCE = 16,
    BACKLOG = 128,
    UNSENT_MAX = 64 << 10, /* in the kernel, beside what is on its way */
};

#define ACCEPT_PAUSE  (1 * USEC_PER_SEC)
#define TOLD_PAUSE    (60 * USEC_PER_SEC)
#define DIAL_PAUSE    (250 * USEC_PER_MSEC)
#define DIAL_MAX      (30 * USEC_PER_SEC)

/* ---- sockets ---- */

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
    struct epoll_event ev = conn_interests(c);
    if (epoll_ctl(s->epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
        conn_end(s, c, errno);
}

void conn_accept_pause(struct streams *s, mono_t again)
{
    s->accept_again = again;
    for (unsigned i = 0; i < s->listeners; i++)
        watch_listener(s, EPOLL_CTL_MOD, i, again.us == MONO_NEVER.us ? EPOLLIN : 0);
}

void conn_accept(struct streams *s, mono_t now, int listener)
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
            conn_accept_pause(s, mono_add(now, ACCEPT_PAUSE));
        }
        if (errno != ECONNABORTED && errno != EINTR)
            return;
    }
}

/* ---- dialling ---- */

static struct dial *dial_of(struct streams *s, const struct addr *at)
{
    return &s->dial[(conn_place(s, at) - s->bucket) % DIALS];
}

/* It may be dialled again at once if it was good, else ever more slowly. */
void conn_dial_failed(struct streams *s, const struct conn *c)
{
    struct dial *d = dial_of(s, &c->at);
    if (!addr_eq(&d->at, &c->at) || c->spoke)
        *d = (struct dial){.at = c->at};
    d->pause = !d->pause ? DIAL_PAUSE : d->pause * 2 < DIAL_MAX ? d->pause * 2 : DIAL_MAX;
    d->again = c->spoke ? (mono_t){0} : mono_add(c->last, d->pause);
}

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
    struct epoll_event ev = conn_interests(c);
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
bool conn_dial_on(struct streams *s, mono_t now, struct conn *c, int err)
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

void conn_connected(struct streams *s, mono_t now, struct conn *c)
{
    int err = 0;
    socklen_t len = sizeof(err);
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len);
    if (err) {
        conn_dial_on(s, now, c, err);
        return;
    }
    c->connecting = false;
    conn_tell(s, c, true, 0);
}
