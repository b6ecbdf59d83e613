#include "daemon/control/why.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/id.h"
#include "daemon/control/json.h"

static const char *const fate_name[WHY_FATES] = {
    [WHY_OVERLAY] = "overlay",
    [WHY_UNKNOWN] = "unknown",
    [WHY_SYSTEM] = "system",
    [WHY_DENIED] = "denied",
    [WHY_UNAVAILABLE] = "unavailable",
    [WHY_SELF] = "self",
    [WHY_GATEWAY] = "gateway",
    [WHY_REAL] = "real",
};

static void set_choice(json_t *o, const char *name, enum config_choice c)
{
    if (c != CHOICE_UNSET)
        set(o, name, json_boolean(c == CHOICE_YES));
}

static void set_word(json_t *o, const char *name, const char *value)
{
    if (*value)
        set_text(o, name, value);
}

/* What is not in it, the rule does not say. */
static json_t *rule_object(const char *file, const struct config_rule *r)
{
    json_t *o = json_object();
    set_text(o, "file", file);
    set(o, "line", json_integer(r->line));
    set_word(o, "suffix", r->suffix);
    set_word(o, "match", r->match);
    set_word(o, "app", r->app);
    set_text(o, "action", action_name(r->action));
    set_word(o, "via", r->via);
    if (r->strip)
        set(o, "strip", json_true());
    set_choice(o, "shortcut", r->shortcut);
    set_choice(o, "encrypt", r->encrypt);
    if (r->anonymity)
        set(o, "anonymity", json_true());
    if (r->n_through) {
        json_t *a = json_array();
        for (unsigned i = 0; i < r->n_through; i++)
            json_array_append_new(a, json_string(r->through[i]));
        set(o, "through", a);
    }
    return o;
}

static json_t *host_object(const struct report_why *w)
{
    char key[KEY_STR_LEN + 1], print[FINGERPRINT_STR];
    json_t *o = json_object();
    key_format(w->e->key, key);
    set_text(o, "name", w->e->name);
    set_text(o, "from", w->group ? "group" : "book");
    set_text(o, "key", key);
    set_text(o, "fingerprint", key_fingerprint(w->e->key, print));
    set(o, "multicast", json_boolean(w->e->multicast));
    return o;
}

static void set_host(json_t *o, const char *name, const struct addr *a)
{
    char s[ADDR_STR];
    if (a->family)
        inet_ntop(a->family == 6 ? AF_INET6 : AF_INET, a->ip, s, sizeof(s));
    set_text(o, name, a->family ? s : NULL);
}

static void set_overlay(json_t *o, const struct report_why *w)
{
    set_text(o, "suffix", w->suffix);
    set_text(o, "overlay", w->overlay);
    set_text(o, "asked", w->asked);
    set(o, "host", w->e ? host_object(w) : json_null());
    set_host(o, "address", &w->address);
    set_host(o, "address6", &w->address6);
    json_t *also = json_array();
    if (w->hash)
        json_array_append_new(also, json_string("hash"));
    if (w->dns)
        json_array_append_new(also, json_string("dns"));
    set(o, "resolve_also", also);
    set_text(o, "session", w->session);
    set(o, "shortcut", json_boolean(w->shortcut && !w->anonymous));
    set(o, "encrypt", json_boolean(w->encrypt || w->anonymous));
    set(o, "anonymous", json_boolean(w->anonymous));
    set_text(o, "through", w->through);
}

/* The gateway is the host. */
static json_t *gateway_object(const struct report_why *w)
{
    json_t *o = json_object();
    set_text(o, "name", w->gateway);
    set(o, "host", w->e ? host_object(w) : json_null());
    set_text(o, "asked", w->asked);
    set_text(o, "session", w->session);
    set_host(o, "address", &w->address);
    set_host(o, "address6", &w->address6);
    set_text(o, "state", w->gateway_state);
    set_text(o, "words", w->gateway_words);
    return o;
}

char *report_why(const struct report_why *w)
{
    json_t *o = json_object(), *others = json_array();
    set_text(o, "name", w->name);
    set(o, "port", w->port ? json_integer(w->port) : json_null());
    set_text(o, "app", *w->app ? w->app : NULL);
    set_text(o, "decision", fate_name[w->fate]);
    set_text(o, "file", w->file);
    set(o, "rules", json_integer(w->n_rules));
    set(o, "rule", w->verdict.rule ? rule_object(w->file, w->verdict.rule) : json_null());
    set(o, "pattern_given_up", json_boolean(w->verdict.undecided));
    set_text(o, "missing", w->missing);
    set(o, "has_overlay_suffix", json_boolean(w->verdict.has_suffix));
    if (w->fate == WHY_OVERLAY || w->fate == WHY_UNKNOWN || w->fate == WHY_SELF)
        set_overlay(o, w);
    if (w->fate == WHY_GATEWAY)
        set(o, "gateway", gateway_object(w));
    for (unsigned i = 0; i < w->n_others; i++)
        json_array_append_new(others, rule_object(w->file, w->others[i]));
    set(o, "rules_for_some_programs", others);
    set_text(o, "listening", w->listening);
    set_text(o, "meant", w->meant);
    set_text(o, "config_wrong", w->wrong);
    return finish(o);
}
