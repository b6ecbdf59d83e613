#include "daemon/policy/access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct access {
    unsigned n;
    struct door *v[ACCESS_DOORS];
    struct access_list uses[ACCESS_USES];
};

struct access *access_new(void)
{
    return calloc(1, sizeof(struct access));
}

void access_clear(struct access *a)
{
    for (unsigned i = 0; i < a->n; i++)
        free(a->v[i]);
    a->n = 0;
    for (unsigned i = 0; i < ACCESS_USES; i++)
        a->uses[i] = (struct access_list){0};
}

void access_free(struct access *a)
{
    if (!a)
        return;
    access_clear(a);
    free(a);
}

struct door *access_add(struct access *a, enum access_source source, const char *label, uint8_t proto, uint16_t port,
    const struct addr *target)
{
    struct door *d = a->n < ACCESS_DOORS ? calloc(1, sizeof(*d)) : NULL;
    if (!d)
        return NULL;
    d->source = source;
    d->proto = proto;
    d->port = port;
    d->target = *target;
    snprintf(d->label, sizeof(d->label), "%s", label);
    a->v[a->n++] = d;
    return d;
}

bool access_list_names(const struct access_list *l, const uint8_t key[KEY_LEN])
{
    for (unsigned i = 0; i < l->n_keys; i++)
        if (!memcmp(l->keys[i], key, KEY_LEN))
            return true;
    return false;
}

bool access_list_has(const struct access_list *l, const uint8_t key[KEY_LEN])
{
    return l->anyone || access_list_names(l, key);
}

int access_list_add(struct access_list *l, const uint8_t key[KEY_LEN])
{
    if (access_list_names(l, key))
        return 0;
    if (l->n_keys == ACCESS_KEYS)
        return -ENOSPC;
    memcpy(l->keys[l->n_keys++], key, KEY_LEN);
    return 0;
}

struct access_list *access_use(struct access *a, enum access_use what)
{
    return &a->uses[what];
}

bool access_may_use(const struct access *a, enum access_use what, const uint8_t key[KEY_LEN])
{
    return access_list_has(&a->uses[what], key);
}

const struct door *access_find(const struct access *a, uint8_t proto, uint16_t port, const uint8_t key[KEY_LEN])
{
    for (unsigned i = 0; i < a->n; i++)
        if (a->v[i]->port == port && a->v[i]->proto == proto && door_admits(a->v[i], key))
            return a->v[i];
    return NULL;
}

const struct access_list *access_list_at(const struct access *a, unsigned i)
{
    return i < a->n ? &a->v[i]->who : i - a->n < ACCESS_USES ? &a->uses[i - a->n] : NULL;
}

bool access_knows(const struct access *a, const uint8_t key[KEY_LEN])
{
    const struct access_list *l;
    for (unsigned i = 0; (l = access_list_at(a, i)); i++)
        if (access_list_has(l, key))
            return true;
    return false;
}

bool access_names(const struct access *a, const uint8_t key[KEY_LEN])
{
    const struct access_list *l;
    for (unsigned i = 0; (l = access_list_at(a, i)); i++)
        if (access_list_names(l, key))
            return true;
    return false;
}

bool access_is_open(const struct access *a)
{
    const struct access_list *l;
    for (unsigned i = 0; (l = access_list_at(a, i)); i++)
        if (l->anyone)
            return true;
    return false;
}

const struct door *access_at(const struct access *a, unsigned i)
{
    return i < a->n ? a->v[i] : NULL;
}
