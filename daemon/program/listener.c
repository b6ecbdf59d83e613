#include "daemon/program/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/program/line.h"
#include "include/ipc.h"

struct listeners {
    unsigned n, turn;
    struct listener v[LISTENERS_MAX];
};

struct listeners *listeners_new(void)
{
    return calloc(1, sizeof(struct listeners));
}

void listeners_free(struct listeners *ls)
{
    free(ls);
}

int listener_add(struct listeners *ls, const struct listener *l)
{
    unsigned i = 0;
    while (i < ls->n && ls->v[i].cookie != l->cookie)
        i++;
    if (i == LISTENERS_MAX)
        return -ENOSPC;
    ls->n += i == ls->n;
    ls->v[i] = *l;
    return 0;
}

const struct listener *listener_by_cookie(const struct listeners *ls, uint64_t cookie)
{
    for (unsigned i = 0; i < ls->n; i++)
        if (ls->v[i].cookie == cookie)
            return &ls->v[i];
    return NULL;
}

const struct listener *listener_next(const struct listeners *ls, unsigned *at, uint16_t port)
{
    while (*at < ls->n) {
        const struct listener *l = &ls->v[(*at)++];
        if (!port || l->asked.port == port)
            return l;
    }
    return NULL;
}

/* All of IPv6 is taken for all of IPv4 as well only by who asks for that; most that have both bind each by itself. */
static bool overlaps(const struct addr *a, const struct addr *b)
{
    return a->port == b->port && a->family == b->family && (addr_is_any(a) || addr_is_any(b) || addr_eq(a, b));
}

bool listener_conflicts(const struct listener *old, const struct listener *l)
{
    uint8_t both = old->flags & l->flags;
    if (old->proto != l->proto || !overlaps(&old->asked, &l->asked) || both & IPC_LISTEN_REUSEPORT)
        return false;
    return !(both & IPC_LISTEN_REUSEADDR && old->flags & IPC_LISTEN_BOUND);
}

/* 0: not at all. */
static int rank(const struct listener *l, const struct addr *own)
{
    if (l->asked.port != own->port || l->flags & IPC_LISTEN_BOUND)
        return 0;
    if (addr_eq(&l->asked, own))
        return 4;
    if (l->asked.family == own->family)
        return addr_is_any(&l->asked) ? 3 : 1;
    return own->family == 4 && addr_is_any(&l->asked) ? 2 : 0; /* IPV6_V6ONLY the connection itself will tell */
}

const struct listener *listener_best(struct listeners *ls, const struct addr *own)
{
    int best = 0;
    unsigned n = 0;
    for (unsigned i = 0; i < ls->n; i++) {
        int r = rank(&ls->v[i], own);
        n = r > best ? 1 : n + (r == best);
        best = r > best ? r : best;
    }
    if (!best)
        return NULL;
    n = ls->turn++ % n;
    for (unsigned i = 0; i < ls->n; i++)
        if (rank(&ls->v[i], own) == best && n-- == 0)
            return &ls->v[i];
    return NULL;
}

void listener_remove(struct listeners *ls, uint64_t cookie)
{
    for (unsigned i = 0; i < ls->n;) {
        if (ls->v[i].cookie == cookie)
            ls->v[i] = ls->v[--ls->n];
        else
            i++;
    }
}

enum { LINE_MAX_LEN = 2 * ADDR_STR + 48 };

char *listeners_format(const struct listeners *ls, size_t *len)
{
    size_t cap = (size_t)ls->n * LINE_MAX_LEN + 1;
    char *text = malloc(cap), bound[INET6_ADDRSTRLEN], asked[INET6_ADDRSTRLEN];
    *len = 0;
    if (!text)
        return NULL;
    text[0] = '\0';
    for (unsigned i = 0; i < ls->n; i++) {
        const struct listener *l = &ls->v[i];
        *len += (size_t)snprintf(text + *len, cap - *len, "tcp %s %u %llu %s %u %u\n", line_ip(&l->bound, bound), l->bound.port,
            (unsigned long long)l->cookie, line_ip(&l->asked, asked), l->asked.port, l->flags);
    }
    return text;
}

static bool parse_line(const char *line, struct listener *l)
{
    char bound[INET6_ADDRSTRLEN], asked[INET6_ADDRSTRLEN];
    unsigned port, asked_port, flags;
    unsigned long long cookie;
    *l = (struct listener){.proto = IPPROTO_TCP};
    if (sscanf(line, "tcp %45s %u %llu %45s %u %u", bound, &port, &cookie, asked, &asked_port, &flags) != 6 ||
        flags & ~IPC_LISTEN_FLAGS)
        return false;
    l->cookie = cookie;
    l->flags = (uint8_t)flags;
    return line_addr(&l->bound, bound, port) && line_addr(&l->asked, asked, asked_port);
}

void listeners_parse(struct listeners *ls, const char *text)
{
    struct listener l;
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (parse_line(line, &l))
            listener_add(ls, &l);
    }
}
