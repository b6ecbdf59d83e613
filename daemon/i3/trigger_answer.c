/* trigger_answer.c - what a node's answers do to a trigger. */
#include "daemon/i3/trigger_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum {
    OWNERS_MAX = 6, /* from one node to the next before it is tried again later */
    LIFE_MIN_S = 2, /* a shorter life is taken as this: a node must not make us spin */
};

static void note_answer(struct triggers *ts, mono_t now, const struct addr *seen)
{
    ts->last_answer = now;
    if (seen)
        ts->seen = *seen;
}

static void note_rtt(struct trigger *t, mono_t now)
{
    uint64_t us = mono_since(t->sent, now);
    t->rtt_us = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static int input_challenge(struct triggers *ts, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    struct wire_challenge c;
    if (challenge_decode(p, len, &c))
        return -EPROTO;
    struct reader r = reader_of(c.nonce, sizeof(c.nonce));
    uint64_t nonce = get_u64(&r);
    struct trigger *t = trigger_by_token(ts, nonce);
    if (!t || t->state != TRIGGER_ASKED || t->nonce != nonce || !addr_eq(from, trigger_node(ts, t)))
        return -EPROTO;
    if (proof_key_derive(&t->key, t->priv, c.node_key, t->pub, c.node_key))
        return -EPROTO;
    if (t->tries == 1)
        note_rtt(t, now);
    c.seen.via = from->via;
    note_answer(ts, now, &c.seen);
    t->challenge = c;
    t->seq = t->round_seq = trigger_token(ts, t);
    t->tries = 0;
    trigger_set_state(ts, t, TRIGGER_PROVEN, now);
    return 0;
}

static int input_ack(struct triggers *ts, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    struct wire_ack a;
    if (ack_decode(p, len, &a))
        return -EPROTO;
    if (trigger_left(ts, from, a.seq))
        return 0;
    struct trigger *t = trigger_by_token(ts, a.seq);
    if (!t || (t->state != TRIGGER_PROVEN && t->state != TRIGGER_REFRESHING) || !t->tries || !addr_eq(from, trigger_node(ts, t)))
        return -EPROTO;
    /* any of this round will do: what stands stands */
    if (a.seq < t->round_seq || a.seq > t->seq || !proof_check(&t->key, p, len))
        return -EPROTO;

    a.seen.via = from->via;
    if (t->state == TRIGGER_REFRESHING)
        t->refreshes++;
    if (t->tries == 1)
        note_rtt(t, now);
    note_answer(ts, now, &a.seen);
    t->last_refusal = 0;
    t->penalty = 0;
    t->owners = 0;
    uint64_t life = (a.seconds > LIFE_MIN_S ? a.seconds : LIFE_MIN_S) * USEC_PER_SEC;
    t->expiry = mono_add(t->round_start, life);
    trigger_set_state(ts, t, TRIGGER_STANDING, mono_add(now, drbg_around(&ts->drbg, life >> (1 + ts->hurry), ts->private ? 2 : 10)));
    trigger_seen(ts, now, t, from, &a.seen);
    return 0;
}

/* The first stale cookie or lost trigger is mended at once; whoever refuses again is asked ever more slowly. */
static void refused(struct triggers *ts, struct trigger *t, mono_t now, uint8_t reason)
{
    bool harmless = reason == REFUSED_COOKIE || reason == REFUSED_UNKNOWN;
    bool again = t->last_refusal != 0;
    t->last_refusal = reason;
    t->expiry = now;
    if (harmless && !again) {
        trigger_set_state(ts, t, TRIGGER_WANTED, now);
        return;
    }
    t->penalty = trigger_next_pause(t->penalty);
    trigger_set_state(ts, t, TRIGGER_WANTED, mono_add(now, trigger_jittered(ts, t->penalty)));
}

/* The trigger about which this node was asked with that token, if it was and is to be answered; or NULL. */
static struct trigger *asked_with(struct triggers *ts, const struct addr *from, uint64_t token)
{
    struct trigger *t = trigger_by_token(ts, token);
    if (!t || !t->tries || !addr_eq(from, trigger_node(ts, t)))
        return NULL;
    bool ours = false;
    switch (t->state) {
    case TRIGGER_WANTED:
    case TRIGGER_STANDING:
        break;
    case TRIGGER_ASKED:
        ours = token == t->nonce;
        break;
    case TRIGGER_PROVEN:
        ours = token == t->nonce || token == t->seq;
        break;
    case TRIGGER_REFRESHING:
        ours = token >= t->round_seq && token <= t->seq;
        break;
    case TRIGGER_STATES:
        abort();
    }
    return ours ? t : NULL;
}

/* The trigger which stands there, as only its node can know; or NULL. */
static struct trigger *standing_with(struct triggers *ts, const struct addr *from, uint64_t token)
{
    struct trigger *t = trigger_by_token(ts, token);
    return t && t->state == TRIGGER_STANDING && t->seq == token && addr_eq(from, trigger_node(ts, t)) ? t : NULL;
}

/* Another node owns the id, or does from now on: it is inserted there. */
static int input_owner(struct triggers *ts, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    struct wire_owner o;
    if (owner_decode(p, len, &o))
        return -EPROTO;
    struct trigger *t = asked_with(ts, from, o.nonce);
    if (!t)
        t = standing_with(ts, from, o.nonce);
    if (!t || memcmp(t->id.b, o.prefix, ID_PREFIX_LEN))
        return -EPROTO;
    note_answer(ts, now, NULL);
    if (++t->owners > OWNERS_MAX || o.flags & OWNER_SELF) { /* the ring is changing */
        t->owners = 0;
        t->owner.family = 0;
        t->penalty = trigger_next_pause(t->penalty);
        trigger_set_state(ts, t, TRIGGER_WANTED, mono_add(now, trigger_jittered(ts, t->penalty)));
        return 0;
    }
    t->owner = addr_by(&o.owner, from->via); /* who is asked by TCP names somebody to be asked by TCP */
    trigger_set_state(ts, t, TRIGGER_WANTED, now);
    return 0;
}

static int input_refused(struct triggers *ts, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    struct wire_refused f;
    if (refused_decode(p, len, &f))
        return -EPROTO;
    if (trigger_left(ts, from, f.seq))
        return 0;
    struct trigger *t = asked_with(ts, from, f.seq);
    if (!t)
        return -EPROTO;
    char id[ID_STR];
    bool was_standing = t->state == TRIGGER_REFRESHING;
    if (!ts->private)
        log_info("trigger id=%s refused reason=%u", id_short(&t->id, id), f.reason);
    note_answer(ts, now, NULL);
    refused(ts, t, now, f.reason);
    if (was_standing && f.reason == REFUSED_UNKNOWN)
        triggers_suspect(ts, now, NULL);
    return 0;
}

/* What answered together. */
static int input_batch(struct triggers *ts, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    struct wire_batch b;
    int err = -EPROTO;
    if (batch_decode(p, len, &b))
        return err;
    for (size_t n; (p = batch_next(&b.packets, &n));)
        if (triggers_input(ts, now, from, p, n) == 0)
            err = 0;
    return err;
}

int triggers_input(struct triggers *ts, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    static int (*const on_kind[16])(struct triggers *, mono_t, const struct addr *, const uint8_t *, size_t) = {
        [WIRE_OWNER] = input_owner,
        [WIRE_CHALLENGE] = input_challenge,
        [WIRE_ACK] = input_ack,
        [WIRE_REFUSED] = input_refused,
        [WIRE_BATCH] = input_batch,
        [WIRE_PONG] = trigger_input_pong,
    };
    unsigned kind = wire_kind(p, len);
    return on_kind[kind] && ts->node.family ? on_kind[kind](ts, now, from, p, len) : -EPROTO;
}
