#include "daemon/pump/anon.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/control/anon_report.h"
#include "daemon/pump/control.h"

/* An instance whose program has gone stays for about that long, and fades: its trigger, which is not refreshed any more, expires. */
#define LINGER_US (20 * USEC_PER_SEC)
#define FADE_US   (35 * USEC_PER_SEC)

/* It notices that the host has moved after MOVED_LEAST and up to MOVED_SPREAD more. */
#define MOVED_LEAST  (300 * USEC_PER_MSEC)
#define MOVED_SPREAD (3 * USEC_PER_SEC)

struct anon_program {
    struct pump *p;
    struct anon_program *next;
    uint8_t token[IPC_TOKEN_LEN];
    bool all;
    char name[ANON_NAME_MAX + 1]; /* as it calls itself, for people */
    unsigned clients;
    mono_t gone, fade_at; /* fade_at: MONO_NEVER: it is there */
};

/* What an overlay has beside, as an instance. */
struct anon {
    struct anon_program *program; /* NULL: it fades */
    struct overlay *ring;         /* NULL: that has gone */
    char name[ANON_NAME_MAX + 1];
    mono_t since;
    mono_t move_at, end_at; /* MONO_NEVER: not so */
};

int anon_start(struct pump *p)
{
    p->anon_look = MONO_NEVER;
    return 0;
}

/* ---- programs and their clients ---- */

static unsigned count_programs(const struct pump *p)
{
    unsigned n = 0;
    for (const struct anon_program *a = p->programs; a; a = a->next)
        n++;
    return n;
}

unsigned anon_count(const struct pump *p)
{
    unsigned n = 0;
    for (const struct overlay *o = p->hidden; o; o = o->next)
        n += o->anon->program != NULL;
    return n;
}

static struct anon_program *find(struct pump *p, const uint8_t token[IPC_TOKEN_LEN])
{
    struct anon_program *a = p->programs;
    while (a && !crypto_equal(a->token, token, IPC_TOKEN_LEN))
        a = a->next;
    return a;
}

static struct anon_program *program_new(struct pump *p, const struct ipc_program *ask)
{
    struct anon_program *a = count_programs(p) < ANON_PROGRAMS ? calloc(1, sizeof(*a)) : NULL;
    if (!a)
        return NULL;
    *a = (struct anon_program){.p = p, .next = p->programs, .all = ask->all, .fade_at = MONO_NEVER};
    memcpy(a->token, ask->token, IPC_TOKEN_LEN);
    snprintf(a->name, sizeof(a->name), "%s", ask->name);
    p->programs = a;
    return a;
}

/* Its instances go on without it, to their end. */
static void program_free(struct anon_program *a)
{
    struct pump *p = a->p;
    struct anon_program **at = &p->programs;
    for (struct overlay *o = p->hidden; o; o = o->next)
        if (o->anon->program == a) {
            o->anon->program = NULL;
            o->anon->end_at = mono_add(p->now, FADE_US);
        }
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    crypto_wipe(a, sizeof(*a));
    free(a);
}

static bool has_instances(const struct anon_program *a)
{
    for (const struct overlay *o = a->p->hidden; o; o = o->next)
        if (o->anon->program == a)
            return true;
    return false;
}

/* Nobody is left: neither a process nor what it has left behind. */
static bool is_over(const struct anon_program *a)
{
    struct pump *p = a->p;
    for (const struct overlay *o = p->hidden; o; o = o->next)
        if (o->anon->program == a && flow_has_local(p, o->sides->own))
            return false;
    return !a->clients;
}

static void look_by(struct pump *p, mono_t at)
{
    p->anon_look = mono_min(p->anon_look, at);
}

/* Of those with an instance that nobody uses, the one that has gone first; NULL: all are in use. */
static struct anon_program *idle(const struct pump *p)
{
    struct anon_program *found = NULL;
    for (struct anon_program *a = p->programs; a; a = a->next)
        if (a->fade_at.us != MONO_NEVER.us && (!found || a->gone.us < found->gone.us) && has_instances(a) && is_over(a))
            found = a;
    return found;
}

/* Where there are too many, those go first of which no process is left, nor a connection. */
static bool make_room(struct pump *p)
{
    struct anon_program *a;
    unsigned n = 0;
    for (const struct overlay *o = p->hidden; o; o = o->next)
        n++;
    while (anon_count(p) >= ANON_MAX && (a = idle(p)))
        program_free(a);
    return anon_count(p) < ANON_MAX && n < ANON_HIDDEN;
}

int anon_client_is(struct pump *p, struct ipc_client *c, const struct ipc_program *ask)
{
    struct anon_program *a = find(p, ask->token);
    if (ipc_client_mark(c) && ipc_client_mark(c) != a)
        return -EINVAL;
    if (!a && !(a = program_new(p, ask)))
        return -ENOSPC;
    if (a->all != ask->all)
        return -EINVAL;
    if (!ipc_client_mark(c))
        a->clients++;
    ipc_client_set_mark(c, a);
    a->fade_at = MONO_NEVER;
    if (a->all && !anon_overlay(a, p->overlays))
        return make_room(p) ? -ENETUNREACH : -ENOSPC;
    return 0;
}

void anon_client_gone(struct pump *p, struct ipc_client *c)
{
    struct anon_program *a = ipc_client_mark(c);
    if (!a || --a->clients)
        return;
    if (has_instances(a)) {
        a->gone = p->now;
        a->fade_at = mono_add(p->now, drbg_around(&p->random, LINGER_US, 2));
        look_by(p, a->fade_at);
    } else {
        program_free(a);
    }
}

struct anon_program *anon_of_client(struct ipc_client *c)
{
    return ipc_client_mark(c);
}

bool anon_is_all(const struct anon_program *a)
{
    return a->all;
}

bool anon_may_use(const struct pump *p, const struct side *s)
{
    if (s->o->anon)
        return p->asker && s->o->anon->program == p->asker;
    return !p->config.anonymity && !(p->asker && p->asker->all);
}

/* ---- instances ---- */

static void draw_node(struct overlay *o, struct addr *node, bool another)
{
    const struct overlay *ring = o->anon->ring;
    struct pump *p = o->p;
    struct addr v[CONFIG_NODES_MAX];
    unsigned n = 0;
    *node = ring ? ring->ring->node_addr : o->ring->node_addr;
    for (int lives = 1; ring && lives >= 0 && !n; lives--)
        for (unsigned i = 0; i < ring->ring->n_configured; i++) {
            const struct addr *a = &ring->ring->configured[i];
            bool reach = a->family == 4 || udp_local(o->udp)->family == 6;
            bool same = another && ring->ring->n_configured > 1 && addr_eq(a, &o->ring->node_addr);
            if (reach && !same && (!lives || !ring->ring->nodes || nodes_lives(ring->ring->nodes, i)))
                v[n++] = *a;
        }
    if (n)
        *node = v[drbg_u64(&p->random) % n];
}

void anon_choose_node(struct overlay *o)
{
    struct addr node;
    draw_node(o, &node, o->ring->node_addr.family != 0);
    if (node.family)
        net_drawn_node(o, &node);
}

struct overlay *anon_overlay(struct anon_program *a, struct overlay *ring)
{
    struct pump *p = a->p;
    struct overlay *o = p->hidden;
    while (o && (o->anon->program != a || o->anon->ring != ring))
        o = o->next;
    if (o)
        return o;
    if (ring->kind != &overlay_kind_i3 || !make_room(p))
        return NULL; /* another kind has no nodes to hide behind */
    char why[200];
    struct anon *x = calloc(1, sizeof(*x));
    if (!x)
        return NULL;
    *x = (struct anon){.program = a, .ring = ring, .since = p->now, .move_at = MONO_NEVER, .end_at = MONO_NEVER};
    snprintf(x->name, sizeof(x->name), "%s", a->name);
    struct overlay_plan plan = {.name = "", .suffix = ring->suffix, .kind = &overlay_kind_hidden, .nodes = ring->ring->configured,
        .n_nodes = ring->ring->n_configured, .anon = x};
    if (overlay_make(p, &plan, &o, why, sizeof(why))) {
        free(x);
        return NULL;
    }
    return o;
}

struct overlay *anon_ring(const struct overlay *o)
{
    return o->anon ? o->anon->ring : (struct overlay *)o;
}

static void instance_free(struct overlay *o)
{
    struct anon *x = o->anon;
    struct pump *p = o->p;
    uint8_t key[KEY_LEN];
    memcpy(key, o->sides->key, KEY_LEN);
    flow_end_local(p, o->sides->own);
    overlay_free(o);
    pool_passed(p->pool, key);
    free(x);
}

void anon_stop(struct pump *p)
{
    while (p->hidden)
        instance_free(p->hidden);
    while (p->programs)
        program_free(p->programs);
}

void anon_forget_ring(struct pump *p, const struct overlay *ring)
{
    for (struct overlay *o = p->hidden, *next; o; o = next) {
        next = o->next;
        if (o->anon->ring == ring)
            instance_free(o);
    }
}

struct side *side_in(struct pump *p, struct overlay *ring)
{
    struct overlay *o = p->by ? anon_overlay(p->by, ring) : ring;
    return o ? o->sides : NULL;
}

struct side *side_towards(struct pump *p, const uint8_t key[KEY_LEN])
{
    return side_in(p, overlay_of_key(p, key));
}

/* ---- time ---- */

void anon_moved(struct pump *p)
{
    for (struct overlay *o = p->hidden; o; o = o->next) {
        o->anon->move_at = mono_add(p->now, MOVED_LEAST + drbg_u64(&p->random) % MOVED_SPREAD);
        look_by(p, o->anon->move_at);
    }
}

mono_t anon_deadline(const struct pump *p)
{
    return p->anon_look;
}

void anon_turn(struct pump *p)
{
    if (!mono_due(p->anon_look, p->now))
        return;
    p->anon_look = MONO_NEVER;
    for (struct anon_program *a = p->programs, *next; a; a = next) {
        next = a->next;
        if (mono_due(a->fade_at, p->now)) {
            if (is_over(a)) {
                program_free(a);
                continue;
            }
            a->fade_at = mono_add(p->now, drbg_around(&p->random, LINGER_US, 2));
        }
        look_by(p, a->fade_at);
    }
    for (struct overlay *o = p->hidden, *next; o; o = next) {
        struct anon *x = o->anon;
        next = o->next;
        if (mono_due(x->end_at, p->now)) {
            instance_free(o);
            continue;
        }
        if (mono_due(x->move_at, p->now)) {
            x->move_at = MONO_NEVER;
            move_ask_again(o);
        }
        look_by(p, mono_min(x->end_at, x->move_at));
    }
}

bool anon_fades(const struct overlay *o)
{
    return o->anon && !o->anon->program;
}

/* ---- looking in ---- */

bool anon_report(const struct pump *p, unsigned i, struct report_anonymous *out)
{
    const struct overlay *o = p->hidden;
    while (o && (!o->anon->program || i--))
        o = o->next;
    if (!o)
        return false;
    *out = (struct report_anonymous){.program = o->anon->name,
        .suffix = o->suffix,
        .node = o->ring->node_addr,
        .address = addr_v4(o->sides->own, 0),
        .address6 = addr_v6(o->sides->own6, 0),
        .since_us = mono_since(o->anon->since, p->now),
        .all = o->anon->program->all,
        .ready = overlay_stands(o, &o->sides->session_id),
        .processes = o->anon->program->clients};
    for (struct peer *peer = peer_next(o->sides->peers, NULL); peer; peer = peer_next(o->sides->peers, peer))
        out->hosts += peer_is_standing(peer);
    return true;
}

void verb_anonymous(struct control_call *k)
{
    struct report_anonymous rows[ANON_MAX];
    unsigned n = 0;
    if (k->argc > 1) {
        control_fail(k, report_error("usage: anonymous"));
        return;
    }
    while (n < ANON_MAX && anon_report(k->p, n, &rows[n]))
        n++;
    control_done(k, report_anonymous(rows, n, ANON_MAX));
}
