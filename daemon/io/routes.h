/* routes.h - which networks this machine reaches for real, so that no virtual address hides one. */
#ifndef I3_ROUTES_H
#define I3_ROUTES_H

#include <stdint.h>

/* Calls fn for every IPv4 route of the kernel but the default ones; host order. 0 or -errno. */
int routes_each(void (*fn)(void *ctx, uint32_t network, unsigned bits), void *ctx);

#endif
