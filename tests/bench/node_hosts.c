#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/node_load.h"

enum { STALL_MS = 100, STALLS_MAX = 50 };
enum state { NEW, ASKED, PROVEN, STANDING };

/* ---- keys ---- */

static void ask(struct hosts *s, unsigned i)
{
    struct item *t = &s->item[i];
    size_t *len;
    uint8_t *p = hub_put(s->hub, t->ip, &len);
    struct wire_insert in = {.plen = 256, .id = t->id};
    struct writer w = writer_of(in.nonce, NONCE_LEN);
    put_u64(&w, i);
    *len = insert_encode(p, ROOM, &in);
    t->state = ASKED;
}

static void agree(struct hosts *s, unsigned k)
{
    if (proof_key_derive(&s->key[k], s->priv[k], s->node_key, s->pub[k], s->node_key))
        abort();
}

/* The node's key is in every CHALLENGE. */
static void learn_node_key(struct hosts *s)
{
    struct wire_challenge c;
    for (int i = 0; i < STALLS_MAX; i++) {
        ask(s, 0);
        hub_flush(s->hub);
        if (hub_get(s->hub, STALL_MS) && challenge_decode(s->hub->in[0], s->hub->in_len[0], &c) == 0) {
            memcpy(s->node_key, c.node_key, KEY_LEN);
            return;
        }
    }
    die("no CHALLENGE");
}

void hosts_open(struct hosts *s, struct hub *hub, unsigned n, unsigned per_key, unsigned sources)
{
    *s = (struct hosts){.hub = hub, .n = n, .per_key = per_key, .keys = (n + per_key - 1) / per_key};
    s->item = calloc(n, sizeof(*s->item));
    s->key = calloc(s->keys, sizeof(*s->key));
    s->priv = calloc(s->keys, sizeof(*s->priv));
    s->pub = calloc(s->keys, sizeof(*s->pub));
    if (!s->item || !s->key || !s->priv || !s->pub)
        die("memory");
    for (unsigned k = 0; k < s->keys; k++) {
        double now = seconds();
        blake2s(s->priv[k], (struct bytes[]){{&now, sizeof(now)}, {&k, sizeof(k)}}, 2);
        x25519_public(s->pub[k], s->priv[k]);
    }
    for (unsigned i = 0; i < n; i++) {
        uint8_t suffix[ID_LEN - ID_PREFIX_LEN] = {0};
        struct writer w = writer_of(suffix, sizeof(suffix));
        put_u32(&w, i * 2654435761u);
        id_of_key(&s->item[i].id, s->pub[i / per_key], suffix);
        s->item[i].ip = host_ip(i % sources);
    }
    learn_node_key(s);
    for (unsigned k = 0; k < s->keys; k++)
        agree(s, k);
}

/* ---- insertion ---- */

/* The number tells whose answer it is. */
static uint64_t seq_of(unsigned i, unsigned turn)
{
    return 1ull << 62 | (uint64_t)i << 24 | turn;
}

static unsigned index_of(uint64_t seq)
{
    return (unsigned)(seq >> 24 & 0xffffffff);
}

static void prove(struct hosts *s, const struct wire_challenge *c, unsigned i)
{
    struct item *t = &s->item[i];
    unsigned k = i / s->per_key;
    size_t *len;
    uint8_t *p = hub_put(s->hub, t->ip, &len);
    if (memcmp(c->node_key, s->node_key, KEY_LEN)) { /* another epoch */
        memcpy(s->node_key, c->node_key, KEY_LEN);
        agree(s, k);
    }
    t->seq = seq_of(i, 0);
    struct wire_prove pr = {.insert = {.plen = 256, .id = t->id}, .epoch = c->epoch, .seq = t->seq};
    memcpy(pr.insert.nonce, c->nonce, NONCE_LEN);
    memcpy(pr.cookie, c->cookie, COOKIE_LEN);
    memcpy(pr.key, s->pub[k], KEY_LEN);
    *len = prove_encode(p, ROOM, &pr);
    proof_mac(p + *len - MAC_LEN, &s->key[k], p, *len - MAC_LEN);
    t->state = PROVEN;
}

/* How many triggers stand since. */
static unsigned on_answer(struct hosts *s, const uint8_t *p, size_t len)
{
    struct wire_challenge c;
    struct wire_ack a;
    struct wire_refused r;
    if (challenge_decode(p, len, &c) == 0) {
        struct reader n = reader_of(c.nonce, NONCE_LEN);
        uint64_t i = get_u64(&n);
        if (i < s->n && s->item[i].state == ASKED)
            prove(s, &c, (unsigned)i);
        return 0;
    }
    unsigned i;
    if (refused_decode(p, len, &r) == 0 && r.reason == REFUSED_UNKNOWN && (i = index_of(r.seq)) < s->n && s->removing) {
        unsigned gone = s->item[i].state != STANDING && s->item[i].seq == r.seq;
        s->item[i].state = STANDING;
        return gone;
    }
    if (refused_decode(p, len, &r) == 0) {
        fprintf(stderr, "node_load: refused, reason %u\n", r.reason);
        exit(1);
    }
    if (ack_decode(p, len, &a))
        return 0;
    i = index_of(a.seq);
    if (i >= s->n || s->item[i].state == STANDING || s->item[i].seq != a.seq)
        return 0;
    s->item[i].state = STANDING;
    return 1;
}

static unsigned on_batch(struct hosts *s, const uint8_t *p, size_t len)
{
    struct wire_batch b;
    unsigned n = 0;
    if (batch_decode(p, len, &b))
        return on_answer(s, p, len);
    while ((p = batch_next(&b.packets, &len)))
        n += on_answer(s, p, len);
    return n;
}

/* Until all stand: send(i) begins with those from i on, and says how many. */
static double all_stand(struct hosts *s, unsigned (*send)(struct hosts *s, unsigned i, unsigned each), unsigned each)
{
    double start = seconds();
    unsigned next = 0, standing = 0, stalls = 0;
    while (standing < s->n) {
        while (next < s->n && next - standing < s->hub->window)
            next += send(s, next, each);
        hub_flush(s->hub);
        unsigned got = hub_get(s->hub, STALL_MS);
        for (unsigned i = 0; i < got; i++)
            standing += on_batch(s, s->hub->in[i], s->hub->in_len[i]);
        if (got)
            continue;
        if (++stalls > STALLS_MAX)
            die("the node does not answer");
        for (unsigned i = 0; i < next; i++)
            if (s->item[i].state != STANDING)
                send(s, i, 1);
    }
    return seconds() - start;
}

static unsigned send_insert(struct hosts *s, unsigned i, unsigned each)
{
    (void)each;
    ask(s, i);
    return 1;
}

double hosts_insert(struct hosts *s)
{
    return all_stand(s, send_insert, 1);
}

/* ---- refreshes ---- */

static void refresh(struct hosts *s, unsigned i, unsigned flags, uint8_t p[REFRESH_LEN])
{
    struct item *t = &s->item[i];
    refresh_encode(p, REFRESH_LEN, &(struct wire_refresh){.flags = (uint8_t)flags, .plen = 256, .id = t->id, .seq = t->seq});
    proof_mac(p + REFRESH_LEN - MAC_LEN, &s->key[i / s->per_key], p, REFRESH_LEN - MAC_LEN);
}

static unsigned send_refresh(struct hosts *s, unsigned i, unsigned each)
{
    size_t *len;
    uint8_t *p = hub_put(s->hub, s->item[i].ip, &len);
    if (each == 1) {
        refresh(s, i, 0, p);
        *len = REFRESH_LEN;
        return 1;
    }
    struct writer w = batch_begin(p, ROOM);
    unsigned n = 0;
    for (; n < each && i + n < s->n && s->item[i + n].ip == s->item[i].ip; n++) {
        uint8_t one[REFRESH_LEN];
        refresh(s, i + n, 0, one);
        batch_add(&w, one, sizeof(one));
    }
    *len = writer_len(&w);
    return n;
}

/* The ACK of a removal may be lost, and there is no second one: REFUSED_UNKNOWN then. */
static unsigned send_removal(struct hosts *s, unsigned i, unsigned each)
{
    size_t *len;
    uint8_t *p = hub_put(s->hub, s->item[i].ip, &len);
    (void)each;
    refresh(s, i, REFRESH_REMOVE, p);
    *len = REFRESH_LEN;
    return 1;
}

static void all_anew(struct hosts *s)
{
    for (unsigned i = 0; i < s->n; i++) {
        s->item[i].seq++;
        s->item[i].state = NEW;
    }
}

double hosts_refresh(struct hosts *s, unsigned each)
{
    all_anew(s);
    return all_stand(s, send_refresh, each);
}

double hosts_remove(struct hosts *s)
{
    all_anew(s);
    s->removing = true;
    double took = all_stand(s, send_removal, 1);
    s->removing = false;
    return took;
}

/* ---- what comes back to a forged source ---- */

static double one_kind(struct hub *hub, const char *what, unsigned kind, const uint8_t *text, size_t len, unsigned times)
{
    size_t sent = 0, back = 0;
    for (unsigned i = 0; i < times; i++) {
        size_t *n;
        uint8_t *p = hub_put(hub, host_ip(1), &n);
        memcpy(p, text, len);
        if (kind)
            p[0] = (uint8_t)(WIRE_VERSION << 4 | kind);
        *n = len;
        sent += len;
    }
    hub_flush(hub);
    for (unsigned got; (got = hub_get(hub, 20));)
        for (unsigned i = 0; i < got; i++)
            back += hub->in_len[i];
    double ratio = (double)back / (double)sent;
    if (back)
        printf("# %-12s kind %2u, %4zu bytes: %.3f back for each\n", what, kind, len, ratio);
    return ratio;
}

double hosts_reflect(struct hub *hub)
{
    static uint8_t p[ROOM];
    static const size_t lengths[] = {1, 5, 12, 36, 37, 44, 48, 60, 80, 100, 116, 120, 200, 600, 1200};
    double most = 0, r;
    struct i3_id id = {{1, 2, 3}};
    /* any bytes of any kind and length */
    for (unsigned kind = 0; kind < 16; kind++)
        for (unsigned i = 0; i < ARRAY_LEN(lengths); i++) {
            memset(p, 0, sizeof(p));
            r = one_kind(hub, "zeros", kind, p, lengths[i], 8);
            most = r > most ? r : most;
        }
    /* the shortest that each kind takes */
    const struct {
        const char *what;
        unsigned kind;
        size_t len;
    } good[] = {
        {"PING", WIRE_PING, ping_encode(p, ROOM, WIRE_PING, (uint8_t[NONCE_LEN]){1})},
        {"INSERT", WIRE_INSERT, INSERT_MIN_LEN},
        {"PROVE", WIRE_PROVE, INSERT_FIXED_LEN + PROVE_TAIL_LEN},
        {"REFRESH", WIRE_REFRESH, REFRESH_LEN},
        {"LOOKUP", WIRE_LOOKUP, OWNER_LEN},
        {"DATA", WIRE_DATA, DATA_HEADER_LEN},
        {"DATA", WIRE_DATA, DATA_HEADER_LEN + NOT_PRESENT_ECHO},
        {"DATA", WIRE_DATA, 1200},
        {"BATCH", WIRE_BATCH, 0},
    };
    for (unsigned i = 0; i < ARRAY_LEN(good); i++) {
        size_t len = good[i].len;
        memset(p, 0, sizeof(p));
        if (good[i].kind == WIRE_DATA) {
            data_header_encode(p, ROOM, &(struct wire_data){.hops = 9, .n = 1, .proto = PROTO_SEALED, .ids = id.b});
        } else if (good[i].kind == WIRE_BATCH) {
            uint8_t one[REFRESH_LEN];
            struct writer w = batch_begin(p, ROOM);
            for (unsigned k = 0; k < 20; k++) {
                refresh_encode(one, sizeof(one), &(struct wire_refresh){.plen = 256, .id = id, .seq = k + 1});
                batch_add(&w, one, sizeof(one));
            }
            len = writer_len(&w);
        }
        r = one_kind(hub, good[i].what, good[i].kind, p, len, 100);
        most = r > most ? r : most;
    }
    return most;
}
