/* proof.h - what ties a trigger to the key of its id (DESIGN section 5): shared by host and node.
 *
 *   trigger key = BLAKE2s("i3run trigger v1" || X25519(id key, node key) || id public key || node public key)
 *   mac         = first 16 bytes of HMAC-BLAKE2s(trigger key, packet up to the mac)
 *
 * The same trigger key authenticates PROVE, ACK and every later REFRESH of that trigger, so a refresh costs one MAC
 * and no secret ever crosses the wire.
 */
#ifndef I3_PROOF_H
#define I3_PROOF_H

#include "daemon/base/id.h"

struct proof_key {
    uint8_t b[BLAKE2S_LEN];
};

/* At the host: own private key and the node's public one; at the node: the other way round. `id_pub` and
 * `node_pub` are the public keys in both cases. 0 or -EKEYREJECTED. */
int proof_key_derive(struct proof_key *out, const uint8_t my_priv[KEY_LEN], const uint8_t their_pub[KEY_LEN],
    const uint8_t id_pub[KEY_LEN], const uint8_t node_pub[KEY_LEN]);

/* The same at a node, with its prepared key. */
int proof_key_at_node(struct proof_key *out, struct x25519_key *node_key, const uint8_t id_pub[KEY_LEN], const uint8_t node_pub[KEY_LEN]);

/* The mac over the `len` bytes at p. */
void proof_mac(uint8_t out[MAC_LEN], const struct proof_key *key, const uint8_t *p, size_t len);

/* The packet's last MAC_LEN bytes are the mac over what is before them. */
bool proof_check(const struct proof_key *key, const uint8_t *p, size_t len);

/* The same where a key is used more than once: h is hmac_init() of it. */
void proof_mac_by(uint8_t out[MAC_LEN], const struct hmac *h, const uint8_t *p, size_t len);
bool proof_check_by(const struct hmac *h, const uint8_t *p, size_t len);

#endif
