/* resolve.h - names and addresses by way of the daemon, for the hooks of every name interface. */
#ifndef I3_SHIM_HOOKS_RESOLVE_H
#define I3_SHIM_HOOKS_RESOLVE_H

#include "include/ipc.h"

enum resolve_result { RESOLVE_OK, RESOLVE_UNKNOWN, RESOLVE_LATER };

/* The addresses of a name in its plain form (overlay_name), IPv4 and IPv6. */
int resolve_name(const char *plain, struct addr *a, struct addr *a6);

/* 0: `name` is it. IPC_NOT_VIRTUAL: libc may look. Anything else: nobody may, and there is no name. */
int reverse_name(const struct addr *a, char name[IPC_NAME_MAX + 1]);

#endif
