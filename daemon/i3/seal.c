#include "daemon/i3/seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#ifdef HAVE_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

#include "daemon/base/crypto.h"
#include "daemon/base/secret.h"

enum { NONCE = 12 };

struct fast;

struct seal {
    enum peer_cipher cipher;
    EVP_CIPHER_CTX *ctx; /* NULL: `fast` does it */
    struct fast *fast;
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

static void nonce_of(const struct seal *s, uint64_t counter, uint8_t iv[NONCE])
{
    memset(iv, 0, NONCE);
    for (unsigned i = 0; i < 8; i++)
        iv[s->cipher == CIPHER_AES256GCM ? 11 - i : 4 + i] = (uint8_t)(counter >> 8 * i);
}

/* ---- AES-256-GCM by libipsec-mb ---- */

#ifdef HAVE_IPSEC_MB

struct fast {
    const IMB_MGR *mb;
    struct gcm_key_data *key; /* inside `space`, aligned as its vector code wants */
    uint8_t space[sizeof(struct gcm_key_data) + 64];
};

static struct fast *fast_new(const void *accel, enum peer_cipher cipher, const uint8_t key[SEAL_KEY_LEN])
{
    if (!accel || cipher != CIPHER_AES256GCM)
        return NULL;
    struct fast *f = secret_new(sizeof(*f));
    require(f);
    f->mb = accel;
    f->key = (struct gcm_key_data *)(((uintptr_t)f->space + 63) & ~(uintptr_t)63);
    IMB_AES256_GCM_PRE(f->mb, key, f->key);
    return f;
}

static void fast_free(struct fast *f)
{
    if (f)
        crypto_wipe(f, sizeof(*f));
    secret_free(f);
}

static void fast_encrypt(const struct fast *f, const uint8_t iv[NONCE], const void *ad, size_t ad_len, const uint8_t *text,
    size_t len, uint8_t *out)
{
    struct gcm_context_data ctx;
    IMB_AES256_GCM_ENC(f->mb, f->key, &ctx, out, text, len, iv, ad, ad_len, out + len, SEAL_TAG_LEN);
}

static int fast_decrypt(const struct fast *f, const uint8_t iv[NONCE], const void *ad, size_t ad_len, uint8_t *p,
    size_t text)
{
    struct gcm_context_data ctx;
    uint8_t tag[SEAL_TAG_LEN];
    IMB_AES256_GCM_DEC(f->mb, f->key, &ctx, p, p, text, iv, ad, ad_len, tag, sizeof(tag));
    return crypto_equal(tag, p + text, sizeof(tag)) ? 0 : -EBADMSG;
}

#else

static struct fast *fast_new(const void *accel, enum peer_cipher cipher, const uint8_t key[SEAL_KEY_LEN])
{
    (void)accel, (void)cipher, (void)key;
    return NULL;
}

static void fast_free(struct fast *f)
{
    (void)f;
}

static void fast_encrypt(const struct fast *f, const uint8_t iv[NONCE], const void *ad, size_t ad_len, const uint8_t *text,
    size_t len, uint8_t *out)
{
    (void)f, (void)iv, (void)ad, (void)ad_len, (void)text, (void)len, (void)out;
    abort(); /* there never is one */
}

static int fast_decrypt(const struct fast *f, const uint8_t iv[NONCE], const void *ad, size_t ad_len, uint8_t *p,
    size_t text)
{
    (void)f, (void)iv, (void)ad, (void)ad_len, (void)p, (void)text;
    abort();
}

#endif

/* ---- by libcrypto ---- */

struct seal *seal_new_with(const void *accel, enum peer_cipher cipher, const uint8_t key[SEAL_KEY_LEN], bool encrypt)
{
    struct seal *s = secret_new(sizeof(*s));
    require(s && cipher_name(cipher));
    s->cipher = cipher;
    s->fast = fast_new(accel, cipher, key);
    if (s->fast)
        return s;
    s->ctx = EVP_CIPHER_CTX_new();
    const EVP_CIPHER *c = cipher == CIPHER_AES256GCM ? EVP_aes_256_gcm() : EVP_chacha20_poly1305();
    require(s->ctx && EVP_CipherInit_ex(s->ctx, c, NULL, key, NULL, encrypt) == 1);
    return s;
}

struct seal *seal_new(enum peer_cipher cipher, const uint8_t key[SEAL_KEY_LEN], bool encrypt)
{
    return seal_new_with(NULL, cipher, key, encrypt);
}

void seal_free(struct seal *s)
{
    if (!s)
        return;
    fast_free(s->fast);
    EVP_CIPHER_CTX_free(s->ctx); /* wipes the key */
    secret_free(s);
}

/* Several pieces are laid side by side where the ciphertext will stand: a cipher fed with odd lengths loses more than that
 * costs (52 + 1348 bytes, AES-256-GCM: libipsec-mb 221 ns against 183, libcrypto 657 against 551). */
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
    uint8_t iv[NONCE];
    int did;
    nonce_of(s, counter, iv);
    const uint8_t *text = n == 1 ? v[0].iov_base : out;
    size_t len = n == 1 ? v[0].iov_len : gather(out, v, n);
    if (s->fast) {
        fast_encrypt(s->fast, iv, ad, ad_len, text, len, out);
        return len + SEAL_TAG_LEN;
    }
    require(EVP_CipherInit_ex(s->ctx, NULL, NULL, NULL, iv, -1) == 1);
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
    uint8_t none[1], iv[NONCE];
    int did;
    if (len < SEAL_TAG_LEN || len - SEAL_TAG_LEN > INT32_MAX)
        return -EBADMSG;
    size_t text = len - SEAL_TAG_LEN;
    nonce_of(s, counter, iv);
    if (s->fast)
        return fast_decrypt(s->fast, iv, ad, ad_len, p, text);
    require(EVP_CipherInit_ex(s->ctx, NULL, NULL, NULL, iv, -1) == 1);
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
