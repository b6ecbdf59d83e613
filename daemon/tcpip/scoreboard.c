#include "daemon/tcpip/scoreboard.h"

#include <stdlib.h>
#include <string.h>

void scoreboard_init(struct scoreboard *b, uint64_t start, uint64_t *memory)
{
    *b = (struct scoreboard){.lost_hint = start, .top = start, .memory = memory};
}

void scoreboard_release(struct scoreboard *b)
{
    *b->memory -= b->cap * sizeof(*b->v);
    free(b->v);
    b->v = NULL;
    b->head = b->n = b->cap = 0;
    memset(b->bytes, 0, sizeof(b->bytes));
}

static struct run *run_at(const struct scoreboard *b, uint32_t i)
{
    return b->v + b->head + i;
}

static uint64_t run_len(const struct run *r)
{
    return r->end - r->start;
}

/* The run which holds pos, or n. */
static uint32_t run_find(const struct scoreboard *b, uint64_t pos)
{
    uint32_t lo = 0, hi = b->n;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (run_at(b, mid)->end <= pos)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

bool scoreboard_room(struct scoreboard *b)
{
    if (b->head + b->n < b->cap)
        return true;
    if (b->head > 0 && b->head >= b->cap / 4) {
        memmove(b->v, b->v + b->head, b->n * sizeof(*b->v));
        b->head = 0;
        return true;
    }
    if (b->n >= RUNS_MAX)
        return false;
    uint32_t cap = b->cap ? b->cap * 2 : 8;
    struct run *v = realloc(b->v, cap * sizeof(*v));
    if (!v)
        return false;
    *b->memory += (cap - b->cap) * sizeof(*v);
    b->v = v;
    b->cap = cap;
    return true;
}

static bool run_insert(struct scoreboard *b, uint32_t i, struct run r)
{
    if (!scoreboard_room(b))
        return false;
    memmove(run_at(b, i + 1), run_at(b, i), (b->n - i) * sizeof(r));
    *run_at(b, i) = r;
    b->n++;
    return true;
}

static void run_remove(struct scoreboard *b, uint32_t i, uint32_t count)
{
    memmove(run_at(b, i), run_at(b, i + count), (b->n - i - count) * sizeof(struct run));
    b->n -= count;
}

/* Makes a run begin at pos, which lies inside [una, end). Returns its index, or n when there is no room. */
static uint32_t run_split(struct scoreboard *b, uint64_t pos)
{
    uint32_t i = run_find(b, pos);
    if (i == b->n || run_at(b, i)->start == pos)
        return i;
    struct run right = *run_at(b, i);
    right.start = pos;
    if (!run_insert(b, i + 1, right))
        return b->n;
    run_at(b, i)->end = pos;
    return i + 1;
}

static void run_set(struct scoreboard *b, struct run *r, enum run_state state)
{
    b->bytes[r->state] -= run_len(r);
    b->bytes[state] += run_len(r);
    r->state = (uint8_t)state;
}

/* Melts run i with the neighbours that are SACKED like it. */
static void run_melt(struct scoreboard *b, uint32_t i)
{
    if (i + 1 < b->n && run_at(b, i + 1)->state == RUN_SACKED) {
        run_at(b, i)->end = run_at(b, i + 1)->end;
        run_remove(b, i + 1, 1);
    }
    if (i > 0 && run_at(b, i - 1)->state == RUN_SACKED) {
        run_at(b, i - 1)->end = run_at(b, i)->end;
        run_remove(b, i, 1);
    }
}

/* What its ACK will need for a sample of the rate. */
static void run_stamp(const struct scoreboard *b, struct run *r, uint64_t now)
{
    uint64_t span = now - b->rate.first_sent;
    r->sent = now;
    r->prior = b->rate.delivered;
    r->prior_at = b->rate.at;
    r->span = span > UINT32_MAX ? UINT32_MAX : (uint32_t)span;
    r->limited = b->rate.limited != 0;
}

void scoreboard_sent(struct scoreboard *b, uint64_t start, uint64_t end, uint64_t now, uint64_t melt)
{
    b->bytes[RUN_FLIGHT] += end - start;
    struct run *last = b->n ? run_at(b, b->n - 1) : NULL;
    if (last && last->state == RUN_FLIGHT && !last->retx && now - last->sent <= melt) {
        last->end = end;
        /* `sent` stays that of the first, so that a slow stream cannot melt into one endless run */
        return;
    }
    if (b->n == 0)
        b->rate.first_sent = b->rate.at = now;
    struct run *r = run_at(b, b->n++);
    *r = (struct run){.start = start, .end = end, .state = RUN_FLIGHT};
    run_stamp(b, r, now);
}

/* A piece of a run has arrived for the first time. */
static void run_delivered(const struct run *r, uint64_t end, uint64_t now, uint32_t min_rtt, struct rack *k,
    struct delivery *d)
{
    uint64_t rtt = now - r->sent;
    if (r->sent > d->last_sent)
        d->last_sent = r->sent;
    if (r->retx) {
        d->any_retx = true;
        if (rtt < min_rtt) /* it must have been the copy sent before */
            return;
    } else {
        if (r->sent > d->first_sent)
            d->first_sent = r->sent;
        if (end < d->top)
            k->reordering = true;
    }
    if (!d->prior_at || r->prior > d->prior || (r->prior == d->prior && r->sent > d->prior_sent)) {
        d->prior = r->prior;
        d->prior_at = r->prior_at;
        d->prior_sent = r->sent;
        d->span = r->span;
        d->limited = r->limited;
    }
    if (r->sent > k->sent || (r->sent == k->sent && end > k->end)) {
        k->sent = r->sent;
        k->end = end;
        k->rtt = rtt > UINT32_MAX ? UINT32_MAX : (uint32_t)rtt;
    }
}

static void rate_delivered(struct scoreboard *b, uint64_t bytes, uint64_t now)
{
    b->rate.delivered += bytes;
    b->rate.at = now;
    if (b->rate.delivered > b->rate.limited)
        b->rate.limited = 0;
}

uint64_t scoreboard_rate(struct scoreboard *b, const struct delivery *d, uint32_t min_rtt)
{
    if (!d->prior_at)
        return 0;
    b->rate.first_sent = d->prior_sent;
    uint64_t took = b->rate.at - d->prior_at;
    took = took > d->span ? took : d->span;
    if (took == 0 || took < min_rtt) /* an ACK of the copy before the last */
        return 0;
    return (b->rate.delivered - d->prior) * 1000000 / took;
}

void scoreboard_ack(struct scoreboard *b, uint64_t una, uint64_t now, uint32_t min_rtt, struct rack *k, struct delivery *d)
{
    uint32_t gone = 0;
    for (; gone < b->n && run_at(b, gone)->start < una; gone++) {
        struct run *r = run_at(b, gone);
        uint64_t end = r->end < una ? r->end : una;
        if (r->state != RUN_SACKED) {
            d->acked += end - r->start;
            rate_delivered(b, end - r->start, now);
            run_delivered(r, end, now, min_rtt, k, d);
        }
        b->bytes[r->state] -= end - r->start;
        r->start = end;
        if (end < r->end)
            break;
    }
    b->head += gone;
    b->n -= gone;
    if (b->n == 0)
        b->head = 0;
    if (b->top < una)
        b->top = una;
    if (b->lost_hint < una)
        b->lost_hint = una;
}

void scoreboard_sack(struct scoreboard *b, uint64_t start, uint64_t end, uint64_t now, uint32_t min_rtt, struct rack *k,
    struct delivery *d)
{
    uint32_t at = run_find(b, start);
    if (at == b->n)
        return;
    if (run_at(b, at)->state == RUN_SACKED && run_at(b, at)->end >= end)
        return; /* told before */
    uint32_t last = run_at(b, b->n - 1)->end <= end ? b->n : run_split(b, end);
    if (last == b->n && run_at(b, b->n - 1)->end > end)
        return;
    at = run_split(b, start);
    for (uint32_t i = at; i < b->n && run_at(b, i)->end <= end; i++) {
        struct run *r = run_at(b, i);
        if (r->state == RUN_SACKED)
            continue;
        d->sacked += run_len(r);
        rate_delivered(b, run_len(r), now);
        run_delivered(r, r->end, now, min_rtt, k, d);
        run_set(b, r, RUN_SACKED);
    }
    uint32_t stop = at;
    while (stop < b->n && run_at(b, stop)->end <= end)
        stop++;
    if (stop > at + 1) {
        run_at(b, at)->end = run_at(b, stop - 1)->end;
        run_remove(b, at + 1, stop - at - 1);
    }
    if (stop > at)
        run_melt(b, at);
    if (b->top < end)
        b->top = end;
}

static void run_lose(struct scoreboard *b, struct run *r)
{
    run_set(b, r, RUN_LOST);
    if (r->start < b->lost_hint)
        b->lost_hint = r->start;
}

uint64_t scoreboard_detect(struct scoreboard *b, const struct rack *k, uint64_t now, uint64_t window, uint64_t *next)
{
    uint64_t lost = 0;
    *next = UINT64_MAX;
    if (!k->sent)
        return 0;
    for (uint32_t i = 0; i < b->n; i++) {
        struct run *r = run_at(b, i);
        if (r->state == RUN_SACKED || r->state == RUN_LOST)
            continue;
        if (r->sent > k->sent || (r->sent == k->sent && r->end >= k->end)) {
            if (!r->retx && r->start >= b->top)
                break; /* first transmissions go by position: the rest is younger still */
            continue;
        }
        uint64_t limit = r->sent + k->rtt + window;
        if (limit <= now) {
            lost += run_len(r);
            run_lose(b, r);
        } else if (limit < *next) {
            *next = limit;
        }
    }
    return lost;
}

uint64_t scoreboard_lose(struct scoreboard *b, uint64_t start, uint64_t end)
{
    uint64_t lost = 0;
    if (b->n == 0 || run_at(b, b->n - 1)->end <= start)
        return 0;
    uint32_t i = run_split(b, start);
    if (run_at(b, b->n - 1)->end > end)
        run_split(b, end);
    for (; i < b->n && run_at(b, i)->end <= end; i++) {
        struct run *r = run_at(b, i);
        if (r->state != RUN_FLIGHT && r->state != RUN_RETX)
            continue;
        lost += run_len(r);
        run_lose(b, r);
    }
    return lost;
}

void scoreboard_forget_sacks(struct scoreboard *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        if (run_at(b, i)->state == RUN_SACKED)
            run_lose(b, run_at(b, i));
    }
    b->top = b->n ? run_at(b, 0)->start : b->top;
}

void scoreboard_unlose(struct scoreboard *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        struct run *r = run_at(b, i);
        if (r->state == RUN_LOST)
            run_set(b, r, r->retx ? RUN_RETX : RUN_FLIGHT);
    }
}

bool scoreboard_next_lost(struct scoreboard *b, uint64_t *start, uint64_t *end)
{
    if (b->bytes[RUN_LOST] == 0)
        return false;
    for (uint32_t i = run_find(b, b->lost_hint); i < b->n; i++) {
        const struct run *r = run_at(b, i);
        if (r->state == RUN_LOST) {
            b->lost_hint = *start = r->start;
            *end = r->end;
            return true;
        }
    }
    return false;
}

bool scoreboard_resent(struct scoreboard *b, uint64_t start, uint64_t end, uint64_t now)
{
    uint32_t i = run_find(b, start);
    struct run *r = run_at(b, i);
    struct run *before = i > 0 ? run_at(b, i - 1) : NULL;
    if (before && before->state == RUN_RETX && before->sent == now) { /* goes on where the last one ended */
        b->bytes[RUN_LOST] -= end - start;
        b->bytes[RUN_RETX] += end - start;
        before->end = r->start = end;
        if (r->start == r->end)
            run_remove(b, i, 1);
        return true;
    }
    if (end < r->end) {
        run_split(b, end);
        r = run_at(b, i);
        if (r->end != end)
            return false;
    }
    run_set(b, r, RUN_RETX);
    run_stamp(b, r, now);
    r->retx = true;
    return true;
}
