/* i3ctl_help.c - what i3ctl can do, read off the table of verbs; and what was perhaps meant. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "include/bytes.h"
#include "tools/i3ctl_table.h"

/* Where summaries begin, and how wide a page is that goes to no terminal. */
enum { SUMMARY_AT = 24, PAGE = 80, PAGE_MAX = 100, PAGE_MIN = 40 };

static size_t page_width(FILE *to)
{
    size_t w = fd_width(fileno(to));
    return !w ? PAGE : w > PAGE_MAX ? PAGE_MAX : w < PAGE_MIN ? PAGE_MIN : w;
}

static void print_line(FILE *to, const struct ctl_verb *v)
{
    int used = fprintf(to, "  %s%s%s", v->name, *v->args ? " " : "", v->args);
    if (used >= SUMMARY_AT)
        fprintf(to, "\n%*s", SUMMARY_AT, "");
    else
        fprintf(to, "%*s", SUMMARY_AT - used, "");
    text_wrapped(to, v->summary, SUMMARY_AT, SUMMARY_AT, page_width(to));
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
    {"People", {"id", "book", "peers", "fingerprints", "rotate", "unshare", "drop", "undrop", "group"}},
    {"Look inside", {"ping", "why", "anonymous", "gateway", "portal", "box", "alerts", "log", "trace", "ring", "mesh", "metrics"}},
    {"The daemon", {"start", "stop", "reload", "nodes", "version", "help"}},
    {"Try it out", {"demo"}},
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

/* A second word for the same: known, and not shown where all are listed. */
static bool verb_is_alias(const struct ctl_verb *v)
{
    return !strncmp(v->summary, "the same as ", 12);
}

static void print_section(FILE *to, size_t s)
{
    bool title = false;
    for (const char *const *name = sections[s].verbs; *name; name++) {
        for (size_t i = 0; i < ctl_verbs_count; i++) {
            if (!verb_is(&ctl_verbs[i], *name) || verb_is_alias(&ctl_verbs[i]))
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
    fputs("usage: i3ctl VERB [ARGUMENTS] [--json]\n", to);
    text_wrapped(to, "Your identity in the i3 overlay, the people you know, and the state of your daemon, which carries the traffic of what "
        "you run as `i3run COMMAND`.", 0, 0, page_width(to));
    for (size_t s = 0; s < ARRAY_LEN(sections); s++)
        print_section(to, s);
    for (size_t i = 0; i < ctl_verbs_count; i++) {
        if (verb_has_section(&ctl_verbs[i]) || verb_is_alias(&ctl_verbs[i]))
            continue;
        fputs(title ? "" : "\nMore\n", to);
        title = true;
        print_line(to, &ctl_verbs[i]);
    }
    fputc('\n', to);
    text_wrapped(to, "`i3ctl VERB --help` tells more about each, and so does the manual, i3ctl(1).", 0, 0, page_width(to));
    text_wrapped(to, "Exit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon, 4 another key, 5 bad code, 6 nobody answers, 78 i3.conf is refused.", 0, 0, page_width(to));
}

/* ---- what to do next ---- */

const char *help_next_step(void)
{
    char path[PATH_MAX + 16];
    if (!link_data(path))
        return "Set HOME, which says where your files are.";
    strcat(path, "/identity");
    if (access(path, F_OK))
        return "You have no identity here yet. To begin: i3ctl share PORT, i3ctl join CODE, or i3ctl init";
    return "To start it: i3ctl start (i3run COMMAND does so, too)";
}

void help_next(FILE *to)
{
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    int fd = link_path(path) ? -1 : link_open(path);
    fprintf(to, "\n%s\n", fd < 0 ? help_next_step() : "Your daemon runs. How it does: i3ctl status");
    if (fd >= 0)
        close(fd);
}

const char *help_synopsis(const struct ctl_verb *v, char out[LINE_MAX])
{
    snprintf(out, LINE_MAX, "%s%s%s%s%s%s%s%s%s%s%s%s%s%s", v->name, *v->args ? " " : "", v->args, v->flags & VERB_ANYCAST ? " [--anycast]" : "",
        v->flags & VERB_MULTICAST ? " [--multicast]" : "", v->flags & VERB_NEAR ? " [--near PLACE]" : "",
        v->flags & VERB_VIA ? " [--via NAME,...]" : "", v->flags & VERB_AT ? " [--at ADDRESS,...]" : "", v->flags & VERB_NODE ? " [--node NODE]" : "", v->flags & VERB_APP ? " [--app PROGRAM]" : "", v->flags & VERB_QUIET ? " [-q]" : "",
        v->flags & VERB_VERBOSE ? " [-v]" : "", v->flags & VERB_START ? " [--start]" : "", v->flags & VERB_JSON ? " [--json]" : "");
    return out;
}

void help_verb(const struct ctl_verb *v)
{
    char synopsis[LINE_MAX];
    printf("usage: i3ctl %s\n    %s\n", help_synopsis(v, synopsis), v->summary);
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
    bool group = help_is_group(words[0]), second = n > 1 && words[1][0] != '-';
    char text[CTL_ERR_LEN];
    if (group)
        snprintf(text, sizeof(text), second ? "no verb `%s %s`; there are" : "`%s` is one of", words[0], second ? words[1] : "");
    else if (near)
        snprintf(text, sizeof(text), "no verb `%s`; did you mean `%s`?", words[0], near);
    else
        snprintf(text, sizeof(text), "no verb `%s`; `i3ctl help` lists them", words[0]);
    if (ctl_json()) {
        for (size_t i = 0; group && i < ctl_verbs_count; i++)
            if (verb_is_in(&ctl_verbs[i], words[0]) && strlen(text) + VERB_NAME_MAX + 2 < sizeof(text))
                strcat(strcat(text, text[strlen(text) - 1] == 'e' || text[strlen(text) - 1] == 'f' ? " " : ", "), ctl_verbs[i].name);
        show_error_json(text, "VERB [ARGUMENTS]", CTL_USAGE);
        return CTL_USAGE;
    }
    fprintf(stderr, "i3ctl: %s\n", text);
    if (group)
        help_group(stderr, words[0]);
    return CTL_USAGE;
}

/* ---- for programs ---- */

static json_t *verb_object(const struct ctl_verb *v)
{
    char synopsis[LINE_MAX];
    return json_pack("{s:s s:s s:s s:s s:s? s:b}", "name", v->name, "args", v->args, "synopsis", help_synopsis(v, synopsis), "summary",
        v->summary, "details", v->details, "starts_daemon", v->needs == NEEDS_STARTED);
}

/* All verbs, or those that `only` or `group` says. */
static int help_as_json(const struct ctl_verb *only, const char *group)
{
    json_t *list = json_array();
    for (size_t i = 0; i < ctl_verbs_count; i++)
        if (only ? only == &ctl_verbs[i] : !group || verb_is_in(&ctl_verbs[i], group))
            json_array_append_new(list, verb_object(&ctl_verbs[i]));
    json_t *doc = json_pack("{s:s s:o}", "version", I3_VERSION, "verbs", list);
    show_json(doc, false);
    json_decref(doc);
    return CTL_OK;
}

int help_run(struct ctl *c)
{
    int used;
    const struct ctl_verb *v = c->argc ? help_find(c->argc, c->argv, &used) : NULL;
    bool group = c->argc == 1 && help_is_group(c->argv[0]);
    if (c->argc && !v && !group)
        return help_unknown(c->argc, c->argv);
    if (c->json)
        return help_as_json(v, group ? c->argv[0] : NULL);
    if (v)
        help_verb(v);
    else if (group)
        help_group(stdout, c->argv[0]);
    else
        help_overview(stdout);
    return CTL_OK;
}
