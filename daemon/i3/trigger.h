/* trigger.h - the host's side of triggers: inserting them, proving the key, keeping them alive (soft state, paper 2).
 *
 *                 insert sent      challenge        ack
 *      WANTED ------------------> ASKED ----> PROVEN ----> STANDING --- half of the life ± jitter ---+
 *        ^                          |            |             ^                                      |
 *        +------- no answer, refused, epoch over (back-off) ---+--- REFRESHING <---------------------+
 *
 * A node that does not own the id says who does (OWNER), and the trigger is inserted there; where that one falls silent, the first node
 * is asked again.
 *
 * Refreshes that are due soon for one node ride together in a BATCH (wire.h) of at most 1200 bytes; a lost one is a repetition.
 *
 * Refreshes keep the mapping of a NAT alive as well; one that is seen to forget us in between makes them twice or four times as
 * frequent.
 *
 * A lost packet is repeated after 250 ms, doubling to 4 s; after REFRESH_TRIES unanswered refreshes the trigger is
 * inserted anew. Every trigger is always in exactly one of these states and has exactly one deadline.
 * Bounds: TRIGGERS_MAX triggers per host; TRIGGERS_LEAVING whose removal is repeated, the oldest gives way.
 */
#ifndef I3_TRIGGER_H
#define I3_TRIGGER_H

#include "daemon/base/mono.h"
#include "daemon/base/outbox.h"
#include "daemon/i3/inner.h" /* enum nat_kind */
#include "daemon/i3/proof.h"

enum { TRIGGERS_MAX = 1024, TRIGGER_REFRESH_TRIES = 4, TRIGGERS_LEAVING = 8 };

struct triggers;

enum trigger_state { TRIGGER_WANTED, TRIGGER_ASKED, TRIGGER_PROVEN, TRIGGER_STANDING, TRIGGER_REFRESHING, TRIGGER_STATES };

/* seed: 32 random bytes. NULL when out of memory. */
struct triggers *triggers_new(const uint8_t seed[BLAKE2S_LEN]);
void triggers_free(struct triggers *t);
/* They belong to somebody who does not want to be recognised: times of refreshes vary by half, and the log has nothing. */
void triggers_set_private(struct triggers *t);

/* The node which is asked first. A change inserts all triggers anew there. */
void triggers_set_node(struct triggers *t, mono_t now, const struct addr *node);
/* The same with as little stir as can be: what other nodes keep stays there. The old one lives: what it keeps it goes on keeping; else
 * that is inserted anew. */
void triggers_change_node(struct triggers *t, mono_t now, const struct addr *node, bool old_lives);

/* Wants a trigger for `id` (whose key pair is given), matching plen bits (128..256), leading to this host (n = 0) or
 * to a stack of n ids. 0, -EEXIST, -ENOSPC, -EINVAL (key does not fit the id, plen or n out of range). */
int trigger_add(struct triggers *t, mono_t now, const struct i3_id *id, unsigned plen, const uint8_t priv[KEY_LEN],
    const uint8_t pub[KEY_LEN], const struct i3_id *stack, unsigned n, unsigned flags);
/* Takes it back: a REFRESH with the remove flag is sent, three times more unless it is answered, and the trigger forgotten. -ENOENT. */
int trigger_remove(struct triggers *t, mono_t now, const struct i3_id *id, unsigned plen, struct outbox *out);
/* The same for all: at a clean end. */
void triggers_remove_all(struct triggers *t, mono_t now, struct outbox *out);

/* The world has changed (new address, long sleep): everything is inserted anew, at once. */
void triggers_restart(struct triggers *t, mono_t now);
/* That node has forgotten where we are (its connection has ended): what is kept there is inserted anew. */
void triggers_renew_at(struct triggers *t, mono_t now, const struct addr *node);

/* We are elsewhere, or were asleep: likewise, but each where it is kept, since that is where it is wanted. */
void triggers_moved(struct triggers *t, mono_t now);

/* Something hints that a node may have lost what it knew, or a NAT what it knew of us (answers are missed; a NOT_PRESENT for
 * somebody who was there a moment ago): one trigger at each of a few nodes is refreshed now, and when one is refused or comes from
 * another address the others follow. At most once a second, more rarely while nothing turns out to be wrong. */
void triggers_doubt(struct triggers *t, mono_t now);

/* A packet for one of our ids came by this node. While that is so, and for some seconds after, its silence is noticed within a second,
 * and what it keeps is inserted anew: also when the copies of its triggers have died with it. Cheap. */
void triggers_delivered(struct triggers *t, mono_t now, const struct addr *from);

/* A CHALLENGE, ACK, REFUSED or OWNER, or a BATCH of these, or a PONG, from `from`. Others, and those that answer nothing we asked, are ignored: -EPROTO. */
int triggers_input(struct triggers *t, mono_t now, const struct addr *from, const uint8_t *p, size_t len);
/* Pushes what is due. */
void triggers_output(struct triggers *t, mono_t now, struct outbox *out);
mono_t triggers_deadline(const struct triggers *t);

/* Our address as the node of the first trigger saw it last, or none. */
const struct addr *triggers_seen_address(const struct triggers *t);
/* What several nodes make of us: one address, or an own port for each. */
enum nat_kind triggers_nat(const struct triggers *t);
/* When the node last answered anything, MONO_NEVER if it never did. */
mono_t triggers_last_answer(const struct triggers *t);
/* Every trigger is STANDING or REFRESHING. */
bool triggers_all_standing(const struct triggers *t);

struct trigger_info {
    struct i3_id id;
    unsigned plen;
    enum trigger_state state;
    const char *state_name;
    mono_t expiry;       /* when the node forgets it unless refreshed */
    uint64_t refreshes, inserts;
    uint32_t rtt_us;     /* of the last exchange */
    int last_refusal;    /* enum refused_reason, 0 */
    struct addr node;    /* where it is kept */
};

/* The i-th trigger, false past the end. */
bool triggers_info(const struct triggers *t, unsigned i, struct trigger_info *out);

#endif
