/* Every option of the table stands in tools/i3.conf and in i3.conf(5), with its default; and nothing else does. Run from the top folder. */
#include "daemon/policy/schema.h"

#include <check.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/suite.h"

static const char *const section_head[CONFIG_SECTIONS] = {
    [SECTION_TOP] = "# OPTIONS", [SECTION_OVERLAY] = "# OVERLAYS", [SECTION_RULE] = "# RULES", [SECTION_EXPOSE] = "# EXPOSED PORTS",
    [SECTION_MIDDLEBOX] = "# MIDDLE-BOXES", [SECTION_GATEWAY] = "# GATEWAY", [SECTION_PORTAL] = "# PORTAL", [SECTION_PUBLISH] = "# PUBLISHED NAMES"};

static char *slurp(const char *path)
{
    char *text = calloc(1, 1 << 17);
    FILE *f = fopen(path, "r");
    ck_assert_msg(f, "%s", path);
    ck_assert_uint_gt(fread(text, 1, (1 << 17) - 1, f), 0);
    fclose(f);
    return text;
}

/* The next line of text, which is cut there; NULL: there is none. */
static char *line_next(char **text)
{
    char *line = *text, *end = line ? strchr(line, '\n') : NULL;
    if (!line || !*line)
        return NULL;
    *text = end ? end + 1 : NULL;
    if (end)
        *end = '\0';
    return line;
}

struct seen {
    bool option[256];
    char last[256][80]; /* the value written for it last */
};

static void see(struct seen *s, enum config_section section, const char *name, const char *value)
{
    const struct config_option *o = config_option_find(section, name);
    ck_assert_msg(o, "%s of section '%s' is not in the table", name, config_section_name(section));
    s->option[o - config_options] = true;
    snprintf(s->last[o - config_options], sizeof(s->last[0]), "%s", value);
}

static void all_seen(const struct seen *s, const char *where)
{
    for (unsigned i = 0; i < config_options_n; i++)
        ck_assert_msg(s->option[i], "%s of section '%s' is not in %s", config_options[i].name, config_section_name(config_options[i].section), where);
}

/* "name = value" at s; false: it is prose. */
static bool assignment(const char *s, char name[32], const char **value)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz-_");
    if (!n || n > 31 || strncmp(s + n, " = ", 3))
        return false;
    memcpy(name, s, n);
    name[n] = '\0';
    *value = s + n + 3;
    return true;
}

/* What the commented lines would be: options of the top, and sections with theirs. */
static void read_example(struct seen *s, char *sections)
{
    char *text = slurp("tools/i3.conf"), *at = text, *line, name[32], kind[16];
    enum config_section section = SECTION_TOP;
    const char *value;
    while ((line = line_next(&at))) {
        ck_assert_msg(!*line || *line == '#', "a line that is no comment: %s", line);
        if (sscanf(line, "# %15[a-z]", kind) == 1 && config_section_find(kind) && line[strlen(line) - 1] == '{')
            section = config_section_find(kind);
        if (!strncmp(line, "# }", 3)) {
            strcat(sections, "}\n");
            section = SECTION_TOP;
        } else if (section && line[strlen(line) - 1] == '{') {
            strcat(strcat(sections, line + 2), "\n");
        } else if (!strncmp(line, "#     ", 6) && section && assignment(line + 6, name, &value)) {
            see(s, section, name, value);
            strcat(strcat(sections, line + 2), "\n");
        } else if (!strncmp(line, "# ", 2) && assignment(line + 2, name, &value)) {
            see(s, SECTION_TOP, name, value);
        }
    }
    free(text);
}

START_TEST(the_documented_file_has_every_option_and_its_default)
{
    static struct config_errors e;
    static struct seen s;
    static char sections[1 << 16];
    struct config c, d;
    char text[200], err[600];
    read_example(&s, sections);
    all_seen(&s, "tools/i3.conf");
    ck_assert_msg(!config_parse(&c, sections, strlen(sections), &e), "%u: %s", e.at[0].line, e.at[0].text);
    ck_assert(c.n_rules >= 3 && c.n_overlays && c.n_exposes);
    config_free(&c);
    config_default(&d);
    for (unsigned i = 0; i < config_options_n; i++) {
        if (config_options[i].section != SECTION_TOP)
            continue;
        snprintf(text, sizeof(text), "%s = %s\n", config_options[i].name, s.last[i]);
        int rc = config_parse(&c, text, strlen(text), &e);
        config_errors_text(&e, "f", err, sizeof(err));
        ck_assert_msg(!rc, "%s", err);
        const struct config_option *o = config_differ(&c, &d, NULL);
        ck_assert_msg(!o, "not the default: %s", text);
        config_free(&c);
    }
}
END_TEST

START_TEST(the_manual_has_every_option)
{
    static struct seen s;
    char *text = slurp("tools/man/i3.conf.5.scd"), *at = text, *line, name[32];
    enum config_section section = CONFIG_SECTIONS;
    while ((line = line_next(&at))) {
        if (*line == '#') {
            section = CONFIG_SECTIONS;
            for (unsigned i = 0; i < CONFIG_SECTIONS; i++)
                if (!strcmp(line, section_head[i]))
                    section = (enum config_section)i;
        }
        for (const char *star = line; section < CONFIG_SECTIONS && (star = strchr(star, '*')); star++)
            if ((star == line || !strncmp(star - 2, ", ", 2)) && sscanf(star, "*%31[a-z_-]* =", name) == 1 && !strncmp(star + 1 + strlen(name), "* =", 3))
                see(&s, section, name, "");
    }
    free(text);
    all_seen(&s, "the manual");
}
END_TEST

int main(void)
{
    Suite *s = suite_create("policy/documents");
    TCase *tc = tcase_create("documents");
    tcase_add_test(tc, the_documented_file_has_every_option_and_its_default);
    tcase_add_test(tc, the_manual_has_every_option);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
