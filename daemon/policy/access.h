/* access.h - which ports of this host a key may reach (DESIGN section 7: who may connect).
 *
 *   who                                       servers under i3run   ports below   anything else
 *   a key of the book, a friend               all                   if named      "connection refused"
 *   a guest: in the book for a share alone,
 *   or only named here                        none                  if named      silence
 *   everybody else                            silence: not even a session; where something is open to
 *                                             anyone: as a guest who has that (pump/strangers.c)
 *
 * A door leads from a port of the overlay to a target, by default the same port of 127.0.0.1, and is open to the keys named. Doors
 * come from `expose` sections of i3.conf and from `i3ctl share`; where two have the same port, each holds for its own keys, and the
 * one that came first for a key that both name. Access is by key, never by address. "anyone" in a list of keys is every key that there is.
 *
 * Beside doors there are uses: this host as a gateway, and as a middle-box, each with a list of the same kind.
 *
 * The table is made anew whenever one of its sources changes. Bounds: ACCESS_DOORS doors of ACCESS_KEYS keys.
 */
#ifndef I3_ACCESS_H
#define I3_ACCESS_H

#include "include/addr.h"
#include "include/wire.h"

enum { ACCESS_DOORS = 256, ACCESS_KEYS = 256, ACCESS_LABEL_MAX = 63 };

#define ACCESS_ANYONE "anyone" /* in a list of names; nobody in the book can be meant by it */

enum access_source { ACCESS_EXPOSE, ACCESS_SHARE, ACCESS_SOURCES };

/* What a key may do here beside going through doors. */
enum access_use { ACCESS_GATEWAY, ACCESS_BOX, ACCESS_USES };

/* Whom a list names. */
struct access_list {
    bool anyone;
    unsigned n_keys;
    uint8_t keys[ACCESS_KEYS][KEY_LEN];
};

struct door {
    enum access_source source;
    char label[ACCESS_LABEL_MAX + 1]; /* for people: the section's title, or "" */
    uint8_t proto;                    /* IPPROTO_TCP or IPPROTO_UDP */
    uint16_t port;                    /* on the overlay */
    struct addr target;
    struct access_list who;
};

struct access;

/* NULL: out of memory. */
struct access *access_new(void);
void access_free(struct access *a);
void access_clear(struct access *a);

/* A door that is open to nobody yet; NULL: there are too many. Valid until the table is cleared. */
struct door *access_add(struct access *a, enum access_source source, const char *label, uint8_t proto, uint16_t port,
    const struct addr *target);
/* 0, also when it is there already, or -ENOSPC. */
int access_list_add(struct access_list *l, const uint8_t key[KEY_LEN]);
bool access_list_has(const struct access_list *l, const uint8_t key[KEY_LEN]);
/* By name, not as one of all. */
bool access_list_names(const struct access_list *l, const uint8_t key[KEY_LEN]);

static inline int door_admit(struct door *d, const uint8_t key[KEY_LEN])
{
    return access_list_add(&d->who, key);
}

static inline bool door_admits(const struct door *d, const uint8_t key[KEY_LEN])
{
    return access_list_has(&d->who, key);
}

/* Who may use this host as that: to be filled in when the table is made, empty from access_clear() on. */
struct access_list *access_use(struct access *a, enum access_use what);
bool access_may_use(const struct access *a, enum access_use what, const uint8_t key[KEY_LEN]);

/* The door that key may go through to that port, NULL for none. */
const struct door *access_find(const struct access *a, uint8_t proto, uint16_t port, const uint8_t key[KEY_LEN]);
/* Something is open to the key, if only as to anyone: it may have a session. */
bool access_knows(const struct access *a, const uint8_t key[KEY_LEN]);
/* To the key by name. */
bool access_names(const struct access *a, const uint8_t key[KEY_LEN]);
/* Something is open to anyone. */
bool access_is_open(const struct access *a);
/* Each list in turn, doors first, in the order in which they were added; NULL at the end. */
const struct access_list *access_list_at(const struct access *a, unsigned i);
/* In the order in which they were added; NULL at the end. */
const struct door *access_at(const struct access *a, unsigned i);

#endif
