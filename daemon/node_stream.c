#include "daemon/node_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "daemon/base/log.h"
#include "daemon/io/clock.h"

enum { ROUNDS = 16, TICK_MS = 500 };

struct node_stream {
    struct streams *streams;
    struct node_stream_config c;
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned open_handles;
};

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct node_stream *ns = poll->data;
    bool more = true;
    (void)status, (void)events;
    for (int i = 0; more && i < ROUNDS; i++) {
        more = streams_recv(ns->streams, mono_now(), ns->c.packet, ns->c.ctx);
        ns->c.flush(ns->c.ctx);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct node_stream *ns = timer->data;
    mono_t now = mono_now();
    if (mono_due(streams_deadline(ns->streams), now))
        streams_expire(ns->streams, now);
}

/* A file descriptor each, as far as an ordinary user may have them. */
static void raise_limit(unsigned connections)
{
    enum { OTHERS = 64 };
    struct rlimit r;
    rlim_t want = connections + OTHERS;
    if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= want)
        return;
    r.rlim_cur = want < r.rlim_max ? want : r.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur < want)
        log_info("stream connections at most %lu: file descriptors", (unsigned long)(r.rlim_cur - OTHERS));
}

static int listen_at(struct node_stream *ns, const struct addr *udp)
{
    struct addr at = *udp;
    char s[ADDR_STR];
    int err = streams_listen(ns->streams, &at);
    if (err)
        log_warn("stream address=%s cannot be listened at err=%d (%s): hosts without UDP do not reach this node there", addr_str(&at, s),
            err, strerror(-err));
    for (unsigned i = 0; i < ns->c.ports; i++) {
        at.port = ns->c.port[i];
        err = at.port == udp->port ? 0 : streams_listen(ns->streams, &at);
        if (err) {
            log_error("stream address=%s cannot be listened at err=%d (%s)", addr_str(&at, s), err, strerror(-err));
            return err;
        }
    }
    return 0;
}

int node_stream_start(struct node_stream **out, uv_loop_t *loop, const struct addr *udp, const struct node_stream_config *c)
{
    *out = NULL;
    if (c->off)
        return 0;
    struct node_stream *ns = calloc(1, sizeof(*ns));
    if (!ns)
        return -ENOMEM;
    ns->c = *c;
    raise_limit(c->streams.max);
    int err = streams_new(&ns->streams, &c->streams);
    if (!err)
        err = listen_at(ns, udp);
    if (err) {
        streams_free(ns->streams);
        free(ns);
        return err;
    }
    uv_poll_init(loop, &ns->poll, streams_fd(ns->streams));
    uv_timer_init(loop, &ns->timer);
    ns->poll.data = ns->timer.data = ns;
    ns->open_handles = 2;
    uv_poll_start(&ns->poll, UV_READABLE, on_readable);
    uv_timer_start(&ns->timer, on_tick, TICK_MS, TICK_MS);
    *out = ns;
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    struct node_stream *ns = h->data;
    if (--ns->open_handles)
        return;
    streams_free(ns->streams);
    free(ns);
}

void node_stream_stop(struct node_stream *ns)
{
    if (!ns)
        return;
    uv_close((uv_handle_t *)&ns->poll, on_closed);
    uv_close((uv_handle_t *)&ns->timer, on_closed);
}

void node_stream_send(struct node_stream *ns, mono_t now, struct outbox *out)
{
    if (ns && streams_stats(ns->streams)->accepted)
        streams_send(ns->streams, now, out);
}

const struct streams_stats *node_stream_stats(const struct node_stream *ns)
{
    return ns ? streams_stats(ns->streams) : NULL;
}
