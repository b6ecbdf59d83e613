#include "daemon/control/gateway_report.h"

#include "daemon/control/json.h"

enum { ROOM = 6000, ROW = 330 }; /* bytes of a reply for each of the two lists; a row without its names */

static void set_key(json_t *o, const struct book *b, const char *name, const char *key, const uint8_t of[KEY_LEN])
{
    char text[KEY_STR_LEN + 1];
    const struct book_entry *e = book_find_key(b, of);
    key_format(of, text);
    set_text(o, name, e ? e->name : NULL);
    set_text(o, key, text);
}

static void set_count(json_t *o, const char *name, uint64_t n)
{
    set(o, name, json_integer((json_int_t)n));
}

static json_t *user_object(const struct report_gateway *g, const struct gate_user *u)
{
    json_t *o = json_object();
    struct addr a = addr_v4(u->host, 0);
    char s[ADDR_STR];
    inet_ntop(AF_INET, a.ip, s, sizeof(s));
    set_key(o, g->book, "name", "key", u->key);
    set_text(o, "address", s);
    set(o, "allowed", json_boolean(u->allowed));
    set_count(o, "names", u->n_names);
    set_count(o, "flows", u->flows);
    set_count(o, "names_found", u->account.names);
    set_count(o, "connections", u->account.connections);
    set_count(o, "failed", u->account.failed);
    set_count(o, "refused", u->account.refused);
    set_count(o, "udp_ports", u->account.ports);
    set_count(o, "bytes_up", u->account.up);
    set_count(o, "bytes_down", u->account.down);
    set_count(o, "seconds_since_used", mono_since(u->last, g->now) / USEC_PER_SEC);
    return o;
}

/* The latest first. */
static json_t *users_array(const struct report_gateway *g)
{
    json_t *list = json_array();
    size_t bytes = 0;
    for (const struct gate_user *u = gate_user_next(g->to, NULL); u; u = gate_user_next(g->to, u)) {
        json_array_insert_new(list, 0, user_object(g, u));
        if ((bytes += ROW) > ROOM) {
            json_array_remove(list, json_array_size(list) - 1);
            bytes -= ROW;
        }
    }
    return list;
}

static const char *state_name(const struct via *v)
{
    return v->state == VIA_ASKING ? "asking" : !v->answered ? "new" : v->status == GATE_OK ? "known" : "refused";
}

static json_t *via_object(const struct report_gateway *g, const struct via *v)
{
    json_t *o = json_object();
    struct addr a = addr_v4(v->host, 0), a6 = addr_v6(v->ip6, 0);
    char s[ADDR_STR];
    set_text(o, "name", v->key.full);
    set_text(o, "asked", v->name);
    set_key(o, g->book, "gateway", "gateway_key", v->key.gateway);
    inet_ntop(AF_INET, a.ip, s, sizeof(s));
    set_text(o, "address", s);
    inet_ntop(AF_INET6, a6.ip, s, sizeof(s));
    set_text(o, "address6", s);
    set_text(o, "state", state_name(v));
    set_text(o, "words", v->answered ? gate_status_text(v->status) : NULL);
    set(o, "registered", json_boolean(v->registered));
    bool holds = v->answered && v->state == VIA_KNOWN;
    uint64_t left = holds && !mono_due(v->until, g->now) ? mono_since(g->now, v->until) / USEC_PER_SEC : 0;
    set(o, "seconds_left", holds ? json_integer((json_int_t)left) : json_null());
    return o;
}

static json_t *vias_array(const struct report_gateway *g)
{
    json_t *list = json_array();
    size_t sizes[ROOM / ROW + 1], n = 0, bytes = 0;
    for (const struct via *v = via_next(g->vias, NULL); v; v = via_next(g->vias, v)) {
        size_t size = ROW + strlen(v->key.full) + strlen(v->name);
        json_array_insert_new(list, 0, via_object(g, v));
        memmove(sizes + 1, sizes, n * sizeof(sizes[0]));
        sizes[0] = size;
        n++;
        bytes += size;
        while (bytes > ROOM || n == ARRAY_LEN(sizes)) {
            bytes -= sizes[--n];
            json_array_remove(list, n);
        }
    }
    return list;
}

static json_t *server_object(const struct report_gateway *g)
{
    const struct config_gateway *c = g->config;
    struct gate_account sum;
    char text[NETWORK_STR];
    to_ip_sum(g->to, &sum);
    json_t *o = json_object(), *networks = json_array(), *names = json_array();
    for (unsigned i = 0; i < c->n_networks; i++)
        json_array_append_new(networks, json_string(network_text(&c->networks[i], text)));
    for (unsigned i = 0; i < c->n_names; i++)
        json_array_append_new(names, json_string(c->names[i]));
    set(o, "line", json_integer(c->line));
    set(o, "networks", networks);
    set(o, "suffixes", names);
    set_count(o, "allowed", c->n_allow);
    set(o, "anyone", json_boolean(g->anyone));
    set_count(o, "connections_max", c->connections);
    set_count(o, "per_user_max", c->per_user);
    set_count(o, "flows", gate_flows(g->to));
    set_count(o, "tcp", g->tcp);
    set_count(o, "udp_ports", g->udp_ports);
    set_count(o, "strangers_refused", g->refused);
    set_count(o, "users_total", gate_users(g->to));
    set(o, "users", users_array(g));
    set_count(o, "names_found", sum.names);
    set_count(o, "connections", sum.connections);
    set_count(o, "failed", sum.failed);
    set_count(o, "refused", sum.refused);
    set_count(o, "bytes_up", sum.up);
    set_count(o, "bytes_down", sum.down);
    return o;
}

static json_t *gateway_object(const struct report_via *v)
{
    json_t *o = json_object();
    set_text(o, "name", v->name);
    set(o, "in_book", json_boolean(v->in_book));
    set(o, "session", json_boolean(v->session));
    set(o, "answers", json_boolean(v->answers));
    set(o, "allowed", v->answers ? json_boolean(v->allowed) : json_null());
    return o;
}

char *report_gateway(const struct report_gateway *g)
{
    json_t *o = json_object();
    set(o, "server", g->config ? server_object(g) : json_null());
    json_t *used = json_array();
    for (unsigned i = 0; i < g->n_used; i++)
        json_array_append_new(used, gateway_object(&g->used[i]));
    set(o, "gateways", used);
    set_count(o, "names_total", vias_count(g->vias));
    set(o, "names", vias_array(g));
    return finish(o);
}
