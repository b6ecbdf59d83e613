#include "shim/inherit.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char library[] = "libi3shim.so", preload[] = "LD_PRELOAD=", off[] = "I3_OFF=";

static char text[INHERIT_TEXT];
static const char *kept[INHERIT_VARIABLES]; /* "I3_NAME=value", in `text` */
static size_t kept_count;
static const char *ours; /* our element of LD_PRELOAD, in `text`; NULL: we were not preloaded */

static bool begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

/* The next element of a list as the loader splits it; false at the end. */
static bool element(const char **at, const char **begin, size_t *len)
{
    *begin = *at + strspn(*at, ": ");
    *len = strcspn(*begin, ": ");
    *at = *begin + *len;
    return *len != 0;
}

/* Where the value of LD_PRELOAD names our library, *len its length; NULL: it does not. */
static const char *find_library(const char *value, size_t *len)
{
    const char *e;
    while (element(&value, &e, len)) {
        size_t n = sizeof(library) - 1;
        if (*len >= n && !memcmp(e + *len - n, library, n) && (*len == n || e[*len - n - 1] == '/'))
            return e;
    }
    return NULL;
}

static const char *keep(size_t *used, const char *s, size_t len)
{
    char *to = text + *used;
    if (len >= sizeof(text) - *used)
        return NULL;
    memcpy(to, s, len);
    *used += len + 1;
    return to;
}

void inherit_init(char *const envp[])
{
    size_t used = 0, len;
    const char *e;
    for (; envp && *envp; envp++) {
        if (begins(*envp, preload) && (e = find_library(*envp + sizeof(preload) - 1, &len)))
            ours = keep(&used, e, len);
        else if (begins(*envp, "I3_") && !begins(*envp, off) && kept_count < INHERIT_VARIABLES &&
                 (e = keep(&used, *envp, strlen(*envp))))
            kept[kept_count++] = e;
    }
}

static bool same_name(const char *a, const char *b)
{
    size_t n = strcspn(a, "=");
    return strncmp(a, b, n + 1) == 0 && a[n] == '=';
}

static bool has(char *const envp[], const char *variable)
{
    for (; envp && *envp; envp++)
        if (same_name(variable, *envp))
            return true;
    return false;
}

static bool lacks_library(const char *variable)
{
    size_t len;
    return begins(variable, preload) && !find_library(variable + sizeof(preload) - 1, &len);
}

bool inherit_active(char *const envp[])
{
    for (char *const *e = envp; e && *e; e++)
        if (begins(*e, off) && (*e)[sizeof(off) - 1])
            return false;
    return ours != NULL;
}

size_t inherit_room(char *const envp[])
{
    size_t count = 0, bytes = 0;
    bool changed = false, preloads = false;
    if (!inherit_active(envp))
        return 0;
    for (char *const *e = envp; e && *e; e++, count++) {
        preloads |= begins(*e, preload);
        if (lacks_library(*e))
            bytes += strlen(*e) + 1 + strlen(ours) + 1;
    }
    changed = bytes || !preloads;
    for (size_t i = 0; i < kept_count; i++)
        changed |= !has(envp, kept[i]);
    if (!changed)
        return 0;
    bytes += sizeof(preload) + strlen(ours);
    return (count + kept_count + 2) * sizeof(char *) + bytes;
}

static char *append(char *to, const char *s)
{
    size_t n = strlen(s);
    memcpy(to, s, n + 1);
    return to + n;
}

char **inherit_build(char *const envp[], void *room)
{
    size_t count = 0, n = 0;
    bool preloads = false;
    for (char *const *e = envp; e && *e; e++)
        count++;
    char **out = room, *at = (char *)(out + count + kept_count + 2);
    for (char *const *e = envp; e && *e; e++) {
        preloads |= begins(*e, preload);
        if (!lacks_library(*e)) {
            out[n++] = *e;
            continue;
        }
        const char *theirs = *e + sizeof(preload) - 1;
        out[n++] = at;
        at = append(append(at, preload), ours);
        if (*theirs)
            at = append(append(at, ":"), theirs);
        at++;
    }
    if (!preloads) {
        out[n++] = at;
        append(append(at, preload), ours);
    }
    for (size_t i = 0; i < kept_count; i++)
        if (!has(envp, kept[i]))
            out[n++] = (char *)kept[i];
    out[n] = NULL;
    return out;
}

void inherit_restore(void)
{
    size_t room = inherit_room(environ);
    if (!room)
        return;
    char *buf = malloc(room);
    if (!buf)
        return;
    for (char **e = inherit_build(environ, buf); *e; e++) {
        char *equals = strchr(*e, '=');
        if (equals && (begins(*e, preload) || begins(*e, "I3_"))) {
            char name[64] = "";
            if ((size_t)(equals - *e) < sizeof(name))
                memcpy(name, *e, (size_t)(equals - *e));
            if (name[0])
                setenv(name, equals + 1, 1);
        }
    }
    free(buf);
}
