/* Any bytes as i3.conf: either values within their bounds, or errors with lines that the text has; no text leaves the parser in a state
 * that spoils the next; and what outline.c lets pass, libconfuse takes. */
#include "daemon/policy/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static bool ended(const char *s, size_t cap)
{
    return memchr(s, 0, cap) != NULL;
}

static void check_sections(const struct config *c)
{
    for (unsigned i = 0; i < c->n_overlays; i++)
        require(c->overlays[i].line && c->overlays[i].name[0] && c->overlays[i].suffix[0] == '.' && c->overlays[i].n_nodes <= CONFIG_NODES_MAX);
    for (unsigned i = 0; i < c->n_rules; i++) {
        const struct config_rule *r = &c->rules[i];
        require(ended(r->suffix, sizeof(r->suffix)) && ended(r->match, sizeof(r->match)) && ended(r->app, sizeof(r->app)));
        require(r->line && (r->suffix[0] || r->match[0] || r->app[0]) && !(r->suffix[0] && r->match[0]));
        require(!r->via[0] == (r->action != ACTION_GATEWAY) && r->n_through <= CONFIG_THROUGH_MAX);
    }
    for (unsigned i = 0; i < c->n_exposes; i++) {
        const struct config_expose *e = &c->exposes[i];
        require(e->line && e->port && e->n_allow && e->n_allow <= CONFIG_ALLOW_MAX && e->target.port && (e->proto == 6 || e->proto == 17));
    }
    require(c->n_overlays <= CONFIG_OVERLAYS_MAX && c->n_rules <= CONFIG_RULES_MAX && c->n_exposes <= CONFIG_EXPOSES_MAX);
}

static void check(const struct config *c)
{
    require(c->n_nodes <= CONFIG_NODES_MAX);
    for (unsigned i = 0; i < c->n_nodes; i++)
        require((c->nodes[i].family == 4 || c->nodes[i].family == 6) && c->nodes[i].port);
    require(c->network_bits >= 8 && c->network_bits <= 24 && !(c->network & (0xffffffffu >> c->network_bits)));
    require(c->suffix[0] == '.' && c->suffix[1] && ended(c->suffix, sizeof(c->suffix)));
    require(c->mtu >= 576 && c->mtu <= 9000 && c->connections >= 1 && c->log_level >= 0 && c->log_level <= 3);
    require(c->send_buffer >= 16384 && c->recv_buffer >= 16384 && c->bind.family);
    require(c->resolve.n >= 1 && c->resolve.n <= CONFIG_RESOLVERS);
    check_sections(c);
}

static void check_errors(const struct config_errors *e, const uint8_t *data, size_t size)
{
    unsigned lines = 1, last = 0;
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    require(e->n);
    for (unsigned i = 0; i < e->n && i < CONFIG_ERRORS_MAX; i++) {
        require(e->at[i].line >= 1 && e->at[i].line <= lines && e->at[i].line >= last);
        require(ended(e->at[i].text, CONFIG_ERROR_LEN) && strstr(e->at[i].text, ": ") && !strchr(e->at[i].text, '\n'));
        /* nothing is left for libconfuse to complain about */
        require(strncmp(e->at[i].text, "libconfuse: ", 12) || strstr(e->at[i].text, "no such") || strstr(e->at[i].text, "missing"));
        last = e->at[i].line;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct config_errors e;
    static const char plain[] = "mtu = 1234\nlog = \"warn\"";
    struct config c;
    struct addr a;
    char *text = malloc(size + 1), out[500];
    memcpy(text, data, size);
    text[size] = '\0';
    if (config_parse(&c, text, size, &e) == 0) {
        check(&c);
        config_free(&c);
    } else {
        check_errors(&e, data, size);
        config_errors_text(&e, "f", out, sizeof(out));
        require(!strncmp(out, "f:", 2));
    }
    require(config_parse(&c, plain, sizeof(plain) - 1, &e) == 0 && c.mtu == 1234);
    config_free(&c);
    config_parse_addr(&a, text, 1);
    free(text);
    return 0;
}
