/* crypto.h - the primitives that every room shares, over OpenSSL's EVP: BLAKE2s, its HMAC, X25519,
 * and a generator of random bytes which is seeded from outside, so that rooms stay deterministic.
 *
 * Every function that can fail for want of memory aborts instead: a daemon without keys is none.
 */
#ifndef I3_CRYPTO_H
#define I3_CRYPTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BLAKE2S_LEN = 32, BLAKE2S_BLOCK = 64, X25519_LEN = 32 };

struct bytes {
    const void *at;
    size_t len;
};

/* out = BLAKE2s-256 of the n pieces in a row (RFC 7693, no key). */
void blake2s(uint8_t out[BLAKE2S_LEN], const struct bytes *v, size_t n);

/* out = HMAC-BLAKE2s-256 (RFC 2104) of the n pieces under `key` (any length). */
void hmac_blake2s(uint8_t out[BLAKE2S_LEN], struct bytes key, const struct bytes *v, size_t n);

/* The same where a key is used again: what comes of the key alone is kept. To be wiped like the key. */
struct hmac {
    uint8_t inner[BLAKE2S_BLOCK], outer[BLAKE2S_BLOCK];
};
void hmac_init(struct hmac *h, struct bytes key);
void hmac_make(uint8_t out[BLAKE2S_LEN], const struct hmac *h, const struct bytes *v, size_t n);

/* Constant time; true when equal. */
bool crypto_equal(const void *a, const void *b, size_t len);

/* Overwrites a secret so that the compiler cannot drop it. */
void crypto_wipe(void *p, size_t len);

/* The public key of a private one (RFC 7748; clamped inside). */
void x25519_public(uint8_t pub[X25519_LEN], const uint8_t priv[X25519_LEN]);

/* out = X25519(priv, pub). 0, or -EKEYREJECTED when pub is a point of small order. */
int x25519(uint8_t out[X25519_LEN], const uint8_t priv[X25519_LEN], const uint8_t pub[X25519_LEN]);

/* The same where a private key is used again, which spares making its public one each time: about 40 % of the cost. Not for two threads
 * at once. */
struct x25519_key;
struct x25519_key *x25519_key_new(const uint8_t priv[X25519_LEN]);
void x25519_key_free(struct x25519_key *k);
int x25519_derive(uint8_t out[X25519_LEN], struct x25519_key *k, const uint8_t pub[X25519_LEN]);

/* Random bytes from a 32-byte seed: BLAKE2s in counter mode, the state replaced after every draw,
 * so that what was drawn before cannot be computed from what is kept. */
struct drbg {
    uint8_t state[BLAKE2S_LEN];
};

void drbg_init(struct drbg *d, const uint8_t seed[BLAKE2S_LEN]);
void drbg_draw(struct drbg *d, void *out, size_t len);
uint64_t drbg_u64(struct drbg *d);
/* v give or take a part-th of it, so that many who do the same do not do it at once. */
uint64_t drbg_around(struct drbg *d, uint64_t v, unsigned part);

#endif
