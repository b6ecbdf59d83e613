/* connect.h - connect() for the hooks that dial on the program's behalf. */
#ifndef I3_SHIM_HOOKS_CONNECT_H
#define I3_SHIM_HOOKS_CONNECT_H

#include "include/addr.h"

enum { CONNECT_PASS = 1 };

/* Connects the program's socket to a destination in the virtual network, as connect() would. 0, -errno, or CONNECT_PASS:
 * not our affair, let libc have the call. */
int connect_covered(int fd, const struct addr *to, int sa_family);

#endif
