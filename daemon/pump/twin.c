/* pump/twin.c - one host in two overlays: bob.i3 and bob.lab, with the same key.
 *
 * The key's home is the overlay of its first entry in the book; there it has the virtual address of its key. In another one it has that
 * of an alias, BLAKE2s("i3run overlay name v1" || the overlay's name || key), so that an address says by which way packets go. It is
 * IPv4 alone: a host's IPv6 address is the same at both ends and everywhere, and so it is at home.
 *
 * Bounds: an alias for each entry of the book, and those that were; they are forgotten with the daemon, and made again with the book.
 */
#include <stdio.h>
#include <stdlib.h>

#define uthash_fatal(msg) abort()
#include <uthash.h>

#include "daemon/pump/impl.h"

struct twin {
    uint8_t alias[KEY_LEN], key[KEY_LEN];
    char overlay[OVERLAY_NAME_MAX + 1];
    UT_hash_handle hh;
};

static struct twin *twin_find(const struct pump *p, const uint8_t alias[KEY_LEN])
{
    struct twin *t;
    HASH_FIND(hh, p->twins, alias, KEY_LEN, t);
    return t;
}

static void alias_of(uint8_t alias[KEY_LEN], const struct overlay *o, const uint8_t key[KEY_LEN])
{
    static const char label[] = "i3run overlay name v1";
    struct bytes v[] = {{label, sizeof(label) - 1}, {o->name, strlen(o->name) + 1}, {key, KEY_LEN}};
    blake2s(alias, v, ARRAY_LEN(v));
}

static const uint8_t *twin_make(struct pump *p, const struct overlay *o, const uint8_t key[KEY_LEN])
{
    uint8_t alias[KEY_LEN];
    alias_of(alias, o, key);
    struct twin *t = twin_find(p, alias);
    if (t)
        return t->alias;
    t = HASH_COUNT(p->twins) < 2 * BOOK_MAX ? calloc(1, sizeof(*t)) : NULL;
    if (!t)
        return NULL;
    memcpy(t->alias, alias, KEY_LEN);
    memcpy(t->key, key, KEY_LEN);
    snprintf(t->overlay, sizeof(t->overlay), "%s", o->name);
    HASH_ADD(hh, p->twins, alias, KEY_LEN, t);
    return t->alias;
}

uint32_t twin_address(struct pump *p, const struct book_entry *e, bool pin)
{
    char full[IPC_NAME_MAX + 1];
    struct overlay *o = p->overlays->next ? overlay_of_entry(p, e->name, full) : p->overlays;
    bool home = !o || o == overlay_of_key(p, e->key) || !memcmp(e->key, p->identity.pub, KEY_LEN);
    const uint8_t *key = home ? e->key : twin_make(p, o, e->key);
    uint32_t ip = key ? pool_get(p->pool, p->now, key) : 0;
    if (ip && pin)
        pool_pin(p->pool, key, true);
    return ip;
}

const uint8_t *twin_key(const struct pump *p, const uint8_t *key)
{
    const struct twin *t = key ? twin_find(p, key) : NULL;
    return t ? t->key : key;
}

bool twin_is(const struct pump *p, const uint8_t *key)
{
    return key && twin_find(p, key);
}

const struct book_entry *twin_entry(const struct pump *p, const uint8_t *key)
{
    const struct twin *t = key ? twin_find(p, key) : NULL;
    const struct overlay *o = t ? overlay_named(p, t->overlay) : NULL;
    return t ? o ? twin_entry_in(p, o, t->key) : NULL : key ? names_entry(p, key) : NULL;
}

const struct book_entry *twin_entry_in(const struct pump *p, const struct overlay *o, const uint8_t key[KEY_LEN])
{
    char full[IPC_NAME_MAX + 1];
    const struct book_entry *first = names_entry(p, key);
    if (!first || !p->overlays->next || overlay_of_entry(p, first->name, full) == o)
        return first;
    for (size_t i = 0; i < book_count(p->book); i++) {
        const struct book_entry *e = book_at(p->book, i);
        if (!memcmp(e->key, key, KEY_LEN) && overlay_of_entry(p, e->name, full) == o)
            return e;
    }
    return NULL;
}

void twins_free(struct pump *p)
{
    struct twin *t, *next;
    HASH_ITER(hh, p->twins, t, next) {
        HASH_DELETE(hh, p->twins, t);
        free(t);
    }
}
