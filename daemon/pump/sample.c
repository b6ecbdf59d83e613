/* pump/sample.c - the user's private ids move to a nearer node (i3/sampler.h): make before break. The trigger of the new key stands before
 * a peer is told such an id, and that of the old one goes when the last session that was told one of its ids is over.
 */
#include "daemon/pump/impl.h"

#include <errno.h>

#include "daemon/i3/session.h"

#define RETIRE_AFTER (SESSION_LIFE + 10 * USEC_PER_SEC)

int sample_start(struct overlay *o)
{
    struct pump *p = o->p;
    uint8_t seed[32];
    if (!o->ring->nodes || o->ring->sample.sampler)
        return 0;
    drbg_draw(&p->random, seed, sizeof(seed));
    o->ring->sample.sampler = sampler_new(p->now, o->sides->session_id.b, seed);
    o->ring->sample.retire_at = MONO_NEVER;
    return o->ring->sample.sampler ? 0 : -ENOMEM;
}

void sample_restart(struct overlay *o)
{
    struct sample *m = &o->ring->sample;
    mono_t now = o->p->now;
    if (!m->sampler)
        return;
    if (m->waiting)
        trigger_remove(o->ring->triggers, now, &m->next, 128, &o->out);
    if (m->retire_at.us != MONO_NEVER.us)
        trigger_remove(o->ring->triggers, now, &m->old, 128, &o->out);
    struct sampler *before = m->sampler;
    *m = (struct sample){.retire_at = MONO_NEVER};
    if (sample_start(o))
        m->sampler = before; /* memory is short: it goes on, from where it was */
    else
        sampler_free(before);
}

static void add_next(struct overlay *o)
{
    struct pump *p = o->p;
    struct sample *m = &o->ring->sample;
    uint8_t priv[KEY_LEN];
    if (!sampler_take(m->sampler, priv, m->next_pub))
        return;
    id_of_key(&m->next, m->next_pub, NULL);
    m->waiting = trigger_add(o->ring->triggers, p->now, &m->next, 128, priv, m->next_pub, NULL, 0, INSERT_SHORTCUT) == 0;
    crypto_wipe(priv, sizeof(priv));
}

static void use_next(struct overlay *o)
{
    struct pump *p = o->p;
    struct sample *m = &o->ring->sample;
    m->waiting = false;
    m->old = o->sides->session_id;
    m->retire_at = mono_add(p->now, RETIRE_AFTER);
    o->sides->session_id = m->next;
    peers_set_session_key(o->peers, m->next_pub);
}

unsigned sample_replaced(struct overlay *o, const struct i3_id *now, struct i3_id *old)
{
    struct sample *m = &o->ring->sample;
    struct pump *p = o->p;
    uint8_t seed[32];
    bool more = m->retire_at.us != MONO_NEVER.us && m->sampler;
    *old = m->old;
    m->retire_at = MONO_NEVER;
    if (m->waiting)
        trigger_remove(o->ring->triggers, p->now, &m->next, 128, &o->out);
    m->waiting = false;
    if (!m->sampler)
        return 0;
    drbg_draw(&p->random, seed, sizeof(seed));
    struct sampler *fresh = sampler_new(p->now, now->b, seed); /* none: the old one, which thinks of another key, is worse than no news */
    if (fresh) {
        sampler_free(m->sampler);
        m->sampler = fresh;
        sampler_set_home(fresh, p->now, &o->ring->node_addr);
    }
    return more;
}

void sample_turn(struct overlay *o)
{
    struct pump *p = o->p;
    struct sample *m = &o->ring->sample;
    if (!m->sampler || renew_runs(o->sides))
        return;
    if (mono_due(m->retire_at, p->now)) {
        trigger_remove(o->ring->triggers, p->now, &m->old, 128, &o->out);
        m->retire_at = MONO_NEVER;
    }
    if (m->waiting && overlay_stands(o, &m->next))
        use_next(o);
    else if (!m->waiting && m->retire_at.us == MONO_NEVER.us)
        add_next(o);
}
