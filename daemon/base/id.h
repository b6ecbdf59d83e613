/* id.h - identifiers and keys (DESIGN section 5).
 *
 * An id's prefix certifies its key: the first 128 bits of BLAKE2s("i3run id v1" || X25519 public key).
 * The suffix (the other 128 bits) is free: 0 for a public id, chosen per peer for private ones.
 * People exchange public keys, written as 52 lower-case base32 characters (RFC 4648 alphabet, no padding;
 * the last 4 bits are 0).
 */
#ifndef I3_BASE_ID_H
#define I3_BASE_ID_H

#include "daemon/base/crypto.h"
#include "include/wire.h"

enum { KEY_STR_LEN = 52, ID_STR = 2 * ID_LEN + 1, FINGERPRINT_STR = 25 };

/* The id of a public key with the given suffix (NULL: zeros). */
void id_of_key(struct i3_id *out, const uint8_t key[KEY_LEN], const uint8_t *suffix);

/* The prefix is that key's. */
bool id_is_of_key(const struct i3_id *id, const uint8_t key[KEY_LEN]);

bool id_same_prefix(const struct i3_id *a, const struct i3_id *b);

/* Leading bits which a and b share, 0..256. */
unsigned id_common_bits(const struct i3_id *a, const struct i3_id *b);

/* The virtual address of a public id, host order: pool | H(id), where H takes the bits below the pool's length
 * from BLAKE2s("i3run address v1" || counter || id), with the first counter (0, 1, ...) whose result is usable:
 * the last byte neither 0 nor 255, and, in a pool of 10.0.0.0/8, the second and third byte not both 0 (they mirror
 * to 127.0.0.x). Both ends compute the same (paper 3.3). */
uint32_t id_address(const struct i3_id *id, uint32_t pool, unsigned pool_bits);

/* The virtual IPv6 address of a public id: 40 bits that all have in common (ADDR_PREFIX6) and the first 88 of
 * BLAKE2s("i3run address6 v1" || id). Nobody meets another's, so both ends and everybody else know a host by the same one. */
void id_address6(const struct i3_id *id, uint8_t out[16]);

/* 52 characters and NUL into out. */
void key_format(const uint8_t key[KEY_LEN], char out[KEY_STR_LEN + 1]);
/* The 32 bytes as they are: for private keys, which are no points. 0 or -EINVAL. */
int key_decode(const char *s, uint8_t key[KEY_LEN]);
/* A public key. Either case. 0, -EINVAL (not 52 base32 characters with 4 zero bits), -EKEYREJECTED (a point of small order). */
int key_parse(const char *s, uint8_t key[KEY_LEN]);

/* What people compare instead of a key: the first 100 bits of its id, as base32 in five groups of four, "abcd-efgh-ijkl-mnop-qrst". To
 * make a key with a given one takes 2^100 tries. */
const char *key_fingerprint(const uint8_t key[KEY_LEN], char out[FINGERPRINT_STR]);
/* The same of a key of which only the prefix of its id is known. */
const char *id_fingerprint(const uint8_t prefix[ID_PREFIX_LEN], char out[FINGERPRINT_STR]);

/* Base32 of n bytes, lower case and without padding; the last character's spare bits are 0. out takes BASE32_LEN(n) and a NUL. */
#define BASE32_LEN(n) (((n) * 8 + 4) / 5)
void base32_encode(const uint8_t *p, size_t n, char *out);
/* Exactly n bytes out of BASE32_LEN(n) characters of either case. 0 or -EINVAL. */
int base32_decode(const char *s, uint8_t *p, size_t n);

/* All 64 hex digits. */
const char *id_format(const struct i3_id *id, char out[ID_STR]);
/* The first 8 hex digits, for logs; uses buf of at least 9. */
const char *id_short(const struct i3_id *id, char out[ID_STR]);

#endif
