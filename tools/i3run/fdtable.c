/* fdtable.c - shim/fdtable.h for the supervisor: it knows sockets of many processes, and its own numbers of them are of the moment,
 * so that the cookie alone is the key. One thread uses it.
 *
 * Bounds: 4 entries for each of TABLE remainders; a fifth takes the place of the oldest. What falls out is asked for again. */
#include "shim/fdtable.h"

#include "include/bytes.h"

enum { TABLE = 2048, WAYS = 4 };

static struct fd_entry table[TABLE][WAYS];
static uint8_t next[TABLE];

bool fdtable_used(int fd)
{
    return fd >= 0;
}

bool fdtable_may_be(int fd, enum fd_kind kind)
{
    (void)kind;
    return fd >= 0;
}

bool fdtable_get(int fd, uint64_t cookie, struct fd_entry *out)
{
    (void)fd;
    for (int i = 0; cookie && i < WAYS; i++) {
        const struct fd_entry *e = &table[cookie % TABLE][i];
        if (e->cookie != cookie || e->kind == FD_NONE)
            continue;
        *out = *e;
        return true;
    }
    return false;
}

void fdtable_put(int fd, const struct fd_entry *e)
{
    unsigned at = e->cookie % TABLE;
    (void)fd;
    for (int i = 0; i < WAYS; i++)
        if (table[at][i].cookie == e->cookie) {
            table[at][i] = *e;
            return;
        }
    if (e->cookie)
        table[at][next[at]++ % WAYS] = *e;
}
