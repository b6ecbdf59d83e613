#include "daemon/control/overlay_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/control/json.h"
#include "include/bytes.h"

static json_t *one_node(const struct node_info *n)
{
    json_t *o = json_object();
    set_addr(o, "address", &n->addr);
    set(o, "in_use", json_boolean(n->in_use));
    set_text(o, "state", n->state_name);
    set(o, "rtt_us", n->rtt_us ? json_integer(n->rtt_us) : json_null());
    set_text(o, "why", n->why);
    return o;
}

/* In a mesh: somebody is reached, or nobody is there to be reached. */
bool report_overlay_is_up(const struct report_overlay *v)
{
    return v->mesh ? v->mesh->up || !v->mesh->members : v->node.family && triggers_all_standing(v->triggers);
}

static json_t *one_overlay(const struct report_overlay *v)
{
    static const char *const source[] = {[NODES_OF_NOBODY] = "none", [NODES_OF_CONFIG] = "config", [NODES_OF_FILE] = "file"};
    struct addr plain = addr_by(&v->node, ADDR_UDP);
    json_t *o = json_object(), *nodes = json_array();
    struct node_info n;
    for (unsigned i = 0; v->nodes && nodes_info(v->nodes, i, &n); i++)
        json_array_append_new(nodes, one_node(&n));
    set_text(o, "name", v->name);
    set_text(o, "suffix", v->suffix);
    set_text(o, "kind", v->kind);
    set_text(o, "source", source[v->source]);
    set_addr(o, "node", &plain);
    set(o, "embedded", json_boolean(v->embedded));
    set_text(o, "transport", v->node.family || v->mesh ? v->transport : NULL);
    set_text(o, "transport_why", v->transport_why);
    set(o, "reachable", json_boolean(report_overlay_is_up(v)));
    set(o, "names", json_integer(v->names));
    set(o, "sessions", json_integer(v->sessions));
    set(o, "packets_in", json_integer((json_int_t)v->packets_in));
    set(o, "packets_out", json_integer((json_int_t)v->packets_out));
    set(o, "bytes_in", json_integer((json_int_t)v->bytes_in));
    set(o, "bytes_out", json_integer((json_int_t)v->bytes_out));
    set(o, "nodes", nodes);
    set(o, "members", v->mesh ? json_integer(v->mesh->members) : json_null());
    set(o, "members_up", v->mesh ? json_integer(v->mesh->up) : json_null());
    return o;
}

void report_full_name(const struct report_overlay *v, unsigned n, const char *suffix, const char *name, char *out, size_t cap)
{
    size_t len = strlen(name);
    bool has = false;
    for (unsigned i = 1; i < n && !has; i++) {
        size_t s = strlen(v[i].suffix);
        has = len > s && !strcmp(name + len - s, v[i].suffix);
    }
    snprintf(out, cap, "%s%s", name, has ? "" : suffix);
}

json_t *report_overlay_array(const struct report_overlay *v, unsigned n)
{
    json_t *a = json_array();
    for (unsigned i = 0; i < n; i++)
        json_array_append_new(a, one_overlay(&v[i]));
    return a;
}

char *report_overlays(const struct report_overlay *v, unsigned n, const char *done, const struct addr *which, unsigned n_which)
{
    json_t *o = json_object(), *list = json_array();
    char s[ADDR_STR];
    for (unsigned i = 0; done && i < n_which; i++)
        json_array_append_new(list, json_string(addr_str(&which[i], s)));
    if (done)
        set(o, done, list);
    else
        json_decref(list);
    set(o, "overlays", report_overlay_array(v, n));
    char *text = json_dumps(o, JSON_COMPACT);
    json_decref(o);
    return text;
}
