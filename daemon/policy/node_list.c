#include "daemon/policy/node_list.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "include/bytes.h"

enum { LINE_LEN = ADDR_STR + NODE_LIST_NAME + 4 };

static bool name_is_good(const char *s)
{
    size_t n = strlen(s);
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
            return false;
    }
    return n <= NODE_LIST_NAME;
}

static bool is_at(const struct node_list *l, unsigned i, const char *overlay, const struct addr *at)
{
    return !strcmp(l->v[i].overlay, overlay) && addr_eq(&l->v[i].at, at);
}

unsigned node_list_of(const struct node_list *l, const char *overlay, struct addr out[CONFIG_NODES_MAX])
{
    unsigned n = 0;
    for (unsigned i = 0; i < l->n && n < CONFIG_NODES_MAX; i++)
        if (!strcmp(l->v[i].overlay, overlay))
            out[n++] = l->v[i].at;
    return n;
}

int node_list_add(struct node_list *l, const char *overlay, const struct addr *at)
{
    struct addr have[CONFIG_NODES_MAX];
    if (!at->family || !at->port || addr_is_any(at) || addr_is_group(at) || !name_is_good(overlay))
        return -EINVAL;
    for (unsigned i = 0; i < l->n; i++)
        if (is_at(l, i, overlay, at))
            return -EEXIST;
    if (l->n == NODE_LIST_MAX || node_list_of(l, overlay, have) == CONFIG_NODES_MAX)
        return -ENOSPC;
    l->v[l->n].at = *at;
    snprintf(l->v[l->n++].overlay, sizeof(l->v[0].overlay), "%s", overlay);
    return 0;
}

int node_list_remove(struct node_list *l, const char *overlay, const struct addr *at)
{
    unsigned i = 0;
    while (i < l->n && !is_at(l, i, overlay, at))
        i++;
    if (i == l->n)
        return -ENOENT;
    memmove(&l->v[i], &l->v[i + 1], (l->n - i - 1) * sizeof(l->v[0]));
    l->n--;
    return 0;
}

/* "ADDRESS[ OVERLAY]" */
static int take_line(struct node_list *l, const char *s, size_t len, char *why, size_t whylen)
{
    char line[LINE_LEN], *name;
    struct addr at;
    if (len >= sizeof(line) || memchr(s, '\0', len)) {
        snprintf(why, whylen, "that is no node");
        return -EINVAL;
    }
    memcpy(line, s, len);
    line[len] = '\0';
    name = strchr(line, ' ');
    if (name)
        *name++ = '\0';
    int err = config_parse_addr(&at, line, 0);
    err = err ? err : node_list_add(l, name ? name : "", &at);
    if (err)
        snprintf(why, whylen, err == -EEXIST ? "that node stands there twice" : err == -ENOSPC ? "too many nodes" :
            "that is no node: a line is ADDRESS:PORT, or with an overlay's name behind it");
    return err ? -EINVAL : 0;
}

int node_list_parse(struct node_list *l, const char *text, size_t len, unsigned *line, char *why, size_t whylen)
{
    const char *at = text, *end = text + len;
    l->n = 0;
    for (*line = 1; at < end; (*line)++) {
        const char *eol = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((eol ? eol : end) - at);
        int err = n ? take_line(l, at, n, why, whylen) : 0;
        if (err) {
            l->n = 0;
            return err;
        }
        at = eol ? eol + 1 : end;
    }
    return 0;
}

char *node_list_format(const struct node_list *l, size_t *len)
{
    size_t cap = (size_t)l->n * LINE_LEN + 1, at = 0;
    char *text = malloc(cap), s[ADDR_STR];
    if (!text)
        return NULL;
    text[0] = '\0';
    for (unsigned i = 0; i < l->n; i++)
        at += (size_t)snprintf(text + at, cap - at, "%s%s%s\n", addr_str(&l->v[i].at, s), *l->v[i].overlay ? " " : "", l->v[i].overlay);
    *len = at;
    return text;
}
