#include "daemon/base/format.h"

#include <stdio.h>
#include <string.h>

/* Digits up to the end of the line; 0: there is no such number. A version beyond all that can be is newer as well. */
static unsigned number(const char *at, const char *end)
{
    unsigned v = 0;
    if (at == end || *at == '0')
        return 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9')
            return 0;
        v = v > 100000000 ? v : v * 10 + (unsigned)(*at - '0');
    }
    return v;
}

enum format_age format_read(const struct format *f, const char *text, size_t len, unsigned *version, size_t *body)
{
    char start[FORMAT_HEAD_MAX];
    size_t n = (size_t)snprintf(start, sizeof(start), "i3run %s ", f->kind);
    const char *end = memchr(text, '\n', len);
    bool first = len >= 6 && !memcmp(text, "i3run ", 6);
    *version = 0;
    *body = 0;
    if (!first)
        return f->bare ? FORMAT_OLD : FORMAT_OTHER;
    if (!end || (size_t)(end - text) <= n || memcmp(text, start, n))
        return FORMAT_OTHER;
    *version = number(text + n, end);
    *body = (size_t)(end - text) + 1;
    if (!*version)
        return FORMAT_OTHER;
    return *version == f->version ? FORMAT_CURRENT : *version < f->version ? FORMAT_OLD : FORMAT_NEWER;
}

size_t format_head(const struct format *f, char out[FORMAT_HEAD_MAX])
{
    int n = snprintf(out, FORMAT_HEAD_MAX, "i3run %s %u\n", f->kind, f->version);
    return n < 0 || n >= FORMAT_HEAD_MAX ? 0 : (size_t)n;
}
