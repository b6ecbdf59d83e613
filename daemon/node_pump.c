#include "daemon/node_pump.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/io/clock.h"

enum { NODE_BUFFER = 8 << 20, NODE_ROUNDS = 64, NODE_TICK_US = 250000 };

struct node_pump {
    struct udp *udp;
    struct node_stream *stream; /* NULL: no TCP */
    struct node *node;
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned open_handles;
    mono_t now, timer_at; /* timer_at: what the timer is set to */
    struct outbox out;
};

/* What goes to connections goes first: UDP clears the outbox. */
static void flush(struct node_pump *np)
{
    node_stream_send(np->stream, np->now, &np->out);
    udp_send(np->udp, &np->out, NULL, NULL);
}

static void on_packet(void *ctx, const struct addr *from, uint8_t *p, size_t len)
{
    struct node_pump *np = ctx;
    if (outbox_is_tight(&np->out))
        flush(np);
    unsigned before = np->out.n;
    node_input(np->node, np->now, from, p, len, &np->out);
    for (unsigned i = before; i < np->out.n; i++) { /* forwarded: marks and all */
        if (np->out.v[i].data >= p && np->out.v[i].data < p + len)
            np->out.v[i].ecn = udp_ecn(np->udp);
    }
}

static void on_tick(uv_timer_t *timer);

/* Only for an earlier time than it is set to: one that comes too soon costs a wake-up. */
static void arm(struct node_pump *np)
{
    mono_t at = mono_min(node_deadline(np->node), mono_add(np->now, NODE_TICK_US));
    if (np->timer_at.us <= at.us && np->timer_at.us > np->now.us)
        return;
    np->timer_at = at;
    uv_update_time(np->timer.loop);
    uv_timer_start(&np->timer, on_tick, (mono_since(np->now, at) + USEC_PER_MSEC - 1) / USEC_PER_MSEC, 0);
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct node_pump *np = poll->data;
    (void)status, (void)events;
    bool more = true;
    for (int i = 0; more && i < NODE_ROUNDS; i++) {
        np->now = mono_now();
        more = udp_recv(np->udp, on_packet, np);
        flush(np);
    }
    arm(np);
}

static void on_tick(uv_timer_t *timer)
{
    struct node_pump *np = timer->data;
    np->now = mono_now();
    np->timer_at.us = 0;
    if (mono_due(node_deadline(np->node), np->now)) {
        node_run(np->node, np->now, &np->out);
        flush(np);
    }
    arm(np);
}

/* Members have to know where it is: as told, or as bound. */
static int join(struct node_pump *np, struct ring_config *ring)
{
    const struct addr *local = udp_local(np->udp);
    if (!ring->self.family)
        ring->self = *local;
    if (!ring->self.port)
        ring->self.port = local->port;
    if (addr_is_any(&ring->self))
        return -EDESTADDRREQ;
    entropy_fill(ring->seed, sizeof(ring->seed));
    return node_join(np->node, np->now, ring);
}

int node_pump_start(struct node_pump **out, uv_loop_t *loop, const struct addr *bind_to, struct ring_config *ring)
{
    struct node_config config;
    struct node_pump *np = calloc(1, sizeof(*np));
    if (!np)
        return -ENOMEM;
    int err = udp_open(&np->udp, bind_to, NODE_BUFFER);
    if (err)
        goto err_free;
    node_config_default(&config);
    entropy_fill(config.seed, sizeof(config.seed));
    err = -ENOMEM;
    np->now = mono_now();
    np->node = node_new(&config, np->now);
    if (!np->node)
        goto err_udp;
    err = ring ? join(np, ring) : 0;
    if (err)
        goto err_node;
    uv_poll_init(loop, &np->poll, udp_fd(np->udp));
    uv_timer_init(loop, &np->timer);
    np->poll.data = np->timer.data = np;
    np->open_handles = 2;
    uv_poll_start(&np->poll, UV_READABLE, on_readable);
    arm(np);
    *out = np;
    return 0;

err_node:
    node_free(np->node);
err_udp:
    udp_close(np->udp);
err_free:
    free(np);
    return err;
}

static void on_frame(void *ctx, const struct addr *from, uint8_t *p, size_t len)
{
    struct node_pump *np = ctx;
    if (outbox_is_tight(&np->out))
        flush(np);
    np->now = mono_now();
    node_input(np->node, np->now, from, p, len, &np->out);
}

static void on_frames(void *ctx)
{
    struct node_pump *np = ctx;
    flush(np);
    arm(np);
}

int node_pump_listen(struct node_pump *np, uv_loop_t *loop, const struct node_stream_config *c)
{
    struct node_stream_config own = *c;
    own.packet = on_frame;
    own.flush = on_frames;
    own.ctx = np;
    return node_stream_start(&np->stream, loop, udp_local(np->udp), &own);
}

static void on_closed(uv_handle_t *h)
{
    struct node_pump *np = h->data;
    if (--np->open_handles == 0) {
        udp_close(np->udp);
        node_free(np->node);
        free(np);
    }
}

void node_pump_stop(struct node_pump *np)
{
    if (!np)
        return;
    while (node_leave(np->node, mono_now(), &np->out))
        flush(np);
    flush(np);
    node_stream_stop(np->stream);
    np->stream = NULL;
    uv_close((uv_handle_t *)&np->poll, on_closed);
    uv_close((uv_handle_t *)&np->timer, on_closed);
}

const struct addr *node_pump_local(const struct node_pump *np)
{
    return udp_local(np->udp);
}

const struct node *node_pump_node(const struct node_pump *np)
{
    return np->node;
}

const struct udp_stats *node_pump_udp_stats(const struct node_pump *np)
{
    return udp_stats(np->udp);
}

void node_pump_with(struct node_pump *np, node_pump_fn *fn, void *ctx)
{
    np->now = mono_now();
    fn(ctx, np->node, np->now, &np->out);
    flush(np);
    arm(np);
}
