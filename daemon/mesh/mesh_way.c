/* Vectors, and the choice between the straight way and a detour (mesh.h). */
#include "daemon/mesh/mesh_inside.h"

#include <string.h>

/* ---- vectors out ---- */

static uint16_t wire_rtt(uint32_t us)
{
    return us == MESH_FOREVER ? MESH_DOWN : us / 100 < MESH_DOWN ? (uint16_t)(us / 100) : MESH_DOWN - 1;
}

void link_changed(struct mesh *m, mono_t now, bool much)
{
    if (!much)
        for (unsigned i = 0; i < MESH_MEMBERS && !much; i++) {
            const struct member *b = m->v[i];
            if (!b || b->best < 0)
                continue;
            uint32_t is = wire_rtt(member_link_rtt(b)), was = b->told_rtt, by = is > was ? is - was : was - is;
            much = by > 20 && by > was / 4;
        }
    if (!much)
        return;
    m->tell_at = mono_min(m->tell_at, mono_max(now, mono_add(m->told_at, MESH_CHANGE_GAP)));
    mesh_arm(m, m->tell_at);
}

static size_t fill_links(const struct mesh *m, const struct member *to, unsigned *from, uint8_t *out)
{
    size_t n = 0;
    for (; *from < MESH_MEMBERS && n < MESH_LINKS_MAX; (*from)++) {
        const struct member *b = m->v[*from];
        if (!b || b == to)
            continue;
        struct mesh_link l = {.rtt = wire_rtt(member_link_rtt(b)), .loss = b->best < 0 ? 0 : (uint16_t)(member_loss(&b->spot[b->best]) * 10)};
        memcpy(l.id, b->prefix, MESH_ID);
        mesh_link_encode(out + n++ * MESH_LINK_LEN, &l);
    }
    return n;
}

static void tell(struct mesh *m, struct member *to, struct outbox *out)
{
    uint8_t links[MESH_LINKS_MAX * MESH_LINK_LEN];
    unsigned from = 0;
    for (size_t n; (n = fill_links(m, to, &from, links)) > 0;) {
        uint8_t *p = outbox_alloc(out, MESH_VECTOR_HEAD + n * MESH_LINK_LEN + MAC_LEN);
        if (!p)
            return;
        struct mesh_vector v = {.n = (uint8_t)n, .counter = to->counter++};
        memcpy(v.by, m->prefix, MESH_ID);
        memcpy(v.to, to->prefix, MESH_ID);
        mesh_vector_encode(p, &v);
        size_t sealed = seal_encrypt(to->tx, v.counter, p, MESH_VECTOR_HEAD, &(struct iovec){links, n * MESH_LINK_LEN}, 1, p + MESH_VECTOR_HEAD);
        outbox_push(out, &to->spot[to->best].addr, p, MESH_VECTOR_HEAD + sealed);
        m->stats.vectors_out++;
    }
}

/* An old key of ours has no links worth telling of. */
void vectors_output(struct mesh *m, mono_t now, struct outbox *out)
{
    if (m->tell_at.us == MONO_NEVER.us)
        m->tell_at = mono_add(now, drbg_around(&m->drbg, MESH_TELL, 4));
    if (!mono_due(m->tell_at, now) || m->c.passive)
        return;
    for (unsigned i = 0; i < MESH_MEMBERS; i++)
        if (m->v[i] && m->v[i]->best >= 0 && m->v[i]->knows)
            tell(m, m->v[i], out);
    for (unsigned i = 0; i < MESH_MEMBERS; i++)
        if (m->v[i])
            m->v[i]->told_rtt = wire_rtt(member_link_rtt(m->v[i]));
    m->told_at = now;
    m->tell_at = mono_add(now, drbg_around(&m->drbg, MESH_TELL, 4));
}

/* ---- vectors in ---- */

static void take_link(struct mesh *m, struct member *by, mono_t now, const struct mesh_link *l)
{
    struct member *b = member_by(m, l->id);
    if (!b || b == by)
        return;
    uint32_t rtt = l->rtt == MESH_DOWN ? MESH_FOREVER : l->rtt * 100u;
    uint32_t loss = l->loss < 10000 ? l->loss / 10 : 1000;
    by->said[b->index] = (struct said){rtt, rtt == MESH_FOREVER ? MESH_FOREVER : rtt + loss * MESH_LOSS_PRICE, mono_add(now, MESH_BELIEVE)};
}

void vector_input(struct mesh *m, mono_t now, uint8_t *data, size_t len)
{
    struct mesh_vector v;
    struct mesh_link l;
    struct member *b = mesh_vector_decode(data, len, &v) || memcmp(v.to, m->prefix, MESH_ID) ? NULL : member_by(m, v.by);
    if (!b) {
        m->stats.strangers++;
        return;
    }
    if (!b->rx || !replay_is_new(&b->replay, v.counter)) {
        m->stats.replayed++;
        return;
    }
    uint8_t *links = data + MESH_VECTOR_HEAD;
    if (seal_decrypt(b->rx, v.counter, data, MESH_VECTOR_HEAD, links, (size_t)v.n * MESH_LINK_LEN + MAC_LEN)) {
        m->stats.forged++;
        return;
    }
    replay_mark(&b->replay, v.counter);
    m->stats.vectors_in++;
    for (unsigned i = 0; i < v.n; i++) {
        mesh_link_decode(links + i * MESH_LINK_LEN, &l);
        take_link(m, b, now, &l);
    }
    m->stale = true;
    mesh_arm(m, now);
}

void ways_forget(struct mesh *m, struct member *b, mono_t now)
{
    for (unsigned i = 0; i < MESH_MEMBERS; i++) {
        struct member *o = m->v[i];
        if (!o || o == b)
            continue;
        o->said[b->index] = (struct said){0};
        if (o->kind == MESH_DETOUR && o->by == b->index)
            o->kind = MESH_NONE, o->cost = MESH_FOREVER, o->since = now;
    }
}

/* ---- the choice ---- */

/* By that member, or MESH_FOREVER. */
static uint32_t detour_cost(const struct mesh *m, const struct member *to, const struct member *by, mono_t now, uint32_t *rtt)
{
    const struct said *s = by ? &by->said[to->index] : NULL;
    if (!s || by == to || by->best < 0 || !by->knows || s->cost == MESH_FOREVER || mono_due(s->until, now))
        return MESH_FOREVER;
    uint64_t cost = (uint64_t)member_link_cost(by) + s->cost + MESH_DETOUR_PRICE;
    *rtt = member_link_rtt(by) + s->rtt_us;
    (void)m;
    return cost < MESH_FOREVER ? (uint32_t)cost : MESH_FOREVER - 1;
}

struct choice {
    enum mesh_kind kind;
    unsigned by;
    uint32_t cost, rtt_us;
};

static struct choice straight(const struct member *b)
{
    return b->best < 0 ? (struct choice){.kind = MESH_NONE, .cost = MESH_FOREVER}
                       : (struct choice){MESH_DIRECT, 0, member_link_cost(b), member_link_rtt(b)};
}

static struct choice best_detour(const struct mesh *m, const struct member *b, mono_t now)
{
    struct choice c = {.kind = MESH_NONE, .cost = MESH_FOREVER};
    for (unsigned i = 0; i < MESH_MEMBERS; i++) {
        uint32_t rtt = 0, cost = detour_cost(m, b, m->v[i], now, &rtt);
        if (cost < c.cost)
            c = (struct choice){MESH_DETOUR, i, cost, rtt};
    }
    return c;
}

/* What is in use, as it is now. */
static struct choice present(const struct mesh *m, const struct member *b, mono_t now)
{
    if (b->kind == MESH_DIRECT)
        return straight(b);
    struct choice c = {.kind = MESH_NONE, .cost = MESH_FOREVER};
    if (b->kind == MESH_DETOUR && (c.cost = detour_cost(m, b, m->v[b->by], now, &c.rtt_us)) != MESH_FOREVER) {
        c.kind = MESH_DETOUR;
        c.by = b->by;
    }
    return c;
}

static uint32_t margin(uint32_t cost)
{
    return cost / 4 > 2000 ? cost / 4 : 2000;
}

/* How long the straight way must have been well before it is gone back to: longer where it keeps failing. */
static uint64_t patience(const struct spot *s)
{
    return MESH_STEADY << (s->fails > 1 ? s->fails - 1 : 0);
}

/* Shall a living way be left for the other one? */
static bool is_worth(const struct member *b, const struct choice *is, const struct choice *other, mono_t now)
{
    if (other->cost == MESH_FOREVER || mono_since(b->since, now) < MESH_HOLD)
        return false;
    if (other->kind == MESH_DIRECT)
        return mono_since(b->spot[b->best].steady, now) >= patience(&b->spot[b->best]) && other->cost <= (uint64_t)is->cost + is->cost / 8 + 1000;
    return (uint64_t)other->cost + margin(is->cost) < is->cost;
}

static void change(struct mesh *m, struct member *b, const struct choice *to, mono_t now, const char *why)
{
    b->kind = to->kind;
    b->by = to->by;
    b->since = now;
    b->changes++;
    b->has_event = true;
    b->event = (struct mesh_event){.kind = to->kind, .rtt_us = to->kind == MESH_NONE ? 0 : to->rtt_us, .why = why};
    memcpy(b->event.key, b->key, KEY_LEN);
    if (to->kind == MESH_DIRECT)
        b->event.at = b->spot[b->best].addr;
    if (to->kind == MESH_DETOUR)
        memcpy(b->event.by, m->v[to->by]->key, KEY_LEN);
}

static void choose(struct mesh *m, struct member *b, mono_t now)
{
    struct choice is = present(m, b, now), direct = straight(b), detour = best_detour(m, b, now);
    struct choice best = direct.cost <= detour.cost ? direct : detour;
    if (is.cost == MESH_FOREVER) {
        /* The straight way first where both are about equal: it would be gone back to. */
        if (direct.cost != MESH_FOREVER && direct.cost <= (uint64_t)detour.cost + detour.cost / 4 + 2000)
            best = direct;
        if (best.kind != b->kind || best.kind == MESH_DETOUR)
            change(m, b, &best, now, best.kind == MESH_NONE || b->changes ? (best.kind == MESH_NONE ? "lost" : b->kind == MESH_NONE ? "up" : "lost") : "up");
        is = best;
    } else if (is.kind == MESH_DETOUR && is_worth(b, &is, &direct, now)) {
        change(m, b, &direct, now, "the straight way is back");
        is = direct;
    } else if (detour.kind != MESH_NONE && !(is.kind == MESH_DETOUR && is.by == detour.by) && is_worth(b, &is, &detour, now)) {
        change(m, b, &detour, now, "better");
        is = detour;
    }
    b->cost = is.cost;
    b->rtt_us = is.rtt_us;
}

/* When what was said of a detour in use ends, or a better one may be taken: looked at each second anyway, with the probes. */
void ways_choose(struct mesh *m, mono_t now)
{
    m->stale = false;
    for (unsigned i = 0; i < MESH_MEMBERS; i++)
        if (m->v[i])
            choose(m, m->v[i], now);
}

bool mesh_way(struct mesh *m, const uint8_t prefix[ID_PREFIX_LEN], struct mesh_way *w)
{
    struct member *b = m->last;
    if (!b || memcmp(b->prefix, prefix, ID_PREFIX_LEN))
        b = member_by(m, prefix);
    if (!b || b->kind == MESH_NONE || memcmp(b->prefix, prefix, ID_PREFIX_LEN))
        return false;
    m->last = b;
    const struct member *to = b->kind == MESH_DETOUR ? m->v[b->by] : b;
    if (!to || to->best < 0 || (b->kind == MESH_DETOUR && !to->knows))
        return false;
    w->direct = b->kind == MESH_DIRECT;
    w->to = to->spot[to->best].addr;
    return true;
}
