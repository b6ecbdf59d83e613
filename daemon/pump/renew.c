/* pump/renew.c - the private ids of a side change in a hurry, since somebody who knows them shall have them no more (drop.c): paper 4.1.
 *
 * All private ids of a side have one prefix, and one trigger (the paper's "shared trigger": what a host says of it costs a refresh for all
 * together). So the one bad peer cannot be cut off by itself; instead the good ones move away, make before break:
 *
 *     the trigger of a fresh key stands          0.1 s
 *     all others make a new session              a round trip: they are told ids with the new prefix; what is on its way still comes
 *     the last one uses it, or RENEW_PATIENCE    the old trigger goes, and whoever sends there sends to nobody: the node drops it
 *
 * Who has been asleep meanwhile hears from the node that the id is gone, and makes a new session when it has something to say. The ids before
 * the last change (sample.c), which still had a trigger, go as well.
 */
#include "daemon/pump/impl.h"

#include "daemon/base/log.h"

#define RENEW_PATIENCE (3 * USEC_PER_SEC)
#define RENEW_LOOK     (20 * USEC_PER_MSEC)

void renew_begin(struct side *s)
{
    struct overlay *o = s->o;
    struct renewal *r = &s->renewal;
    uint8_t priv[KEY_LEN];
    if (r->waiting || r->moving) {
        r->again |= r->moving; /* the next key has been told to some, perhaps to the wrong one */
        return;
    }
    drbg_draw(&o->p->random, priv, sizeof(priv));
    x25519_public(r->next_pub, priv);
    id_of_key(&r->next, r->next_pub, NULL);
    r->began = o->p->now;
    r->waiting = overlay_announce(o, &r->next, 128, priv, r->next_pub, INSERT_SHORTCUT | INSERT_ALONE) == 0;
    crypto_wipe(priv, sizeof(priv));
}

static void move(struct side *s)
{
    struct overlay *o = s->o;
    struct renewal *r = &s->renewal;
    r->waiting = false;
    r->moving = true;
    r->n_old = 0;
    r->old[r->n_old++] = s->session_id;
    if (s == o->sides)
        r->n_old += overlay_replaced(o, &r->next, &r->old[1]);
    s->session_id = r->next;
    peers_set_session_key(s->peers, r->next_pub);
    peers_renew(s->peers, o->p->now);
    r->until = mono_add(o->p->now, RENEW_PATIENCE);
}

static void leave(struct side *s)
{
    struct overlay *o = s->o;
    struct renewal *r = &s->renewal;
    char id[ID_STR];
    for (unsigned i = 0; i < r->n_old; i++)
        overlay_withdraw(o, &r->old[i], 128);
    r->moving = false;
    log_info("private ids changed: the old trigger is gone id=%s ms=%u behind=%u", id_short(&r->old[0], id),
        (unsigned)(mono_since(r->began, o->p->now) / USEC_PER_MSEC), peers_behind(s->peers, o->p->now));
    if (r->again) {
        r->again = false;
        renew_begin(s);
    }
}

void renew_turn(struct overlay *o)
{
    for (struct side *s = o->sides; s; s = s->next) {
        struct renewal *r = &s->renewal;
        if (r->waiting && overlay_stands(o, &r->next))
            move(s);
        else if (r->moving && (mono_due(r->until, o->p->now) || !peers_behind(s->peers, o->p->now)))
            leave(s);
    }
}

mono_t renew_deadline(const struct overlay *o)
{
    for (const struct side *s = o->sides; s; s = s->next)
        if (s->renewal.moving)
            return mono_add(o->p->now, RENEW_LOOK);
    return MONO_NEVER;
}

bool renew_runs(const struct side *s)
{
    return s->renewal.waiting || s->renewal.moving;
}

void renew_stop(struct side *s)
{
    struct overlay *o = s->o;
    struct renewal *r = &s->renewal;
    if (r->waiting)
        overlay_withdraw(o, &r->next, 128);
    for (unsigned i = 0; r->moving && i < r->n_old; i++)
        overlay_withdraw(o, &r->old[i], 128);
    *r = (struct renewal){0};
}
