#include "daemon/pump/node_pump.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/io/clock.h"
#include "daemon/pump/node_workers.h"

enum { NODE_BUFFER = 8 << 20, NODE_ROUNDS = 64, NODE_TICK_US = 250000 };

struct node_pump {
    struct node_workers *workers;
    struct node_stream *stream; /* NULL: no TCP */
    struct node *node;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_async_t sooner; /* another worker has made something due */
    unsigned open_handles;
    mono_t timer_at; /* what the timer is set to */
};

static void on_tick(uv_timer_t *timer);

/* Only for an earlier time than it is set to: one that comes too soon costs a wake-up. */
static void arm(struct node_pump *np)
{
    mono_t now = mono_now(), at = node_workers_arm(np->workers, mono_add(now, NODE_TICK_US));
    if (np->timer_at.us <= at.us && np->timer_at.us > now.us)
        return;
    np->timer_at = at;
    uv_update_time(np->timer.loop);
    uv_timer_start(&np->timer, on_tick, (mono_since(now, at) + USEC_PER_MSEC - 1) / USEC_PER_MSEC, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct node_pump *np = poll->data;
    (void)status, (void)events;
    for (int i = 0; i < NODE_ROUNDS && node_workers_turn(np->workers); i++)
        ;
    arm(np);
}

static void run(void *ctx, struct node *n, mono_t now, struct outbox *out)
{
    (void)ctx;
    if (node_is_due(n, now))
        node_run(n, now, out);
}

static void on_tick(uv_timer_t *timer)
{
    struct node_pump *np = timer->data;
    np->timer_at.us = 0;
    node_pump_with(np, run, NULL);
}

static void on_sooner(uv_async_t *async)
{
    arm(async->data);
}

static void sooner(void *ctx)
{
    struct node_pump *np = ctx;
    uv_async_send(&np->sooner);
}

void node_pump_with(struct node_pump *np, node_pump_fn *fn, void *ctx)
{
    struct outbox *out = node_workers_alone(np->workers);
    fn(ctx, np->node, mono_now(), out);
    node_workers_done(np->workers);
    arm(np);
}

static bool is_any(const struct addr *a)
{
    static const uint8_t none[sizeof(a->ip)];
    return !memcmp(a->ip, none, sizeof(none));
}

/* Members have to know where it is: as told, or as bound. */
static int join(struct node_pump *np, struct ring_config *ring)
{
    const struct addr *local = node_workers_local(np->workers);
    if (!ring->self.family)
        ring->self = *local;
    if (!ring->self.port)
        ring->self.port = local->port;
    if (is_any(&ring->self))
        return -EDESTADDRREQ;
    entropy_fill(ring->seed, sizeof(ring->seed));
    return node_join(np->node, mono_now(), ring);
}

int node_pump_start(struct node_pump **out, uv_loop_t *loop, const struct addr *bind_to, const struct node_config *config,
    struct ring_config *ring)
{
    struct node_config c;
    struct node_pump *np = calloc(1, sizeof(*np));
    if (!np)
        return -ENOMEM;
    if (config)
        c = *config;
    else
        node_config_default(&c);
    int err = node_workers_open(&np->workers, bind_to, NODE_BUFFER, c.workers);
    if (err)
        goto err_free;
    entropy_fill(c.seed, sizeof(c.seed));
    np->node = node_new(&c, mono_now());
    err = np->node ? 0 : -ENOMEM;
    if (!err && ring)
        err = join(np, ring);
    if (err)
        goto err_node;
    uv_poll_init(loop, &np->poll, node_workers_fd(np->workers));
    uv_timer_init(loop, &np->timer);
    uv_async_init(loop, &np->sooner, on_sooner);
    np->poll.data = np->timer.data = np->sooner.data = np;
    np->open_handles = 3;
    *out = np;
    err = node_workers_start(np->workers, np->node, sooner, np);
    if (err) {
        node_pump_stop(np);
        return err;
    }
    uv_poll_start(&np->poll, UV_READABLE, on_readable);
    arm(np);
    return 0;

err_node:
    node_free(np->node);
    node_workers_free(np->workers);
err_free:
    free(np);
    return err;
}

static void from_connections(void *ctx, struct train_in *t, unsigned n)
{
    struct node_pump *np = ctx;
    node_workers_feed(np->workers, t, n);
    arm(np);
}

int node_pump_listen(struct node_pump *np, uv_loop_t *loop, const struct node_stream_config *c)
{
    struct node_stream_config own = *c;
    own.feed = from_connections;
    own.ctx = np;
    int err = node_stream_start(&np->stream, loop, node_workers_local(np->workers), &own);
    if (np->stream)
        node_workers_connections(np->workers, node_stream_send, np->stream);
    return err;
}

static void on_closed(uv_handle_t *h)
{
    struct node_pump *np = h->data;
    if (--np->open_handles == 0) {
        node_workers_free(np->workers);
        node_free(np->node);
        free(np);
    }
}

bool node_pump_leave(struct node_pump *np)
{
    struct outbox *out = node_workers_alone(np->workers);
    while (node_leave(np->node, mono_now(), out))
        node_workers_flush(np->workers);
    node_workers_done(np->workers);
    return node_lingers(np->node);
}

void node_pump_stop(struct node_pump *np)
{
    if (!np)
        return;
    node_workers_stop(np->workers);
    node_pump_leave(np);
    node_workers_connections(np->workers, NULL, NULL);
    node_stream_stop(np->stream);
    uv_close((uv_handle_t *)&np->poll, on_closed);
    uv_close((uv_handle_t *)&np->timer, on_closed);
    uv_close((uv_handle_t *)&np->sooner, on_closed);
}

const struct addr *node_pump_local(const struct node_pump *np)
{
    return node_workers_local(np->workers);
}

void node_pump_stats(struct node_pump *np, struct node_stats *out)
{
    node_workers_alone(np->workers);
    node_stats(np->node, out);
    node_workers_done(np->workers);
}

const struct streams_stats *node_pump_stream_stats(const struct node_pump *np)
{
    return node_stream_stats(np->stream);
}

void node_pump_udp_stats(struct node_pump *np, struct udp_stats *out)
{
    node_workers_udp_stats(np->workers, out);
}

const struct node *node_pump_node(const struct node_pump *np)
{
    return np->node;
}
