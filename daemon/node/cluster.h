/* cluster.h - what a node does since it is one of many: sends on what is others', tells hosts who owns an id, and keeps copies of its
 * triggers where they are needed when it dies.
 *
 *   host, LOOKUP / INSERT / REFRESH for an id of another node --> ring_find --> OWNER to the host, which goes there itself
 *   host, DATA  for an id of another node                     --> the next node on the way (ring_next), hops - 1; the owner is looked
 *                                                                 up meanwhile (ring_learn), and later packets go straight to it
 *   a trigger inserted, refreshed, removed                    --> a copy to the first successor (RING_TRIGGERS)
 *   another first successor                                   --> copies of all that are ours, to it
 *   another predecessor, which lies nearer                    --> copies of what is its own now, to it
 *                        which lies further (one has died)    --> copies of all that are ours by now, to the successor
 *
 *   what another owns from now on                         --> OWNER to the host, as if it had refreshed its trigger
 *
 * A range changes without a gap: while copies are on their way to a new node, it hands what it does not find to its successor, who had it
 * before and answers for what was inserted there until that expires. Copies that come from the successor for what lies before us already
 * go on to the predecessor. Who leaves (NODE_LINGER) goes on delivering.
 *
 * A copy leads packets to the host, but bears no key: the next refresh is REFUSED_UNKNOWN, and the host inserts anew. It lives one
 * life of a trigger.
 *
 * Bounds: CLUSTER_ASKS hosts whose question is under way (further ones repeat theirs); lookups_per_s; copies are sent at most
 * COPIES_AT_ONCE per run, hosts told TOLD_AT_ONCE, a run every COPY_PAUSE.
 */
#ifndef I3_CLUSTER_H
#define I3_CLUSTER_H

#include "daemon/node/ring.h"

enum { CLUSTER_ASKS = 1024, CLUSTER_OWNER_S = 30 };

struct cluster;
struct node;
struct trigger;
struct visit;

struct cluster *cluster_new(const struct ring_config *c, mono_t now);
void cluster_free(struct cluster *c);
/* NULL for a NULL cluster, as in all of these: the node is alone and owns everything. */
const struct ring *cluster_ring(const struct cluster *c);
struct ring *cluster_members(struct cluster *c);
mono_t cluster_deadline(const struct cluster *c);
void cluster_run(struct node *n, mono_t now, struct outbox *out);
/* True while there is more to say. */
bool cluster_leave(struct node *n, mono_t now, struct outbox *out);

void cluster_on_lookup(struct visit *v);
void cluster_on_ring(struct visit *v);

/* The id is another node's: the host learns whose (OWNER), now or soon. */
bool cluster_redirect(struct visit *v, const struct i3_id *id, uint64_t nonce);
/* Would it be so, or may a packet for this id go to another node? Both only read. */
bool cluster_is_elsewhere(const struct node *n, const struct i3_id *id);
bool cluster_passes_on(const struct node *n, const struct i3_id *id);
/* Where a packet for this id goes; NULL: it is matched here. */
const struct addr *cluster_next(struct visit *v, const struct i3_id *id);
/* The trigger has been inserted or refreshed, or (seconds 0) is being removed. */
void cluster_copy(struct visit *v, const struct trigger *t, unsigned seconds);

#endif
