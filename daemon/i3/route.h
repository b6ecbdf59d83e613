/* route.h - which node a packet for an id is handed to (paper 2.1: the owner's address is cached for 30 s).
 *
 *   first packet  --> the home node, which passes it on; beside it a LOOKUP
 *   OWNER         --> from now on straight to the owner of the prefix; asked again while it is used
 *   no PONG       --> an owner that is used and silent for ROUTE_PATIENCE is left, and not taken back for as long; its ids go by the
 *                     home node again, which finds its way round it
 *
 * Prefixes are compared whole. An answer counts when it comes from the home node and repeats the random number of the LOOKUP.
 *
 * Bounds: ROUTES prefixes, those unused longest make room; ROUTE_OWNERS nodes that are watched; what finds no place goes by the
 * home node.
 */
#ifndef I3_ROUTE_H
#define I3_ROUTE_H

#include "daemon/base/crypto.h"
#include "daemon/base/mono.h"
#include "daemon/base/outbox.h"
#include "include/wire.h"

#define ROUTE_PATIENCE (900 * USEC_PER_MSEC)

enum { ROUTES = 1024, ROUTE_OWNERS = 64 };

struct routes;

struct routes *routes_new(const uint8_t seed[BLAKE2S_LEN]);
void routes_free(struct routes *rt);

/* The node asked first; another one: everything is forgotten. */
void routes_set_home(struct routes *rt, const struct addr *home);

/* Where a packet for this id goes now; of family 0 while there is no home. Valid until the next call. */
const struct addr *route_of(struct routes *rt, const struct i3_id *id);

/* OWNER or PONG. -EPROTO: it answers nothing we asked. */
int routes_input(struct routes *rt, mono_t now, const struct addr *from, const uint8_t *p, size_t len);
/* Pushes what is due; also how the routes learn the time. */
void routes_output(struct routes *rt, mono_t now, struct outbox *out);
mono_t routes_deadline(const struct routes *rt);

/* The home node, or an owner of triggers that are refreshed, has not answered in time. */
void routes_doubt(struct routes *rt, mono_t now, const struct addr *node);

/* How many prefixes go straight to their owner. */
unsigned routes_known(const struct routes *rt);
/* The home node is used, and has been silent for seconds. */
bool routes_home_silent(const struct routes *rt, mono_t now);

#endif
