/* owners.h - which node a packet for an id is handed to (paper 2.1: the owner's address is cached for 30 s).
 *
 *   first packet  --> the home node, which passes it on; beside it a LOOKUP
 *   OWNER         --> from now on straight to the owner of the prefix; asked again while it is used
 *   no PONG       --> an owner that is used and silent for OWNER_PATIENCE is left, and not taken back for as long; its ids go by the
 *                     home node again, which finds its way round it
 *
 * Prefixes are compared whole. An answer counts when it comes from the home node and repeats the random number of the LOOKUP.
 *
 * Bounds: OWNERS_PREFIXES prefixes, those unused longest make room; OWNERS_WATCHED nodes that are watched; what finds no place goes by the
 * home node.
 */
#ifndef I3_OWNERS_H
#define I3_OWNERS_H

#include "daemon/base/crypto.h"
#include "daemon/base/mono.h"
#include "daemon/base/outbox.h"
#include "include/wire.h"

#define OWNER_PATIENCE (500 * USEC_PER_MSEC) /* and two round trips */

enum { OWNERS_PREFIXES = 1024, OWNERS_WATCHED = 64 };

struct owners;

struct owners *owners_new(const uint8_t seed[BLAKE2S_LEN]);
void owners_free(struct owners *os);

/* The node asked first; another one: everything is forgotten. */
void owners_set_home(struct owners *os, const struct addr *home);
/* The same, and what was learned stays; if the old one lives, also what is its own. */
void owners_change_home(struct owners *os, mono_t now, const struct addr *home, bool old_lives);
/* When a packet or question last went to the home node; us 0: never. */
mono_t owners_home_used(const struct owners *os);

/* Where a packet for this id goes now; of family 0 while there is no home. Valid until the next call. */
const struct addr *owners_node(struct owners *os, const struct i3_id *id);

/* OWNER or PONG. -EPROTO: it answers nothing we asked. */
int owners_input(struct owners *os, mono_t now, const struct addr *from, const uint8_t *p, size_t len);
/* Pushes what is due; also how the routes learn the time. */
void owners_output(struct owners *os, mono_t now, struct outbox *out);
mono_t owners_deadline(const struct owners *os);

/* We are at another place, or were asleep: answers that are missing say nothing of the nodes. */
void owners_moved(struct owners *os, mono_t now);

/* The home node, or one that it has named. */
bool owners_has(const struct owners *os, const struct addr *node);
/* How many prefixes go straight to their owner. */
unsigned owners_known(const struct owners *os);
/* The home node is used, and has been silent for seconds. */
bool owners_home_silent(const struct owners *os, mono_t now);

#endif
