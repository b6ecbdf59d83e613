/* Peers with sessions that stand, against whatever the network brings: the input is a list of steps, each a byte that
 * says what and what it needs. Keys are set without Diffie-Hellman, so that most steps cost microseconds. A packet
 * that the peer's key did not seal, or one seen before, must never come out as one. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/i3/peer_state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    uint8_t priv[3][KEY_LEN], pub[3][KEY_LEN]; /* ours, a friend's, a second friend's */
    uint8_t session_pub[KEY_LEN];
    uint8_t e_priv[KEY_LEN];
    struct noise running;         /* our handshake with the second friend */
    uint8_t init[INIT_LEN];       /* its INIT */
    uint8_t response[RESPONSE_LEN];
    uint8_t their_init[INIT_LEN]; /* one of the first friend */
} fixed;

struct world {
    struct peers *ps;
    struct outbox *out;
    mono_t now;
    uint64_t wall;
    struct seal *friend_tx;
    struct i3_id to_current, to_asked;
    struct addr from; /* of what comes in; straight when odd */
    uint8_t taken[1024];
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

static bool known(void *ctx, const uint8_t key[KEY_LEN])
{
    (void)ctx;
    return memcmp(key, fixed.pub[1], KEY_LEN) == 0 || memcmp(key, fixed.pub[2], KEY_LEN) == 0;
}

static void fixed_init(void)
{
    struct noise n;
    struct hello h = {.time = 1000, .ciphers = 3, .mtu = 1400};
    for (unsigned i = 0; i < 3; i++) {
        memset(fixed.priv[i], 0x11 * (int)(i + 1), KEY_LEN);
        x25519_public(fixed.pub[i], fixed.priv[i]);
    }
    memset(fixed.e_priv, 0x77, KEY_LEN);
    x25519_public(fixed.session_pub, fixed.e_priv);
    handshake_start(&fixed.running, fixed.priv[0], fixed.pub[0], fixed.pub[2]);
    require(init_write(&fixed.running, fixed.e_priv, &h, fixed.init) == 0);
    handshake_start(&n, fixed.priv[2], fixed.pub[2], NULL);
    require(noise_read_init_key(&n, fixed.init, INIT_NOISE_LEN) == 0 && init_read(&n, fixed.init, &h) == 0);
    h.ciphers = CIPHER_CHACHA20POLY1305;
    id_of_key(&h.id, fixed.pub[2], NULL);
    require(response_write(&n, fixed.e_priv, &h, fixed.response) == 0);
    h.ciphers = 3;
    id_of_key(&h.id, fixed.pub[1], NULL);
    handshake_start(&n, fixed.priv[1], fixed.pub[1], fixed.pub[0]);
    require(init_write(&n, fixed.e_priv, &h, fixed.their_init) == 0);
}

/* Keys out of nothing: both ends of a session from the same chaining key. */
static void give_session(struct world *w, struct peer *p, bool initiator)
{
    struct noise n = {.cipher = CIPHER_AES256GCM, .ck = {7}}, theirs = n;
    uint8_t key[2][SEAL_KEY_LEN];
    struct i3_id remote;
    id_of_key(&remote, fixed.pub[1], (const uint8_t *)"0123456789abcdef");
    noise_split(&theirs, key[0], key[1]);
    struct session *s = session_new(&w->ps->sessions, p, &w->ps->drbg);
    session_set_keys(&w->ps->sessions, s, &n, initiator, CIPHER_AES256GCM, true, &remote, w->now);
    *(initiator ? &p->current : &p->next) = s;
    w->friend_tx = seal_new(CIPHER_AES256GCM, key[initiator ? 1 : 0], true);
    w->to_current = s->local;
    way_consent(w->ps, p, true, w->now);
    way_up(w->ps, p, w->now);
    peer_arm(w->ps, p, mono_add(w->now, SESSION_LIFE));
}

static void give_handshake(struct world *w, struct peer *p)
{
    struct handshake *h = calloc(1, sizeof(*h));
    h->session = session_new(&w->ps->sessions, p, &w->ps->drbg);
    h->noise = fixed.running;
    memcpy(h->init, fixed.init, INIT_LEN);
    h->first = h->due = w->now;
    p->shake = h;
    p->last_start = w->now;
    w->to_asked = h->session->local;
    peer_arm(w->ps, p, w->now);
}

static struct world world_new(bool initiator)
{
    struct peers_config c = {.ciphers = 3,
        .own_address = 0x0a010203,
        .pool = 0x0a000000,
        .pool_bits = 8,
        .mtu = 1400,
        .shortcut = true,
        .probe_mtu = true,
        .known = known};
    struct path_own own = {.addr = {addr_v4(0x7f000002, 7)}, .n = 1, .v4 = true, .v6 = true, .loopback = true};
    struct addr node = addr_v4(0x7f000001, 5610);
    memcpy(c.priv, fixed.priv[0], KEY_LEN);
    memcpy(c.pub, fixed.pub[0], KEY_LEN);
    memcpy(c.session_priv, fixed.e_priv, KEY_LEN);
    memcpy(c.session_pub, fixed.session_pub, KEY_LEN);
    static struct outbox out;
    struct world w = {.ps = peers_new(&c), .out = &out, .now = {USEC_PER_SEC}, .wall = 1u << 30};
    outbox_clear(&out);
    peers_set_node(w.ps, &node);
    peers_set_own(w.ps, w.now, &own);
    give_session(&w, peer_get(w.ps, fixed.pub[1], 0x0a000101), initiator);
    peer_by_key(w.ps, fixed.pub[1])->member[0] = initiator; /* a group's, then */
    give_handshake(&w, peer_get(w.ps, fixed.pub[2], 0x0a000102));
    return w;
}

static const struct i3_id *pick_id(struct world *w, uint8_t n, struct i3_id *other)
{
    switch (n & 3) {
    case 0:
        return &w->to_current;
    case 1:
        return &w->to_asked;
    case 2:
        return &w->ps->public_id;
    }
    id_of_key(other, fixed.pub[n >> 2 & 1], NULL);
    other->b[n >> 3]++;
    return other;
}

static enum peer_verdict deliver(
    struct world *w, const struct i3_id *to, uint8_t proto, const uint8_t *body, size_t len)
{
    uint8_t *copy = malloc(len ? len : 1); /* of its own, so that a read too far is seen */
    struct wire_data d = {.n = 1, .proto = proto, .ids = to->b, .payload = copy, .payload_len = len};
    struct addr from = w->from;
    d.hops = from.port & 1 ? HOPS_DEFAULT : HOPS_DEFAULT - 1;
    struct peer *who;
    uint8_t *plain;
    size_t plain_len;
    if (len)
        memcpy(copy, body, len);
    if (outbox_is_tight(w->out))
        outbox_clear(w->out);
    unsigned before = w->out->n;
    enum peer_verdict v = peers_input(w->ps, w->now, w->wall, &from, &d, w->out, &who, &plain, &plain_len);
    require(v != PEER_DROP || w->out->n == before);
    require(v != PEER_PACKET || !inner_is(plain, plain_len));
    require(v != PEER_PACKET || (plain >= copy && plain + plain_len + SEAL_TAG_LEN == copy + len && who));
    free(copy);
    return v;
}

static void step_sealed(struct world *w, struct reader *r)
{
    uint8_t body[300];
    uint64_t counter = get_u16(r);
    size_t len = get_u8(r);
    const uint8_t *text = get_span(r, len < reader_left(r) ? len : (len = reader_left(r)));
    uint8_t flip = get_u8(r), at = get_u8(r);
    if (!text)
        return;
    struct writer wr = writer_of(body, sizeof(body));
    put_u64(&wr, counter);
    len = 8 + seal_encrypt(w->friend_tx, counter, NULL, 0, &(struct iovec){(void *)text, len}, 1, body + 8);
    body[at % len] ^= flip;
    enum peer_verdict v = deliver(w, &w->to_current, PROTO_SEALED, body, len);
    bool seen = counter < sizeof(w->taken) && w->taken[counter];
    require(v == PEER_DROP || (!flip && !seen));
    if (v != PEER_DROP && counter < sizeof(w->taken))
        w->taken[counter] = 1;
}

/* A message about the way, well formed in part. The codec's both halves must agree. */
static void step_inner(struct world *w, struct reader *r)
{
    static uint64_t counter = 1u << 20;
    struct inner_offer o = {0}, back;
    uint8_t body[300], msg[INNER_MAX];
    uint8_t kind = get_u8(r);
    size_t len = token_encode(msg, sizeof(msg), kind & 1 ? INNER_CHALLENGE : INNER_RESPONSE, get_u64(r));
    if (!(kind & 2)) {
        o.ask = kind >> 2 & 1;
        o.n = kind >> 3 & 7;
        o.serial = get_u8(r);
        o.ack = get_u32(r);
        for (unsigned i = 0; i < o.n; i++)
            o.addr[i] = addr_v4(0x0a000000 | get_u16(r), get_u8(r));
        len = offer_encode(msg, sizeof(msg), &o);
        require(len && offer_decode(msg, len, &back) == 0);
        require(offer_encode(body, sizeof(body), &back) == len && memcmp(body, msg, len) == 0);
    }
    if ((kind & 34) == 34) { /* about sizes: a probe, or an answer to one of ours */
        struct peer *to = peer_by_key(w->ps, fixed.pub[1]);
        bool ack = kind & 1;
        uint32_t id = to ? to->pmtu[kind >> 2 & 1].next - get_u8(r) : 0;
        uint16_t size = get_u16(r), back_size;
        size = ack ? size : (uint16_t)(INNER_PROBE_LEN + size % 150);
        len = probe_encode(msg, sizeof(msg), ack ? INNER_PROBE_ACK : INNER_PROBE, size, id);
        uint32_t back_id;
        require(probe_decode(msg, len, ack ? INNER_PROBE_ACK : INNER_PROBE, &back_size, &back_id) == 0);
        require(back_size == size && back_id == id);
    }
    if (kind == 0x15) {
        len = bye_encode(msg, sizeof(msg));
        require(len && bye_decode(msg, len) == 0);
    }
    for (unsigned i = 0; kind >> 6 && i < 2; i++)
        msg[get_u8(r) % len] ^= get_u8(r);
    struct peer *p = peer_by_key(w->ps, fixed.pub[1]);
    if (p && p->path && kind & 128 && p->path->c[0].tries) { /* the right answer, from the right place */
        w->from = p->path->c[0].addr;
        len = token_encode(msg, sizeof(msg), INNER_RESPONSE, p->path->c[0].token);
    }
    struct writer wr = writer_of(body, sizeof(body));
    put_u64(&wr, ++counter);
    len = 8 + seal_encrypt(w->friend_tx, counter, NULL, 0, &(struct iovec){msg, len}, 1, body + 8);
    deliver(w, &w->to_current, PROTO_SEALED, body, len);
    struct peer_info info;
    if (p) {
        peer_info(w->ps, p, w->now, &info);
        require(info.mtu >= PMTU_BASE || info.mtu == p->mtu);
        require(info.mtu <= p->mtu);
    }
}

static void step_from(struct world *w, struct reader *r)
{
    w->from = addr_v4(0x0a000000 | get_u8(r), get_u8(r));
    peers_too_big(w->ps, w->now, &w->from, get_u16(r));
    if (get_u8(r) == 1)
        peers_send_failed(w->ps, w->now, &w->from);
}

static void give_response(struct world *w, struct reader *r)
{
    uint8_t body[RESPONSE_LEN], at = get_u8(r), flip = get_u8(r);
    memcpy(body, fixed.response, RESPONSE_LEN);
    body[at % RESPONSE_LEN] ^= flip;
    enum peer_verdict v = deliver(w, &w->to_asked, PROTO_HANDSHAKE_RESPONSE, body, RESPONSE_LEN);
    require(!flip || v == PEER_DROP);
}

static void step_raw(struct world *w, struct reader *r)
{
    struct i3_id other;
    uint8_t which = get_u8(r), proto = get_u8(r);
    if (which & 128) {
        give_response(w, r);
        return;
    }
    size_t len = get_u8(r);
    len = len < reader_left(r) ? len : reader_left(r);
    const uint8_t *body = get_span(r, len);
    if (body)
        require(deliver(w, pick_id(w, which, &other), proto & 15, body, len) == PEER_DROP);
}

/* mac1 may be put right, so that what is behind it is reached. */
static void step_init(struct world *w, struct reader *r)
{
    uint8_t body[INIT_LEN], mac[BLAKE2S_LEN];
    memcpy(body, fixed.their_init, INIT_LEN);
    uint8_t n = get_u8(r) & 3, mend = get_u8(r);
    struct i3_id back;
    if (mend & 2)
        init_set_return(body, pick_id(w, mend, &back), mend & 4 ? fixed.e_priv : NULL);
    for (unsigned i = 0; i < n; i++) {
        uint8_t at = get_u8(r);
        body[at % INIT_LEN] ^= get_u8(r);
    }
    bool changed = memcmp(body, fixed.their_init, INIT_NOISE_LEN) != 0;
    if (mend & 1) {
        hmac_blake2s(
            mac, (struct bytes){w->ps->mac1_key, BLAKE2S_LEN}, &(struct bytes){body, INIT_NOISE_LEN}, 1);
        memcpy(body + INIT_NOISE_LEN, mac, MAC_LEN);
    }
    if (outbox_is_tight(w->out))
        outbox_clear(w->out);
    unsigned before = w->out->n;
    enum peer_verdict v = deliver(w, &w->ps->public_id, PROTO_HANDSHAKE_INIT, body, INIT_LEN);
    unsigned answers = w->out->n - before;
    require(!changed || v == PEER_DROP || (answers == 1 && w->out->v[before].data[4] == PROTO_COOKIE && w->out->v[before].len < INIT_LEN));
}

/* A COOKIE: believed when it repeats the INIT that runs. */
static void step_cookie(struct world *w, struct reader *r)
{
    struct i3_id other;
    uint8_t body[COOKIE_BODY_LEN + 1], which = get_u8(r), at = get_u8(r), flip = get_u8(r), len = get_u8(r);
    const struct peer *p = peer_by_key(w->ps, fixed.pub[2]);
    bool runs = p && p->shake && p->shake->tries;
    memset(body, flip, sizeof(body));
    if (runs)
        memcpy(body, init_mac1(p->shake->init), MAC_LEN);
    body[at % MAC_LEN] ^= flip;
    len = len < COOKIE_BODY_LEN ? len : COOKIE_BODY_LEN + (len & 1);
    uint64_t taken = peers_load(w->ps, w->now).cookies_taken;
    const struct i3_id *to = pick_id(w, which, &other);
    enum peer_verdict v = deliver(w, to, PROTO_COOKIE, body, len);
    bool good = runs && !flip && len == COOKIE_BODY_LEN && p->shake && !memcmp(to, &p->shake->session->local, ID_LEN);
    require((v == PEER_CONTROL) == good);
    require(peers_load(w->ps, w->now).cookies_taken == taken + good);
}

/* INITs of strangers until a cookie is asked for. */
static void step_load(struct world *w, struct reader *r)
{
    w->ps->gate.second = w->now;
    w->ps->gate.free = GATE_FREE_PER_S + (get_u8(r) & 1);
}

static void step_not_present(struct world *w, struct reader *r)
{
    struct i3_id other;
    struct wire_not_present np = {.echo_len = NOT_PRESENT_ECHO};
    uint8_t which = get_u8(r);
    np.id = *pick_id(w, which, &other);
    if (which & 64)
        id_of_key(&np.id, fixed.pub[2], NULL);
    if (which & 128)
        memcpy(np.echo, fixed.init, sizeof(np.echo));
    else
        get_bytes(r, np.echo, sizeof(np.echo));
    peers_not_present(w->ps, w->now, w->wall, &np);
}

static void step_seal(struct world *w, struct reader *r)
{
    uint8_t text[2000] = {0}, out[2000];
    size_t len = get_u16(r) % sizeof(text), cap = get_u16(r) % sizeof(out);
    uint8_t *exact = malloc(cap ? cap : 1);
    struct peer *p = peer_by_address(w->ps, 0x0a000101 + (get_u8(r) & 1));
    if (p) {
        struct iovec v[2] = {{text, len / 3}, {text + len / 3, len - len / 3}};
        ssize_t n = peer_seal(w->ps, p, w->now, w->wall, v, 2, exact, cap);
        require(n < 0 || (size_t)n == len + PEER_SEAL_OVERHEAD);
    }
    free(exact);
}

static void step_time(struct world *w, struct reader *r)
{
    static const uint64_t unit[] = {1000, 100000, USEC_PER_SEC, 10 * USEC_PER_SEC};
    uint8_t n = get_u8(r);
    w->now = mono_add(w->now, (n >> 2) * unit[n & 3]);
    w->wall += (n >> 2) * unit[n & 3];
}

static void step_output(struct world *w, struct reader *r)
{
    struct peer_event e;
    (void)r;
    for (unsigned i = 0; mono_due(peers_deadline(w->ps), w->now); i++) {
        require(i < 10);
        outbox_clear(w->out);
        peers_output(w->ps, w->now, w->wall, w->out);
        require(!w->out->dropped);
    }
    while (peers_event(w->ps, &e))
        require(e.peer != NULL);
}

static void step_drop(struct world *w, struct reader *r)
{
    struct peer *p = peer_by_key(w->ps, fixed.pub[1 + (get_u8(r) & 1)]);
    if (p && get_u8(r) == 0x5a) /* seldom: there is little left to try then */
        peer_drop(w->ps, p);
    else if (p)
        peer_open(w->ps, p, w->now, w->wall);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const step[])(struct world *, struct reader *) = {
        step_sealed, step_raw, step_init, step_not_present, step_seal, step_time, step_output, step_drop, step_inner, step_from,
        step_cookie, step_load};
    struct reader r = reader_of(data, size);
    if (!fixed.init[0])
        fixed_init();
    struct world w = world_new(get_u8(&r) & 1);
    for (unsigned i = 0; i < 64 && reader_left(&r); i++)
        step[get_u8(&r) % ARRAY_LEN(step)](&w, &r);
    struct peer *p = peer_by_key(w.ps, fixed.pub[1]);
    for (unsigned i = 0; i < 1000 && p && !mono_due(mono_add(w.now, USEC_PER_SEC), peers_deadline(w.ps)); i++) { /* it ends */
        w.now = peers_deadline(w.ps).us > w.now.us ? peers_deadline(w.ps) : w.now;
        outbox_clear(w.out);
        peers_output(w.ps, w.now, w.wall, w.out);
        require(i < 900);
    }
    seal_free(w.friend_tx);
    peers_free(w.ps);
    return 0;
}
