/* inside.h - what node.c, worker.c, insert.c, batch.c, forward.c and cluster.c share. Nobody else includes this. */
#ifndef I3_NODE_INSIDE_H
#define I3_NODE_INSIDE_H

#include "daemon/node/cluster.h"
#include "daemon/node/limit.h"
#include "daemon/node/node.h"
#include "daemon/node/rate.h"
#include "daemon/node/store.h"

/* Secret and key of one epoch; the previous one's are accepted too, and wiped after that. */
struct epoch {
    bool valid;
    uint8_t number; /* low bits of a counter, as on the wire */
    struct hmac cookie;
    uint8_t priv[KEY_LEN], pub[KEY_LEN];
};

/* A datagram whose handling changes the node. */
struct deed {
    struct addr from;
    uint8_t *p;
    size_t len;
    uint8_t ecn;
    bool proven; /* by `key`, the trigger key: nothing but the store has to be asked again */
    struct proof_key key;
};

/* Hosts have many ids of one key (DESIGN section 5): the trigger key is the same for all of them, and agreed on once. */
enum { AGREED = 256 };
struct agreed {
    bool used;
    uint8_t pub[KEY_LEN]; /* of the id */
    struct proof_key key;
};

/* What belongs to one thread. */
struct worker {
    struct node_stats stats;
    struct limit errors, proofs, proofs_busy;
    mono_t slot;                /* datagrams forwarded since then, and in the slot before */
    uint32_t forwarded, before;
    struct x25519_key *key[2];  /* of two epochs, and what they are made of */
    uint8_t key_pub[2][KEY_LEN];
    struct agreed agreed[2][AGREED]; /* by epoch; of two that share a place the later one stays */
    unsigned n_deeds, done;
    struct deed deed[NODE_DEEDS];
};

struct node {
    struct node_config config;
    struct store *store;
    struct drbg rng;
    struct epoch epoch, previous;
    mono_t epoch_end;
    struct limit lookups;
    struct cluster *cluster; /* NULL: alone */
    struct rates sources, targets; /* by source hash, by trigger */
    struct node_stats stats; /* of what is done alone; the workers have theirs */
    struct worker *worker;   /* config.workers of them */
};

/* One datagram on its way through the node. */
struct visit {
    struct node *node; /* not to be changed while looking */
    struct worker *worker;
    mono_t now;
    const struct addr *from;
    uint8_t *p;
    size_t len;
    struct outbox *out;
    uint8_t ecn;
    bool looking;
    const struct proof_key *proven; /* a deed's, when the look has shown that the packet holds under it */
    struct writer *answers; /* to the packets of a BATCH; NULL: each reply is a datagram */
};

/* DATA, and the datagrams of `size` bytes behind it: `all` bytes from v->p on. How many of them it has taken. */
size_t forward_data(struct visit *v, size_t all, size_t size);
void insert_ask(struct visit *v);
void insert_prove(struct visit *v);
void insert_refresh(struct visit *v);

int workers_new(struct node *n, mono_t now);
void workers_free(struct node *n);
/* Not now: it would change the node. proven: see there, may be NULL. */
void worker_later(struct visit *v, const struct proof_key *proven);
/* So many datagrams have been forwarded. */
void worker_forwarded(struct visit *v, unsigned n);
/* The trigger key of an id's public key. 0, -EBUSY (no more X25519 now) or -EKEYREJECTED. */
int worker_agree(struct visit *v, const struct epoch *e, const uint8_t pub[KEY_LEN], struct proof_key *out);
/* It has proved itself, and will be found at once the next time. */
void worker_agreed(struct visit *v, const struct epoch *e, const uint8_t pub[KEY_LEN], const struct proof_key *key);

/* The epoch of that number if it is still accepted, or NULL. */
const struct epoch *node_epoch(const struct node *n, uint8_t number);
/* REFRESHes: insert_refresh() for each, the answers in one. */
void batch_take(struct visit *v);

/* A reply of len bytes at p to where the datagram came from; never longer than that was. */
void node_reply(struct visit *v, const uint8_t *p, size_t len);
/* REFUSED, as far as errors_per_s allows. */
void node_refuse(struct visit *v, enum refused_reason reason, uint64_t seq);
/* REFUSED for being too fast: the packet's id, or 0. */
void node_slow_down(struct visit *v);
/* May one more error be sent to this source? */
bool node_may_complain(struct visit *v);

#endif
