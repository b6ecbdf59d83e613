/* outbox.h - datagrams on their way out of a pure room.
 *
 * A room pushes; the pump hands the batch to io/udp, which merges runs of the same destination
 * and size into GSO trains, and then clears it. What is pushed by reference must stay valid
 * until then; small control packets are built in the arena with outbox_alloc().
 *
 * Bounds: OUTBOX_MAX datagrams and OUTBOX_ARENA bytes. When full, a push fails, the packet is
 * lost and counted: the protocols above repeat. The pump flushes whenever fewer than
 * OUTBOX_HEADROOM places are left before it calls a room, so a room that pushes no more than
 * that per call never loses one.
 *
 * An entry may be a train by itself (inbox.h): datagrams of `size` bytes side by side, the last one
 * perhaps shorter. Only a node's forwarding pushes such.
 */
#ifndef I3_OUTBOX_H
#define I3_OUTBOX_H

#include "include/addr.h"

enum {
    TRAIN_SEGMENTS = 64,
    TRAIN_BYTES = 65000, /* with headers below 65,535 */
};

enum { OUTBOX_MAX = 512, OUTBOX_HEADROOM = 128, OUTBOX_ARENA = 256 * 1024, OUTBOX_ARENA_HEADROOM = 128 * 1024 };

struct dgram {
    struct addr to;
    uint8_t *data;
    uint32_t len;
    uint8_t ecn; /* the outer IP header's bits (RFC 3168) */
    bool alone;  /* never part of a train: where it is too large, it alone is lost */
    uint16_t size; /* 0: one datagram of len bytes; else a train of such */
};

struct outbox {
    struct dgram v[OUTBOX_MAX];
    unsigned n;
    uint64_t dropped;
    size_t used; /* bytes of arena */
    uint8_t arena[OUTBOX_ARENA];
};

static inline void outbox_clear(struct outbox *o)
{
    o->n = 0;
    o->used = 0;
}

static inline bool outbox_is_tight(const struct outbox *o)
{
    return OUTBOX_MAX - o->n < OUTBOX_HEADROOM || OUTBOX_ARENA - o->used < OUTBOX_ARENA_HEADROOM;
}

/* Queue len bytes at data, by reference, for `to`. False when full. */
static inline bool outbox_push(struct outbox *o, const struct addr *to, uint8_t *data, size_t len)
{
    if (o->n == OUTBOX_MAX) {
        o->dropped++;
        return false;
    }
    o->v[o->n++] = (struct dgram){*to, data, (uint32_t)len, 0, false, 0};
    return true;
}

/* The same for a train of datagrams of `size` bytes, of at most TRAIN_SEGMENTS and TRAIN_BYTES. */
static inline bool outbox_push_train(
    struct outbox *o, const struct addr *to, uint8_t *data, size_t len, size_t size, uint8_t ecn)
{
    if (!outbox_push(o, to, data, len))
        return false;
    o->v[o->n - 1].ecn = ecn;
    o->v[o->n - 1].size = len > size ? (uint16_t)size : 0;
    return true;
}

/* How many datagrams an entry is. */
static inline unsigned dgram_count(const struct dgram *d)
{
    return d->size ? (d->len + d->size - 1u) / d->size : 1;
}

/* What was pushed last bears these bits. */
static inline void outbox_set_ecn(struct outbox *o, uint8_t ecn)
{
    if (o->n)
        o->v[o->n - 1].ecn = ecn;
}

/* What was pushed last shall be sent alone. */
static inline void outbox_alone(struct outbox *o)
{
    if (o->n)
        o->v[o->n - 1].alone = true;
}

/* len bytes of arena to build a packet in, or NULL when full. */
static inline uint8_t *outbox_alloc(struct outbox *o, size_t len)
{
    if (OUTBOX_ARENA - o->used < len) {
        o->dropped++;
        return NULL;
    }
    uint8_t *p = o->arena + o->used;
    o->used += len;
    return p;
}

#endif
