/* names.h - virtual addresses for those that the kernel gives: for the hooks, and for i3run's engine. */
#ifndef I3_SHIM_NAMES_H
#define I3_SHIM_NAMES_H

#include "include/addr.h"

/* The peer of `fd`, as the kernel has it: in place; false, and it stays, when it is none of the overlay's. */
bool names_peer(int fd, struct addr *peer);
/* The same of the socket's own name. */
bool names_local(int fd, struct addr *local);

#endif
