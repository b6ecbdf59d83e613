/* i3ctl_help.c - what i3ctl can do, read off the table of verbs; and what was perhaps meant. */
#include <stdio.h>
#include <string.h>

#include "include/bytes.h"
#include "tools/i3ctl.h"

static void print_line(FILE *to, const struct ctl_verb *v)
{
    int used = fprintf(to, "  %s%s%s", v->name, *v->args ? " " : "", v->args);
    fprintf(to, "%*s%s\n", used < 24 ? 24 - used : 1, "", v->summary);
}

static bool verb_is_in(const struct ctl_verb *v, const char *group)
{
    size_t len = strlen(group);
    return !strncmp(v->name, group, len) && v->name[len] == ' ';
}

/* Where a verb stands in the overview; what is in no section comes last. A name alone stands for its whole group. */
static const struct {
    const char *title, *verbs[16];
} sections[] = {
    {"Start here", {"init", "share", "join", "status", "doctor"}},
    {"People", {"id", "book", "peers", "fingerprints", "rotate", "unshare", "group"}},
    {"Look inside", {"ping", "why", "log", "trace", "ring", "metrics"}},
    {"The daemon", {"reload", "stop", "version", "help"}},
};

static bool verb_is(const struct ctl_verb *v, const char *name)
{
    return !strcmp(v->name, name) || verb_is_in(v, name);
}

static bool verb_has_section(const struct ctl_verb *v)
{
    for (size_t s = 0; s < ARRAY_LEN(sections); s++)
        for (const char *const *name = sections[s].verbs; *name; name++)
            if (verb_is(v, *name))
                return true;
    return false;
}

static void print_section(FILE *to, size_t s)
{
    bool title = false;
    for (const char *const *name = sections[s].verbs; *name; name++) {
        for (size_t i = 0; i < ctl_verbs_count; i++) {
            if (!verb_is(&ctl_verbs[i], *name))
                continue;
            if (!title)
                fprintf(to, "\n%s\n", sections[s].title);
            title = true;
            print_line(to, &ctl_verbs[i]);
        }
    }
}

void help_overview(FILE *to)
{
    bool title = false;
    fputs("i3ctl VERB [ARGUMENTS] [--json]     your identity, the people you know, and the state of your i3 daemon\n", to);
    for (size_t s = 0; s < ARRAY_LEN(sections); s++)
        print_section(to, s);
    for (size_t i = 0; i < ctl_verbs_count; i++) {
        if (verb_has_section(&ctl_verbs[i]))
            continue;
        fputs(title ? "" : "\nMore\n", to);
        title = true;
        print_line(to, &ctl_verbs[i]);
    }
    fputs("\n`i3ctl VERB --help` tells more, and so does i3ctl(1). To run a program on the overlay: i3run COMMAND.\n"
          "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon, 78 the configuration is refused.\n", to);
}

const char *help_synopsis(const struct ctl_verb *v, char out[LINE_MAX])
{
    snprintf(out, LINE_MAX, "%s%s%s%s%s%s%s%s%s%s%s%s%s", v->name, *v->args ? " " : "", v->args, v->flags & VERB_ANYCAST ? " [--anycast]" : "",
        v->flags & VERB_MULTICAST ? " [--multicast]" : "", v->flags & VERB_NEAR ? " [--near PLACE]" : "",
        v->flags & VERB_VIA ? " [--via NAME,...]" : "", v->flags & VERB_NODE ? " [--node NODE]" : "", v->flags & VERB_APP ? " [--app PROGRAM]" : "", v->flags & VERB_QUIET ? " [-q]" : "",
        v->flags & VERB_VERBOSE ? " [-v]" : "", v->flags & VERB_START ? " [--start]" : "", v->flags & VERB_JSON ? " [--json]" : "");
    return out;
}

void help_verb(const struct ctl_verb *v)
{
    char synopsis[LINE_MAX];
    printf("i3ctl %s\n    %s\n", help_synopsis(v, synopsis), v->summary);
    if (v->details)
        printf("\n%s\n", v->details);
}

/* Words of the verb's name that words[0..n) begins with: 0 when they do not. */
static int verb_matches(const struct ctl_verb *v, int n, char **words)
{
    const char *space = strchr(v->name, ' ');
    size_t first = space ? (size_t)(space - v->name) : strlen(v->name);
    if (n < 1 || strlen(words[0]) != first || memcmp(words[0], v->name, first))
        return 0;
    if (!space)
        return 1;
    return n >= 2 && !strcmp(words[1], space + 1) ? 2 : 0;
}

const struct ctl_verb *help_find(int n, char **words, int *used)
{
    for (size_t i = 0; i < ctl_verbs_count; i++)
        if ((*used = verb_matches(&ctl_verbs[i], n, words)))
            return &ctl_verbs[i];
    return NULL;
}

bool help_is_group(const char *word)
{
    for (size_t i = 0; i < ctl_verbs_count; i++)
        if (verb_is_in(&ctl_verbs[i], word))
            return true;
    return false;
}

void help_group(FILE *to, const char *group)
{
    for (size_t i = 0; i < ctl_verbs_count; i++)
        if (verb_is_in(&ctl_verbs[i], group))
            print_line(to, &ctl_verbs[i]);
}

/* ---- the nearest verb to a misspelt one ---- */

enum { WORD_MAX = VERB_NAME_MAX, NEAR_ENOUGH = 2 };

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

/* Edits (insert, delete, replace, swap neighbours) between a and b; WORD_MAX when one is too long to be a verb. */
static unsigned distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    unsigned d[WORD_MAX + 1][WORD_MAX + 1];
    if (n > WORD_MAX || m > WORD_MAX)
        return WORD_MAX;
    for (size_t i = 0; i <= n; i++) {
        for (size_t j = 0; j <= m; j++) {
            if (!i || !j) {
                d[i][j] = (unsigned)(i + j);
                continue;
            }
            d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                d[i - 2][j - 2] + 1 < d[i][j])
                d[i][j] = d[i - 2][j - 2] + 1;
        }
    }
    return d[n][m];
}

static const char *nearest(int n, char **words)
{
    const char *best = NULL;
    unsigned best_distance = NEAR_ENOUGH + 1;
    for (size_t i = 0; i < ctl_verbs_count; i++) {
        char typed[2 * WORD_MAX];
        bool two = strchr(ctl_verbs[i].name, ' ') && n > 1;
        if (snprintf(typed, sizeof(typed), two ? "%s %s" : "%s", words[0], n > 1 ? words[1] : "") >=
            (int)sizeof(typed))
            continue;
        unsigned d = distance(typed, ctl_verbs[i].name);
        if (d < best_distance) {
            best_distance = d;
            best = ctl_verbs[i].name;
        }
    }
    return best;
}

int help_unknown(int n, char **words)
{
    const char *near = nearest(n, words);
    if (help_is_group(words[0])) {
        fprintf(stderr, n > 1 ? "i3ctl: no verb `%s %s`; there are\n" : "i3ctl: `%s` is one of\n", words[0],
            words[n > 1]);
        help_group(stderr, words[0]);
        return CTL_USAGE;
    }
    fprintf(stderr, "i3ctl: no verb `%s`", words[0]);
    if (near)
        fprintf(stderr, "; did you mean `%s`?\n", near);
    else
        fputs("; `i3ctl help` lists them\n", stderr);
    return CTL_USAGE;
}

int help_run(struct ctl *c)
{
    int used;
    const struct ctl_verb *v = c->argc ? help_find(c->argc, c->argv, &used) : NULL;
    if (v)
        help_verb(v);
    else if (!c->argc)
        help_overview(stdout);
    else if (c->argc == 1 && help_is_group(c->argv[0]))
        help_group(stdout, c->argv[0]);
    else
        return help_unknown(c->argc, c->argv);
    return CTL_OK;
}
