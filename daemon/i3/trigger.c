#include "daemon/i3/trigger.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/i3/trigger_inside.h"
#include "daemon/base/secret.h"

#define REPEAT_FIRST (250 * USEC_PER_MSEC)
#define REPEAT_MAX   (4 * USEC_PER_SEC)

static_assert(TRIGGERS_MAX <= 1 << SLOT_BITS, "a slot fits a token");

static const char *const state_name[] = {
    [TRIGGER_WANTED] = "wanted",
    [TRIGGER_ASKED] = "asked",
    [TRIGGER_PROVEN] = "proven",
    [TRIGGER_STANDING] = "standing",
    [TRIGGER_REFRESHING] = "refreshing",
};
static_assert(ARRAY_LEN(state_name) == TRIGGER_STATES, "name all");

void trigger_set_state(struct triggers *ts, struct trigger *t, enum trigger_state state, mono_t due)
{
    if (t->state != state) {
        char id[ID_STR];
        log_debug("trigger id=%s %s -> %s", id_short(&t->id, id), state_name[t->state], state_name[state]);
    }
    t->state = state;
    deadline_set(&ts->due, &t->due, due);
}

void triggers_set_private(struct triggers *ts)
{
    ts->private = true;
}

uint64_t trigger_jittered(struct triggers *ts, uint64_t us)
{
    return drbg_around(&ts->drbg, us, 10);
}

uint64_t trigger_next_pause(uint64_t pause)
{
    if (!pause)
        return REPEAT_FIRST;
    return pause * 2 < REPEAT_MAX ? pause * 2 : REPEAT_MAX;
}

uint64_t trigger_token(struct triggers *ts, const struct trigger *t)
{
    return drbg_u64(&ts->drbg) >> (SLOT_BITS + 1) << SLOT_BITS |
           t->slot; /* a top bit free, so that counting never wraps */
}

/* ---- the table ---- */

struct triggers *triggers_new(const uint8_t seed[BLAKE2S_LEN])
{
    struct triggers *ts = secret_new(sizeof(*ts));
    if (!ts)
        return NULL;
    drbg_init(&ts->drbg, seed);
    ts->last_answer = ts->last_suspicion = ts->last_doubt = ts->doubt_at = MONO_NEVER;
    return ts;
}

static void trigger_free(struct triggers *ts, struct trigger *t)
{
    ts->slot[t->slot] = NULL;
    ts->n--;
    deadline_set(&ts->due, &t->due, MONO_NEVER);
    free(t->stack);
    crypto_wipe(t, sizeof(*t));
    secret_free(t);
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
    secret_free(ts);
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
    struct trigger *t = secret_new(sizeof(*t));
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
    trigger_set_state(ts, t, TRIGGER_WANTED, now);
    return 0;

err_stack:
    free(t->stack);
err_trigger:
    secret_free(t);
    return err;
}

int trigger_remove(struct triggers *ts, mono_t now, const struct i3_id *id, unsigned plen, struct outbox *out)
{
    struct trigger *t = trigger_find(ts, id, plen);
    if (!t)
        return -ENOENT;
    trigger_leave(ts, t, now, out);
    trigger_free(ts, t);
    return 0;
}

void triggers_remove_all(struct triggers *ts, mono_t now, struct outbox *out)
{
    (void)now;
    triggers_withdraw(ts, out);
    for (unsigned i = 0; i < ts->used; i++)
        if (ts->slot[i])
            trigger_free(ts, ts->slot[i]);
}

void triggers_restart(struct triggers *ts, mono_t now)
{
    for (unsigned i = 0; i < ts->used; i++) {
        struct trigger *t = ts->slot[i];
        if (!t)
            continue;
        t->last_refusal = 0;
        t->penalty = 0;
        t->seen = t->seen_by = (struct addr){0};
        t->owner.family = 0;
        t->owners = 0;
        trigger_set_state(ts, t, TRIGGER_WANTED, now);
    }
}

void triggers_renew_at(struct triggers *ts, mono_t now, const struct addr *node)
{
    for (unsigned i = 0; i < ts->used; i++) {
        struct trigger *t = ts->slot[i];
        if (!t || !addr_eq(trigger_node(ts, t), node))
            continue;
        t->last_refusal = 0;
        t->penalty = 0;
        trigger_set_state(ts, t, TRIGGER_WANTED, now);
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

void triggers_change_node(struct triggers *ts, mono_t now, const struct addr *node, bool old_lives)
{
    struct addr old = ts->node;
    if (addr_eq(&old, node))
        return;
    ts->node = *node;
    for (unsigned i = 0; i < ts->used; i++) {
        struct trigger *t = ts->slot[i];
        if (!t || (t->owner.family && !addr_eq(&t->owner, &old)))
            continue;
        bool stays = old_lives && (t->state == TRIGGER_STANDING || t->state == TRIGGER_REFRESHING);
        t->owner = stays ? old : (struct addr){0};
        if (stays)
            continue;
        t->owners = 0;
        t->penalty = 0;
        trigger_set_state(ts, t, TRIGGER_WANTED, now);
    }
}

/* ---- looking in ---- */

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
        .node = *trigger_node(ts, t),
    };
    return true;
}
