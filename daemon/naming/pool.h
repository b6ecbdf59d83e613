/* pool.h - virtual addresses: which key has which address here (paper 3.3, 7.2; DESIGN section 8).
 *
 * Normally the address which the id hashes to, so that both ends agree and no header is rewritten. When that one is taken
 * by another key, or excluded (routed locally for real), a free one is chosen by hashing on. Entries of keys in the
 * book are pinned; others live POOL_LIFE after the last use. An entry never changes its address while it lives.
 * An entry has an IPv6 address as well, always the one which the id hashes to: those never collide, so nothing is chosen. Its
 * IPv4 address is the handle by which everything else names the host, in connections of either family.
 * Bounds: POOL_MAX entries (then nothing more is allotted until some expire), POOL_EXCLUDED_MAX excluded ranges.
 */
#ifndef I3_POOL_H
#define I3_POOL_H

#include "daemon/base/mono.h"
#include "daemon/base/id.h"

enum { POOL_MAX = 65536, POOL_EXCLUDED_MAX = 256, POOL_BITS_MIN = 8, POOL_BITS_MAX = 24 };
#define POOL_LIFE (7200 * USEC_PER_SEC)

struct pool;

/* network in host order, without bits beyond its length; POOL_BITS_MIN..MAX. NULL: not so, or out of memory. */
struct pool *pool_new(uint32_t network, unsigned bits, const uint8_t seed[32]);
/* How much longer an entry has to live than when it was saved to be saved again; 0, as at the start: whenever it is used. */
void pool_save_step(struct pool *p, uint64_t us);
void pool_free(struct pool *p);

uint32_t pool_network(const struct pool *p);
unsigned pool_bits(const struct pool *p);
/* Inside the network, excluded or not. */
bool pool_contains(const struct pool *p, uint32_t ip);

/* Addresses of network/bits are routed locally for real: never handed out. Call before anything is (else -EBUSY).
 * -EINVAL (bits beyond the length), -ENOSPC. A route over the whole pool, as a default route is, leaves nothing. */
int pool_exclude(struct pool *p, uint32_t network, unsigned bits);
bool pool_is_excluded(const struct pool *p, uint32_t ip);

/* The address of this key, allotted if need be, 0 when the pool is full; refreshes its life. */
uint32_t pool_get(struct pool *p, mono_t now, const uint8_t key[KEY_LEN]);
/* The key behind an address, NULL for none; refreshes its life. */
const uint8_t *pool_key(struct pool *p, mono_t now, uint32_t ip);
/* The IPv4 address of the entry with this IPv6 address, 0 for none (it was never handed out, or has expired); refreshes its
 * life. */
uint32_t pool_find6(struct pool *p, mono_t now, const uint8_t ip6[16]);
/* The other way; false for none. */
bool pool_address6(const struct pool *p, uint32_t ip, uint8_t ip6[16]);
/* The entry of `old` is that of `new` from now on: the IPv4 address stays, the IPv6 address is the one of `new`, and what `new` has had
 * goes. False: `old` has none, and nothing is done. */
bool pool_rekey(struct pool *p, mono_t now, const uint8_t old[KEY_LEN], const uint8_t new[KEY_LEN]);
/* Pinned entries do not expire. Pinning a key which has no address yet allots one, so that it is reserved. */
void pool_pin(struct pool *p, const uint8_t key[KEY_LEN], bool pinned);

/* The address of somebody who only passes: never saved, and kept until pool_passed(). `aside`: one that no id hashes to, so that it is not in
 * the way of anybody's who comes later, while there are such (1 of 256 addresses). 0: the pool is full, or the key has an address for good. */
uint32_t pool_pass(struct pool *p, mono_t now, const uint8_t key[KEY_LEN], bool aside);
void pool_passed(struct pool *p, const uint8_t key[KEY_LEN]);

/* ---- what is to be kept on disk ---- */

struct pool_entry {
    const uint8_t *key;
    uint32_t ip;
    mono_t due; /* MONO_NEVER: pinned */
};

/* Puts back an entry of another life of the program; it takes the place of what the key, or the address, has had. -EADDRNOTAVAIL: that
 * address is none of the network's, or routed locally for real now; -ENOSPC, -ENOMEM. */
int pool_restore(struct pool *p, const uint8_t key[KEY_LEN], uint32_t ip, mono_t due);
/* One that is new, or lives more than `step` longer than when it was last saved; false: there is none. It is taken for saved then. */
bool pool_unsaved(struct pool *p, struct pool_entry *out);
/* Every entry in turn, in no order: *at is NULL at first. It is taken for saved. False: that was the last. */
bool pool_each(struct pool *p, void **at, struct pool_entry *out);
/* What was taken for saved was not. */
void pool_save_again(struct pool *p);
size_t pool_count(const struct pool *p);

mono_t pool_deadline(const struct pool *p);
void pool_expire(struct pool *p, mono_t now);

#endif
