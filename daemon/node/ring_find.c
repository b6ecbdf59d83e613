/* ring_find.c - look-ups: from node to node, each the last one known before the target, until the owner answers the origin. */
#include "daemon/node/ring_inside.h"

static bool was_tried(const struct hop *h, ring_pos pos)
{
    for (unsigned i = 0; h && i < h->n_tried; i++)
        if (h->tried[i] == pos)
            return true;
    return false;
}

/* The candidate that is nearest before the target, or on it. */
static const struct ring_contact *nearer(
    const struct ring *r, const struct ring_contact *best, const struct entry *e, ring_pos target, const struct hop *h)
{
    if (!e->c.addr.family || !e->heard.us || !ring_within(r->self.pos, e->c.pos, target) || was_tried(h, e->c.pos))
        return best;
    if (ring_is_suspect(r, &e->c))
        return best;
    return !best || ring_within(best->pos, e->c.pos, target) ? &e->c : best;
}

static const struct ring_contact *choose(const struct ring *r, ring_pos target, const struct hop *h)
{
    const struct ring_contact *best = NULL;
    for (unsigned i = 0; i < RING_FINGERS; i++)
        best = nearer(r, best, &r->finger[i], target, h);
    for (unsigned i = 0; i < RING_SUCCESSORS; i++)
        best = nearer(r, best, &r->successor[i], target, h);
    for (unsigned i = 0; !best && i < RING_SUCCESSORS; i++) /* it lies between us and one of these */
        if (r->successor[i].c.addr.family && !was_tried(h, r->successor[i].c.pos) &&
            !ring_is_suspect(r, &r->successor[i].c))
            best = &r->successor[i].c;
    for (unsigned i = 0; !best && i < RING_SUCCESSORS; i++)
        if (r->successor[i].c.addr.family && !was_tried(h, r->successor[i].c.pos))
            best = &r->successor[i].c;
    return best;
}

/* The owner itself if a look-up has found it lately. */
static const struct ring_contact *straight(struct ring *r, mono_t now, ring_pos pos, struct outbox *out)
{
    struct cached *e = cache_find(r, now, pos);
    if (!e)
        return NULL;
    r->stats.straight++;
    e->used = now;
    if (mono_since(e->heard, now) > WATCH_US)
        call_ask(r, now, CALL_ALIVE, &e->c, out);
    return &e->c;
}

/* What lies just behind us is the predecessor's: a step back, instead of the whole way round. */
static bool is_predecessors_own(const struct ring *r, ring_pos pos)
{
    const struct ring_contact *p = &r->predecessor.c;
    return p->addr.family && !r->predecessor_dead && !ring_is_suspect(r, p) && r->before.addr.family &&
           ring_within(r->before.pos, pos, p->pos);
}

const struct ring_contact *ring_next(struct ring *r, mono_t now, ring_pos pos, struct outbox *out)
{
    if (ring_owns(r, pos))
        return NULL;
    const struct ring_contact *c = straight(r, now, pos, out);
    if (c)
        return c;
    c = is_predecessors_own(r, pos) ? &r->predecessor.c : choose(r, pos, NULL);
    const struct known *k = c ? ring_known(r, c) : NULL;
    if (c && (!k || mono_since(k->heard, now) > WATCH_US))
        call_ask(r, now, CALL_ALIVE, c, out);
    return c;
}

static void send_hop(struct ring *r, mono_t now, struct call *c, struct outbox *out)
{
    struct ring_message m = {.type = RING_FIND,
        .hops = c->hop.hops,
        .nonce = c->nonce,
        .target = c->hop.target,
        .origin = c->hop.origin,
        .origin_nonce = c->hop.origin_nonce};
    /* the target lies before the receiver: it, or one between us which we do not know, owns it */
    if (c->hop.back || ring_within(r->self.pos, c->hop.target, c->to.pos))
        m.flags = RING_FINAL;
    c->tries++;
    c->sent = now;
    c->due = mono_add(now, call_rto(r, &c->to));
    r->calls_at = mono_min(r->calls_at, c->due);
    ring_send(r, &c->to, &m, out);
}

static void pass_on(struct ring *r, mono_t now, const struct hop *h, const struct ring_contact *to, struct outbox *out)
{
    struct call *c = call_new(r, now, CALL_HOP, to);
    if (!c)
        return; /* the origin asks again */
    c->hop = *h;
    send_hop(r, now, c, out);
}

/* Whoever owns the target owns what lies between it and itself, if nothing more is known. */
static void answer(struct ring *r, const struct hop *h, struct outbox *out)
{
    bool whole = !r->predecessor_dead && ring_owns(r, h->target) && r->predecessor.c.addr.family;
    struct ring_message m = {.type = RING_FOUND,
        .hops = h->hops,
        .nonce = h->origin_nonce,
        .from = whole ? r->predecessor.c.pos : h->target - 1};
    struct ring_contact origin = {.addr = h->origin}; /* its nonce tells it whether that is meant for it */
    ring_send(r, &origin, &m, out);
}

/* The last node before me says that it is mine, while I know of one between us. */
static bool is_predecessors(const struct ring *r, ring_pos target)
{
    return r->predecessor.c.addr.family && !r->predecessor_dead && !ring_within(r->predecessor.c.pos, target, r->self.pos);
}

void find_on_find(struct ring *r, mono_t now, const struct ring_message *m, struct outbox *out)
{
    struct ring_message taken = {.type = RING_TAKEN, .nonce = m->nonce};
    struct hop h = {.target = m->target, .origin = m->origin, .origin_nonce = m->origin_nonce, .hops = (uint8_t)(m->hops + 1)};
    ring_send(r, &m->sender, &taken, out);
    if (h.hops > RING_HOPS_MAX || !h.origin.family)
        return;
    bool final = m->flags & RING_FINAL;
    if (ring_owns(r, m->target) || (final && !is_predecessors(r, m->target))) {
        answer(r, &h, out);
        return;
    }
    r->stats.passed_on++;
    h.back = final;
    const struct ring_contact *to = final ? &r->predecessor.c : choose(r, m->target, NULL);
    if (to)
        pass_on(r, now, &h, to, out);
}

void find_hop_silent(struct ring *r, mono_t now, struct call *c, struct outbox *out)
{
    struct hop *h = &c->hop;
    struct ring_contact lost = c->to;
    call_suspect(r, &lost);
    call_ask(r, now, CALL_ALIVE, &lost, out);
    if (h->back && c->tries < ASK_TRIES) { /* there is no way round it */
        send_hop(r, now, c, out);
        return;
    }
    if (h->back) { /* the gap is mine */
        answer(r, h, out);
        call_end(c);
        return;
    }
    h->tried[h->n_tried++] = lost.pos;
    const struct ring_contact *to = h->n_tried < HOP_TRIES ? choose(r, h->target, h) : NULL;
    if (!to) {
        call_end(c);
        return;
    }
    c->to = *to;
    c->tries = 0;
    send_hop(r, now, c, out);
}

/* ---- our own ---- */

static void start(struct ring *r, mono_t now, struct call *c, struct outbox *out)
{
    c->tries++;
    c->due = mono_add(now, FIND_US);
    r->calls_at = mono_min(r->calls_at, c->due);
    if (c->purpose == FOR_JOIN) {
        struct ring_message m = {.type = RING_FIND,
            .nonce = c->nonce,
            .target = c->hop.target,
            .origin = r->self.addr,
            .origin_nonce = c->nonce};
        ring_send(r, &c->to, &m, out);
        return;
    }
    const struct ring_contact *to = choose(r, c->hop.target, NULL);
    if (to)
        pass_on(r, now, &c->hop, to, out);
}

static unsigned finds_under_way(const struct ring *r)
{
    unsigned n = 0;
    for (unsigned i = 0; i < RING_CALLS; i++)
        n += r->call[i].kind == CALL_FIND;
    return n;
}

/* How many are to be learned, and whether the one is among them. */
static unsigned learning(const struct ring *r, ring_pos target, bool *this_one)
{
    unsigned n = 0;
    *this_one = false;
    for (unsigned i = 0; i < RING_CALLS; i++) {
        const struct call *c = &r->call[i];
        if (c->kind != CALL_FIND || c->purpose != FOR_CACHE)
            continue;
        n++;
        *this_one = *this_one || c->hop.target == target;
    }
    return n;
}

static struct call *find_new(struct ring *r, mono_t now, enum purpose purpose, ring_pos target)
{
    struct call *c = finds_under_way(r) < FINDS_MAX ? call_new(r, now, CALL_FIND, NULL) : NULL;
    if (!c)
        return NULL;
    c->purpose = (uint8_t)purpose;
    c->hop = (struct hop){.target = target, .origin = r->self.addr, .origin_nonce = c->nonce};
    return c;
}

static void tell(struct ring *r, const struct call *c, enum ring_event_kind kind, const struct ring_contact *owner, unsigned hops)
{
    struct ring_event e = {.kind = kind, .token = c->token, .hops = hops};
    if (owner)
        e.contact = *owner;
    *(kind == RING_EV_FOUND ? &r->stats.found : &r->stats.lost) += 1;
    ring_emit(r, &e);
}

int ring_find(struct ring *r, mono_t now, ring_pos pos, uint64_t token, struct outbox *out)
{
    struct call *c = r->alone_at.us ? NULL : find_new(r, now, FOR_USER, pos);
    if (!c)
        return -EAGAIN;
    c->token = token;
    if (ring_owns(r, pos)) {
        tell(r, c, RING_EV_FOUND, &r->self, 0);
        call_end(c);
        return 0;
    }
    start(r, now, c, out);
    return 0;
}

bool ring_knows(const struct ring *r, mono_t now, ring_pos pos)
{
    const struct ring_contact *first = &r->successor[0].c;
    bool next_door = (first->addr.family && ring_within(r->self.pos, pos, first->pos)) || is_predecessors_own(r, pos);
    const struct cached *e = cache_find(r, now, pos);
    return next_door || ring_owns(r, pos) || (e && mono_since(now, e->until) > CACHED_US / 3); /* what is used is learned anew in time */
}

void ring_learn(struct ring *r, mono_t now, ring_pos pos, struct outbox *out)
{
    bool already;
    if (r->alone_at.us || learning(r, pos, &already) >= LEARN_MAX || already)
        return;
    struct call *c = find_new(r, now, FOR_CACHE, pos);
    if (c)
        start(r, now, c, out);
}

bool find_for_walk(struct ring *r, mono_t now, ring_pos pos, uint64_t token, struct outbox *out)
{
    struct call *c = find_new(r, now, FOR_WALK, pos);
    if (!c)
        return false;
    c->token = token;
    start(r, now, c, out);
    return true;
}

void find_again(struct ring *r, mono_t now, struct call *c, struct outbox *out)
{
    if (c->tries < FIND_TRIES && c->purpose != FOR_JOIN && c->purpose != FOR_CACHE) {
        start(r, now, c, out);
        return;
    }
    struct call was = *c;
    call_end(c);
    if (was.purpose == FOR_USER)
        tell(r, &was, RING_EV_LOST, NULL, 0);
    else if (was.purpose == FOR_WALK)
        walk_on_found(r, now, &was, NULL, 0, out);
}

/* Fingers whose place lies before the last successor say nothing new. */
static bool finger_needed(const struct ring *r, unsigned i)
{
    const struct ring_contact *last = NULL;
    for (unsigned s = 0; s < RING_SUCCESSORS && r->successor[s].c.addr.family; s++)
        last = &r->successor[s].c;
    return last && !ring_within(r->self.pos, r->self.pos + ((ring_pos)1 << (127 - i)), last->pos);
}

void find_next_finger(struct ring *r, mono_t now, struct outbox *out)
{
    unsigned i = r->next_finger;
    if (!finger_needed(r, i)) {
        for (unsigned k = i; k < RING_FINGERS; k++)
            memset(&r->finger[k], 0, sizeof(r->finger[k]));
        r->next_finger = i = 0;
        if (!finger_needed(r, 0))
            return;
    }
    r->next_finger = (i + 1) % RING_FINGERS;
    struct call *c = find_new(r, now, FOR_FINGER, r->self.pos + ((ring_pos)1 << (127 - i)));
    if (!c)
        return;
    c->finger = (uint8_t)i;
    start(r, now, c, out);
}

void find_join(struct ring *r, mono_t now, const struct addr *by, struct outbox *out)
{
    struct call *c = find_new(r, now, FOR_JOIN, r->self.pos + 1);
    if (!c)
        return;
    c->to.addr = *by;
    start(r, now, c, out);
}

void find_on_found(struct ring *r, mono_t now, const struct ring_message *m, struct outbox *out)
{
    struct call *c = call_find(r, m->nonce);
    if (!c || c->kind != CALL_FIND)
        return;
    struct call was = *c;
    if (c->purpose != FOR_JOIN && c->purpose != FOR_WALK && ring_within(m->from, c->hop.target, m->sender.pos))
        cache_put(r, now, &m->sender, m->from);
    switch ((enum purpose)c->purpose) {
    case FOR_USER:
        tell(r, c, RING_EV_FOUND, &m->sender, m->hops);
        break;
    case FOR_FINGER:
        r->finger[c->finger] = (struct entry){m->sender, now};
        break;
    case FOR_JOIN:
        if (!r->successor[0].c.addr.family || ring_between(r->self.pos, m->sender.pos, r->successor[0].c.pos))
            call_ask(r, now, CALL_NEARER, &m->sender, out);
        break;
    case FOR_CACHE:
    case FOR_WALK:
        break;
    }
    call_end(c);
    if (was.purpose == FOR_WALK)
        walk_on_found(r, now, &was, &m->sender, m->hops, out);
}
