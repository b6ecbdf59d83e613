/* trigger_send.c - what is sent for a trigger when its deadline comes. */
#include "daemon/i3/trigger_inside.h"

#include <assert.h>
#include <string.h>

enum {
    PROVE_TRIES = 4,
    OWNER_TRIES = 2, /* at an owner which the first node has named; then that one is asked again */
    OUTPUT_MAX = OUTBOX_HEADROOM / 2, /* datagrams pushed per call; the rest stays due */
    TOGETHER_LEN = 1200, /* REFRESHes in one datagram, which no path is too narrow for */
    TOGETHER = (TOGETHER_LEN - BATCH_HEADER_LEN) / (2 + REFRESH_LEN),
    LEAVE_TRIES = 4,
    PACKET_MAX = INSERT_FIXED_LEN + STACK_MAX * ID_LEN + PROVE_TAIL_LEN,
};

static void send_packet(struct triggers *ts, const struct trigger *t, struct outbox *out, const uint8_t *p, size_t len)
{
    uint8_t *copy = outbox_alloc(out, len);
    if (!copy)
        return; /* lost, and repeated like any other loss */
    memcpy(copy, p, len);
    outbox_push(out, trigger_node(ts, t), copy, len);
}

/* Counts a transmission and returns when the next is due. */
static mono_t sent_once(struct triggers *ts, struct trigger *t, mono_t now)
{
    if (t->tries++ == 0) {
        t->round_start = now;
        t->pause = 0;
    }
    t->pause = trigger_next_pause(t->pause);
    t->sent = now;
    return mono_add(now, trigger_jittered(ts, t->pause));
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
        t->nonce = trigger_token(ts, t);
        t->tries = 0;
    } else if (t->owner.family && t->tries >= OWNER_TRIES) {
        t->owner.family = 0;
    }
    struct wire_insert i = insert_of(t);
    send_packet(ts, t, out, p, insert_encode(p, sizeof(p), &i));
    trigger_set_state(ts, t, TRIGGER_ASKED, sent_once(ts, t, now));
}

static void due_proven(struct triggers *ts, struct trigger *t, mono_t now, struct outbox *out)
{
    uint8_t p[PACKET_MAX];
    if (t->tries == (t->owner.family ? OWNER_TRIES : PROVE_TRIES)) { /* the cookie may have aged, or the node is another one by now */
        t->owner.family = 0;
        trigger_set_state(ts, t, TRIGGER_WANTED, now);
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
    trigger_set_state(ts, t, TRIGGER_PROVEN, sent_once(ts, t, now));
}

/* ---- refreshes ride together ---- */

static void add_refresh(struct trigger *t, unsigned flags, struct writer *batch)
{
    uint8_t p[REFRESH_LEN];
    t->seq += 1u << SLOT_BITS; /* a new one each time: the node takes none twice */
    struct wire_refresh f = {.flags = (uint8_t)flags, .plen = t->plen, .id = t->id, .seq = t->seq};
    size_t len = refresh_encode(p, sizeof(p), &f);
    proof_mac(p + len - MAC_LEN, &t->key, p, len - MAC_LEN);
    batch_add(batch, p, len);
}

/* One alone goes as it is. */
static void send_batch(struct triggers *ts, const struct trigger *t, struct outbox *out, const struct writer *batch)
{
    size_t skip = batch->start[1] == 1 ? BATCH_HEADER_LEN + 2 : 0;
    send_packet(ts, t, out, batch->start + skip, writer_len(batch) - skip);
}

static unsigned refresh_tries(const struct trigger *t)
{
    return t->owner.family ? OWNER_TRIES : TRIGGER_REFRESH_TRIES;
}

/* It is due so soon that it may as well be refreshed now: its turn comes in the last quarter of what it has left to live, or of its
 * pause. So one's jitter becomes that of all, and hosts do not fall into step. */
static bool is_due_soon(const struct trigger *t, mono_t now)
{
    uint64_t wait = mono_since(now, deadline_at(&t->due));
    if (t->state == TRIGGER_STANDING)
        return wait <= mono_since(now, t->expiry) / 4;
    return t->state == TRIGGER_REFRESHING && t->tries < refresh_tries(t) && wait <= t->pause / 4;
}

static void refresh(struct triggers *ts, struct trigger *t, mono_t now, struct writer *batch)
{
    if (t->state == TRIGGER_STANDING)
        t->tries = 0;
    add_refresh(t, 0, batch);
    if (t->tries == 0)
        t->round_seq = t->seq;
    trigger_set_state(ts, t, TRIGGER_REFRESHING, sent_once(ts, t, now));
}

static void due_standing(struct triggers *ts, struct trigger *t, mono_t now, struct outbox *out)
{
    uint8_t p[TOGETHER_LEN];
    struct writer batch = batch_begin(p, sizeof(p));
    if (t->state == TRIGGER_REFRESHING && t->tries == refresh_tries(t)) {
        char id[ID_STR];
        t->owner.family = 0;
        if (!ts->private)
            log_info("trigger id=%s refresh unanswered, inserting anew", id_short(&t->id, id));
        trigger_set_state(ts, t, TRIGGER_WANTED, now);
        due_wanted(ts, t, now, out);
        return;
    }
    refresh(ts, t, now, &batch);
    for (unsigned i = 0; i < ts->used && p[1] < TOGETHER; i++) {
        struct trigger *other = ts->slot[i];
        if (other && other != t && addr_eq(trigger_node(ts, other), trigger_node(ts, t)) && is_due_soon(other, now))
            refresh(ts, other, now, &batch);
    }
    send_batch(ts, t, out, &batch);
}

static void (*const on_due[])(struct triggers *, struct trigger *, mono_t, struct outbox *) = {
    [TRIGGER_WANTED] = due_wanted,
    [TRIGGER_ASKED] = due_wanted,
    [TRIGGER_PROVEN] = due_proven,
    [TRIGGER_STANDING] = due_standing,
    [TRIGGER_REFRESHING] = due_standing,
};
static_assert(ARRAY_LEN(on_due) == TRIGGER_STATES, "all have a deadline");

/* A removal that may be lost. */
static void leave_again(struct leaving *l, mono_t now, struct outbox *out)
{
    uint8_t *copy = outbox_alloc(out, sizeof(l->packet));
    if (copy) {
        memcpy(copy, l->packet, sizeof(l->packet));
        outbox_push(out, &l->at, copy, sizeof(l->packet));
    }
    l->due = mono_add(now, trigger_next_pause(0) << l->tries);
    if (++l->tries == LEAVE_TRIES)
        l->at.family = 0;
}

void triggers_output(struct triggers *ts, mono_t now, struct outbox *out)
{
    if (!ts->node.family)
        return;
    triggers_ask_doubted(ts, now);
    triggers_watch(ts, now, out);
    for (unsigned i = 0; i < TRIGGERS_LEAVING; i++)
        if (ts->leaving[i].at.family && mono_due(ts->leaving[i].due, now))
            leave_again(&ts->leaving[i], now, out);
    for (unsigned i = 0; i < OUTPUT_MAX && mono_due(deadlines_next(&ts->due), now); i++) {
        struct deadline *d = deadlines_first(&ts->due);
        struct trigger *t = (struct trigger *)(void *)((char *)d - offsetof(struct trigger, due));
        on_due[t->state](ts, t, now, out);
    }
}

mono_t triggers_deadline(const struct triggers *ts)
{
    mono_t at = mono_min(triggers_watch_deadline(ts), ts->doubt_at);
    for (unsigned i = 0; i < TRIGGERS_LEAVING; i++)
        if (ts->leaving[i].at.family)
            at = mono_min(at, ts->leaving[i].due);
    return ts->node.family ? mono_min(deadlines_next(&ts->due), at) : MONO_NEVER;
}

/* ---- the end ---- */

static bool node_may_hold(const struct triggers *ts, const struct trigger *t)
{
    bool stood = (t->state == TRIGGER_PROVEN && t->tries) || t->state == TRIGGER_STANDING || t->state == TRIGGER_REFRESHING;
    return stood && ts->node.family;
}

/* Whoever is told a private id of ours no more may know it still (pump/drop.c), so one lost packet shall not leave it standing. */
void trigger_leave(struct triggers *ts, struct trigger *t, mono_t now, struct outbox *out)
{
    if (!node_may_hold(ts, t))
        return;
    struct leaving *l = &ts->leaving[ts->leaving_next++ % TRIGGERS_LEAVING];
    t->seq += 1u << SLOT_BITS;
    struct wire_refresh f = {.flags = REFRESH_REMOVE, .plen = t->plen, .id = t->id, .seq = t->seq};
    size_t len = refresh_encode(l->packet, sizeof(l->packet), &f);
    proof_mac(l->packet + len - MAC_LEN, &t->key, l->packet, len - MAC_LEN);
    l->seq = t->seq;
    l->at = *trigger_node(ts, t);
    l->tries = 1;
    l->due = mono_add(now, trigger_next_pause(0));
    send_packet(ts, t, out, l->packet, len);
}

bool trigger_left(struct triggers *ts, const struct addr *from, uint64_t seq)
{
    for (unsigned i = 0; i < TRIGGERS_LEAVING; i++) {
        struct leaving *l = &ts->leaving[i];
        if (l->at.family && l->seq == seq && addr_eq(&l->at, from)) {
            l->at.family = 0;
            return true;
        }
    }
    return false;
}

void triggers_withdraw(struct triggers *ts, struct outbox *out)
{
    bool told[TRIGGERS_MAX] = {false};
    for (unsigned i = 0; i < ts->used; i++) {
        uint8_t p[TOGETHER_LEN];
        struct writer batch = batch_begin(p, sizeof(p));
        struct trigger *t = ts->slot[i];
        if (!t || told[i])
            continue;
        for (unsigned k = i; k < ts->used && p[1] < TOGETHER; k++) {
            struct trigger *other = ts->slot[k];
            if (!other || told[k] || !node_may_hold(ts, other) || !addr_eq(trigger_node(ts, other), trigger_node(ts, t)))
                continue;
            add_refresh(other, REFRESH_REMOVE, &batch);
            told[k] = true;
        }
        if (p[1])
            send_batch(ts, t, out, &batch);
    }
}
