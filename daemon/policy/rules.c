#include "daemon/policy/rules.h"

#include <stdlib.h>

#include "daemon/policy/pattern.h"
#include "include/bytes.h"

struct rules {
    struct config_rule *list;
    struct pattern **patterns; /* NULL where the rule has none */
    unsigned n;
    char suffixes[CONFIG_OVERLAYS_MAX + 1][64];
    unsigned n_suffixes;
};

static bool compile_all(struct rules *r)
{
    char wrong[80];
    size_t at;
    for (unsigned i = 0; i < r->n; i++)
        if (r->list[i].match[0] && !(r->patterns[i] = pattern_new(r->list[i].match, &at, wrong, sizeof(wrong))))
            return false;
    return true;
}

struct rules *rules_new(const struct config *c)
{
    struct rules *r = calloc(1, sizeof(*r));
    if (!r)
        return NULL;
    memcpy(r->suffixes[r->n_suffixes++], c->suffix, sizeof(c->suffix));
    for (unsigned i = 0; i < c->n_overlays && i < CONFIG_OVERLAYS_MAX; i++)
        memcpy(r->suffixes[r->n_suffixes++], c->overlays[i].suffix, sizeof(c->suffix));
    if (!c->n_rules)
        return r;
    r->n = c->n_rules;
    r->list = malloc(r->n * sizeof(*r->list));
    r->patterns = calloc(r->n, sizeof(struct pattern *));
    if (r->list)
        memcpy(r->list, c->rules, r->n * sizeof(*r->list));
    if (!r->list || !r->patterns || !compile_all(r)) {
        rules_free(r);
        return NULL;
    }
    return r;
}

void rules_free(struct rules *r)
{
    if (!r)
        return;
    for (unsigned i = 0; i < r->n && r->patterns; i++)
        pattern_free(r->patterns[i]);
    free(r->patterns);
    free(r->list);
    free(r);
}

static bool ends_with(const char *name, size_t len, const char *suffix)
{
    size_t n = strlen(suffix);
    return len > n && !memcmp(name + len - n, suffix, n);
}

/* 1 or 0; less: it cannot be decided. */
static int fits(const struct rules *r, unsigned i, const char *name, size_t len, const char *app)
{
    const struct config_rule *rule = &r->list[i];
    if (rule->app[0] && strcmp(rule->app, app))
        return 0;
    if (rule->suffix[0] && !ends_with(name, len, rule->suffix))
        return 0;
    if (!rule->match[0])
        return 1;
    return len ? pattern_match(r->patterns[i], name, len) : 0;
}

/* Lower case, no dot at the end: its length, more than RULES_NAME_MAX when that is no name, whoever would be asked. */
static size_t plain_name(const char *name, char plain[RULES_NAME_MAX + 1])
{
    size_t len = strlen(name);
    len -= len && name[len - 1] == '.';
    for (size_t i = 0; i < len && len <= RULES_NAME_MAX; i++)
        plain[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] + 32 : name[i]);
    plain[len <= RULES_NAME_MAX ? len : 0] = '\0';
    return len;
}

static bool has_overlay_suffix(const struct rules *r, const char *name, size_t len)
{
    for (unsigned i = 0; i < r->n_suffixes; i++)
        if (ends_with(name, len, r->suffixes[i]))
            return true;
    return false;
}

struct verdict rules_decide(const struct rules *r, const char *name, const char *app)
{
    char plain[RULES_NAME_MAX + 1];
    size_t len = plain_name(name, plain);
    if (len > RULES_NAME_MAX)
        return (struct verdict){.action = ACTION_DENY};
    bool has_suffix = has_overlay_suffix(r, plain, len);
    for (unsigned i = 0; i < r->n; i++) {
        int fit = fits(r, i, plain, len, app);
        if (fit)
            return (struct verdict){fit < 0 ? ACTION_DENY : r->list[i].action, &r->list[i], fit < 0, has_suffix};
    }
    return (struct verdict){has_suffix || !len ? ACTION_OVERLAY : ACTION_DIRECT, NULL, false, has_suffix};
}

const struct config_rule *rules_for_some(const struct rules *r, const char *name, const struct config_rule *after)
{
    char plain[RULES_NAME_MAX + 1];
    size_t len = plain_name(name, plain);
    for (unsigned i = after ? (unsigned)(after - r->list) + 1 : 0; i < r->n && len <= RULES_NAME_MAX; i++)
        if (fits(r, i, plain, len, r->list[i].app))
            return &r->list[i];
    return NULL;
}

bool rules_know_apps(const struct rules *r)
{
    for (unsigned i = 0; i < r->n; i++)
        if (r->list[i].app[0])
            return true;
    return false;
}

void rules_wishes(const struct rules *r, const char *name, enum config_choice *shortcut, enum config_choice *encrypt)
{
    char plain[RULES_NAME_MAX + 1];
    size_t len = plain_name(name, plain);
    *shortcut = *encrypt = CHOICE_UNSET;
    for (unsigned i = 0; i < r->n && len <= RULES_NAME_MAX; i++) {
        const struct config_rule *rule = &r->list[i];
        if (fits(r, i, plain, len, rule->app) <= 0)
            continue;
        bool counts = rule->action == ACTION_OVERLAY;
        if (counts && *shortcut != CHOICE_NO && rule->shortcut != CHOICE_UNSET)
            *shortcut = rule->shortcut;
        if (counts && *encrypt != CHOICE_YES && rule->encrypt != CHOICE_UNSET)
            *encrypt = rule->encrypt;
        if (!rule->app[0]) /* no other is reached */
            return;
    }
}

const struct config_rule *rules_through(const struct rules *r, const char *name)
{
    for (const struct config_rule *rule = rules_for_some(r, name, NULL); rule; rule = rules_for_some(r, name, rule)) {
        if (rule->action == ACTION_OVERLAY && rule->n_through)
            return rule;
        if (!rule->app[0]) /* no other is reached */
            return NULL;
    }
    return NULL;
}

bool rules_want_shortcuts(const struct rules *r)
{
    for (unsigned i = 0; i < r->n; i++)
        if (r->list[i].shortcut == CHOICE_YES)
            return true;
    return false;
}

bool verdict_works(const struct verdict *v, const char **missing)
{
    *missing = NULL;
    (void)v;
    return !*missing;
}

bool rules_want_every_name(const struct rules *r, const char *suffix)
{
    for (unsigned i = 0; i < r->n_suffixes; i++)
        if (strcmp(r->suffixes[i], suffix) && !ends_with(r->suffixes[i], strlen(r->suffixes[i]), suffix))
            return true;
    for (unsigned i = 0; i < r->n; i++) {
        const struct config_rule *rule = &r->list[i];
        bool below = rule->suffix[0] && (!strcmp(rule->suffix, suffix) || ends_with(rule->suffix, strlen(rule->suffix), suffix));
        if (!below || rule->action == ACTION_DIRECT)
            return true;
    }
    return false;
}

const char *action_name(enum config_action a)
{
    static const char *const names[] = {
        [ACTION_OVERLAY] = "overlay", [ACTION_GATEWAY] = "gateway", [ACTION_DIRECT] = "direct", [ACTION_DENY] = "deny"};
    return a < ARRAY_LEN(names) ? names[a] : "?";
}
