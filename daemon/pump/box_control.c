/* pump/box_control.c - i3ctl box: by which boxes packets go, and what passes here; i3ctl alerts: what boxes have found. */
#include "daemon/pump/box.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/control/box_report.h"
#include "daemon/control/report.h"
#include "daemon/pump/control.h"

enum { WAYS_SHOWN = BOX_REPORT_ROWS };

/* Room for all names of an answer. */
struct names {
    char text[BOX_REPORT_ROWS * 4][BOOK_NAME_MAX + 1];
    unsigned n;
};

struct answer {
    struct box_report r;
    struct box_report_way way[WAYS_SHOWN];
    struct box_report_route route[BOX_REPORT_ROWS];
    struct box_report_tap tap[CONFIG_TAPS_MAX];
    struct names names;
};

/* As people call that key; who is in no book by the first letters of it. */
static const char *name_of(const struct pump *p, struct names *t, const uint8_t *key)
{
    const struct book_entry *e = names_entry(p, key);
    char letters[KEY_STR_LEN + 1];
    char *out = t->text[t->n < ARRAY_LEN(t->text) ? t->n++ : ARRAY_LEN(t->text) - 1];
    key_format(key, letters);
    if (e)
        snprintf(out, BOOK_NAME_MAX + 1, "%s", e->name);
    else
        snprintf(out, BOOK_NAME_MAX + 1, "%.8s...", letters);
    return out;
}

static void add_ways(struct pump *p, struct answer *a)
{
    static const char *const states[] = {[WAY_IDLE] = "idle", [WAY_OPENING] = "opening", [WAY_OPEN] = "open", [WAY_REFUSED] = "refused"};
    for (unsigned i = 0; i < p->boxes->n_ways && a->r.n_ways < WAYS_SHOWN; i++) {
        const struct way *w = p->boxes->way[i];
        if (!w)
            continue;
        struct box_report_way *o = &a->way[a->r.n_ways++];
        *o = (struct box_report_way){.to = name_of(p, &a->names, w->key), .said_by = way_origin_name(w->origin), .state = states[w->state],
            .why = w->state == WAY_REFUSED ? box_why_text(w->why) : NULL, .n_boxes = w->boxes.n, .mtu = w->mtu};
        for (unsigned j = 0; j < w->boxes.n; j++)
            o->box[j] = name_of(p, &a->names, w->boxes.box[j].key);
    }
}

static void add_routes(struct pump *p, struct answer *a)
{
    for (const struct route *r = route_first(p->boxes->routes); r; r = route_next(r)) {
        if (!r->end[0].at.num || !r->end[1].at.num)
            continue; /* one of our own ways */
        a->r.routes++;
        if (a->r.n_routes == BOX_REPORT_ROWS)
            continue;
        uint16_t on = route_mtu(p, r, 1), back = route_mtu(p, r, 0);
        a->route[a->r.n_routes++] = (struct box_report_route){.from = name_of(p, &a->names, r->end[0].at.key),
            .to = name_of(p, &a->names, r->rest[r->n_rest - 1].key),
            .next = name_of(p, &a->names, r->end[1].at.key),
            .open = r->open,
            .anonymous = r->flags & BOX_ANONYMOUS,
            .mtu = on < back ? on : back,
            .packets_in = r->end[0].packets,
            .packets_out = r->end[1].packets,
            .bytes_in = r->end[0].bytes,
            .bytes_out = r->end[1].bytes,
            .dropped = r->dropped,
            .idle_s = mono_since(r->used, p->now) / USEC_PER_SEC};
    }
}

void verb_box(struct control_call *k)
{
    struct pump *p = k->p;
    struct answer *a = calloc(1, sizeof(*a));
    struct tap_state taps[CONFIG_TAPS_MAX];
    struct verdict_state v;
    if (!a) {
        control_fail(k, report_error("out of memory"));
        return;
    }
    a->r.is_box = p->config.n_middleboxes;
    add_ways(p, a);
    add_routes(p, a);
    a->r.n_taps = box_show_taps(p, taps, CONFIG_TAPS_MAX);
    for (unsigned i = 0; i < a->r.n_taps; i++)
        a->tap[i] = (struct box_report_tap){taps[i].spec, taps[i].state, taps[i].written, taps[i].dropped};
    box_show_verdicts(p, &v);
    const struct box_counters *c = &p->boxes->count;
    a->r.verdicts = v.path;
    a->r.programs = v.programs, a->r.inlined = v.inlined, a->r.waiting = v.waiting, a->r.flows = v.flows;
    a->r.asked = v.asked, a->r.forwarded = v.forwarded, a->r.verdict_dropped = v.dropped, a->r.late = v.late, a->r.unanswered = v.unanswered;
    a->r.packets = c->packets, a->r.bytes = c->bytes, a->r.dropped = c->dropped, a->r.bypassed = c->bypassed;
    a->r.unknown = c->unknown, a->r.refused = c->refused, a->r.too_large = c->too_large;
    a->r.alerts = c->alerts, a->r.alerts_dropped = c->alerts_dropped;
    a->r.way = a->way, a->r.route = a->route, a->r.tap = a->tap;
    control_done(k, report_box(&a->r));
    free(a);
}

void verb_alerts(struct control_call *k)
{
    struct pump *p = k->p;
    struct box_report_alert v[100];
    struct names *names = calloc(1, sizeof(*names));
    unsigned ever = p->boxes->alerts_n, n = ever < ARRAY_LEN(v) ? ever : ARRAY_LEN(v);
    if (!names) {
        control_fail(k, report_error("out of memory"));
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        const struct alert *a = &p->boxes->alerts[(ever - n + i) % ALERTS_MAX];
        v[i] = (struct box_report_alert){a->time, name_of(p, names, a->box), name_of(p, names, a->about), a->text};
    }
    control_done(k, report_alerts(v, n, ever));
    free(names);
}
