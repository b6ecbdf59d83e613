/* A pattern, a name and a program, a line each: no name takes longer than it should, whatever the pattern; and what is decided is one of the
 * things that can be. */
#include "daemon/policy/rules.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/policy/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
    if (!ok)
        abort();
}

static char *line_next(char **at)
{
    char *line = *at;
    char *end = strchr(line, '\n');
    *at = end ? end + 1 : line + strlen(line);
    if (end)
        *end = '\0';
    return line;
}

static void decide(const char *pattern, const char *name, const char *app)
{
    struct config_rule list[3] = {{.line = 1, .suffix = ".a.i3", .action = ACTION_DIRECT}, {.line = 2, .action = ACTION_GATEWAY, .via = "g"},
        {.line = 3, .app = "x", .action = ACTION_DENY}};
    struct config c;
    enum config_choice shortcut, encrypt;
    config_default(&c);
    strcpy(list[1].match, pattern);
    c.rules = list;
    c.n_rules = 3;
    struct rules *r = rules_new(&c);
    require(r);
    struct verdict v = rules_decide(r, name, app);
    require(v.action < CONFIG_ACTIONS && (!v.rule || (v.rule->line >= 1 && v.rule->line <= 3)));
    require(!v.undecided || (v.action == ACTION_DENY && v.rule->line == 2));
    rules_wishes(r, name, &shortcut, &encrypt);
    for (const struct config_rule *some = NULL; (some = rules_for_some(r, name, some));)
        require(some->line <= 3);
    rules_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), *at = text, wrong[100];
    size_t offset;
    memcpy(text, data, size);
    text[size] = '\0';
    const char *pattern = line_next(&at), *name = line_next(&at), *app = line_next(&at);
    struct pattern *p = strlen(pattern) <= CONFIG_MATCH_MAX ? pattern_new(pattern, &offset, wrong, sizeof(wrong)) : NULL;
    if (p) {
        int found = pattern_match(p, name, strlen(name));
        require(found == 0 || found == 1 || found == -EOVERFLOW || found == -ENOMEM);
        pattern_free(p);
        decide(pattern, name, app);
    }
    free(text);
    return 0;
}
