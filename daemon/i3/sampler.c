#include "daemon/i3/sampler.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/base/id.h"
#include "daemon/base/log.h"
#include "daemon/base/secret.h"

#define LOOKUP_TIME (2 * USEC_PER_SEC)
#define PING_TIME   (USEC_PER_SEC)
#define NEARER_US   2000

enum { JITTER = 4 };
enum step { REST, LOOK, PING }; /* what is awaited */

struct measured {
    struct addr at;
    uint32_t rtt; /* 0: it has not answered */
};

struct sampler {
    struct addr home;
    struct drbg drbg;
    enum step step;
    mono_t due;
    bool checking; /* the key in use alone */
    bool offered;

    uint8_t in_use[ID_PREFIX_LEN];
    uint32_t in_use_rtt;     /* 0: not known */
    struct addr in_use_owner;

    uint8_t priv[KEY_LEN], pub[KEY_LEN]; /* the key that is looked at */
    uint8_t prefix[ID_PREFIX_LEN];       /* of its id */
    unsigned n;                          /* of this round: 0 is the one in use */
    uint64_t nonce;
    uint8_t ping_nonce[NONCE_LEN];
    mono_t sent;
    unsigned pings;
    struct measured *asked;

    uint8_t best_priv[KEY_LEN], best_pub[KEY_LEN];
    uint32_t best_rtt; /* 0: none */
    struct addr best_owner;

    struct measured owner[SAMPLER_OWNERS];
    unsigned n_owners;
    struct sampler_info info;
};

static void prefix_of(uint8_t prefix[ID_PREFIX_LEN], const uint8_t pub[KEY_LEN])
{
    struct i3_id id;
    id_of_key(&id, pub, NULL);
    memcpy(prefix, id.b, ID_PREFIX_LEN);
}

static void wait_until(struct sampler *s, enum step step, mono_t due)
{
    s->step = step;
    s->due = due;
}

static void round_start(struct sampler *s, mono_t at, bool checking)
{
    s->n = s->n_owners = 0;
    s->best_rtt = 0;
    s->checking = checking;
    memcpy(s->prefix, s->in_use, ID_PREFIX_LEN);
    wait_until(s, REST, at);
}

struct sampler *sampler_new(mono_t now, const uint8_t prefix[ID_PREFIX_LEN], const uint8_t seed[32])
{
    struct sampler *s = secret_new(sizeof(*s));
    if (!s)
        return NULL;
    drbg_init(&s->drbg, seed);
    memcpy(s->in_use, prefix, ID_PREFIX_LEN);
    round_start(s, mono_add(now, SAMPLER_PACE), false);
    return s;
}

void sampler_free(struct sampler *s)
{
    if (!s)
        return;
    crypto_wipe(s, sizeof(*s));
    secret_free(s);
}

void sampler_restart(struct sampler *s, mono_t now)
{
    if (!s->offered)
        round_start(s, mono_add(now, drbg_around(&s->drbg, 2 * SAMPLER_PACE, JITTER)), false);
}

void sampler_set_home(struct sampler *s, mono_t now, const struct addr *home)
{
    if (addr_eq(&s->home, home))
        return;
    s->home = *home;
    sampler_restart(s, now);
}

/* ---- a round ---- */

static bool is_clearly_nearer(uint32_t rtt, uint32_t than)
{
    return rtt && than && rtt + rtt / 4 + NEARER_US < than;
}

static bool all_at_one(const struct sampler *s)
{
    return s->n >= SAMPLER_ENOUGH && s->n_owners <= 1;
}

static void round_end(struct sampler *s, mono_t now)
{
    s->info.rounds++;
    round_start(s, mono_add(now, drbg_around(&s->drbg, SAMPLER_CHECK, JITTER)), true);
}

static void judge(struct sampler *s, mono_t now)
{
    uint32_t rtt = s->best_rtt;
    if (!rtt || (s->in_use_rtt && !is_clearly_nearer(rtt, s->in_use_rtt))) {
        round_end(s, now);
        return;
    }
    log_info("private ids: owner %u us away instead of %u", rtt, s->in_use_rtt);
    s->offered = true; /* until it is taken */
    wait_until(s, REST, MONO_NEVER);
}

/* The next key, or that was the last. */
static void next_key(struct sampler *s, mono_t now)
{
    s->n++;
    if (s->checking) {
        round_start(s, mono_add(now, drbg_around(&s->drbg, SAMPLER_CHECK, JITTER)), true);
        return;
    }
    if (s->n > SAMPLER_KEYS || all_at_one(s)) {
        judge(s, now);
        return;
    }
    drbg_draw(&s->drbg, s->priv, KEY_LEN);
    x25519_public(s->pub, s->priv);
    prefix_of(s->prefix, s->pub);
    s->info.keys++;
    wait_until(s, REST, mono_add(now, drbg_around(&s->drbg, SAMPLER_PACE, JITTER)));
}

/* So far away is the owner of the key in use. */
static void in_use_is(struct sampler *s, mono_t now, const struct measured *m)
{
    bool farther = s->checking && s->in_use_rtt && is_clearly_nearer(s->in_use_rtt, m->rtt);
    bool moved = !addr_eq(&s->in_use_owner, &m->at);
    if (!m->rtt)
        return;
    if (farther && moved) {
        s->in_use_rtt = m->rtt;
        round_start(s, now, false);
        return;
    }
    s->in_use_rtt = m->rtt;
    s->in_use_owner = m->at;
    if (!s->info.first_us)
        s->info.first_us = m->rtt;
}

static void measured(struct sampler *s, mono_t now, const struct measured *m)
{
    if (s->n == 0 && !m->rtt && !s->checking) {
        s->in_use_rtt = 0; /* any that answers is better */
    } else if (s->n == 0) {
        in_use_is(s, now, m);
    } else if (m->rtt && (!s->best_rtt || m->rtt < s->best_rtt)) {
        s->best_rtt = m->rtt;
        s->best_owner = m->at;
        memcpy(s->best_priv, s->priv, KEY_LEN);
        memcpy(s->best_pub, s->pub, KEY_LEN);
    }
    if (s->n || s->step != REST || s->due.us != now.us) /* no new round has been begun */
        next_key(s, now);
}

/* ---- questions ---- */

static void look(struct sampler *s, mono_t now, struct outbox *out)
{
    uint8_t *p = outbox_alloc(out, OWNER_LEN);
    s->nonce = drbg_u64(&s->drbg) | 1;
    if (p && lookup_encode(p, OWNER_LEN, s->nonce, s->prefix))
        outbox_push(out, &s->home, p, OWNER_LEN);
    wait_until(s, LOOK, mono_add(now, LOOKUP_TIME));
}

static void ping(struct sampler *s, mono_t now, struct outbox *out)
{
    uint8_t *p = outbox_alloc(out, PING_LEN);
    drbg_draw(&s->drbg, s->ping_nonce, NONCE_LEN);
    if (p && ping_encode(p, PING_LEN, WIRE_PING, s->ping_nonce))
        outbox_push(out, &s->asked->at, p, PING_LEN);
    s->sent = now;
    s->pings++;
    wait_until(s, PING, mono_add(now, PING_TIME));
}

void sampler_output(struct sampler *s, mono_t now, struct outbox *out)
{
    if (!s->home.family || !mono_due(s->due, now))
        return;
    switch (s->step) {
    case REST:
        look(s, now, out);
        break;
    case LOOK: /* no answer */
        next_key(s, now);
        break;
    case PING:
        if (s->pings < SAMPLER_PINGS)
            ping(s, now, out);
        else
            measured(s, now, s->asked);
        break;
    }
}

mono_t sampler_deadline(const struct sampler *s)
{
    return s->home.family ? s->due : MONO_NEVER;
}

/* ---- answers ---- */

static int on_owner(struct sampler *s, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    struct wire_owner o;
    if (s->step != LOOK || !addr_eq(from, &s->home) || owner_decode(p, len, &o) || o.nonce != s->nonce)
        return -EPROTO;
    const struct addr *at = o.flags & OWNER_SELF ? &s->home : &o.owner;
    struct measured *m = NULL;
    for (unsigned i = 0; i < s->n_owners; i++)
        if (addr_eq(&s->owner[i].at, at))
            m = &s->owner[i];
    if (m) {
        measured(s, now, m);
        return 0;
    }
    s->asked = &s->owner[s->n_owners++];
    *s->asked = (struct measured){.at = *at};
    s->pings = 0;
    wait_until(s, PING, now);
    return 0;
}

static int on_pong(struct sampler *s, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    uint8_t nonce[NONCE_LEN];
    if (s->step != PING || !s->pings || !addr_eq(from, &s->asked->at) || ping_decode(p, len, WIRE_PONG, nonce) ||
        memcmp(nonce, s->ping_nonce, NONCE_LEN))
        return -EPROTO;
    uint64_t us = mono_since(s->sent, now) | 1;
    if (!s->asked->rtt || us < s->asked->rtt)
        s->asked->rtt = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
    drbg_draw(&s->drbg, s->ping_nonce, NONCE_LEN); /* it counts once */
    s->due = now;
    return 0;
}

int sampler_input(struct sampler *s, mono_t now, const struct addr *from, const uint8_t *p, size_t len)
{
    switch (wire_kind(p, len)) {
    case WIRE_OWNER:
        return on_owner(s, now, from, p, len);
    case WIRE_PONG:
        return on_pong(s, now, from, p, len);
    default:
        return -EPROTO;
    }
}

bool sampler_take(struct sampler *s, uint8_t priv[KEY_LEN], uint8_t pub[KEY_LEN])
{
    if (!s->offered)
        return false;
    memcpy(priv, s->best_priv, KEY_LEN);
    memcpy(pub, s->best_pub, KEY_LEN);
    prefix_of(s->in_use, s->best_pub);
    crypto_wipe(s->best_priv, KEY_LEN);
    s->in_use_rtt = s->best_rtt;
    s->in_use_owner = s->best_owner;
    s->offered = false;
    s->info.rounds++;
    round_start(s, mono_add(s->sent, drbg_around(&s->drbg, SAMPLER_CHECK, JITTER)), true);
    return true;
}

void sampler_info(const struct sampler *s, struct sampler_info *out)
{
    *out = s->info;
    out->rtt_us = s->in_use_rtt;
}
