/* node_stream.h - a node's side of TCP (daemon/io/stream.h) in libuv's loop: for hosts whose UDP is blocked. All connections live in the
 * one thread of that loop. What another worker has for them it leaves in a mailbox, as a copy; the loop is woken and sends it.
 *
 * Bound: MAIL_BYTES wait in the mailbox; what finds no room is lost and counted, as in any queue.
 */
#ifndef I3_NODE_STREAM_H
#define I3_NODE_STREAM_H

#include <uv.h>

#include "daemon/base/inbox.h"
#include "daemon/io/stream.h"

enum { NODE_STREAM_MAIL = 1 << 20 };

struct node_stream;

/* A batch of packets, whose bytes are not needed any more when it returns. */
typedef void node_stream_feed_fn(void *ctx, struct train_in *t, unsigned n);

struct node_stream_config {
    struct streams_config streams;
    bool off;
    uint16_t port[STREAM_LISTEN_MAX - 1]; /* beside the port of UDP */
    unsigned ports;
    node_stream_feed_fn *feed;
    void *ctx;
};

/* Listens at the address where UDP does, of which only a warning is made where that cannot be, and at the other ports. *out is NULL
 * when it is off. 0 or -errno. */
int node_stream_start(struct node_stream **out, uv_loop_t *loop, const struct addr *udp, const struct node_stream_config *c);
/* Nobody may be in node_stream_send() any more. */
void node_stream_stop(struct node_stream *ns);

/* What goes to connections is taken out of the outbox; on the thread of that worker, 0: the loop's. */
void node_stream_send(void *node_stream, unsigned worker, struct outbox *out);

/* NULL: off. */
const struct streams_stats *node_stream_stats(const struct node_stream *ns);

#endif
