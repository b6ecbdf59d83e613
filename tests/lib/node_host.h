/* node_host.h - a host in a few lines, to talk to a node under test: it builds packets, remembers what it was
 * told. */
#ifndef I3_TEST_NODE_HOST_H
#define I3_TEST_NODE_HOST_H

#include <stdlib.h>

#include "daemon/i3/proof.h"
#include "daemon/node/node.h"

struct host {
    struct node *node;
    struct addr addr;
    uint8_t priv[KEY_LEN], pub[KEY_LEN];
    struct outbox *out; /* of the last packet */
    uint8_t buf[WIRE_MAX_LEN];
};

static inline void host_init(struct host *h, struct node *node, struct outbox *out, unsigned n)
{
    memset(h, 0, sizeof(*h));
    h->node = node;
    h->out = out;
    h->addr = addr_v4(0xc0000200 + n, (uint16_t)(1000 + n));
    blake2s(h->priv, (struct bytes[]){{"host", 4}, {&n, sizeof(n)}}, 2);
    x25519_public(h->pub, h->priv);
}

/* One packet from this host; what comes of it is in the outbox afterwards, which was emptied before. */
static inline unsigned host_send(struct host *h, mono_t now, const void *p, size_t len)
{
    outbox_clear(h->out);
    if (p != h->buf)
        memcpy(h->buf, p, len);
    node_input(h->node, now, &h->addr, h->buf, len, h->out);
    return h->out->n;
}

/* The only datagram in the outbox if it is for this host and of this kind, or NULL. */
static inline const struct dgram *host_got(const struct host *h, enum wire_kind kind)
{
    const struct dgram *d = &h->out->v[0];
    bool ok = h->out->n == 1 && addr_eq(&d->to, &h->addr) && wire_kind(d->data, d->len) == (unsigned)kind;
    return ok ? d : NULL;
}

/* The reason of the REFUSED in the outbox, 0 if it is something else. */
static inline unsigned host_refused(const struct host *h)
{
    struct wire_refused r;
    const struct dgram *d = host_got(h, WIRE_REFUSED);
    return d && refused_decode(d->data, d->len, &r) == 0 ? r.reason : 0;
}

/* What a trigger needs to be kept; filled by host_insert(). */
struct held {
    struct i3_id id;
    unsigned plen;
    uint8_t flags; /* of the INSERT */
    struct proof_key key;
    uint64_t seq;
    uint8_t prove[1024]; /* as sent */
    size_t prove_len;
};

static inline void held_id(struct held *t, const struct host *h, uint64_t suffix, unsigned plen)
{
    uint8_t s[ID_LEN - ID_PREFIX_LEN] = {0};
    struct writer w = writer_of(s, sizeof(s));
    put_u64(&w, suffix);
    id_of_key(&t->id, h->pub, s);
    t->plen = plen;
}

static inline struct wire_insert held_insert(const struct held *t, const struct i3_id *ids, unsigned n)
{
    return (struct wire_insert){
        .flags = t->flags, .plen = (uint16_t)t->plen, .n = (uint8_t)n, .id = t->id, .nonce = {7}, .ids = ids ? ids->b : NULL};
}

/* Asks; 0 and the challenge, or -1. */
static inline int host_ask(struct host *h, mono_t now, const struct held *t, const struct i3_id *ids,
    unsigned n, struct wire_challenge *c)
{
    struct wire_insert in = held_insert(t, ids, n);
    memset(c, 0, sizeof(*c));
    host_send(h, now, h->buf, insert_encode(h->buf, sizeof(h->buf), &in));
    const struct dgram *d = host_got(h, WIRE_CHALLENGE);
    return d ? challenge_decode(d->data, d->len, c) : -1;
}

/* Builds t->prove as an answer to c. */
static inline void host_prove(
    const struct host *h, struct held *t, const struct i3_id *ids, unsigned n, const struct wire_challenge *c)
{
    struct wire_prove pr = {.insert = held_insert(t, ids, n), .epoch = c->epoch, .seq = t->seq};
    memcpy(pr.cookie, c->cookie, COOKIE_LEN);
    memcpy(pr.key, h->pub, KEY_LEN);
    if (proof_key_derive(&t->key, h->priv, c->node_key, h->pub, c->node_key))
        abort();
    t->prove_len = prove_encode(t->prove, sizeof(t->prove), &pr);
    proof_mac(t->prove + t->prove_len - MAC_LEN, &t->key, t->prove, t->prove_len - MAC_LEN);
}

/* The seconds of an authentic ACK for t's number in the outbox, or -1. */
static inline int host_acked(const struct host *h, const struct held *t)
{
    struct wire_ack a;
    const struct dgram *d = host_got(h, WIRE_ACK);
    bool ok = d && !ack_decode(d->data, d->len, &a) && proof_check(&t->key, d->data, d->len) &&
              a.seq == t->seq && addr_eq(&a.seen, &h->addr);
    return ok ? a.seconds : -1;
}

/* The whole exchange. The life in seconds, or -1; the reason is in the outbox then. */
static inline int host_insert(struct host *h, mono_t now, struct held *t, const struct i3_id *ids, unsigned n)
{
    struct wire_challenge c;
    t->seq = (now.us + 1) << 41;
    if (host_ask(h, now, t, ids, n, &c))
        return -1;
    host_prove(h, t, ids, n, &c);
    host_send(h, now, t->prove, t->prove_len);
    return host_acked(h, t);
}

static inline size_t held_refresh(const struct held *t, unsigned flags, uint64_t seq, uint8_t p[REFRESH_LEN])
{
    struct wire_refresh r = {.flags = (uint8_t)flags, .plen = (uint16_t)t->plen, .id = t->id, .seq = seq};
    refresh_encode(p, REFRESH_LEN, &r);
    proof_mac(p + REFRESH_LEN - MAC_LEN, &t->key, p, REFRESH_LEN - MAC_LEN);
    return REFRESH_LEN;
}

/* A refresh or removal with the next number; seconds, or -1. */
static inline int host_refresh(struct host *h, mono_t now, struct held *t, unsigned flags)
{
    uint8_t p[REFRESH_LEN];
    t->seq++;
    host_send(h, now, p, held_refresh(t, flags, t->seq, p));
    return host_acked(h, t);
}

/* A DATA packet into p: n ids, and a payload. Its length. */
static inline size_t data_packet(uint8_t *p, size_t cap, unsigned hops, const struct i3_id *ids, unsigned n,
    const void *payload, size_t len)
{
    struct wire_data d = {.hops = (uint8_t)hops, .n = (uint8_t)n, .proto = PROTO_SEALED, .ids = ids->b};
    size_t head = data_header_encode(p, cap, &d);
    memcpy(p + head, payload, len);
    return head + len;
}

static inline unsigned host_data(
    struct host *h, mono_t now, unsigned hops, const struct i3_id *ids, unsigned n, const char *payload)
{
    size_t len = data_packet(h->buf, sizeof(h->buf), hops, ids, n, payload, strlen(payload));
    return host_send(h, now, h->buf, len);
}

#endif
