/* Probes: who is where, how far, and whether it still is (mesh.h). */
#include "daemon/mesh/mesh_inside.h"

#include <string.h>

/* ---- addresses ---- */

struct spot *spot_at(struct member *b, const struct addr *at)
{
    for (unsigned i = 0; i < b->n_spots; i++)
        if (addr_eq(&b->spot[i].addr, at))
            return &b->spot[i];
    return NULL;
}

/* Beyond MESH_LEARNT the one that is down and was heard longest ago gives way; those that are up stay. */
struct spot *spot_learn(struct member *b, mono_t now, const struct addr *at)
{
    struct spot *place = NULL;
    unsigned learnt = 0;
    for (unsigned i = 0; i < b->n_spots; i++) {
        struct spot *s = &b->spot[i];
        learnt += !s->told;
        if (!s->told && !s->up && (!place || s->made.us < place->made.us))
            place = s;
    }
    if (learnt < MESH_LEARNT && b->n_spots < MESH_SPOTS)
        place = &b->spot[b->n_spots++];
    if (place)
        *place = (struct spot){.addr = *at, .due = MONO_NEVER, .made = now};
    return place;
}

/* The smallest cost; what is in use stays unless another one is better by a fourth and 2 ms. */
void member_choose_spot(struct mesh *m, struct member *b, mono_t now)
{
    int best = -1;
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < b->n_spots; i++) {
        const struct spot *s = &b->spot[i];
        uint64_t cost = (uint64_t)s->rtt_us + member_loss(s) * MESH_LOSS_PRICE;
        if (b->best == (int)i)
            cost = cost > 2000 + cost / 4 ? cost - 2000 - cost / 4 : 0;
        if (s->up && cost < least) {
            least = cost;
            best = (int)i;
        }
    }
    if (best == b->best)
        return;
    bool was = b->best >= 0;
    b->best = best;
    m->stale = true;
    if (was != (best >= 0))
        link_changed(m, now, true);
    mesh_arm(m, now);
}

void spot_fail(struct mesh *m, struct member *b, struct spot *s, mono_t now)
{
    s->fails = mono_since(s->since, now) > MESH_CALM ? 1 : (uint8_t)(s->fails + (s->fails < MESH_FAILS));
    s->up = false;
    s->misses = 0;
    s->tries = 0;
    s->waiting = false;
    s->due = mono_add(now, MESH_TIMEOUT);
    member_choose_spot(m, b, now);
    mesh_arm(m, s->due);
}

/* ---- measuring ---- */

static void note_loss(struct spot *s, bool lost)
{
    uint32_t goal = lost ? MESH_LOSS_ONE : 0;
    if (goal > s->loss)
        s->loss += (goal - s->loss) / MESH_LOSS_SHARE;
    else
        s->loss -= (s->loss - goal + MESH_LOSS_SHARE - 1) / MESH_LOSS_SHARE;
}

/* Answers that do not come any more. */
static void expire_tokens(struct mesh *m, struct spot *s, mono_t now)
{
    for (unsigned i = 0; i < MESH_TOKENS; i++) {
        struct token *t = &s->token[i];
        if (!t->value || mono_since(t->sent, now) < MESH_TOKEN_LIFE)
            continue;
        t->value = 0;
        m->stats.probes_lost++;
        if (s->up)
            note_loss(s, true);
    }
}

static uint64_t timeout_of(const struct spot *s)
{
    uint64_t us = s->misses ? 0 : 2ull * s->rtt_us;
    return us < MESH_TIMEOUT ? MESH_TIMEOUT : us < MESH_TIMEOUT_MAX ? us : MESH_TIMEOUT_MAX;
}

/* Until the next probe of one that is down: sooner at first. */
static uint64_t pause_of(const struct spot *s)
{
    static const uint16_t first_ms[] = {250, 500, 1000, 2000};
    if (s->tries <= ARRAY_LEN(first_ms))
        return first_ms[s->tries ? s->tries - 1 : 0] * USEC_PER_MSEC;
    return (s->tries < 30 ? 2 : s->tries < 150 ? 5 : 15) * USEC_PER_SEC;
}

static void note_answer(struct mesh *m, struct member *b, struct spot *s, mono_t now, uint64_t us)
{
    uint32_t rtt = us < MESH_TOKEN_LIFE ? (uint32_t)us : (uint32_t)MESH_TOKEN_LIFE, was = s->rtt_us;
    rtt += rtt == 0;
    s->rtt_us = !was || !s->up ? rtt : was + (rtt / 8) - (was / 8);
    bool news = !s->up;
    if (news) { /* what was lost while it was down says nothing of what it is like now */
        s->since = s->steady = now;
        s->loss = 0;
        memset(s->token, 0, sizeof(s->token));
    }
    note_loss(s, false);
    s->up = true;
    s->heard = now;
    s->misses = s->tries = 0;
    s->waiting = false;
    s->due = mono_add(now, drbg_around(&m->drbg, &b->spot[b->best < 0 ? 0 : b->best] == s || b->best < 0 ? MESH_EVERY : MESH_SPARE, 8));
    member_choose_spot(m, b, now);
    m->stale = true;
    if (!news && b->best >= 0 && s == &b->spot[b->best])
        link_changed(m, now, false);
    mesh_arm(m, now);
}

/* ---- the talk of two lives ---- */

static void link_key(const struct mesh *m, const struct member *b, bool tx, uint8_t key[BLAKE2S_LEN])
{
    static const char label[] = "i3run mesh link v1";
    uint8_t lives[16];
    struct writer w = writer_of(lives, sizeof(lives));
    put_u64(&w, tx ? b->mine : b->life);
    put_u64(&w, tx ? b->life : b->mine);
    struct bytes v[] = {{label, sizeof(label) - 1}, {lives, sizeof(lives)}, {tx ? m->prefix : b->prefix, ID_PREFIX_LEN}};
    hmac_make(key, &b->secret->mac, v, ARRAY_LEN(v));
}

/* It lives, and this is its life: it has said something back that we have just drawn. */
static void take_life(struct mesh *m, struct member *b, uint64_t life)
{
    uint8_t key[BLAKE2S_LEN];
    if (b->life == life)
        return;
    b->life = life;
    b->knows = false;
    b->theirs = b->seen = 0;
    seal_free(b->tx);
    seal_free(b->rx);
    link_key(m, b, true, key);
    b->tx = seal_new(CIPHER_AES256GCM, key, true);
    link_key(m, b, false, key);
    b->rx = seal_new(CIPHER_AES256GCM, key, false);
    crypto_wipe(key, sizeof(key));
    b->replay = (struct replay){0};
    for (unsigned i = 0; i < MESH_MEMBERS; i++)
        b->said[i] = (struct said){0};
    b->told_rtt = MESH_DOWN; /* it is told everything */
    m->stale = true;
}

static bool serial_is_new(const struct member *b, uint64_t serial)
{
    if (serial > b->theirs)
        return true;
    uint64_t back = b->theirs - serial;
    return serial && back < MESH_SERIALS && !(b->seen >> back & 1);
}

static void serial_mark(struct member *b, uint64_t serial)
{
    if (serial > b->theirs) {
        uint64_t by = serial - b->theirs;
        b->seen = by < MESH_SERIALS ? b->seen << by | 1 : 1;
        b->theirs = serial;
    } else {
        b->seen |= 1ull << (b->theirs - serial);
    }
}

/* ---- out ---- */

static bool push_probe(struct mesh *m, struct member *b, const struct addr *to, uint64_t token, uint64_t echo, struct outbox *out)
{
    uint8_t mac[BLAKE2S_LEN], *p = outbox_alloc(out, MESH_PROBE_LEN);
    if (!p)
        return false;
    struct mesh_probe v = {.flags = token ? MESH_ASK : 0, .mine = b->mine, .yours = b->life, .serial = ++b->serial, .token = token, .echo = echo};
    memcpy(v.by, m->prefix, MESH_ID);
    memcpy(v.to, b->prefix, MESH_ID);
    mesh_probe_encode(p, &v);
    hmac_make(mac, &b->secret->mac, &(struct bytes){p, MESH_PROBE_SIGNED}, 1);
    memcpy(p + MESH_PROBE_SIGNED, mac, MAC_LEN);
    m->stats.probes_out++;
    return outbox_push(out, to, p, MESH_PROBE_LEN);
}

/* A token for that address; the oldest one's answer counts no more. */
static uint64_t draw_token(struct mesh *m, struct spot *s, mono_t now)
{
    s->newest = (s->newest + 1) % MESH_TOKENS;
    struct token *t = &s->token[s->newest];
    if (t->value && s->up)
        note_loss(s, true);
    do
        t->value = drbg_u64(&m->drbg);
    while (!t->value);
    t->sent = now;
    return t->value;
}

/* No answer in time: once more, at once; too often, and it is down. */
static void miss(struct mesh *m, struct member *b, struct spot *s, mono_t now)
{
    s->waiting = false;
    s->steady = now;
    if (s->up && ++s->misses >= MESH_MISSES)
        spot_fail(m, b, s, now);
}

static void ask(struct mesh *m, struct member *b, struct spot *s, mono_t now, struct outbox *out)
{
    push_probe(m, b, &s->addr, draw_token(m, s, now), 0, out);
    s->waiting = true;
    s->tries += s->tries < 255;
    s->due = mono_add(now, s->up ? timeout_of(s) : drbg_around(&m->drbg, pause_of(s), 8));
}

mono_t probe_output(struct mesh *m, struct member *b, mono_t now, struct outbox *out)
{
    mono_t next = MONO_NEVER;
    for (unsigned i = 0; i < b->n_spots; i++) {
        struct spot *s = &b->spot[i];
        expire_tokens(m, s, now);
        if (mono_due(s->due, now)) {
            if (s->waiting)
                miss(m, b, s, now);
            if (m->c.passive || (!s->told && !s->up && s->tries > 20)) {
                s->due = MONO_NEVER; /* learnt, and left: who is there calls by itself */
                continue;
            }
            if (mono_due(s->due, now))
                ask(m, b, s, now, out);
        }
        next = mono_min(next, s->due);
    }
    return next;
}

/* ---- in ---- */

static struct token *token_of(struct spot *s, uint64_t echo)
{
    for (unsigned i = 0; s && echo && i < MESH_TOKENS; i++)
        if (s->token[i].value == echo)
            return &s->token[i];
    return NULL;
}

/* As long as what it answers. It asks as well while that address is not proven, or the life is a new
 * one. */
static void answer(struct mesh *m, struct member *b, const struct addr *from, uint64_t token, bool known, mono_t now, struct outbox *out)
{
    struct spot *s = spot_at(b, from);
    if (!budget_take(&b->answers, now, USEC_PER_SEC / MESH_ANSWERS, 2 * MESH_ANSWERS))
        return;
    if (!s)
        s = spot_learn(b, now, from);
    uint64_t ours = s && (!s->up || !known) ? draw_token(m, s, now) : 0;
    push_probe(m, b, from, ours, token, out);
}

void probe_input(struct mesh *m, mono_t now, const struct addr *from, const uint8_t *data, size_t len, struct outbox *out)
{
    struct mesh_probe v;
    uint8_t mac[BLAKE2S_LEN];
    struct member *b = mesh_probe_decode(data, len, &v) || memcmp(v.to, m->prefix, MESH_ID) ? NULL : member_by(m, v.by);
    if (!b) {
        m->stats.strangers++;
        return;
    }
    hmac_make(mac, &b->secret->mac, &(struct bytes){data, MESH_PROBE_SIGNED}, 1);
    if (!crypto_equal(mac, v.mac, MAC_LEN)) {
        m->stats.forged++;
        return;
    }
    bool known = v.mine == b->life && v.yours == b->mine;
    if (known && !serial_is_new(b, v.serial)) {
        m->stats.replayed++;
        return;
    }
    m->stats.probes_in++;
    struct spot *s = spot_at(b, from);
    struct token *t = token_of(s, v.echo);
    if (t) {
        uint64_t us = mono_since(t->sent, now);
        t->value = 0;
        take_life(m, b, v.mine);
        known = true;
        note_answer(m, b, s, now, us);
    }
    if (known)
        serial_mark(b, v.serial);
    if (known && !b->knows && v.yours == b->mine) {
        b->knows = true;
        link_changed(m, now, true); /* it has been told nothing yet */
    }
    if (v.flags & MESH_ASK && v.token)
        answer(m, b, from, v.token, known, now, out);
}
