/* listener.h - which local servers the overlay may reach: sockets that a program under i3run has put into listen().
 *
 * The program says so (LISTEN in ipc.h), naming the socket by its SO_COOKIE; before a connection is handed to it the pump asks
 * the kernel whether that very socket still listens, so that another program which takes the port later is not exposed.
 *
 * `bound` is where the kernel has the socket, `asked` where its program, and so the overlay, believes it to be; they differ for
 * ports below 1024 and the user's own virtual address (ipc.h), of which the kernel knows nothing: whether such an address is free
 * is decided here, as the kernel would. Bound: LISTENERS_MAX.
 */
#ifndef I3_LISTENER_H
#define I3_LISTENER_H

#include "include/addr.h"

enum { LISTENERS_MAX = 4096 };

struct listener {
    uint8_t proto;
    uint8_t flags; /* enum ipc_listen_flag */
    struct addr bound, asked;
    uint64_t cookie;
};

struct listeners;

struct listeners *listeners_new(void);
void listeners_free(struct listeners *ls);

/* 0 (also in place of one with the same cookie), -ENOSPC. */
int listener_add(struct listeners *ls, const struct listener *l);
const struct listener *listener_by_cookie(const struct listeners *ls, uint64_t cookie);
/* The kernel would not have l beside the old one: the same port, addresses that overlap, and not shared by SO_REUSEPORT, nor by
 * SO_REUSEADDR while the old one does not listen. */
bool listener_conflicts(const struct listener *old, const struct listener *l);
/* Which one a connection to own is for, an address with port of that family: one bound to that very address before one bound to
 * all, and that before any other; equals take turns. Those that do not listen yet have none. NULL: nobody. */
const struct listener *listener_best(struct listeners *ls, const struct addr *own);
/* The next one after index *at (start with 0) that was asked for with that port, NULL at the end; port 0: every one. */
const struct listener *listener_next(const struct listeners *ls, unsigned *at, uint16_t port);
void listener_remove(struct listeners *ls, uint64_t cookie);

/* As text, a line each ("tcp 127.0.0.51 34567 COOKIE 0.0.0.0 80 FLAGS"), so that a daemon which is started anew knows them: malloc'd, *len without
 * the NUL; NULL when out of memory. Parsing skips what it does not understand. */
char *listeners_format(const struct listeners *ls, size_t *len);
void listeners_parse(struct listeners *ls, const char *text);

#endif
