/* groups.h - the groups whose key this daemon holds: it is one of their members (DESIGN section 5).
 *
 * A group is an X25519 key that several daemons share. Its id's prefix is the hash of the public key, as that of a user; whoever
 * wants to reach it has the public key in the address book. The members differ in the suffix:
 *
 *   anycast     id = prefix | member (8 bytes) | zeros     one member is reached, the one whose suffix is nearest (i3/peer.h)
 *   multicast   id = prefix | ones                         all are (i3/group.h)
 *
 * A member's 8 bytes are drawn by chance, so that the load spreads. `near` gives their beginning a meaning: a PLACE, one or two
 * labels with '/' between ("eu/berlin"), each of which becomes 2 bytes by a hash. Who asks for a place (book.h) gets a member of that
 * place, else one of the same first label, else any: the longest match.
 *
 * The file DATA/groups, private as the identity is:
 *     i3run groups 1
 *     NAME anycast|multicast PRIVATE-KEY MEMBER [PLACE]       keys in base32, MEMBER in 16 hex digits
 * What is carried from one member to the next, one line and as secret:
 *     i3run group 1 anycast|multicast PRIVATE-KEY
 *
 * Bound: GROUPS_MAX groups.
 */
#ifndef I3_GROUPS_H
#define I3_GROUPS_H

#include "daemon/naming/book.h"

enum { GROUPS_MAX = 64, GROUP_MEMBER_LEN = 8, GROUP_SECRET_MAX = 96, PLACE_MAX = 63, PLACE_LABELS_MAX = 2, PLACE_LABEL_LEN = 2 };

enum group_kind { GROUP_ANYCAST, GROUP_MULTICAST, GROUP_KINDS };

struct group {
    struct book_entry entry; /* its name and public key, as if it stood in the book */
    enum group_kind kind;
    uint8_t priv[KEY_LEN];
    uint8_t member[GROUP_MEMBER_LEN]; /* never zeros, never ones */
    char place[PLACE_MAX + 1];        /* "": none */
};

struct groups;

struct groups *groups_new(void);
void groups_free(struct groups *gs);

const char *group_kind_name(enum group_kind k);
/* False: there is no such kind. */
bool group_kind_parse(const char *s, enum group_kind *out);

/* Writes the bytes that a place stands for, at most GROUP_MEMBER_LEN, and returns how many; 0: it is none. */
size_t place_bytes(const char *place, uint8_t out[GROUP_MEMBER_LEN]);

/* A group as described, its public key and member computed; random: GROUP_MEMBER_LEN bytes from which the member is taken
 * where the place does not say otherwise. -EINVAL: no name, no place. */
int group_make(struct group *out, const char *name, enum group_kind kind, const uint8_t priv[KEY_LEN], const char *place,
    const uint8_t random[GROUP_MEMBER_LEN]);

/* -EEXIST: the name, or the key under another name, is there. -ENOSPC, -ENOMEM. */
int groups_add(struct groups *gs, const struct group *g);
void groups_remove(struct groups *gs, const struct group *g);
/* NULL: not found. Valid until the table changes. */
const struct group *groups_find(const struct groups *gs, const char *name);
const struct group *groups_by_key(const struct groups *gs, const uint8_t key[KEY_LEN]);
const struct group *groups_at(const struct groups *gs, unsigned i); /* in the order of the file */

/* A whole file in place of what is there. 0, or -EINVAL with *line; nothing has changed then. */
int groups_parse(struct groups *gs, const char *text, size_t len, unsigned *line);
/* malloc'd, to be wiped and freed; NULL: out of memory. */
char *groups_format(const struct groups *gs, size_t *len);

/* What another daemon needs to become a member. */
void group_secret_format(const struct group *g, char out[GROUP_SECRET_MAX]);
/* 0 or -EINVAL; spaces and newlines at the end are allowed. */
int group_secret_parse(const char *text, enum group_kind *kind, uint8_t priv[KEY_LEN]);

#endif
