/* noise.h - two Noise handshakes over X25519 and BLAKE2s (Noise Protocol Framework, revision 34), and nothing else of it: IK for sessions,
 * IXpsk0 for invitations (invite.h).
 *
 *     <- s                         the initiator knows the responder's key
 *     ...
 *     -> e, es, s, ss   payload    INIT      32 + 48 + payload + 16 bytes
 *     <- e, ee, se      payload    RESPONSE  32 + payload + 16 bytes
 *
 * IXpsk0: neither knows the other's key, but both know a secret of 32 bytes
 *
 *     -> psk, e, s          payload    FIRST     32 + 48 + payload + 16 bytes
 *     <- e, ee, se, s, es   payload    SECOND    32 + 48 + payload + 16 bytes
 *
 * No randomness here: ephemeral private keys come in as arguments, must be fresh, and are wiped with the state.
 * A read that fails leaves the state of no use; whoever may have to try another message reads with a copy.
 */
#ifndef I3_NOISE_H
#define I3_NOISE_H

#include "daemon/base/crypto.h"
#include "daemon/i3/seal.h"

enum {
    NOISE_INIT_OVERHEAD = X25519_LEN + X25519_LEN + SEAL_TAG_LEN + SEAL_TAG_LEN,
    NOISE_RESPONSE_OVERHEAD = X25519_LEN + SEAL_TAG_LEN,
    NOISE_IX_FIRST_OVERHEAD = NOISE_INIT_OVERHEAD,
    NOISE_IX_SECOND_OVERHEAD = NOISE_INIT_OVERHEAD,
};

struct noise {
    enum peer_cipher cipher;
    uint8_t h[BLAKE2S_LEN], ck[BLAKE2S_LEN], k[SEAL_KEY_LEN];
    uint64_t n;
    uint8_t s_priv[X25519_LEN], s_pub[X25519_LEN]; /* ours */
    uint8_t e_priv[X25519_LEN];
    uint8_t rs[X25519_LEN], re[X25519_LEN]; /* theirs */
};

/* rs: the responder's key at the initiator; NULL at the responder, who learns the initiator's from the INIT. */
void noise_start(struct noise *n, enum peer_cipher cipher, const void *prologue, size_t prologue_len,
    const uint8_t s_priv[X25519_LEN], const uint8_t s_pub[X25519_LEN], const uint8_t *rs);
void noise_wipe(struct noise *n);

/* Initiator: writes NOISE_INIT_OVERHEAD + len bytes. 0 or -EKEYREJECTED (the responder's key is of small order). */
int noise_write_init(
    struct noise *n, const uint8_t e_priv[X25519_LEN], const void *payload, size_t len, uint8_t *out);

/* Responder, in two steps so that a stranger costs one Diffie-Hellman only: first who it is (n->rs), then the payload,
 * len - NOISE_INIT_OVERHEAD bytes. 0 or -EBADMSG. */
int noise_read_init_key(struct noise *n, const uint8_t *msg, size_t len);
int noise_read_init_payload(struct noise *n, const uint8_t *msg, size_t len, uint8_t *payload);

/* Either, behind the INIT: one more text, part of what both must have seen for the keys to be the same. Writes len + SEAL_TAG_LEN bytes; of
 * as many the other end reads `text`: 0 or -EBADMSG. */
void noise_write_more(struct noise *n, const void *text, size_t len, uint8_t *out);
int noise_read_more(struct noise *n, const uint8_t *msg, size_t len, uint8_t *text);

/* Responder: writes NOISE_RESPONSE_OVERHEAD + len bytes. 0 or -EKEYREJECTED. */
int noise_write_response(
    struct noise *n, const uint8_t e_priv[X25519_LEN], const void *payload, size_t len, uint8_t *out);
/* Initiator: payload takes len - NOISE_RESPONSE_OVERHEAD bytes. 0 or -EBADMSG. */
int noise_read_response(struct noise *n, const uint8_t *msg, size_t len, uint8_t *payload);

/* The two transport keys: the initiator sends with `first` and the responder with `second`. Wipes the state. */
void noise_split(struct noise *n, uint8_t first[SEAL_KEY_LEN], uint8_t second[SEAL_KEY_LEN]);

/* ---- IXpsk0, with ChaCha20-Poly1305 ---- */

void noise_ix_start(struct noise *n, const void *prologue, size_t prologue_len, const uint8_t psk[BLAKE2S_LEN],
    const uint8_t s_priv[X25519_LEN], const uint8_t s_pub[X25519_LEN]);
/* Initiator: writes NOISE_IX_FIRST_OVERHEAD + len bytes. */
void noise_ix_write_first(struct noise *n, const uint8_t e_priv[X25519_LEN], const void *payload, size_t len, uint8_t *out);
/* Responder: who it says it is (n->rs), and the payload. No Diffie-Hellman: only who knows the secret gets so far. 0 or -EBADMSG. */
int noise_ix_read_first(struct noise *n, const uint8_t *msg, size_t len, uint8_t *payload);
/* Responder: writes NOISE_IX_SECOND_OVERHEAD + len bytes. 0 or -EKEYREJECTED. */
int noise_ix_write_second(struct noise *n, const uint8_t e_priv[X25519_LEN], const void *payload, size_t len, uint8_t *out);
/* Initiator: the responder's key, proven (n->rs), and the payload. 0 or -EBADMSG. */
int noise_ix_read_second(struct noise *n, const uint8_t *msg, size_t len, uint8_t *payload);

#endif
