/* drops.h - peers whom nothing is taken from for a time, or until it is said (`i3ctl drop`, `undrop`). pump/drop.c makes it so.
 *
 * One line each, as kept in DATA/dropped and read by a daemon that is started anew:
 *
 *     KEY asked|misuse UNTIL        UNTIL: seconds since 1970, 0: until `i3ctl undrop`
 *
 * What was asked for is not shortened by what the daemon does by itself. Bound: DROPS_MAX; beyond it, those of the daemon's own go first.
 */
#ifndef I3_DROPS_H
#define I3_DROPS_H

#include <stdbool.h>

#include "include/wire.h"

enum { DROPS_MAX = 256, DROP_SECONDS_MAX = 366 * 86400, DROP_LINE = 96 };

enum drop_why { DROP_ASKED, DROP_MISUSE, DROP_WHYS };

struct drop {
    uint8_t key[KEY_LEN];
    enum drop_why why;
    uint64_t until_s; /* 0: no end */
};

struct drops {
    struct drop v[DROPS_MAX];
    unsigned n;
};

const char *drop_why_name(enum drop_why w);
/* 0; -EALREADY: it is in force as it is; -ENOSPC. */
int drops_add(struct drops *d, const uint8_t key[KEY_LEN], enum drop_why why, uint64_t until_s);
/* False: it was not there. */
bool drops_remove(struct drops *d, const uint8_t key[KEY_LEN]);
const struct drop *drops_find(const struct drops *d, const uint8_t key[KEY_LEN]);
/* When the first one ends, UINT64_MAX: never. */
uint64_t drops_next_s(const struct drops *d);
/* One that is over is taken out; false: none is. */
bool drops_expire(struct drops *d, uint64_t now_s, uint8_t key[KEY_LEN]);

/* As a file's body, malloc'd; NULL: out of memory. */
char *drops_format(const struct drops *d, size_t *len);
/* 0, or -EINVAL with the line which is wrong; nothing is taken then. */
int drops_parse(struct drops *d, const char *text, size_t len, unsigned *line);

/* "90", "90s", "10m", "2h", "7d" in seconds, 1 to DROP_SECONDS_MAX; 0: it is no time. */
uint64_t drop_time(const char *text);

#endif
