/* ring_walk.h - a look at the whole ring, for its operator: who is there, who owns what, how far away it is; and who owns one id.
 *
 *   ASK whom we know --> their STATEs name their successors --> ASK those --> ... until nobody new is named
 *   FIND each one's own position --> through how many nodes a packet for it goes
 *
 * What a walk learns goes into its own table, never into the ring's. It takes a part of the questions which the node may have under
 * way (WALK_ASKS, WALK_FINDS), so that it does not disturb the ring, and ends after WALK_US, complete or not.
 *
 * Bounds: one walk at a time, WALK_NODES_MAX nodes (144 bytes each, until the next walk), TRACES_MAX ids looked up at once.
 */
#ifndef I3_RING_WALK_H
#define I3_RING_WALK_H

#include "daemon/node/ring.h"

enum { WALK_NODES_MAX = 4096, WALK_ASKS = 8, WALK_FINDS = 16, WALK_US = 8000000, TRACES_MAX = 8 };

enum walk_state { WALK_NEW, WALK_ASKED, WALK_ANSWERED, WALK_SILENT };

/* One node of the ring, as it describes itself. */
struct walk_node {
    ring_pos pos;
    struct addr addr;
    ring_pos predecessor;      /* it owns (predecessor, pos] */
    ring_pos successor;        /* its first */
    struct addr successor_addr;
    uint32_t rtt_us;           /* 0: not measured */
    uint8_t hops;              /* nodes that a packet goes through, the owner included; 0 for ourselves */
    uint8_t state;             /* enum walk_state */
    bool has_predecessor, has_successor, hops_known;
    bool finding, found;       /* its FIND is under way, or done */
};

/* `v` is in the order of the ring, ourselves first. */
struct walk_view {
    const struct walk_node *v;
    unsigned n;
    bool running, late, full; /* not done when the time was up (who is there is asked first, and hops come last); more than WALK_NODES_MAX */
    uint64_t took_us;
};

/* 0, -EBUSY (one is under way), -ENOMEM. */
int ring_walk_start(struct ring *r, mono_t now, struct outbox *out);
/* What the last walk has found; n 0: there was none. Valid until the ring is used again. */
struct walk_view ring_walk_view(const struct ring *r);

/* One look-up for an operator. */
struct trace {
    uint64_t token;
    enum trace_state { TRACE_FREE, TRACE_OPEN, TRACE_FOUND, TRACE_LOST } state;
    ring_pos target;
    mono_t started;
    uint64_t took_us;
    unsigned hops;
    struct ring_contact owner;
};

/* Who owns pos? A token > 0 for ring_trace_get(), or -EAGAIN. Of TRACES_MAX the oldest is forgotten. */
int64_t ring_trace_start(struct ring *r, mono_t now, ring_pos pos, struct outbox *out);
/* NULL: not known (any more). */
const struct trace *ring_trace_get(const struct ring *r, uint64_t token);

#endif
