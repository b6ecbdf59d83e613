/* Triggers against a node that answers what it likes: the input is a list of steps, each a byte that says what and what it
 * needs. Answers may be made to fit what was asked, since chance alone would never get past the nonces and macs. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/i3/trigger.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    bool done;
    uint8_t priv[KEY_LEN], pub[KEY_LEN], node_priv[KEY_LEN], node_pub[KEY_LEN];
    struct proof_key key;
    struct addr node;
} fixed;

enum { IDS = 4 };

struct world {
    struct triggers *t;
    struct outbox *out;
    mono_t now;
    uint8_t nonce[NONCE_LEN]; /* last asked with */
    uint64_t seq;             /* last sent */
    bool batched;
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

static void fixed_init(void)
{
    memset(fixed.priv, 1, KEY_LEN);
    memset(fixed.node_priv, 2, KEY_LEN);
    x25519_public(fixed.pub, fixed.priv);
    x25519_public(fixed.node_pub, fixed.node_priv);
    require(proof_key_derive(&fixed.key, fixed.priv, fixed.node_pub, fixed.pub, fixed.node_pub) == 0);
    fixed.node = addr_v4(0x7f000001, 5610);
    fixed.done = true;
}

static struct i3_id id_at(unsigned n)
{
    struct i3_id id;
    uint8_t suffix[16] = {(uint8_t)(n % IDS)};
    id_of_key(&id, fixed.pub, suffix);
    return id;
}

static void see_refresh(struct world *w, const uint8_t *p, size_t len)
{
    struct wire_refresh rf;
    require(refresh_decode(p, len, &rf) == 0 && proof_check(&fixed.key, p, len));
    w->seq = rf.seq;
}

static void see(struct world *w)
{
    for (unsigned i = 0; i < w->out->n; i++) {
        const struct dgram *d = &w->out->v[i];
        struct wire_insert in;
        struct wire_prove pr;
        struct wire_batch b;
        if (insert_decode(d->data, d->len, &in) == 0) {
            memcpy(w->nonce, in.nonce, NONCE_LEN);
        } else if (prove_decode(d->data, d->len, &pr) == 0) {
            require(proof_check(&fixed.key, d->data, d->len));
            w->seq = pr.seq;
        } else if (batch_decode(d->data, d->len, &b) == 0) {
            size_t n;
            for (const uint8_t *p; (p = batch_next(&b.packets, &n));)
                see_refresh(w, p, n);
        } else {
            see_refresh(w, d->data, d->len);
        }
    }
    outbox_clear(w->out);
}

static void step_output(struct world *w, struct reader *r)
{
    (void)r;
    for (unsigned i = 0; mono_due(triggers_deadline(w->t), w->now); i++) {
        require(i < 8);
        triggers_output(w->t, w->now, w->out);
        see(w);
    }
}

/* As it is, or twice in a BATCH. */
static int give(struct world *w, const uint8_t *p, size_t len)
{
    uint8_t *copy = malloc(BATCH_HEADER_LEN + 2 * (2 + len));
    if (len)
        memcpy(copy, p, len);
    if (len && w->batched) {
        struct writer b = batch_begin(copy, BATCH_HEADER_LEN + 2 * (2 + len));
        batch_add(&b, p, len);
        batch_add(&b, p, len);
        len = writer_len(&b);
    }
    int err = triggers_input(w->t, w->now, &fixed.node, copy, len);
    free(copy);
    return err;
}

static void step_raw(struct world *w, struct reader *r)
{
    size_t len = get_u8(r);
    len = len < reader_left(r) ? len : reader_left(r);
    const uint8_t *p = get_span(r, len);
    if (p)
        give(w, p, len);
}

static void step_challenge(struct world *w, struct reader *r)
{
    uint8_t p[CHALLENGE_LEN];
    struct wire_challenge c = {.epoch = get_u8(r), .seen = addr_v4(0x01020300 + get_u8(r), 7)};
    memcpy(c.nonce, w->nonce, NONCE_LEN);
    memcpy(c.node_key, fixed.node_pub, KEY_LEN);
    c.nonce[7] ^= get_u8(r) & 3; /* another trigger's */
    give(w, p, challenge_encode(p, sizeof(p), &c));
}

static void step_ack(struct world *w, struct reader *r)
{
    uint8_t p[ACK_LEN];
    struct wire_ack a = {
        .seconds = get_u16(r), .seq = w->seq ^ (get_u8(r) & 3), .seen = addr_v4(0x01020300 + get_u8(r), 7)};
    size_t len = ack_encode(p, sizeof(p), &a);
    proof_mac(p + len - MAC_LEN, &fixed.key, p, len - MAC_LEN);
    p[len - 1] ^= get_u8(r) & 1;
    give(w, p, len);
}

static void step_refused(struct world *w, struct reader *r)
{
    uint8_t p[REFUSED_LEN];
    struct reader n = reader_of(w->nonce, NONCE_LEN);
    struct wire_refused f = {get_u8(r), get_u8(r) & 1 ? get_u64(&n) : w->seq};
    give(w, p, refused_encode(p, sizeof(p), &f));
}

static void step_time(struct world *w, struct reader *r)
{
    w->now = mono_add(w->now, (uint64_t)get_u16(r) * 1000);
}

static void step_table(struct world *w, struct reader *r)
{
    uint8_t n = get_u8(r);
    struct i3_id id = id_at(n);
    struct addr other = addr_v4(0x7f000001, 5611);
    switch (n >> 2 & 7) {
    case 0:
        trigger_remove(w->t, w->now, &id, 256, w->out);
        see(w);
        break;
    case 1:
        triggers_restart(w->t, w->now);
        break;
    case 2:
        triggers_set_node(w->t, w->now, &other);
        triggers_set_node(w->t, w->now, &fixed.node);
        break;
    default:
        trigger_add(w->t, w->now, &id, 256, fixed.priv, fixed.pub, NULL, 0, 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const step[])(struct world *, struct reader *) = {
        step_output, step_challenge, step_ack, step_refused, step_time, step_raw, step_table, step_output};
    static struct outbox out;
    struct reader r = reader_of(data, size);
    if (!fixed.done)
        fixed_init();
    uint8_t seed[32] = {1};
    struct world w = {.t = triggers_new(seed), .out = &out, .now = {USEC_PER_SEC}};
    outbox_clear(&out);
    triggers_set_node(w.t, w.now, &fixed.node);
    for (unsigned i = 0; i < 2; i++) {
        struct i3_id id = id_at(i);
        require(trigger_add(w.t, w.now, &id, 256, fixed.priv, fixed.pub, NULL, 0, 0) == 0);
    }
    for (unsigned i = 0; i < 64 && reader_left(&r); i++) {
        uint8_t what = get_u8(&r);
        w.batched = what & 0x80;
        step[what % ARRAY_LEN(step)](&w, &r);
        struct trigger_info info;
        for (unsigned k = 0; triggers_info(w.t, k, &info); k++)
            require(info.state < TRIGGER_STATES && k < IDS);
    }
    triggers_remove_all(w.t, w.now, &out);
    triggers_free(w.t);
    return 0;
}
