/* pump/why.c - `i3ctl why NAME[:PORT]`: the decision of pump/policy.c made again, and told. */
#include "daemon/control/why.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/pump/box.h"
#include "daemon/pump/mesh.h"
#include "daemon/pump/control.h"
#include "daemon/pump/gateway.h"
#include "daemon/pump/policy.h"
#include "daemon/pump/reload.h"

struct question {
    char name[IPC_NAME_MAX + 1];
    const char *app;
    unsigned port;
    struct addr number; /* family 0: it is a name */
};

/* NAME, NAME:PORT, 1.2.3.4:PORT, [::1]:PORT, ::1. */
static bool question_parse(const char *text, struct question *q)
{
    const char *bracket = *text == '[' ? strchr(text, ']') : NULL, *colon = strrchr(text, ':');
    bool has_port = bracket ? bracket[1] == ':' : colon && strchr(text, ':') == colon;
    const char *from = bracket ? text + 1 : text;
    size_t n = bracket ? (size_t)(bracket - from) : has_port ? (size_t)(colon - text) : strlen(text);
    if (!n || n > IPC_NAME_MAX || (bracket && bracket[1] && !has_port))
        return false;
    memcpy(q->name, from, n);
    q->name[n] = '\0';
    if (has_port) {
        char *end;
        unsigned long port = strtoul(colon + 1, &end, 10);
        if (*end || colon[1] < '0' || colon[1] > '9' || port < 1 || port > 65535)
            return false;
        q->port = (unsigned)port;
    }
    q->number.family = inet_pton(AF_INET, q->name, q->number.ip) == 1 ? 4 : inet_pton(AF_INET6, q->name, q->number.ip) == 1 ? 6 : 0;
    return true;
}

static const char *session_words(const struct overlay *o, const uint8_t key[KEY_LEN])
{
    const struct peer *peer = peer_by_key(o->peers, key);
    struct peer_info i;
    struct mesh_info way;
    if (drop_has(o->p, key))
        return "dropped";
    if (!peer)
        return "none";
    peer_info(o->peers, peer, o->p->now, &i);
    if (i.standing && o->mesh)
        return mesh_info_of(mesh_of(o), o->p->now, key, &way) && way.kind == MESH_DETOUR ? "detour" : "direct";
    return !i.standing ? "none" : i.shortcut.family ? "shortcut" : "relayed";
}

static const char *who_listens(struct pump *p, unsigned port)
{
    struct addr own = addr_v4(p->own, (uint16_t)port);
    const struct door *d;
    for (unsigned i = 0; (d = access_at(p->access, i)); i++)
        if (d->port == port)
            return d->source == ACCESS_SHARE ? "shared" : "exposed";
    return listen_find(p, &own) ? "program" : "nobody";
}

static void tell_host(struct pump *p, struct report_why *w, const struct book_entry *e, struct overlay *o)
{
    enum config_choice shortcut, encrypt;
    char full[IPC_NAME_MAX + 1];
    uint32_t ip = twin_address(p, e, false);
    w->e = e;
    w->group = !book_find_key(p->book, e->key);
    w->address = ip ? addr_v4(ip, 0) : (struct addr){0};
    w->address6 = ip && !twin_is(p, pool_key(p->pool, p->now, ip)) ? names_host_address(p, ip, 6, 0) : (struct addr){0};
    overlay_of_entry(p, e->name, full);
    policy_wishes(p, e, &shortcut, &encrypt);
    w->shortcut = shortcut == CHOICE_UNSET ? p->config.shortcut : shortcut == CHOICE_YES;
    w->encrypt = encrypt == CHOICE_UNSET ? p->config.encrypt : encrypt == CHOICE_YES;
    w->shortcut &= !e->via && o && o->kind->shortcuts;
    if (ip && side_by_own(p, ip)) {
        w->fate = WHY_SELF;
        w->listening = w->port ? who_listens(p, w->port) : NULL;
    } else if (!e->multicast) {
        static char through[400];
        w->session = session_words(o, e->key);
        w->through = box_words(p, e->key, through, sizeof(through)) ? through : NULL;
        w->shortcut &= !w->through;
    }
}

/* How the gateway stands to it; nothing is asked. */
static void tell_gateway(struct pump *p, const struct policy_look *l, struct report_why *w)
{
    const struct config_rule *r = l->verdict.rule;
    static char asked[GATE_NAME_MAX + 1];
    w->gateway = r->via;
    w->e = l->e;
    w->group = l->e && !book_find_key(p->book, l->e->key);
    w->session = l->e ? session_words(l->o, l->e->key) : NULL;
    size_t n = strlen(l->full), m = r->strip ? strlen(r->suffix) : 0;
    snprintf(asked, sizeof(asked), "%.*s", (int)(n > m ? n - m : n), l->full);
    w->asked = asked;
    const struct via *v = l->e ? via_find(p->gateway->vias, l->e->key, 0, l->full) : NULL;
    if (!v)
        return;
    w->address = addr_v4(v->host, 0);
    w->address6 = addr_v6(v->ip6, 0);
    w->gateway_state = v->state == VIA_ASKING ? "asking" : !v->answered ? "new" : v->status == GATE_OK ? "known" : "refused";
    w->gateway_words = v->answered ? gate_status_text(v->status) : NULL;
}

static void tell_fate(struct pump *p, const struct question *q, const struct policy_look *l, struct report_why *w)
{
    static const enum why_fate fates[] = {
        [FATE_OVERLAY] = WHY_UNKNOWN, [FATE_SYSTEM] = WHY_SYSTEM, [FATE_DENIED] = WHY_DENIED, [FATE_GATEWAY] = WHY_GATEWAY, [FATE_MISSING] = WHY_UNAVAILABLE};
    const struct config_rule *r = NULL;
    w->verdict = l->verdict;
    w->fate = fates[l->fate];
    w->missing = l->missing;
    w->anonymous = l->anonymous;
    while (!*q->app && w->n_others < WHY_OTHERS_MAX && (r = policy_app_rule(p, q->name, r, l->verdict.rule)))
        w->others[w->n_others++] = r;
    if (l->fate == FATE_GATEWAY)
        tell_gateway(p, l, w);
    if (l->fate != FATE_OVERLAY)
        return;
    w->asked = l->full;
    w->suffix = l->o ? l->o->suffix : NULL;
    w->overlay = l->o ? l->o->name : NULL;
    for (unsigned i = 0; i < p->config.resolve.n; i++) {
        w->hash |= p->config.resolve.by[i] == RESOLVE_HASH;
        w->dns |= p->config.resolve.by[i] == RESOLVE_DNS;
    }
    if (l->e) {
        w->fate = WHY_OVERLAY;
        tell_host(p, w, l->e, l->o);
    }
}

/* An address: what its host may be asked for by name decides. */
static void tell_number(struct pump *p, struct question *q, struct report_why *w)
{
    uint32_t ip = names_host(p, &q->number);
    const uint8_t *key = names_is_virtual(p, ip) ? pool_key(p->pool, p->now, ip) : NULL;
    const struct book_entry *e = twin_entry(p, key);
    key = twin_key(p, key);
    w->fate = key ? WHY_OVERLAY : WHY_REAL;
    if (!key)
        return;
    const struct via *v = key && !e ? gate_via(p, ip) : NULL;
    if (v) {
        struct policy_look l;
        snprintf(q->name, sizeof(q->name), "%s", v->key.full);
        policy_look(p, q->name, q->app, &l);
        tell_fate(p, q, &l, w);
        if (policy_connect_via(p, v, q->app))
            w->fate = WHY_DENIED;
        return;
    }
    if (e) {
        struct policy_look l;
        overlay_of_entry(p, e->name, q->name);
        policy_look(p, q->name, q->app, &l);
        tell_fate(p, q, &l, w);
        w->asked = q->name;
    }
    if (policy_connect(p, key, q->app))
        w->fate = WHY_DENIED;
}

/* Somebody of the book, whose suffix was not typed. */
static const char *perhaps_meant(const struct pump *p, const struct question *q, const struct report_why *w, char full[IPC_NAME_MAX + 1])
{
    const struct book_entry *e = w->fate == WHY_SYSTEM && !w->verdict.rule ? book_find(p->book, q->name) : NULL;
    if (!e)
        return NULL;
    overlay_of_entry(p, e->name, full);
    return full;
}

void verb_why(struct control_call *k)
{
    struct pump *p = k->p;
    struct question q = {.app = k->argc > 2 ? k->argv[2] : ""};
    struct policy_look l;
    char full[IPC_NAME_MAX + 1];
    if (k->argc < 2 || k->argc > 3 || !question_parse(k->argv[1], &q)) {
        control_fail(k, report_error("usage: why NAME[:PORT] [APP]"));
        return;
    }
    struct report_why w = {.name = k->argv[1], .app = q.app, .port = q.port, .file = p->paths.config, .n_rules = p->config.n_rules,
        .wrong = reload_wrong(p)};
    char name[IPC_NAME_MAX + 1];
    memcpy(name, q.name, sizeof(name));
    w.name = name;
    if (q.number.family) {
        tell_number(p, &q, &w);
    } else {
        policy_look(p, q.name, q.app, &l);
        tell_fate(p, &q, &l, &w);
    }
    w.meant = perhaps_meant(p, &q, &w, full);
    control_done(k, report_why(&w));
}
