/* listener.h - which local servers the overlay may reach: sockets that a program under i3run has put into listen().
 *
 * The program says so (LISTEN in ipc.h), naming the socket by its SO_COOKIE; before a connection is handed to it the pump asks
 * the kernel whether that very socket still listens, so that another program which takes the port later is not exposed.
 * Bound: LISTENERS_MAX.
 */
#ifndef I3_LISTENER_H
#define I3_LISTENER_H

#include "include/addr.h"

enum { LISTENERS_MAX = 4096 };

struct listener {
    uint8_t proto;
    struct addr bound;
    uint64_t cookie;
};

struct listeners;

struct listeners *listeners_new(void);
void listeners_free(struct listeners *ls);

/* 0 (also when it is there already), -ENOSPC. */
int listener_add(struct listeners *ls, const struct listener *l);
/* The next one after index *at (start with 0) for that port, NULL at the end; port 0: every one. */
const struct listener *listener_next(const struct listeners *ls, unsigned *at, uint16_t port);
void listener_remove(struct listeners *ls, uint64_t cookie);

/* As text, a line each ("tcp 0.0.0.0 80 COOKIE"), so that a daemon which is started anew knows them: malloc'd, *len without
 * the NUL; NULL when out of memory. Parsing skips what it does not understand. */
char *listeners_format(const struct listeners *ls, size_t *len);
void listeners_parse(struct listeners *ls, const char *text);

#endif
