/* pump/portal_look.c - looking in: i3ctl portal, and what of it is counted. */
#include <stdlib.h>

#include "daemon/control/portal_report.h"
#include "daemon/pump/control.h"
#include "daemon/pump/portal_impl.h"

#define ROW(name, help) {#name, help, offsetof(struct portal_counters, name)}

static const struct {
    const char *name, *help;
    size_t at;
} rows[] = {
    ROW(accepted, "Connections that the portal has taken."),
    ROW(http, "Connections that came with an HTTP request."),
    ROW(tls, "Connections that came with a TLS ClientHello."),
    ROW(waypoint, "Connections that came at a waypoint."),
    ROW(dialled, "Connections that were led to a host."),
    ROW(failed, "Connections whose host could not be reached."),
    ROW(bad, "Heads that were none, or too long."),
    ROW(unknown, "Connections for names that are not published."),
    ROW(barred, "Connections from where a name may not be reached."),
    ROW(misdirected, "Later requests for another host than the first."),
    ROW(unclaimed, "Connections at a waypoint for which nobody had asked."),
    ROW(ambiguous, "Connections at a waypoint that could be for either of two names."),
    ROW(late, "Connections whose head did not come in time."),
    ROW(gave_way, "Connections without a head that gave way to newer ones."),
    ROW(over_all, "Connections beyond all that are allowed."),
    ROW(over_source, "Connections beyond those that one source is allowed."),
    ROW(over_dialling, "Connections refused as too many waited for hosts."),
    ROW(over_bindings, "Connections refused as too many sources were bound to waypoints."),
    ROW(no_fds, "Connections turned away for want of file descriptors."),
    ROW(dns_udp, "Questions that came by UDP."),
    ROW(dns_tcp, "Questions that came by TCP."),
    ROW(dns_nxdomain, "Questions for names that are not there."),
    ROW(dns_refused, "Questions that are not for this server."),
    ROW(dns_bad, "Messages that are no questions."),
    ROW(dns_busy, "Questions answered with SERVFAIL, as no waypoint was free."),
    ROW(dns_truncated, "Answers that were too long for a datagram."),
    ROW(dns_slipped, "Questions beyond the rate that were told to come by TCP."),
    ROW(dns_dropped, "Questions beyond the rate without an answer."),
    ROW(dns_full, "Connections with questions that gave way to newer ones."),
};

static uint64_t value(const struct portal_counters *c, unsigned i)
{
    return *(const uint64_t *)(const void *)((const char *)c + rows[i].at);
}

void portal_tally(const struct pump *p, void (*add)(void *ctx, const char *name, uint64_t value, const char *help), void *ctx)
{
    static const struct portal_counters none;
    char name[64];
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
        snprintf(name, sizeof(name), "portal_%s", rows[i].name);
        add(ctx, name, value(p->portal ? &p->portal->count : &none, i), rows[i].help);
    }
}

static unsigned connections_of(const struct portal *t, const char *name)
{
    unsigned n = 0;
    const struct portal_conn *c;
    for (unsigned i = PORTAL_LOOKS; i <= PORTAL_SHUTS; i++)
        TAILQ_FOREACH(c, &t->list[i], entry)
            n += !strcmp(c->name, name);
    return n;
}

static unsigned list_listeners(const struct portal *t, struct report_portal_listener *out)
{
    static const char *const names[PORTAL_KINDS] = {"http", "tls", "port", "dns", "dns"};
    unsigned n = 0;
    for (unsigned i = 0; i < t->n_listeners; i++) {
        const struct portal_listener *l = &t->listeners[i];
        if (l->at.family)
            out[n++] = (struct report_portal_listener){names[l->kind], l->kind != PORTAL_UDP, l->err ? l->at : l->local, l->err};
    }
    return n;
}

/* Where the room of its lists could be had. */
static void fill(const struct portal *t, struct report_portal *r, struct report_portal_listener *listeners, struct report_portal_name *names)
{
    const struct config *c = &t->p->config;
    for (unsigned i = 0; i < c->n_publishes; i++) {
        names[i] = (struct report_portal_name){.entry = &c->publishes[i], .connections = connections_of(t, c->publishes[i].name)};
        for (unsigned k = 0; k < c->publishes[i].ports.n; k++)
            names[i].waypoint = names[i].waypoint || portal_lists(&t->c.ports, c->publishes[i].ports.v[k]);
    }
    r->zone = t->c.zone;
    r->n_listeners = list_listeners(t, listeners);
    r->n_names = c->n_publishes;
    r->waypoints = t->c.waypoints;
    r->n_waypoints = t->c.n_waypoints;
    r->table = t->from_ip;
    r->connections = t->all;
    r->reading = t->n[PORTAL_READS];
    r->dialling = t->n[PORTAL_DIALS] + t->n[PORTAL_LOOKS];
}

void verb_portal(struct control_call *k)
{
    const struct portal *t = k->p->portal;
    struct report_counter counters[ARRAY_LEN(rows)];
    if (!t) {
        control_fail(k, report_error("there is no portal: i3.conf has no section portal { }"));
        return;
    }
    struct report_portal_listener *listeners = calloc(PORTAL_LISTENERS_MAX, sizeof(*listeners));
    struct report_portal_name *names = calloc(CONFIG_PUBLISHES_MAX, sizeof(*names));
    struct report_portal r = {.now = k->p->now, .listeners = listeners, .names = names, .counters = counters, .n_counters = ARRAY_LEN(rows)};
    for (unsigned i = 0; i < ARRAY_LEN(rows); i++)
        counters[i] = (struct report_counter){rows[i].name, rows[i].help, value(&t->count, i), false};
    if (listeners && names) {
        fill(t, &r, listeners, names);
        control_done(k, report_portal(&r));
    } else {
        control_fail(k, report_error("out of memory"));
    }
    free(listeners);
    free(names);
}
