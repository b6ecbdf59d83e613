/* resolve.h - names and addresses by way of the daemon, for the hooks of every name interface. */
#ifndef I3_SHIM_HOOKS_RESOLVE_H
#define I3_SHIM_HOOKS_RESOLVE_H

#include <netdb.h>

#include "include/ipc.h"

/* SYSTEM: a rule has just left it to the system; the next overlay_name() says so. For who cannot turn back it is as UNKNOWN. FAILED
 * (EAI_FAIL): it has no address that could be trusted. EMPTY (EAI_NODATA): there is such a name behind a gateway, and it has no address. */
enum resolve_result { RESOLVE_OK, RESOLVE_UNKNOWN, RESOLVE_LATER, RESOLVE_SYSTEM, RESOLVE_FAILED, RESOLVE_EMPTY };

/* The addresses of a name in its plain form (overlay_name), IPv4 and IPv6. */
int resolve_name(const char *plain, struct addr *a, struct addr *a6);

/* 0: `name` is it. IPC_NOT_VIRTUAL: libc may look. Anything else: nobody may, and there is no name. */
int reverse_name(const struct addr *a, char name[IPC_NAME_MAX + 1]);

/* hostent.c, as libc's _r functions answer: 0 with *result, or with NULL and *herr which says why (HOST_NOT_FOUND, NO_DATA); ERANGE
 * (NETDB_INTERNAL) and EAGAIN (TRY_AGAIN) else. Names in their plain form. */
int host_by_name(const char *plain, int family, struct hostent *h, char *buf, size_t len, struct hostent **result, int *herr);
enum { HOST_NOT_OURS = -1 }; /* libc may look */
int host_by_address(const void *ip, socklen_t iplen, int family, struct hostent *h, char *buf, size_t len, struct hostent **result,
    int *herr);
/* Likewise; *herr is 0 when there are addresses. */
int host_resolve(const char *plain, struct addr *a, struct addr *a6, int *herr);

#endif
