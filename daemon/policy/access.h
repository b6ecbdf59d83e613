/* access.h - which ports of this host a key may reach (DESIGN section 7: who may connect).
 *
 *   who                                       servers under i3run   ports below   anything else
 *   a key of the book, a friend               all                   if named      "connection refused"
 *   a guest: in the book for a share alone,
 *   or only named here                        none                  if named      silence
 *   everybody else                            silence: not even a session
 *
 * A door leads from a port of the overlay to a target, by default the same port of 127.0.0.1, and is open to the keys named. Doors
 * come from `expose` sections of i3.conf and from `i3ctl share`; where two have the same port, each holds for its own keys, and the
 * one that came first for a key that both name. Access is by key, never by address.
 *
 * The table is made anew whenever one of its sources changes. Bounds: ACCESS_DOORS doors of ACCESS_KEYS keys.
 */
#ifndef I3_ACCESS_H
#define I3_ACCESS_H

#include "include/addr.h"
#include "include/wire.h"

enum { ACCESS_DOORS = 256, ACCESS_KEYS = 256, ACCESS_LABEL_MAX = 63 };

enum access_source { ACCESS_EXPOSE, ACCESS_SHARE, ACCESS_SOURCES };

struct door {
    enum access_source source;
    char label[ACCESS_LABEL_MAX + 1]; /* for people: the section's title, or "" */
    uint8_t proto;                    /* IPPROTO_TCP or IPPROTO_UDP */
    uint16_t port;                    /* on the overlay */
    struct addr target;
    unsigned n_keys;
    uint8_t keys[ACCESS_KEYS][KEY_LEN];
};

struct access;

/* What this host does for others beside its ports, for the keys that are named for it. Bound: ACCESS_USERS each. */
enum { ACCESS_USERS = 1024 };
enum access_use { USE_GATEWAY, USE_BOX, ACCESS_USES };

/* NULL: out of memory. */
struct access *access_new(void);
void access_free(struct access *a);
void access_clear(struct access *a);

/* A door that is open to nobody yet; NULL: there are too many. Valid until the table is cleared. */
struct door *access_add(struct access *a, enum access_source source, const char *label, uint8_t proto, uint16_t port,
    const struct addr *target);
/* 0, also when it is there already, or -ENOSPC. */
int door_admit(struct door *d, const uint8_t key[KEY_LEN]);
bool door_admits(const struct door *d, const uint8_t key[KEY_LEN]);

/* The door that key may go through to that port, NULL for none. */
const struct door *access_find(const struct access *a, uint8_t proto, uint16_t port, const uint8_t key[KEY_LEN]);
/* Some door, or a use, is open to the key: it may have a session. */
bool access_knows(const struct access *a, const uint8_t key[KEY_LEN]);
/* That use is open to the key from now on. 0, also when it is already, or -ENOSPC. */
int access_permit(struct access *a, enum access_use use, const uint8_t key[KEY_LEN]);
bool access_may(const struct access *a, enum access_use use, const uint8_t key[KEY_LEN]);
/* The i-th key that it is open to; NULL at the end. */
const uint8_t *access_user(const struct access *a, enum access_use use, unsigned i);
/* In the order in which they were added; NULL at the end. */
const struct door *access_at(const struct access *a, unsigned i);

#endif
