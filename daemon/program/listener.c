#include "daemon/program/listener.h"

#include <errno.h>
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
