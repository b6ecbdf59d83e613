#include "daemon/i3/peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/i3/peer_state.h"
#include "daemon/base/secret.h"

enum {
    SEALED_MIN_LEN = 8 + SEAL_TAG_LEN,
    SESSIONS_PER_PEER = 3,
    DATA_PROTO_AT = 4,
    PLAIN_COVERS = 72, /* bytes of a PLAIN packet which its tag is for: IPv6 and TCP headers */
    PLAIN_AD = 4 + PLAIN_COVERS,
};

/* ---- the table ---- */

struct peers *peers_new(const struct peers_config *c)
{
    struct peers *ps = secret_new(sizeof(*ps));
    if (!ps)
        return NULL;
    ps->c = *c;
    ps->c.ciphers &= CIPHER_AES256GCM | CIPHER_CHACHA20POLY1305;
    drbg_init(&ps->drbg, c->seed);
    id_of_key(&ps->public_id, c->pub, NULL);
    mac1_key(ps->mac1_key, c->pub);
    sessions_init(&ps->sessions, c->session_pub);
    ps->sessions.accel = c->accel;
    ps->handshakes.credit = HANDSHAKES_BURST * HANDSHAKE_PRICE;
    uint8_t seed[BLAKE2S_LEN];
    drbg_draw(&ps->drbg, seed, sizeof(seed));
    gate_init(&ps->gate, seed);
    crypto_wipe(seed, sizeof(seed));
    return ps;
}

void peers_free(struct peers *ps)
{
    if (!ps)
        return;
    while (ps->by_key)
        peer_drop(ps, ps->by_key);
    sessions_fini(&ps->sessions);
    deadlines_fini(&ps->due);
    crypto_wipe(ps, sizeof(*ps));
    secret_free(ps);
}

void peers_set_session_key(struct peers *ps, const uint8_t session_pub[KEY_LEN])
{
    sessions_set_key(&ps->sessions, session_pub);
}

void peers_set_node(struct peers *ps, const struct addr *node)
{
    ps->node = *node;
}

static void set_local(struct peers *ps, struct peer *p, uint32_t local)
{
    if (!local || p->local == local)
        return;
    if (p->local)
        HASH_DELETE(by_local, ps->by_local, p);
    struct peer *other = peer_by_address(ps, local);
    if (other) { /* the pool has given the address away */
        HASH_DELETE(by_local, ps->by_local, other);
        other->local = 0;
    }
    p->local = local;
    HASH_ADD(by_local, ps->by_local, local, sizeof(p->local), p);
}

static void set_first(const struct peers *ps, struct peer *p)
{
    if (ps->c.by_id)
        p->first = addr_of_id(p->n_via ? p->via[0].b : p->public_id.b);
}

struct peer *peer_get(struct peers *ps, const uint8_t key[KEY_LEN], uint32_t local)
{
    struct peer *p = peer_by_key(ps, key);
    if (p) {
        set_local(ps, p, local);
        return p;
    }
    uint32_t n = HASH_CNT(by_key, ps->by_key);
    if (n == PEERS_MAX || memcmp(key, ps->c.pub, KEY_LEN) == 0 || deadlines_reserve(&ps->due, n + 1))
        return NULL;
    p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    memcpy(p->key, key, KEY_LEN);
    id_of_key(&p->public_id, key, NULL);
    p->address = id_address(&p->public_id, ps->c.pool, ps->c.pool_bits);
    id_address6(&p->public_id, p->address6);
    drbg_draw(&ps->drbg, p->ask, sizeof(p->ask));
    p->we_are = ps->c.own_address;
    p->mtu = ps->c.mtu;
    set_first(ps, p);
    p->start = p->last_start = p->unanswered = p->probed = p->keepalive = MONO_NEVER;
    p->patience = PATIENCE_MIN;
    p->shortcut = p->plain = -1;
    p->misuse.credit = PEER_MISUSE_BURST * (USEC_PER_SEC / PEER_MISUSE_PER_S);
    HASH_ADD(by_key, ps->by_key, key, sizeof(p->key), p);
    HASH_ADD(by_id, ps->by_id, public_id, ID_PREFIX_LEN, p);
    set_local(ps, p, local);
    return p;
}

void peer_set_via(struct peers *ps, struct peer *p, const struct i3_id *via, unsigned n)
{
    if (n > PEER_VIA_MAX || (n == p->n_via && !memcmp(p->via, via, n * sizeof(*via))))
        return;
    ps->vias += (n > 0) - (p->n_via > 0);
    memcpy(p->via, via, n * sizeof(*via));
    p->n_via = (uint8_t)n;
    p->mtu = (uint16_t)(ps->c.mtu - peer_via_len(p));
    set_first(ps, p);
    way_free(p);
}

void peer_set_boxes(struct peers *ps, struct peer *p, const struct peer_boxes *b)
{
    struct i3_id via[PEER_VIA_MAX];
    for (unsigned i = 0; i < b->n; i++) {
        id_of_key(&via[i], b->box[i].key, NULL);
        memcpy(via[i].b + ID_PREFIX_LEN, b->box[i].member, MEMBER_LEN);
    }
    peer_set_via(ps, p, via, b->n);
    bool same = b->n == p->boxes.n && !memcmp(b->token, p->boxes.token, sizeof(b->token));
    for (unsigned i = 0; same && i < b->n; i++)
        same = !memcmp(b->box[i].key, p->boxes.box[i].key, KEY_LEN);
    p->boxes = *b;
    if (same)
        return;
    p->by_boxes = false;
    p->last_start = MONO_NEVER; /* what runs, or has just been made, is another matter */
    if (p->shake) {
        shake_cancel(ps, p);
        shake_want(ps, p, (mono_t){1});
    }
}

bool peer_by_boxes(const struct peer *p)
{
    return p->by_boxes;
}

void peer_set_by_boxes(struct peer *p, bool by)
{
    p->by_boxes = by;
}

uint16_t peer_mtu(const struct peer *p)
{
    return way_mtu(p);
}

const struct peer_boxes *peer_boxes(const struct peer *p)
{
    return &p->boxes;
}

/* What both have said to each other is not so any more. */
static void wishes_changed(struct peers *ps, struct peer *p)
{
    if (!peer_wants_shortcut(ps, p))
        way_free(p);
    if (p->current)
        p->current->rekey_at = (mono_t){0};
}

void peer_set_wishes(struct peers *ps, struct peer *p, int shortcut, int plain)
{
    bool direct = peer_wants_shortcut(ps, p), open = peer_wants_plain(ps, p);
    p->shortcut = (int8_t)shortcut;
    p->plain = (int8_t)plain;
    if (direct != peer_wants_shortcut(ps, p) || open != peer_wants_plain(ps, p))
        wishes_changed(ps, p);
}

void peers_set_wishes(struct peers *ps, bool shortcut, bool plain)
{
    bool direct = ps->c.shortcut != shortcut, open = ps->c.plain != plain;
    ps->c.shortcut = shortcut;
    ps->c.plain = plain;
    for (struct peer *p = ps->by_key; p; p = p->by_key.next)
        if ((direct && p->shortcut < 0) || (open && p->plain < 0))
            wishes_changed(ps, p);
}

bool peers_has_id(const struct peers *ps, const uint8_t id[ID_LEN])
{
    return memcmp(id, ps->public_id.b, ID_PREFIX_LEN) == 0 || memcmp(id, ps->sessions.prefix, ID_PREFIX_LEN) == 0 ||
           memcmp(id, ps->sessions.before, ID_PREFIX_LEN) == 0;
}

struct peer *peer_by_address(const struct peers *ps, uint32_t local)
{
    struct peer *p;
    HASH_FIND(by_local, ps->by_local, &local, sizeof(local), p);
    return p;
}

struct peer *peer_by_key(const struct peers *ps, const uint8_t key[KEY_LEN])
{
    struct peer *p;
    HASH_FIND(by_key, ps->by_key, key, KEY_LEN, p);
    return p;
}

const uint8_t *peer_key(const struct peer *p)
{
    return p->key;
}

void peer_set_mark(struct peer *p, uint32_t mark)
{
    p->mark = mark;
}

uint32_t peer_mark(const struct peer *p)
{
    return p->mark;
}

void peer_set_box(struct peer *p, uint32_t box)
{
    p->box = box;
}

uint32_t peer_box(const struct peer *p)
{
    return p->box;
}

bool peer_misuse(struct peer *p, mono_t now)
{
    return budget_take(&p->misuse, now, USEC_PER_SEC / PEER_MISUSE_PER_S, PEER_MISUSE_BURST);
}

static void unlink_event(struct peers *ps, struct peer *p)
{
    *(p->event_prev ? &p->event_prev->event_next : &ps->event_first) = p->event_next;
    *(p->event_next ? &p->event_next->event_prev : &ps->event_last) = p->event_prev;
    p->event_prev = p->event_next = NULL;
    p->has_event = false;
}

void peer_drop(struct peers *ps, struct peer *p)
{
    shake_cancel(ps, p);
    session_free(&ps->sessions, p->current);
    session_free(&ps->sessions, p->previous);
    session_free(&ps->sessions, p->next);
    way_free(p);
    deadline_set(&ps->due, &p->due, MONO_NEVER);
    if (p->has_event)
        unlink_event(ps, p);
    ps->vias -= p->n_via > 0;
    HASH_DELETE(by_key, ps->by_key, p);
    HASH_DELETE(by_id, ps->by_id, p);
    if (p->local)
        HASH_DELETE(by_local, ps->by_local, p);
    crypto_wipe(p, sizeof(*p));
    free(p);
}

/* ---- events ---- */

/* One at most per peer, the newest: what it says is how things stand. */
void peer_tell(struct peers *ps, struct peer *p, enum peer_event_kind kind, int err)
{
    bool moved = p->has_event && p->event.moved, anew = p->has_event && p->event.anew;
    p->event = (struct peer_event){.kind = kind, .peer = p, .moved = moved, .anew = anew || (kind == PEER_UP && p->anew), .err = err};
    p->anew &= kind != PEER_UP;
    if (p->has_event)
        return;
    p->has_event = true;
    p->event_prev = ps->event_last;
    *(ps->event_last ? &ps->event_last->event_next : &ps->event_first) = p;
    ps->event_last = p;
}

bool peers_event(struct peers *ps, struct peer_event *out)
{
    struct peer *p = ps->event_first;
    if (!p)
        return false;
    *out = p->event;
    unlink_event(ps, p);
    return true;
}

/* ---- time ---- */

void peer_arm(struct peers *ps, struct peer *p, mono_t at)
{
    if (at.us < deadline_at(&p->due).us)
        deadline_set(&ps->due, &p->due, at);
}

static struct session **key_place(struct peer *p, unsigned i)
{
    return i == 0 ? &p->current : i == 1 ? &p->previous : &p->next;
}

static mono_t response_due(const struct session *s)
{
    if (!s->response_wanted || s->response_repeats == RESPONSE_REPEATS_MAX)
        return MONO_NEVER;
    return mono_add(s->response_sent, HANDSHAKE_REPEAT << s->response_repeats);
}

/* Who only receives has nothing to send when nothing comes any more, so silence itself must raise the question; again after three
 * and nine times as long, as the answer may have met the same fate. */
static mono_t doubt_due(const struct peer *p)
{
    static const uint8_t times[DOUBTS_MAX] = {1, 4, 13};
    uint64_t rtt = p->rtt_us < USEC_PER_SEC ? p->rtt_us : USEC_PER_SEC;
    uint64_t first = peer_is_group(p) ? MEMBER_DOUBT_AFTER : DOUBT_AFTER;
    return p->doubts == DOUBTS_MAX ? MONO_NEVER : mono_add(p->unanswered, times[p->doubts] * (first + 2 * rtt));
}

static void doubt(struct peers *ps, struct peer *p, mono_t now, struct outbox *out)
{
    p->doubts++;
    ps->unanswered++;
    if (peer_is_group(p))
        member_ask(ps, p, now, out);
}

static mono_t earliest(struct peer *p)
{
    mono_t at = mono_min(shake_deadline(p), p->keepalive);
    if (!p->shake && !p->wanted)
        at = mono_min(at, mono_add(p->unanswered, SILENCE_MAX));
    at = mono_min(at, mono_min(doubt_due(p), member_due(p)));
    for (unsigned i = 0; i < SESSIONS_PER_PEER; i++)
        if (*key_place(p, i))
            at = mono_min(at, mono_add((*key_place(p, i))->created, SESSION_LIFE));
    if (p->next)
        at = mono_min(at, response_due(p->next));
    if (p->current || p->next)
        at = mono_min(at, way_deadline(p));
    return at;
}

static void peer_expire(struct peers *ps, struct peer *p, mono_t now, uint64_t wall_us, struct outbox *out)
{
    for (unsigned i = 0; i < SESSIONS_PER_PEER; i++) {
        struct session **s = key_place(p, i);
        if (*s && !session_may_receive(*s, now)) {
            session_free(&ps->sessions, *s);
            *s = NULL;
        }
    }
    if (mono_due(p->keepalive, now)) {
        struct session *s = peer_sending_key(p, now);
        p->keepalive = MONO_NEVER;
        if (s)
            peer_send_empty(ps, p, s, now, out);
    }
    if (mono_due(doubt_due(p), now))
        doubt(ps, p, now, out);
    if (mono_due(member_due(p), now))
        member_suspect(ps, p, now);
    if (mono_due(mono_add(p->unanswered, SILENCE_MAX), now)) {
        p->unanswered = MONO_NEVER;
        shake_want(ps, p, now);
    }
    if (p->next && mono_due(response_due(p->next), now)) {
        struct session *s = p->next;
        peer_push_shake(ps, p, &s->remote, PROTO_HANDSHAKE_RESPONSE, s->response, RESPONSE_LEN, true, out);
        s->response_wanted = false;
        s->response_sent = now;
        s->response_repeats++;
    }
    shake_expire(ps, p, now, wall_us, out);
    way_run(ps, p, now, out);
    deadline_set(&ps->due, &p->due, earliest(p));
}

void peers_output(struct peers *ps, mono_t now, uint64_t wall_us, struct outbox *out)
{
    for (unsigned i = 0; i < OUTPUT_MAX && mono_due(deadlines_next(&ps->due), now); i++) {
        struct deadline *d = deadlines_first(&ps->due);
        peer_expire(ps, (struct peer *)(void *)((char *)d - offsetof(struct peer, due)), now, wall_us, out);
    }
}

uint64_t peers_unanswered(const struct peers *ps)
{
    return ps->unanswered;
}

mono_t peers_deadline(const struct peers *ps)
{
    return deadlines_next(&ps->due);
}

/* ---- sending ---- */

void peers_set_owners(struct peers *ps, struct owners *os)
{
    ps->owners = os;
}

const struct addr *peer_first_node(const struct peers *ps, const struct peer *p, const struct i3_id *id)
{
    if (ps->c.by_id)
        return &p->first;
    if (p->n_via)
        id = &p->via[0];
    return ps->owners ? owners_node(ps->owners, id) : &ps->node;
}

bool peer_is_standing(const struct peer *p)
{
    return p->current || p->next;
}

bool peer_is_direct(const struct peer *p)
{
    return way_is_direct(p);
}

const struct addr *peer_destination(const struct peers *ps, const struct peer *p)
{
    const struct session *s = p->current ? p->current : p->next;
    return way_is_direct(p) ? path_address(p->path) : peer_first_node(ps, p, s ? &s->remote : &p->public_id);
}

struct session *peer_sending_key(const struct peer *p, mono_t now)
{
    if (p->current && session_may_send(p->current, now))
        return p->current;
    return p->next && session_may_send(p->next, now) ? p->next : NULL;
}

/* The DATA header of packets to the peer; returns its length. */
static size_t put_header(const struct peer *p, const struct i3_id *to, enum wire_proto proto, uint8_t *out)
{
    struct i3_id ids[PEER_VIA_MAX + 1];
    if (!p->n_via) {
        data_header_to(out, to, proto);
        return DATA_HEADER_LEN;
    }
    memcpy(ids, p->via, peer_via_len(p));
    ids[p->n_via] = *to;
    struct wire_data d = {.hops = HOPS_DEFAULT, .n = (uint8_t)(p->n_via + 1), .proto = (uint8_t)proto, .ids = ids[0].b};
    return data_header_encode(out, DATA_HEADER_LEN + peer_via_len(p), &d);
}

uint8_t *peer_push(const struct addr *at, const struct peer *to_peer, const struct i3_id *to, enum wire_proto proto, size_t len, struct outbox *out)
{
    size_t head = DATA_HEADER_LEN + peer_via_len(to_peer);
    uint8_t *p = at->family ? outbox_alloc(out, head + len) : NULL;
    if (!p)
        return NULL;
    put_header(to_peer, to, proto, p);
    return outbox_push(out, at, p, head + len) ? p + head : NULL;
}

void peer_push_shake(struct peers *ps, const struct peer *p, const struct i3_id *to, enum wire_proto proto, const uint8_t *body,
    size_t len, bool both, struct outbox *out)
{
    uint8_t *at = peer_push(peer_first_node(ps, p, to), p, to, proto, len, out);
    if (at)
        memcpy(at, body, len);
    if (both && way_is_direct(p) && (at = peer_push(path_address(p->path), p, to, proto, len, out)))
        memcpy(at, body, len);
}

static size_t seal_body(struct session *s, const struct iovec *v, int n, uint8_t *body)
{
    struct writer w = writer_of(body, 8);
    uint64_t counter = s->counter++;
    put_u64(&w, counter);
    return 8 + seal_encrypt(s->tx, counter, NULL, 0, v, n, body + 8);
}

/* What the tag of a PLAIN packet covers beside its counter: its length and its first bytes. Returns how many bytes that is. */
static size_t plain_ad(uint8_t ad[PLAIN_AD], const uint8_t *text, size_t len)
{
    size_t n = len < PLAIN_COVERS ? len : PLAIN_COVERS;
    struct writer w = writer_of(ad, PLAIN_AD);
    put_u32(&w, (uint32_t)len);
    put_bytes(&w, text, n);
    return 4 + n;
}

/* The packet as it is, behind its counter and its tag. */
static size_t plain_body(struct session *s, const struct iovec *v, int n, uint8_t *body)
{
    struct writer w = writer_of(body, 8);
    uint64_t counter = s->counter++;
    uint8_t *text = body + 8 + SEAL_TAG_LEN, ad[PLAIN_AD];
    size_t len = 0;
    put_u64(&w, counter);
    for (int i = 0; i < n; len += v[i++].iov_len)
        if (v[i].iov_len)
            memcpy(text + len, v[i].iov_base, v[i].iov_len);
    seal_encrypt(s->tx, counter, ad, plain_ad(ad, text, len), NULL, 0, body + 8);
    return SEALED_MIN_LEN + len;
}

static void note_sent(struct peers *ps, struct peer *p, const struct session *s, mono_t now)
{
    p->last_sent = now;
    p->keepalive = MONO_NEVER;
    p->packets_out++;
    if (mono_due(s->rekey_at, now) || s->counter >= SESSION_REKEY_PACKETS)
        shake_want(ps, p, now);
}

void peer_send_word(struct peers *ps, struct peer *p, struct session *s, const struct addr *at, mono_t now, const uint8_t *msg,
    size_t len, struct outbox *out)
{
    uint8_t *body = peer_push(at, p, &s->remote, PROTO_SEALED, SEALED_MIN_LEN + len, out);
    if (!body)
        return;
    seal_body(s, &(struct iovec){(void *)msg, len}, len > 0, body);
    note_sent(ps, p, s, now);
}

bool peer_say(struct peers *ps, struct peer *p, mono_t now, const uint8_t *msg, size_t len, struct outbox *out)
{
    struct session *s = peer_sending_key(p, now);
    if (!s || outbox_is_tight(out))
        return false;
    peer_send_word(ps, p, s, peer_destination(ps, p), now, msg, len, out);
    return true;
}

void peer_send_empty(struct peers *ps, struct peer *p, struct session *s, mono_t now, struct outbox *out)
{
    peer_send_word(ps, p, s, peer_destination(ps, p), now, NULL, 0, out);
}

/* A packet which asks for an answer, sooner or later. With the 15 s of SILENCE_MAX alone a peer that has restarted would
 * be out of reach for as long; but traffic that goes on and on into silence is a sign that comes earlier, unless the
 * peer is known to be slow to answer: each such question which turns out to have been needless doubles our patience. */
static void watch_silence(struct peers *ps, struct peer *p, mono_t now)
{
    if (p->unanswered.us == MONO_NEVER.us) {
        p->unanswered = p->pressing = now;
        p->doubts = 0;
        peer_arm(ps, p, doubt_due(p));
    } else if (mono_since(p->last_data, now) > p->patience) {
        p->pressing = now; /* the last word of an earlier talk needed no answer */
    } else if (mono_since(p->pressing, now) >= p->patience && !p->shake && !p->wanted) {
        p->patience = p->patience * 2 < SILENCE_MAX ? p->patience * 2 : SILENCE_MAX;
        p->pressing = now;
        shake_want(ps, p, now);
    }
    p->last_data = now;
}

/* The peer has not used the key we answered for: it may have missed the RESPONSE. */
static void want_response(struct peers *ps, struct peer *p)
{
    if (p->next->response_wanted)
        return;
    p->next->response_wanted = true;
    peer_arm(ps, p, response_due(p->next));
}

ssize_t peer_seal(struct peers *ps, struct peer *p, mono_t now, uint64_t wall_us, const struct iovec *v,
    int n, uint8_t *out, size_t cap)
{
    (void)wall_us;
    struct session *s = peer_sending_key(p, now);
    if (!s) {
        shake_want(ps, p, now);
        return shake_may_start(ps) && !p->barred ? -ENOTCONN : -EHOSTUNREACH;
    }
    size_t len = 0;
    for (int i = 0; i < n; i++)
        len += v[i].iov_len;
    if (len > p->mtu)
        return -EMSGSIZE;
    if (cap < PEER_SEAL_OVERHEAD + peer_via_len(p) + len)
        return -ENOSPC;

    size_t total = DATA_HEADER_LEN;
    if (p->n_via)
        total = put_header(p, &s->remote, PROTO_SEALED, out);
    else
        memcpy(out, s->header, DATA_HEADER_LEN);
    if (s->plain && !inner_is(v[0].iov_base, v[0].iov_len)) {
        out[DATA_PROTO_AT] = PROTO_PLAIN;
        total += plain_body(s, v, n, out + total);
    } else {
        total += seal_body(s, v, n, out + total);
    }
    p->bytes_out += len;
    note_sent(ps, p, s, now);
    watch_silence(ps, p, now);
    if (way_sent(ps, p, now, len))
        peer_arm(ps, p, way_deadline(p));
    if (p->next)
        want_response(ps, p);
    return (ssize_t)total;
}

bool peer_routed_out(struct peers *ps, struct peer *p, mono_t now, size_t len)
{
    const struct session *s = peer_sending_key(p, now);
    if (!s) {
        shake_want(ps, p, now);
        return false;
    }
    p->bytes_out += len;
    note_sent(ps, p, s, now);
    watch_silence(ps, p, now);
    if (p->next)
        want_response(ps, p);
    return true;
}

void peer_open(struct peers *ps, struct peer *p, mono_t now, uint64_t wall_us)
{
    (void)wall_us;
    if (p->barred)
        peer_tell(ps, p, PEER_UNREACHABLE, EHOSTUNREACH);
    if (peer_sending_key(p, now) || p->shake || p->barred || !shake_may_start(ps))
        return;
    p->wanted = true;
    p->start = now;
    if (p->last_start.us != MONO_NEVER.us && mono_since(p->last_start, now) < HANDSHAKE_REPEAT)
        p->start = mono_add(p->last_start, HANDSHAKE_REPEAT);
    peer_arm(ps, p, p->start);
}

void peer_open_anew(struct peers *ps, struct peer *p, mono_t now)
{
    if (!p->shake && shake_may_start(ps))
        shake_want(ps, p, now);
}

/* ---- receiving ---- */

void peer_heard(struct peer *p, mono_t now)
{
    if (p->unanswered.us != MONO_NEVER.us && mono_since(p->unanswered, now) < QUICK_ANSWER)
        p->patience = PATIENCE_MIN;
    p->unanswered = p->probed = MONO_NEVER;
    p->suspect = false;
    p->last_received = now;
}

/* What has come asks for an answer, if only an empty one. */
static void note_received(struct peers *ps, struct peer *p, mono_t now, size_t len)
{
    p->bytes_in += len;
    if (p->keepalive.us == MONO_NEVER.us) {
        p->keepalive = mono_add(now, KEEPALIVE);
        peer_arm(ps, p, p->keepalive);
    }
}

static void note_life(struct peers *ps, struct peer *p, mono_t now)
{
    if (p->doubts && p->unanswered.us != MONO_NEVER.us && !p->has_event)
        peer_tell(ps, p, PEER_BACK, 0);
    peer_heard(p, now);
    p->packets_in++;
}

void peer_routed_in(struct peers *ps, struct peer *p, mono_t now, size_t len)
{
    note_life(ps, p, now);
    note_received(ps, p, now, len);
}

static void promote_next(struct peers *ps, struct peer *p, mono_t now)
{
    session_free(&ps->sessions, p->previous);
    p->previous = p->current;
    p->current = p->next;
    p->next = NULL;
    shake_confirmed(ps, p, now);
}

/* Decrypts in place, or checks the tag: where the text is, NULL when it is forged. */
static uint8_t *open_body(struct session *s, uint64_t counter, enum wire_proto proto, uint8_t *p, size_t len)
{
    if (proto == PROTO_SEALED)
        return seal_decrypt(s->rx, counter, NULL, 0, p, len) ? NULL : p;
    uint8_t *text = p + SEAL_TAG_LEN, ad[PLAIN_AD];
    len -= SEAL_TAG_LEN;
    if (!s->plain || inner_is(text, len))
        return NULL;
    return seal_decrypt(s->rx, counter, ad, plain_ad(ad, text, len), p, SEAL_TAG_LEN) ? NULL : text;
}

static enum peer_verdict input_sealed(struct peers *ps, mono_t now, const struct addr *from, const struct wire_data *d,
    struct outbox *out, struct peer **who, uint8_t **plain, size_t *plain_len)
{
    struct session *s =
        d->n == 1 && d->payload_len >= SEALED_MIN_LEN ? session_find(&ps->sessions, d->ids) : NULL;
    if (!s || !session_may_receive(s, now))
        return PEER_DROP;
    struct peer *p = s->peer;
    struct reader r = reader_of(d->payload, 8);
    uint64_t counter = get_u64(&r);
    if (!replay_is_new(&s->replay, counter)) {
        p->replays++;
        return PEER_DROP;
    }
    size_t len = d->payload_len - 8;
    uint8_t *body = open_body(s, counter, d->proto, (uint8_t *)d->payload + 8, len); /* which is writable, see peer.h */
    if (!body) {
        p->forged++;
        return PEER_DROP;
    }
    replay_mark(&s->replay, counter);
    s->heard = true;
    if (s == p->next)
        promote_next(ps, p, now);
    note_life(ps, p, now);
    *who = p;
    len -= SEAL_TAG_LEN;
    bool straight = d->hops == HOPS_DEFAULT && !addr_eq(from, &ps->node); /* no node has lowered it */
    if (straight && p->path && path_heard(p->path, now, &ps->own, &ps->drbg, from))
        way_run(ps, p, now, out);
    if (!len)
        return PEER_CONTROL;
    if (inner_kind(body, len) == INNER_BYE) {
        if (peer_is_group(p) && !bye_decode(body, len))
            member_left(ps, p, now);
        return PEER_CONTROL;
    }
    if (inner_kind(body, len) >= INNER_OTHERS) {
        if (inner_kind(body, len) == INNER_BOX_DATA)
            note_received(ps, p, now, len);
        *plain = body;
        *plain_len = len;
        return PEER_WORD;
    }
    if (inner_is(body, len)) {
        way_input(ps, p, now, straight ? from : NULL, body, len, out);
        return PEER_CONTROL;
    }
    note_received(ps, p, now, len);
    *plain = body;
    *plain_len = len;
    return PEER_PACKET;
}

enum peer_verdict peers_input(struct peers *ps, mono_t now, uint64_t wall_us, const struct addr *from,
    const struct wire_data *d, struct outbox *out, struct peer **who, uint8_t **plain, size_t *plain_len)
{
    (void)wall_us;
    *who = NULL;
    *plain = NULL;
    *plain_len = 0;
    switch (d->proto) {
    case PROTO_HANDSHAKE_INIT:
        return shake_input_init(ps, now, d, out, who);
    case PROTO_HANDSHAKE_RESPONSE:
        return shake_input_response(ps, now, d, out, who);
    case PROTO_COOKIE:
        return shake_input_cookie(ps, now, d, who);
    case PROTO_SEALED:
    case PROTO_PLAIN:
        return input_sealed(ps, now, from, d, out, who, plain, plain_len);
    }
    return PEER_DROP;
}

/* Whom we have asked with those bytes; who is not there may be somebody on the way. */
static struct peer *asked_with(const struct peers *ps, const struct wire_not_present *np)
{
    struct peer *p;
    HASH_FIND(by_id, ps->by_id, &np->id, ID_PREFIX_LEN, p);
    if (p && p->shake && !memcmp(p->shake->init, np->echo, NOT_PRESENT_ECHO))
        return p;
    for (p = ps->vias ? ps->by_key : NULL; p; p = p->by_key.next)
        if (p->n_via && p->shake && !memcmp(p->shake->init, np->echo, NOT_PRESENT_ECHO))
            return p;
    return NULL;
}

/* A hint, believed only when it repeats bytes of ours: then whoever forges it sees our packets anyway. */
void peers_not_present(struct peers *ps, mono_t now, uint64_t wall_us, const struct wire_not_present *np)
{
    (void)wall_us;
    if (np->echo_len != NOT_PRESENT_ECHO)
        return;
    struct peer *p = asked_with(ps, np);
    if (p) {
        shake_not_present(ps, p, now, np);
        return;
    }
    struct session *s = session_find_remote(&ps->sessions, &np->id);
    if (!s || s != peer_sending_key(s->peer, now))
        return;
    struct reader r = reader_of(np->echo, 8);
    uint64_t counter = get_u64(&r);
    if (counter < s->counter && s->counter - counter <= PEER_REPLAY_WINDOW)
        shake_want(ps, s->peer, now);
}

/* ---- looking in ---- */

void peer_info(const struct peers *ps, const struct peer *p, mono_t now, struct peer_info *out)
{
    const struct session *s = p->current ? p->current : p->next;
    *out = (struct peer_info){
        .public_id = p->public_id,
        .local = p->local,
        .address = p->address,
        .we_are = p->we_are,
        .standing = s != NULL,
        .state = p->barred               ? "dropped"
                 : s                     ? "standing"
                 : p->shake || p->wanted ? "handshake"
                                         : "idle",
        .cipher = s ? s->cipher : 0,
        .plain = s && s->plain,
        .cipher_name = !s ? "none" : s->plain ? "none (headers authenticated)" : cipher_name(s->cipher),
        .mtu = way_mtu(p),
        .recv_buffer = p->recv_buffer,
        .since = s ? s->created : MONO_NEVER,
        .last_received = p->last_received,
        .last_sent = p->last_sent,
        .packets_in = p->packets_in,
        .packets_out = p->packets_out,
        .bytes_in = p->bytes_in,
        .bytes_out = p->bytes_out,
        .replays = p->replays,
        .forged = p->forged,
        .handshakes = p->handshakes,
        .handshake_rtt_us = p->rtt_us,
    };
    way_relayed_why(ps, p, now, out->relayed_why);
    if (p->path && path_address(p->path)) {
        out->shortcut = *path_address(p->path);
        out->shortcut_rtt_us = p->path->c[p->path->active].rtt_us;
    }
    memcpy(out->key, p->key, KEY_LEN);
    memcpy(out->member, p->member, MEMBER_LEN);
}

struct peer *peer_by_remote(const struct peers *ps, const uint8_t prefix[ID_PREFIX_LEN])
{
    for (struct peer *p = ps->by_key; p; p = p->by_key.next) {
        const struct session *s = p->current ? p->current : p->next;
        if (s && !memcmp(s->remote.b, prefix, ID_PREFIX_LEN))
            return p;
    }
    return NULL;
}

struct peer *peer_next(const struct peers *ps, const struct peer *p)
{
    return p ? p->by_key.next : ps->by_key;
}

struct peer_addresses peer_addresses(const struct peer *p)
{
    return (struct peer_addresses){p->local, p->address, p->we_are};
}

uint32_t peers_own_address(const struct peers *ps)
{
    return ps->c.own_address;
}

uint32_t peer_default_address(const struct peers *ps, const struct peer *p)
{
    return id_address(&p->public_id, ps->c.pool, ps->c.pool_bits);
}

const uint8_t *peer_address6(const struct peer *p)
{
    return p->address6;
}
