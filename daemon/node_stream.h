/* node_stream.h - a node's side of TCP (daemon/io/stream.h) in libuv's loop: for hosts whose UDP is blocked. All connections live in the
 * one thread of that loop.
 */
#ifndef I3_NODE_STREAM_H
#define I3_NODE_STREAM_H

#include <uv.h>

#include "daemon/io/stream.h"

struct node_stream;

struct node_stream_config {
    struct streams_config streams;
    bool off;
    uint16_t port[STREAM_LISTEN_MAX - 1]; /* beside the port of UDP */
    unsigned ports;
    /* A packet, and the end of a batch of them: what was handed in stays valid until then. */
    streams_packet_fn *packet;
    void (*flush)(void *ctx);
    void *ctx;
};

/* Listens at the address where UDP does, of which only a warning is made where that cannot be, and at the other ports. *out is NULL
 * when it is off. 0 or -errno. */
int node_stream_start(struct node_stream **out, uv_loop_t *loop, const struct addr *udp, const struct node_stream_config *c);
void node_stream_stop(struct node_stream *ns);

/* What goes to connections is taken out of the outbox. NULL: nothing is done. */
void node_stream_send(struct node_stream *ns, mono_t now, struct outbox *out);

/* NULL: off. */
const struct streams_stats *node_stream_stats(const struct node_stream *ns);

#endif
