#include "daemon/program/listener.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct listeners {
    unsigned n;
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
    for (unsigned i = 0; i < ls->n; i++)
        if (ls->v[i].cookie == l->cookie && addr_eq(&ls->v[i].bound, &l->bound))
            return 0;
    if (ls->n == LISTENERS_MAX)
        return -ENOSPC;
    ls->v[ls->n++] = *l;
    return 0;
}

const struct listener *listener_next(const struct listeners *ls, unsigned *at, uint16_t port)
{
    while (*at < ls->n) {
        const struct listener *l = &ls->v[(*at)++];
        if (!port || l->bound.port == port)
            return l;
    }
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

enum { LINE_MAX_LEN = ADDR_STR + 40 };

char *listeners_format(const struct listeners *ls, size_t *len)
{
    size_t cap = (size_t)ls->n * LINE_MAX_LEN + 1;
    char *text = malloc(cap), ip[INET6_ADDRSTRLEN];
    *len = 0;
    if (!text)
        return NULL;
    text[0] = '\0';
    for (unsigned i = 0; i < ls->n; i++) {
        const struct listener *l = &ls->v[i];
        inet_ntop(l->bound.family == 6 ? AF_INET6 : AF_INET, l->bound.ip, ip, sizeof(ip));
        *len += (size_t)snprintf(text + *len, cap - *len, "tcp %s %u %llu\n", ip, l->bound.port, (unsigned long long)l->cookie);
    }
    return text;
}

static bool parse_line(const char *line, struct listener *l)
{
    char ip[INET6_ADDRSTRLEN];
    unsigned port;
    unsigned long long cookie;
    *l = (struct listener){.proto = IPPROTO_TCP};
    if (sscanf(line, "tcp %45s %u %llu", ip, &port, &cookie) != 3 || port < 1 || port > 65535)
        return false;
    if (inet_pton(AF_INET, ip, l->bound.ip) == 1)
        l->bound.family = 4;
    else if (inet_pton(AF_INET6, ip, l->bound.ip) == 1)
        l->bound.family = 6;
    l->bound.port = (uint16_t)port;
    l->cookie = cookie;
    return l->bound.family;
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
