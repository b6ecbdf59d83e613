#include "daemon/base/crypto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

static void require(bool ok)
{
    if (!ok)
        abort();
}

/* A context of this thread's that is about to hash. To look the digest up by name and to allocate each time would cost more than the
 * hashing of a short message; nothing of one hash is left for the next. */
static EVP_MD_CTX *hash_begin(void)
{
    static _Thread_local EVP_MD_CTX *ctx;
    if (ctx) {
        require(EVP_DigestInit_ex2(ctx, NULL, NULL) == 1);
        return ctx;
    }
    EVP_MD *digest = EVP_MD_fetch(NULL, "BLAKE2S-256", NULL);
    ctx = EVP_MD_CTX_new();
    require(digest && ctx && EVP_DigestInit_ex2(ctx, digest, NULL) == 1);
    EVP_MD_free(digest); /* the context holds it */
    return ctx;
}

static void hash_add(EVP_MD_CTX *ctx, const struct bytes *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        require(EVP_DigestUpdate(ctx, v[i].at, v[i].len) == 1);
}

static void hash_end(EVP_MD_CTX *ctx, uint8_t out[BLAKE2S_LEN])
{
    unsigned len = BLAKE2S_LEN;
    require(EVP_DigestFinal_ex(ctx, out, &len) == 1 && len == BLAKE2S_LEN);
}

void blake2s(uint8_t out[BLAKE2S_LEN], const struct bytes *v, size_t n)
{
    EVP_MD_CTX *ctx = hash_begin();
    hash_add(ctx, v, n);
    hash_end(ctx, out);
}

void hmac_init(struct hmac *h, struct bytes key)
{
    uint8_t block[BLAKE2S_BLOCK] = {0};
    if (key.len > sizeof(block))
        blake2s(block, &key, 1);
    else if (key.len)
        memcpy(block, key.at, key.len);
    for (size_t i = 0; i < sizeof(block); i++) {
        h->inner[i] = block[i] ^ 0x36;
        h->outer[i] = block[i] ^ 0x5c;
    }
    crypto_wipe(block, sizeof(block));
}

void hmac_make(uint8_t out[BLAKE2S_LEN], const struct hmac *h, const struct bytes *v, size_t n)
{
    uint8_t inner[BLAKE2S_LEN];
    EVP_MD_CTX *ctx = hash_begin();
    hash_add(ctx, &(struct bytes){h->inner, sizeof(h->inner)}, 1);
    hash_add(ctx, v, n);
    hash_end(ctx, inner);
    blake2s(out, (struct bytes[]){{h->outer, sizeof(h->outer)}, {inner, sizeof(inner)}}, 2);
}

void hmac_blake2s(uint8_t out[BLAKE2S_LEN], struct bytes key, const struct bytes *v, size_t n)
{
    struct hmac h;
    hmac_init(&h, key);
    hmac_make(out, &h, v, n);
    crypto_wipe(&h, sizeof(h));
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

struct x25519_key {
    EVP_PKEY *key;
    EVP_PKEY *peer; /* whose bytes are set anew each time: to make one costs 2 us of looking up names */
    EVP_PKEY_CTX *ctx;
};

struct x25519_key *x25519_key_new(const uint8_t priv[X25519_LEN])
{
    static const uint8_t none[X25519_LEN];
    struct x25519_key *k = calloc(1, sizeof(*k));
    require(k);
    k->key = EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, NULL, priv, X25519_LEN);
    k->peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, none, X25519_LEN);
    require(k->key && k->peer);
    k->ctx = EVP_PKEY_CTX_new(k->key, NULL);
    require(k->ctx && EVP_PKEY_derive_init(k->ctx) == 1);
    return k;
}

void x25519_key_free(struct x25519_key *k)
{
    if (!k)
        return;
    EVP_PKEY_CTX_free(k->ctx);
    EVP_PKEY_free(k->peer);
    EVP_PKEY_free(k->key); /* which wipes it */
    free(k);
}

int x25519_derive(uint8_t out[X25519_LEN], struct x25519_key *k, const uint8_t pub[X25519_LEN])
{
    size_t len = X25519_LEN;
    require(EVP_PKEY_set1_encoded_public_key(k->peer, pub, X25519_LEN) == 1);
    /* libcrypto refuses an all-zero result itself, which is what a point of small order gives */
    bool ok = EVP_PKEY_derive_set_peer_ex(k->ctx, k->peer, 0) == 1 && EVP_PKEY_derive(k->ctx, out, &len) == 1;
    return ok ? 0 : -EKEYREJECTED;
}

int x25519(uint8_t out[X25519_LEN], const uint8_t priv[X25519_LEN], const uint8_t pub[X25519_LEN])
{
    struct x25519_key *k = x25519_key_new(priv);
    int err = x25519_derive(out, k, pub);
    x25519_key_free(k);
    return err;
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

uint64_t drbg_around(struct drbg *d, uint64_t v, unsigned part)
{
    return v - v / part + drbg_u64(d) % (2 * v / part + 1);
}
