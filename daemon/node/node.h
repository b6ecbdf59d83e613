/* node.h - an overlay node: stores triggers and forwards packets by longest prefix match (paper section 2).
 *
 *   datagram --> node_input --+-- DATA: longest match of ids[0] --+-- address: hops - 1, same bytes, on it goes
 *                             |                                   +-- stack: replaces ids[0], looked up again here
 *                             |                                   +-- none: NOT_PRESENT to the sender, rate-limited
 *                             +-- INSERT: CHALLENGE (no state)
 *                             +-- PROVE: cookie, key, mac --> stored, ACK
 *                             +-- REFRESH: mac under the stored key --> 30 s more, or removed; ACK
 *                             +-- BATCH of REFRESHes: BATCH of answers
 *                             +-- PING: PONG
 *                             +-- LOOKUP, or any of these for an id of another node: OWNER (cluster.h); DATA goes to the next node
 *                             +-- RING: among nodes
 *
 * Invariants: a trigger's address is the one its PROVE came from; one owner address has at most one trigger for an
 * (id, plen), a new target replaces the old; equal ids from several owners are multicast, each gets a copy (at most
 * fanout_max); no reply to an unauthenticated packet is longer than that packet. Nothing is stored before a PROVE holds.
 * Forwarding allocates nothing and copies nothing unless a stack grows: outbox entries point into the input buffer.
 */
#ifndef I3_NODE_H
#define I3_NODE_H

#include "daemon/base/mono.h"
#include "daemon/base/outbox.h"
#include "daemon/node/ring.h"

struct node;

struct node_config {
    uint32_t triggers_max;       /* default 1,000,000 */
    uint32_t triggers_per_source; /* default 4096 */
    unsigned fanout_max;         /* default 64, at most OUTBOX_HEADROOM / 2 */
    unsigned stack_max;          /* default 4, at most STACK_MAX */
    uint32_t lifetime_s;         /* default 30 */
    uint32_t epoch_s;            /* default 120: life of cookie secret and node key */
    uint32_t errors_per_s;       /* NOT_PRESENT and REFUSED per second, all sources; default 10,000 */
    uint32_t proofs_per_s;       /* X25519 operations per second; default 5,000 */
    uint32_t lookups_per_s;      /* that have to be asked of other nodes; default 5,000 */
    uint8_t seed[32];
};

void node_config_default(struct node_config *c);
struct node *node_new(const struct node_config *c, mono_t now);
void node_free(struct node *n);

/* One datagram. `p` may be changed in place (hops, ids[0]) and must stay valid until `out` is flushed. Pushes at most
 * OUTBOX_HEADROOM datagrams. */
void node_input(struct node *n, mono_t now, const struct addr *from, uint8_t *p, size_t len, struct outbox *out);

/* Becomes a member of a ring (once, before the first datagram). 0 or -ENOMEM. */
int node_join(struct node *n, mono_t now, const struct ring_config *c);
/* Hands over what it keeps and says good-bye to the ring. True while there is more to do: call it again. */
bool node_leave(struct node *n, mono_t now, struct outbox *out);
/* NULL: alone. */
const struct ring *node_ring(const struct node *n);

/* For an operator (ring_walk.h); what is found is read from node_ring(). -ENOTCONN: the node is alone. */
int node_walk(struct node *n, mono_t now, struct outbox *out);
int64_t node_trace(struct node *n, mono_t now, const struct i3_id *id, struct outbox *out);

mono_t node_deadline(const struct node *n);
/* Forgets what has expired. */
void node_expire(struct node *n, mono_t now);
/* And does what is due among the nodes. */
void node_run(struct node *n, mono_t now, struct outbox *out);

struct node_stats {
    uint64_t in, bad, forwarded, copies, not_present, loops, challenges, inserts, refreshes, removals, refused, expired,
        rate_limited, relayed, lookups, copies_in, copies_out;
    uint32_t triggers;
};

void node_stats(const struct node *n, struct node_stats *out);

#endif
