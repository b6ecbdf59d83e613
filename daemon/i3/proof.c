#include "daemon/i3/proof.h"

#include <string.h>

static void trigger_key(
    struct proof_key *out, uint8_t shared[X25519_LEN], const uint8_t id_pub[KEY_LEN], const uint8_t node_pub[KEY_LEN])
{
    static const char label[] = "i3run trigger v1";
    blake2s(out->b,
        (struct bytes[]){{label, sizeof(label) - 1}, {shared, X25519_LEN}, {id_pub, KEY_LEN}, {node_pub, KEY_LEN}}, 4);
    crypto_wipe(shared, X25519_LEN);
}

int proof_key_derive(struct proof_key *out, const uint8_t my_priv[KEY_LEN], const uint8_t their_pub[KEY_LEN],
    const uint8_t id_pub[KEY_LEN], const uint8_t node_pub[KEY_LEN])
{
    uint8_t shared[X25519_LEN];
    int err = x25519(shared, my_priv, their_pub);
    if (!err)
        trigger_key(out, shared, id_pub, node_pub);
    return err;
}

int proof_key_at_node(struct proof_key *out, struct x25519_key *node_key, const uint8_t id_pub[KEY_LEN], const uint8_t node_pub[KEY_LEN])
{
    uint8_t shared[X25519_LEN];
    int err = x25519_derive(shared, node_key, id_pub);
    if (!err)
        trigger_key(out, shared, id_pub, node_pub);
    return err;
}

void proof_mac_by(uint8_t out[MAC_LEN], const struct hmac *h, const uint8_t *p, size_t len)
{
    uint8_t mac[BLAKE2S_LEN];
    hmac_make(mac, h, &(struct bytes){p, len}, 1);
    memcpy(out, mac, MAC_LEN);
}

bool proof_check_by(const struct hmac *h, const uint8_t *p, size_t len)
{
    uint8_t mac[MAC_LEN];
    if (len <= MAC_LEN)
        return false;
    proof_mac_by(mac, h, p, len - MAC_LEN);
    return crypto_equal(mac, p + len - MAC_LEN, MAC_LEN);
}

void proof_mac(uint8_t out[MAC_LEN], const struct proof_key *key, const uint8_t *p, size_t len)
{
    uint8_t mac[BLAKE2S_LEN];
    hmac_blake2s(mac, (struct bytes){key->b, sizeof(key->b)}, &(struct bytes){p, len}, 1);
    memcpy(out, mac, MAC_LEN);
}

bool proof_check(const struct proof_key *key, const uint8_t *p, size_t len)
{
    uint8_t mac[MAC_LEN];
    if (len < MAC_LEN)
        return false;
    proof_mac(mac, key, p, len - MAC_LEN);
    return crypto_equal(mac, p + len - MAC_LEN, MAC_LEN);
}
