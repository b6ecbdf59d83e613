#include "daemon/policy/config.h"

#include <confuse.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/policy/outline.h"
#include "daemon/policy/schema.h"
#include "daemon/policy/values.h"
#include "include/bytes.h"

enum { OPTIONS_MAX = 64, WHY_LEN = 200 };

struct parse {
    struct config c;
    struct outline o;
    struct config_errors *errors;
};

/* ---- defaults ---- */

static void set_defaults(enum config_section s, void *to)
{
    char why[WHY_LEN];
    for (unsigned i = 0; i < config_options_n; i++)
        if (config_options[i].section == s && config_options[i].def)
            config_options[i].set(&config_options[i], to, config_options[i].def, why, sizeof(why));
}

void config_default(struct config *c)
{
    memset(c, 0, sizeof(*c)); /* with what is between the fields: config_differ() */
    set_defaults(SECTION_TOP, c);
}

void config_free(struct config *c)
{
    free(c->overlays);
    free(c->rules);
    free(c->exposes);
    free(c->middleboxes);
    c->middleboxes = NULL;
    c->n_middleboxes = 0;
    free(c->gateways);
    c->gateways = NULL;
    c->n_gateways = 0;
    free(c->portals);
    free(c->publishes);
    c->overlays = NULL;
    c->rules = NULL;
    c->exposes = NULL;
    c->portals = NULL;
    c->publishes = NULL;
    c->n_overlays = c->n_rules = c->n_exposes = c->n_portals = c->n_publishes = 0;
}

/* ---- what libconfuse has read ---- */

/* The options of a section; those of the top are followed by the sections themselves. */
static void fill_options(cfg_opt_t *opts, enum config_section s, cfg_opt_t (*inner)[OPTIONS_MAX])
{
    unsigned n = 0;
    for (unsigned i = 0; i < config_options_n; i++) {
        const struct config_option *o = &config_options[i];
        if (o->section == s && o->list)
            opts[n++] = (cfg_opt_t)CFG_STR_LIST(o->name, NULL, CFGF_NODEFAULT);
        else if (o->section == s)
            opts[n++] = (cfg_opt_t)CFG_STR(o->name, NULL, CFGF_NODEFAULT);
    }
    for (unsigned k = 1; inner && k < CONFIG_SECTIONS; k++) {
        fill_options(inner[k], (enum config_section)k, NULL);
        opts[n++] = (cfg_opt_t)CFG_SEC(config_section_name((enum config_section)k), inner[k], CFGF_MULTI);
    }
    opts[n] = (cfg_opt_t)CFG_END();
}

/* A list that is given takes the place of its default. */
static void take_option(struct parse *p, cfg_t *cfg, unsigned section, const struct config_option *o, void *to)
{
    char why[WHY_LEN];
    unsigned n = cfg_size(cfg, o->name), all = p->errors->n;
    for (unsigned i = 0; i < n && p->errors->n - all <= CONFIG_ERRORS_MAX; i++) {
        const char *value = cfg_getnstr(cfg, o->name, i);
        if (!value)
            continue;
        if (o->list && !i)
            memset((char *)to + o->offset, 0, o->size);
        if (!o->set(o, to, value, why, sizeof(why)))
            continue;
        config_error(p->errors, outline_line(&p->o, section, o, i), o->name, "%s", why);
        if (section != OUTLINE_TOP)
            p->o.sections[section].bad = true;
    }
}

static void take_options(struct parse *p, cfg_t *cfg, enum config_section s, unsigned section, void *to)
{
    for (unsigned i = 0; i < config_options_n; i++)
        if (config_options[i].section == s)
            take_option(p, cfg, section, &config_options[i], to);
}

/* ---- what must hold between options ---- */

struct check {
    struct parse *p;
    enum config_section kind;
    unsigned section;
};

static const struct outline_option *given(const struct check *k, const char *name)
{
    const struct config_option *o = config_option_find(k->kind, name);
    for (unsigned i = 0; i < k->p->o.n_options; i++)
        if (k->p->o.options[i].section == k->section && k->p->o.options[i].option == o)
            return &k->p->o.options[i];
    return NULL;
}

static void wrong(const struct check *k, const char *name, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* At the option's line, or where it is not given, the section's. */
static void wrong(const struct check *k, const char *name, const char *fmt, ...)
{
    char text[WHY_LEN];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    const struct outline_option *o = given(k, name);
    unsigned line = o ? o->line : k->section == OUTLINE_TOP ? 1 : k->p->o.sections[k->section].line;
    config_error(k->p->errors, line, name, "%s", text);
}

static void check_top(const struct check *k)
{
    if (given(k, "resolve") && !given(k, "resolve")->n)
        wrong(k, "resolve", "it names nobody who could be asked: resolve = { \"book\" }");
}

static void check_overlay(const struct check *k, const struct config_overlay *o, unsigned nth)
{
    const struct config *c = &k->p->c;
    if (!given(k, "suffix")) {
        wrong(k, "suffix", "it is missing: how do the names of this overlay end? E.g. suffix = \".%s.i3\"", o->name);
        return;
    }
    if (o->kind == KIND_MESH && o->n_nodes)
        wrong(k, "nodes", "a mesh has none: where its members are stands in the book ('i3ctl book add NAME KEY --at ADDRESS:PORT')");
    static const char *const of_mesh[] = {"bind", "relay"};
    for (unsigned i = 0; i < ARRAY_LEN(of_mesh); i++)
        if (o->kind != KIND_MESH && given(k, of_mesh[i]))
            wrong(k, of_mesh[i], "it is for an overlay of kind = \"mesh\"");
    for (unsigned i = 0; i < nth && o->kind == KIND_MESH && o->bind.port; i++)
        if (c->overlays[i].kind == KIND_MESH && c->overlays[i].bind.port == o->bind.port) {
            wrong(k, "bind", "the mesh in line %u has port %u already", c->overlays[i].line, o->bind.port);
            return;
        }
    if (o->kind == KIND_MESH && o->bind.port && o->bind.port == c->bind.port)
        wrong(k, "bind", "port %u is that of the top-level bind already", o->bind.port);
    if (!strcmp(o->suffix, c->suffix))
        wrong(k, "suffix", "%s is the suffix of the first overlay already", o->suffix);
    for (unsigned i = 0; i < nth; i++)
        if (!strcmp(o->suffix, c->overlays[i].suffix)) {
            wrong(k, "suffix", "%s is the suffix of the overlay in line %u already", o->suffix, c->overlays[i].line);
            return;
        }
}

/* What a rule's options say to each other. */
static void check_rule_options(const struct check *k, const struct config_rule *r)
{
    static const char *const of_overlay[] = {"shortcut", "encrypt", "anonymity", "through", "alerts"};
    bool away = r->action == ACTION_DIRECT || r->action == ACTION_DENY;
    for (unsigned i = 0; i < ARRAY_LEN(of_overlay); i++)
        if (away && given(k, of_overlay[i]))
            wrong(k, of_overlay[i], "it says nothing with action = \"%s\", which keeps such names out of the overlay",
                r->action == ACTION_DENY ? "deny" : "direct");
    if (given(k, "through") && !r->n_through)
        wrong(k, "through", "it names nobody: through = { \"NAME\" }, or leave it out");
    if (given(k, "alerts") && !r->n_through)
        wrong(k, "alerts", "it is about what boxes find, so through = { \"NAME\" } is needed with it; boxes that a server asks for tell you anyway");
    if (r->anonymity && r->shortcut == CHOICE_YES)
        wrong(k, "shortcut", "a shortcut tells the peer where you are, which anonymity = yes shall not");
    if (r->anonymity && r->encrypt == CHOICE_NO)
        wrong(k, "encrypt", "with anonymity = yes everything is encrypted");
}

/* There is one way to a gateway. */
static void check_gateways(const struct check *k, const struct config_rule *r)
{
    const struct config *c = &k->p->c;
    for (unsigned i = 0; i < c->n_rules; i++) {
        const struct config_rule *other = &c->rules[i];
        bool same = other->n_through == r->n_through && !memcmp(other->through, r->through, sizeof(r->through)) && !strcmp(other->alerts, r->alerts);
        if (other != r && other->action == ACTION_GATEWAY && !strcmp(other->via, r->via) && !same) {
            wrong(k, "through", "the rule in line %u has other boxes for the gateway %s, to which there is one way: they must be the same", other->line, r->via);
            return;
        }
    }
}

static bool has_overlay(const struct config *c, const char *name)
{
    for (unsigned i = 0; i < c->n_overlays; i++)
        if (!strcmp(c->overlays[i].name, name))
            return true;
    return false;
}

static void check_rule(const struct check *k, const struct config_rule *r)
{
    if (given(k, "suffix") && given(k, "match"))
        wrong(k, "match", "a rule has either suffix or match, not both; the other one is in line %u", given(k, "suffix")->line);
    if (!given(k, "suffix") && !given(k, "match") && !given(k, "app"))
        wrong(k, "rule", "it says not which names it is about: suffix, match or app is missing");
    if (!given(k, "action")) {
        wrong(k, "action", "it is missing: action = \"overlay\", \"gateway\", \"direct\" or \"deny\"");
        return;
    }
    if (r->via[0] && r->action != ACTION_GATEWAY && r->action != ACTION_OVERLAY)
        wrong(k, "via", "it names a gateway, so action = \"gateway\" is needed with it, or an overlay, with action = \"overlay\"");
    if (r->via[0] && r->action == ACTION_OVERLAY && !has_overlay(&k->p->c, r->via))
        wrong(k, "via", "it names a gateway, with action = \"gateway\", or an overlay; there is no overlay \"%s\"", r->via);
    if (!r->via[0] && r->action == ACTION_GATEWAY)
        wrong(k, "via", "it is missing: which gateway? via = \"NAME\"");
    if (r->strip && r->action != ACTION_GATEWAY)
        wrong(k, "strip", "it says what a gateway is asked for, so action = \"gateway\" is needed with it");
    else if (r->strip && !r->suffix[0])
        wrong(k, "strip", "it takes the rule's suffix off, and there is none");
    check_rule_options(k, r);
    if (r->action == ACTION_GATEWAY)
        check_gateways(k, r);
}

static void check_expose(const struct check *k, struct config_expose *e, unsigned nth)
{
    const struct config *c = &k->p->c;
    if (!e->port) {
        wrong(k, "port", "it is missing: at which port do others find this server? E.g. port = 22");
        return;
    }
    if (!given(k, "allow") || !e->n_allow)
        wrong(k, "allow", "it names nobody, so nobody could connect: allow = { \"NAME\" }, with names of your address book or keys");
    if (!e->target.family)
        e->target = addr_v4(INADDR_LOOPBACK, e->port);
    for (unsigned i = 0; i < nth; i++)
        if (c->exposes[i].port == e->port && c->exposes[i].proto == e->proto) {
            wrong(k, "port", "%s port %u is exposed by '%s' in line %u already", e->proto == IPPROTO_UDP ? "UDP" : "TCP", e->port,
                c->exposes[i].name, c->exposes[i].line);
            return;
        }
}

static void check_middlebox(const struct check *k, const struct config_middlebox *m)
{
    if (!given(k, "allow") || !m->n_allow)
        wrong(k, "allow", "it names nobody, so nobody could use this box: allow = { \"NAME\" }, with names of your address book, keys, or \"anyone\"");
    if (given(k, "fail") && !m->verdicts[0])
        wrong(k, "fail", "it says nothing without verdicts = \"/PATH\", where a program says what becomes of packets");
}

static void check_gateway(const struct check *k, const struct config_gateway *g)
{
    if (!given(k, "allow") || !g->n_allow)
        wrong(k, "allow", "it names nobody, so nobody could use the gateway: allow = { \"NAME\" }, with names of your address book or keys");
    if (!given(k, "networks") || !g->n_networks)
        wrong(k, "networks", "it is missing: where may users go? E.g. networks = { \"10.20.0.0/16\" }");
    if (g->per_user > g->connections && given(k, "per-user"))
        wrong(k, "per-user", "one user cannot have more than all together, which are %u (connections)", g->connections);
}

static bool has_port(const struct config_ports *p, uint16_t port)
{
    for (unsigned i = 0; i < p->n; i++)
        if (p->v[i] == port)
            return true;
    return false;
}

/* The two would want the same socket at a waypoint. */
static void check_portal_ports(const struct check *k, const struct config_portal *o, const struct config_listen *l, const char *name)
{
    for (unsigned i = 0; i < l->n; i++)
        if (l->v[i].port && has_port(&o->ports, l->v[i].port))
            wrong(k, name, "port %u is in 'ports' as well: either its connections say whom they are for, as those of %s do, or the waypoint has to know",
                l->v[i].port, name);
}

static void check_portal(const struct check *k, struct config_portal *o)
{
    if (!o->zone[0]) {
        wrong(k, "zone", "it is missing: under which name of the DNS are things published? E.g. zone = \"i3.example.org\"");
        return;
    }
    if (!o->dns.n && !o->http.n && !o->tls.n && !o->ports.n)
        wrong(k, "portal", "it opens nothing: dns, http, tls or ports is missing");
    if (!o->n_waypoints && o->dns.n)
        wrong(k, "waypoints", "it is missing: which addresses of this machine shall the DNS hand out? E.g. waypoints = { \"203.0.113.7\" }");
    if (!o->n_waypoints && o->ports.n)
        wrong(k, "waypoints", "it is missing: 'ports' are listened on at the waypoints");
    if (o->ports.n && !o->dns.n)
        wrong(k, "dns", "it is missing: who connects to a port of 'ports' is known by the DNS question before it alone");
    check_portal_ports(k, o, &o->http, "http");
    check_portal_ports(k, o, &o->tls, "tls");
}

static void check_publish(const struct check *k, struct config_publish *o, unsigned nth)
{
    const struct config *c = &k->p->c;
    char name[CONFIG_NAME_MAX + 1];
    if (value_name(o->name, name))
        wrong(k, "publish", "'%s' cannot be a name in the DNS: letters, digits and '-'", o->name);
    else
        strcpy(o->name, name);
    if (!o->to[0])
        wrong(k, "to", "it is missing: to whom does it lead? E.g. to = \"%s.i3\"", o->name);
    if (!given(k, "ports"))
        o->ports = (struct config_ports){2, {80, 443}};
    else if (!o->ports.n)
        wrong(k, "ports", "it names no port, so nothing could be reached: ports = { 80, 443 }");
    if (given(k, "from") && !o->n_from)
        wrong(k, "from", "it names nobody, so nobody could connect: from = { \"0.0.0.0/0\", \"::/0\" }, or leave it out");
    if (!c->n_portals)
        wrong(k, "publish", "there is no section portal { }, by which it could be found");
    for (unsigned i = 0; i < nth; i++)
        if (!strcmp(c->publishes[i].name, o->name))
            wrong(k, "publish", "'%s' is published in line %u already", o->name, c->publishes[i].line);
}

bool config_from_has(const struct config_range *v, unsigned n, const struct addr *a)
{
    for (unsigned i = 0; i < n; i++) {
        unsigned whole = v[i].bits / 8, rest = v[i].bits % 8;
        if (v[i].family == a->family && !memcmp(v[i].ip, a->ip, whole) && (!rest || (a->ip[whole] ^ v[i].ip[whole]) >> (8 - rest) == 0))
            return true;
    }
    return !n;
}

/* ---- sections ---- */

static const struct kind {
    size_t size;
    size_t list, n; /* in struct config */
    size_t line, name; /* in the section's struct; name 0: it has none */
} kinds[] = {
    [SECTION_OVERLAY] = {sizeof(struct config_overlay), offsetof(struct config, overlays), offsetof(struct config, n_overlays),
        offsetof(struct config_overlay, line), offsetof(struct config_overlay, name)},
    [SECTION_RULE] = {sizeof(struct config_rule), offsetof(struct config, rules), offsetof(struct config, n_rules),
        offsetof(struct config_rule, line), 0},
    [SECTION_EXPOSE] = {sizeof(struct config_expose), offsetof(struct config, exposes), offsetof(struct config, n_exposes),
        offsetof(struct config_expose, line), offsetof(struct config_expose, name)},
    [SECTION_MIDDLEBOX] = {sizeof(struct config_middlebox), offsetof(struct config, middleboxes), offsetof(struct config, n_middleboxes),
        offsetof(struct config_middlebox, line), 0},
    [SECTION_GATEWAY] = {sizeof(struct config_gateway), offsetof(struct config, gateways), offsetof(struct config, n_gateways),
        offsetof(struct config_gateway, line), 0},
    [SECTION_PORTAL] = {sizeof(struct config_portal), offsetof(struct config, portals), offsetof(struct config, n_portals),
        offsetof(struct config_portal, line), 0},
    [SECTION_PUBLISH] = {sizeof(struct config_publish), offsetof(struct config, publishes), offsetof(struct config, n_publishes),
        offsetof(struct config_publish, line), offsetof(struct config_publish, name)},
};

static_assert(ARRAY_LEN(kinds) == CONFIG_SECTIONS, "name all");

static void check_section(const struct check *k, void *to, unsigned nth)
{
    switch (k->kind) {
    case SECTION_OVERLAY:
        check_overlay(k, to, nth);
        break;
    case SECTION_RULE:
        check_rule(k, to);
        break;
    case SECTION_EXPOSE:
        check_expose(k, to, nth);
        break;
    case SECTION_MIDDLEBOX:
        check_middlebox(k, to);
        break;
    case SECTION_GATEWAY:
        check_gateway(k, to);
        break;
    case SECTION_PORTAL:
        check_portal(k, to);
        break;
    case SECTION_PUBLISH:
        check_publish(k, to, nth);
        break;
    case SECTION_TOP:
    case CONFIG_SECTIONS:
        break;
    }
}

static void take_sections(struct parse *p, cfg_t *cfg, enum config_section s)
{
    const char *name = config_section_name(s);
    const struct kind *kind = &kinds[s];
    unsigned n = cfg_size(cfg, name);
    char *list = n ? calloc(n, kind->size) : NULL;
    *(void **)(void *)((char *)&p->c + kind->list) = list;
    if (n && !list)
        config_error(p->errors, 1, "file", "out of memory");
    for (unsigned i = 0; list && i < n; i++) {
        char *to = list + i * kind->size;
        unsigned section = outline_section_index(&p->o, s, i);
        if (section == OUTLINE_TOP)
            continue;
        const struct outline_section *at = &p->o.sections[section];
        *(unsigned *)(void *)(to + kind->line) = at->line;
        if (kind->name)
            strcpy(to + kind->name, at->title);
        set_defaults(s, to);
        take_options(p, cfg_getnsec(cfg, name, i), s, section, to);
        if (!at->bad) /* what is wrong there has been told, and might be the reason for anything else */
            check_section(&(struct check){p, s, section}, to, i);
        *(unsigned *)(void *)((char *)&p->c + kind->n) = i + 1;
    }
}

/* ---- the whole ---- */

/* Nothing should be left for libconfuse to complain about. */
static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
    struct config_errors *e = (void *)cfg->title;
    char text[WHY_LEN];
    vsnprintf(text, sizeof(text), fmt, ap);
    if (e)
        config_error(e, cfg->line > 0 ? (unsigned)cfg->line : 1, "libconfuse", "%s", text);
}

static void parse_clean(struct parse *p)
{
    cfg_opt_t opts[OPTIONS_MAX], inner[CONFIG_SECTIONS][OPTIONS_MAX];
    fill_options(opts, SECTION_TOP, inner);
    cfg_t *cfg = cfg_init(opts, CFGF_NONE);
    if (!cfg) {
        config_error(p->errors, 1, "file", "out of memory");
        return;
    }
    cfg->title = (void *)p->errors; /* lent: all that on_error() is given is the cfg_t, and nobody else uses the root's title */
    cfg_set_error_function(cfg, on_error);
    if (cfg_parse_buf(cfg, p->o.clean) == CFG_SUCCESS) {
        take_options(p, cfg, SECTION_TOP, OUTLINE_TOP, &p->c);
        check_top(&(struct check){p, SECTION_TOP, OUTLINE_TOP});
        for (unsigned s = 1; s < CONFIG_SECTIONS; s++)
            take_sections(p, cfg, (enum config_section)s);
    } else if (!p->errors->n) {
        config_error(p->errors, 1, "file", "it cannot be parsed");
    }
    cfg->title = NULL;
    cfg_free(cfg);
}

int config_parse(struct config *c, const char *text, size_t len, struct config_errors *e)
{
    struct parse p = {.errors = e};
    e->n = 0;
    config_default(&p.c);
    if (len > CONFIG_TEXT_MAX)
        config_error(e, 1, "file", "it has %zu bytes; more than %d are no configuration", len, CONFIG_TEXT_MAX);
    else if (!outline_make(&p.o, text, len, e))
        parse_clean(&p);
    outline_free(&p.o);
    if (e->n) {
        config_free(&p.c);
        return -EINVAL;
    }
    *c = p.c;
    return 0;
}
