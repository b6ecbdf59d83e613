#include "daemon/policy/schema.h"

#include <assert.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "daemon/policy/values.h"
#include "include/bytes.h"

static const struct {
    const char *name;
    bool titled;
    unsigned max;
} sections[] = {
    [SECTION_TOP] = {"", false, 1},
    [SECTION_OVERLAY] = {"overlay", true, CONFIG_OVERLAYS_MAX},
    [SECTION_RULE] = {"rule", false, CONFIG_RULES_MAX},
    [SECTION_EXPOSE] = {"expose", true, CONFIG_EXPOSES_MAX},
    [SECTION_MIDDLEBOX] = {"middlebox", false, 1},
    [SECTION_GATEWAY] = {"gateway", false, 1},
    [SECTION_PORTAL] = {"portal", false, 1},
    [SECTION_PUBLISH] = {"publish", true, CONFIG_PUBLISHES_MAX},
};

static_assert(ARRAY_LEN(sections) == CONFIG_SECTIONS, "name all");

#define AT(type, field) offsetof(struct type, field), sizeof(((struct type *)0)->field)
/* two fields, one behind the other */
#define SPAN(type, first, last) \
    offsetof(struct type, first), offsetof(struct type, last) + sizeof(((struct type *)0)->last) - offsetof(struct type, first)

const struct config_option config_options[] = {
    {SECTION_TOP, "nodes", true, false, NULL, value_node, SPAN(config, nodes, n_nodes), 0, 0},
    {SECTION_TOP, "suffix", false, false, ".i3", value_suffix, AT(config, suffix), 0, 0},
    {SECTION_TOP, "resolve", true, false, "book", value_resolve, AT(config, resolve), 0, 0},
    {SECTION_TOP, "dns-zone", false, false, NULL, value_zone, AT(config, dns_zone), 0, 0},
    {SECTION_TOP, "dns-server", false, false, NULL, value_dns_server, AT(config, dns_server), 0, 0},
    {SECTION_TOP, "network", false, true, "10.0.0.0/8", value_network, SPAN(config, network, network_bits), 0, 0},
    {SECTION_TOP, "bind", false, true, "0.0.0.0:0", value_addr, AT(config, bind), 0, 0},
    {SECTION_TOP, "transport", false, true, "auto", value_transport, AT(config, transport), 0, 0},
    {SECTION_TOP, "shortcut", false, false, "yes", value_bool, AT(config, shortcut), 0, 0},
    {SECTION_TOP, "encrypt", false, false, "yes", value_bool, AT(config, encrypt), 0, 0},
    {SECTION_TOP, "anonymity", false, false, "no", value_bool, AT(config, anonymity), 0, 0},
    {SECTION_TOP, "waypoint", false, false, "no", value_bool, AT(config, waypoint), 0, 0},
    {SECTION_TOP, "require_through", true, false, NULL, value_require, AT(config, require), 0, 0},
    {SECTION_TOP, "mtu", false, true, "1400", value_unsigned, AT(config, mtu), 576, 9000},
    {SECTION_TOP, "send-buffer", false, true, "33554432", value_unsigned, AT(config, send_buffer), 16 * 1024, 1 << 30},
    {SECTION_TOP, "recv-buffer", false, true, "33554432", value_unsigned, AT(config, recv_buffer), 16 * 1024, 1 << 30},
    {SECTION_TOP, "memory", false, true, "268435456", value_size, AT(config, memory), 1 << 20, 1l << 40},
    {SECTION_TOP, "connections", false, true, "10000", value_unsigned, AT(config, connections), 1, 1000000},
    {SECTION_TOP, "ecn", false, true, "yes", value_bool, AT(config, ecn), 0, 0},
    {SECTION_TOP, "log", false, false, "info", value_log, AT(config, log_level), 0, 0},

    {SECTION_OVERLAY, "suffix", false, false, NULL, value_suffix, AT(config_overlay, suffix), 0, 0},
    {SECTION_OVERLAY, "kind", false, false, "i3", value_kind, AT(config_overlay, kind), 0, 0},
    {SECTION_OVERLAY, "bind", false, false, "0.0.0.0:5700", value_addr, AT(config_overlay, bind), 0, 0},
    {SECTION_OVERLAY, "relay", false, false, "yes", value_bool, AT(config_overlay, relay), 0, 0},
    {SECTION_OVERLAY, "nodes", true, false, NULL, value_overlay_node, SPAN(config_overlay, nodes, n_nodes), 0, 0},

    {SECTION_RULE, "suffix", false, false, NULL, value_rule_suffix, AT(config_rule, suffix), 0, 0},
    {SECTION_RULE, "match", false, false, NULL, value_match, AT(config_rule, match), 0, 0},
    {SECTION_RULE, "app", false, false, NULL, value_app, AT(config_rule, app), 0, 0},
    {SECTION_RULE, "action", false, false, NULL, value_action, AT(config_rule, action), 0, 0},
    {SECTION_RULE, "via", false, false, NULL, value_via, AT(config_rule, via), 0, 0},
    {SECTION_RULE, "strip", false, false, "no", value_bool, AT(config_rule, strip), 0, 0},
    {SECTION_RULE, "shortcut", false, false, NULL, value_choice, AT(config_rule, shortcut), 0, 0},
    {SECTION_RULE, "encrypt", false, false, NULL, value_choice, AT(config_rule, encrypt), 0, 0},
    {SECTION_RULE, "anonymity", false, false, "no", value_bool, AT(config_rule, anonymity), 0, 0},
    {SECTION_RULE, "through", true, false, NULL, value_through, SPAN(config_rule, through, n_through), 0, 0},
    {SECTION_RULE, "alerts", false, false, NULL, value_alerts, AT(config_rule, alerts), 0, 0},

    {SECTION_EXPOSE, "port", false, false, NULL, value_port, AT(config_expose, port), 0, 0},
    {SECTION_EXPOSE, "target", false, false, NULL, value_target, AT(config_expose, target), 0, 0},
    {SECTION_EXPOSE, "proto", false, false, "tcp", value_proto, AT(config_expose, proto), 0, 0},
    {SECTION_EXPOSE, "allow", true, false, NULL, value_allow, SPAN(config_expose, allow, n_allow), 0, 0},

    {SECTION_MIDDLEBOX, "allow", true, false, NULL, value_box_allow, SPAN(config_middlebox, allow, n_allow), 0, 0},
    {SECTION_MIDDLEBOX, "next", true, false, NULL, value_box_next, SPAN(config_middlebox, next, n_next), 0, 0},
    {SECTION_MIDDLEBOX, "addresses", false, false, "original", value_box_addresses, AT(config_middlebox, synthesised), 0, 0},
    {SECTION_MIDDLEBOX, "tap", true, false, NULL, value_tap, SPAN(config_middlebox, tap, n_taps), 0, 0},
    {SECTION_MIDDLEBOX, "verdicts", false, false, NULL, value_path, AT(config_middlebox, verdicts), 0, 0},
    {SECTION_MIDDLEBOX, "fail", false, false, "closed", value_fail, AT(config_middlebox, fail_open), 0, 0},

    {SECTION_GATEWAY, "allow", true, false, NULL, value_allow_any, SPAN(config_gateway, allow, n_allow), 0, 0},
    {SECTION_GATEWAY, "networks", true, false, NULL, value_network_range, SPAN(config_gateway, networks, n_networks), 0, 0},
    {SECTION_GATEWAY, "names", true, false, NULL, value_names, SPAN(config_gateway, names, n_names), 0, 0},
    {SECTION_GATEWAY, "dns-server", false, false, NULL, value_dns_server, AT(config_gateway, dns_server), 0, 0},
    {SECTION_GATEWAY, "connections", false, false, "4096", value_unsigned, AT(config_gateway, connections), 1, 65536},
    {SECTION_GATEWAY, "per-user", false, false, "512", value_unsigned, AT(config_gateway, per_user), 1, 65536},
    {SECTION_GATEWAY, "connect-timeout", false, false, "10", value_unsigned, AT(config_gateway, connect_timeout), 1, 120},
    {SECTION_GATEWAY, "tcp-idle", false, false, "7200", value_unsigned, AT(config_gateway, tcp_idle), 1, 604800},
    {SECTION_GATEWAY, "udp-idle", false, false, "60", value_unsigned, AT(config_gateway, udp_idle), 1, 86400},

    {SECTION_PORTAL, "zone", false, false, NULL, value_zone, AT(config_portal, zone), 0, 0},
    {SECTION_PORTAL, "dns", true, false, NULL, value_listen, AT(config_portal, dns), 53, 0},
    {SECTION_PORTAL, "ns", true, false, NULL, value_ns, SPAN(config_portal, ns, n_ns), 0, 0},
    {SECTION_PORTAL, "mail", false, false, NULL, value_zone, AT(config_portal, mail), 0, 0},
    {SECTION_PORTAL, "waypoints", true, false, NULL, value_waypoint, SPAN(config_portal, waypoints, n_waypoints), 0, 0},
    {SECTION_PORTAL, "http", true, false, NULL, value_listen, AT(config_portal, http), 80, 0},
    {SECTION_PORTAL, "tls", true, false, NULL, value_listen, AT(config_portal, tls), 443, 0},
    {SECTION_PORTAL, "ports", true, false, NULL, value_ports, AT(config_portal, ports), 0, 0},
    {SECTION_PORTAL, "connections", false, false, "4096", value_unsigned, AT(config_portal, connections), 1, 100000},
    {SECTION_PORTAL, "per-source", false, false, "256", value_unsigned, AT(config_portal, per_source), 1, 100000},

    {SECTION_PUBLISH, "to", false, false, NULL, value_zone, AT(config_publish, to), 0, 0},
    {SECTION_PUBLISH, "ports", true, false, NULL, value_ports, AT(config_publish, ports), 0, 0},
    {SECTION_PUBLISH, "from", true, false, NULL, value_from, SPAN(config_publish, from, n_from), 0, 0},
};

const unsigned config_options_n = ARRAY_LEN(config_options);

const char *config_section_name(enum config_section s)
{
    return sections[s].name;
}

unsigned config_section_max(enum config_section s)
{
    return sections[s].max;
}

bool config_section_titled(enum config_section s)
{
    return sections[s].titled;
}

enum config_section config_section_find(const char *name)
{
    for (unsigned i = 1; i < CONFIG_SECTIONS; i++)
        if (!strcmp(sections[i].name, name))
            return (enum config_section)i;
    return SECTION_TOP;
}

const struct config_option *config_option_find(enum config_section s, const char *name)
{
    for (unsigned i = 0; i < config_options_n; i++)
        if (config_options[i].section == s && !strcmp(config_options[i].name, name))
            return &config_options[i];
    return NULL;
}

/* ---- what was perhaps meant ---- */

enum { WORD_MAX = 24, NEAR_ENOUGH = 2 };

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

static char folded(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c == '_' ? '-' : c);
}

/* Edits (insert, delete, replace, swap neighbours) between a and b; case, and '_' for '-', count as none. */
static unsigned distance(const char *a, const char *b)
{
    unsigned d[WORD_MAX + 1][WORD_MAX + 1];
    size_t n = strlen(a), m = strlen(b);
    if (n > WORD_MAX || m > WORD_MAX)
        return WORD_MAX;
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            if (!i || !j) {
                d[i][j] = (unsigned)(i + j);
                continue;
            }
            bool same = folded(a[i - 1]) == folded(b[j - 1]);
            d[i][j] = least(least(d[i - 1][j] + 1, d[i][j - 1] + 1), d[i - 1][j - 1] + !same);
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) && folded(a[i - 2]) == folded(b[j - 1]))
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[n][m];
}

/* A word of three letters that differs in two is another word. */
static void consider(const char *candidate, const char *name, const char **best, unsigned *best_distance)
{
    unsigned d = distance(candidate, name), enough = least(NEAR_ENOUGH, (unsigned)strlen(candidate) / 2);
    if (d <= enough && d < *best_distance) {
        *best = candidate;
        *best_distance = d;
    }
}

void config_hint(enum config_section s, const char *name, char *out, size_t cap)
{
    const char *best = NULL;
    unsigned best_distance = NEAR_ENOUGH + 1;
    out[0] = '\0';
    for (unsigned i = 0; i < config_options_n; i++)
        if (config_options[i].section == s)
            consider(config_options[i].name, name, &best, &best_distance);
    for (unsigned i = 1; i < CONFIG_SECTIONS && s == SECTION_TOP; i++)
        consider(sections[i].name, name, &best, &best_distance);
    if (best) {
        snprintf(out, cap, "; did you mean '%s'?", best);
        return;
    }
    for (unsigned i = 0; i < config_options_n; i++)
        if (!strcmp(config_options[i].name, name)) {
            enum config_section home = config_options[i].section;
            snprintf(out, cap, home == SECTION_TOP ? "; it belongs outside of the sections" : "; it belongs in a section '%s { }'", sections[home].name);
            return;
        }
}

const struct config_option *config_differ(const struct config *a, const struct config *b, const struct config_option *after)
{
    for (const struct config_option *o = after ? after + 1 : config_options; o < config_options + config_options_n; o++)
        if (o->section == SECTION_TOP && memcmp((const char *)a + o->offset, (const char *)b + o->offset, o->size) != 0)
            return o;
    return NULL;
}

/* ---- errors ---- */

/* How many bytes of UTF-8 begin there, 0: none that should be shown. */
static unsigned character(const unsigned char *c)
{
    unsigned n = *c < 0x80 ? 1 : *c >= 0xc2 && *c < 0xe0 ? 2 : *c >= 0xe0 && *c < 0xf0 ? 3 : *c >= 0xf0 && *c < 0xf5 ? 4 : 0;
    if (n == 1)
        return *c >= 32 && *c != 127;
    if ((*c == 0xc2 && c[1] < 0xa0) || (*c == 0xe0 && c[1] < 0xa0) || (*c == 0xed && c[1] >= 0xa0) || (*c == 0xf0 && c[1] < 0x90) ||
        (*c == 0xf4 && c[1] >= 0x90)) /* controls, longer than needed, surrogates, beyond the last one */
        return 0;
    for (unsigned i = 1; i < n; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

static void make_printable(char *text)
{
    for (unsigned n; *text; text += n)
        if (!(n = character((const unsigned char *)text)))
            *text = '?', n = 1;
}

/* By line; those of one line stay as they came. What a file says may be in the text: nothing of it shall move a terminal's cursor. */
void config_error(struct config_errors *e, unsigned line, const char *option, const char *fmt, ...)
{
    char text[CONFIG_ERROR_LEN];
    va_list ap;
    int n = snprintf(text, sizeof(text), "%.60s: ", option);
    va_start(ap, fmt);
    vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
    va_end(ap);
    make_printable(text);
    unsigned kept = least(e->n, CONFIG_ERRORS_MAX), at = kept;
    e->n++;
    while (at && e->at[at - 1].line > line)
        at--;
    if (at == CONFIG_ERRORS_MAX)
        return;
    unsigned moved = least(kept, CONFIG_ERRORS_MAX - 1) - at;
    memmove(&e->at[at + 1], &e->at[at], moved * sizeof(e->at[0]));
    e->at[at].line = line;
    memcpy(e->at[at].text, text, sizeof(text));
}

void config_errors_text(const struct config_errors *e, const char *filename, char *out, size_t cap)
{
    size_t len = 0;
    out[0] = '\0';
    for (unsigned i = 0; i < least(e->n, CONFIG_ERRORS_MAX); i++) {
        int n = snprintf(out + len, cap - len, "%s%s:%u: %s", i ? "\n" : "", filename, e->at[i].line, e->at[i].text);
        if (n < 0 || (size_t)n >= cap - len) {
            out[i ? len : cap - 1] = '\0'; /* whole lines only, but for the first */
            return;
        }
        len += (size_t)n;
    }
    if (e->n > CONFIG_ERRORS_MAX)
        snprintf(out + len, cap - len, "\n%s: and %u more like these", filename, e->n - CONFIG_ERRORS_MAX);
}
