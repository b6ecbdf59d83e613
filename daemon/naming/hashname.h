/* hashname.h - names which need no book: the id is a hash of the name (paper 3.2, "local resolution, global scope").
 *
 * The hash of the name is a private key, so everybody who knows the name has the same one, and can keep a trigger at its id: who does so
 * claims the name. Nobody is kept from it, and the paper says as much of all names with a global scope; so the name's key serves only to ask
 * who is there, and the answer is the claimant's own key, which the asker keeps for good (trust on first use).
 *
 *     name, lower case, with its suffix: "box.i3"
 *        |  BLAKE2s("i3run name key v1", name)               |  BLAKE2s("i3run name mac v1", name)
 *        v                                                   v
 *     private key --> public key --> id, suffix zeros     the MAC's key
 *
 * Two datagrams, payload of DATA with PROTO_NAME (include/wire.h). The triggers of a name are of 256 bits, so each claimant gets a copy
 * of the question: two that answer with different keys are seen, and believed neither.
 *
 *   question, to the name's id                                            answer, to the id which the question gives
 *       0    1        17             49               81       97            0    1        17             49       65
 *       | 1  | nonce  | fresh key    | id for answer  | MAC    |             | 2  | nonce  | key          | MAC    |
 *
 * The question's MAC, under the name's, shows that the asker knows the name, and not just the id, which every node sees: others hear
 * nothing. The answer's, under the Diffie-Hellman secret of the fresh key and the claimant's, shows that the claimant has the key it tells.
 * Answers are shorter than questions.
 */
#ifndef I3_HASHNAME_H
#define I3_HASHNAME_H

#include "daemon/base/crypto.h"
#include "daemon/base/id.h"
#include "include/wire.h"

enum {
    HASHNAME_MAX = 253,
    HASHNAME_NONCE = 16,
    HASHNAME_MAC = 16,
    HASHNAME_QUESTION = 1 + HASHNAME_NONCE + KEY_LEN + ID_LEN + HASHNAME_MAC,
    HASHNAME_ANSWER = 1 + HASHNAME_NONCE + KEY_LEN + HASHNAME_MAC,
};

/* What a name comes to. Secret only as far as the name is. */
struct hashname {
    uint8_t priv[KEY_LEN], pub[KEY_LEN], mac[KEY_LEN];
    struct i3_id id;
};

void hashname_of(struct hashname *h, const char *name);

struct hashname_question {
    uint8_t nonce[HASHNAME_NONCE];
    uint8_t fresh[KEY_LEN]; /* the asker's, of this question alone */
    struct i3_id answer_to;
};

void hashname_ask(const struct hashname *h, const struct hashname_question *q, uint8_t out[HASHNAME_QUESTION]);
/* -EBADMSG: it is none, or not of one who knows the name. */
int hashname_read_question(const struct hashname *h, const uint8_t *p, size_t len, struct hashname_question *q);

/* By the holder of priv/pub. -EBADMSG: the asker's key is a weak point. */
int hashname_answer(const struct hashname *h, const struct hashname_question *q, const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN],
    uint8_t out[HASHNAME_ANSWER]);
/* The nonce of what might be an answer, NULL: it is none. */
const uint8_t *hashname_nonce(const uint8_t *p, size_t len);
/* fresh_priv: of q->fresh. -EBADMSG: it answers another question, or nobody with that key has made it. */
int hashname_read_answer(const struct hashname *h, const struct hashname_question *q, const uint8_t fresh_priv[KEY_LEN], const uint8_t *p, size_t len,
    uint8_t key[KEY_LEN]);

#endif
