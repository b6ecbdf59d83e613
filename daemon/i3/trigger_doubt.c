/* trigger_doubt.c - signs that triggers lead nowhere any more: this host has moved, slept, or lost its place in a NAT's table. */
#include "daemon/i3/trigger_inside.h"

#define SUSPECT_PAUSE   (1 * USEC_PER_SEC)
#define DOUBT_PAUSE     (1 * USEC_PER_SEC) /* doubling with each needless one */
#define DOUBT_PAUSE_MAX (5 * USEC_PER_SEC)
#define DOUBT_FORGIVEN  (30 * USEC_PER_SEC)

#define FORGOTTEN_APART (2 * USEC_PER_SEC) /* several triggers find out together */

enum { DOUBT_NODES = 4, FORGOTTEN_TWICE = 2, HURRY_MAX = 2 };

static bool same_sight(const struct trigger *a, const struct trigger *b)
{
    return addr_eq(&a->seen_by, &b->seen_by) && addr_eq(&a->seen, &b->seen);
}

void triggers_suspect(struct triggers *ts, mono_t now, const struct trigger *safe)
{
    ts->doubt_pause = DOUBT_PAUSE;
    if (ts->last_suspicion.us != MONO_NEVER.us && mono_since(ts->last_suspicion, now) < SUSPECT_PAUSE)
        return;
    ts->last_suspicion = now;
    for (unsigned i = 0; i < ts->used; i++) {
        struct trigger *t = ts->slot[i];
        if (t && t->state == TRIGGER_STANDING && !(safe && same_sight(t, safe)))
            trigger_set_state(ts, t, TRIGGER_STANDING, now);
    }
}

/* Those that stand are refreshed as soon as is the rule from now on. */
static void hurry_up(struct triggers *ts, mono_t now)
{
    for (unsigned i = 0; i < ts->used; i++) {
        struct trigger *t = ts->slot[i];
        if (!t || t->state != TRIGGER_STANDING || mono_due(t->expiry, now))
            continue;
        mono_t at = mono_add(now, trigger_jittered(ts, mono_since(now, t->expiry) >> (1 + ts->hurry)));
        trigger_set_state(ts, t, TRIGGER_STANDING, mono_min(at, deadline_at(&t->due)));
    }
}

/* A NAT that gives us another port for each refresh keeps its mappings for less than the time between them: from the second time on
 * they come twice as often. Where it gives us the same port again there is nothing to be seen. */
static void judge_nat(struct triggers *ts, mono_t now, const struct addr *before, const struct addr *seen)
{
    struct addr other_port = *before;
    other_port.port = seen->port;
    if (addr_eq(before, seen)) {
        ts->forgotten = 0;
        return;
    }
    if (!addr_eq(&other_port, seen) || (ts->forgotten_at.us && mono_since(ts->forgotten_at, now) < FORGOTTEN_APART))
        return;
    ts->forgotten_at = now;
    if (++ts->forgotten < FORGOTTEN_TWICE || ts->hurry == HURRY_MAX)
        return;
    ts->forgotten = 0;
    ts->hurry++;
    log_info("triggers the NAT forgets us soon, refreshing %u times as often", 1u << ts->hurry);
    hurry_up(ts, now);
}

/* Only what one and the same node has seen can be compared: many a NAT shows another port to each. */
void trigger_seen(struct triggers *ts, mono_t now, struct trigger *t, const struct addr *node, const struct addr *seen)
{
    bool known = addr_eq(&t->seen_by, node), moved = known && !addr_eq(&t->seen, seen);
    if (known)
        judge_nat(ts, now, &t->seen, seen);
    t->seen = *seen;
    t->seen_by = *node;
    for (unsigned i = 0; i < ts->used && !moved; i++) {
        const struct trigger *other = ts->slot[i];
        moved = other && addr_eq(&other->seen_by, node) && !addr_eq(&other->seen, seen);
    }
    if (moved)
        triggers_suspect(ts, now, t);
}

/* ---- doubt ---- */

void triggers_doubt(struct triggers *ts, mono_t now)
{
    uint64_t pause = ts->doubt_pause ? ts->doubt_pause : DOUBT_PAUSE;
    if (ts->doubt_at.us == MONO_NEVER.us)
        ts->doubt_at = ts->last_doubt.us == MONO_NEVER.us ? now : mono_max(now, mono_add(ts->last_doubt, pause));
}

/* One trigger at each of a few nodes: when it is refused, or acknowledged elsewhere, the others follow. */
void triggers_ask_doubted(struct triggers *ts, mono_t now)
{
    const struct addr *asked[DOUBT_NODES];
    unsigned n = 0, k;
    if (!mono_due(ts->doubt_at, now))
        return;
    bool forgiven = ts->last_doubt.us == MONO_NEVER.us || mono_since(ts->last_doubt, now) > DOUBT_FORGIVEN;
    uint64_t pause = forgiven || !ts->doubt_pause ? DOUBT_PAUSE : 2 * ts->doubt_pause;
    ts->doubt_pause = pause < DOUBT_PAUSE_MAX ? pause : DOUBT_PAUSE_MAX;
    ts->last_doubt = now;
    ts->doubt_at = MONO_NEVER;
    for (unsigned i = 0; i < ts->used && n < DOUBT_NODES; i++) {
        struct trigger *t = ts->slot[i];
        if (!t || t->state != TRIGGER_STANDING)
            continue;
        for (k = 0; k < n && !addr_eq(asked[k], trigger_node(ts, t)); k++)
            ;
        if (k < n)
            continue;
        asked[n++] = trigger_node(ts, t);
        trigger_set_state(ts, t, TRIGGER_STANDING, now);
    }
}

/* ---- certainty ---- */

void triggers_moved(struct triggers *ts, mono_t now)
{
    ts->doubt_at = MONO_NEVER;
    ts->forgotten = ts->hurry = 0; /* it may be another NAT */
    for (unsigned i = 0; i < ts->used; i++) {
        struct trigger *t = ts->slot[i];
        if (!t)
            continue;
        t->seen_by.family = 0;
        t->last_refusal = 0;
        t->penalty = 0;
        t->owners = 0;
        trigger_set_state(ts, t, TRIGGER_WANTED, now);
    }
}

/* ---- looking in ---- */

/* The first trigger's: it changes when the mapping does, not with each answer of another node. */
const struct addr *triggers_seen_address(const struct triggers *ts)
{
    for (unsigned i = 0; i < ts->used; i++)
        if (ts->slot[i] && ts->slot[i]->seen.family)
            return &ts->slot[i]->seen;
    return &ts->seen;
}

enum nat_kind triggers_nat(const struct triggers *ts)
{
    const struct trigger *first = NULL;
    enum nat_kind kind = NAT_UNKNOWN;
    for (unsigned i = 0; i < ts->used; i++) {
        const struct trigger *t = ts->slot[i];
        if (!t || !t->seen.family || t->seen.via != ADDR_UDP)
            continue;
        if (!first) {
            first = t;
        } else if (t->seen.family == first->seen.family && !addr_eq(&t->seen_by, &first->seen_by)) {
            if (!addr_eq(&t->seen, &first->seen))
                return NAT_SYMMETRIC;
            kind = NAT_CONE;
        }
    }
    return kind;
}
