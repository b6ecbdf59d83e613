#include "daemon/policy/suffix.h"

#include <stdbool.h>
#include <string.h>

static char lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool ends_with(const char *name, size_t len, const char *suffix, size_t n)
{
    bool same = len > n;
    for (size_t i = 0; same && i < n; i++)
        same = lower(name[len - n + i]) == suffix[i];
    return same;
}

int suffix_longest(const char *name, size_t len, const char *const *suffix, unsigned n, size_t *bare)
{
    size_t best = 0;
    int found = -1;
    for (unsigned i = 0; i < n; i++) {
        size_t s = strlen(suffix[i]);
        if (s <= best || !ends_with(name, len, suffix[i], s))
            continue;
        best = s;
        found = (int)i;
        *bare = len - s;
    }
    return found;
}
