/* pump/box_way.c - ways: by which boxes the packets of a peer go, who says so, and how their route stands (pump/box.h).
 *
 *   rule: through = {...}       our INIT names the boxes, from the first on
 *   the peer's INIT names some  we are the other end: ours go the same way back, and the route is the other's to open
 *   the peer IMPOSEs some       we make a session anew, by them; if a box does not answer, by the next of those that would do
 *   our require_through         what we begin goes by the first of those; who comes without one is told
 *
 * Whoever asks for boxes opens the route; where those serve the other end only, that does (word ASK). Where both ends name boxes, the one with the smaller key opens the route, if the lists are the same; else each insists on its own.
 */
#include "daemon/pump/box.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/pump/anon.h"
#include "daemon/pump/policy.h"

#define OPEN_REPEAT   (500 * USEC_PER_MSEC)
#define OPEN_MAX      (4 * USEC_PER_SEC)
#define REFUSED_PAUSE (5 * USEC_PER_SEC)
#define IMPOSE_PAUSE  (5 * USEC_PER_SEC)
#define ASK_OTHER     (1 * USEC_PER_SEC)
#define CHECK_WAIT    (1500 * USEC_PER_MSEC)
#define STALE         (150 * USEC_PER_SEC) /* boxes forget after ROUTE_IDLE */

enum { OPEN_TRIES = 10, DOUBT_TRIES = 2, IMPOSES_PER_S = 20, IMPOSES_BURST = 50 };

static const uint8_t no_key[KEY_LEN];

const char *way_origin_name(enum way_origin o)
{
    static const char *const names[] = {
        [WAY_THEIRS] = "the peer", [WAY_REQUIRED] = "require_through", [WAY_IMPOSED] = "the peer's require_through", [WAY_RULE] = "a rule"};
    static_assert(ARRAY_LEN(names) == WAY_ORIGINS, "name all");
    return names[o];
}

const char *box_called(const struct pump *p, const uint8_t *key, char out[BOOK_NAME_MAX + 1])
{
    const struct book_entry *e = names_entry(p, key);
    struct i3_id id;
    char s[ID_STR];
    id_of_key(&id, key, NULL);
    snprintf(out, BOOK_NAME_MAX + 1, "%s", e ? e->name : id_short(&id, s));
    return out;
}

/* ---- which ---- */

struct way *way_of(const struct pump *p, const struct peer *peer)
{
    uint32_t i = peer_box(peer);
    struct way *w = p->boxes && i && i <= p->boxes->n_ways ? p->boxes->way[i - 1] : NULL;
    return w && !memcmp(w->key, peer_key(peer), KEY_LEN) ? w : NULL;
}

struct way *way_find(const struct pump *p, const struct side *s, const uint8_t key[KEY_LEN])
{
    struct peer *peer = peer_by_key(s->peers, key);
    return peer ? way_of(p, peer) : NULL;
}

struct way *way_by_token(const struct pump *p, const struct overlay *o, const uint8_t token[BOXES_TOKEN_LEN])
{
    for (unsigned i = 0; i < p->boxes->n_ways; i++) {
        struct way *w = p->boxes->way[i];
        if (w && w->s->o == o && crypto_equal(w->boxes.token, token, BOXES_TOKEN_LEN))
            return w;
    }
    return NULL;
}

static struct peer *way_peer(const struct way *w)
{
    return peer_by_key(w->s->peers, w->key);
}

/* ---- made, changed, gone ---- */

static void route_drop(struct pump *p, struct way *w)
{
    struct route *r = w->route;
    w->route = NULL;
    w->mtu = 0;
    if (r)
        route_remove(p->boxes->routes, r);
}

void way_lost_route(struct pump *p, const struct route *r)
{
    for (unsigned i = 0; i < p->boxes->n_ways; i++) {
        struct way *w = p->boxes->way[i];
        if (!w || w->route != r)
            continue;
        w->route = NULL;
        w->mtu = 0;
        if (w->state == WAY_OPEN)
            w->state = WAY_IDLE;
    }
}

static void way_end(struct pump *p, unsigned i)
{
    struct way *w = p->boxes->way[i];
    struct peer *peer = way_peer(w);
    route_drop(p, w);
    p->boxes->way[i] = NULL;
    p->boxes->sweep = true;
    while (p->boxes->n_ways && !p->boxes->way[p->boxes->n_ways - 1])
        p->boxes->n_ways--;
    if (peer && peer_box(peer) == i + 1) {
        peer_set_box(peer, 0);
        peer_set_boxes(w->s->peers, peer, &(struct peer_boxes){0});
    }
    free(w);
}

void ways_free(struct pump *p)
{
    for (unsigned i = 0; i < WAYS_MAX; i++) {
        free(p->boxes->way[i]);
        p->boxes->way[i] = NULL;
    }
    p->boxes->n_ways = 0;
}

void ways_side_gone(struct side *s)
{
    struct pump *p = s->o->p;
    for (unsigned i = p->boxes->n_ways; i-- > 0;)
        if (p->boxes->way[i] && p->boxes->way[i]->s == s)
            way_end(p, i);
}

static struct way *way_new(struct side *s, struct peer *peer)
{
    struct boxes *b = s->o->p->boxes;
    unsigned i = 0;
    while (i < WAYS_MAX && b->way[i])
        i++;
    struct way *w = i < WAYS_MAX ? calloc(1, sizeof(*w)) : NULL;
    if (!w)
        return NULL;
    b->way[i] = w;
    if (i >= b->n_ways)
        b->n_ways = i + 1;
    w->s = s;
    w->changed = w->asked_other = MONO_NEVER;
    memcpy(w->key, peer_key(peer), KEY_LEN);
    peer_set_box(peer, i + 1);
    b->due = mono_min(b->due, s->o->p->now);
    return w;
}

static bool same_boxes(const struct peer_boxes *a, const struct peer_boxes *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (memcmp(a->box[i].key, b->box[i].key, KEY_LEN))
            return false;
    return true;
}

static void say_way(struct pump *p, const struct way *w)
{
    char to[BOOK_NAME_MAX + 1], names[BOXES_MAX * (BOOK_NAME_MAX + 2)] = "", one[BOOK_NAME_MAX + 1];
    for (unsigned i = 0; i < w->boxes.n; i++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", i ? "," : "", box_called(p, w->boxes.box[i].key, one));
    log_info("way to=%s boxes=%s as said by %s", box_called(p, w->key, to), names, way_origin_name(w->origin));
}

/* These from now on. The session is made anew, so that the other end knows. */
static void way_set(struct pump *p, struct way *w, const struct peer_boxes *boxes, enum way_origin origin)
{
    struct peer *peer = way_peer(w);
    route_drop(p, w);
    p->boxes->sweep = true;
    w->boxes = *boxes;
    w->origin = origin;
    w->passive = origin == WAY_THEIRS;
    w->state = WAY_IDLE;
    w->tries = w->failures = 0;
    w->changed = p->now;
    w->checking = false;
    memset(w->called, 0, KEY_LEN);
    if (!w->passive)
        drbg_draw(&p->random, w->boxes.token, sizeof(w->boxes.token));
    say_way(p, w);
    if (!peer)
        return;
    peer_set_boxes(w->s->peers, peer, &w->boxes);
    if (!w->passive && peer_is_standing(peer))
        peer_open_anew(w->s->peers, peer, p->now);
}

static unsigned place_of(const struct pump *p, const struct way *w)
{
    unsigned i = 0;
    while (i < p->boxes->n_ways && p->boxes->way[i] != w)
        i++;
    return i;
}

static void way_remove(struct pump *p, struct way *w)
{
    struct side *s = w->s;
    struct peer *peer = way_peer(w);
    bool tell = !w->passive;
    way_end(p, place_of(p, w));
    if (peer && tell && peer_is_standing(peer))
        peer_open_anew(s->peers, peer, p->now);
}

/* ---- what we want ---- */

/* A name that nobody has keeps its place, as a key that nobody has: rather no way than one that was not meant. */
static void key_of(struct pump *p, const struct side *s, const char *name, uint8_t key[KEY_LEN])
{
    const struct book_entry *e = book_find(p->book, name);
    memset(key, 0, KEY_LEN);
    if (e && !e->multicast && twin_entry_in(p, anon_ring(s->o), e->key))
        memcpy(key, e->key, KEY_LEN);
    else if (!e && key_parse(name, key))
        memset(key, 0, KEY_LEN);
}

void box_want(struct side *s, struct peer *peer, const char names[][CONFIG_NAME_MAX + 1], unsigned n, bool anonymous, const char *alerts)
{
    struct pump *p = s->o->p;
    struct peer_boxes boxes = {.n = n < BOXES_MAX ? n : BOXES_MAX};
    struct way *w = p->boxes ? way_of(p, peer) : NULL;
    for (unsigned i = 0; i < boxes.n; i++)
        key_of(p, s, names[i], boxes.box[i].key);
    if (!p->boxes || (!w && !n))
        return;
    if (!n) {
        w->anonymous = anonymous;
        if (w->origin == WAY_RULE)
            way_remove(p, w);
        return;
    }
    bool fresh = !w;
    if (fresh && !(w = way_new(s, peer))) {
        log_error("way: more than %d peers with middle-boxes", WAYS_MAX);
        return;
    }
    w->anonymous = anonymous;
    snprintf(w->alerts, sizeof(w->alerts), "%s", alerts);
    /* an imposed box may stand behind ours */
    bool same = !fresh && w->origin == WAY_RULE && boxes.n <= w->boxes.n && boxes.n + (w->n_choice > 0) >= w->boxes.n && same_boxes(&boxes, &w->boxes, boxes.n);
    if (!same)
        way_set(p, w, &boxes, WAY_RULE);
}

/* A box itself is reached without boxes, whatever rules fit its name. */
static bool is_box(const struct pump *p, const struct book_entry *e)
{
    for (unsigned i = 0; i < p->config.n_rules; i++)
        for (unsigned j = 0; j < p->config.rules[i].n_through; j++)
            if (!strcmp(p->config.rules[i].through[j], e->name))
                return true;
    return false;
}

void box_policy(struct side *s, struct peer *peer, const struct book_entry *e)
{
    const struct pump *p = s->o->p;
    const struct config_rule *r = s->group || is_box(p, e) ? NULL : policy_through(p, e);
    box_want(s, peer, r ? r->through : NULL, r ? r->n_through : 0, s->o->anon != NULL, r ? r->alerts : "");
}

/* ---- what our server requires ---- */

bool way_suffices(const struct pump *p, const struct way *w)
{
    const struct config_require *q = &p->config.require;
    return !q->n || (w->boxes.n && box_listed(p, q->by, q->n, w->boxes.box[0].key));
}

static bool is_required(const struct pump *p, const struct side *s, const struct peer *peer)
{
    const struct config_require *q = &p->config.require;
    return q->n && !s->retired && !box_listed(p, q->by, q->n, peer_key(peer));
}

/* One that others come by, if under its daemon's own key: it need not come by itself. Its own packets are not taken all the same. */
static bool is_hop(const struct pump *p, const uint8_t *key)
{
    for (unsigned i = 0; i < p->boxes->n_ways; i++) {
        const struct way *w = p->boxes->way[i];
        if (w && (!memcmp(w->called, key, KEY_LEN) || (w->boxes.n && !memcmp(w->boxes.box[0].key, key, KEY_LEN))))
            return true;
    }
    return false;
}

/* Those who come without one hear of it. */
static void impose(struct pump *p, const struct side *s, struct peer *peer)
{
    uint8_t msg[BOX_WORD_MAX];
    struct box_word m = {.kind = BOX_IMPOSE};
    const struct config_require *q = &p->config.require;
    if (is_hop(p, peer_key(peer)))
        return;
    for (unsigned i = 0; i < q->n && m.n < BOX_IMPOSED_MAX; i++) {
        key_of(p, s, q->by[i], m.keys[m.n]);
        m.n += memcmp(m.keys[m.n], no_key, KEY_LEN) != 0;
    }
    size_t len = m.n ? box_word_encode(msg, sizeof(msg), &m) : 0;
    if (len && outbox_is_tight(&s->o->out))
        net_flush(s->o);
    if (len && budget_take(&p->boxes->answers, p->now, USEC_PER_SEC / IMPOSES_PER_S, IMPOSES_BURST))
        peer_say(s->peers, peer, p->now, msg, len, &s->o->out);
}

bool box_bypassed(struct pump *p, const struct side *s, const struct peer *peer)
{
    const struct way *w = peer_box(peer) ? way_of(p, peer) : NULL;
    bool required = p->config.require.n && is_required(p, s, peer);
    if (!w && !required)
        return false;
    p->boxes->count.bypassed++;
    if (required && !(w && way_suffices(p, w) && peer_by_boxes(peer)))
        impose(p, s, (struct peer *)peer);
    return true;
}

/* What we begin goes by the first of them. */
static struct way *way_required(const struct side *s, struct peer *peer)
{
    struct pump *p = s->o->p;
    struct peer_boxes boxes = {.n = 1};
    struct way *w = is_required(p, s, peer) ? way_new((struct side *)s, peer) : NULL;
    if (!w)
        return NULL;
    key_of(p, s, p->config.require.by[0], boxes.box[0].key);
    way_set(p, w, &boxes, WAY_REQUIRED);
    return w;
}

/* ---- what others say ---- */

static void reversed(const struct peer_boxes *theirs, struct peer_boxes *mine)
{
    *mine = *theirs;
    for (unsigned i = 0; i < theirs->n; i++)
        mine->box[i] = theirs->box[theirs->n - 1 - i];
}

void box_named(struct side *s, struct peer *peer, const struct peer_boxes *theirs)
{
    struct pump *p = s->o->p;
    struct way *w = p->boxes ? way_of(p, peer) : NULL;
    struct peer_boxes mine;
    peer_set_by_boxes(peer, false);
    if (!p->boxes)
        return;
    if (!theirs->n) {
        if (w && w->origin == WAY_THEIRS)
            way_end(p, place_of(p, w));
        return;
    }
    reversed(theirs, &mine);
    bool ours = w && w->origin != WAY_THEIRS, fits = w && w->boxes.n <= mine.n && same_boxes(&w->boxes, &mine, w->boxes.n);
    bool known = w && fits && w->boxes.n == mine.n && crypto_equal(w->boxes.token, mine.token, sizeof(mine.token));
    bool first = memcmp(s->key, peer_key(peer), KEY_LEN) < 0;
    if (ours && !known && (!fits || (w->boxes.n == mine.n && first)))
        return; /* we insist: our own INIT follows */
    if (!w && !(w = way_new(s, peer)))
        return;
    if (!known) {
        enum way_origin origin = ours ? w->origin : WAY_THEIRS;
        way_set(p, w, &mine, WAY_THEIRS);
        w->origin = origin;
    }
    peer_set_boxes(s->peers, peer, &w->boxes);
    peer_set_by_boxes(peer, true);
}

static bool choose(struct pump *p, struct way *w)
{
    struct peer_boxes boxes = w->boxes;
    if (!w->n_choice)
        return false;
    bool behind_ours = w->origin == WAY_RULE;
    unsigned chosen = w->chosen, failures = w->failures;
    unsigned last = boxes.n ? boxes.n - 1 : 0;
    if (!behind_ours)
        boxes.n = 1, last = 0;
    boxes.box[last] = (struct peer_box){0};
    memcpy(boxes.box[last].key, w->choice[chosen % w->n_choice], KEY_LEN);
    way_set(p, w, &boxes, w->origin == WAY_RULE ? WAY_RULE : WAY_IMPOSED);
    w->failures = failures;
    return true;
}

/* Each once, before whoever waits hears that it cannot be. */
static bool choose_next(struct pump *p, struct way *w)
{
    if (w->n_choice < 2 || ++w->failures >= w->n_choice) {
        w->failures = 0;
        return false;
    }
    w->chosen++;
    return choose(p, w);
}

void way_imposed(struct pump *p, struct side *s, struct peer *peer, const struct box_word *m)
{
    struct way *w = way_of(p, peer);
    char name[BOOK_NAME_MAX + 1];
    if (w && w->changed.us != MONO_NEVER.us && mono_since(w->changed, p->now) < IMPOSE_PAUSE)
        return;
    for (unsigned i = 0; w && i < m->n && w->boxes.n; i++)
        if (!memcmp(w->boxes.box[w->boxes.n - 1].key, m->keys[i], KEY_LEN)) {
            if (peer_by_boxes(peer))
                return;
            peer_open_anew(s->peers, peer, p->now); /* it goes by that one already; the peer has not heard of it */
            return;
        }
    bool behind_ours = w && w->origin == WAY_RULE;
    if (behind_ours && w->boxes.n == BOXES_MAX) {
        log_warn("peer=%s asks for one more middle-box, and there are %d already", box_called(p, w->key, name), BOXES_MAX);
        return;
    }
    if (!w && !(w = way_new(s, peer)))
        return;
    w->n_choice = m->n;
    memcpy(w->choice, m->keys, sizeof(w->choice));
    w->chosen = w->failures = 0;
    if (behind_ours)
        w->boxes.n++;
    else
        w->origin = WAY_IMPOSED;
    log_info("peer=%s takes packets only by middle-boxes: it is reached by one of them from now on", box_called(p, w->key, name));
    choose(p, w);
}

/* ---- the route ---- */

/* The other end opens it; it may not know that we miss it. */
static void ask_other(struct pump *p, struct way *w)
{
    uint8_t msg[BOX_SHORT_LEN];
    struct peer *peer = way_peer(w);
    bool lately = w->asked_other.us != MONO_NEVER.us && mono_since(w->asked_other, p->now) < ASK_OTHER;
    size_t len = box_word_encode(msg, sizeof(msg), &(struct box_word){.kind = BOX_ASK});
    if (!peer || lately)
        return;
    w->asked_other = p->now;
    if (outbox_is_tight(&w->s->o->out))
        net_flush(w->s->o);
    peer_say(w->s->peers, peer, p->now, msg, len, &w->s->o->out);
}

static bool add_route(struct pump *p, struct way *w, const struct peer *peer)
{
    struct route_at here = {.place = side_place(w->s)}, hop = {.place = side_place(w->s)};
    struct peer_info info;
    unsigned end;
    memcpy(here.key, w->key, KEY_LEN);
    memcpy(hop.key, w->boxes.box[0].key, KEY_LEN);
    struct route *old = route_find(p->boxes->routes, &here, &end);
    if (old)
        route_remove(p->boxes->routes, old);
    if (!route_number(p->boxes->routes, w->s->key, &hop) || !(w->route = route_add(p->boxes->routes, &here, &hop, p->now)))
        return false;
    struct route *r = w->route;
    memcpy(r->token, w->boxes.token, sizeof(r->token));
    r->flags = w->anonymous ? BOX_ANONYMOUS : 0;
    memcpy(r->rest, w->boxes.box, w->boxes.n * sizeof(r->rest[0]));
    memcpy(r->rest[w->boxes.n].key, w->key, KEY_LEN);
    peer_info(w->s->peers, peer, p->now, &info);
    memcpy(r->rest[w->boxes.n].member, info.member, MEMBER_LEN);
    r->n_rest = w->boxes.n + 1;
    return true;
}

void way_ask(struct pump *p, struct way *w)
{
    struct peer *peer = way_peer(w);
    struct side *s = w->s;
    if (!peer || !peer_by_boxes(peer) || !peer_is_standing(peer))
        return; /* the session first */
    if (w->passive) {
        ask_other(p, w);
        return;
    }
    struct peer *hop = peer_get(s->peers, w->boxes.box[0].key, 0);
    if (!hop || (!w->route && !add_route(p, w, peer))) {
        way_closed(p, w, hop ? BOX_FULL : BOX_LOOP, 0);
        return;
    }
    if (w->state == WAY_OPEN) {
        w->checking = true;
        w->due = mono_add(p->now, CHECK_WAIT);
    } else {
        uint64_t pause = OPEN_REPEAT << (w->tries < 4 ? w->tries : 4);
        w->state = WAY_OPENING;
        w->due = mono_add(p->now, pause < OPEN_MAX ? pause : OPEN_MAX);
        if (w->tries++ >= DOUBT_TRIES)
            peer_open_anew(s->peers, hop, p->now);
    }
    route_ask(p, w->route);
    p->boxes->due = mono_min(p->boxes->due, w->due);
}

void way_asked(struct pump *p, struct way *w)
{
    w->passive = false;
    if (w->state != WAY_REFUSED)
        way_ask(p, w);
}

void way_sized(struct pump *p, struct way *w)
{
    struct peer *peer = way_peer(w);
    if (!w->route || !peer)
        return;
    w->mtu = route_mtu(p, w->route, w->route->end[0].at.num ? 0 : 1);
    net_set_path(p, w->s, peer);
}

void way_opened(struct pump *p, struct way *w)
{
    struct peer *peer = way_peer(w);
    char name[BOOK_NAME_MAX + 1];
    bool news = w->state != WAY_OPEN;
    w->state = WAY_OPEN;
    w->tries = w->failures = 0;
    w->checking = false;
    way_sized(p, w);
    if (news)
        log_info("way to=%s open mtu=%u", box_called(p, w->key, name), w->mtu);
    if (peer)
        net_send_held(p, w->s, peer);
}

static void way_fail(struct pump *p, struct way *w)
{
    struct peer *peer = way_peer(w);
    if (peer && peer_addresses(peer).local)
        tcpip_fail_remote(p->tcpip, p->now, peer_addresses(peer).local, EHOSTUNREACH, false);
}

void way_closed(struct pump *p, struct way *w, uint8_t why, uint8_t hops)
{
    char name[BOOK_NAME_MAX + 1], box[BOOK_NAME_MAX + 1];
    struct peer *peer = way_peer(w);
    bool was = w->state == WAY_REFUSED && w->why == why;
    w->why = why;
    w->why_hops = hops < w->boxes.n ? hops : 0;
    w->state = WAY_OPENING;
    w->due = mono_add(p->now, OPEN_REPEAT);
    p->boxes->due = mono_min(p->boxes->due, w->due);
    switch ((enum box_why)why) {
    case BOX_UNKNOWN:
    case BOX_IDLE:
        way_ask(p, w);
        return;
    case BOX_NO_SESSION:
        if (peer)
            peer_open_anew(w->s->peers, peer, p->now);
        return;
    case BOX_UNREACHABLE:
        w->due = mono_add(p->now, USEC_PER_SEC);
        if (!choose_next(p, w))
            way_fail(p, w);
        return;
    case BOX_DENIED:
    case BOX_LOOP:
    case BOX_FULL:
    case BOX_NOT_NEXT:
    case BOX_WHYS:
        break;
    }
    if (choose_next(p, w))
        return;
    if (why == BOX_DENIED && w->origin == WAY_REQUIRED && !w->passive) {
        w->passive = true; /* it may serve the other end */
        ask_other(p, w);
        return;
    }
    w->state = WAY_REFUSED;
    w->due = mono_add(p->now, REFUSED_PAUSE);
    if (!was)
        log_warn("way to=%s refused by box=%s: %s", box_called(p, w->key, name), box_called(p, w->boxes.box[w->why_hops].key, box), box_why_text(why));
    way_fail(p, w);
}

void way_introduce(struct pump *p, struct way *w)
{
    uint8_t msg[BOX_KEY_WORD_LEN];
    struct box_word m = {.kind = BOX_INTRODUCE};
    struct peer *peer = way_peer(w);
    memcpy(m.token, w->boxes.token, sizeof(m.token));
    memcpy(m.key, w->called, KEY_LEN);
    size_t len = box_word_encode(msg, sizeof(msg), &m);
    if (!peer || !memcmp(w->called, no_key, KEY_LEN))
        return;
    if (outbox_is_tight(&w->s->o->out))
        net_flush(w->s->o);
    peer_say(w->s->peers, peer, p->now, msg, len, &w->s->o->out);
}

/* A box that is one of several has a name of its own, by which words shall go as packets do. */
static void take_members(struct way *w, struct peer *hop)
{
    struct peer_info info;
    struct peer *peer = way_peer(w);
    struct pump *p = w->s->o->p;
    peer_info(w->s->peers, hop, p->now, &info);
    if (!peer || !memcmp(w->boxes.box[0].member, info.member, MEMBER_LEN))
        return;
    memcpy(w->boxes.box[0].member, info.member, MEMBER_LEN);
    peer_set_boxes(w->s->peers, peer, &w->boxes);
}

void boxes_up(struct pump *p, const struct side *s, struct peer *peer, bool anew)
{
    struct way *w = way_of(p, peer);
    if (w && !w->passive && !peer_by_boxes(peer)) {
        peer_open_anew(s->peers, peer, p->now); /* the peer has made it without our boxes */
    } else if (w && !w->passive) {
        w->tries = 0;
        if (anew && w->state == WAY_OPEN)
            w->state = WAY_OPENING;
        way_introduce(p, w);
        way_ask(p, w);
    } else if (is_required(p, s, peer) && !(w && way_suffices(p, w))) {
        impose(p, s, peer);
    }
    for (unsigned i = 0; i < p->boxes->n_ways; i++) {
        struct way *other = p->boxes->way[i];
        if (other && other->s == s && !other->passive && !memcmp(other->boxes.box[0].key, peer_key(peer), KEY_LEN))
            take_members(other, peer);
    }
}

bool way_unreachable(struct pump *p, const struct side *s, const struct peer *peer)
{
    bool again = false;
    for (unsigned i = 0; i < p->boxes->n_ways; i++) {
        struct way *w = p->boxes->way[i];
        if (!w || w->s != s || w->passive)
            continue;
        if (!memcmp(w->boxes.box[0].key, peer_key(peer), KEY_LEN))
            way_closed(p, w, BOX_UNREACHABLE, 0);
        else if (!memcmp(w->key, peer_key(peer), KEY_LEN) && choose_next(p, w)) {
            peer_open(s->peers, way_peer(w), p->now, p->wall);
            again = true;
        }
    }
    return again;
}

static void way_turn(struct pump *p, struct way *w)
{
    if (w->failing)
        way_fail(p, w);
    w->failing = false;
    if (!mono_due(w->due, p->now))
        return;
    if (w->checking) {
        w->checking = false;
        w->state = WAY_OPENING;
        w->tries = DOUBT_TRIES;
    }
    if (w->state == WAY_REFUSED)
        w->state = WAY_IDLE;
    if (w->state != WAY_OPENING)
        return;
    if (w->tries < OPEN_TRIES)
        way_ask(p, w);
    else
        way_closed(p, w, BOX_UNREACHABLE, 0), w->tries = DOUBT_TRIES, w->state = WAY_IDLE;
}

bool ways_turn(struct pump *p)
{
    bool busy = false;
    for (unsigned i = p->boxes->n_ways; i-- > 0;) {
        struct way *w = p->boxes->way[i];
        if (!w)
            continue;
        if (!way_peer(w)) {
            way_end(p, i);
            continue;
        }
        way_turn(p, w);
        busy |= w->checking || w->state == WAY_OPENING || w->state == WAY_REFUSED;
    }
    return alerts_turn(p) || busy;
}

/* ---- packets ---- */

int box_out(const struct side *s, struct peer *peer, size_t len, uint8_t head[BOX_HEAD], struct peer **hop)
{
    struct pump *p = s->o->p;
    struct way *w = way_of(p, peer);
    if (!w && !(w = way_required(s, peer)))
        return is_required(p, s, peer) ? -EHOSTUNREACH : 0;
    if (!peer_is_standing(peer) || !peer_by_boxes(peer)) {
        if (peer_is_standing(peer) && !w->passive)
            peer_open_anew(s->peers, peer, p->now);
        else
            peer_open(s->peers, peer, p->now, p->wall);
        return -ENOTCONN;
    }
    if (w->state != WAY_OPEN || !w->route) {
        if (w->state == WAY_REFUSED) {
            w->failing = true; /* who waits hears of it next turn: this one is the engine's */
            p->boxes->due = p->now;
            return -EHOSTUNREACH;
        }
        if (w->state != WAY_OPENING || w->passive)
            way_ask(p, w);
        return -ENOTCONN;
    }
    struct route *r = w->route;
    unsigned out = r->end[0].at.num ? 0 : 1;
    struct side *there = place_side(p, r->end[out].at.place);
    struct peer *next = there ? peer_by_key(there->peers, r->end[out].at.key) : NULL;
    if (!next)
        return -EHOSTUNREACH;
    if (len > w->mtu)
        return -EMSGSIZE;
    if (!w->passive && mono_since(r->used, p->now) > STALE)
        route_ask(p, r);
    if (!peer_routed_out(s->peers, peer, p->now, len))
        return -ENOTCONN;
    r->used = p->now;
    r->end[1 - out].packets++;
    r->end[1 - out].bytes += len;
    box_put_head(head, r->end[out].at.num);
    *hop = next;
    return 0;
}

uint16_t box_mtu(const struct pump *p, const struct side *s, const struct peer *peer, uint16_t mtu)
{
    const struct way *w = way_of(p, peer);
    (void)s;
    return !w ? mtu : w->mtu ? w->mtu : mtu > BOX_HEAD ? (uint16_t)(mtu - BOX_HEAD) : mtu;
}

/* ---- looking in ---- */

bool box_words(struct pump *p, const uint8_t key[KEY_LEN], char *out, size_t cap)
{
    static const char *const states[] = {[WAY_IDLE] = "no route yet", [WAY_OPENING] = "being opened", [WAY_OPEN] = "open", [WAY_REFUSED] = "refused"};
    static_assert(ARRAY_LEN(states) == WAY_STATES, "name all");
    const struct way *w = NULL;
    char one[BOOK_NAME_MAX + 1];
    size_t at = 0;
    for (unsigned i = 0; p->boxes && i < p->boxes->n_ways && !w; i++)
        if (p->boxes->way[i] && !p->boxes->way[i]->s->group && !memcmp(p->boxes->way[i]->key, key, KEY_LEN))
            w = p->boxes->way[i];
    if (!w)
        return false;
    for (unsigned i = 0; i < w->boxes.n && at < cap; i++)
        at += (size_t)snprintf(out + at, cap - at, "%s%s", i ? ", " : "through ", box_called(p, w->boxes.box[i].key, one));
    if (at < cap)
        snprintf(out + at, cap - at, " (as %s says; %s%s%s)", way_origin_name(w->origin), states[w->state], w->state == WAY_REFUSED ? ": " : "",
            w->state == WAY_REFUSED ? box_why_text(w->why) : "");
    return true;
}
