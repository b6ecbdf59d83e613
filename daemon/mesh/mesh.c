/* The table of members, and looking in. */
#include "daemon/mesh/mesh_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/secret.h"

/* ---- start and end ---- */

struct mesh *mesh_new(const struct mesh_config *c)
{
    struct i3_id id;
    struct mesh *m = calloc(1, sizeof(*m));
    if (!m || !(m->own = secret_new(sizeof(*m->own)))) {
        free(m);
        return NULL;
    }
    m->c = *c;
    memcpy(m->own->shared, c->priv, KEY_LEN);
    crypto_wipe(m->c.priv, KEY_LEN);
    crypto_wipe(m->c.seed, sizeof(m->c.seed));
    drbg_init(&m->drbg, c->seed);
    id_of_key(&id, c->pub, NULL);
    memcpy(m->prefix, id.b, ID_PREFIX_LEN);
    m->due = m->tell_at = MONO_NEVER;
    return m;
}

static void member_free(struct mesh *m, struct member *b)
{
    HASH_DELETE(hh, m->by_id, b);
    m->v[b->index] = NULL;
    m->last = NULL;
    seal_free(b->tx);
    seal_free(b->rx);
    crypto_wipe(b->secret, sizeof(*b->secret));
    secret_free(b->secret);
    free(b->said);
    free(b);
}

void mesh_free(struct mesh *m)
{
    if (!m)
        return;
    for (unsigned i = 0; i < MESH_MEMBERS; i++)
        if (m->v[i])
            member_free(m, m->v[i]);
    crypto_wipe(m->own, sizeof(*m->own));
    secret_free(m->own);
    crypto_wipe(m, sizeof(*m));
    free(m);
}

void mesh_set_passive(struct mesh *m)
{
    m->c.passive = true;
    m->c.relay = false;
}

void mesh_set_relay(struct mesh *m, bool relay)
{
    m->c.relay = relay;
}

/* ---- members ---- */

void mesh_arm(struct mesh *m, mono_t at)
{
    m->due = mono_min(m->due, at);
}

struct member *member_by(const struct mesh *m, const uint8_t id[MESH_ID])
{
    struct member *b;
    HASH_FIND(hh, m->by_id, id, MESH_ID, b);
    return b;
}

static struct member *member_of_key(const struct mesh *m, const uint8_t key[KEY_LEN])
{
    struct i3_id id;
    id_of_key(&id, key, NULL);
    struct member *b = member_by(m, id.b);
    return b && !memcmp(b->key, key, KEY_LEN) ? b : NULL;
}

static int make_secret(struct mesh *m, struct member *b)
{
    static const char label[] = "i3run mesh v1";
    uint8_t dh[KEY_LEN];
    b->secret = secret_new(sizeof(*b->secret));
    if (!b->secret)
        return -ENOMEM;
    if (x25519(dh, m->own->shared, b->key))
        return -EINVAL;
    struct bytes v[] = {{label, sizeof(label) - 1}, {dh, sizeof(dh)}};
    blake2s(b->secret->shared, v, ARRAY_LEN(v));
    hmac_init(&b->secret->mac, (struct bytes){b->secret->shared, KEY_LEN});
    crypto_wipe(dh, sizeof(dh));
    return 0;
}

static int member_new(struct mesh *m, mono_t now, const uint8_t key[KEY_LEN], struct member **out)
{
    struct i3_id id;
    unsigned i = 0;
    while (i < MESH_MEMBERS && m->v[i])
        i++;
    id_of_key(&id, key, NULL);
    if (i == MESH_MEMBERS)
        return -ENOSPC;
    if (!memcmp(key, m->c.pub, KEY_LEN) || member_by(m, id.b))
        return -EINVAL;
    struct member *b = calloc(1, sizeof(*b));
    if (!b)
        return -ENOMEM;
    memcpy(b->key, key, KEY_LEN);
    memcpy(b->prefix, id.b, ID_PREFIX_LEN);
    b->said = calloc(MESH_MEMBERS, sizeof(*b->said));
    int err = b->said ? make_secret(m, b) : -ENOMEM;
    if (err) {
        secret_free(b->secret);
        free(b->said);
        free(b);
        return err;
    }
    while (!b->mine)
        b->mine = drbg_u64(&m->drbg);
    b->index = i;
    b->best = -1;
    b->cost = MESH_FOREVER;
    b->since = now;
    b->told_rtt = MESH_DOWN;
    b->answers.at = b->relayed.at = now;
    b->answers.credit = 2 * USEC_PER_SEC;
    b->relayed.credit = MESH_RELAYED_BURST * (uint64_t)(USEC_PER_SEC / MESH_RELAYED);
    m->v[i] = b;
    HASH_ADD(hh, m->by_id, prefix, MESH_ID, b);
    *out = b;
    return 0;
}

void mesh_begin(struct mesh *m)
{
    for (unsigned i = 0; i < MESH_MEMBERS; i++)
        if (m->v[i])
            m->v[i]->keep = false;
}

static void spot_drop(struct mesh *m, struct member *b, unsigned i)
{
    memmove(&b->spot[i], &b->spot[i + 1], (--b->n_spots - i) * sizeof(b->spot[0]));
    if (b->best == (int)i)
        b->best = -1;
    else if (b->best > (int)i)
        b->best--;
    m->stale = true;
}

/* Addresses that are told: those which were, and are not any more, go; the others stay as they are. */
static void take_spots(struct mesh *m, struct member *b, mono_t now, const struct addr *at, unsigned n)
{
    for (unsigned i = 0; i < b->n_spots; i++)
        b->spot[i].keep = !b->spot[i].told;
    for (unsigned i = 0; i < n && i < MESH_SPOTS - MESH_LEARNT; i++) {
        struct spot *s = spot_at(b, &at[i]);
        if (s)
            s->told = s->keep = true;
    }
    for (unsigned i = b->n_spots; i-- > 0;)
        if (!b->spot[i].keep)
            spot_drop(m, b, i);
    for (unsigned i = 0; i < n && i < MESH_SPOTS - MESH_LEARNT; i++) {
        if (spot_at(b, &at[i]) || b->n_spots == MESH_SPOTS)
            continue;
        b->spot[b->n_spots++] = (struct spot){.addr = at[i], .told = true, .due = now, .made = now};
        mesh_arm(m, now);
    }
    member_choose_spot(m, b, now);
}

int mesh_member(struct mesh *m, mono_t now, const uint8_t key[KEY_LEN], const struct addr *at, unsigned n)
{
    struct member *b = member_of_key(m, key);
    int err = b ? 0 : member_new(m, now, key, &b);
    if (err)
        return err;
    b->keep = true;
    take_spots(m, b, now, at, n);
    return 0;
}

void mesh_end(struct mesh *m, mono_t now)
{
    for (unsigned i = 0; i < MESH_MEMBERS; i++) {
        struct member *b = m->v[i];
        if (!b || b->keep)
            continue;
        ways_forget(m, b, now);
        member_free(m, b);
    }
    m->stale = true;
    mesh_arm(m, now);
}

uint32_t member_link_rtt(const struct member *b)
{
    return b->best < 0 ? MESH_FOREVER : b->spot[b->best].rtt_us;
}

unsigned member_loss(const struct spot *s)
{
    return (unsigned)((uint64_t)s->loss * 1000 / MESH_LOSS_ONE);
}

uint32_t member_link_cost(const struct member *b)
{
    return b->best < 0 ? MESH_FOREVER : b->spot[b->best].rtt_us + member_loss(&b->spot[b->best]) * MESH_LOSS_PRICE;
}

/* ---- time ---- */

mono_t mesh_deadline(const struct mesh *m)
{
    return m->due;
}

void mesh_output(struct mesh *m, mono_t now, struct outbox *out)
{
    mono_t next = MONO_NEVER;
    if (!mono_due(m->due, now) && !m->stale)
        return;
    m->due = MONO_NEVER;
    for (unsigned i = 0; i < MESH_MEMBERS; i++)
        if (m->v[i])
            next = mono_min(next, probe_output(m, m->v[i], now, out));
    ways_choose(m, now);
    vectors_output(m, now, out);
    mesh_arm(m, mono_min(next, m->tell_at));
}

void mesh_doubt(struct mesh *m, mono_t now)
{
    for (unsigned i = 0; i < MESH_MEMBERS; i++) {
        struct member *b = m->v[i];
        if (b && b->best >= 0 && !b->spot[b->best].waiting)
            b->spot[b->best].due = now;
    }
    mesh_arm(m, now);
}

/* What has not been answered was perhaps never sent, or the answer went to where we were. */
void mesh_moved(struct mesh *m, mono_t now)
{
    for (unsigned i = 0; i < MESH_MEMBERS; i++)
        for (unsigned k = 0; m->v[i] && k < m->v[i]->n_spots; k++) {
            struct spot *s = &m->v[i]->spot[k];
            s->tries = s->misses = 0;
            s->waiting = false;
            s->due = now;
        }
    mesh_arm(m, now);
}

void mesh_send_failed(struct mesh *m, mono_t now, const struct addr *to)
{
    for (unsigned i = 0; i < MESH_MEMBERS; i++) {
        struct spot *s = m->v[i] ? spot_at(m->v[i], to) : NULL;
        if (s && s->up)
            spot_fail(m, m->v[i], s, now);
    }
}

/* ---- looking in ---- */

const uint8_t *mesh_at(const struct mesh *m, const struct addr *from)
{
    for (unsigned i = 0; i < MESH_MEMBERS; i++) {
        struct spot *s = m->v[i] ? spot_at(m->v[i], from) : NULL;
        if (s && s->up)
            return m->v[i]->key;
    }
    return NULL;
}

bool mesh_event(struct mesh *m, struct mesh_event *out)
{
    for (unsigned i = 0; i < MESH_MEMBERS; i++) {
        struct member *b = m->v[i];
        if (!b || !b->has_event)
            continue;
        *out = b->event;
        b->has_event = false;
        return true;
    }
    return false;
}

static void spot_info(const struct member *b, const struct spot *s, mono_t now, struct mesh_spot_info *out)
{
    *out = (struct mesh_spot_info){.addr = s->addr,
        .told = s->told,
        .up = s->up,
        .in_use = b->kind == MESH_DIRECT && b->best >= 0 && s == &b->spot[b->best],
        .rtt_us = s->rtt_us,
        .loss = member_loss(s),
        .heard = s->heard.us,
        .heard_us = mono_since(s->heard, now)};
}

static void describe(const struct mesh *m, const struct member *b, mono_t now, struct mesh_info *out)
{
    *out = (struct mesh_info){.kind = b->kind,
        .rtt_us = b->kind == MESH_NONE ? 0 : b->rtt_us,
        .since_us = mono_since(b->since, now),
        .changes = b->changes,
        .n_spots = b->n_spots};
    memcpy(out->key, b->key, KEY_LEN);
    const struct member *by = b->kind == MESH_DETOUR ? m->v[b->by] : b;
    memcpy(out->by, by->key, KEY_LEN);
    if (b->kind != MESH_NONE && by->best >= 0)
        out->loss = member_loss(&by->spot[by->best]);
    for (unsigned i = 0; i < b->n_spots; i++)
        spot_info(b, &b->spot[i], now, &out->spot[i]);
}

bool mesh_info(const struct mesh *m, mono_t now, unsigned i, struct mesh_info *out)
{
    for (unsigned k = 0; k < MESH_MEMBERS; k++) {
        if (!m->v[k] || i--)
            continue;
        describe(m, m->v[k], now, out);
        return true;
    }
    return false;
}

bool mesh_info_of(const struct mesh *m, mono_t now, const uint8_t key[KEY_LEN], struct mesh_info *out)
{
    const struct member *b = member_of_key(m, key);
    if (b)
        describe(m, b, now, out);
    return b;
}

const struct mesh_stats *mesh_stats(struct mesh *m)
{
    m->stats.members = m->stats.up = m->stats.direct = 0;
    for (unsigned i = 0; i < MESH_MEMBERS; i++) {
        m->stats.members += m->v[i] != NULL;
        m->stats.up += m->v[i] && m->v[i]->kind != MESH_NONE;
        m->stats.direct += m->v[i] && m->v[i]->kind == MESH_DIRECT;
    }
    return &m->stats;
}
