#include "daemon/pump/policy.h"

#include "daemon/pump/box.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/pump/anon.h"
#include "daemon/pump/gateway.h"
#include "daemon/pump/lookup.h"

#define TOLD_AGAIN_US (60 * USEC_PER_SEC)

/* What the library holds for the overlay's where nothing else is said (I3_SUFFIX of shim/config.h). */
static const char library_suffix[] = ".i3";

struct policy {
    struct rules *rules;
    bool has_rules, apps, every_name, shortcuts, anonymity;
    mono_t *told; /* of each rule: when it was last logged that it cannot be followed */
    unsigned n;
};

static struct policy *policy_new(const struct config *c)
{
    struct policy *y = calloc(1, sizeof(*y));
    if (!y)
        return NULL;
    y->n = c->n_rules;
    y->rules = rules_new(c);
    y->told = malloc((c->n_rules + 1) * sizeof(*y->told));
    if (!y->rules || !y->told) {
        rules_free(y->rules);
        free(y->told);
        free(y);
        return NULL;
    }
    for (unsigned i = 0; i <= c->n_rules; i++)
        y->told[i] = MONO_NEVER;
    y->has_rules = c->n_rules;
    y->apps = rules_know_apps(y->rules);
    y->every_name = rules_want_every_name(y->rules, library_suffix);
    for (unsigned i = 0; i < c->n_rules; i++)
        y->anonymity |= c->rules[i].anonymity;
    y->shortcuts = c->shortcut || rules_want_shortcuts(y->rules);
    return y;
}

static void policy_free(struct policy *y)
{
    if (!y)
        return;
    rules_free(y->rules);
    free(y->told);
    free(y);
}

int policy_start(struct pump *p)
{
    p->policy = policy_new(&p->config);
    return p->policy ? 0 : -ENOMEM;
}

void policy_stop(struct pump *p)
{
    policy_free(p->policy);
    p->policy = NULL;
}

int policy_renew(struct pump *p, const struct config *c)
{
    struct policy *y = policy_new(c);
    if (!y)
        return -ENOMEM;
    policy_free(p->policy);
    p->policy = y;
    return 0;
}

/* ---- the decision ---- */

/* A name which a rule brings into the overlay although no overlay has its suffix is found as if it were that of the rule's `via`, or the
 * first one's. */
static void full_name(const struct pump *p, const struct verdict *v, const char *name, char full[IPC_NAME_MAX + 1])
{
    const struct overlay *o = v->rule && v->action == ACTION_OVERLAY && v->rule->via[0] ? overlay_named(p, v->rule->via) : p->overlays;
    size_t len = strlen(name);
    len -= len && name[len - 1] == '.';
    int n = snprintf(full, IPC_NAME_MAX + 1, "%.*s%s", (int)len, name, v->has_suffix ? "" : o ? o->suffix : "");
    if (n > IPC_NAME_MAX || !len)
        full[0] = '\0';
}

/* As it was asked for, and who the gateway is: somebody of the book, or a group. */
static void look_gateway(const struct pump *p, const char *name, struct policy_look *out)
{
    size_t len = strlen(name);
    len -= len && name[len - 1] == '.';
    if (len > IPC_NAME_MAX)
        len = 0;
    for (size_t i = 0; i < len; i++)
        out->full[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    out->full[len] = '\0';
    const struct group *g = groups_find(p->groups, out->verdict.rule->via);
    out->e = book_find(p->book, out->verdict.rule->via);
    out->e = out->e ? out->e : g ? &g->entry : NULL;
    out->e = out->e && out->e->multicast ? NULL : out->e;
    out->o = out->e ? overlay_of_key(p, out->e->key) : NULL;
}

void policy_look(const struct pump *p, const char *name, const char *app, struct policy_look *out)
{
    char bare[IPC_NAME_MAX + 1];
    *out = (struct policy_look){.verdict = rules_decide(p->policy->rules, name, app)};
    if (out->verdict.action == ACTION_DENY)
        out->fate = FATE_DENIED;
    else if (out->verdict.action == ACTION_DIRECT)
        out->fate = FATE_SYSTEM;
    else if (!verdict_works(&out->verdict, &out->missing))
        out->fate = FATE_MISSING;
    else if (out->verdict.action == ACTION_GATEWAY)
        out->fate = FATE_GATEWAY;
    bool hidden = p->asker && anon_is_all(p->asker);
    out->anonymous = hidden || p->config.anonymity || (out->verdict.rule && out->verdict.rule->anonymity);
    if (hidden && out->fate == FATE_SYSTEM)
        out->fate = FATE_DENIED; /* the system's resolver is outside */
    if (out->fate == FATE_GATEWAY)
        look_gateway(p, name, out);
    if (out->fate != FATE_OVERLAY)
        return;
    full_name(p, &out->verdict, name, out->full);
    out->o = out->full[0] ? names_bare(p, out->full, bare) : NULL;
    out->e = out->o ? names_find(p, out->full) : NULL;
}

/* Once a minute and rule. */
static void tell(struct pump *p, const struct policy_look *l, const char *name)
{
    const struct config_rule *rule = l->verdict.rule;
    unsigned i = 0;
    while (i < p->config.n_rules && p->config.rules[i].line != rule->line)
        i++;
    mono_t *told = &p->policy->told[i < p->policy->n ? i : p->policy->n];
    if (told->us != MONO_NEVER.us && mono_since(*told, p->now) < TOLD_AGAIN_US)
        return;
    *told = p->now;
    if (l->fate == FATE_GATEWAY)
        log_warn("rule line=%u name=%s goes through %s, which is not in the address book: such names are not known", rule->line, name, rule->via);
    else if (l->missing)
        log_warn("rule line=%u name=%s asks for %s, which this version does not have: such names are not known", rule->line, name, l->missing);
    else
        log_warn("rule line=%u name=%s its pattern takes too many steps and was given up: such names are not known", rule->line, name);
}

static bool wants_anonymity(const struct pump *p, const char *name, const char *app)
{
    struct verdict v = rules_decide(p->policy->rules, name, app);
    return v.rule && v.rule->anonymity;
}

/* By which side the gateway is asked; NULL: it cannot be had. */
static struct side *gateway_side(struct pump *p, const struct policy_look *l)
{
    struct overlay *o = l->anonymous && p->by ? anon_overlay(p->by, l->o) : l->o;
    return o ? o->sides : NULL;
}

void policy_resolve(struct pump *p, const char *name, const char *app, struct ipc_resolved *out)
{
    struct policy_look l;
    struct side *s;
    *out = (struct ipc_resolved){.status = ENOENT};
    policy_look(p, name, app, &l);
    switch (l.fate) {
    case FATE_OVERLAY:
        p->by = l.anonymous ? p->asker : NULL;
        if (l.full[0] && (p->by || !l.anonymous))
            names_resolve(p, l.full, out);
        break;
    case FATE_GATEWAY:
        p->by = l.anonymous ? p->asker : NULL;
        if (l.e && l.full[0] && l.anonymous && !p->by)
            break; /* nobody whom i3run has started for it */
        if (l.e && l.full[0] && (s = gateway_side(p, &l)))
            gate_resolve(p, s, l.e, l.full, l.verdict.rule->strip, l.verdict.rule->suffix, out);
        else if (!l.e || !l.full[0])
            tell(p, &l, name);
        break;
    case FATE_SYSTEM:
        out->status = IPC_NOT_VIRTUAL;
        break;
    case FATE_DENIED:
    case FATE_MISSING:
        if (l.missing || l.verdict.undecided)
            tell(p, &l, name);
        else
            log_debug("name=%s app=%s denied by rule line=%u", name, app, l.verdict.rule ? l.verdict.rule->line : 0);
        break;
    }
}

bool policy_wait(struct pump *p, const char *name, const char *app, struct ipc_client *client, uint32_t serial)
{
    struct policy_look l;
    policy_look(p, name, app, &l);
    struct side *s = l.fate == FATE_GATEWAY && l.e ? gateway_side(p, &l) : NULL;
    if (l.fate == FATE_GATEWAY)
        return s && gate_wait(p, s, l.e, l.full, client, serial);
    return lookup_wait(p, l.full, client, serial, NULL, 0);
}

int policy_connect_via(struct pump *p, const struct via *v, const char *app)
{
    struct policy_look l;
    policy_look(p, v->key.full, app, &l);
    return l.fate == FATE_GATEWAY && l.e && !memcmp(l.e->key, v->key.gateway, KEY_LEN) ? 0 : ECONNREFUSED;
}

bool policy_via_is_anonymous(const struct pump *p, const struct via *v, const char *app)
{
    return p->config.anonymity || (p->asker && anon_is_all(p->asker)) || wants_anonymity(p, v->key.full, app);
}

bool policy_claims(const struct pump *p, const char *name, const char *app)
{
    return rules_decide(p->policy->rules, name, app).action != ACTION_DIRECT;
}

const struct config_rule *policy_app_rule(const struct pump *p, const char *name, const struct config_rule *after, const struct config_rule *until)
{
    const struct config_rule *r = rules_for_some(p->policy->rules, name, after);
    while (r && r != until && !r->app[0])
        r = rules_for_some(p->policy->rules, name, r);
    return r == until ? NULL : r;
}

/* ---- hosts ---- */

bool policy_is_anonymous(const struct pump *p, const uint8_t *key, const char *app)
{
    char full[IPC_NAME_MAX + 1];
    if (p->config.anonymity || (p->asker && anon_is_all(p->asker)))
        return true;
    if (!p->policy->has_rules || !key)
        return false;
    for (size_t i = 0; i < book_count(p->book); i++) {
        const struct book_entry *e = book_at(p->book, i);
        if (memcmp(e->key, key, KEY_LEN) != 0)
            continue;
        overlay_of_entry(p, e->name, full);
        if (wants_anonymity(p, full, app) || wants_anonymity(p, e->name, app))
            return true;
    }
    return false;
}

static bool may_ask(const struct pump *p, const char *name, const char *app, bool by_rule_only)
{
    const char *missing;
    struct verdict v = rules_decide(p->policy->rules, name, app);
    return v.action == ACTION_OVERLAY && verdict_works(&v, &missing) && (v.rule || !by_rule_only);
}

/* By what it is called with its overlay's suffix; or, where a rule says so, without. */
static bool may_ask_entry(const struct pump *p, const struct book_entry *e, const char *app)
{
    char full[IPC_NAME_MAX + 1];
    overlay_of_entry(p, e->name, full);
    return may_ask(p, full, app, false) || may_ask(p, e->name, app, true);
}

int policy_connect(struct pump *p, const uint8_t *key, const char *app)
{
    unsigned names = 0;
    if (!p->policy->has_rules || !key)
        return 0;
    for (size_t i = 0; i < book_count(p->book); i++) {
        const struct book_entry *e = book_at(p->book, i);
        if (memcmp(e->key, key, KEY_LEN) != 0)
            continue;
        names++;
        if (may_ask_entry(p, e, app))
            return 0;
    }
    const struct group *g = groups_by_key(p->groups, key);
    if (g ? may_ask_entry(p, &g->entry, app) : !names && may_ask(p, "", app, false))
        return 0;
    return ECONNREFUSED;
}

void policy_wishes(const struct pump *p, const struct book_entry *e, enum config_choice *shortcut, enum config_choice *encrypt)
{
    char full[IPC_NAME_MAX + 1];
    enum config_choice bare_shortcut, bare_encrypt;
    overlay_of_entry(p, e->name, full);
    rules_wishes(p->policy->rules, full, shortcut, encrypt);
    rules_wishes(p->policy->rules, e->name, &bare_shortcut, &bare_encrypt);
    *shortcut = *shortcut == CHOICE_UNSET ? bare_shortcut : *shortcut;
    *encrypt = *encrypt == CHOICE_UNSET ? bare_encrypt : *encrypt;
}

void policy_peer(struct pump *p, struct overlay *o, struct peer *peer, const struct book_entry *e)
{
    static const int8_t yes[] = {[CHOICE_UNSET] = -1, [CHOICE_NO] = 0, [CHOICE_YES] = 1}, no[] = {[CHOICE_UNSET] = -1, [CHOICE_NO] = 1, [CHOICE_YES] = 0};
    enum config_choice shortcut, encrypt;
    policy_wishes(p, e, &shortcut, &encrypt);
    peer_set_wishes(o->peers, peer, yes[shortcut], no[encrypt]);
    box_policy(o->sides, peer, e);
}

const struct config_rule *policy_through(const struct pump *p, const struct book_entry *e)
{
    char full[IPC_NAME_MAX + 1];
    overlay_of_entry(p, e->name, full);
    const struct config_rule *r = rules_through(p->policy->rules, full);
    r = r ? r : rules_through(p->policy->rules, e->name);
    for (unsigned i = 0; !r && i < p->config.n_rules; i++) {
        const struct config_rule *g = &p->config.rules[i];
        if (g->action == ACTION_GATEWAY && g->n_through && !strcmp(g->via, e->name))
            r = g;
    }
    return r;
}

const char *policy_app(const struct pump *p, struct ipc_client *c)
{
    return p->policy->apps ? ipc_client_app(c) : "";
}

bool policy_wants_programs(const struct pump *p)
{
    return p->policy->anonymity;
}

bool policy_wants_every_name(const struct pump *p)
{
    return p->policy->every_name;
}

bool policy_wants_shortcuts(const struct pump *p)
{
    return p->policy->shortcuts;
}
