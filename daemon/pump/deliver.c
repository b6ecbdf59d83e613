/* pump/deliver.c - datagrams of peers into programs' sockets, no faster than those take them.
 *
 * A kernel's socket that is full drops in silence, and what comes in trains fills it in no time: 92 datagrams of 1200 bytes fit
 * into the usual one. So each socket has a budget, what was free in its buffer when the kernel was last asked; when it is used
 * up, the kernel is asked again, and what finds no room waits in a backlog until the program has read.
 *
 * Bounds: BACKLOG_BYTES per socket, BACKLOGS of them at a time, BACKLOG_AGE_US for a datagram; beyond, they are lost and counted
 * ("overflow").
 */
#include "daemon/pump/impl.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/io/mirror.h"
#include "daemon/program/backlog.h"
#include "daemon/pump/udp.h"

enum {
    FIRST_BUDGET = 16384,
    BACKLOG_BYTES = 4 << 20,  /* 30 ms at 100,000 datagrams of 1200 bytes a second: longer no reader should be off the CPU */
    BACKLOGS = 16,
    BACKLOG_AGE_US = 200000,  /* what a reader has not taken by then is of no use to it */
    RETRY_US = 200, /* doubled while the program does not read */
    RETRY_MAX_US = 1000, /* its buffer is empty a millisecond after it goes on */
};

struct backlog {
    struct usock *u;
    struct backlog *next;
    uint32_t retry_us;
    mono_t retry_at;
    struct backlog_ring *ring;
};

/* What a datagram of that length costs in the receiver's buffer: the kernel counts whole allocations. */
static uint32_t cost_of(size_t len)
{
    uint32_t need = (uint32_t)len + 28 + 64 + 320, room = 512;
    while (room < need && room < 4096)
        room *= 2;
    return (room < need ? need + 4096 : room) + 256;
}

/* Asks the kernel. False: the socket is gone. */
static bool ask_budget(struct pump *p, struct usock *u, const struct mirror *m)
{
    struct diag_udp_info info;
    dgram_flush(p); /* what is on its way counts */
    struct addr at = usock_address(u, m->real.family);
    int err = diag_udp(p->diag, &at, &m->real, &info);
    if (err == -EOPNOTSUPP) {
        u->budget = UINT32_MAX / 2;
        return true;
    }
    if (err)
        return false;
    uint32_t room = info.buffer > info.used ? info.buffer - info.used : 0;
    u->budget = room - room / 8;
    return true;
}

static bool fits(struct pump *p, struct usock *u, const struct mirror *m, uint32_t cost)
{
    if (u->budget >= cost)
        return true;
    if (!ask_budget(p, u, m))
        u->budget = UINT32_MAX / 2; /* sending will tell */
    /* a datagram always goes into an empty buffer, however large it is */
    return u->budget >= cost || (u->budget && cost > 65536);
}

static void spend(struct usock *u, uint32_t cost)
{
    u->budget -= u->budget < cost ? u->budget : cost;
}

static void send_now(struct pump *p, const struct usock *u, const struct mirror *m, const uint8_t *data, size_t len)
{
    if (mirrors_full(p->dgram->io))
        dgram_flush(p);
    struct addr at = usock_address(u, m->real.family);
    mirror_send(p->dgram->io, dgram_fd(m), &at, data, len);
    p->dgram->count.in++;
}

/* ---- backlogs ---- */

static struct backlog *backlog_new(struct pump *p, struct usock *u)
{
    struct dgram_side *s = p->dgram;
    struct backlog *b = s->n_backlogs < BACKLOGS ? calloc(1, sizeof(*b)) : NULL;
    if (b)
        b->ring = backlog_ring_new(BACKLOG_BYTES);
    if (!b || !b->ring) {
        free(b);
        return NULL;
    }
    b->u = u;
    b->retry_us = RETRY_US;
    b->retry_at = mono_add(p->now, RETRY_US);
    b->next = s->backlogs;
    s->backlogs = b;
    s->n_backlogs++;
    u->backlog = b;
    return b;
}

static void backlog_free(struct dgram_side *s, struct backlog *b)
{
    struct backlog **at = &s->backlogs;
    while (*at != b)
        at = &(*at)->next;
    *at = b->next;
    s->n_backlogs--;
    b->u->backlog = NULL;
    backlog_ring_free(b->ring);
    free(b);
}

void deliver_forget(void *ctx, struct usock *u)
{
    struct pump *p = ctx;
    if (u->backlog)
        backlog_free(p->dgram, u->backlog);
}

/* As much as the socket takes; what is too old goes. */
static void backlog_drain(struct pump *p, struct backlog *b)
{
    bool some = false;
    struct backlog_entry e;
    for (; backlog_first(b->ring, &e); backlog_drop(b->ring), some = true) {
        struct mirror *m = mirror_find(p->dgram->t, &e.from);
        if (!m || mono_since(e.at, p->now) > BACKLOG_AGE_US) {
            p->dgram->count.overflow++;
            continue;
        }
        if (!fits(p, b->u, m, cost_of(e.len)))
            break;
        spend(b->u, cost_of(e.len));
        send_now(p, b->u, m, e.data, e.len);
    }
    dgram_flush(p); /* before the ring is written again */
    b->retry_us = some ? RETRY_US : b->retry_us * 2 < RETRY_MAX_US ? b->retry_us * 2 : RETRY_MAX_US;
    b->retry_at = mono_add(p->now, b->retry_us);
}

/* ---- from the overlay ---- */

void deliver(struct pump *p, struct usock *u, const struct mirror *m, const uint8_t *data, size_t len)
{
    uint32_t cost = cost_of(len);
    struct backlog *b = u->backlog;
    if (!u->budget_known) {
        u->budget_known = true;
        u->budget = FIRST_BUDGET;
    }
    if ((!b || backlog_is_empty(b->ring)) && fits(p, u, m, cost)) {
        spend(u, cost);
        send_now(p, u, m, data, len);
        return;
    }
    if (!b)
        b = backlog_new(p, u);
    if (!b || !backlog_put(b->ring, &(struct backlog_entry){m->virt, p->now, data, len}))
        p->dgram->count.overflow++;
}

void deliver_expire(struct pump *p)
{
    struct dgram_side *s = p->dgram;
    for (struct backlog *b = s->backlogs, *next; b; b = next) {
        next = b->next;
        if (!backlog_is_empty(b->ring) && mono_due(b->retry_at, p->now))
            backlog_drain(p, b);
    }
}

/* Empty ones are given back once in a while, not each time. */
void deliver_trim(struct pump *p)
{
    for (struct backlog *b = p->dgram->backlogs, *next; b; b = next) {
        next = b->next;
        if (backlog_is_empty(b->ring))
            backlog_free(p->dgram, b);
    }
}

mono_t deliver_deadline(const struct pump *p)
{
    mono_t at = MONO_NEVER;
    for (const struct backlog *b = p->dgram->backlogs; b; b = b->next)
        if (!backlog_is_empty(b->ring))
            at = mono_min(at, b->retry_at);
    return at;
}
