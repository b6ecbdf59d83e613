/* store.h - the triggers a node keeps: found by prefix, matched by id, forgotten when their life ends.
 *
 *   hash of the prefix --> slot --> root of a trie (one trigger, as a rule) --> trigger
 *   oldest <--> ... <--> newest     all lives are equal: a refresh moves to the end, the front expires
 *
 * Bounds: triggers_max triggers, as many ids in stacks, same_max triggers with one id, source_max triggers
 * per source (or no more than are free: a source alone gets half of the store, two get a third each, and so on), where a source is an IPv4 address or an IPv6 /64, whatever the port. Sources are counted in
 * SOURCE_BUCKETS counters by a secret hash, so two may share one. What is beyond a bound is refused; nothing
 * is evicted. Memory is taken from the system only as it is used: about 150 bytes per trigger when the store
 * is full.
 */
#ifndef I3_STORE_H
#define I3_STORE_H

#include "daemon/node/trie.h"

enum { SOURCE_BUCKETS = 65536, STORE_TRIGGERS_MAX = 1 << 28 };

struct store_config {
    uint32_t triggers_max;
    uint32_t source_max; /* 0: as many as there are places free */
    unsigned same_max;
    uint64_t life_us;
    uint64_t secret[2]; /* for the hashes */
};

/* What is to be stored; the ids are copied. */
struct store_item {
    const struct i3_id *id;
    unsigned plen; /* 128..256 */
    const struct addr *owner;
    uint8_t flags, n;
    const uint8_t *ids; /* n * ID_LEN bytes */
    const struct proof_key *key;
    uint64_t seq;
};

struct store;

/* Bytes that a store for so many triggers takes when it is full. */
uint64_t store_memory(uint32_t triggers_max);

struct store *store_new(const struct store_config *c);
void store_free(struct store *s);

/* Stores, or replaces what this owner has under (id, plen). 0, -ENOSPC (full), -EDQUOT (too many of this
 * source), -EMLINK (too many with this id). */
int store_put(struct store *s, mono_t now, const struct store_item *item);
/* The owner's trigger (id, plen), NULL for none. */
struct trigger *store_find(
    const struct store *s, const struct i3_id *id, unsigned plen, const struct addr *owner);
/* Any trigger (id, plen) with one of these flags that another owner has, NULL for none. */
struct trigger *store_other(
    const struct store *s, const struct i3_id *id, unsigned plen, const struct addr *owner, uint8_t flags);
/* Lives anew. */
void store_renew(struct store *s, mono_t now, struct trigger *t);
void store_remove(struct store *s, struct trigger *t);

/* Longest match for x; further copies by store_match_next(). Valid until the store changes. */
struct trie_match store_match(const struct store *s, const struct i3_id *x);
const struct trigger *store_match_next(const struct store *s, const struct trigger *at, unsigned bits);
/* store_match() will be asked for these soon (at most STORE_READY_MAX): what it will read is fetched into the caches, all at the same time. */
enum { STORE_READY_MAX = 64 };
void store_ready(const struct store *s, const struct i3_id *const *id, unsigned n);
/* A number of the trigger's own, 1 to triggers_max, for tables beside the store. */
uint32_t store_index(const struct store *s, const struct trigger *t);
/* The target's ids, t->n of them, into out. */
void store_stack(const struct store *s, const struct trigger *t, uint8_t *out);

mono_t store_deadline(const struct store *s);
/* Forgets what is due, and says how many. */
unsigned store_expire(struct store *s, mono_t now);
uint32_t store_count(const struct store *s);

/* One trigger after the other, in no order; *cursor starts at 0. NULL: that was the last. */
struct trigger *store_next(const struct store *s, uint32_t *cursor);

/* The secret hash of a source, for others who count by source. */
uint32_t store_source_hash(const struct store *s, const struct addr *from);

#endif
