#include "daemon/node/ring_walk.h"

#include "daemon/node/ring_inside.h"

struct ring_walk {
    struct walk_node *v; /* sorted by the way from ourselves */
    unsigned n, cap;
    unsigned asking, finding;
    bool running, late, full;
    mono_t started, until;
    uint64_t took_us;
    struct trace trace[TRACES_MAX];
    uint64_t next_token;
};

enum { WALK_FIRST_ROOM = 64 };

/* Made when it is needed first. */
static struct ring_walk *walk_of(struct ring *r)
{
    if (!r->walk)
        r->walk = calloc(1, sizeof(*r->walk));
    return r->walk;
}

void walk_free(struct ring *r)
{
    if (r->walk)
        free(r->walk->v);
    free(r->walk);
    r->walk = NULL;
}

/* ---- the table ---- */

/* Where a position is, or where it would go. */
static unsigned place(const struct ring *r, ring_pos pos)
{
    const struct ring_walk *w = r->walk;
    unsigned low = 0, high = w->n;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if ((ring_pos)(w->v[mid].pos - r->self.pos) < (ring_pos)(pos - r->self.pos))
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static struct walk_node *node_at(const struct ring *r, ring_pos pos)
{
    unsigned i = r->walk ? place(r, pos) : 0;
    return r->walk && i < r->walk->n && r->walk->v[i].pos == pos ? &r->walk->v[i] : NULL;
}

static bool grow(struct ring_walk *w)
{
    unsigned cap = w->cap ? 2 * w->cap : WALK_FIRST_ROOM;
    struct walk_node *v = cap <= WALK_NODES_MAX ? realloc(w->v, cap * sizeof(*v)) : NULL;
    if (!v)
        return false;
    w->v = v;
    w->cap = cap;
    return true;
}

/* Somebody was named. */
static void hear_of(struct ring *r, const struct ring_contact *c)
{
    struct ring_walk *w = r->walk;
    if (!c->addr.family || node_at(r, c->pos))
        return;
    if (w->n == w->cap && !grow(w)) {
        w->full = true;
        return;
    }
    unsigned i = place(r, c->pos);
    memmove(&w->v[i + 1], &w->v[i], (w->n - i) * sizeof(*w->v));
    w->v[i] = (struct walk_node){.pos = c->pos, .addr = c->addr};
    w->n++;
}

static void describe(struct walk_node *x, const struct ring_contact *predecessor, const struct ring_contact *successor)
{
    x->state = WALK_ANSWERED;
    x->has_predecessor = predecessor && predecessor->addr.family;
    if (x->has_predecessor)
        x->predecessor = predecessor->pos;
    x->has_successor = successor && successor->addr.family;
    if (x->has_successor) {
        x->successor = successor->pos;
        x->successor_addr = successor->addr;
    }
}

/* ---- the walk ---- */

static void walk_end(struct ring_walk *w, mono_t now, bool late)
{
    w->running = false;
    w->late = late;
    w->took_us = mono_since(w->started, now);
}

static bool ask_one(struct ring *r, mono_t now, struct walk_node *x, struct outbox *out)
{
    struct ring_contact c = {.pos = x->pos, .addr = x->addr};
    if (!call_ask(r, now, CALL_WALK, &c, out))
        return false;
    x->state = WALK_ASKED;
    r->walk->asking++;
    return true;
}

static bool find_one(struct ring *r, mono_t now, struct walk_node *x, struct outbox *out)
{
    if (!find_for_walk(r, now, x->pos, 0, out))
        return false;
    x->finding = true;
    r->walk->finding++;
    return true;
}

/* As many questions as may be under way; none left and none to come: done. */
static void walk_on(struct ring *r, mono_t now, struct outbox *out)
{
    struct ring_walk *w = r->walk;
    bool more = false;
    if (!w->running)
        return;
    for (unsigned i = 0; i < w->n; i++) {
        struct walk_node *x = &w->v[i];
        if (x->state == WALK_NEW)
            more |= w->asking >= WALK_ASKS || !ask_one(r, now, x, out);
        if (x->state == WALK_ANSWERED && !x->finding && !x->found)
            more |= w->finding >= WALK_FINDS || !find_one(r, now, x, out);
    }
    if (!more && !w->asking && !w->finding)
        walk_end(w, now, false);
}

int ring_walk_start(struct ring *r, mono_t now, struct outbox *out)
{
    struct ring_walk *w = walk_of(r);
    if (!w)
        return -ENOMEM;
    if (w->running)
        return -EBUSY;
    calls_forget(r, CALL_WALK); /* of one that ended before its answers came */
    w->n = w->asking = w->finding = 0;
    w->full = false;
    w->running = true;
    w->started = now;
    w->until = mono_add(now, WALK_US);
    hear_of(r, &r->self);
    struct walk_node *self = node_at(r, r->self.pos);
    if (!self) {
        walk_end(w, now, false);
        return -ENOMEM;
    }
    describe(self, ring_predecessor(r), ring_successor(r, 0));
    self->found = self->hops_known = true;
    hear_of(r, &r->predecessor.c);
    for (unsigned i = 0; i < RING_SUCCESSORS; i++)
        hear_of(r, &r->successor[i].c);
    for (unsigned i = 0; i < RING_FINGERS; i++)
        hear_of(r, &r->finger[i].c);
    walk_on(r, now, out);
    return 0;
}

struct walk_view ring_walk_view(const struct ring *r)
{
    const struct ring_walk *w = r->walk;
    return w ? (struct walk_view){w->v, w->n, w->running, w->late, w->full, w->took_us} : (struct walk_view){0};
}

void walk_on_state(struct ring *r, mono_t now, const struct call *c, const struct ring_message *m, struct outbox *out)
{
    struct walk_node *x = node_at(r, m->sender.pos);
    if (!x || x->state != WALK_ASKED)
        return;
    r->walk->asking--;
    x->addr = m->sender.addr;
    if (c->tries == 1)
        x->rtt_us = (uint32_t)mono_since(c->sent, now) | 1;
    describe(x, &m->predecessor, m->n ? &m->successor[0] : NULL);
    hear_of(r, &m->predecessor);
    for (unsigned i = 0; i < m->n; i++)
        hear_of(r, &m->successor[i]);
    walk_on(r, now, out);
}

void walk_on_silence(struct ring *r, mono_t now, const struct ring_contact *c, struct outbox *out)
{
    struct walk_node *x = node_at(r, c->pos);
    if (!x || x->state != WALK_ASKED)
        return;
    x->state = WALK_SILENT;
    r->walk->asking--;
    walk_on(r, now, out);
}

/* ---- ids ---- */

int64_t ring_trace_start(struct ring *r, mono_t now, ring_pos pos, struct outbox *out)
{
    struct ring_walk *w = walk_of(r);
    if (!w)
        return -ENOMEM;
    uint64_t token = ++w->next_token;
    struct trace *t = &w->trace[token % TRACES_MAX];
    *t = (struct trace){.token = token, .state = TRACE_OPEN, .target = pos, .started = now};
    if (ring_owns(r, pos)) {
        t->state = TRACE_FOUND;
        t->owner = r->self;
        return (int64_t)token;
    }
    if (find_for_walk(r, now, pos, token, out))
        return (int64_t)token;
    t->state = TRACE_FREE;
    return -EAGAIN;
}

const struct trace *ring_trace_get(const struct ring *r, uint64_t token)
{
    const struct trace *t = r->walk ? &r->walk->trace[token % TRACES_MAX] : NULL;
    return t && t->state != TRACE_FREE && t->token == token ? t : NULL;
}

static void trace_found(struct ring *r, mono_t now, uint64_t token, const struct ring_contact *owner, unsigned hops)
{
    struct trace *t = (struct trace *)ring_trace_get(r, token);
    if (!t || t->state != TRACE_OPEN)
        return;
    t->state = owner ? TRACE_FOUND : TRACE_LOST;
    t->took_us = mono_since(t->started, now);
    t->hops = hops;
    if (owner)
        t->owner = *owner;
}

/* owner NULL: nobody has answered. */
void walk_on_found(
    struct ring *r, mono_t now, const struct call *c, const struct ring_contact *owner, unsigned hops, struct outbox *out)
{
    if (c->token) {
        trace_found(r, now, c->token, owner, hops);
        return;
    }
    struct walk_node *x = node_at(r, c->hop.target);
    if (!x || !x->finding)
        return;
    x->finding = false;
    x->found = true;
    r->walk->finding--;
    if (owner && owner->pos == x->pos) { /* else somebody else believes that it is the owner */
        x->hops = (uint8_t)hops;
        x->hops_known = true;
    }
    walk_on(r, now, out);
}

/* ---- time ---- */

mono_t walk_deadline(const struct ring *r)
{
    return r->walk && r->walk->running ? r->walk->until : MONO_NEVER;
}

void walk_expire(struct ring *r, mono_t now, struct outbox *out)
{
    if (mono_due(walk_deadline(r), now))
        walk_end(r->walk, now, true);
    else if (r->walk)
        walk_on(r, now, out); /* what could not be asked for want of room */
}
