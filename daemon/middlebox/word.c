#include "daemon/middlebox/word.h"

#include <errno.h>

static void get_zeros(struct reader *r, unsigned n, bool *good)
{
    while (n--)
        *good &= get_u8(r) == 0;
}

static void get_boxes(struct reader *r, unsigned n, struct peer_box *v)
{
    for (unsigned i = 0; i < n; i++) {
        get_bytes(r, v[i].key, KEY_LEN);
        get_bytes(r, v[i].member, MEMBER_LEN);
    }
}

static bool get_open(struct reader *r, struct box_word *w)
{
    get_bytes(r, w->token, sizeof(w->token));
    w->flags = get_u8(r);
    w->n = get_u8(r);
    w->mtu = get_u16(r);
    if (w->flags & BOX_PROVEN) {
        get_bytes(r, w->key, KEY_LEN);
        get_bytes(r, w->mac, BOX_PROOF_LEN);
    }
    if (w->n > BOXES_MAX)
        return false;
    get_boxes(r, w->n, w->rest);
    return w->num != 0;
}

static bool get_impose(struct reader *r, struct box_word *w)
{
    w->n = w->num >> 8;
    bool good = !(w->num & 0xff) && w->n && w->n <= BOX_IMPOSED_MAX;
    w->num = 0;
    for (unsigned i = 0; good && i < w->n; i++)
        get_bytes(r, w->keys[i], KEY_LEN);
    return good;
}

/* Nothing of it shall move a terminal's cursor, wherever it is shown: plain ASCII passes. */
static bool get_alert(struct reader *r, struct box_word *w)
{
    w->time = get_u64(r);
    get_bytes(r, w->key, KEY_LEN);
    size_t n = reader_left(r);
    if (!n || n > BOX_ALERT_TEXT)
        return false;
    get_bytes(r, (uint8_t *)w->text, n);
    for (size_t i = 0; i < n; i++)
        if (w->text[i] < 32 || w->text[i] > 126)
            w->text[i] = '?';
    w->text[n] = '\0';
    return true;
}

int box_word_decode(const uint8_t *p, size_t len, struct box_word *w)
{
    struct reader r = reader_of(p, len);
    bool good = get_u8(&r) == inner_first(INNER_BOX);
    memset(w, 0, sizeof(*w));
    w->kind = (enum box_kind)get_u8(&r);
    w->num = get_u16(&r);
    switch (w->kind) {
    case BOX_OPEN:
        good &= get_open(&r, w);
        break;
    case BOX_OPENED:
    case BOX_MTU:
        w->mtu = get_u16(&r);
        get_zeros(&r, 2, &good);
        break;
    case BOX_CLOSE:
        w->why = get_u8(&r);
        w->hops = get_u8(&r);
        get_zeros(&r, 2, &good);
        break;
    case BOX_ASK:
        get_zeros(&r, 4, &good);
        break;
    case BOX_MEMBER:
    case BOX_INTRODUCE:
        get_bytes(&r, w->token, sizeof(w->token));
        get_bytes(&r, w->key, KEY_LEN);
        break;
    case BOX_IMPOSE:
        good &= get_impose(&r, w);
        break;
    case BOX_ALERT:
        good &= get_alert(&r, w);
        break;
    default:
        good = false;
    }
    return good && reader_done(&r) ? 0 : -EBADMSG;
}

size_t box_word_encode(uint8_t *p, size_t cap, const struct box_word *w)
{
    struct writer out = writer_of(p, cap);
    put_u8(&out, inner_first(INNER_BOX));
    put_u8(&out, (uint8_t)w->kind);
    put_u16(&out, w->kind == BOX_IMPOSE ? (uint16_t)(w->n << 8) : w->num);
    switch (w->kind) {
    case BOX_OPEN:
        put_bytes(&out, w->token, sizeof(w->token));
        put_u8(&out, w->flags);
        put_u8(&out, (uint8_t)w->n);
        put_u16(&out, w->mtu);
        if (w->flags & BOX_PROVEN) {
            put_bytes(&out, w->key, KEY_LEN);
            put_bytes(&out, w->mac, BOX_PROOF_LEN);
        }
        for (unsigned i = 0; i < w->n && i < BOXES_MAX; i++) {
            put_bytes(&out, w->rest[i].key, KEY_LEN);
            put_bytes(&out, w->rest[i].member, MEMBER_LEN);
        }
        break;
    case BOX_OPENED:
    case BOX_MTU:
        put_u16(&out, w->mtu);
        put_zeros(&out, 2);
        break;
    case BOX_CLOSE:
        put_u8(&out, w->why);
        put_u8(&out, w->hops);
        put_zeros(&out, 2);
        break;
    case BOX_ASK:
        put_zeros(&out, 4);
        break;
    case BOX_MEMBER:
    case BOX_INTRODUCE:
        put_bytes(&out, w->token, sizeof(w->token));
        put_bytes(&out, w->key, KEY_LEN);
        break;
    case BOX_IMPOSE:
        for (unsigned i = 0; i < w->n && i < BOX_IMPOSED_MAX; i++)
            put_bytes(&out, w->keys[i], KEY_LEN);
        break;
    case BOX_ALERT:
        put_u64(&out, w->time);
        put_bytes(&out, w->key, KEY_LEN);
        put_bytes(&out, (const uint8_t *)w->text, strnlen(w->text, BOX_ALERT_TEXT));
        break;
    }
    return writer_ok(&out) ? writer_len(&out) : 0;
}

bool box_proof(uint8_t out[BOX_PROOF_LEN], const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN], const uint8_t token[BOXES_TOKEN_LEN],
    const uint8_t member[KEY_LEN])
{
    static const char label[] = "i3run box member v1";
    uint8_t shared[KEY_LEN], mac[BLAKE2S_LEN];
    if (x25519(shared, priv, pub))
        return false;
    hmac_blake2s(mac, (struct bytes){shared, sizeof(shared)},
        (struct bytes[]){{label, sizeof(label) - 1}, {token, BOXES_TOKEN_LEN}, {member, KEY_LEN}}, 3);
    memcpy(out, mac, BOX_PROOF_LEN);
    crypto_wipe(shared, sizeof(shared));
    return true;
}

const char *box_why_text(unsigned why)
{
    static const char *const text[] = {
        [BOX_UNKNOWN] = "it has forgotten the route",
        [BOX_DENIED] = "it does not serve us (its `allow`)",
        [BOX_LOOP] = "the boxes would go round in a circle",
        [BOX_FULL] = "it has too many routes",
        [BOX_UNREACHABLE] = "it does not reach the next one",
        [BOX_NO_SESSION] = "the other end knows nothing of it yet",
        [BOX_NOT_NEXT] = "it passes nothing on to that one (its `next`)",
        [BOX_IDLE] = "it was idle for long",
    };
    return why < BOX_WHYS ? text[why] : "?";
}
