#include "daemon/tcpip/engine.h"

#include <errno.h>

void timer_set(struct tcpip *t, struct conn *c, enum timer which, uint64_t when)
{
    c->timer[which] = when;
    if (c->heap.place == HEAP_NONE || when < c->heap_when) {
        c->heap_when = when;
        heap_set(&t->heap, &c->heap, when);
    }
}

/* The slow clock of a state. */
void timer_life(struct tcpip *t, struct conn *c)
{
    timer_clear(c, TIMER_LIFE);
    if (c->state == ST_LISTEN)
        timer_set(t, c, TIMER_LIFE, t->now + PENDING_US);
    else if (c->orphan && c->state == ST_FIN_WAIT_2)
        timer_set(t, c, TIMER_LIFE, t->now + FIN_WAIT_US);
    else if (conn_synced(c) && t->cfg.keepalive_us)
        timer_set(t, c, TIMER_LIFE, c->last_in + t->cfg.keepalive_us);
}

static void fire_keepalive(struct tcpip *t, struct conn *c)
{
    uint64_t due = c->last_in + t->cfg.keepalive_us;
    if (due > t->now) {
        c->keepalive_sent = 0;
        timer_set(t, c, TIMER_LIFE, due);
    } else if (c->snd_una < c->snd_nxt) { /* the retransmission timer watches already */
        timer_set(t, c, TIMER_LIFE, t->now + KEEPALIVE_STEP_US);
    } else if (c->keepalive_sent >= KEEPALIVE_PROBES) {
        conn_reset(t, c, conn_timeout_error(c));
    } else {
        c->keepalive_sent++;
        c->probe_due = true;
        conn_activate(t, c);
        timer_set(t, c, TIMER_LIFE, t->now + KEEPALIVE_STEP_US);
    }
}

static void fire_life(struct tcpip *t, struct conn *c)
{
    if (c->state == ST_LISTEN)
        conn_fail(t, c, ETIMEDOUT);
    else if (c->orphan && c->state == ST_FIN_WAIT_2)
        conn_fail(t, c, 0);
    else
        fire_keepalive(t, c);
}

/* Gives back what is empty and was not used of late. */
static void fire_idle(struct tcpip *t, struct conn *c)
{
    bool rests = t->now - max64(c->last_in, c->last_out) >= IDLE_US;
    if (rests && c->snd_end == max64(c->snd_una, c->iss + 1)) {
        ring_release(&c->tx, &t->memory);
        if (c->board.n == 0)
            scoreboard_release(&c->board);
    }
    if (rests && c->rd == c->in_end && c->ooo.n == 0)
        ring_release(&c->rx, &t->memory);
    memory_fit(t, c, &c->tx, max64(c->snd_una, c->iss + 1), c->snd_end);
    receive_fit(t, c);
    if (c->tx.cap || c->rx.cap || c->board.cap)
        timer_set(t, c, TIMER_IDLE, t->now + IDLE_US);
}

static void fire_persist(struct tcpip *t, struct conn *c)
{
    if (c->orphan && c->persist_backoff > ORPHAN_RETRIES) {
        conn_reset(t, c, ETIMEDOUT);
        return;
    }
    if (c->persist_backoff < 30)
        c->persist_backoff++;
    c->probe_due = true;
    c->force_small = true;
    conn_activate(t, c);
    recovery_arm_persist(t, c);
}

static void fire_rexmit(struct tcpip *t, struct conn *c)
{
    switch ((enum rexmit)c->rexmit) {
    case REXMIT_RTO:
        recovery_timeout(t, c);
        return;
    case REXMIT_PROBE:
        recovery_probe(t, c);
        return;
    case REXMIT_PERSIST:
        fire_persist(t, c);
        return;
    }
}

static void fire_one(struct tcpip *t, struct conn *c, enum timer which)
{
    switch (which) {
    case TIMER_REXMIT:
        fire_rexmit(t, c);
        return;
    case TIMER_REORDER:
        recovery_detect(t, c);
        conn_show_flight(t, c);
        conn_activate(t, c);
        return;
    case TIMER_PACE:
        conn_activate(t, c);
        return;
    case TIMER_DELACK:
        c->ack_due = true;
        conn_activate(t, c);
        return;
    case TIMER_LIFE:
        fire_life(t, c);
        return;
    case TIMER_IDLE:
        fire_idle(t, c);
        return;
    case TIMERS:
        return;
    }
}

/* At most one timer per call, since firing one may end the connection; the heap brings it back for the next. */
void timer_fire(struct tcpip *t, struct conn *c)
{
    int due = 0;
    uint64_t next = UINT64_MAX, earliest = UINT64_MAX;
    for (int i = 0; i < TIMERS; i++) {
        if (c->timer[i] < earliest) {
            next = earliest;
            earliest = c->timer[i];
            due = i;
        } else if (c->timer[i] < next) {
            next = c->timer[i];
        }
    }
    uint64_t left = earliest <= t->now ? next : earliest;
    if (left == UINT64_MAX) {
        heap_remove(&t->heap, &c->heap);
    } else {
        c->heap_when = left;
        heap_set(&t->heap, &c->heap, left);
    }
    if (earliest > t->now)
        return;
    timer_clear(c, (enum timer)due);
    fire_one(t, c, (enum timer)due);
}

mono_t tcpip_deadline(const struct tcpip *t)
{
    uint64_t when = t->heap.n ? t->heap.v[0].when : UINT64_MAX;
    if (t->n_tw)
        when = min64(when, LIST_OWNER(t->tw_order.next, struct time_wait, order)->expiry);
    return (mono_t){when};
}

void tcpip_expire(struct tcpip *t, mono_t now)
{
    conn_now(t, now);
    tw_expire(t);
    while (t->heap.n && t->heap.v[0].when <= t->now)
        timer_fire(t, LIST_OWNER(t->heap.v[0].node, struct conn, heap));
}
