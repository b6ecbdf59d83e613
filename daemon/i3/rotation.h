/* rotation.h - a user's key gives way to a new one.
 *
 *   A, whose key was `old`                               B, who has `old` in the book
 *      any session of `old`  <------------------------->  (handshake, if none stands)
 *      ROTATE new, proof     -------------------------->  is the proof good? The book has `new` in the place of `old` from now on,
 *                                                         on the disk as well
 *                            <-------------------------   ROTATED
 *      (repeated until then)                              a session with `new`
 *
 * That the old key says so is known by the session in which it does; the proof is that whoever says so has the new one as well, so that
 * nobody can make B take a third one for A:
 *
 *   proof   first 16 of HMAC-BLAKE2s(BLAKE2s("i3run rotation v1" || X25519(new, B)), old || new || B)
 *
 * The old key goes on to answer for a time of grace, for those who were away; its sessions carry nothing else. A key that has been
 * replaced is believed no more, but for the same announcement again. Whoever has stolen a private key can announce as well: where that
 * is what the change is for, tell your friends by another way, too.
 */
#ifndef I3_ROTATION_H
#define I3_ROTATION_H

#include "daemon/base/crypto.h"
#include "daemon/i3/inner.h"

/* By either end: its private key, the other's public one (new and B). 0 or -EKEYREJECTED. */
int rotation_proof(const uint8_t priv[KEY_LEN], const uint8_t other[KEY_LEN], const uint8_t old[KEY_LEN], const uint8_t new[KEY_LEN],
    const uint8_t to[KEY_LEN], uint8_t proof[ROTATION_PROOF_LEN]);

/* What ROTATED says. */
uint64_t rotation_token(const uint8_t new[KEY_LEN]);

#endif
