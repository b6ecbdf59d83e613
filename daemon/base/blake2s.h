/* blake2s.h - BLAKE2s-256 without a key (RFC 7693), in pieces.
 *
 * Written here and not taken from libcrypto, against the rule that libcrypto does all (DESIGN section 7): its EVP looks the digest up by
 * name and allocates for every hash, behind locks which all threads share. What a node hashes is 40 to 120 bytes long, so that was most of
 * it: an HMAC took 1.1 us, and takes 0.6; 0.3 with a key that is prepared. There is no state but the caller's. unit/base/crypto holds it against libcrypto at every length.
 *
 *   h[8]: the chain | t: bytes so far | block: the last one, which is compressed only when it is known whether more comes
 */
#ifndef I3_BLAKE2S_H
#define I3_BLAKE2S_H

#include <stddef.h>
#include <stdint.h>

enum { BLAKE2S_BLOCK = 64, BLAKE2S_LEN = 32 };

struct blake2s {
    uint32_t h[8];
    uint64_t t;
    uint8_t block[BLAKE2S_BLOCK];
    unsigned used; /* bytes in block */
};

void blake2s_init(struct blake2s *s);
void blake2s_add(struct blake2s *s, const void *p, size_t len);
/* What is there is a whole block, and more will come: compresses it now, for all copies of s. */
void blake2s_press(struct blake2s *s);
/* Once; s is of no use afterwards. */
void blake2s_end(struct blake2s *s, uint8_t out[BLAKE2S_LEN]);

#endif
