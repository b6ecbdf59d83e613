/* book.h - the address book: petname -> public key (paper 3.2: local resolution, local scope).
 *
 * Text, one entry a line, "NAME KEY [OPTION ...] [# comment]"; options are
 *     multicast     the key is that of a multicast group (i3/group.h): datagrams reach all its members, and nothing else does
 *     near=PLACE    of a group's members those at PLACE are asked first (groups.h)
 *     via=NAME[,NAME ...]   packets pass the hosts of these names first, in that order; BOOK_VIA_MAX at most
 *     at=ADDRESS[,ADDRESS ...]   where it is, in an overlay of kind mesh: 203.0.113.9:5700 or [2001:db8::1]:5700, BOOK_AT_MAX at most
 *     guest         known by a share alone (`i3ctl share`, `join`): it may reach what is shared with it, and no server besides
 *     learned=hash, learned=dns   the key was found so, not told (pump/lookup.c): with guest, it reaches nothing here
 * blank lines and lines that start with '#' are kept. Names are
 * compared without case and without the overlay's suffix: the entry "bob" answers "bob.i3". A name is one or more
 * labels of letters, digits, '-' and '_', each 1..63, 253 in all. A name stands once.
 *
 * Lines are kept as they were written, so that format gives back what was parsed, byte for byte (with a newline at the
 * end); removing an entry removes its line. Bounds: BOOK_MAX entries, BOOK_LINES_MAX lines of BOOK_LINE_MAX bytes; a
 * file beyond them is refused whole.
 */
#ifndef I3_BOOK_H
#define I3_BOOK_H

#include "daemon/base/id.h"
#include "include/addr.h"

enum { BOOK_VIA_MAX = 3, BOOK_AT_MAX = 6, BOOK_AT_PORT = 5700 /* where none is said */, BOOK_OPTION_MAX = 800, BOOK_MAX = 65536, BOOK_NAME_MAX = 253, BOOK_LINES_MAX = 2 * BOOK_MAX, BOOK_LINE_MAX = 1024 };

struct book;

struct book_entry {
    char name[BOOK_NAME_MAX + 1]; /* lower case, without suffix */
    uint8_t key[KEY_LEN];
    bool multicast, guest;
    const char *near, *via, *at; /* as written; NULL: none */
    const char *learned;    /* "hash" or "dns"; NULL: it was told */
};

/* What `add` may say beside name and key. */
struct book_options {
    bool multicast, guest;
    const char *near, *via, *at, *learned; /* or NULL */
};

struct book *book_new(void);
void book_free(struct book *b);

/* Takes a whole file in place of what is there. 0, or -EINVAL with *line and a sentence in err (what is wrong, in
 * words); `b` is unchanged then.
 * Pointers to entries are valid until the book changes. */
int book_parse(struct book *b, const char *text, size_t len, unsigned *line, char *err, size_t errlen);
/* The whole file as text (malloc'd, *len without the NUL), comments kept. NULL: out of memory. */
char *book_format(const struct book *b, size_t *len);

bool book_name_valid(const char *name);
/* In lower case. 0 or -EINVAL: it is no name. */
int book_name_fold(char out[BOOK_NAME_MAX + 1], const char *name);
/* -EEXIST: the name is there with another key; 0 also when it is there with the same. -EINVAL, -ENOSPC. */
int book_add(struct book *b, const char *name, const uint8_t key[KEY_LEN]);
/* With options; -EEXIST also when it is there with other ones. */
int book_add_with(struct book *b, const char *name, const uint8_t key[KEY_LEN], const struct book_options *o);
/* The next of the names in entry->via into out; *at starts at entry->via. False: that was the last. */
bool book_via_next(const char **at, char out[BOOK_NAME_MAX + 1]);
/* The addresses of entry->at: how many. */
unsigned book_at_addresses(const char *at, struct addr out[BOOK_AT_MAX]);
/* Takes text as `near`, `via` or `at`; -EINVAL: it is none. */
int book_at_valid(const char *at);
int book_near_valid(const char *near);
int book_via_valid(const char *via);
/* With other addresses than it is there with, and all else the same. -EEXIST: it is not the same. */
int book_move_entry(struct book *b, const char *name, const uint8_t key[KEY_LEN], const struct book_options *o);
int book_remove(struct book *b, const char *name); /* -ENOENT */
/* No entry of that key is a guest's, or learned, any more. True: one was. */
bool book_befriend(struct book *b, const uint8_t key[KEY_LEN]);
/* All entries of the key `old` have the key `new` from now on; how many. What else stands in their lines stays. */
size_t book_rekey(struct book *b, const uint8_t old[KEY_LEN], const uint8_t new[KEY_LEN]);
/* A name that is free: `name`, else "name-2" and so on, the suffix of a number taking the place of what would be too long. -EINVAL: it
 * is no name; -ENOSPC. */
int book_free_name(const struct book *b, const char *name, char out[BOOK_NAME_MAX + 1]);
/* By name (suffix already stripped) or by key; NULL for not found. The first entry wins for a key, but one that is no guest's before
 * those that are. */
const struct book_entry *book_find(const struct book *b, const char *name);
const struct book_entry *book_find_key(const struct book *b, const uint8_t key[KEY_LEN]);
size_t book_count(const struct book *b);
const struct book_entry *book_at(const struct book *b, size_t i); /* in file order */

#endif
