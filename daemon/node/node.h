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
 *
 * A train (inbox.h) whose datagrams bear one header goes on as a train: one look-up, one entry.
 *
 * Several threads share one node without a lock in here, by looking and acting:
 *
 *   node_look   reads the node, and may run on all threads at once: DATA which stays here, INSERT, PING, and all the cryptography of
 *               PROVE and REFRESH. What would change the node becomes a deed of the worker.
 *   node_act    does the worker's deeds, alone, as everything else here. Whatever a look has found is found again, cheaply, as it may
 *               have changed in between.
 *
 * So forwarding scales, and of an insert's 40 us all but one. Each thread has a worker: its share of the limits, its counts, its deeds.
 * A deed comes after what follows it in the same batch, with one exception: a DATA packet that finds nothing waits for the deeds.
 */
#ifndef I3_NODE_H
#define I3_NODE_H

#include "daemon/base/inbox.h"
#include "daemon/base/mono.h"
#include "daemon/base/outbox.h"
#include "daemon/node/ring.h"

enum { NODE_WORKERS_MAX = 64, NODE_DEEDS = 16 };

struct node;

/* Packets forwarded per second, by one worker, from which on the limit of proofs is another one. */
#define NODE_BUSY 10000

struct node_config {
    unsigned workers;            /* threads that will look; default 1 */
    uint32_t triggers_max;       /* default 2,097,152: about 320 MB when all are there */
    uint32_t triggers_per_source; /* at most; default 0: as many as are free, so that the greedy leave room, and the modest find some */
    unsigned fanout_max;         /* default 64, at most OUTBOX_HEADROOM / 2 */
    unsigned stack_max;          /* default 4, at most STACK_MAX */
    uint32_t lifetime_s;         /* default 30 */
    uint32_t epoch_s;            /* default 120: life of cookie secret and node key */
    uint32_t errors_per_s;       /* NOT_PRESENT and REFUSED per second, all sources; default 10,000 */
    uint32_t proofs_per_s;       /* X25519 operations per second, one for all ids of a key; default UINT32_MAX: as many as the CPU can */
    uint32_t proofs_busy_per_s;  /* the same while more than NODE_BUSY packets per second are forwarded; default 5,000 */
    uint32_t lookups_per_s;      /* that have to be asked of other nodes; default 5,000 */
    uint32_t rate_per_source, rate_per_trigger; /* packets per second; 0: no limit (rate.h); default 0 */
    uint8_t seed[32];
};

void node_config_default(struct node_config *c);
struct node *node_new(const struct node_config *c, mono_t now);
void node_free(struct node *n);

/* One datagram. `p` may be changed in place (hops, ids[0]) and must stay valid until `out` is flushed. Pushes at most
 * OUTBOX_HEADROOM datagrams. */
void node_input(struct node *n, mono_t now, const struct addr *from, uint8_t *p, size_t len, struct outbox *out);

/* ---- several threads: see above ---- */

/* Is something due, or a secret to be drawn anew? Then node_run(), alone, before the next look. */
bool node_is_due(const struct node *n, mono_t now);
/* Reads ahead what looks at these will read, as far as it pays. */
void node_ready(const struct node *n, const struct train_in *t, unsigned trains);
/* Takes datagrams from the front of the train, worker i of config.workers; returns when it is empty, the outbox is tight, or the worker has
 * NODE_DEEDS deeds. With one worker there are never any: it is alone. The bytes must stay until the deeds are done and `out` is sent. */
void node_look(struct node *n, unsigned i, mono_t now, struct train_in *t, struct outbox *out);
unsigned node_deeds(const struct node *n, unsigned i);
/* Does deeds until there are none or the outbox is tight. */
void node_act(struct node *n, unsigned i, mono_t now, struct outbox *out);

/* ---- */

/* Becomes a member of a ring (once, before the first datagram). 0 or -ENOMEM. */
int node_join(struct node *n, mono_t now, const struct ring_config *c);
/* Hands over what it keeps and says good-bye to the ring. True while there is more to do: call it again. */
bool node_leave(struct node *n, mono_t now, struct outbox *out);
/* It has left: hosts and nodes that have not noticed yet, since they are in the midst of sending, are served for NODE_LINGER more: what comes
 * is delivered, or sent on to the successor. Only PINGs go unanswered, so that they do notice. */
bool node_lingers(const struct node *n);
#define NODE_LINGER (2 * USEC_PER_SEC)
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

/* Of all workers: alone. */
struct node_stats {
    uint64_t in, bad, forwarded, copies, not_present, loops, challenges, inserts, refreshes, removals, refused, expired,
        rate_limited, relayed, lookups, copies_in, copies_out, full, source_drops, trigger_drops;
    uint32_t triggers;
};

void node_stats(const struct node *n, struct node_stats *out);

#endif
