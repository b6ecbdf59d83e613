/* insert.c - how triggers get into the store, stay there and leave it: INSERT, PROVE, REFRESH (wire.h).
 *
 * INSERT is answered without a trace: the cookie is a MAC over the body of the INSERT and its source, so that
 * the PROVE which repeats both shows that its sender receives at that address and asked for this very target.
 */
#include "daemon/node/inside.h"

#define SEQ_RUN (1ull << 40) /* numbers which one run may use up in two epochs */

/* The body begins after the kind; INSERT and PROVE have the same. */
static void cookie_make(const struct epoch *e, const struct visit *v, unsigned n_ids, uint8_t out[COOKIE_LEN])
{
    uint8_t mac[BLAKE2S_LEN];
    struct bytes pieces[] = {
        {"i3run cookie v1", 15},
        {v->p + 1, INSERT_FIXED_LEN - 1 + (size_t)n_ids * ID_LEN},
        {v->from, sizeof(*v->from)},
    };
    hmac_make(mac, &e->cookie, pieces, 3);
    memcpy(out, mac, COOKIE_LEN);
}

/* For an id of another node: its host learns whose. */
static bool is_elsewhere(struct visit *v, const struct i3_id *id, uint64_t nonce)
{
    if (!v->looking)
        return cluster_redirect(v, id, nonce);
    if (!cluster_is_elsewhere(v->node, id))
        return false;
    worker_later(v, NULL);
    return true;
}

static uint64_t nonce_number(const uint8_t nonce[NONCE_LEN])
{
    struct reader r = reader_of(nonce, NONCE_LEN);
    return get_u64(&r);
}

void insert_ask(struct visit *v)
{
    struct node *n = v->node;
    struct wire_insert in;
    if (insert_decode(v->p, v->len, &in)) {
        v->worker->stats.bad++;
        return;
    }
    if (is_elsewhere(v, &in.id, nonce_number(in.nonce)))
        return;
    if (in.n > n->config.stack_max) {
        node_refuse(v, REFUSED_POLICY, nonce_number(in.nonce));
        return;
    }
    struct wire_challenge c = {.epoch = n->epoch.number, .seen = *v->from};
    memcpy(c.nonce, in.nonce, NONCE_LEN);
    memcpy(c.node_key, n->epoch.pub, KEY_LEN);
    cookie_make(&n->epoch, v, in.n, c.cookie);
    uint8_t p[CHALLENGE_LEN];
    node_reply(v, p, challenge_encode(p, sizeof(p), &c));
    v->worker->stats.challenges++;
}

/* An ACK with `seconds` still to live. */
static void acknowledge(struct visit *v, const struct hmac *key, uint64_t seq, uint64_t seconds)
{
    uint8_t p[ACK_LEN];
    struct wire_ack a = {.seconds = (uint16_t)seconds, .seq = seq, .seen = *v->from};
    ack_encode(p, sizeof(p), &a);
    proof_mac_by(a.mac, key, p, ACK_LEN - MAC_LEN);
    node_reply(v, p, ack_encode(p, sizeof(p), &a));
}

/* 0 and the trigger key (h: prepared), an enum refused_reason, or -EBUSY. What is cheap to find out comes first. */
static int prove_check(struct visit *v, const struct wire_prove *pr, struct proof_key *key, struct hmac *h)
{
    struct node *n = v->node;
    uint8_t cookie[COOKIE_LEN];
    const struct epoch *e = node_epoch(n, pr->epoch);
    if (!e)
        return REFUSED_COOKIE;
    cookie_make(e, v, pr->insert.n, cookie);
    if (!crypto_equal(cookie, pr->cookie, COOKIE_LEN))
        return REFUSED_COOKIE;
    if (pr->insert.n > n->config.stack_max)
        return REFUSED_POLICY;
    if (!id_is_of_key(&pr->insert.id, pr->key))
        return REFUSED_PROOF;
    int err = worker_agree(v, e, pr->key, key);
    if (err)
        return err == -EBUSY ? -EBUSY : REFUSED_PROOF;
    hmac_init(h, (struct bytes){key->b, sizeof(key->b)});
    if (!proof_check_by(h, v->p, v->len))
        return REFUSED_PROOF;
    worker_agreed(v, e, pr->key, key);
    return 0;
}

/* A PROVE that comes again, or is replayed, must not set the number back, or old REFRESHes would hold again.
 * Within one run of the host the number only grows from a random start; one that is far from the stored one
 * is of a new run. */
static uint64_t seq_after(const struct trigger *there, const struct proof_key *key, uint64_t seq)
{
    bool same_run = there && crypto_equal(&there->key, key, sizeof(*key)) && there->seq - seq < SEQ_RUN;
    return same_run ? there->seq : seq;
}

static enum refused_reason reason_of(int err)
{
    return err == -ENOSPC ? REFUSED_FULL : REFUSED_POLICY;
}

/* The host has moved: nobody is to send to where it was. */
static void replace_others(struct visit *v, const struct i3_id *id, unsigned plen)
{
    struct trigger *t;
    while ((t = store_other(v->node->store, id, plen, v->from, INSERT_ALONE))) {
        cluster_copy(v, t, 0);
        store_remove(v->node->store, t);
    }
}

static void prove_take(struct visit *v, const struct wire_prove *pr, const struct proof_key *key, const struct hmac *h)
{
    struct node *n = v->node;
    const struct i3_id *id = &pr->insert.id;
    const struct trigger *there = store_find(n->store, id, pr->insert.plen, v->from);
    struct store_item item = {
        .id = id,
        .plen = pr->insert.plen,
        .owner = v->from,
        .flags = pr->insert.flags,
        .n = pr->insert.n,
        .ids = pr->insert.ids,
        .key = key,
        .seq = seq_after(there, key, pr->seq),
    };
    if (item.flags & INSERT_ALONE)
        replace_others(v, id, pr->insert.plen);
    int err = store_put(n->store, v->now, &item);
    if (err) {
        node_refuse(v, reason_of(err), pr->seq);
        return;
    }
    v->worker->stats.inserts++;
    acknowledge(v, h, pr->seq, n->config.lifetime_s);
    cluster_copy(v, store_find(n->store, id, pr->insert.plen, v->from), n->config.lifetime_s);
}

void insert_prove(struct visit *v)
{
    struct wire_prove pr;
    struct proof_key key;
    struct hmac h;
    if (prove_decode(v->p, v->len, &pr)) {
        v->worker->stats.bad++;
        return;
    }
    if (is_elsewhere(v, &pr.insert.id, pr.seq))
        return;
    int why = 0;
    if (v->proven) {
        key = *v->proven;
        hmac_init(&h, (struct bytes){key.b, sizeof(key.b)});
    } else {
        why = prove_check(v, &pr, &key, &h);
    }
    if (why > 0)
        node_refuse(v, (enum refused_reason)why, pr.seq);
    else if (!why && v->looking)
        worker_later(v, &key);
    else if (!why)
        prove_take(v, &pr, &key, &h);
    crypto_wipe(&key, sizeof(key));
    crypto_wipe(&h, sizeof(h));
}

/* The mac is right. */
static void refresh_take(struct visit *v, const struct wire_refresh *rf, struct trigger *t, const struct hmac *key)
{
    struct node *n = v->node;
    bool again = rf->seq == t->seq && !(rf->flags & REFRESH_REMOVE);
    if (again) {
        /* our ACK was lost, or somebody replays: say it again, but lengthen no life */
        acknowledge(v, key, rf->seq, mono_since(v->now, t->expiry) / USEC_PER_SEC);
        return;
    }
    if (rf->seq <= t->seq) {
        v->worker->stats.bad++;
        return;
    }
    t->seq = rf->seq;
    if (rf->flags & REFRESH_REMOVE) {
        v->worker->stats.removals++;
        acknowledge(v, key, rf->seq, 0);
        cluster_copy(v, t, 0);
        store_remove(n->store, t);
    } else {
        v->worker->stats.refreshes++;
        store_renew(n->store, v->now, t);
        acknowledge(v, key, rf->seq, n->config.lifetime_s);
        cluster_copy(v, t, n->config.lifetime_s);
    }
}

void insert_refresh(struct visit *v)
{
    struct wire_refresh rf;
    struct hmac key;
    if (refresh_decode(v->p, v->len, &rf)) {
        v->worker->stats.bad++;
        return;
    }
    if (is_elsewhere(v, &rf.id, rf.seq))
        return;
    struct trigger *t = store_find(v->node->store, &rf.id, rf.plen, v->from);
    if (!t || t->flags & TRIGGER_COPY) {
        node_refuse(v, REFUSED_UNKNOWN, rf.seq);
        return;
    }
    hmac_init(&key, (struct bytes){t->key.b, sizeof(t->key.b)});
    bool right = v->proven ? crypto_equal(v->proven, &t->key, sizeof(t->key)) : proof_check_by(&key, v->p, v->len);
    if (!right)
        node_refuse(v, REFUSED_PROOF, rf.seq);
    else if (v->looking)
        worker_later(v, &t->key);
    else
        refresh_take(v, &rf, t, &key);
    crypto_wipe(&key, sizeof(key));
}
