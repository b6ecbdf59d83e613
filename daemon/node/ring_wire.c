#include "daemon/node/ring_wire.h"

static void put_pos(struct writer *w, ring_pos pos)
{
    put_u64(w, (uint64_t)(pos >> 64));
    put_u64(w, (uint64_t)pos);
}

static ring_pos get_pos(struct reader *r)
{
    uint8_t prefix[ID_PREFIX_LEN];
    get_bytes(r, prefix, sizeof(prefix));
    return ring_pos_of(prefix);
}

static void put_contact(struct writer *w, const struct ring_contact *c)
{
    if (!c->addr.family) {
        put_zeros(w, RING_CONTACT_LEN);
        return;
    }
    put_addr(w, &c->addr);
    put_bytes(w, c->key, KEY_LEN);
}

static void get_contact(struct reader *r, struct ring_contact *c)
{
    struct i3_id id;
    get_addr(r, &c->addr);
    get_bytes(r, c->key, KEY_LEN);
    if (!c->addr.port)
        r->failed = true;
    if (r->failed)
        return;
    id_of_key(&id, c->key, NULL);
    c->pos = ring_pos_of(id.b);
}

/* All zeros stand for none. */
static void get_contact_or_none(struct reader *r, struct ring_contact *c)
{
    memset(c, 0, sizeof(*c));
    if (reader_left(r) >= RING_CONTACT_LEN && !r->at[0])
        wire_expect_zeros(r, RING_CONTACT_LEN);
    else
        get_contact(r, c);
}

static void put_neighbours(struct writer *w, const struct ring_message *m)
{
    put_u8(w, m->n);
    put_zeros(w, 3);
    put_contact(w, &m->predecessor);
    for (unsigned i = 0; i < m->n; i++)
        put_contact(w, &m->successor[i]);
}

static void get_neighbours(struct reader *r, struct ring_message *m)
{
    m->n = get_u8(r);
    wire_expect_zeros(r, 3);
    if (m->n > RING_SUCCESSORS)
        r->failed = true;
    get_contact_or_none(r, &m->predecessor);
    for (unsigned i = 0; i < m->n && !r->failed; i++)
        get_contact(r, &m->successor[i]);
}

static void mac_of(uint8_t out[BLAKE2S_LEN], const uint8_t *p, size_t len, const uint8_t secret[BLAKE2S_LEN])
{
    hmac_blake2s(out, (struct bytes){secret, BLAKE2S_LEN}, &(struct bytes){p, len}, 1);
}

size_t ring_encode(uint8_t *p, size_t cap, const struct ring_message *m, const uint8_t secret[BLAKE2S_LEN])
{
    struct writer w = writer_of(p, cap);
    uint8_t mac[BLAKE2S_LEN];
    put_u8(&w, (uint8_t)(WIRE_VERSION << 4 | WIRE_RING));
    put_u8(&w, m->type);
    put_u8(&w, m->hops);
    put_u8(&w, m->flags);
    put_u64(&w, m->nonce);
    put_pos(&w, m->to);
    put_contact(&w, &m->sender);
    if (m->type == RING_STATE || m->type == RING_LEAVE)
        put_neighbours(&w, m);
    if (m->type == RING_FIND) {
        put_pos(&w, m->target);
        put_addr(&w, &m->origin);
        put_u64(&w, m->origin_nonce);
    }
    if (m->type == RING_FOUND)
        put_pos(&w, m->from);
    if (m->type == RING_TRIGGERS)
        put_bytes(&w, m->payload, m->payload_len);
    if (!writer_ok(&w) || cap - writer_len(&w) < MAC_LEN)
        return 0;
    mac_of(mac, p, writer_len(&w), secret);
    put_bytes(&w, mac, MAC_LEN);
    return writer_len(&w);
}

int ring_decode(const uint8_t *p, size_t len, struct ring_message *m, const uint8_t secret[BLAKE2S_LEN])
{
    uint8_t mac[BLAKE2S_LEN];
    memset(m, 0, sizeof(*m));
    if (len < RING_HEADER_LEN + MAC_LEN || len > RING_MAX_LEN || wire_kind(p, len) != WIRE_RING)
        return -EBADMSG;
    mac_of(mac, p, len - MAC_LEN, secret);
    if (!crypto_equal(mac, p + len - MAC_LEN, MAC_LEN))
        return -EPERM;
    struct reader r = reader_of(p + 1, len - 1 - MAC_LEN);
    m->type = get_u8(&r);
    m->hops = get_u8(&r);
    m->flags = get_u8(&r);
    m->nonce = get_u64(&r);
    m->to = get_pos(&r);
    get_contact(&r, &m->sender);
    if (m->type < RING_ASK || m->type >= RING_TYPES || m->flags & ~RING_FLAGS)
        return -EBADMSG;
    if (m->type == RING_STATE || m->type == RING_LEAVE)
        get_neighbours(&r, m);
    if (m->type == RING_FIND) {
        m->target = get_pos(&r);
        get_addr(&r, &m->origin);
        m->origin_nonce = get_u64(&r);
    }
    if (m->type == RING_FOUND)
        m->from = get_pos(&r);
    if (m->type == RING_TRIGGERS) {
        m->payload_len = reader_left(&r);
        m->payload = get_span(&r, m->payload_len);
    }
    return reader_done(&r) ? 0 : -EBADMSG;
}
