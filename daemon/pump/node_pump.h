/* node_pump.h - the corridor between io/udp and node/: an overlay node on a socket of its own. Used by i3node, and by
 * i3d when it has no node configured.
 */
#ifndef I3_NODE_PUMP_H
#define I3_NODE_PUMP_H

#include <uv.h>

#include "daemon/io/udp.h"
#include "daemon/node/node.h"
#include "daemon/pump/node_stream.h"

struct node_pump;

/* config: NULL for the default; its seed is drawn. ring: the ring to join, NULL to be alone; of its `self` what is missing is filled in
 * from where the socket is bound, and its `seed` is drawn. 0 or -errno (-EADDRINUSE: somebody is there already; -EDESTADDRREQ: the ring's members cannot be told where this node is). */
int node_pump_start(struct node_pump **out, uv_loop_t *loop, const struct addr *bind,
    const struct node_config *config, struct ring_config *ring);
/* Serves hosts whose UDP is blocked as well (once; of `c` the ports and bounds count). 0 or -errno. */
int node_pump_listen(struct node_pump *np, uv_loop_t *loop, const struct node_stream_config *c);
/* Says good-bye to the ring. True: for NODE_LINGER more it should go on running. */
bool node_pump_leave(struct node_pump *np);
/* The same, if it has not been done, and ends. */
void node_pump_stop(struct node_pump *np);

/* Where it is bound. */
const struct addr *node_pump_local(const struct node_pump *np);
/* Runs fn on the node, with nobody else in it, and sends what it pushes. */
typedef void node_pump_fn(void *ctx, struct node *n, mono_t now, struct outbox *out);
void node_pump_with(struct node_pump *np, node_pump_fn *fn, void *ctx);
/* Of all workers. */
void node_pump_stats(struct node_pump *np, struct node_stats *out);
void node_pump_udp_stats(struct node_pump *np, struct udp_stats *out);
/* Of connections; NULL: it takes none. */
const struct streams_stats *node_pump_stream_stats(const struct node_pump *np);
/* With more than one worker others may be changing it: see node_pump_with(). */
const struct node *node_pump_node(const struct node_pump *np);

#endif
