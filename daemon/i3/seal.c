#include "daemon/i3/seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "daemon/base/crypto.h"

enum { NONCE = 12 };

struct seal {
    EVP_CIPHER_CTX *ctx;
    enum peer_cipher cipher;
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

const char *cipher_name(enum peer_cipher c)
{
    switch (c) {
    case CIPHER_AES256GCM:
        return "AESGCM";
    case CIPHER_CHACHA20POLY1305:
        return "ChaChaPoly";
    }
    return NULL;
}

struct seal *seal_new(enum peer_cipher cipher, const uint8_t key[SEAL_KEY_LEN], bool encrypt)
{
    struct seal *s = calloc(1, sizeof(*s));
    require(s && cipher_name(cipher));
    s->cipher = cipher;
    s->ctx = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *c = cipher == CIPHER_AES256GCM ? EVP_aes_256_gcm() : EVP_chacha20_poly1305();
    require(s->ctx && EVP_CipherInit_ex(s->ctx, c, NULL, key, NULL, encrypt) == 1);
    return s;
}

void seal_free(struct seal *s)
{
    if (!s)
        return;
    EVP_CIPHER_CTX_free(s->ctx); /* wipes the key */
    free(s);
}

static void set_nonce(struct seal *s, uint64_t counter)
{
    uint8_t iv[NONCE] = {0};
    for (unsigned i = 0; i < 8; i++)
        iv[s->cipher == CIPHER_AES256GCM ? 11 - i : 4 + i] = (uint8_t)(counter >> 8 * i);
    require(EVP_CipherInit_ex(s->ctx, NULL, NULL, NULL, iv, -1) == 1);
}

/* Several pieces are laid side by side where the ciphertext will stand: for a packet of 1400 bytes that costs 6 ns, while
 * the cipher fed with odd lengths loses 100 ns (20 + 32 + 1348 bytes, AES-256-GCM: 657 ns against 551 ns). */
static size_t gather(uint8_t *out, const struct iovec *v, int n)
{
    size_t len = 0;
    for (int i = 0; i < n; len += v[i++].iov_len)
        if (v[i].iov_len)
            memmove(out + len, v[i].iov_base, v[i].iov_len);
    return len;
}

size_t seal_encrypt(struct seal *s, uint64_t counter, const void *ad, size_t ad_len, const struct iovec *v,
    int n, uint8_t *out)
{
    const uint8_t *text = n == 1 ? v[0].iov_base : out;
    size_t len = n == 1 ? v[0].iov_len : gather(out, v, n);
    int did;
    set_nonce(s, counter);
    if (ad_len)
        require(EVP_EncryptUpdate(s->ctx, NULL, &did, ad, (int)ad_len) == 1);
    if (len)
        require(EVP_EncryptUpdate(s->ctx, out, &did, text, (int)len) == 1);
    require(EVP_EncryptFinal_ex(s->ctx, out + len, &did) == 1);
    require(EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG_LEN, out + len) == 1);
    return len + SEAL_TAG_LEN;
}

int seal_decrypt(struct seal *s, uint64_t counter, const void *ad, size_t ad_len, uint8_t *p, size_t len)
{
    uint8_t none[1];
    int did;
    if (len < SEAL_TAG_LEN || len - SEAL_TAG_LEN > INT32_MAX)
        return -EBADMSG;
    size_t text = len - SEAL_TAG_LEN;
    set_nonce(s, counter);
    require(EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG_LEN, p + text) == 1);
    if (ad_len)
        require(EVP_DecryptUpdate(s->ctx, NULL, &did, ad, (int)ad_len) == 1);
    if (text)
        require(EVP_DecryptUpdate(s->ctx, p, &did, p, (int)text) == 1);
    return EVP_DecryptFinal_ex(s->ctx, none, &did) == 1 ? 0 : -EBADMSG;
}

bool replay_is_new(const struct replay *r, uint64_t counter)
{
    if (counter >= r->next)
        return counter != UINT64_MAX;
    if (r->next - counter > REPLAY_WINDOW)
        return false;
    return !(r->bits[counter / 64 % REPLAY_WORDS] >> counter % 64 & 1);
}

void replay_mark(struct replay *r, uint64_t counter)
{
    if (counter >= r->next) {
        /* the words between the one of the last counter and this one's are from a round before */
        uint64_t from = (r->next + 63) / 64, to = counter / 64;
        if (to >= from && to - from >= REPLAY_WORDS)
            from = to - REPLAY_WORDS + 1;
        for (uint64_t w = from; w <= to; w++)
            r->bits[w % REPLAY_WORDS] = 0;
        r->next = counter + 1;
    }
    r->bits[counter / 64 % REPLAY_WORDS] |= 1ull << counter % 64;
}
