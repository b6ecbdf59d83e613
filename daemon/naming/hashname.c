#include "daemon/naming/hashname.h"

#include <errno.h>

#include "include/bytes.h"

enum { QUESTION = 1, ANSWER = 2 };

#define TEXT(s) {(const uint8_t *)(s), sizeof(s) - 1}

void hashname_of(struct hashname *h, const char *name)
{
    char folded[HASHNAME_MAX + 1];
    size_t n = 0;
    for (; name[n] && n < HASHNAME_MAX; n++)
        folded[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] + 32 : name[n]);
    n -= n && folded[n - 1] == '.';
    struct bytes key[] = {TEXT("i3run name key v1"), {(const uint8_t *)folded, n}}, mac[] = {TEXT("i3run name mac v1"), {(const uint8_t *)folded, n}};
    blake2s(h->priv, key, ARRAY_LEN(key));
    blake2s(h->mac, mac, ARRAY_LEN(mac));
    x25519_public(h->pub, h->priv);
    id_of_key(&h->id, h->pub, NULL);
}

/* The first HASHNAME_MAC bytes go behind the body. */
static void end_with_mac(const uint8_t key[KEY_LEN], uint8_t *body, size_t len, const uint8_t *more, size_t more_len)
{
    uint8_t mac[BLAKE2S_LEN];
    struct bytes v[] = {{body, len}, {more, more_len}};
    hmac_blake2s(mac, (struct bytes){key, KEY_LEN}, v, ARRAY_LEN(v));
    memcpy(body + len, mac, HASHNAME_MAC);
}

void hashname_ask(const struct hashname *h, const struct hashname_question *q, uint8_t out[HASHNAME_QUESTION])
{
    uint8_t *at = out;
    *at++ = QUESTION;
    memcpy(at, q->nonce, HASHNAME_NONCE);
    memcpy(at += HASHNAME_NONCE, q->fresh, KEY_LEN);
    memcpy(at += KEY_LEN, q->answer_to.b, ID_LEN);
    end_with_mac(h->mac, out, HASHNAME_QUESTION - HASHNAME_MAC, NULL, 0);
}

int hashname_read_question(const struct hashname *h, const uint8_t *p, size_t len, struct hashname_question *q)
{
    uint8_t again[HASHNAME_QUESTION];
    struct reader r = reader_of(p, len);
    uint8_t kind = get_u8(&r);
    get_bytes(&r, q->nonce, sizeof(q->nonce));
    get_bytes(&r, q->fresh, KEY_LEN);
    get_bytes(&r, q->answer_to.b, ID_LEN);
    (void)get_span(&r, HASHNAME_MAC);
    if (!reader_done(&r) || kind != QUESTION)
        return -EBADMSG;
    hashname_ask(h, q, again);
    return crypto_equal(again, p, sizeof(again)) ? 0 : -EBADMSG;
}

/* All that the two have agreed upon goes into the MAC: the question, the name, the key told. */
static void write_answer(const struct hashname *h, const struct hashname_question *q, const uint8_t secret[KEY_LEN], const uint8_t pub[KEY_LEN],
    uint8_t out[HASHNAME_ANSWER])
{
    uint8_t question[HASHNAME_QUESTION], *at = out;
    hashname_ask(h, q, question);
    *at++ = ANSWER;
    memcpy(at, q->nonce, HASHNAME_NONCE);
    memcpy(at + HASHNAME_NONCE, pub, KEY_LEN);
    end_with_mac(secret, out, HASHNAME_ANSWER - HASHNAME_MAC, question, sizeof(question));
}

int hashname_answer(const struct hashname *h, const struct hashname_question *q, const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN],
    uint8_t out[HASHNAME_ANSWER])
{
    uint8_t secret[KEY_LEN];
    if (x25519(secret, priv, q->fresh))
        return -EBADMSG;
    write_answer(h, q, secret, pub, out);
    crypto_wipe(secret, sizeof(secret));
    return 0;
}

const uint8_t *hashname_nonce(const uint8_t *p, size_t len)
{
    return len == HASHNAME_ANSWER && p[0] == ANSWER ? p + 1 : NULL;
}

int hashname_read_answer(const struct hashname *h, const struct hashname_question *q, const uint8_t fresh_priv[KEY_LEN], const uint8_t *p, size_t len,
    uint8_t key[KEY_LEN])
{
    uint8_t secret[KEY_LEN], again[HASHNAME_ANSWER];
    const uint8_t *nonce = hashname_nonce(p, len);
    if (!nonce || memcmp(nonce, q->nonce, HASHNAME_NONCE) != 0)
        return -EBADMSG;
    memcpy(key, nonce + HASHNAME_NONCE, KEY_LEN);
    if (x25519(secret, fresh_priv, key))
        return -EBADMSG;
    write_answer(h, q, secret, key, again);
    crypto_wipe(secret, sizeof(secret));
    return crypto_equal(again, p, sizeof(again)) ? 0 : -EBADMSG;
}
