/* trie.h - the triggers of one 128-bit prefix in a crit-bit tree of the 128 bits after it; the longest match.
 *
 * An id X and a trigger (T, plen) match when they share at least plen bits. Among those that match, the one
 * which shares most bits with X wins (anycast), whatever its plen; the triggers with that very id, as far as
 * they match, each get a copy (multicast). When two ids share equally many bits with X the smaller id wins,
 * so that the choice is a function of the stored set alone.
 *
 *                    branch bit 3, least 0
 *                   /                     \
 *      leaf 0010.., plen 128        branch bit 9, least 7
 *                                  /                     \
 *
 * A branch says at which bit its two sides part, and the least plen below it. On the way down to where X
 * belongs every side left behind shares exactly `bit` bits with X, so the deepest side with least <= bit has
 * the winner: one walk down and one up, at most 128 steps, however many triggers there are.
 *
 * A leaf is the first of the triggers with one id, chained by `same`; at most `same_max` of them, which is
 * the fan-out cap. Bits and plens in here count from the end of the prefix: 0..128.
 */
#ifndef I3_TRIE_H
#define I3_TRIE_H

#include "daemon/base/mono.h"
#include "daemon/i3/proof.h"

enum { TRIE_BITS = 128 };

/* 0 is none; with TRIE_BRANCH set the index of a branch, otherwise that of a trigger. */
typedef uint32_t trie_ref;
#define TRIE_BRANCH 0x80000000u

/* Of another node's trigger, kept for the case that it dies: without the key, so that it can be followed, but not refreshed. */
enum { TRIGGER_COPY = 0x80 };

/* One trigger, 128 bytes; forwarding reads the first 64 only. */
struct trigger {
    _Alignas(64) struct i3_id id;
    struct addr owner; /* where it was inserted from, and its target when n is 0 */
    uint32_t same;     /* next with this id */
    uint8_t plen;      /* bits beyond the prefix, 0..128 */
    uint8_t least;     /* the first of an id only: the least plen among them */
    uint8_t flags;     /* INSERT_*, TRIGGER_COPY */
    uint8_t n;         /* ids in the target's stack, 0: the owner's address */
    uint32_t stack;    /* the first of them, in the store's slab of hops */

    struct proof_key key;
    uint64_t seq; /* of the last PROVE or REFRESH taken */
    mono_t expiry;
    uint32_t older, newer; /* in the order of expiry; newer also chains free ones */
};

struct branch {
    uint8_t bit, least;
    trie_ref side[2]; /* free ones are chained by side[0] */
};

/* The two slabs, owned by the store and equally long; index 0 of each stays unused. */
struct trie {
    struct trigger *triggers;
    struct branch *branches;
    uint32_t branches_free, branches_used;
};

struct trie_match {
    const struct trigger *first; /* NULL: none */
    unsigned bits;               /* shared with it; of the chain at `first` those with plen <= bits match */
};

/* Puts the trigger with this index (id and plen set) under *root. 0, or -EMLINK when same_max triggers have
 * its id. */
int trie_add(struct trie *t, trie_ref *root, uint32_t index, unsigned same_max);
/* Takes it out again. */
void trie_remove(struct trie *t, trie_ref *root, uint32_t index);
/* The first trigger with exactly this id, 0 for none. */
uint32_t trie_find(const struct trie *t, trie_ref root, const struct i3_id *id);
/* The best match for x, whose prefix is that of the tree. */
struct trie_match trie_match(const struct trie *t, trie_ref root, const struct i3_id *x);

/* The next in the chain that matches too, NULL at the end. */
static inline const struct trigger *trie_match_next(
    const struct trie *t, const struct trigger *at, unsigned bits)
{
    do
        at = at->same ? &t->triggers[at->same] : NULL;
    while (at && at->plen > bits);
    return at;
}

#endif
