/* inside.h - what node.c, insert.c and forward.c share. Nobody else includes this. */
#ifndef I3_NODE_INSIDE_H
#define I3_NODE_INSIDE_H

#include "daemon/node/cluster.h"
#include "daemon/node/limit.h"
#include "daemon/node/node.h"
#include "daemon/node/store.h"

/* Secret and key of one epoch; the previous one's are accepted too, and wiped after that. */
struct epoch {
    bool valid;
    uint8_t number; /* low bits of a counter, as on the wire */
    uint8_t cookie_secret[BLAKE2S_LEN];
    uint8_t priv[KEY_LEN], pub[KEY_LEN];
};

struct node {
    struct node_config config;
    struct store *store;
    struct drbg rng;
    struct epoch epoch, previous;
    mono_t epoch_end;
    struct limit errors, proofs, lookups;
    struct cluster *cluster; /* NULL: alone */
    struct node_stats stats;
};

/* One datagram on its way through the node. */
struct visit {
    struct node *node;
    mono_t now;
    const struct addr *from;
    uint8_t *p;
    size_t len;
    struct outbox *out;
    struct writer *answers; /* to the packets of a BATCH; NULL: each reply is a datagram */
};

void forward_data(struct visit *v);
void insert_ask(struct visit *v);
void insert_prove(struct visit *v);
void insert_refresh(struct visit *v);

/* The epoch of that number if it is still accepted, or NULL. */
const struct epoch *node_epoch(const struct node *n, uint8_t number);
/* REFRESHes: insert_refresh() for each, the answers in one. */
void batch_take(struct visit *v);

/* A reply of len bytes at p to where the datagram came from; never longer than that was. */
void node_reply(struct visit *v, const uint8_t *p, size_t len);
/* REFUSED, as far as errors_per_s allows. */
void node_refuse(struct visit *v, enum refused_reason reason, uint64_t seq);
/* May one more error be sent to this source? */
bool node_may_complain(struct visit *v);

#endif
