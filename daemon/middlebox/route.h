/* route.h - middle-boxes (paper 2.4, 6.4): hosts that packets between two others pass, opened and sealed anew at each, so that a
 * program there can look at them.
 *
 *   control   A ----[M1, M2, B]----> M1 ------> M2 ------> B      handshake and words of A and B, end to end: sealed for B, passed on by
 *             A <------ M1 <------ M2 <----[M2, M1, A]---- B      their stack of ids (pump/waypoint.c). The INIT names the boxes.
 *
 *   packets   A === session ===  M1  === session ===  M2  === session ===  B
 *                  num 1               num 7                num 3            a route: one number for each of the sessions
 *
 * A tells M1 to OPEN a route (word.h), with the keys of all that follow and the token which stood in its INIT; each opens a session with the
 * next and passes that on; B knows by the token whose it is. From then on a packet is a word of kind 13 with the route's number in
 * that session, which each box replaces by its next one. At B it counts as if it had come in A's own session; what comes in that one itself has
 * bypassed the boxes, and is refused.
 *
 * A route is soft: ROUTE_IDLE without a packet, or a box that starts anew, and it is forgotten; the next packet is answered by CLOSE (unknown),
 * whereupon it is opened again. Numbers are the opener's choice; the one with the smaller key of two neighbours takes those below
 * 0x8000, so that neither takes the other's.
 *
 * Sizes: OPEN carries what comes through on the way back from where it is, OPENED and MTU what comes through on the way on. A box keeps, for
 * either end of a route, what the neighbour there has said lies beyond it.
 *
 * Bounds: ROUTES_MAX in all; ROUTES_EACH opened by one neighbour; at most BOXES_MAX boxes, no key twice.
 */
#ifndef I3_BOX_ROUTE_H
#define I3_BOX_ROUTE_H

#include <stdlib.h>

#ifndef uthash_fatal
#define uthash_fatal(msg) abort()
#endif
#include <uthash.h>

#include "daemon/base/budget.h"
#include "daemon/base/mono.h"
#include "daemon/middlebox/word.h"

#define ROUTE_IDLE (180 * USEC_PER_SEC)

enum { ROUTES_MAX = 16384, ROUTES_EACH = 256, ROUTE_OPENER = 0, ROUTE_OTHER = 1 };

/* A neighbour's end: a session, and the number there. No padding: it is hashed as it is. */
struct route_at {
    uint64_t place; /* which of our keys (struct side), as the caller likes */
    uint8_t key[KEY_LEN];
    uint16_t num; /* 0: the end is here, and `key` is the peer's at the other end */
    uint8_t zero[6];
};

struct route_end {
    struct route_at at;
    uint16_t beyond; /* the largest packet beyond the neighbour; UINT16_MAX: not known, or there is nothing beyond */
    uint8_t index;           /* in route.end */
    uint64_t packets, bytes; /* which came from there */
    UT_hash_handle hh;
};

struct route {
    struct route_end end[2];
    uint32_t serial;
    uint8_t token[BOXES_TOKEN_LEN];
    uint8_t flags;                    /* BOX_ANONYMOUS */
    unsigned n_rest;                  /* `other` and who comes behind it; the last is the far end */
    struct peer_box rest[BOXES_MAX + 1];
    bool asked, open;                 /* OPEN was sent; it was answered */
    mono_t used, asked_at, begun;
    unsigned tries;
    struct budget alerts;
    uint64_t dropped;
    uint64_t mark; /* of the caller's */
    struct route *prev, *next;
    UT_hash_handle by_serial;
};

struct routes;

struct routes *routes_new(void);
void routes_free(struct routes *t);

/* Which route that is, and at which of its ends; NULL: none. */
struct route *route_find(const struct routes *t, const struct route_at *at, unsigned *end);
/* A new one. NULL: too many, of that opener or in all; or one of both is taken. Linked by both its ends. */
struct route *route_add(struct routes *t, const struct route_at *opener, const struct route_at *other, mono_t now);
void route_remove(struct routes *t, struct route *r);
/* A number for the session of `mine` with `at->key` that no route has, into at->num; false: there is none left. */
bool route_number(struct routes *t, const uint8_t mine[KEY_LEN], struct route_at *at);
struct route *route_numbered(const struct routes *t, uint32_t serial);
struct route *route_first(const struct routes *t);
struct route *route_next(const struct route *r);
unsigned routes_count(const struct routes *t);
/* Forgets what has been idle; how many were. */
unsigned routes_expire(struct routes *t, mono_t now);

#endif
