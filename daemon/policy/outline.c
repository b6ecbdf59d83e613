#include "daemon/policy/outline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "include/bytes.h"

enum token_kind { T_END, T_WORD, T_STRING, T_OPEN, T_CLOSE, T_EQUAL, T_PLUS_EQUAL, T_COMMA, T_BAD /* told already */ };

enum { SHOWN = 40 /* of what was not expected */ };

struct token {
    enum token_kind kind;
    unsigned line;
    const char *from; /* of a string: behind its quote */
    size_t len;
    char quote;
};

struct scan {
    const char *at, *end;
    unsigned line;
    int swallowed; /* closing braces less opening ones in what was skipped behind an error, and still to be heeded */
    struct config_errors *errors; /* NULL: only looking ahead */
};

struct maker {
    struct outline *o;
    struct config_errors *errors;
    struct scan scan;
    unsigned section; /* in which we are, OUTLINE_TOP */
    unsigned of_kind[CONFIG_SECTIONS];
    size_t len, cap; /* of o->clean */
    const char *text;
    unsigned suspect; /* of the section that is open: a list which the brace might not close that did, 0: none */
    const struct config_option *suspected;
    size_t section_at; /* where the section that is open begins there */
    unsigned section_line;
    unsigned clean_line, sections_cap, options_cap, lines_cap;
    bool no_memory;
};

/* ---- tokens ---- */

static void skip_to_newline(struct scan *s)
{
    for (; s->at < s->end && *s->at != '\n'; s->at++)
        s->swallowed += (*s->at == '}') - (*s->at == '{');
}

static struct token bad(struct scan *s, unsigned line, const char *what)
{
    if (s->errors)
        config_error(s->errors, line, "syntax", "%s", what);
    skip_to_newline(s);
    return (struct token){.kind = T_BAD, .line = line};
}

/* False: it does not end. */
static bool skip_block_comment(struct scan *s)
{
    for (s->at += 2; s->at + 1 < s->end; s->at++) {
        if (s->at[0] == '*' && s->at[1] == '/') {
            s->at += 2;
            return true;
        }
        s->line += *s->at == '\n';
    }
    s->at = s->end;
    return false;
}

static bool is_control(char c)
{
    unsigned char u = (unsigned char)c;
    return u == 0x7f || (u < 32 && u != '\n' && u != '\t' && u != '\r');
}

/* In comments as elsewhere: a file with such bytes is not the text that its owner sees. */
static struct token bad_control(struct scan *s, char c)
{
    return bad(s, s->line, c ? "there is a control character" : "there is a NUL byte: this is not a text file");
}

static bool skip_line_comment(struct scan *s)
{
    while (s->at < s->end && *s->at != '\n' && !is_control(*s->at))
        s->at++;
    return s->at == s->end || *s->at == '\n';
}

static struct token scan_string(struct scan *s)
{
    struct token t = {.kind = T_STRING, .line = s->line, .quote = *s->at, .from = s->at + 1};
    for (s->at++; s->at < s->end && *s->at != '\n'; s->at++) {
        if (*s->at == t.quote) {
            t.len = (size_t)(s->at++ - t.from);
            return t;
        }
        if (is_control(*s->at))
            return bad_control(s, *s->at);
        if (t.quote == '"' && s->end - s->at > 1 && s->at[0] == '$' && s->at[1] == '{')
            return bad(s, s->line, "the environment (${...}) is not consulted; if that is meant as it stands, put it in single quotes");
        if (t.quote == '"' && *s->at == '\\' && s->end - s->at > 1 && (s->at[1] == '"' || s->at[1] == '\\'))
            s->at++;
    }
    s->at = t.from; /* what it has swallowed, too, is behind the error */
    return bad(s, t.line, "this string is not closed on its line");
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("._-:/[]@%~*", c));
}

static struct token scan_word(struct scan *s)
{
    struct token t = {.kind = T_WORD, .line = s->line, .from = s->at};
    while (s->at < s->end && is_word(*s->at))
        s->at++;
    t.len = (size_t)(s->at - t.from);
    return t;
}

static struct token punctuation(struct scan *s, enum token_kind kind, size_t len)
{
    s->at += len;
    return (struct token){.kind = kind, .line = s->line, .from = s->at - len, .len = len};
}

static struct token scan_other(struct scan *s)
{
    char what[80];
    switch (*s->at) {
    case '{':
        return punctuation(s, T_OPEN, 1);
    case '}':
        return punctuation(s, T_CLOSE, 1);
    case '=':
        return punctuation(s, T_EQUAL, 1);
    case ',':
        return punctuation(s, T_COMMA, 1);
    case '"':
    case '\'':
        return scan_string(s);
    }
    if (s->end - s->at > 1 && s->at[0] == '+' && s->at[1] == '=')
        return punctuation(s, T_PLUS_EQUAL, 2);
    if (s->end - s->at > 1 && s->at[0] == '$' && s->at[1] == '{')
        return bad(s, s->line, "the environment (${...}) is not consulted");
    if (is_control(*s->at))
        return bad_control(s, *s->at);
    if ((unsigned char)*s->at >= 0x80)
        return bad(s, s->line, "a letter beyond a-z stands outside of quotes; typographic quotes are none: use \" or '");
    snprintf(what, sizeof(what), "'%c' is not expected here; values with such characters need quotes", *s->at);
    return bad(s, s->line, what);
}

static struct token scan_next(struct scan *s)
{
    while (s->at < s->end) {
        bool two = s->end - s->at > 1;
        unsigned line = s->line;
        if (*s->at == '\n' || *s->at == ' ' || *s->at == '\t' || *s->at == '\r') {
            s->line += *s->at++ == '\n';
        } else if (*s->at == '#' || (two && s->at[0] == '/' && s->at[1] == '/')) {
            if (!skip_line_comment(s))
                return bad_control(s, *s->at);
        } else if (two && s->at[0] == '/' && s->at[1] == '*') {
            if (!skip_block_comment(s))
                return bad(s, line, "this comment is not closed");
        } else {
            return is_word(*s->at) ? scan_word(s) : scan_other(s);
        }
    }
    return (struct token){.kind = T_END, .line = s->line};
}

static struct token peek(const struct maker *m)
{
    struct scan ahead = m->scan;
    ahead.errors = NULL;
    return scan_next(&ahead);
}

static struct token next(struct maker *m)
{
    return scan_next(&m->scan);
}

/* For messages. */
static const char *shown(const struct token *t, char out[SHOWN + 8])
{
    if (t->kind == T_END)
        return "the end of the file";
    snprintf(out, SHOWN + 8, "'%.*s%s'", (int)(t->len > SHOWN ? SHOWN : t->len), t->from, t->len > SHOWN ? "..." : "");
    return out;
}

/* ---- what is made ---- */

static void *grown(struct maker *m, void *list, unsigned n, unsigned *cap, size_t size)
{
    if (n < *cap)
        return list;
    void *more = realloc(list, (*cap ? 2 * *cap : 16) * size);
    if (!more) {
        m->no_memory = true;
        return NULL;
    }
    *cap = *cap ? 2 * *cap : 16;
    return more;
}

static void put_clean(struct maker *m, const char *s, size_t n)
{
    if (m->len + n + 1 > m->cap) {
        size_t cap = 2 * (m->len + n + 1) + 256;
        char *more = realloc(m->o->clean, cap);
        if (!more) {
            m->no_memory = true;
            return;
        }
        m->o->clean = more;
        m->cap = cap;
    }
    memcpy(m->o->clean + m->len, s, n);
    m->len += n;
    m->o->clean[m->len] = '\0';
}

static void take_back(struct maker *m, size_t len, unsigned line)
{
    m->len = len;
    m->clean_line = line;
    if (m->o->clean)
        m->o->clean[len] = '\0';
}

static void put_text(struct maker *m, const char *s)
{
    put_clean(m, s, strlen(s));
}

/* Each statement stays on its line, should libconfuse want to tell one. */
static void put_newlines(struct maker *m, unsigned line)
{
    for (; m->clean_line < line; m->clean_line++)
        put_clean(m, "\n", 1);
}

static void put_value(struct maker *m, const struct token *t)
{
    put_clean(m, "\"", 1);
    for (size_t i = 0; i < t->len; i++) {
        char c = t->from[i];
        if (t->quote == '"' && c == '\\' && i + 1 < t->len && (t->from[i + 1] == '"' || t->from[i + 1] == '\\'))
            c = t->from[++i];
        if (c == '"' || c == '\\' || c == '$')
            put_clean(m, "\\", 1);
        put_clean(m, &c, 1);
    }
    put_clean(m, "\"", 1);
}

static void add_line(struct maker *m, unsigned line)
{
    unsigned *lines = grown(m, m->o->lines, m->o->n_lines, &m->lines_cap, sizeof(*lines));
    if (!lines)
        return;
    m->o->lines = lines;
    lines[m->o->n_lines++] = line;
}

static void mark_bad(struct maker *m)
{
    if (m->section != OUTLINE_TOP)
        m->o->sections[m->section].bad = true;
}

/* ---- options ---- */

struct statement {
    struct token name;
    char text[SHOWN + 1]; /* of the name */
    const struct config_option *option;
    bool append;
};

/* What follows on the line of a wrong statement is not looked at. */
static void leave_line(struct maker *m, unsigned line)
{
    for (;;) {
        struct token t = peek(m);
        if (t.kind == T_END || t.kind == T_CLOSE || t.line > line)
            return;
        (void)next(m);
    }
}

static void begins_statement(struct maker *m, bool *yes)
{
    struct scan ahead = m->scan;
    ahead.errors = NULL;
    struct token name = scan_next(&ahead), then = scan_next(&ahead);
    *yes = name.kind == T_WORD && (then.kind == T_EQUAL || then.kind == T_PLUS_EQUAL || then.kind == T_OPEN);
}

/* How far from the beginning of its line, when there are only blanks before (*first). */
static unsigned column(const struct maker *m, const char *at, bool *first)
{
    unsigned n = 0;
    for (; at > m->text && (at[-1] == ' ' || at[-1] == '\t'); at--)
        n++;
    *first = at == m->text || at[-1] == '\n';
    return n;
}

/* A brace on a line of its own that stands further left than the list it closes: should one be missing at the end of the section, it is
 * that of this list. */
static void suspect_brace(struct maker *m, const struct statement *s, unsigned opened, const char *brace)
{
    bool first, own;
    unsigned at = column(m, brace, &own), option = column(m, s->name.from, &first);
    if (m->section == OUTLINE_TOP || m->suspect || !own || !first || at >= option || m->scan.line == opened)
        return;
    m->suspect = opened;
    m->suspected = s->option;
}

/* Behind the opening brace. False: there is something wrong with the list, told. */
static bool parse_list(struct maker *m, const struct statement *s, unsigned opened)
{
    char what[SHOWN + 8];
    bool good = true, comma = true, other;
    for (unsigned n = 0;; n++) {
        struct token t = peek(m);
        begins_statement(m, &other);
        if (t.kind == T_END || other) {
            config_error(m->errors, opened, s->text, "this list is not closed: '}' is missing");
            return false;
        }
        t = next(m);
        if (t.kind == T_CLOSE) {
            suspect_brace(m, s, opened, t.from);
            return good;
        }
        if (t.kind == T_BAD) {
            good = false, comma = true;
            if (m->scan.swallowed <= 0)
                continue;
            m->scan.swallowed--;
            return false;
        }
        if (t.kind == T_COMMA ? comma : t.kind != T_WORD && t.kind != T_STRING) {
            config_error(m->errors, t.line, s->text, "a value is expected here, not %s", shown(&t, what));
            good = false;
        } else if (t.kind != T_COMMA) {
            if (!comma)
                config_error(m->errors, t.line, s->text, "a ',' is missing before %s", shown(&t, what));
            good &= comma;
            put_text(m, n ? "," : "");
            put_value(m, &t);
            add_line(m, t.line);
        }
        comma = t.kind == T_COMMA;
        n -= comma;
    }
}

/* Behind the equals sign. */
static bool parse_value(struct maker *m, const struct statement *s)
{
    char what[SHOWN + 8];
    struct token t = peek(m);
    bool value = t.kind == T_WORD || t.kind == T_STRING;
    if (t.kind == T_BAD) {
        (void)next(m);
        return false;
    }
    if (t.kind == T_OPEN && !s->option->list) {
        config_error(m->errors, t.line, s->text, "it takes one value, not a list");
        unsigned depth = 0;
        do { /* all of the list goes */
            t = next(m);
            depth += t.kind == T_OPEN;
            depth -= t.kind == T_CLOSE;
        } while (depth && t.kind != T_END);
        return false;
    }
    if (t.kind == T_OPEN) {
        (void)next(m);
        put_text(m, "{");
        bool good = parse_list(m, s, t.line);
        put_text(m, "}");
        return good;
    }
    if (!value || t.line != m->scan.line) {
        unsigned line = m->scan.line;
        config_error(m->errors, line, s->text, "a value is missing behind '='");
        leave_line(m, line);
        return false;
    }
    (void)next(m);
    put_value(m, &t);
    add_line(m, t.line);
    struct token behind = peek(m);
    if (behind.line == t.line && (behind.kind == T_COMMA || behind.kind == T_STRING)) {
        config_error(m->errors, t.line, s->text, s->option->list ? "a list stands in braces: { \"a\", \"b\" }" : "%s is not expected behind the value",
            shown(&behind, what));
        leave_line(m, t.line);
        return false;
    }
    return true;
}

static const struct outline_option *given(const struct maker *m, const struct config_option *option)
{
    for (unsigned i = 0; i < m->o->n_options; i++)
        if (m->o->options[i].section == m->section && m->o->options[i].option == option)
            return &m->o->options[i];
    return NULL;
}

static void add_option(struct maker *m, const struct statement *s, unsigned first)
{
    struct outline_option *options = grown(m, m->o->options, m->o->n_options, &m->options_cap, sizeof(*options));
    if (!options)
        return;
    m->o->options = options;
    options[m->o->n_options++] = (struct outline_option){s->option, m->section, s->name.line, first, m->o->n_lines - first};
}

/* Behind "NAME =". A wrong one is taken back. */
static void parse_option(struct maker *m, struct statement *s)
{
    const struct outline_option *before = given(m, s->option);
    put_newlines(m, s->name.line);
    size_t len = m->len;
    unsigned clean_line = m->clean_line, first = m->o->n_lines;
    put_text(m, s->option->name);
    put_text(m, before ? "+=" : "=");
    bool good = parse_value(m, s);
    put_text(m, "\n"), m->clean_line++;
    if (good && before && !s->append) {
        config_error(m->errors, s->name.line, s->text, "it is given twice; the first is in line %u", before->line);
        good = false;
    }
    if (good && s->append && !s->option->list) {
        config_error(m->errors, s->name.line, s->text, "it takes one value: write '=' for '+='");
        good = false;
    }
    if (good && !m->no_memory) {
        add_option(m, s, first);
        return;
    }
    mark_bad(m);
    take_back(m, len, clean_line);
    m->o->n_lines = first;
}

/* ---- sections ---- */

/* One too many is not libconfuse's either. */
static void close_section(struct maker *m)
{
    const struct outline_section *s = &m->o->sections[m->section];
    if (s->nth < config_section_max(s->kind))
        put_text(m, "}\n"), m->clean_line++;
    else
        take_back(m, m->section_at, m->section_line);
    m->section = OUTLINE_TOP;
}

static void section_unclosed(struct maker *m, unsigned next_line)
{
    const struct outline_section *s = &m->o->sections[m->section];
    if (m->suspect)
        config_error(m->errors, m->suspect, m->suspected->name, "this list is not closed: '}' is missing");
    else if (next_line)
        config_error(m->errors, s->line, config_section_name(s->kind), "this section is not closed: '}' is missing before the next one, in line %u", next_line);
    else
        config_error(m->errors, s->line, config_section_name(s->kind), "this section is not closed: '}' is missing");
    mark_bad(m);
    close_section(m);
}

static void check_title(struct maker *m, struct outline_section *s, const struct token *title)
{
    const char *name = config_section_name(s->kind);
    s->bad = true;
    if (config_section_titled(s->kind) && !title) {
        config_error(m->errors, s->line, name, "a name is missing: %s NAME { ... }", name);
    } else if (title && !config_section_titled(s->kind)) {
        config_error(m->errors, s->line, name, "it has no name: %s { ... }", name);
    } else if (title && (!title->len || title->len > CONFIG_NAME_MAX)) {
        config_error(m->errors, s->line, name, "its name has 1 to %d characters", CONFIG_NAME_MAX);
    } else {
        s->bad = false;
        snprintf(s->title, sizeof(s->title), "%.*s", title ? (int)title->len : 0, title ? title->from : "");
    }
    for (const char *c = s->title; *c && !s->bad; c++)
        if (!is_word(*c) || strchr(":/[]@%~*", *c)) {
            config_error(m->errors, s->line, name, "its name consists of letters, digits, '-', '_' and '.'");
            s->bad = true;
        }
    for (const struct outline_section *other = m->o->sections; other < s && !s->bad; other++)
        if (s->title[0] && other->kind == s->kind && !strcmp(other->title, s->title)) {
            config_error(m->errors, s->line, name, "there are two of the name '%s'; the first is in line %u", s->title, other->line);
            s->bad = true;
        }
}

static void open_section(struct maker *m, enum config_section kind, const struct token *name, const struct token *title)
{
    if (m->section != OUTLINE_TOP)
        section_unclosed(m, name->line);
    struct outline_section *sections = grown(m, m->o->sections, m->o->n_sections, &m->sections_cap, sizeof(*sections));
    if (!sections)
        return;
    m->o->sections = sections;
    m->section = m->o->n_sections++;
    m->suspect = 0;
    struct outline_section *s = &sections[m->section];
    *s = (struct outline_section){.kind = kind, .line = name->line, .nth = m->of_kind[kind]++};
    put_newlines(m, name->line);
    m->section_at = m->len;
    m->section_line = m->clean_line;
    if (s->nth < config_section_max(kind))
        check_title(m, s, title);
    else if (s->nth == config_section_max(kind))
        config_error(m->errors, s->line, config_section_name(kind), "there are more than %u of these", config_section_max(kind));
    put_text(m, config_section_name(kind));
    put_text(m, "{");
}

/* All of a section that we do not know, to its end. */
static void skip_section(struct maker *m)
{
    unsigned depth = 1, line = m->scan.line;
    while (depth) {
        struct token t = next(m);
        depth += t.kind == T_OPEN;
        depth -= t.kind == T_CLOSE;
        if (t.kind == T_END) {
            config_error(m->errors, line, "syntax", "this section is not closed: '}' is missing");
            return;
        }
    }
}

/* ---- statements ---- */

static void unknown(struct maker *m, const struct statement *s, bool section)
{
    char hint[80];
    enum config_section kind = m->section == OUTLINE_TOP ? SECTION_TOP : m->o->sections[m->section].kind;
    config_hint(kind, s->text, hint, sizeof(hint));
    if (section || kind == SECTION_TOP)
        config_error(m->errors, s->name.line, s->text, "no such %s%s", section ? "section" : "option", hint);
    else
        config_error(m->errors, s->name.line, s->text, "no such option in a section '%s'%s", config_section_name(kind), hint);
    mark_bad(m);
}

/* [TITLE] { behind the name of a section. */
static void parse_header(struct maker *m, enum config_section kind, const struct statement *s)
{
    char what[SHOWN + 8];
    struct token title = peek(m);
    bool titled = title.kind == T_WORD || title.kind == T_STRING;
    if (titled)
        (void)next(m);
    struct token open = peek(m);
    if (open.kind == T_OPEN) {
        (void)next(m);
        open_section(m, kind, &s->name, titled ? &title : NULL);
        return;
    }
    if (open.kind != T_BAD)
        config_error(m->errors, s->name.line, s->text, "'{' is expected behind it, not %s", shown(&open, what));
    leave_line(m, s->name.line);
}

/* "= VALUE" of an option that we do not know: also a list over several lines, if it ends before another statement begins. */
static void skip_value(struct maker *m)
{
    struct scan start;
    bool other;
    (void)next(m);
    if (peek(m).kind != T_OPEN)
        return;
    (void)next(m);
    for (start = m->scan;;) {
        begins_statement(m, &other);
        struct token t = peek(m);
        if (t.kind == T_END || other)
            break;
        (void)next(m);
        if (t.kind == T_CLOSE)
            return;
    }
    m->scan = start;
}

static void parse_statement(struct maker *m, const struct token *name)
{
    struct statement s = {.name = *name};
    enum config_section here = m->section == OUTLINE_TOP ? SECTION_TOP : m->o->sections[m->section].kind;
    snprintf(s.text, sizeof(s.text), "%.*s", (int)(name->len > SHOWN ? SHOWN : name->len), name->from);
    size_t n = strlen(s.text);
    bool colon = n > 1 && s.text[n - 1] == ':';
    if (colon)
        s.text[n - 1] = '\0';
    enum config_section kind = config_section_find(s.text);
    s.option = name->len > SHOWN ? NULL : config_option_find(here, s.text);
    if (colon && s.option) {
        config_error(m->errors, name->line, s.text, "'=' is expected behind it, not ':'");
        mark_bad(m);
        leave_line(m, name->line);
        return;
    }
    struct token then = peek(m);
    if (kind != SECTION_TOP && !colon && then.kind != T_EQUAL && then.kind != T_PLUS_EQUAL) {
        parse_header(m, kind, &s);
        return;
    }
    if (kind != SECTION_TOP) {
        config_error(m->errors, name->line, s.text, "it is a section: %s%s { ... }", s.text, config_section_titled(kind) ? " NAME" : "");
        leave_line(m, name->line);
        return;
    }
    if (then.kind == T_OPEN) {
        (void)next(m);
        if (s.option)
            config_error(m->errors, name->line, s.text, "'=' is missing before '{'");
        else
            unknown(m, &s, true);
        mark_bad(m);
        skip_section(m);
        return;
    }
    bool equal = then.kind == T_EQUAL || then.kind == T_PLUS_EQUAL;
    if (s.option && equal) {
        (void)next(m);
        s.append = then.kind == T_PLUS_EQUAL;
        parse_option(m, &s);
        return;
    }
    if (s.option)
        config_error(m->errors, name->line, s.text, "'=' and a value are missing: %s = ...", s.text);
    else
        unknown(m, &s, false);
    mark_bad(m);
    if (equal)
        skip_value(m);
    leave_line(m, name->line);
}

static void parse_file(struct maker *m)
{
    char what[SHOWN + 8];
    for (;;) {
        for (; m->scan.swallowed > 0 && m->section != OUTLINE_TOP; m->scan.swallowed--)
            close_section(m);
        m->scan.swallowed = 0;
        struct token t = next(m);
        switch (t.kind) {
        case T_END:
            if (m->section != OUTLINE_TOP)
                section_unclosed(m, 0);
            return;
        case T_CLOSE:
            if (m->section == OUTLINE_TOP)
                config_error(m->errors, t.line, "syntax", "nothing is open that this '}' could close");
            else
                close_section(m);
            break;
        case T_WORD:
            parse_statement(m, &t);
            break;
        case T_BAD:
            mark_bad(m);
            break;
        case T_STRING:
        case T_OPEN:
        case T_EQUAL:
        case T_PLUS_EQUAL:
        case T_COMMA:
            config_error(m->errors, t.line, "syntax", "the name of an option or a section is expected here, not %s", shown(&t, what));
            mark_bad(m);
            leave_line(m, t.line);
            break;
        }
    }
}

int outline_make(struct outline *o, const char *text, size_t len, struct config_errors *e)
{
    struct maker m = {.o = o, .errors = e, .section = OUTLINE_TOP, .clean_line = 1};
    *o = (struct outline){0};
    if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) /* some editors begin so */
        text += 3, len -= 3;
    m.text = text;
    m.scan = (struct scan){text, text + len, 1, 0, e};
    put_clean(&m, "", 0);
    parse_file(&m);
    if (m.no_memory)
        config_error(e, 1, "file", "out of memory");
    return m.no_memory ? -ENOMEM : 0;
}

void outline_free(struct outline *o)
{
    free(o->clean);
    free(o->sections);
    free(o->options);
    free(o->lines);
    *o = (struct outline){0};
}

/* ---- lines ---- */

unsigned outline_line(const struct outline *o, unsigned section, const struct config_option *option, unsigned i)
{
    unsigned line = 0;
    for (unsigned k = 0; k < o->n_options; k++) {
        const struct outline_option *at = &o->options[k];
        if (at->section != section || at->option != option)
            continue;
        line = line ? line : at->line;
        if (i < at->n)
            return o->lines[at->first + i];
        i -= at->n;
    }
    return line ? line : section == OUTLINE_TOP ? 1 : o->sections[section].line;
}

unsigned outline_section_index(const struct outline *o, enum config_section kind, unsigned nth)
{
    for (unsigned i = 0; i < o->n_sections; i++)
        if (o->sections[i].kind == kind && o->sections[i].nth == nth)
            return i;
    return OUTLINE_TOP;
}
