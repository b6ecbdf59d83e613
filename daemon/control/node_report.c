#include "daemon/control/node_report.h"

#include <stdlib.h>

#include "daemon/control/json.h"

const char *pos_format(ring_pos pos, char out[POS_STR])
{
    snprintf(out, POS_STR, "%016llx%016llx", (unsigned long long)(pos >> 64), (unsigned long long)pos);
    return out;
}

static void set_pos(json_t *o, const char *name, ring_pos pos)
{
    char s[POS_STR];
    set(o, name, json_string(pos_format(pos, s)));
}

/* How much of the circle lies in (from, to], in percent; all of it when they are one. */
static double share(ring_pos from, ring_pos to)
{
    ring_pos width = to - from;
    return width ? (double)(uint64_t)(width >> 64) / 18446744073709551616.0 * 100 : 100;
}

static json_t *contact(const struct ring_contact *c)
{
    if (!c)
        return json_null();
    json_t *o = json_object();
    set_pos(o, "position", c->pos);
    set_addr(o, "address", &c->addr);
    return o;
}

/* Of fingers which are one node the first is enough. */
static json_t *fingers(const struct ring *r)
{
    json_t *a = json_array();
    const struct ring_contact *before = NULL;
    for (unsigned i = 0; i < RING_FINGERS; i++) {
        const struct ring_contact *c = ring_finger(r, i);
        if (!c || (before && before->pos == c->pos))
            continue;
        json_t *o = contact(c);
        set_pos(o, "from", ring_self(r)->pos + ((ring_pos)1 << (127 - i)));
        json_array_append_new(a, o);
        before = c;
    }
    return a;
}

static void set_neighbours(json_t *o, const struct ring *r)
{
    json_t *a = json_array();
    for (unsigned i = 0; i < RING_SUCCESSORS && ring_successor(r, i); i++)
        json_array_append_new(a, contact(ring_successor(r, i)));
    set(o, "predecessor", contact(ring_predecessor(r)));
    set(o, "successors", a);
    set(o, "fingers", fingers(r));
}

static const struct walk_node *row_at(const struct walk_view *w, unsigned i)
{
    return &w->v[i % w->n];
}

/* Where its range begins: by its own word, else by who stands before it. */
static ring_pos range_from(const struct walk_view *w, unsigned i)
{
    const struct walk_node *x = &w->v[i];
    if (x->has_predecessor)
        return x->predecessor;
    unsigned k = i;
    do
        k = (k + w->n - 1) % w->n;
    while (k != i && w->v[k].state != WALK_ANSWERED);
    return w->v[k].pos;
}

/* Its neighbours by its own word are those that the walk has found. */
static bool agrees(const struct walk_view *w, unsigned i)
{
    const struct walk_node *x = &w->v[i];
    unsigned next = i, last = i;
    do
        next = (next + 1) % w->n;
    while (next != i && row_at(w, next)->state != WALK_ANSWERED);
    do
        last = (last + w->n - 1) % w->n;
    while (last != i && row_at(w, last)->state != WALK_ANSWERED);
    if (next == i)
        return true; /* nobody else has answered */
    return x->has_successor && x->successor == w->v[next].pos && x->has_predecessor && x->predecessor == w->v[last].pos;
}

static json_t *row(const struct walk_view *w, unsigned i, const struct node_stats *own)
{
    static const char *const state[] = {"not asked", "not answered", "answered", "silent"};
    const struct walk_node *x = &w->v[i];
    json_t *o = json_object();
    set_pos(o, "position", x->pos);
    set_addr(o, "address", &x->addr);
    set(o, "state", json_string(own ? "self" : state[x->state]));
    if (x->state == WALK_ANSWERED) {
        ring_pos from = range_from(w, i);
        set_pos(o, "range_from", from);
        set(o, "share_percent", json_real(share(from, x->pos)));
        set(o, "agrees", json_boolean(agrees(w, i)));
    } else {
        set(o, "range_from", json_null());
        set(o, "share_percent", json_null());
        set(o, "agrees", json_null());
    }
    set(o, "hops", x->hops_known ? json_integer(x->hops) : json_null());
    set(o, "rtt_us", x->rtt_us ? json_integer(x->rtt_us) : json_null());
    set(o, "triggers", own ? json_integer(own->triggers) : json_null());
    return o;
}

/* Why the map may lack something; NULL: it is whole. */
static const char *incomplete(const struct ring *r, const struct walk_view *w)
{
    unsigned silent = 0, disagree = 0, no_hops = 0, waiting = 0;
    for (unsigned i = 0; i < w->n; i++) {
        silent += w->v[i].state == WALK_SILENT;
        waiting += w->v[i].state == WALK_NEW || w->v[i].state == WALK_ASKED;
        if (w->v[i].state == WALK_ANSWERED) {
            disagree += !agrees(w, i);
            no_hops += !w->v[i].hops_known;
        }
    }
    if (ring_is_joining(r))
        return "the node is still looking for its ring";
    if (w->full)
        return "the ring has more nodes than a walk can hold";
    if (waiting)
        return "the time was up before all had answered";
    if (disagree)
        return "some nodes see other neighbours than the walk has found: the ring is changing";
    if (silent)
        return "nodes which others still name have not answered";
    return no_hops ? "the way to some nodes was not found in time: their hops are missing" : NULL;
}

bool report_ring_complete(const struct node_view *v)
{
    const struct ring *r = node_ring(v->node);
    struct walk_view w = r ? ring_walk_view(r) : (struct walk_view){0};
    return !r || !incomplete(r, &w);
}

static void set_summary(json_t *o, const struct ring *r, const struct walk_view *w)
{
    const char *why = incomplete(r, w);
    unsigned answered = 0;
    for (unsigned i = 0; i < w->n; i++)
        answered += w->v[i].state == WALK_ANSWERED;
    set(o, "nodes_total", json_integer(w->n));
    set(o, "nodes_answered", json_integer(answered));
    set(o, "complete", json_boolean(!why));
    set(o, "incomplete_why", why ? json_string(why) : json_null());
    set(o, "took_us", json_integer((json_int_t)w->took_us));
}

static void set_head(json_t *o, const struct node_view *v)
{
    const struct ring *r = node_ring(v->node);
    set(o, "kind", json_string("node"));
    set(o, "version", json_string(v->version));
    set(o, "pid", json_integer(v->pid));
    set(o, "uptime_s", json_integer((json_int_t)v->uptime_s));
    set(o, "sandbox", v->sandbox ? json_string(v->sandbox) : json_null());
    set_addr(o, "address", r ? &ring_self(r)->addr : &v->address);
    if (r)
        set_pos(o, "position", ring_self(r)->pos);
    else
        set(o, "position", json_null());
}

/* A node without a ring owns everything. */
static json_t *lone_row(const struct node_view *v, const struct node_stats *st)
{
    json_t *o = json_object();
    set(o, "position", json_null());
    set_addr(o, "address", &v->address);
    set(o, "state", json_string("self"));
    set(o, "range_from", json_null());
    set(o, "share_percent", json_real(100));
    set(o, "agrees", json_true());
    set(o, "hops", json_integer(0));
    set(o, "rtt_us", json_null());
    set(o, "triggers", json_integer(st->triggers));
    return o;
}

static void set_alone(json_t *o, json_t *rows, const struct node_view *v, const struct node_stats *st)
{
    json_array_append_new(rows, lone_row(v, st));
    set(o, "predecessor", json_null());
    set(o, "successors", json_array());
    set(o, "fingers", json_array());
    set(o, "nodes_total", json_integer(1));
    set(o, "nodes_answered", json_integer(1));
    set(o, "complete", json_true());
    set(o, "incomplete_why", json_null());
    set(o, "took_us", json_integer(0));
}

char *report_ring(const struct node_view *v, unsigned *at)
{
    const struct ring *r = node_ring(v->node);
    struct walk_view w = r ? ring_walk_view(r) : (struct walk_view){0};
    struct node_stats st;
    json_t *o = json_object(), *rows = json_array();
    node_stats(v->node, &st);
    if (!*at) {
        set_head(o, v);
        set(o, "alone", json_boolean(!r));
        if (r) {
            set_neighbours(o, r);
            set_summary(o, r, &w);
        } else {
            set_alone(o, rows, v, &st);
        }
    }
    for (unsigned i = 0; i < RING_ROWS_MAX && *at < w.n; i++, ++*at)
        json_array_append_new(rows, row(&w, *at, *at ? NULL : &st));
    set(o, "nodes", rows);
    return finish(o);
}

char *report_trace(const struct node_view *v, const struct i3_id *id, const struct trace *t)
{
    char s[ID_STR];
    json_t *o = json_object();
    set_head(o, v);
    set(o, "id", json_string(id_format(id, s)));
    set(o, "found", json_boolean(!t || t->state == TRACE_FOUND));
    if (!t) { /* alone: everything is its own */
        set(o, "owner", json_object());
        set_addr(json_object_get(o, "owner"), "address", &v->address);
        set(json_object_get(o, "owner"), "position", json_null());
    } else {
        set(o, "owner", t->state == TRACE_FOUND ? contact(&t->owner) : json_null());
    }
    set(o, "hops", t && t->state != TRACE_FOUND ? json_null() : json_integer(t ? t->hops : 0));
    set(o, "took_us", json_integer(t ? (json_int_t)t->took_us : 0));
    return finish(o);
}
