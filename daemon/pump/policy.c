#include "daemon/pump/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/base/log.h"

#define TOLD_AGAIN_US (60 * USEC_PER_SEC)

/* What the library holds for the overlay's where nothing else is said (I3_SUFFIX of shim/config.h). */
static const char library_suffix[] = ".i3";

struct policy {
    struct rules *rules;
    bool has_rules, apps, every_name, shortcuts;
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
    if (l->missing)
        log_warn("rule line=%u name=%s asks for %s, which this version does not have: such names are not known", rule->line, name, l->missing);
    else
        log_warn("rule line=%u name=%s its pattern takes too many steps and was given up: such names are not known", rule->line, name);
}

void policy_resolve(struct pump *p, const char *name, const char *app, struct ipc_resolved *out)
{
    struct policy_look l;
    *out = (struct ipc_resolved){.status = ENOENT};
    policy_look(p, name, app, &l);
    switch (l.fate) {
    case FATE_OVERLAY:
        if (l.full[0])
            names_resolve(p, l.full, out);
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
}

const char *policy_app(const struct pump *p, struct ipc_client *c)
{
    return p->policy->apps ? ipc_client_app(c) : "";
}

bool policy_wants_every_name(const struct pump *p)
{
    return p->policy->every_name;
}

bool policy_wants_shortcuts(const struct pump *p)
{
    return p->policy->shortcuts;
}
