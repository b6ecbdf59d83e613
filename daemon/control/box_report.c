#include "daemon/control/box_report.h"

#include "daemon/control/json.h"

static void set_count(json_t *o, const char *name, uint64_t n)
{
    set(o, name, json_integer((json_int_t)n));
}

static json_t *way_object(const struct box_report_way *w)
{
    json_t *o = json_object(), *boxes = json_array();
    for (unsigned i = 0; i < w->n_boxes; i++)
        json_array_append_new(boxes, json_string(w->box[i]));
    set_text(o, "to", w->to);
    set(o, "boxes", boxes);
    set_text(o, "said_by", w->said_by);
    set_text(o, "state", w->state);
    set_text(o, "why", w->why);
    set(o, "mtu", w->mtu ? json_integer(w->mtu) : json_null());
    return o;
}

static json_t *route_object(const struct box_report_route *r)
{
    json_t *o = json_object();
    set_text(o, "from", r->from);
    set_text(o, "to", r->to);
    set_text(o, "next", r->next);
    set(o, "open", r->open ? json_true() : json_false());
    set(o, "anonymous", r->anonymous ? json_true() : json_false());
    set_count(o, "mtu", r->mtu);
    set_count(o, "packets_in", r->packets_in);
    set_count(o, "packets_out", r->packets_out);
    set_count(o, "bytes_in", r->bytes_in);
    set_count(o, "bytes_out", r->bytes_out);
    set_count(o, "dropped", r->dropped);
    set_count(o, "idle_s", r->idle_s);
    return o;
}

static json_t *tap_object(const struct box_report_tap *t)
{
    json_t *o = json_object();
    set_text(o, "where", t->where);
    set_text(o, "state", t->state);
    set_count(o, "written", t->written);
    set_count(o, "dropped", t->dropped);
    return o;
}

static json_t *verdicts_object(const struct box_report *r)
{
    if (!r->verdicts)
        return json_null();
    json_t *o = json_object();
    set_text(o, "socket", r->verdicts);
    set_count(o, "programs", r->programs);
    set(o, "inline", r->inlined ? json_true() : json_false());
    set_count(o, "waiting", r->waiting);
    set_count(o, "flows", r->flows);
    set_count(o, "asked", r->asked);
    set_count(o, "forwarded", r->forwarded);
    set_count(o, "dropped", r->verdict_dropped);
    set_count(o, "late", r->late);
    set_count(o, "unanswered", r->unanswered);
    return o;
}

static json_t *counters_object(const struct box_report *r)
{
    json_t *o = json_object();
    set_count(o, "packets", r->packets);
    set_count(o, "bytes", r->bytes);
    set_count(o, "dropped", r->dropped);
    set_count(o, "bypassed", r->bypassed);
    set_count(o, "unknown", r->unknown);
    set_count(o, "refused", r->refused);
    set_count(o, "too_large", r->too_large);
    set_count(o, "alerts", r->alerts);
    set_count(o, "alerts_dropped", r->alerts_dropped);
    return o;
}

char *report_box(const struct box_report *r)
{
    json_t *o = json_object(), *ways = json_array(), *routes = json_array(), *taps = json_array();
    for (unsigned i = 0; i < r->n_ways; i++)
        json_array_append_new(ways, way_object(&r->way[i]));
    for (unsigned i = 0; i < r->n_routes; i++)
        json_array_append_new(routes, route_object(&r->route[i]));
    for (unsigned i = 0; i < r->n_taps; i++)
        json_array_append_new(taps, tap_object(&r->tap[i]));
    set(o, "is_box", r->is_box ? json_true() : json_false());
    set(o, "ways", ways);
    set_count(o, "routes_now", r->routes);
    set(o, "routes", routes);
    set(o, "taps", taps);
    set(o, "verdicts", verdicts_object(r));
    set(o, "counters", counters_object(r));
    return finish(o);
}

char *report_alerts(const struct box_report_alert *v, unsigned n, unsigned ever)
{
    json_t *o = json_object(), *list = json_array();
    for (unsigned i = 0; i < n; i++) {
        json_t *a = json_object();
        set_count(a, "time_us", v[i].time);
        set_text(a, "box", v[i].box);
        set_text(a, "about", v[i].about);
        set_text(a, "text", v[i].text);
        json_array_append_new(list, a);
    }
    set_count(o, "ever", ever);
    set(o, "alerts", list);
    return finish(o);
}
