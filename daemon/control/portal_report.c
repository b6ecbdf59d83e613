#include "daemon/control/portal_report.h"

#include <stdio.h>
#include <string.h>

#include "daemon/control/json.h"

static void set_count(json_t *o, const char *name, uint64_t v)
{
    set(o, name, json_integer((json_int_t)v));
}

/* Without the port. */
static void set_ip(json_t *o, const char *name, const struct addr *a)
{
    char s[INET6_ADDRSTRLEN];
    set_text(o, name, inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->ip, s, sizeof(s)));
}

static json_t *listener_array(const struct report_portal *r)
{
    json_t *a = json_array();
    for (unsigned i = 0; i < r->n_listeners; i++) {
        const struct report_portal_listener *l = &r->listeners[i];
        json_t *o = json_object();
        set_text(o, "kind", l->kind);
        set_text(o, "proto", l->stream ? "tcp" : "udp");
        set_addr(o, "address", &l->at);
        set_count(o, "errno", (uint64_t)l->err);
        json_array_append_new(a, o);
    }
    return a;
}

static json_t *port_array(const struct config_ports *p)
{
    json_t *a = json_array();
    for (unsigned i = 0; i < p->n; i++)
        json_array_append_new(a, json_integer(p->v[i]));
    return a;
}

static json_t *range_array(const struct config_publish *e)
{
    json_t *a = json_array();
    for (unsigned i = 0; i < e->n_from; i++) {
        char ip[INET6_ADDRSTRLEN], s[INET6_ADDRSTRLEN + 8];
        inet_ntop(e->from[i].family == 6 ? AF_INET6 : AF_INET, e->from[i].ip, ip, sizeof(ip));
        snprintf(s, sizeof(s), "%s/%u", ip, e->from[i].bits);
        json_array_append_new(a, json_string(s));
    }
    return a;
}

static json_t *name_array(const struct report_portal *r)
{
    json_t *a = json_array();
    char full[CONFIG_NAME_MAX + CONFIG_ZONE_MAX + 2];
    for (unsigned i = 0; i < r->n_names; i++) {
        const struct config_publish *e = r->names[i].entry;
        json_t *o = json_object();
        snprintf(full, sizeof(full), "%s.%s", e->name, r->zone);
        set_text(o, "name", full);
        set_text(o, "to", e->to);
        set(o, "ports", port_array(&e->ports));
        set(o, "from", range_array(e));
        set(o, "waypoint", r->names[i].waypoint ? json_true() : json_false());
        set_count(o, "connections", r->names[i].connections);
        json_array_append_new(a, o);
    }
    return a;
}

static json_t *waypoint_array(const struct report_portal *r)
{
    json_t *a = json_array();
    for (unsigned i = 0; i < r->n_waypoints; i++) {
        json_t *o = json_object();
        set_ip(o, "address", &r->waypoints[i]);
        set_text(o, "waits_for", r->table ? from_ip_pending(r->table, r->now, i) : NULL);
        json_array_append_new(a, o);
    }
    return a;
}

static json_t *bound_array(const struct report_portal *r)
{
    json_t *a = json_array();
    const void *cursor = NULL;
    struct from_ip_row row;
    while (r->table && json_array_size(a) < REPORT_ROWS_MAX && from_ip_next(r->table, r->now, &cursor, &row)) {
        json_t *o = json_object();
        set_ip(o, "source", &row.source);
        set_ip(o, "waypoint", &r->waypoints[row.waypoint]);
        set_text(o, "name", row.name);
        set_count(o, "connections", row.connections);
        set_count(o, "idle_s", row.idle_us / 1000000);
        json_array_append_new(a, o);
    }
    return a;
}

char *report_portal(const struct report_portal *r)
{
    json_t *o = json_object(), *counters = json_object();
    for (unsigned i = 0; i < r->n_counters; i++)
        set_count(counters, r->counters[i].name, r->counters[i].value);
    set_text(o, "zone", r->zone);
    set(o, "listeners", listener_array(r));
    set(o, "names", name_array(r));
    set(o, "waypoints", waypoint_array(r));
    set(o, "bound", bound_array(r));
    set_count(o, "connections", r->connections);
    set_count(o, "reading", r->reading);
    set_count(o, "dialling", r->dialling);
    set(o, "counters", counters);
    return finish(o);
}
