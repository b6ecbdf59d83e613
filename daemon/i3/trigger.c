#include "daemon/i3/trigger.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/log.h"
#include "daemon/i3/deadline.h"

#define REPEAT_FIRST  (250 * USEC_PER_MSEC)
#define REPEAT_MAX    (4 * USEC_PER_SEC)
#define SUSPECT_PAUSE (5 * USEC_PER_SEC)

enum {
    PROVE_TRIES = 4,
    OWNER_TRIES = 2, /* at an owner which the first node has named; then that one is asked again */
    OWNERS_MAX = 6,  /* from one node to the next before it is tried again later */
    LIFE_MIN_S = 2,                   /* a shorter life is taken as this: a node must not make us spin */
    OUTPUT_MAX = OUTBOX_HEADROOM / 2, /* datagrams pushed per call; the rest stays due */
    SLOT_BITS = 16,
    PACKET_MAX = INSERT_FIXED_LEN + STACK_MAX * ID_LEN + PROVE_TAIL_LEN,
};

static_assert(TRIGGERS_MAX <= 1 << SLOT_BITS, "a slot fits a token");

/* The nonce of an INSERT and the seq of a PROVE or REFRESH are tokens of ours which the answer repeats: the lower
 * SLOT_BITS bits say which trigger it is about, the upper ones are random, or count from a random start. */
struct trigger {
    enum trigger_state state;
    struct deadline due;
    uint16_t slot;

    struct i3_id id;
    uint16_t plen;
    uint8_t flags, n;
    struct i3_id *stack;
    uint8_t priv[KEY_LEN], pub[KEY_LEN];

    uint64_t nonce; /* of the INSERT */
    struct wire_challenge challenge;
    struct proof_key key;     /* from PROVEN on */
    uint64_t seq;             /* last sent */
    uint64_t round_seq;       /* first of this round */
    unsigned tries;           /* sent in this round */
    mono_t round_start, sent; /* first and last of this round */
    uint64_t pause;           /* before the next repetition */
    uint64_t penalty;         /* before it is asked for again after a refusal */

    mono_t expiry;
    struct addr seen;
    struct addr owner; /* the node which keeps it, family 0: the first one */
    unsigned owners;   /* named one after the other */
    uint64_t refreshes, inserts;
    uint32_t rtt_us;
    int last_refusal;
};

struct triggers {
    struct trigger *slot[TRIGGERS_MAX];
    unsigned n, used; /* triggers; slots below `used` may be taken */
    struct deadlines due;
    struct drbg drbg;
    struct addr node, seen;
    struct addr acked_at; /* our address in the last ACK */
    mono_t last_answer, last_suspicion, last_doubt;
};

static const char *const state_name[] = {
    [TRIGGER_WANTED] = "wanted",
    [TRIGGER_ASKED] = "asked",
    [TRIGGER_PROVEN] = "proven",
    [TRIGGER_STANDING] = "standing",
    [TRIGGER_REFRESHING] = "refreshing",
};
static_assert(ARRAY_LEN(state_name) == TRIGGER_STATES, "name all");

static void set_state(struct triggers *ts, struct trigger *t, enum trigger_state state, mono_t due)
{
    if (t->state != state) {
        char id[ID_STR];
        log_debug("trigger id=%s %s -> %s", id_short(&t->id, id), state_name[t->state], state_name[state]);
    }
    t->state = state;
    deadline_set(&ts->due, &t->due, due);
}

/* us +- 10 % */
static uint64_t jittered(struct triggers *ts, uint64_t us)
{
    return us - us / 10 + drbg_u64(&ts->drbg) % (us / 5 + 1);
}

/* 250 ms, doubling to 4 s */
static uint64_t next_pause(uint64_t pause)
{
    if (!pause)
        return REPEAT_FIRST;
    return pause * 2 < REPEAT_MAX ? pause * 2 : REPEAT_MAX;
}

static uint64_t draw_token(struct triggers *ts, const struct trigger *t)
{
    return drbg_u64(&ts->drbg) >> (SLOT_BITS + 1) << SLOT_BITS |
           t->slot; /* a top bit free, so that counting never wraps */
}

static struct trigger *by_token(const struct triggers *ts, uint64_t token)
{
    unsigned slot = token & ((1u << SLOT_BITS) - 1);
    return slot < ts->used ? ts->slot[slot] : NULL;
}

/* ---- sending: what a state does when its deadline comes ---- */

static const struct addr *node_of(const struct triggers *ts, const struct trigger *t)
{
    return t->owner.family ? &t->owner : &ts->node;
}

static void send_packet(struct triggers *ts, const struct trigger *t, struct outbox *out, const uint8_t *p, size_t len)
{
    uint8_t *copy = outbox_alloc(out, len);
    if (!copy)
        return; /* lost, and repeated like any other loss */
    memcpy(copy, p, len);
    outbox_push(out, node_of(ts, t), copy, len);
}

/* Counts a transmission and returns when the next is due. */
static mono_t sent_once(struct triggers *ts, struct trigger *t, mono_t now)
{
    if (t->tries++ == 0) {
        t->round_start = now;
        t->pause = 0;
    }
    t->pause = next_pause(t->pause);
    t->sent = now;
    return mono_add(now, jittered(ts, t->pause));
}

static struct wire_insert insert_of(const struct trigger *t)
{
    struct wire_insert i = {
        .flags = t->flags, .plen = t->plen, .n = t->n, .id = t->id, .ids = t->n ? t->stack[0].b : NULL};
    struct writer w = writer_of(i.nonce, sizeof(i.nonce));
    put_u64(&w, t->nonce);
    return i;
}

static void due_wanted(struct triggers *ts, struct trigger *t, mono_t now, struct outbox *out)
{
    uint8_t p[PACKET_MAX];
    if (t->state == TRIGGER_WANTED) {
        t->nonce = draw_token(ts, t);
        t->tries = 0;
    } else if (t->owner.family && t->tries >= OWNER_TRIES) {
        t->owner.family = 0;
    }
    struct wire_insert i = insert_of(t);
    send_packet(ts, t, out, p, insert_encode(p, sizeof(p), &i));
    set_state(ts, t, TRIGGER_ASKED, sent_once(ts, t, now));
}

static void due_proven(struct triggers *ts, struct trigger *t, mono_t now, struct outbox *out)
{
    uint8_t p[PACKET_MAX];
    if (t->tries == (t->owner.family ? OWNER_TRIES : PROVE_TRIES)) { /* the cookie may have aged, or the node is another one by now */
        t->owner.family = 0;
        set_state(ts, t, TRIGGER_WANTED, now);
        due_wanted(ts, t, now, out);
        return;
    }
    struct wire_prove v = {.insert = insert_of(t), .epoch = t->challenge.epoch, .seq = t->seq};
    memcpy(v.cookie, t->challenge.cookie, sizeof(v.cookie));
    memcpy(v.key, t->pub, sizeof(v.key));
    size_t len = prove_encode(p, sizeof(p), &v);
    proof_mac(p + len - MAC_LEN, &t->key, p, len - MAC_LEN);
    send_packet(ts, t, out, p, len);
    if (t->tries == 0)
        t->inserts++;
    set_state(ts, t, TRIGGER_PROVEN, sent_once(ts, t, now));
}

static void send_refresh(struct triggers *ts, struct trigger *t, unsigned flags, struct outbox *out)
{
    uint8_t p[REFRESH_LEN];
    t->seq += 1u << SLOT_BITS; /* a new one each time: the node takes none twice */
    struct wire_refresh f = {.flags = (uint8_t)flags, .plen = t->plen, .id = t->id, .seq = t->seq};
    size_t len = refresh_encode(p, sizeof(p), &f);
    proof_mac(p + len - MAC_LEN, &t->key, p, len - MAC_LEN);
    send_packet(ts, t, out, p, len);
}

static void due_standing(struct triggers *ts, struct trigger *t, mono_t now, struct outbox *out)
{
    if (t->state == TRIGGER_STANDING)
        t->tries = 0;
    if (t->tries == (t->owner.family ? OWNER_TRIES : TRIGGER_REFRESH_TRIES)) {
        char id[ID_STR];
        t->owner.family = 0;
        log_info("trigger id=%s refresh unanswered, inserting anew", id_short(&t->id, id));
        set_state(ts, t, TRIGGER_WANTED, now);
        due_wanted(ts, t, now, out);
        return;
    }
    send_refresh(ts, t, 0, out);
    if (t->tries == 0)
        t->round_seq = t->seq;
    set_state(ts, t, TRIGGER_REFRESHING, sent_once(ts, t, now));
}

static void (*const on_due[])(struct triggers *, struct trigger *, mono_t, struct outbox *) = {
    [TRIGGER_WANTED] = due_wanted,
    [TRIGGER_ASKED] = due_wanted,
    [TRIGGER_PROVEN] = due_proven,
    [TRIGGER_STANDING] = due_standing,
    [TRIGGER_REFRESHING] = due_standing,
};
static_assert(ARRAY_LEN(on_due) == TRIGGER_STATES, "all have a deadline");

void triggers_output(struct triggers *ts, mono_t now, struct outbox *out)
{
    if (!ts->node.family)
        return;
    for (unsigned i = 0; i < OUTPUT_MAX && mono_due(deadlines_next(&ts->due), now); i++) {
        struct deadline *d = deadlines_first(&ts->due);
        struct trigger *t = (struct trigger *)(void *)((char *)d - offsetof(struct trigger, due));
        on_due[t->state](ts, t, now, out);
    }
}

mono_t triggers_deadline(const struct triggers *ts)
{
    return ts->node.family ? deadlines_next(&ts->due) : MONO_NEVER;
}

/* ---- answers ---- */

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

/* One trigger was lost, or we have moved: the others probably share its fate, so ask now rather than at half of the life.
 * Those which the node saw last at `safe` (or NULL) are well. */
static void suspect_others(struct triggers *ts, mono_t now, const struct addr *safe)
{
    if (ts->last_suspicion.us != MONO_NEVER.us && mono_since(ts->last_suspicion, now) < SUSPECT_PAUSE)
        return;
    ts->last_suspicion = now;
    for (unsigned i = 0; i < ts->used; i++) {
        struct trigger *t = ts->slot[i];
        if (t && t->state == TRIGGER_STANDING && !(safe && addr_eq(&t->seen, safe)))
            set_state(ts, t, TRIGGER_STANDING, now);
    }
}

void triggers_doubt(struct triggers *ts, mono_t now)
{
    if (ts->last_doubt.us != MONO_NEVER.us && mono_since(ts->last_doubt, now) < SUSPECT_PAUSE)
        return;
    ts->last_doubt = now;
    for (unsigned i = 0; i < ts->used; i++) {
        struct trigger *t = ts->slot[i];
        if (t && t->state == TRIGGER_STANDING) {
            set_state(ts, t, TRIGGER_STANDING, now);
            return;
        }
    }
}

static int input_challenge(struct triggers *ts, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    struct wire_challenge c;
    if (challenge_decode(p, len, &c))
        return -EPROTO;
    struct reader r = reader_of(c.nonce, sizeof(c.nonce));
    uint64_t nonce = get_u64(&r);
    struct trigger *t = by_token(ts, nonce);
    if (!t || t->state != TRIGGER_ASKED || t->nonce != nonce || !addr_eq(from, node_of(ts, t)))
        return -EPROTO;
    if (proof_key_derive(&t->key, t->priv, c.node_key, t->pub, c.node_key))
        return -EPROTO;
    if (t->tries == 1)
        note_rtt(t, now);
    note_answer(ts, now, &c.seen);
    t->challenge = c;
    t->seq = t->round_seq = draw_token(ts, t);
    t->tries = 0;
    set_state(ts, t, TRIGGER_PROVEN, now);
    return 0;
}

static int input_ack(struct triggers *ts, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    struct wire_ack a;
    if (ack_decode(p, len, &a))
        return -EPROTO;
    struct trigger *t = by_token(ts, a.seq);
    if (!t || (t->state != TRIGGER_PROVEN && t->state != TRIGGER_REFRESHING) || !t->tries || !addr_eq(from, node_of(ts, t)))
        return -EPROTO;
    /* any of this round will do: what stands stands */
    if (a.seq < t->round_seq || a.seq > t->seq || !proof_check(&t->key, p, len))
        return -EPROTO;

    bool moved = ts->acked_at.family && !addr_eq(&ts->acked_at, &a.seen);
    if (t->state == TRIGGER_REFRESHING)
        t->refreshes++;
    if (t->tries == 1)
        note_rtt(t, now);
    note_answer(ts, now, &a.seen);
    t->seen = ts->acked_at = a.seen;
    t->last_refusal = 0;
    t->penalty = 0;
    t->owners = 0;
    uint64_t life = (a.seconds > LIFE_MIN_S ? a.seconds : LIFE_MIN_S) * USEC_PER_SEC;
    t->expiry = mono_add(t->round_start, life);
    set_state(ts, t, TRIGGER_STANDING, mono_add(now, jittered(ts, life / 2)));
    if (moved)
        suspect_others(ts, now, &a.seen);
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
        set_state(ts, t, TRIGGER_WANTED, now);
        return;
    }
    t->penalty = next_pause(t->penalty);
    set_state(ts, t, TRIGGER_WANTED, mono_add(now, jittered(ts, t->penalty)));
}

/* The trigger about which this node was asked with that token, if it was and is to be answered; or NULL. */
static struct trigger *asked_with(struct triggers *ts, const struct addr *from, uint64_t token)
{
    struct trigger *t = by_token(ts, token);
    if (!t || !t->tries || !addr_eq(from, node_of(ts, t)))
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

/* Another node owns the id: it is inserted there. */
static int input_owner(struct triggers *ts, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    struct wire_owner o;
    if (owner_decode(p, len, &o))
        return -EPROTO;
    struct trigger *t = asked_with(ts, from, o.nonce);
    if (!t || memcmp(t->id.b, o.prefix, ID_PREFIX_LEN))
        return -EPROTO;
    note_answer(ts, now, NULL);
    if (++t->owners > OWNERS_MAX || o.flags & OWNER_SELF) { /* the ring is changing */
        t->owners = 0;
        t->owner.family = 0;
        t->penalty = next_pause(t->penalty);
        set_state(ts, t, TRIGGER_WANTED, mono_add(now, jittered(ts, t->penalty)));
        return 0;
    }
    t->owner = o.owner;
    set_state(ts, t, TRIGGER_WANTED, now);
    return 0;
}

static int input_refused(struct triggers *ts, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    struct wire_refused f;
    if (refused_decode(p, len, &f))
        return -EPROTO;
    struct trigger *t = asked_with(ts, from, f.seq);
    if (!t)
        return -EPROTO;
    char id[ID_STR];
    bool was_standing = t->state == TRIGGER_REFRESHING;
    log_info("trigger id=%s refused reason=%u", id_short(&t->id, id), f.reason);
    note_answer(ts, now, NULL);
    refused(ts, t, now, f.reason);
    if (was_standing && f.reason == REFUSED_UNKNOWN)
        suspect_others(ts, now, NULL);
    return 0;
}

int triggers_input(struct triggers *ts, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    static int (*const on_kind[16])(struct triggers *, mono_t, const struct addr *, const uint8_t *, size_t) = {
        [WIRE_OWNER] = input_owner,
        [WIRE_CHALLENGE] = input_challenge,
        [WIRE_ACK] = input_ack,
        [WIRE_REFUSED] = input_refused,
    };
    unsigned kind = wire_kind(p, len);
    return on_kind[kind] && ts->node.family ? on_kind[kind](ts, now, from, p, len) : -EPROTO;
}

/* ---- the table ---- */

struct triggers *triggers_new(const uint8_t seed[BLAKE2S_LEN])
{
    struct triggers *ts = calloc(1, sizeof(*ts));
    if (!ts)
        return NULL;
    drbg_init(&ts->drbg, seed);
    ts->last_answer = ts->last_suspicion = ts->last_doubt = MONO_NEVER;
    return ts;
}

static void trigger_free(struct triggers *ts, struct trigger *t)
{
    ts->slot[t->slot] = NULL;
    ts->n--;
    deadline_set(&ts->due, &t->due, MONO_NEVER);
    free(t->stack);
    crypto_wipe(t, sizeof(*t));
    free(t);
}

void triggers_free(struct triggers *ts)
{
    if (!ts)
        return;
    for (unsigned i = 0; i < ts->used; i++)
        if (ts->slot[i])
            trigger_free(ts, ts->slot[i]);
    deadlines_fini(&ts->due);
    crypto_wipe(ts, sizeof(*ts));
    free(ts);
}

static struct trigger *trigger_find(const struct triggers *ts, const struct i3_id *id, unsigned plen)
{
    for (unsigned i = 0; i < ts->used; i++) {
        struct trigger *t = ts->slot[i];
        if (t && t->plen == plen && memcmp(&t->id, id, sizeof(*id)) == 0)
            return t;
    }
    return NULL;
}

static int take_slot(struct triggers *ts, struct trigger *t)
{
    if (ts->n == TRIGGERS_MAX)
        return -ENOSPC;
    if (deadlines_reserve(&ts->due, ts->n + 1))
        return -ENOMEM;
    unsigned i = 0;
    while (ts->slot[i])
        i++;
    ts->slot[i] = t;
    t->slot = (uint16_t)i;
    ts->n++;
    if (i == ts->used)
        ts->used++;
    return 0;
}

int trigger_add(struct triggers *ts, mono_t now, const struct i3_id *id, unsigned plen,
    const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN], const struct i3_id *stack, unsigned n,
    unsigned flags)
{
    if (plen < 128 || plen > 256 || n > STACK_MAX || flags & ~(unsigned)INSERT_FLAGS ||
        !id_is_of_key(id, pub))
        return -EINVAL;
    if (trigger_find(ts, id, plen))
        return -EEXIST;
    struct trigger *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    int err = -ENOMEM;
    if (n && !(t->stack = malloc(n * sizeof(*stack))))
        goto err_trigger;
    err = take_slot(ts, t);
    if (err)
        goto err_stack;

    t->id = *id;
    t->plen = (uint16_t)plen;
    t->flags = (uint8_t)flags;
    t->n = (uint8_t)n;
    if (n)
        memcpy(t->stack, stack, n * sizeof(*stack));
    memcpy(t->priv, priv, KEY_LEN);
    memcpy(t->pub, pub, KEY_LEN);
    t->expiry = now;
    set_state(ts, t, TRIGGER_WANTED, now);
    return 0;

err_stack:
    free(t->stack);
err_trigger:
    free(t);
    return err;
}

static void withdraw(struct triggers *ts, struct trigger *t, struct outbox *out)
{
    bool node_may_hold_it = (t->state == TRIGGER_PROVEN && t->tries) || t->state == TRIGGER_STANDING ||
                            t->state == TRIGGER_REFRESHING;
    if (node_may_hold_it && ts->node.family)
        send_refresh(ts, t, REFRESH_REMOVE, out);
    trigger_free(ts, t);
}

int trigger_remove(struct triggers *ts, mono_t now, const struct i3_id *id, unsigned plen, struct outbox *out)
{
    (void)now;
    struct trigger *t = trigger_find(ts, id, plen);
    if (!t)
        return -ENOENT;
    withdraw(ts, t, out);
    return 0;
}

void triggers_remove_all(struct triggers *ts, mono_t now, struct outbox *out)
{
    (void)now;
    for (unsigned i = 0; i < ts->used; i++)
        if (ts->slot[i])
            withdraw(ts, ts->slot[i], out);
}

void triggers_restart(struct triggers *ts, mono_t now)
{
    for (unsigned i = 0; i < ts->used; i++) {
        struct trigger *t = ts->slot[i];
        if (!t)
            continue;
        t->last_refusal = 0;
        t->penalty = 0;
        t->seen = (struct addr){0};
        t->owner.family = 0;
        t->owners = 0;
        set_state(ts, t, TRIGGER_WANTED, now);
    }
}

void triggers_set_node(struct triggers *ts, mono_t now, const struct addr *node)
{
    if (addr_eq(&ts->node, node))
        return;
    ts->node = *node;
    ts->last_answer = MONO_NEVER;
    triggers_restart(ts, now);
}

/* ---- looking in ---- */

const struct addr *triggers_seen_address(const struct triggers *ts)
{
    return &ts->seen;
}

mono_t triggers_last_answer(const struct triggers *ts)
{
    return ts->last_answer;
}

bool triggers_all_standing(const struct triggers *ts)
{
    for (unsigned i = 0; i < ts->used; i++) {
        const struct trigger *t = ts->slot[i];
        if (t && t->state != TRIGGER_STANDING && t->state != TRIGGER_REFRESHING)
            return false;
    }
    return true;
}

bool triggers_info(const struct triggers *ts, unsigned i, struct trigger_info *out)
{
    if (i >= ts->n)
        return false;
    unsigned at = 0;
    for (;; at++)
        if (ts->slot[at] && i-- == 0)
            break;
    const struct trigger *t = ts->slot[at];
    *out = (struct trigger_info){
        .id = t->id,
        .plen = t->plen,
        .state = t->state,
        .state_name = state_name[t->state],
        .expiry = t->expiry,
        .refreshes = t->refreshes,
        .inserts = t->inserts,
        .rtt_us = t->rtt_us,
        .last_refusal = t->last_refusal,
        .node = *node_of(ts, t),
    };
    return true;
}
