#include "daemon/policy/access.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct access {
    unsigned n;
    struct door *v[ACCESS_DOORS];
    unsigned n_users[ACCESS_USES];
    uint8_t (*users[ACCESS_USES])[KEY_LEN];
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
    for (unsigned i = 0; i < ACCESS_USES; i++) {
        free(a->users[i]);
        a->users[i] = NULL;
        a->n_users[i] = 0;
    }
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

bool door_admits(const struct door *d, const uint8_t key[KEY_LEN])
{
    for (unsigned i = 0; i < d->n_keys; i++)
        if (!memcmp(d->keys[i], key, KEY_LEN))
            return true;
    return false;
}

int door_admit(struct door *d, const uint8_t key[KEY_LEN])
{
    if (door_admits(d, key))
        return 0;
    if (d->n_keys == ACCESS_KEYS)
        return -ENOSPC;
    memcpy(d->keys[d->n_keys++], key, KEY_LEN);
    return 0;
}

const struct door *access_find(const struct access *a, uint8_t proto, uint16_t port, const uint8_t key[KEY_LEN])
{
    for (unsigned i = 0; i < a->n; i++)
        if (a->v[i]->port == port && a->v[i]->proto == proto && door_admits(a->v[i], key))
            return a->v[i];
    return NULL;
}

bool access_knows(const struct access *a, const uint8_t key[KEY_LEN])
{
    for (unsigned i = 0; i < a->n; i++)
        if (door_admits(a->v[i], key))
            return true;
    for (unsigned i = 0; i < ACCESS_USES; i++)
        if (access_may(a, (enum access_use)i, key))
            return true;
    return false;
}

bool access_may(const struct access *a, enum access_use use, const uint8_t key[KEY_LEN])
{
    for (unsigned i = 0; i < a->n_users[use]; i++)
        if (!memcmp(a->users[use][i], key, KEY_LEN))
            return true;
    return false;
}

int access_permit(struct access *a, enum access_use use, const uint8_t key[KEY_LEN])
{
    unsigned n = a->n_users[use];
    if (access_may(a, use, key))
        return 0;
    uint8_t(*v)[KEY_LEN] = n < ACCESS_USERS ? realloc(a->users[use], (n + 1) * sizeof(*v)) : NULL;
    if (!v)
        return -ENOSPC;
    a->users[use] = v;
    memcpy(v[n], key, KEY_LEN);
    a->n_users[use]++;
    return 0;
}

const uint8_t *access_user(const struct access *a, enum access_use use, unsigned i)
{
    return i < a->n_users[use] ? a->users[use][i] : NULL;
}

const struct door *access_at(const struct access *a, unsigned i)
{
    return i < a->n ? a->v[i] : NULL;
}
