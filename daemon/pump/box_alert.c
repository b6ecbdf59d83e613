/* pump/box_alert.c - what a middle-box's programs report about packets, to whoever sends them (BOX_ALERT of middlebox/word.h).
 *
 *   verdict program ---> box ---> along the route ---> the daemon which opened it ---> log, i3ctl alerts; or on, in a session of its own, to the
 *                                                                                     friend whom the rule's `alerts` names
 */
#include "daemon/pump/box.h"

#include <stdio.h>

#include "daemon/base/log.h"

#define ALERT_PATIENCE (20 * USEC_PER_SEC)
#define ALERT_AGAIN    (500 * USEC_PER_MSEC)

enum { HEARD_BURST = 100 };

/* ---- we find something ---- */

void box_alert(struct pump *p, struct route *r, const char *text)
{
    struct box_word w = {.kind = BOX_ALERT, .time = p->wall};
    if (!budget_take(&r->alerts, p->now, USEC_PER_SEC / ALERTS_PER_S, ALERTS_BURST)) {
        p->boxes->count.alerts_dropped++;
        return;
    }
    p->boxes->count.alerts++;
    memcpy(w.key, p->identity.pub, KEY_LEN);
    snprintf(w.text, sizeof(w.text), "%s", text);
    struct side *s = place_side(p, r->end[0].at.place);
    if (s && s->group)
        memcpy(w.key, s->group->entry.key, KEY_LEN);
    box_say(p, &r->end[0], &w);
}

/* ---- others find something ---- */

static void pass_alert(struct pump *p, struct alert *a)
{
    uint8_t msg[BOX_WORD_MAX];
    struct box_word m = {.kind = BOX_ALERT, .time = a->time};
    struct overlay *o = overlay_of_key(p, a->to);
    struct peer *peer = peer_by_key(o->peers, a->to);
    memcpy(m.key, a->box, KEY_LEN);
    memcpy(m.text, a->text, sizeof(m.text));
    size_t len = box_word_encode(msg, sizeof(msg), &m);
    if (outbox_is_tight(&o->out))
        net_flush(o);
    if (!peer || mono_due(a->until, p->now) || (peer_is_standing(peer) && peer_say(o->peers, peer, p->now, msg, len, &o->out)))
        a->until = (mono_t){0};
    else
        peer_open(o->peers, peer, p->now, p->wall);
}

bool alerts_turn(struct pump *p)
{
    bool busy = false;
    for (unsigned i = 0; i < ALERTS_MAX; i++)
        if (p->boxes->alerts[i].until.us) {
            pass_alert(p, &p->boxes->alerts[i]);
            busy = true;
        }
    return busy;
}

/* NULL: there are too many. */
static struct alert *note_alert(struct pump *p, const uint8_t *about, const struct box_word *m)
{
    if (!budget_take(&p->boxes->heard, p->now, USEC_PER_SEC / ALERTS_PER_S, HEARD_BURST)) {
        p->boxes->count.alerts_dropped++;
        return NULL;
    }
    struct alert *a = &p->boxes->alerts[p->boxes->alerts_n++ % ALERTS_MAX];
    char box[BOOK_NAME_MAX + 1], name[BOOK_NAME_MAX + 1];
    *a = (struct alert){.time = m->time};
    memcpy(a->box, m->key, KEY_LEN);
    memcpy(a->about, about, KEY_LEN);
    memcpy(a->text, m->text, sizeof(a->text));
    log_warn("alert box=%s about=%s: %s", box_called(p, m->key, box), box_called(p, about, name), a->text);
    return a;
}

/* It stays here, or goes on to whom the rule says. */
void way_alert(struct pump *p, struct way *w, const struct box_word *m)
{
    struct alert *a = note_alert(p, w->key, m);
    const struct book_entry *e = !a ? NULL : w->alerts[0] && strcmp(w->alerts, "me") ? book_find(p->book, w->alerts) : NULL;
    if (!e || e->multicast || e->guest)
        return;
    memcpy(a->to, e->key, KEY_LEN);
    a->until = mono_add(p->now, ALERT_PATIENCE);
    p->boxes->due = mono_min(p->boxes->due, mono_add(p->now, ALERT_AGAIN));
    pass_alert(p, a);
}

void way_alert_passed_on(struct pump *p, const struct side *s, const struct peer *peer, const struct box_word *m)
{
    if (s->group || !names_is_friend(p, peer_key(peer)))
        return;
    note_alert(p, peer_key(peer), m);
}
