/* seal.h - AEAD with one key in one direction, made for one call per packet, and the window that refuses replays.
 *
 * A key's schedule is computed once; per packet only the nonce changes. The nonce is Noise's: 4 zero bytes and the 64-bit
 * counter, big-endian for AES-256-GCM, little-endian for ChaCha20-Poly1305. Whoever seals must never use a counter twice.
 * The backend is libcrypto, or for AES-256-GCM libipsec-mb where the build and the CPU have it (a fourth of the time).
 */
#ifndef I3_SEAL_H
#define I3_SEAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { SEAL_KEY_LEN = 32, SEAL_TAG_LEN = 16 };

enum peer_cipher {
    CIPHER_AES256GCM = 1,
    CIPHER_CHACHA20POLY1305 = 2
}; /* bits of a mask; the lower is preferred */

/* As in the names of Noise protocols; NULL when unknown. */
const char *cipher_name(enum peer_cipher c);

struct seal;

/* Aborts when out of memory. accel: what accel_open() of io/accel.h gave, NULL for libcrypto alone; it must outlive the key. */
struct seal *seal_new_with(const void *accel, enum peer_cipher cipher, const uint8_t key[SEAL_KEY_LEN], bool encrypt);
struct seal *seal_new(enum peer_cipher cipher, const uint8_t key[SEAL_KEY_LEN], bool encrypt);
void seal_free(struct seal *s);

/* out = the n pieces encrypted in a row, then the tag; room for all that is the caller's business. out may overlap the
 * first piece only, at its own start. Returns the length written. */
size_t seal_encrypt(struct seal *s, uint64_t counter, const void *ad, size_t ad_len, const struct iovec *v,
    int n, uint8_t *out);

/* Decrypts the len bytes at p (tag included) in place: 0, and len - SEAL_TAG_LEN bytes stand there; or -EBADMSG when
 * forged or too short, and then p holds rubbish. */
int seal_decrypt(struct seal *s, uint64_t counter, const void *ad, size_t ad_len, uint8_t *p, size_t len);

/* ---- replay window (after RFC 6479): a ring of bits, one per counter, one word more than the window is long ---- */

enum { REPLAY_WINDOW = 8192, REPLAY_WORDS = REPLAY_WINDOW / 64 + 1 };

struct replay {
    uint64_t next; /* the highest counter seen, plus 1 */
    uint64_t bits[REPLAY_WORDS];
};

/* Never seen, and not too old to tell. */
bool replay_is_new(const struct replay *r, uint64_t counter);
/* Remembers a counter that was new and whose packet was genuine. */
void replay_mark(struct replay *r, uint64_t counter);

#endif
