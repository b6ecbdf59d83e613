/* overlay_world.h - whole hosts (triggers, routes and sessions) and real nodes between them, in virtual time. */
#ifndef I3_TEST_OVERLAY_WORLD_H
#define I3_TEST_OVERLAY_WORLD_H

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/i3/peer.h"
#include "daemon/i3/trigger.h"
#include "daemon/node/node.h"

#define MS  USEC_PER_MSEC
#define SEC USEC_PER_SEC

enum { HOSTS = 20, NODES = 12, FLIGHT = 16384, SOCKET_QUEUE = 1024 };

struct flight {
    mono_t at;
    struct addr from, to;
    uint8_t *p;
    size_t len;
};

struct host {
    struct addr addr;
    unsigned home; /* its node */
    struct triggers *t;
    struct peers *ps;
    struct owners *rt;
    struct peers_config c;
    struct i3_id public_id, private_id;
    uint64_t got, ups, unreachables, unanswered;
    bool asleep; /* nothing happens in it; what comes waits in its socket */
    mono_t asleep_at;
    struct flight waiting[SOCKET_QUEUE];
    unsigned n_waiting;
};

/* A node that is down has no `n`. */
struct node_host {
    struct node *n;
    struct addr addr;
};

struct overlay {
    mono_t now;
    struct drbg drbg;
    struct node_host node[NODES];
    unsigned nodes;
    struct node_config nc;
    struct host host[HOSTS];
    unsigned hosts;
    struct flight flight[FLIGHT]; /* in no order: there are never many */
    unsigned n;
    struct outbox out;
    unsigned loss; /* per 1000 */
    uint64_t delay, jitter;
    uint64_t data_in[HOSTS]; /* DATA packets, whatever they hold */
    uint64_t not_presents, owners_told; /* at all hosts */
    bool connections;       /* hosts come by nothing else: no datagram may go to them */
    bool met[NODES][HOSTS]; /* that node has heard from that host itself */
};

extern struct overlay w;

/* One node without a ring. */
void world_start(unsigned hosts, uint8_t seed);
/* Nodes that form a ring, hosts spread over them. */
void world_ring(unsigned nodes, unsigned hosts, uint8_t seed);
/* The same, with that much time for the nodes to find each other before the hosts come. */
void world_ring_young(unsigned nodes, unsigned hosts, uint8_t seed, uint64_t age_us);
void world_stop(void);
/* A node (of a ring if there are several), anew. */
void node_start(unsigned i);
/* Without a word. */
void node_crash(unsigned i);
void host_start(struct host *h);
void host_stop(struct host *h);
void run(uint64_t us);
/* What was pushed into w.out goes on its way from there. */
void send_all(const struct addr *from);
uint64_t wall(void);
/* A daemon that does nothing for a while. It wakes up behind another address if `moved`, and is told so, as pump/move.c does. */
void host_sleep(struct host *h);
void host_wake(struct host *h, bool moved);
/* One packet; false when there is no key to send with. */
bool talk(unsigned from, unsigned to);
/* Each speaks to the other every 100 ms until both have heard; how long that takes. */
uint64_t time_to_talk(unsigned a, unsigned b);

#endif
