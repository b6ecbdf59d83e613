/* addresses.h - where this machine is: the addresses of its interfaces, and word when they change. */
#ifndef I3_ADDRESSES_H
#define I3_ADDRESSES_H

#include "include/addr.h"

/* Calls fn for every address (port 0) of an interface that is up, but loopback and link-local ones. 0 or -errno. */
int addresses_each(void (*fn)(void *ctx, const struct addr *a), void *ctx);

/* The address (port 0) from which packets to `to` would leave. 0 or -errno: ENETUNREACH where there is no way. Sends nothing. */
int addresses_source(const struct addr *to, struct addr *out);

/* A socket which becomes readable when addresses, links or routes change, or -errno. */
int addresses_watch(void);
/* Takes the news from it. */
void addresses_drain(int fd);

#endif
