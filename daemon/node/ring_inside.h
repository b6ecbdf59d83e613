/* ring_inside.h - what ring.c, ring_call.c and ring_find.c share. Nobody else includes this. */
#ifndef I3_RING_INSIDE_H
#define I3_RING_INSIDE_H

#include <errno.h>
#include <stdlib.h>

#include "daemon/node/ring.h"

enum {
    RTO_FIRST_US = 400000, /* until a round trip has been measured */
    RTO_MIN_US = 60000,
    RTO_MAX_US = 1000000,
    ASK_TRIES = 3,      /* so often without an answer: dead */
    HOP_TRIES = 4,      /* so many nodes are offered a FIND before it is given up */
    DEAD_US = 20000000, /* for so long hearsay does not bring a dead one back */
    FIND_US = 1500000,  /* until a look-up of our own is sent again */
    FIND_TRIES = 3,
    WATCH_US = 200000,  /* who is used, and was not heard for so long, is asked */
    SEEDS_FIRST_US = 100000,
    JOIN_US = 5000000,   /* as long a node looks for a ring before it is one by itself */
    FINDS_MAX = RING_CALLS / 2, /* look-ups of our own under way */
    LEARN_MAX = FINDS_MAX / 4,  /* and of these, such as nobody has asked for */
    CACHED_US = 30000000,
};

/* What is remembered of a node beyond its place: by position, direct-mapped. */
struct known {
    struct ring_contact c; /* family 0: free */
    mono_t dead;           /* when it was given up; us 0: it was not */
    uint32_t srtt, rttvar; /* microseconds; 0: not measured */
    mono_t heard;          /* its last message */
    bool suspect;          /* has left a question unanswered */
};

enum call_kind {
    CALL_FREE,
    CALL_SUCCESSOR, /* ASK and notify the first successor */
    CALL_NEARER,    /* ASK whoever may be a nearer successor */
    CALL_NOTIFIER,  /* ASK whoever says that I am its successor */
    CALL_BEFORE,    /* ASK whoever may have me as a successor (offer) */
    CALL_ALIVE,     /* ASK: does it live */
    CALL_WALK,      /* ASK for a walk of the operator's */
    CALL_HOP,       /* a FIND passed on, until it is TAKEN */
    CALL_FIND,      /* a look-up of our own, until it is FOUND */
};

enum purpose { FOR_USER, FOR_FINGER, FOR_JOIN, FOR_CACHE, FOR_WALK };

struct hop {
    ring_pos target;
    struct addr origin;
    uint64_t origin_nonce;
    uint8_t hops, n_tried;
    bool back; /* handed to the predecessor by its successor */
    ring_pos tried[HOP_TRIES];
};

/* A question whose answer is awaited. */
struct call {
    enum call_kind kind;
    uint8_t tries;
    uint8_t purpose, finger; /* CALL_FIND */
    uint64_t nonce, token;
    struct ring_contact to;
    mono_t sent, due;
    struct hop hop; /* CALL_HOP, CALL_FIND */
};

struct entry {
    struct ring_contact c; /* family 0: none */
    mono_t heard;          /* us 0: hearsay */
};

/* An owner that a look-up has found, of (from, c.pos]. */
struct cached {
    struct ring_contact c;
    ring_pos from;
    mono_t until, used, heard;
};

struct ring {
    struct ring_config config;
    struct ring_contact self;
    struct drbg rng;
    struct entry successor[RING_SUCCESSORS]; /* in the order of the ring; what is free is at the end */
    struct entry predecessor;
    bool left; /* said good-bye: not a word more */
    bool predecessor_dead; /* it still bounds the range until another shows itself */
    struct ring_contact before; /* the predecessor's predecessor as that one says, family 0: not known */
    struct entry finger[RING_FINGERS];
    unsigned next_finger, next_check;
    struct known known[RING_KNOWN];
    struct cached cache[RING_CACHE]; /* by position */
    unsigned n_cache;
    struct call call[RING_CALLS];
    mono_t alone_at; /* a node with seeds that has not reached one by then is a ring of its own; us 0: it has joined */
    mono_t neighbours_at, fingers_at, seeds_at, calls_at;
    uint64_t seeds_pause; /* while nobody has answered: doubling */
    struct ring_event event[RING_EVENTS];
    unsigned first_event, n_events;
    struct ring_stats stats;
    struct ring_walk *walk; /* NULL: there was none */
};

static inline bool contact_is(const struct ring_contact *c, const struct ring_contact *other)
{
    return c->addr.family && c->pos == other->pos;
}

/* ring.c: the neighbours */
/* To a node, or, where its position is 0, to whoever is at the address. */
bool ring_send(struct ring *r, const struct ring_contact *to, struct ring_message *m, struct outbox *out);
void ring_emit(struct ring *r, const struct ring_event *e);
/* It has left three questions unanswered, or said good-bye. */
void ring_bury(struct ring *r, mono_t now, const struct ring_contact *c);
/* What is remembered of it; NULL: nothing. */
struct known *ring_known(const struct ring *r, const struct ring_contact *c);
bool ring_is_dead(const struct ring *r, mono_t now, const struct ring_contact *c);
bool ring_is_suspect(const struct ring *r, const struct ring_contact *c);

/* ring_call.c: questions and their time-outs */
struct call *call_new(struct ring *r, mono_t now, enum call_kind kind, const struct ring_contact *to);
/* ASKs; false: the same is being asked, or too much is. */
bool call_ask(struct ring *r, mono_t now, enum call_kind kind, const struct ring_contact *to, struct outbox *out);
struct call *call_find(struct ring *r, uint64_t nonce);
void call_end(struct call *c);
/* All of that kind: nobody waits for their answers any more. */
void calls_forget(struct ring *r, enum call_kind kind);
/* A time-out that suits the node. */
uint64_t call_rto(struct ring *r, const struct ring_contact *to);
void call_measured(struct ring *r, mono_t now, const struct call *c);
void call_suspect(struct ring *r, const struct ring_contact *c);
void calls_expire(struct ring *r, mono_t now, struct outbox *out);

/* ring_cache.c: owners that look-ups have found */
void cache_put(struct ring *r, mono_t now, const struct ring_contact *owner, ring_pos from);
/* The entry in whose range it lies; NULL: there is none, or it is too old. */
struct cached *cache_find(const struct ring *r, mono_t now, ring_pos pos);
void cache_heard(struct ring *r, mono_t now, const struct ring_contact *c);
/* It may be gone. */
void cache_drop(struct ring *r, const struct ring_contact *c);

/* ring_find.c: look-ups */
void find_on_find(struct ring *r, mono_t now, const struct ring_message *m, struct outbox *out);
void find_on_found(struct ring *r, mono_t now, const struct ring_message *m, struct outbox *out);
void find_hop_silent(struct ring *r, mono_t now, struct call *c, struct outbox *out);
void find_again(struct ring *r, mono_t now, struct call *c, struct outbox *out);
void find_next_finger(struct ring *r, mono_t now, struct outbox *out);
/* By way of somebody who may not know us: a seed, or one that was lost. */
void find_join(struct ring *r, mono_t now, const struct addr *by, struct outbox *out);
/* The owner's answer, or none, goes to walk_on_found(). False: too many are under way, or nobody can be asked. */
bool find_for_walk(struct ring *r, mono_t now, ring_pos pos, uint64_t token, struct outbox *out);

/* ring_walk.c: a look at the whole ring */
void walk_on_state(struct ring *r, mono_t now, const struct call *c, const struct ring_message *m, struct outbox *out);
void walk_on_silence(struct ring *r, mono_t now, const struct ring_contact *c, struct outbox *out);
void walk_on_found(
    struct ring *r, mono_t now, const struct call *c, const struct ring_contact *owner, unsigned hops, struct outbox *out);
mono_t walk_deadline(const struct ring *r);
void walk_expire(struct ring *r, mono_t now, struct outbox *out);
void walk_free(struct ring *r);

#endif
