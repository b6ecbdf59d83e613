#include "daemon/i3/handshake.h"

#include <errno.h>
#include <string.h>

static const char prologue[] = "i3run session v1";
static const char mac1_label[] = "i3run mac1";

void mac1_key(uint8_t out[BLAKE2S_LEN], const uint8_t pub[KEY_LEN])
{
    blake2s(out, (struct bytes[]){{mac1_label, sizeof(mac1_label) - 1}, {pub, KEY_LEN}}, 2);
}

static void mac1(uint8_t out[MAC_LEN], const uint8_t key[BLAKE2S_LEN], const uint8_t *init)
{
    uint8_t mac[BLAKE2S_LEN];
    hmac_blake2s(mac, (struct bytes){key, BLAKE2S_LEN}, &(struct bytes){init, INIT_NOISE_LEN}, 1);
    memcpy(out, mac, MAC_LEN);
}

void handshake_start(
    struct noise *n, const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN], const uint8_t *rs)
{
    noise_start(n, CIPHER_CHACHA20POLY1305, prologue, sizeof(prologue) - 1, priv, pub, rs);
}

/* What INIT and RESPONSE have in common: all but the time. */
static void put_hello(struct writer *w, const struct hello *h)
{
    put_bytes(w, h->id.b, ID_LEN);
    put_u32(w, h->own_address);
    put_u32(w, h->your_address);
    put_u8(w, h->ciphers);
    put_u8(w, h->flags);
    put_u16(w, h->mtu);
    put_u32(w, h->recv_buffer);
    put_bytes(w, h->member, MEMBER_LEN);
}

static void get_hello(struct reader *r, struct hello *h)
{
    get_bytes(r, h->id.b, ID_LEN);
    h->own_address = get_u32(r);
    h->your_address = get_u32(r);
    h->ciphers = get_u8(r);
    h->flags = get_u8(r);
    h->mtu = get_u16(r);
    h->recv_buffer = get_u32(r);
    get_bytes(r, h->member, MEMBER_LEN);
}

int init_write(struct noise *n, const uint8_t e_priv[KEY_LEN], const struct hello *h, uint8_t out[INIT_LEN])
{
    uint8_t payload[INIT_PAYLOAD_LEN], key[BLAKE2S_LEN];
    struct writer w = writer_of(payload, sizeof(payload));
    put_u64(&w, h->time);
    put_hello(&w, h);
    int err = noise_write_init(n, e_priv, payload, sizeof(payload), out);
    if (err)
        return err;
    mac1_key(key, n->rs);
    mac1(out + INIT_NOISE_LEN, key, out);
    init_set_return(out, NULL, NULL);
    return 0;
}

static void mac2(uint8_t out[MAC_LEN], const uint8_t cookie[MAC_LEN], const uint8_t *init)
{
    uint8_t mac[BLAKE2S_LEN];
    hmac_blake2s(mac, (struct bytes){cookie, MAC_LEN}, &(struct bytes){init, INIT_LEN - MAC_LEN}, 1);
    memcpy(out, mac, MAC_LEN);
}

void init_set_return(uint8_t p[INIT_LEN], const struct i3_id *id, const uint8_t *cookie)
{
    uint8_t *at = p + INIT_NOISE_LEN + MAC_LEN;
    memset(at, 0, ID_LEN + MAC_LEN);
    if (id)
        memcpy(at, id->b, ID_LEN);
    if (cookie)
        mac2(at + ID_LEN, cookie, p);
}

bool init_has_return(const uint8_t p[INIT_LEN])
{
    static const uint8_t none[ID_LEN];
    return memcmp(init_return(p), none, ID_LEN) != 0;
}

bool init_has_mac2(const uint8_t p[INIT_LEN], const uint8_t cookie[MAC_LEN])
{
    uint8_t mac[MAC_LEN];
    mac2(mac, cookie, p);
    return crypto_equal(mac, init_mac2(p), MAC_LEN);
}

bool init_is_for(const uint8_t key[BLAKE2S_LEN], const uint8_t *p, size_t len)
{
    uint8_t mac[MAC_LEN];
    if (!init_len_is_good(len))
        return false;
    mac1(mac, key, p);
    return crypto_equal(mac, init_mac1(p), MAC_LEN);
}

int init_read(struct noise *n, const uint8_t p[INIT_LEN], struct hello *h)
{
    uint8_t payload[INIT_PAYLOAD_LEN];
    if (noise_read_init_payload(n, p, INIT_NOISE_LEN, payload))
        return -EBADMSG;
    struct reader r = reader_of(payload, sizeof(payload));
    h->time = get_u64(&r);
    get_hello(&r, h);
    return reader_done(&r) ? 0 : -EBADMSG;
}

static size_t boxes_len(unsigned n)
{
    return BOXES_HEAD_LEN + n * (size_t)BOXES_EACH_LEN;
}

bool init_len_is_good(size_t len)
{
    for (unsigned n = 1; n <= BOXES_MAX; n++)
        if (len == INIT_LEN + boxes_len(n) + SEAL_TAG_LEN)
            return true;
    return len == INIT_LEN;
}

size_t init_write_boxes(struct noise *n, const struct peer_boxes *b, uint8_t out[INIT_MORE_MAX])
{
    uint8_t text[INIT_MORE_MAX];
    struct writer w = writer_of(text, sizeof(text));
    if (!b->n || b->n > BOXES_MAX)
        return 0;
    put_u8(&w, (uint8_t)b->n);
    put_zeros(&w, 3);
    put_bytes(&w, b->token, sizeof(b->token));
    for (unsigned i = 0; i < b->n; i++) {
        put_bytes(&w, b->box[i].key, KEY_LEN);
        put_bytes(&w, b->box[i].member, MEMBER_LEN);
    }
    noise_write_more(n, text, writer_len(&w), out);
    return writer_len(&w) + SEAL_TAG_LEN;
}

int init_read_boxes(struct noise *n, const uint8_t *p, size_t len, struct peer_boxes *b)
{
    uint8_t text[INIT_MORE_MAX];
    *b = (struct peer_boxes){0};
    if (len == INIT_LEN)
        return 0;
    if (!init_len_is_good(len) || noise_read_more(n, p + INIT_LEN, len - INIT_LEN, text))
        return -EBADMSG;
    struct reader r = reader_of(text, len - INIT_LEN - SEAL_TAG_LEN);
    unsigned count = get_u8(&r);
    for (unsigned i = 0; i < 3; i++)
        get_u8(&r);
    get_bytes(&r, b->token, sizeof(b->token));
    for (unsigned i = 0; i < count && i < BOXES_MAX; i++) {
        get_bytes(&r, b->box[i].key, KEY_LEN);
        get_bytes(&r, b->box[i].member, MEMBER_LEN);
    }
    bool good = count && count <= BOXES_MAX && reader_done(&r);
    b->n = good ? count : 0;
    return good ? 0 : -EBADMSG;
}

int response_write(
    struct noise *n, const uint8_t e_priv[KEY_LEN], const struct hello *h, uint8_t out[RESPONSE_LEN])
{
    uint8_t payload[RESPONSE_PAYLOAD_LEN];
    struct writer w = writer_of(payload, sizeof(payload));
    put_hello(&w, h);
    return noise_write_response(n, e_priv, payload, sizeof(payload), out);
}

int response_read(struct noise *n, const uint8_t *p, size_t len, struct hello *h)
{
    uint8_t payload[RESPONSE_PAYLOAD_LEN];
    if (len != RESPONSE_LEN || noise_read_response(n, p, len, payload))
        return -EBADMSG;
    struct reader r = reader_of(payload, sizeof(payload));
    h->time = 0;
    get_hello(&r, h);
    return reader_done(&r) ? 0 : -EBADMSG;
}
