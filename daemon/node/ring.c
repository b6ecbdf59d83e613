#include "daemon/node/ring.h"

#include "daemon/base/log.h"
#include "daemon/node/ring_inside.h"

enum { JITTER = 8 };

/* ---- who is known ---- */

static struct known *place_of(const struct ring *r, const struct ring_contact *c)
{
    return (struct known *)&r->known[(unsigned)(c->pos >> 64) % RING_KNOWN];
}

struct known *ring_known(const struct ring *r, const struct ring_contact *c)
{
    struct known *k = place_of(r, c);
    return contact_is(&k->c, c) ? k : NULL;
}

/* Who had its place is forgotten. */
static struct known *remember(struct ring *r, const struct ring_contact *c)
{
    struct known *k = place_of(r, c);
    if (!contact_is(&k->c, c))
        *k = (struct known){.c = *c};
    return k;
}

bool ring_is_dead(const struct ring *r, mono_t now, const struct ring_contact *c)
{
    const struct known *k = ring_known(r, c);
    return k && k->dead.us && mono_since(k->dead, now) < DEAD_US;
}

bool ring_is_suspect(const struct ring *r, const struct ring_contact *c)
{
    const struct known *k = ring_known(r, c);
    return k && k->suspect;
}

static void heard_entry(struct entry *e, mono_t now, const struct ring_contact *c)
{
    if (contact_is(&e->c, c)) {
        e->c.addr = c->addr;
        e->heard = now;
    }
}

/* Every message shows that its sender lives. */
static void heard(struct ring *r, mono_t now, const struct ring_contact *c)
{
    struct known *k = remember(r, c);
    k->c.addr = c->addr;
    k->dead.us = 0;
    k->suspect = false;
    k->heard = now;
    cache_heard(r, now, c);
    for (unsigned i = 0; i < RING_SUCCESSORS; i++)
        heard_entry(&r->successor[i], now, c);
    for (unsigned i = 0; i < RING_FINGERS; i++)
        heard_entry(&r->finger[i], now, c);
    if (contact_is(&r->predecessor.c, c))
        r->predecessor_dead = false;
    heard_entry(&r->predecessor, now, c);
}

/* ---- messages ---- */

bool ring_send(struct ring *r, const struct ring_contact *to, struct ring_message *m, struct outbox *out)
{
    uint8_t *p = r->left ? NULL : outbox_alloc(out, RING_MAX_LEN);
    if (!p)
        return false;
    m->sender = r->self;
    m->to = to->pos;
    size_t len = ring_encode(p, RING_MAX_LEN, m, r->config.secret);
    out->used -= RING_MAX_LEN - len; /* what was not needed: nothing was taken since */
    r->stats.out++;
    return len && outbox_push(out, &to->addr, p, len);
}

void ring_emit(struct ring *r, const struct ring_event *e)
{
    if (r->n_events == RING_EVENTS)
        return;
    r->event[(r->first_event + r->n_events++) % RING_EVENTS] = *e;
}

bool ring_poll(struct ring *r, struct ring_event *e)
{
    if (!r->n_events)
        return false;
    *e = r->event[r->first_event];
    r->first_event = (r->first_event + 1) % RING_EVENTS;
    r->n_events--;
    return true;
}

/* Answered not so long ago that it may be gone unnoticed. */
static bool is_fresh(const struct ring *r, mono_t now, const struct entry *e)
{
    uint64_t life = r->config.neighbours_us * 2 * RING_SUCCESSORS + 3ull * RTO_MAX_US;
    return e->c.addr.family && e->heard.us && mono_since(e->heard, now) < life;
}

/* Only what is known first-hand is passed on. */
static void fill_neighbours(const struct ring *r, mono_t now, struct ring_message *m)
{
    if (!r->predecessor_dead && is_fresh(r, now, &r->predecessor))
        m->predecessor = r->predecessor.c;
    for (unsigned i = 0; i < RING_SUCCESSORS; i++)
        if (is_fresh(r, now, &r->successor[i]))
            m->successor[m->n++] = r->successor[i].c;
}

/* ---- the list of successors ---- */

static void successor_changed(struct ring *r, const struct ring_contact *before)
{
    const struct ring_contact *c = &r->successor[0].c;
    if (c->addr.family == before->addr.family && c->pos == before->pos)
        return;
    ring_emit(r, &(struct ring_event){.kind = RING_EV_SUCCESSOR, .contact = *c});
}

/* What was known of it stays known. */
static struct entry entry_of(const struct ring *r, const struct ring_contact *c)
{
    for (unsigned i = 0; i < RING_SUCCESSORS; i++)
        if (contact_is(&r->successor[i].c, c))
            return r->successor[i];
    return (struct entry){.c = *c};
}

/* `head`, which has just answered, and behind it what it has behind itself, without its last (Zave: succ + butLast). */
static void adopt(struct ring *r, mono_t now, const struct ring_contact *head, const struct ring_message *m, struct outbox *out)
{
    struct entry list[RING_SUCCESSORS] = {0};
    struct ring_contact before = r->successor[0].c;
    unsigned n = 0;
    list[n++] = (struct entry){*head, now};
    for (unsigned i = 0; i < m->n && n < RING_SUCCESSORS; i++) {
        const struct ring_contact *c = &m->successor[i];
        if (ring_between(list[n - 1].c.pos, c->pos, r->self.pos) && !ring_is_dead(r, now, c))
            list[n++] = entry_of(r, c);
    }
    memcpy(r->successor, list, sizeof(list));
    if (!before.addr.family) {
        char s[ADDR_STR];
        log_info("ring joined successor=%s", addr_str(&head->addr, s));
    }
    r->alone_at.us = 0;
    successor_changed(r, &before);
    for (unsigned i = 1; i < n; i++)
        if (!list[i].heard.us)
            call_ask(r, now, CALL_ALIVE, &list[i].c, out);
}

void ring_bury(struct ring *r, mono_t now, const struct ring_contact *c)
{
    struct ring_contact before = r->successor[0].c;
    remember(r, c)->dead = now;
    cache_drop(r, c);
    for (unsigned i = 0; i < RING_SUCCESSORS; i++) {
        if (!contact_is(&r->successor[i].c, c))
            continue;
        memmove(&r->successor[i], &r->successor[i + 1], (RING_SUCCESSORS - 1 - i) * sizeof(r->successor[0]));
        memset(&r->successor[RING_SUCCESSORS - 1], 0, sizeof(r->successor[0]));
        r->neighbours_at = now; /* the next in the list is told of us at once */
    }
    for (unsigned i = 0; i < RING_FINGERS; i++)
        if (contact_is(&r->finger[i].c, c))
            memset(&r->finger[i], 0, sizeof(r->finger[i]));
    if (contact_is(&r->predecessor.c, c))
        r->predecessor_dead = true;
    successor_changed(r, &before);
}

/* ---- answers ---- */

/* Zave's rectify: the new one lies nearer, or the old one is gone. */
static bool is_better_predecessor(const struct ring *r, const struct ring_contact *c)
{
    const struct ring_contact *old = &r->predecessor.c;
    return c->pos != r->self.pos && !contact_is(old, c) &&
           (!old->addr.family || r->predecessor_dead || ring_between(old->pos, c->pos, r->self.pos));
}

static void set_predecessor(struct ring *r, mono_t now, const struct ring_contact *c)
{
    r->predecessor = (struct entry){*c, now};
    r->predecessor_dead = false;
    r->before.addr.family = 0;
    ring_emit(r, &(struct ring_event){.kind = RING_EV_RANGE, .contact = *c});
}

static bool is_nearer_successor(const struct ring *r, const struct ring_contact *c)
{
    const struct ring_contact *first = &r->successor[0].c;
    return c->addr.family && c->pos != r->self.pos &&
           (!first->addr.family || ring_between(r->self.pos, c->pos, first->pos));
}

static void on_state(struct ring *r, mono_t now, const struct ring_message *m, struct outbox *out)
{
    struct call *c = call_find(r, m->nonce);
    if (!c || c->kind > CALL_WALK || !contact_is(&c->to, &m->sender))
        return;
    enum call_kind kind = c->kind;
    struct call was = *c;
    call_measured(r, now, c);
    call_end(c);
    switch (kind) {
    case CALL_SUCCESSOR:
        if (!contact_is(&r->successor[0].c, &m->sender))
            break;
        adopt(r, now, &m->sender, m, out);
        if (!m->predecessor.addr.family || m->predecessor.pos == r->self.pos || ring_is_dead(r, now, &m->predecessor))
            break;
        call_ask(r, now, is_nearer_successor(r, &m->predecessor) ? CALL_NEARER : CALL_BEFORE, &m->predecessor, out);
        break;
    case CALL_NEARER:
        if (!is_nearer_successor(r, &m->sender) || (!m->n && r->successor[0].c.addr.family))
            break;
        adopt(r, now, &m->sender, m, out);
        call_ask(r, now, CALL_SUCCESSOR, &m->sender, out);
        break;
    case CALL_NOTIFIER:
        if (is_better_predecessor(r, &m->sender))
            set_predecessor(r, now, &m->sender);
        if (!r->successor[0].c.addr.family) /* a ring of two */
            call_ask(r, now, CALL_NEARER, &m->sender, out);
        break;
    case CALL_WALK:
        walk_on_state(r, now, &was, m, out);
        break;
    case CALL_BEFORE:
    case CALL_ALIVE:
    case CALL_FREE:
    case CALL_HOP:
    case CALL_FIND:
        break;
    }
    if (contact_is(&r->predecessor.c, &m->sender))
        r->before = m->predecessor;
}

static void on_ask(struct ring *r, mono_t now, const struct ring_message *m, struct outbox *out)
{
    struct ring_message s = {.type = RING_STATE, .nonce = m->nonce};
    fill_neighbours(r, now, &s);
    ring_send(r, &m->sender, &s, out);
    if (m->flags & RING_NOTIFY && is_better_predecessor(r, &m->sender))
        call_ask(r, now, CALL_NOTIFIER, &m->sender, out);
    if (m->flags & RING_OFFER && is_nearer_successor(r, &m->sender))
        call_ask(r, now, CALL_NEARER, &m->sender, out);
}

static void on_taken(struct ring *r, mono_t now, const struct ring_message *m)
{
    struct call *c = call_find(r, m->nonce);
    if (!c || c->kind != CALL_HOP || !contact_is(&c->to, &m->sender))
        return;
    call_measured(r, now, c);
    call_end(c);
}

static void on_leave(struct ring *r, mono_t now, const struct ring_message *m, struct outbox *out)
{
    bool was_predecessor = contact_is(&r->predecessor.c, &m->sender);
    bool was_successor = contact_is(&r->successor[0].c, &m->sender);
    ring_bury(r, now, &m->sender);
    if (was_predecessor && m->predecessor.addr.family && m->predecessor.pos != r->self.pos)
        call_ask(r, now, CALL_NOTIFIER, &m->predecessor, out);
    if (was_successor && m->n && is_nearer_successor(r, &m->successor[0]))
        call_ask(r, now, CALL_NEARER, &m->successor[0], out);
}

void ring_input(struct ring *r, mono_t now, const struct addr *from, const uint8_t *p, size_t len, struct bytes *payload,
    struct outbox *out)
{
    struct ring_message m;
    payload->at = NULL;
    if (r->left)
        return;
    r->stats.in++;
    if (ring_decode(p, len, &m, r->config.secret) || !addr_eq(&m.sender.addr, from) || m.sender.pos == r->self.pos ||
        (m.to && m.to != r->self.pos)) {
        r->stats.bad++;
        return;
    }
    heard(r, now, &m.sender);
    switch ((enum ring_type)m.type) {
    case RING_ASK:
        on_ask(r, now, &m, out);
        break;
    case RING_STATE:
        on_state(r, now, &m, out);
        break;
    case RING_FIND:
        find_on_find(r, now, &m, out);
        break;
    case RING_TAKEN:
        on_taken(r, now, &m);
        break;
    case RING_FOUND:
        find_on_found(r, now, &m, out);
        break;
    case RING_LEAVE:
        on_leave(r, now, &m, out);
        break;
    case RING_TRIGGERS:
        *payload = (struct bytes){m.payload, m.payload_len};
        break;
    case RING_TYPES:
        break;
    }
}

/* ---- time ---- */

static void tend_neighbours(struct ring *r, mono_t now, struct outbox *out)
{
    if (r->successor[0].c.addr.family)
        call_ask(r, now, CALL_SUCCESSOR, &r->successor[0].c, out);
    else if (r->predecessor.c.addr.family && !r->predecessor_dead)
        call_ask(r, now, CALL_NEARER, &r->predecessor.c, out); /* the last one left, as far as we know */
    if (r->predecessor.c.addr.family && !r->predecessor_dead)
        call_ask(r, now, CALL_ALIVE, &r->predecessor.c, out);
    unsigned i = 1 + r->next_check++ % (RING_SUCCESSORS - 1);
    if (r->successor[i].c.addr.family)
        call_ask(r, now, CALL_ALIVE, &r->successor[i].c, out);
}

/* A seed, or somebody who was lost: whoever it is, its ring should be ours. */
static void tend_seeds(struct ring *r, mono_t now, struct outbox *out)
{
    uint64_t draw = drbg_u64(&r->rng);
    const struct known *k = &r->known[(draw >> 8) % RING_KNOWN];
    if (k->c.addr.family && k->dead.us && draw & 1)
        find_join(r, now, &k->c.addr, out);
    else if (r->config.n_seeds)
        find_join(r, now, &r->config.seeds[(draw >> 8) % r->config.n_seeds], out);
}

void ring_expire(struct ring *r, mono_t now, struct outbox *out)
{
    const struct ring_config *c = &r->config;
    bool alone = !r->successor[0].c.addr.family;
    if (r->left)
        return;
    if (r->alone_at.us && mono_due(r->alone_at, now)) {
        log_warn("ring not joined, alone until a member answers seeds=%u why=not reachable or of another secret", c->n_seeds);
        r->alone_at.us = 0;
    }
    calls_expire(r, now, out);
    walk_expire(r, now, out);
    if (mono_due(r->neighbours_at, now)) {
        r->neighbours_at = mono_add(now, drbg_around(&r->rng, c->neighbours_us, JITTER));
        tend_neighbours(r, now, out);
    }
    if (mono_due(r->fingers_at, now)) {
        r->fingers_at = mono_add(now, drbg_around(&r->rng, c->fingers_us, JITTER));
        find_next_finger(r, now, out);
    }
    if (mono_due(r->seeds_at, now)) {
        r->seeds_at = mono_add(now, drbg_around(&r->rng, alone ? r->seeds_pause : c->seeds_us, JITTER));
        r->seeds_pause = 2 * r->seeds_pause < RTO_MAX_US ? 2 * r->seeds_pause : RTO_MAX_US;
        tend_seeds(r, now, out);
    }
}

mono_t ring_deadline(const struct ring *r)
{
    if (r->left)
        return MONO_NEVER;
    mono_t tend_at = mono_min(r->neighbours_at, mono_min(r->fingers_at, r->seeds_at));
    return mono_min(mono_min(r->calls_at, walk_deadline(r)), tend_at);
}

/* ---- life ---- */

void ring_config_default(struct ring_config *c)
{
    *c = (struct ring_config){.neighbours_us = 400000, .fingers_us = USEC_PER_SEC, .seeds_us = 10 * USEC_PER_SEC};
}

struct ring *ring_new(const struct ring_config *c, mono_t now)
{
    struct i3_id id;
    struct ring *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    r->config = *c;
    drbg_init(&r->rng, c->seed);
    crypto_wipe(r->config.seed, sizeof(r->config.seed));
    id_of_key(&id, c->key, NULL);
    r->self = (struct ring_contact){.pos = ring_pos_of(id.b), .addr = c->self};
    memcpy(r->self.key, c->key, KEY_LEN);
    r->calls_at = MONO_NEVER;
    if (c->n_seeds)
        r->alone_at = mono_add(now, JOIN_US);
    r->neighbours_at = mono_add(now, drbg_around(&r->rng, c->neighbours_us, JITTER));
    r->fingers_at = mono_add(now, drbg_around(&r->rng, c->fingers_us, JITTER));
    r->seeds_at = now;
    r->seeds_pause = SEEDS_FIRST_US;
    return r;
}

void ring_free(struct ring *r)
{
    if (!r)
        return;
    walk_free(r);
    crypto_wipe(r, sizeof(*r));
    free(r);
}

void ring_send_triggers(struct ring *r, const struct ring_contact *to, struct bytes payload, struct outbox *out)
{
    struct ring_message m = {.type = RING_TRIGGERS, .nonce = drbg_u64(&r->rng), .payload = payload.at, .payload_len = payload.len};
    ring_send(r, to, &m, out);
}

void ring_leave(struct ring *r, mono_t now, struct outbox *out)
{
    struct ring_message m = {.type = RING_LEAVE, .nonce = drbg_u64(&r->rng)};
    fill_neighbours(r, now, &m);
    if (r->predecessor.c.addr.family && !r->predecessor_dead)
        ring_send(r, &r->predecessor.c, &m, out);
    for (unsigned i = 0; i < RING_SUCCESSORS; i++)
        if (r->successor[i].c.addr.family)
            ring_send(r, &r->successor[i].c, &m, out);
    r->left = true;
}

bool ring_has_left(const struct ring *r)
{
    return r->left;
}

/* ---- what the node asks ---- */

bool ring_owns(const struct ring *r, ring_pos pos)
{
    if (r->alone_at.us)
        return false;
    if (!r->predecessor.c.addr.family)
        return !r->successor[0].c.addr.family || pos == r->self.pos;
    return ring_within(r->predecessor.c.pos, pos, r->self.pos);
}

bool ring_may_own(const struct ring *r, ring_pos pos)
{
    return ring_owns(r, pos) || r->predecessor_dead;
}

const struct ring_contact *ring_self(const struct ring *r)
{
    return &r->self;
}

const struct ring_contact *ring_successor(const struct ring *r, unsigned i)
{
    return i < RING_SUCCESSORS && r->successor[i].c.addr.family ? &r->successor[i].c : NULL;
}

const struct ring_contact *ring_finger(const struct ring *r, unsigned i)
{
    return i < RING_FINGERS && r->finger[i].c.addr.family ? &r->finger[i].c : NULL;
}

bool ring_is_joining(const struct ring *r)
{
    return r->alone_at.us;
}

const struct ring_contact *ring_predecessor(const struct ring *r)
{
    return r->predecessor.c.addr.family && !r->predecessor_dead ? &r->predecessor.c : NULL;
}

void ring_stats(const struct ring *r, struct ring_stats *out)
{
    *out = r->stats;
    out->fingers = 0;
    out->cached = r->n_cache;
    for (unsigned i = 0; i < RING_FINGERS; i++)
        out->fingers += r->finger[i].c.addr.family != 0;
}
