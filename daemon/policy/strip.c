#include "daemon/policy/strip.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct scan {
    char *at;
    unsigned line;
};

/* Up to the newline, which stays. */
static const char *skip_line_comment(struct scan *s)
{
    while (*s->at && *s->at != '\n')
        *s->at++ = ' ';
    return NULL;
}

static const char *skip_block_comment(struct scan *s)
{
    unsigned first = s->line;
    for (memset(s->at, ' ', 2), s->at += 2; *s->at; s->at++) {
        if (s->at[0] == '*' && s->at[1] == '/') {
            memset(s->at, ' ', 2);
            s->at += 2;
            return NULL;
        }
        if (*s->at == '\n')
            s->line++;
        else
            *s->at = ' ';
    }
    s->line = first;
    return "this comment is not closed";
}

static const char *skip_string(struct scan *s)
{
    char quote = *s->at++;
    for (; *s->at && *s->at != '\n'; s->at++) {
        if (*s->at == quote) {
            s->at++;
            return NULL;
        }
        if (quote == '"' && s->at[0] == '$' && s->at[1] == '{')
            return "the environment (${...}) is not consulted";
        if (*s->at != '\\')
            continue;
        s->at++;
        if (quote == '"' && *s->at >= '0' && *s->at <= '9')
            return "octal escapes are not understood";
        if (!*s->at || *s->at == '\n')
            break;
    }
    return "this string is not closed on its line";
}

static const char *step(struct scan *s)
{
    unsigned char c = (unsigned char)*s->at;
    if (c == '#' || (c == '/' && s->at[1] == '/'))
        return skip_line_comment(s);
    if (c == '/' && s->at[1] == '*')
        return skip_block_comment(s);
    if (c == '"' || c == '\'')
        return skip_string(s);
    if (c == '$' && s->at[1] == '{')
        return "the environment (${...}) is not consulted";
    if (c == 0x7f || (c < 32 && !strchr("\n\t\r", c)))
        return "there is a control character";
    s->line += c == '\n';
    s->at++;
    return NULL;
}

int config_strip(char *text, unsigned *line, const char **wrong)
{
    struct scan s = {text, 1};
    *wrong = NULL;
    while (*s.at && !*wrong)
        *wrong = step(&s);
    *line = s.line;
    return *wrong ? -EINVAL : 0;
}
