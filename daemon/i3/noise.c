#include "daemon/i3/noise.h"

#include <errno.h>
#include <string.h>

static void mix_hash(struct noise *n, const void *p, size_t len)
{
    blake2s(n->h, (struct bytes[]){{n->h, sizeof(n->h)}, {p, len}}, 2);
}

/* Noise's HKDF with two outputs; either may be the chaining key itself. */
static void hkdf(const uint8_t ck[BLAKE2S_LEN], const void *input, size_t len, uint8_t out1[BLAKE2S_LEN],
    uint8_t out2[BLAKE2S_LEN])
{
    uint8_t temp[BLAKE2S_LEN], one = 1, two = 2;
    hmac_blake2s(temp, (struct bytes){ck, BLAKE2S_LEN}, &(struct bytes){input, len}, 1);
    struct bytes key = {temp, sizeof(temp)};
    hmac_blake2s(out1, key, &(struct bytes){&one, 1}, 1);
    hmac_blake2s(out2, key, (struct bytes[]){{out1, BLAKE2S_LEN}, {&two, 1}}, 2);
    crypto_wipe(temp, sizeof(temp));
}

static int mix_dh(struct noise *n, const uint8_t priv[X25519_LEN], const uint8_t pub[X25519_LEN])
{
    uint8_t shared[X25519_LEN];
    int err = x25519(shared, priv, pub);
    if (err)
        return err;
    hkdf(n->ck, shared, sizeof(shared), n->ck, n->k);
    n->n = 0;
    crypto_wipe(shared, sizeof(shared));
    return 0;
}

/* out takes len + SEAL_TAG_LEN bytes. */
static void encrypt_and_hash(struct noise *n, const void *p, size_t len, uint8_t *out)
{
    struct seal *s = seal_new(n->cipher, n->k, true);
    seal_encrypt(s, n->n++, n->h, sizeof(n->h), &(struct iovec){(void *)p, len}, 1, out);
    seal_free(s);
    mix_hash(n, out, len + SEAL_TAG_LEN);
}

static int decrypt_and_hash(struct noise *n, const uint8_t *p, size_t len, uint8_t *out)
{
    uint8_t copy[512], h[BLAKE2S_LEN];
    if (len > sizeof(copy) || len < SEAL_TAG_LEN)
        return -EBADMSG;
    memcpy(copy, p, len);
    memcpy(h, n->h, sizeof(h));
    mix_hash(n, p, len);
    struct seal *s = seal_new(n->cipher, n->k, false);
    int err = seal_decrypt(s, n->n++, h, sizeof(h), copy, len);
    seal_free(s);
    if (!err)
        memcpy(out, copy, len - SEAL_TAG_LEN);
    crypto_wipe(copy, sizeof(copy));
    return err;
}

static void start(struct noise *n, const char *name, enum peer_cipher cipher, const void *prologue, size_t prologue_len,
    const uint8_t s_priv[X25519_LEN], const uint8_t s_pub[X25519_LEN])
{
    size_t len = strlen(name);
    memset(n, 0, sizeof(*n));
    if (len <= sizeof(n->h))
        memcpy(n->h, name, len);
    else
        blake2s(n->h, &(struct bytes){name, len}, 1);
    memcpy(n->ck, n->h, sizeof(n->ck));
    n->cipher = cipher;
    memcpy(n->s_priv, s_priv, X25519_LEN);
    memcpy(n->s_pub, s_pub, X25519_LEN);
    mix_hash(n, prologue, prologue_len);
}

void noise_start(struct noise *n, enum peer_cipher cipher, const void *prologue, size_t prologue_len,
    const uint8_t s_priv[X25519_LEN], const uint8_t s_pub[X25519_LEN], const uint8_t *rs)
{
    const char *name =
        cipher == CIPHER_AES256GCM ? "Noise_IK_25519_AESGCM_BLAKE2s" : "Noise_IK_25519_ChaChaPoly_BLAKE2s";
    start(n, name, cipher, prologue, prologue_len, s_priv, s_pub);
    if (rs)
        memcpy(n->rs, rs, X25519_LEN);
    mix_hash(n, rs ? rs : s_pub, X25519_LEN);
}

void noise_wipe(struct noise *n)
{
    crypto_wipe(n, sizeof(*n));
}

static void write_ephemeral(struct noise *n, const uint8_t e_priv[X25519_LEN], uint8_t *out)
{
    memcpy(n->e_priv, e_priv, X25519_LEN);
    x25519_public(out, e_priv);
    mix_hash(n, out, X25519_LEN);
}

int noise_write_init(
    struct noise *n, const uint8_t e_priv[X25519_LEN], const void *payload, size_t len, uint8_t *out)
{
    write_ephemeral(n, e_priv, out);
    out += X25519_LEN;
    int err = mix_dh(n, n->e_priv, n->rs);
    if (err)
        return err;
    encrypt_and_hash(n, n->s_pub, X25519_LEN, out);
    out += X25519_LEN + SEAL_TAG_LEN;
    err = mix_dh(n, n->s_priv, n->rs);
    if (err)
        return err;
    encrypt_and_hash(n, payload, len, out);
    return 0;
}

int noise_read_init_key(struct noise *n, const uint8_t *msg, size_t len)
{
    if (len < NOISE_INIT_OVERHEAD)
        return -EBADMSG;
    memcpy(n->re, msg, X25519_LEN);
    mix_hash(n, n->re, X25519_LEN);
    if (mix_dh(n, n->s_priv, n->re))
        return -EBADMSG;
    return decrypt_and_hash(n, msg + X25519_LEN, X25519_LEN + SEAL_TAG_LEN, n->rs);
}

int noise_read_init_payload(struct noise *n, const uint8_t *msg, size_t len, uint8_t *payload)
{
    size_t before = NOISE_INIT_OVERHEAD - SEAL_TAG_LEN;
    if (len < NOISE_INIT_OVERHEAD || mix_dh(n, n->s_priv, n->rs))
        return -EBADMSG;
    return decrypt_and_hash(n, msg + before, len - before, payload);
}

void noise_write_more(struct noise *n, const void *text, size_t len, uint8_t *out)
{
    encrypt_and_hash(n, text, len, out);
}

int noise_read_more(struct noise *n, const uint8_t *msg, size_t len, uint8_t *text)
{
    return len < SEAL_TAG_LEN ? -EBADMSG : decrypt_and_hash(n, msg, len, text);
}

int noise_write_response(
    struct noise *n, const uint8_t e_priv[X25519_LEN], const void *payload, size_t len, uint8_t *out)
{
    write_ephemeral(n, e_priv, out);
    int err = mix_dh(n, n->e_priv, n->re);
    if (!err)
        err = mix_dh(n, n->e_priv, n->rs);
    if (err)
        return err;
    encrypt_and_hash(n, payload, len, out + X25519_LEN);
    return 0;
}

int noise_read_response(struct noise *n, const uint8_t *msg, size_t len, uint8_t *payload)
{
    if (len < NOISE_RESPONSE_OVERHEAD)
        return -EBADMSG;
    memcpy(n->re, msg, X25519_LEN);
    mix_hash(n, n->re, X25519_LEN);
    if (mix_dh(n, n->e_priv, n->re) || mix_dh(n, n->s_priv, n->re))
        return -EBADMSG;
    return decrypt_and_hash(n, msg + X25519_LEN, len - X25519_LEN, payload);
}

void noise_split(struct noise *n, uint8_t first[SEAL_KEY_LEN], uint8_t second[SEAL_KEY_LEN])
{
    hkdf(n->ck, NULL, 0, first, second);
    noise_wipe(n);
}

/* ---- IXpsk0 ---- */

static void mix_key(struct noise *n, const uint8_t *input, size_t len)
{
    hkdf(n->ck, input, len, n->ck, n->k);
    n->n = 0;
}

/* MixKeyAndHash: Noise's HKDF with three outputs. */
static void mix_psk(struct noise *n, const uint8_t psk[BLAKE2S_LEN])
{
    uint8_t temp[BLAKE2S_LEN], hash[BLAKE2S_LEN], count = 1;
    hmac_blake2s(temp, (struct bytes){n->ck, BLAKE2S_LEN}, &(struct bytes){psk, BLAKE2S_LEN}, 1);
    struct bytes key = {temp, sizeof(temp)};
    hmac_blake2s(n->ck, key, &(struct bytes){&count, 1}, 1);
    count = 2;
    hmac_blake2s(hash, key, (struct bytes[]){{n->ck, BLAKE2S_LEN}, {&count, 1}}, 2);
    count = 3;
    hmac_blake2s(n->k, key, (struct bytes[]){{hash, BLAKE2S_LEN}, {&count, 1}}, 2);
    mix_hash(n, hash, sizeof(hash));
    n->n = 0;
    crypto_wipe(temp, sizeof(temp));
}

void noise_ix_start(struct noise *n, const void *prologue, size_t prologue_len, const uint8_t psk[BLAKE2S_LEN],
    const uint8_t s_priv[X25519_LEN], const uint8_t s_pub[X25519_LEN])
{
    start(n, "Noise_IXpsk0_25519_ChaChaPoly_BLAKE2s", CIPHER_CHACHA20POLY1305, prologue, prologue_len, s_priv, s_pub);
    mix_psk(n, psk);
}

/* With a psk an ephemeral key goes into the chaining key as well. */
static void ix_write_ephemeral(struct noise *n, const uint8_t e_priv[X25519_LEN], uint8_t *out)
{
    write_ephemeral(n, e_priv, out);
    mix_key(n, out, X25519_LEN);
}

static void ix_read_ephemeral(struct noise *n, const uint8_t *msg)
{
    memcpy(n->re, msg, X25519_LEN);
    mix_hash(n, n->re, X25519_LEN);
    mix_key(n, n->re, X25519_LEN);
}

void noise_ix_write_first(struct noise *n, const uint8_t e_priv[X25519_LEN], const void *payload, size_t len, uint8_t *out)
{
    ix_write_ephemeral(n, e_priv, out);
    encrypt_and_hash(n, n->s_pub, X25519_LEN, out + X25519_LEN);
    encrypt_and_hash(n, payload, len, out + NOISE_IX_FIRST_OVERHEAD - SEAL_TAG_LEN);
}

int noise_ix_read_first(struct noise *n, const uint8_t *msg, size_t len, uint8_t *payload)
{
    size_t before = NOISE_IX_FIRST_OVERHEAD - SEAL_TAG_LEN;
    if (len < NOISE_IX_FIRST_OVERHEAD)
        return -EBADMSG;
    ix_read_ephemeral(n, msg);
    int err = decrypt_and_hash(n, msg + X25519_LEN, X25519_LEN + SEAL_TAG_LEN, n->rs);
    return err ? -EBADMSG : decrypt_and_hash(n, msg + before, len - before, payload);
}

int noise_ix_write_second(struct noise *n, const uint8_t e_priv[X25519_LEN], const void *payload, size_t len, uint8_t *out)
{
    ix_write_ephemeral(n, e_priv, out);
    int err = mix_dh(n, n->e_priv, n->re); /* ee */
    if (!err)
        err = mix_dh(n, n->e_priv, n->rs); /* se */
    if (err)
        return err;
    encrypt_and_hash(n, n->s_pub, X25519_LEN, out + X25519_LEN);
    err = mix_dh(n, n->s_priv, n->re); /* es */
    if (!err)
        encrypt_and_hash(n, payload, len, out + NOISE_IX_SECOND_OVERHEAD - SEAL_TAG_LEN);
    return err;
}

int noise_ix_read_second(struct noise *n, const uint8_t *msg, size_t len, uint8_t *payload)
{
    size_t before = NOISE_IX_SECOND_OVERHEAD - SEAL_TAG_LEN;
    if (len < NOISE_IX_SECOND_OVERHEAD)
        return -EBADMSG;
    ix_read_ephemeral(n, msg);
    if (mix_dh(n, n->e_priv, n->re) || mix_dh(n, n->s_priv, n->re))
        return -EBADMSG;
    if (decrypt_and_hash(n, msg + X25519_LEN, X25519_LEN + SEAL_TAG_LEN, n->rs) || mix_dh(n, n->e_priv, n->rs))
        return -EBADMSG;
    return decrypt_and_hash(n, msg + before, len - before, payload);
}
