/* node_workers.h - a node's sockets and the threads that serve them: recvmmsg, node_look, node_act, sendmmsg.
 *
 *   worker 0    on the thread of libuv's loop, which calls node_workers_turn() when its socket is readable
 *   worker 1..  a thread each, which sleeps in poll(); sockets beside the first (SO_REUSEPORT): a flow always comes to one of them, in order
 *
 *      turn:   take a batch --> [shared: look at all of it] --> [alone: do the deeds, if any] --> send what came of it
 *
 * The lock is a mutex per worker: who looks holds its own, which nobody else touches and which so costs some 20 ns per batch, with
 * nothing that moves between the caches of the cores; who acts holds all of them, in their order. A reader-writer lock instead would have
 * every batch of every core write to one cache line. Nothing is sent or received with a lock held. One worker alone locks nothing.
 *
 * Why not a node per core, each with its own triggers: a packet comes to a core by its sender, its trigger to one by its owner.
 *
 * Default: 1. One forwards 10 Gbit/s in trains, more than most machines are connected with, and leaves the other cores to the rest of the
 * machine; several pay where many senders' single small packets make the load, and where proofs do (40 us each).
 */
#ifndef I3_NODE_WORKERS_H
#define I3_NODE_WORKERS_H

#include "daemon/io/udp.h"
#include "daemon/node/node.h"

struct node_workers;

/* Binds n sockets (1 to NODE_WORKERS_MAX) of `buffer` bytes. 0 or -errno. */
int node_workers_open(struct node_workers **out, const struct addr *bind, uint32_t buffer, unsigned n);
/* Joins the threads; no socket is closed before all have ended. NULL is nothing. */
void node_workers_free(struct node_workers *w);

/* Starts the threads; the node's config.workers is that n. `sooner` is called by another thread when after its deeds something is due in the node
 * before what node_workers_arm() has said last. 0 or -errno. */
int node_workers_start(struct node_workers *w, struct node *n, void (*sooner)(void *ctx), void *ctx);
/* Ends the threads. What comes from now on is not served. */
void node_workers_stop(struct node_workers *w);

/* What goes to connections (ADDR_TCP) is taken out of an outbox by `send`, on the thread of that worker; without one it is lost. May be
 * called while they run. */
typedef void node_workers_send_fn(void *ctx, unsigned worker, struct outbox *out);
void node_workers_connections(struct node_workers *w, node_workers_send_fn *send, void *ctx);

/* ---- of the first thread ---- */

/* A batch of worker 0's; true: there may be more. */
bool node_workers_turn(struct node_workers *w);
/* As if these had come to worker 0's socket; when it returns their bytes are not needed any more. */
void node_workers_feed(struct node_workers *w, struct train_in *t, unsigned n);
/* Nobody else is in the node from here to node_workers_done(), which sends what is in the outbox. Once at a time. */
struct outbox *node_workers_alone(struct node_workers *w);
void node_workers_flush(struct node_workers *w); /* in between, what is in the outbox so far */
void node_workers_done(struct node_workers *w);
/* When something is due in the node next; that is when the timer will be set to, not later than `latest`. */
mono_t node_workers_arm(struct node_workers *w, mono_t latest);

/* Worker 0's socket, to be watched; and the place where all are bound. */
int node_workers_fd(const struct node_workers *w);
const struct addr *node_workers_local(const struct node_workers *w);
/* Of all sockets. */
void node_workers_udp_stats(struct node_workers *w, struct udp_stats *out);

#endif
