/* pump/sample.c - the user's private ids move to a nearer node (i3/sampler.h): make before break. The trigger of the new key stands before
 * a peer is told such an id, and that of the old one goes when the last session that was told one of its ids is over.
 */
#include "daemon/pump/impl.h"

#include <errno.h>

#include "daemon/i3/session.h"

#define RETIRE_AFTER (SESSION_LIFE + 10 * USEC_PER_SEC)

int sample_start(struct pump *p)
{
    uint8_t seed[32];
    if (!p->nodes)
        return 0;
    drbg_draw(&p->random, seed, sizeof(seed));
    p->sample.sampler = sampler_new(p->now, p->sides->session_id.b, seed);
    p->sample.retire_at = MONO_NEVER;
    return p->sample.sampler ? 0 : -ENOMEM;
}

static bool stands(const struct pump *p, const struct i3_id *id)
{
    struct trigger_info t;
    for (unsigned i = 0; triggers_info(p->triggers, i, &t); i++)
        if (!memcmp(&t.id, id, sizeof(*id)))
            return t.state == TRIGGER_STANDING || t.state == TRIGGER_REFRESHING;
    return false;
}

static void add_next(struct pump *p)
{
    struct sample *m = &p->sample;
    uint8_t priv[KEY_LEN];
    if (!sampler_take(m->sampler, priv, m->next_pub))
        return;
    id_of_key(&m->next, m->next_pub, NULL);
    m->waiting = trigger_add(p->triggers, p->now, &m->next, 128, priv, m->next_pub, NULL, 0, INSERT_SHORTCUT) == 0;
    crypto_wipe(priv, sizeof(priv));
}

static void use_next(struct pump *p)
{
    struct sample *m = &p->sample;
    m->waiting = false;
    m->old = p->sides->session_id;
    m->retire_at = mono_add(p->now, RETIRE_AFTER);
    p->sides->session_id = m->next;
    peers_set_session_key(p->peers, m->next_pub);
}

void sample_turn(struct pump *p)
{
    struct sample *m = &p->sample;
    if (!m->sampler)
        return;
    if (mono_due(m->retire_at, p->now)) {
        trigger_remove(p->triggers, p->now, &m->old, 128, &p->out);
        m->retire_at = MONO_NEVER;
    }
    if (m->waiting && stands(p, &m->next))
        use_next(p);
    else if (!m->waiting && m->retire_at.us == MONO_NEVER.us)
        add_next(p);
}
