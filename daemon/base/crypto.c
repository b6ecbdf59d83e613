#include "daemon/base/crypto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

enum { BLAKE2S_BLOCK = 64 };

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void digest_pieces(EVP_MD_CTX *ctx, const struct bytes *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        require(EVP_DigestUpdate(ctx, v[i].at, v[i].len) == 1);
}

void blake2s(uint8_t out[BLAKE2S_LEN], const struct bytes *v, size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    require(ctx && EVP_DigestInit_ex(ctx, EVP_blake2s256(), NULL) == 1);
    digest_pieces(ctx, v, n);
    require(EVP_DigestFinal_ex(ctx, out, NULL) == 1);
    EVP_MD_CTX_free(ctx);
}

void hmac_blake2s(uint8_t out[BLAKE2S_LEN], struct bytes key, const struct bytes *v, size_t n)
{
    uint8_t block[BLAKE2S_BLOCK] = {0}, inner[BLAKE2S_LEN];
    if (key.len > sizeof(block))
        blake2s(block, &key, 1);
    else if (key.len)
        memcpy(block, key.at, key.len);

    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    require(ctx && EVP_DigestInit_ex(ctx, EVP_blake2s256(), NULL) == 1);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] ^= 0x36;
    digest_pieces(ctx, &(struct bytes){block, sizeof(block)}, 1);
    digest_pieces(ctx, v, n);
    require(EVP_DigestFinal_ex(ctx, inner, NULL) == 1);

    require(EVP_DigestInit_ex(ctx, EVP_blake2s256(), NULL) == 1);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] ^= 0x36 ^ 0x5c;
    digest_pieces(ctx, &(struct bytes){block, sizeof(block)}, 1);
    digest_pieces(ctx, &(struct bytes){inner, sizeof(inner)}, 1);
    require(EVP_DigestFinal_ex(ctx, out, NULL) == 1);
    EVP_MD_CTX_free(ctx);
    crypto_wipe(block, sizeof(block));
    crypto_wipe(inner, sizeof(inner));
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
    return CRYPTO_memcmp(a, b, len) == 0;
}

void crypto_wipe(void *p, size_t len)
{
    OPENSSL_cleanse(p, len);
}

void x25519_public(uint8_t pub[X25519_LEN], const uint8_t priv[X25519_LEN])
{
    size_t len = X25519_LEN;
    EVP_PKEY *key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, priv, X25519_LEN);
    require(key && EVP_PKEY_get_raw_public_key(key, pub, &len) == 1 && len == X25519_LEN);
    EVP_PKEY_free(key);
}

int x25519(uint8_t out[X25519_LEN], const uint8_t priv[X25519_LEN], const uint8_t pub[X25519_LEN])
{
    size_t len = X25519_LEN;
    EVP_PKEY *mine = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, priv, X25519_LEN);
    EVP_PKEY *theirs = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, pub, X25519_LEN);
    require(mine && theirs);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(mine, NULL);
    require(ctx && EVP_PKEY_derive_init(ctx) == 1);
    /* libcrypto refuses an all-zero result itself, which is what a point of small order gives */
    bool ok = EVP_PKEY_derive_set_peer(ctx, theirs) == 1 && EVP_PKEY_derive(ctx, out, &len) == 1;
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(theirs);
    EVP_PKEY_free(mine);
    return ok ? 0 : -EKEYREJECTED;
}

void drbg_init(struct drbg *d, const uint8_t seed[BLAKE2S_LEN])
{
    memcpy(d->state, seed, sizeof(d->state));
}

static void drbg_block(const struct drbg *d, uint64_t counter, uint8_t out[BLAKE2S_LEN])
{
    blake2s(out, (struct bytes[]){{"i3run drbg", 10}, {d->state, BLAKE2S_LEN}, {&counter, sizeof(counter)}}, 3);
}

void drbg_draw(struct drbg *d, void *out, size_t len)
{
    uint8_t block[BLAKE2S_LEN], *at = out;
    uint64_t counter = 0;
    while (len) {
        size_t take = len < sizeof(block) ? len : sizeof(block);
        drbg_block(d, ++counter, block);
        memcpy(at, block, take);
        at += take;
        len -= take;
    }
    drbg_block(d, 0, block);
    memcpy(d->state, block, sizeof(d->state));
    crypto_wipe(block, sizeof(block));
}

uint64_t drbg_u64(struct drbg *d)
{
    uint64_t v;
    drbg_draw(d, &v, sizeof(v));
    return v;
}
