/* ring.h - a node's place among the others: Chord (Stoica et al. 2001) with the rules by which it provably heals (Zave, "Reasoning
 * About Identifier Spaces: How to Make Chord Correct", 2017).
 *
 * A node stands at the prefix of the id of its key and owns the ids in (predecessor, itself]. It knows the next RING_SUCCESSORS
 * nodes round the ring, its predecessor, and for the long way fingers: the owners of its position + 2^127, + 2^126, ...
 *
 *   every `neighbours_us`   ASK the first successor, with "notify". Its STATE brings its list: mine is it + the list but its last. If its
 *                           predecessor lies between us: ASK that one, and with its STATE put it first (stabilise).
 *                           Notified by x: my predecessor is x if there was none, it lies nearer, or the old one is dead (rectify).
 *                           If its predecessor lies behind us, it has not known us yet: ASK that one, with "offer"; whoever is
 *                           offered a nearer successor ASKs it, and puts it first. So a new node is in its place after some round
 *                           trips.
 *                           ASK the predecessor and one more of the list, so that each is known to live by itself.
 *   every `fingers_us`      FIND the owner of the next finger's place
 *   every `seeds_us`        FIND the owner of my own next position by way of a seed or of a lost acquaintance: a ring that was
 *                           broken in two is one again as soon as anybody reaches the other half.
 *
 * What was only heard of is ASKed before it is used, and only what answered lately is passed on, so that the dead do not live on in
 * each other's lists. A FIND goes from node to node (recursively), each confirms by TAKEN; where none comes the node goes round the
 * silent one. The owner answers the origin.
 *
 * A node to which packets for others' ids come learns their owners (ring_learn): FOUND tells which range is the owner's, and for
 * CACHED_US what lies in it goes straight there. Such an owner is asked whether it lives as anybody else who is used, and is forgotten
 * with the first question it leaves unanswered.
 *
 * Members know the ring's secret. Nothing is stored or answered for anybody else.
 *
 * Bounds: RING_CACHE owners learned, those unused longest make room; RING_FINGERS fingers, RING_CALLS questions under way (further look-ups fail with -EAGAIN), RING_KNOWN nodes whose round trip or
 * death is remembered; of two that share a place there the later one stays.
 */
#ifndef I3_RING_H
#define I3_RING_H

#include "daemon/base/mono.h"
#include "daemon/base/outbox.h"
#include "daemon/node/ring_wire.h"

enum { RING_FINGERS = 32, RING_CALLS = 64, RING_KNOWN = 64, RING_SEEDS = 8, RING_EVENTS = 32, RING_CACHE = 128 };

struct ring_config {
    uint8_t key[KEY_LEN];       /* the node's public key */
    struct addr self;           /* where the others reach it */
    uint8_t secret[BLAKE2S_LEN]; /* the ring's */
    struct addr seeds[RING_SEEDS]; /* members to join by; none, or none that answers for 5 s: a ring of one */
    unsigned n_seeds;
    uint64_t neighbours_us, fingers_us, seeds_us; /* default 400 ms, 1 s, 10 s */
    uint8_t seed[32];
};

struct ring;

void ring_config_default(struct ring_config *c);
struct ring *ring_new(const struct ring_config *c, mono_t now);
void ring_free(struct ring *r);

/* One datagram of kind WIRE_RING. What it brings for the owner of triggers is left in `payload` (inside p; at NULL: nothing). */
void ring_input(struct ring *r, mono_t now, const struct addr *from, const uint8_t *p, size_t len, struct bytes *payload,
    struct outbox *out);
mono_t ring_deadline(const struct ring *r);
void ring_expire(struct ring *r, mono_t now, struct outbox *out);

/* Tells the neighbours that it goes (they close the gap at once). Nothing is said or heard from then on, and what is known stays. */
void ring_leave(struct ring *r, mono_t now, struct outbox *out);
bool ring_has_left(const struct ring *r);

/* Copies of triggers for another node; payload of at most RING_PAYLOAD_MAX bytes. */
void ring_send_triggers(struct ring *r, const struct ring_contact *to, struct bytes payload, struct outbox *out);

/* Who owns `pos`: true and RING_FOUND with `token` (or RING_LOST when nobody answers within seconds). -EAGAIN: too many under way, or the
 * node is still looking for its ring. */
int ring_find(struct ring *r, mono_t now, ring_pos pos, uint64_t token, struct outbox *out);

enum ring_event_kind {
    RING_EV_FOUND = 1, /* contact owns what was looked for; hops: how many nodes passed it on */
    RING_EV_LOST,
    RING_EV_RANGE,     /* what this node owns has changed: contact is the predecessor now */
    RING_EV_SUCCESSOR, /* contact is the first successor now */
};

struct ring_event {
    enum ring_event_kind kind;
    uint64_t token;
    unsigned hops;
    struct ring_contact contact;
};

/* The next event; false: none. */
bool ring_poll(struct ring *r, struct ring_event *e);

/* As far as this node knows it owns `pos`. */
bool ring_owns(const struct ring *r, ring_pos pos);
/* Or it may: its predecessor has died, and nobody has come forward yet. */
bool ring_may_own(const struct ring *r, ring_pos pos);
/* The node to which something for `pos` goes next; NULL: it stays here. Who is used so is asked whether it lives. */
const struct ring_contact *ring_next(struct ring *r, mono_t now, ring_pos pos, struct outbox *out);

/* Whether ring_next() is as short as can be; else ring_learn() makes it so, soon. */
bool ring_knows(const struct ring *r, mono_t now, ring_pos pos);
void ring_learn(struct ring *r, mono_t now, ring_pos pos, struct outbox *out);

const struct ring_contact *ring_self(const struct ring *r);
/* NULL: none. i counts from 0. */
const struct ring_contact *ring_successor(const struct ring *r, unsigned i);
/* The owner of our own position + 2^(127 - i). */
const struct ring_contact *ring_finger(const struct ring *r, unsigned i);
/* It has seeds, none of which has answered yet. */
bool ring_is_joining(const struct ring *r);
const struct ring_contact *ring_predecessor(const struct ring *r);

struct ring_stats {
    uint64_t in, out, bad;
    uint64_t asked, silent;         /* questions, and those without an answer */
    uint64_t found, lost, passed_on; /* look-ups: our own, and others' */
    unsigned fingers, cached;
    uint64_t straight;              /* ring_next() that knew the owner */
};

void ring_stats(const struct ring *r, struct ring_stats *out);

#endif
