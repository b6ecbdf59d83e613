#include "daemon/pump/node_stream.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/io/clock.h"

enum { ROUNDS = 16, FEED_MAX = 64, TICK_MS = 500 };

/* A packet in the mailbox: this, and its bytes. */
struct letter {
    struct addr to;
    uint32_t len;
};

struct mail {
    uint8_t *box[2]; /* being filled, and being sent */
    size_t used;
    uint64_t lost;
    pthread_mutex_t lock;
};

struct node_stream {
    struct streams *streams;
    struct node_stream_config c;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_async_t posted;
    unsigned open_handles;
    bool anybody; /* atomic: there has been a connection */
    struct train_in train[FEED_MAX];
    unsigned trains;
    struct mail mail;
    struct outbox out; /* of the mailbox */
};

/* ---- in ---- */

static void feed(struct node_stream *ns)
{
    if (ns->trains)
        ns->c.feed(ns->c.ctx, ns->train, ns->trains);
    ns->trains = 0;
}

static void on_packet(void *ctx, const struct addr *from, uint8_t *p, size_t len)
{
    struct node_stream *ns = ctx;
    __atomic_store_n(&ns->anybody, true, __ATOMIC_RELAXED);
    ns->train[ns->trains++] = (struct train_in){.from = *from, .p = p, .len = len, .size = len};
    if (ns->trains == FEED_MAX)
        feed(ns);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct node_stream *ns = poll->data;
    bool more = true;
    (void)status, (void)events;
    for (int i = 0; more && i < ROUNDS; i++) {
        more = streams_recv(ns->streams, mono_now(), on_packet, ns);
        feed(ns);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct node_stream *ns = timer->data;
    mono_t now = mono_now();
    if (mono_due(streams_deadline(ns->streams), now))
        streams_expire(ns->streams, now);
}

/* ---- out ---- */

static void post(struct node_stream *ns, const struct dgram *d, const uint8_t *p, uint32_t len)
{
    struct mail *m = &ns->mail;
    size_t whole = sizeof(struct letter) + ((len + 7u) & ~7u);
    if (NODE_STREAM_MAIL - m->used < whole) {
        m->lost++;
        return;
    }
    memcpy(m->box[0] + m->used, &(struct letter){d->to, len}, sizeof(struct letter));
    memcpy(m->box[0] + m->used + sizeof(struct letter), p, len);
    m->used += whole;
}

/* From another thread. */
static void post_all(struct node_stream *ns, struct outbox *out)
{
    unsigned kept = 0;
    pthread_mutex_lock(&ns->mail.lock);
    for (unsigned i = 0; i < out->n; i++) {
        const struct dgram *d = &out->v[i];
        if (d->to.via != ADDR_TCP) {
            out->v[kept++] = *d;
            continue;
        }
        uint32_t size = d->size ? d->size : d->len;
        for (uint32_t at = 0; at < d->len; at += size)
            post(ns, d, d->data + at, d->len - at < size ? d->len - at : size);
    }
    out->n = kept;
    pthread_mutex_unlock(&ns->mail.lock);
    uv_async_send(&ns->posted);
}

static void on_posted(uv_async_t *async)
{
    struct node_stream *ns = async->data;
    struct mail *m = &ns->mail;
    pthread_mutex_lock(&m->lock);
    uint8_t *box = m->box[0];
    size_t used = m->used;
    m->box[0] = m->box[1];
    m->box[1] = box;
    m->used = 0;
    streams_lost(ns->streams, m->lost);
    m->lost = 0;
    pthread_mutex_unlock(&m->lock);
    mono_t now = mono_now();
    for (size_t at = 0; at < used;) {
        struct letter l;
        memcpy(&l, box + at, sizeof(l));
        outbox_push(&ns->out, &l.to, box + at + sizeof(l), l.len);
        at += sizeof(l) + ((l.len + 7u) & ~7u);
        if (ns->out.n == OUTBOX_MAX || at >= used) {
            streams_send(ns->streams, now, &ns->out);
            outbox_clear(&ns->out);
        }
    }
}

static bool is_concerned(const struct outbox *out)
{
    for (unsigned i = 0; i < out->n; i++)
        if (out->v[i].to.via == ADDR_TCP)
            return true;
    return false;
}

void node_stream_send(void *node_stream, unsigned worker, struct outbox *out)
{
    struct node_stream *ns = node_stream;
    if (!__atomic_load_n(&ns->anybody, __ATOMIC_RELAXED) || !is_concerned(out))
        return;
    if (worker)
        post_all(ns, out);
    else
        streams_send(ns->streams, mono_now(), out);
}

/* ---- life ---- */

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

static void ns_free(struct node_stream *ns)
{
    streams_free(ns->streams);
    pthread_mutex_destroy(&ns->mail.lock);
    free(ns->mail.box[0]);
    free(ns->mail.box[1]);
    free(ns);
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
    pthread_mutex_init(&ns->mail.lock, NULL);
    int err = streams_new(&ns->streams, &c->streams);
    for (unsigned i = 0; i < 2 && !err; i++) {
        ns->mail.box[i] = malloc(NODE_STREAM_MAIL); /* touched only where there are several workers */
        err = ns->mail.box[i] ? 0 : -ENOMEM;
    }
    if (!err)
        err = listen_at(ns, udp);
    if (err) {
        ns_free(ns);
        return err;
    }
    uv_poll_init(loop, &ns->poll, streams_fd(ns->streams));
    uv_timer_init(loop, &ns->timer);
    uv_async_init(loop, &ns->posted, on_posted);
    ns->poll.data = ns->timer.data = ns->posted.data = ns;
    ns->open_handles = 3;
    uv_poll_start(&ns->poll, UV_READABLE, on_readable);
    uv_timer_start(&ns->timer, on_tick, TICK_MS, TICK_MS);
    *out = ns;
    return 0;
}

static void on_closed(uv_handle_t *h)
{
    struct node_stream *ns = h->data;
    if (--ns->open_handles == 0)
        ns_free(ns);
}

void node_stream_stop(struct node_stream *ns)
{
    if (!ns)
        return;
    uv_close((uv_handle_t *)&ns->poll, on_closed);
    uv_close((uv_handle_t *)&ns->timer, on_closed);
    uv_close((uv_handle_t *)&ns->posted, on_closed);
}

const struct streams_stats *node_stream_stats(const struct node_stream *ns)
{
    return ns ? streams_stats(ns->streams) : NULL;
}
