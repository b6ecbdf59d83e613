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
    hmac_blake2s(mac, (struct bytes){e->cookie_secret, sizeof(e->cookie_secret)}, pieces, 3);
    memcpy(out, mac, COOKIE_LEN);
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
        n->stats.bad++;
        return;
    }
    if (cluster_redirect(v, &in.id, nonce_number(in.nonce)))
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
    n->stats.challenges++;
}

/* An ACK with `seconds` still to live. */
static void acknowledge(struct visit *v, const struct proof_key *key, uint64_t seq, uint64_t seconds)
{
    uint8_t p[ACK_LEN];
    struct wire_ack a = {.seconds = (uint16_t)seconds, .seq = seq, .seen = *v->from};
    ack_encode(p, sizeof(p), &a);
    proof_mac(a.mac, key, p, ACK_LEN - MAC_LEN);
    node_reply(v, p, ack_encode(p, sizeof(p), &a));
}

/* 0 and the trigger key, an enum refused_reason, or -EBUSY. What is cheap to find out comes first. */
static int prove_check(struct visit *v, const struct wire_prove *pr, struct proof_key *key)
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
    if (!limit_take(&n->proofs, v->now, store_source_hash(n->store, v->from))) {
        n->stats.rate_limited++;
        return -EBUSY;
    }
    if (proof_key_derive(key, e->priv, pr->key, pr->key, e->pub) || !proof_check(key, v->p, v->len))
        return REFUSED_PROOF;
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

void insert_prove(struct visit *v)
{
    struct node *n = v->node;
    struct wire_prove pr;
    struct proof_key key;
    if (prove_decode(v->p, v->len, &pr)) {
        n->stats.bad++;
        return;
    }
    if (cluster_redirect(v, &pr.insert.id, pr.seq))
        return;
    int why = prove_check(v, &pr, &key);
    if (why > 0)
        node_refuse(v, (enum refused_reason)why, pr.seq);
    if (why)
        return;
    const struct trigger *there = store_find(n->store, &pr.insert.id, pr.insert.plen, v->from);
    struct store_item item = {
        .id = &pr.insert.id,
        .plen = pr.insert.plen,
        .owner = v->from,
        .flags = pr.insert.flags,
        .n = pr.insert.n,
        .ids = pr.insert.ids,
        .key = &key,
        .seq = seq_after(there, &key, pr.seq),
    };
    int err = store_put(n->store, v->now, &item);
    if (err) {
        node_refuse(v, reason_of(err), pr.seq);
    } else {
        n->stats.inserts++;
        acknowledge(v, &key, pr.seq, n->config.lifetime_s);
        cluster_copy(v, store_find(n->store, &pr.insert.id, pr.insert.plen, v->from), n->config.lifetime_s);
    }
    crypto_wipe(&key, sizeof(key));
}

/* The number has grown, and the mac is right. */
static void refresh_take(struct visit *v, const struct wire_refresh *rf, struct trigger *t)
{
    struct node *n = v->node;
    t->seq = rf->seq;
    if (rf->flags & REFRESH_REMOVE) {
        n->stats.removals++;
        acknowledge(v, &t->key, rf->seq, 0);
        cluster_copy(v, t, 0);
        store_remove(n->store, t);
    } else {
        n->stats.refreshes++;
        store_renew(n->store, v->now, t);
        acknowledge(v, &t->key, rf->seq, n->config.lifetime_s);
        cluster_copy(v, t, n->config.lifetime_s);
    }
}

void insert_refresh(struct visit *v)
{
    struct node *n = v->node;
    struct wire_refresh rf;
    if (refresh_decode(v->p, v->len, &rf)) {
        n->stats.bad++;
        return;
    }
    if (cluster_redirect(v, &rf.id, rf.seq))
        return;
    struct trigger *t = store_find(n->store, &rf.id, rf.plen, v->from);
    if (!t || t->flags & TRIGGER_COPY)
        node_refuse(v, REFUSED_UNKNOWN, rf.seq);
    else if (!proof_check(&t->key, v->p, v->len))
        node_refuse(v, REFUSED_PROOF, rf.seq);
    else if (rf.seq > t->seq)
        refresh_take(v, &rf, t);
    else if (rf.seq == t->seq && !(rf.flags & REFRESH_REMOVE))
        /* our ACK was lost, or somebody replays: say it again, but lengthen no life */
        acknowledge(v, &t->key, rf.seq, mono_since(v->now, t->expiry) / USEC_PER_SEC);
    else
        n->stats.bad++;
}
