/* pump/box.c - routes: what their words do, and packets from one session into the next (pump/box.h). */
#include "daemon/pump/box.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/pump/share.h"

#define TURN_EVERY (10 * USEC_PER_SEC)
#define TURN_BUSY  (250 * USEC_PER_MSEC) /* while a way is being opened, or an alert waits */
#define ASK_PAUSE  (250 * USEC_PER_MSEC)

enum { ANSWERS_PER_S = 200, ANSWERS_BURST = 200 };

/* ---- start and end ---- */

int box_start(struct pump *p)
{
    p->boxes = calloc(1, sizeof(*p->boxes));
    if (!p->boxes || !(p->boxes->routes = routes_new()))
        return -ENOMEM;
    p->boxes->heard.credit = 10 * USEC_PER_SEC;
    p->boxes->answers.credit = ANSWERS_BURST * (USEC_PER_SEC / ANSWERS_PER_S);
    return p->config.n_middleboxes ? box_show_start(p) : 0;
}

void box_stop(struct pump *p)
{
    if (!p->boxes)
        return;
    box_show_stop(p);
    routes_free(p->boxes->routes);
    p->boxes->routes = NULL;
    ways_free(p);
    free(p->boxes);
    p->boxes = NULL;
}

struct side *place_side(const struct pump *p, uint64_t place)
{
    for (const struct overlay *o = NULL; (o = overlay_each(p, o));)
        for (struct side *s = o->sides; s; s = s->next)
            if (side_place(s) == place)
                return s;
    return NULL;
}

struct route *box_route(struct pump *p, uint32_t serial)
{
    return route_numbered(p->boxes->routes, serial);
}

static void forget(struct pump *p, struct route *r)
{
    p->boxes->sweep = true;
    way_lost_route(p, r);
    box_show_route_gone(p, r->serial);
    route_remove(p->boxes->routes, r);
}

void box_side_gone(struct side *s)
{
    struct pump *p = s->o->p;
    if (!p->boxes || !p->boxes->routes)
        return;
    for (struct route *r = route_first(p->boxes->routes), *next; r; r = next) {
        next = route_next(r);
        if (r->end[0].at.place == side_place(s) || r->end[1].at.place == side_place(s))
            forget(p, r);
    }
    ways_side_gone(s);
}

mono_t box_deadline(const struct pump *p)
{
    return mono_min(p->boxes->due, box_show_deadline(p));
}

/* Who was let in for the sake of a route or a way that is gone, and has no other business here, is forgotten. */
static void sweep(struct pump *p)
{
    p->boxes->sweep = false;
    for (struct overlay *o = NULL; (o = overlay_each(p, o));)
        for (struct side *s = o->sides; s; s = s->next)
            for (struct peer *peer = peer_next(s->peers, NULL), *next; peer && !s->retired; peer = next) {
                next = peer_next(s->peers, peer);
                if (!peer_addresses(peer).local && !names_may_talk(p, peer_key(peer)) && !strangers_has(p, peer_key(peer)))
                    peer_drop(s->peers, peer);
            }
}

void box_turn(struct pump *p)
{
    box_show_turn(p);
    if (!mono_due(p->boxes->due, p->now))
        return;
    bool busy = ways_turn(p);
    for (struct route *r = route_first(p->boxes->routes), *next; r; r = next) {
        next = route_next(r);
        if (mono_since(r->used, p->now) >= ROUTE_IDLE)
            forget(p, r);
    }
    if (p->boxes->sweep)
        sweep(p);
    bool any = p->boxes->n_ways || routes_count(p->boxes->routes);
    p->boxes->due = busy ? mono_add(p->now, TURN_BUSY) : any ? mono_add(p->now, TURN_EVERY) : MONO_NEVER;
}

/* ---- who ---- */

bool box_listed(const struct pump *p, const char list[][CONFIG_NAME_MAX + 1], unsigned n, const uint8_t key[KEY_LEN])
{
    uint8_t other[KEY_LEN];
    for (unsigned i = 0; i < n; i++) {
        const struct book_entry *e = book_find(p->book, list[i]);
        if (e ? !memcmp(e->key, key, KEY_LEN) : !key_parse(list[i], other) && !memcmp(other, key, KEY_LEN))
            return true;
    }
    return false;
}

bool box_may_use(const struct pump *p, const uint8_t key[KEY_LEN])
{
    return p->config.n_middleboxes && access_uses(p, ACCESS_BOX, key);
}

static bool may_be_next(const struct pump *p, const uint8_t key[KEY_LEN])
{
    const struct config_middlebox *m = p->config.middleboxes;
    return !m->n_next || box_listed(p, m->next, m->n_next, key);
}

/* The box before us, if we are the end; the ones that we use; of a box, who comes next in some route. */
bool box_knows(const struct pump *p, const uint8_t key[KEY_LEN])
{
    if (!p->boxes || !p->boxes->routes)
        return false;
    for (unsigned i = 0; i < p->boxes->n_ways; i++) {
        const struct way *w = p->boxes->way[i];
        if (w && ((w->boxes.n && !memcmp(w->boxes.box[0].key, key, KEY_LEN)) || !memcmp(w->called, key, KEY_LEN)))
            return true;
    }
    for (const struct route *r = route_first(p->boxes->routes); r; r = route_next(r))
        if (r->end[1].at.num && !memcmp(r->end[1].at.key, key, KEY_LEN))
            return true;
    return false;
}

/* ---- saying ---- */

static struct peer *end_peer(const struct pump *p, const struct route_end *e, struct side **s)
{
    *s = place_side(p, e->at.place);
    return *s ? peer_by_key((*s)->peers, e->at.key) : NULL;
}

void box_say(struct pump *p, const struct route_end *to, const struct box_word *w)
{
    uint8_t msg[BOX_WORD_MAX];
    struct side *s;
    struct peer *peer = end_peer(p, to, &s);
    struct box_word copy = *w;
    copy.num = to->at.num;
    size_t len = peer ? box_word_encode(msg, sizeof(msg), &copy) : 0;
    if (len && outbox_is_tight(&s->o->out))
        net_flush(s->o);
    if (len)
        peer_say(s->peers, peer, p->now, msg, len, &s->o->out);
}

static void say_close(struct pump *p, const struct route_end *to, uint8_t why, uint8_t hops)
{
    box_say(p, to, &(struct box_word){.kind = BOX_CLOSE, .why = why, .hops = hops});
}

/* To who sent us something about a route that we have not. */
static void close_unknown(struct side *s, const struct peer *peer, uint16_t num, uint8_t why)
{
    struct pump *p = s->o->p;
    struct route_end e = {.at = {.place = side_place(s), .num = num}};
    memcpy(e.at.key, peer_key(peer), KEY_LEN);
    if (budget_take(&p->boxes->answers, p->now, USEC_PER_SEC / ANSWERS_PER_S, ANSWERS_BURST))
        say_close(p, &e, why, 0);
}

uint16_t route_mtu(const struct pump *p, const struct route *r, unsigned end)
{
    struct side *s;
    const struct peer *peer = end_peer(p, &r->end[end], &s);
    uint16_t mtu = peer ? peer_mtu(peer) : 0, beyond = r->end[end].beyond;
    mtu = mtu > BOX_HEAD ? (uint16_t)(mtu - BOX_HEAD) : 0;
    return beyond < mtu ? beyond : mtu;
}

/* ---- opening ---- */

/* We stand in for a group whose key the far end knows: our own one, with which we call there, is shown to be a member's. */
static bool put_proof(struct pump *p, const struct route *r, struct box_word *w)
{
    const struct side *s = place_side(p, r->end[0].at.place);
    if (!s || !s->group || r->n_rest != 1)
        return true;
    w->flags |= BOX_PROVEN;
    memcpy(w->key, s->group->entry.key, KEY_LEN);
    return box_proof(w->mac, s->group->priv, r->rest[0].key, r->token, p->identity.pub);
}

void route_ask(struct pump *p, struct route *r)
{
    struct side *s;
    struct peer *next = end_peer(p, &r->end[1], &s);
    if (!next)
        return;
    const struct side *in = place_side(p, r->end[0].at.place);
    if (in && in->group && r->n_rest == 1 && r->end[0].at.num) {
        struct box_word who = {.kind = BOX_MEMBER};
        memcpy(who.token, r->token, sizeof(who.token));
        memcpy(who.key, p->identity.pub, KEY_LEN);
        box_say(p, &r->end[0], &who);
    }
    if (!peer_is_standing(next)) {
        peer_open(s->peers, next, p->now, p->wall);
        return;
    }
    bool here = !r->end[0].at.num;
    struct box_word w = {.kind = BOX_OPEN, .flags = r->flags, .n = r->n_rest - 1};
    w.mtu = here ? UINT16_MAX : route_mtu(p, r, 0);
    memcpy(w.token, r->token, sizeof(w.token));
    memcpy(w.rest, r->rest + 1, w.n * sizeof(w.rest[0]));
    if (!put_proof(p, r, &w))
        return;
    r->asked = true;
    r->asked_at = p->now;
    r->tries++;
    box_say(p, &r->end[1], &w);
}

/* Whoever may not use us any more, or may not go on to where it goes, hears of it. */
void box_recheck(struct pump *p)
{
    for (struct route *r = p->boxes ? route_first(p->boxes->routes) : NULL, *next; r; r = next) {
        next = route_next(r);
        if (!r->end[0].at.num || !r->end[1].at.num)
            continue;
        bool may = box_may_use(p, r->end[0].at.key);
        if (may && may_be_next(p, r->end[1].at.key))
            continue;
        say_close(p, &r->end[0], may ? BOX_NOT_NEXT : BOX_DENIED, 0);
        forget(p, r);
    }
}

/* The end of the way: whose it is, the token says. */
static void open_here(struct side *s, struct peer *peer, const struct box_word *m)
{
    struct pump *p = s->o->p;
    uint8_t mac[BOX_PROOF_LEN];
    struct way *w = way_by_token(p, s->o, m->token);
    const uint8_t *key = peer_key(peer);
    bool itself = w && w->boxes.n && !memcmp(w->boxes.box[0].key, key, KEY_LEN);
    bool member = w && !itself && m->flags & BOX_PROVEN && !memcmp(w->boxes.box[0].key, m->key, KEY_LEN) &&
                  box_proof(mac, w->s->group ? w->s->group->priv : p->identity.priv, m->key, m->token, key) && crypto_equal(mac, m->mac, sizeof(mac));
    if (!itself && !member) {
        close_unknown(s, peer, m->num, BOX_NO_SESSION);
        return;
    }
    struct route_at there = {.place = side_place(s), .num = m->num}, here = {.place = side_place(w->s)};
    memcpy(there.key, key, KEY_LEN);
    memcpy(here.key, w->key, KEY_LEN);
    unsigned end;
    struct route *r = route_find(p->boxes->routes, &there, &end), *old = route_find(p->boxes->routes, &here, &end);
    if (r && r != old)
        forget(p, r);
    if (old && old != r)
        forget(p, old);
    if (!r || r != old)
        r = route_add(p->boxes->routes, &there, &here, p->now);
    if (!r) {
        close_unknown(s, peer, m->num, BOX_FULL);
        return;
    }
    memcpy(r->token, m->token, sizeof(r->token));
    r->end[0].beyond = m->mtu;
    r->used = p->now;
    r->open = true;
    w->route = r;
    box_say(p, &r->end[0], &(struct box_word){.kind = BOX_OPENED, .mtu = UINT16_MAX});
    way_opened(p, w);
}

static bool is_ours(const struct pump *p, const uint8_t key[KEY_LEN])
{
    for (const struct overlay *o = p->overlays; o; o = o->next)
        for (const struct side *s = o->sides; s; s = s->next)
            if (s->group && !memcmp(s->group->entry.key, key, KEY_LEN))
                return true;
    return !memcmp(p->identity.pub, key, KEY_LEN);
}

static bool goes_round(const struct pump *p, const uint8_t *from, const struct box_word *m)
{
    for (unsigned i = 0; i < m->n; i++) {
        if (is_ours(p, m->rest[i].key) || !memcmp(from, m->rest[i].key, KEY_LEN))
            return true;
        for (unsigned j = 0; j < i; j++)
            if (!memcmp(m->rest[i].key, m->rest[j].key, KEY_LEN))
                return true;
    }
    return false;
}

static struct route *route_through(struct side *s, const struct peer *peer, const struct box_word *m, uint8_t *why)
{
    struct pump *p = s->o->p;
    struct side *out = s->o->sides; /* a group's member makes no sessions under the group's key */
    struct route_at from = {.place = side_place(s), .num = m->num}, to = {.place = side_place(out)};
    memcpy(from.key, peer_key(peer), KEY_LEN);
    memcpy(to.key, m->rest[0].key, KEY_LEN);
    unsigned end;
    struct route *r = route_find(p->boxes->routes, &from, &end);
    bool same = r && !memcmp(r->token, m->token, sizeof(m->token)) && r->n_rest == m->n && !memcmp(r->rest, m->rest, m->n * sizeof(m->rest[0]));
    if (same && end == 0)
        return r;
    if (r)
        forget(p, r);
    struct peer *next = peer_get(out->peers, to.key, 0);
    *why = next ? BOX_FULL : BOX_LOOP;
    if (!next || !route_number(p->boxes->routes, p->identity.pub, &to) || !(r = route_add(p->boxes->routes, &from, &to, p->now)))
        return NULL;
    static const uint8_t none[MEMBER_LEN];
    if (memcmp(m->rest[0].member, none, MEMBER_LEN))
        peer_set_near(next, m->rest[0].member, MEMBER_LEN);
    memcpy(r->token, m->token, sizeof(r->token));
    r->flags = m->flags & BOX_ANONYMOUS;
    r->n_rest = m->n;
    memcpy(r->rest, m->rest, sizeof(r->rest));
    r->alerts.credit = ALERTS_BURST * (USEC_PER_SEC / ALERTS_PER_S);
    p->boxes->count.opened++;
    return r;
}

static void on_open(struct side *s, struct peer *peer, const struct box_word *m)
{
    struct pump *p = s->o->p;
    uint8_t why = BOX_DENIED;
    bool upper = memcmp(peer_key(peer), s->key, KEY_LEN) >= 0;
    if (upper != (m->num >= 0x8000)) {
        p->count.packets_bad++; /* a number that is ours to give */
        return;
    }
    if (!m->n) {
        open_here(s, peer, m);
        return;
    }
    bool may = box_may_use(p, peer_key(peer));
    if (may && goes_round(p, peer_key(peer), m))
        why = BOX_LOOP;
    else if (may && !may_be_next(p, m->rest[0].key))
        why = BOX_NOT_NEXT;
    struct route *r = may && why == BOX_DENIED ? route_through(s, peer, m, &why) : NULL;
    if (!r) {
        p->boxes->count.refused++;
        close_unknown(s, peer, m->num, why);
        return;
    }
    r->end[0].beyond = m->mtu;
    r->used = p->now;
    p->boxes->due = mono_min(p->boxes->due, mono_add(p->now, TURN_EVERY));
    route_ask(p, r);
}

/* ---- answers ---- */

static struct way *way_of_end(const struct pump *p, const struct route_end *e)
{
    const struct side *s = e->at.num ? NULL : place_side(p, e->at.place);
    return s ? way_find(p, s, e->at.key) : NULL;
}

/* What lies at that end has another size: who is at the other one hears it. */
static void pass_size(struct pump *p, struct route *r, unsigned end, enum box_kind kind)
{
    struct way *w = way_of_end(p, &r->end[1 - end]);
    if (w && kind == BOX_OPENED)
        way_opened(p, w);
    else if (w)
        way_sized(p, w);
    else if (r->end[1 - end].at.num)
        box_say(p, &r->end[1 - end], &(struct box_word){.kind = kind, .mtu = route_mtu(p, r, end)});
}

static void on_size(struct pump *p, struct route *r, unsigned end, const struct box_word *m)
{
    if (m->kind == BOX_OPENED && end == 0)
        return;
    r->end[end].beyond = m->mtu;
    if (m->kind == BOX_OPENED) {
        r->open = true;
        r->tries = 0;
    }
    pass_size(p, r, end, m->kind);
}

static void on_close(struct pump *p, struct route *r, unsigned end, const struct box_word *m)
{
    struct way *w = way_of_end(p, &r->end[1 - end]);
    if (end == 1 && m->why == BOX_UNKNOWN) { /* it has begun anew; so can we */
        r->open = false;
        if (!r->asked_at.us || mono_since(r->asked_at, p->now) >= ASK_PAUSE)
            route_ask(p, r);
        return;
    }
    if (!w && r->end[1 - end].at.num)
        say_close(p, &r->end[1 - end], m->why, (uint8_t)(m->hops + (m->hops < UINT8_MAX)));
    forget(p, r);
    if (w)
        way_closed(p, w, m->why, m->hops);
}

static void on_route_word(struct pump *p, struct route *r, unsigned end, const struct box_word *m)
{
    struct way *w = way_of_end(p, &r->end[1 - end]);
    switch (m->kind) {
    case BOX_OPENED:
    case BOX_MTU:
        on_size(p, r, end, m);
        return;
    case BOX_CLOSE:
        on_close(p, r, end, m);
        return;
    case BOX_MEMBER:
        if (end == 1 && w) {
            memcpy(w->called, m->key, KEY_LEN);
            way_introduce(p, w);
        } else if (end == 1) {
            box_say(p, &r->end[0], m);
        }
        return;
    case BOX_ALERT:
        if (end == 1 && w)
            way_alert(p, w, m);
        else if (end == 1)
            box_say(p, &r->end[0], m);
        return;
    case BOX_OPEN:
    case BOX_INTRODUCE:
    case BOX_IMPOSE:
    case BOX_ASK:
        return;
    }
}

/* Between the two ends. */
static void on_end_word(struct side *s, struct peer *peer, const struct box_word *m)
{
    struct pump *p = s->o->p;
    struct way *w = way_of(p, peer);
    if (m->kind == BOX_IMPOSE)
        way_imposed(p, s, peer, m);
    else if (m->kind == BOX_ALERT)
        way_alert_passed_on(p, s, peer, m);
    else if (m->kind == BOX_ASK && w)
        way_asked(p, w);
    else if (m->kind == BOX_INTRODUCE && w && !memcmp(w->boxes.token, m->token, sizeof(m->token)))
        memcpy(w->called, m->key, KEY_LEN);
}

void box_word(struct side *s, struct peer *peer, const uint8_t *msg, size_t len)
{
    struct pump *p = s->o->p;
    struct box_word m;
    if (box_word_decode(msg, len, &m)) {
        p->count.packets_bad++;
        return;
    }
    if (m.kind == BOX_OPEN) {
        on_open(s, peer, &m);
        return;
    }
    if (!m.num) {
        on_end_word(s, peer, &m);
        return;
    }
    struct route_at at = {.place = side_place(s), .num = m.num};
    unsigned end;
    memcpy(at.key, peer_key(peer), KEY_LEN);
    struct route *r = route_find(p->boxes->routes, &at, &end);
    if (r)
        on_route_word(p, r, end, &m);
}

/* ---- packets ---- */

void box_forward(struct pump *p, struct route *r, unsigned out, uint8_t *word, size_t len)
{
    struct side *s;
    struct peer *next = end_peer(p, &r->end[out], &s);
    if (!next) {
        r->dropped++;
        p->boxes->count.dropped++;
        return;
    }
    struct overlay *o = s->o;
    if (outbox_is_tight(&o->out) || PUMP_SEAL_BUF - o->sealed < PUMP_PACKET_MAX)
        net_flush(o);
    box_put_head(word, r->end[out].at.num);
    struct iovec v = {word, len};
    ssize_t sealed = len <= PUMP_PACKET_MAX - 256 ? peer_seal(s->peers, next, p->now, p->wall, &v, 1, o->seal + o->sealed + o->kind->headroom, PUMP_SEAL_BUF - o->sealed - o->kind->headroom) : -EMSGSIZE;
    if (sealed > 0) {
        net_push_sealed(s, next, (size_t)sealed, ip_ecn(word + BOX_HEAD));
        p->boxes->count.packets++;
        p->boxes->count.bytes += len - BOX_HEAD;
        return;
    }
    r->dropped++;
    p->boxes->count.dropped++;
    if (sealed == -EMSGSIZE) {
        p->boxes->count.too_large++;
        pass_size(p, r, out, BOX_MTU);
    }
}

/* At the end of the way it counts as if it had come in the session with the other end. */
static void arrived(struct pump *p, const struct route_end *here, uint8_t *packet, size_t len)
{
    struct side *s;
    struct peer *peer = end_peer(p, here, &s);
    const struct way *w = peer ? way_of(p, peer) : NULL;
    if (!w || !peer_by_boxes(peer) || !peer_is_standing(peer) || !way_suffices(p, w)) {
        p->boxes->count.refused++;
        return;
    }
    peer_routed_in(s->peers, peer, p->now, len);
    net_routed_in(p, s, peer, packet, len);
}

void box_data(struct side *s, struct peer *peer, uint8_t ecn, uint8_t *msg, size_t len)
{
    struct pump *p = s->o->p;
    struct route_at at = {.place = side_place(s)};
    unsigned in;
    if (len < BOX_HEAD + 20 || !ip_take_ecn(msg + BOX_HEAD, len - BOX_HEAD, ecn)) {
        p->count.packets_bad++;
        return;
    }
    at.num = box_num(msg);
    memcpy(at.key, peer_key(peer), KEY_LEN);
    struct route *r = at.num ? route_find(p->boxes->routes, &at, &in) : NULL;
    if (!r) {
        p->boxes->count.unknown++;
        close_unknown(s, peer, at.num, BOX_UNKNOWN);
        return;
    }
    struct route_end *out = &r->end[1 - in];
    r->used = p->now;
    r->end[in].packets++;
    r->end[in].bytes += len - BOX_HEAD;
    if (!out->at.num)
        arrived(p, out, msg + BOX_HEAD, len - BOX_HEAD);
    else if (!p->boxes->show || box_show(p, r, in, msg, len))
        box_forward(p, r, 1 - in, msg, len);
}

/* ---- sessions come and go ---- */

static bool end_is(const struct route_end *e, const struct side *s, const uint8_t *key)
{
    return e->at.num && e->at.place == side_place(s) && !memcmp(e->at.key, key, KEY_LEN);
}

static void routes_event(struct pump *p, const struct side *s, const struct peer_event *e)
{
    const uint8_t *key = peer_key(e->peer);
    for (struct route *r = route_first(p->boxes->routes), *next; r; r = next) {
        next = route_next(r);
        unsigned end = end_is(&r->end[1], s, key);
        if (!end && !end_is(&r->end[0], s, key))
            continue;
        if (e->kind == PEER_MTU || e->kind == PEER_UP)
            pass_size(p, r, end, BOX_MTU);
        if (e->kind == PEER_UP && end && (!r->open || e->anew || e->moved))
            route_ask(p, r);
        if (e->kind == PEER_UNREACHABLE && end && r->end[0].at.num) {
            say_close(p, &r->end[0], BOX_UNREACHABLE, 0);
            forget(p, r);
        }
    }
}

bool box_event(struct pump *p, const struct side *s, const struct peer_event *e)
{
    if (!p->boxes)
        return false;
    routes_event(p, s, e);
    if (e->kind == PEER_UP)
        boxes_up(p, s, e->peer, e->anew || e->moved);
    return e->kind == PEER_UNREACHABLE && way_unreachable(p, s, e->peer);
}
