#include "daemon/i3/rotation.h"

#include <string.h>

int rotation_proof(const uint8_t priv[KEY_LEN], const uint8_t other[KEY_LEN], const uint8_t old[KEY_LEN], const uint8_t new[KEY_LEN],
    const uint8_t to[KEY_LEN], uint8_t proof[ROTATION_PROOF_LEN])
{
    static const char label[] = "i3run rotation v1";
    uint8_t shared[X25519_LEN], key[BLAKE2S_LEN], mac[BLAKE2S_LEN];
    int err = x25519(shared, priv, other);
    if (err)
        return err;
    blake2s(key, (struct bytes[]){{label, sizeof(label) - 1}, {shared, sizeof(shared)}}, 2);
    hmac_blake2s(mac, (struct bytes){key, sizeof(key)}, (struct bytes[]){{old, KEY_LEN}, {new, KEY_LEN}, {to, KEY_LEN}}, 3);
    memcpy(proof, mac, ROTATION_PROOF_LEN);
    crypto_wipe(shared, sizeof(shared));
    crypto_wipe(key, sizeof(key));
    return 0;
}

uint64_t rotation_token(const uint8_t new[KEY_LEN])
{
    struct reader r = reader_of(new, 8);
    return get_u64(&r);
}
