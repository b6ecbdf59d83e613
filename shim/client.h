/* client.h - what the library asks the daemon (include/ipc.h), one function per request.
 *
 * Each returns the reply's status: 0, an errno, IPC_NOT_VIRTUAL or IPC_SELF; or CLIENT_DEAD when no daemon answered
 * within a second. All may be called from signal handlers, from any thread and after fork; none allocates or sets errno.
 */
#ifndef I3_SHIM_CLIENT_H
#define I3_SHIM_CLIENT_H

#include "include/ipc.h"

enum { CLIENT_DEAD = -1 };

int client_info(struct ipc_info *info);
/* Both addresses of the name, IPv4 and IPv6. */
int client_resolve(const char *name, struct addr *out, struct addr *out6);
int client_reverse(const struct addr *a, char name[IPC_NAME_MAX + 1]);
/* On 0, *fd is the program's end of the connection, CLOEXEC, and the caller's to close. */
int client_connect(const struct ipc_connect *ask, struct ipc_socket *out, int *fd);
/* The errno with which the connection ended, 0 if it did not. */
int client_sock_error(uint64_t handle);
/* What the daemon's TCP knows of it. */
int client_sock_state(uint64_t handle, struct ipc_sock_state *out);
/* Whether the peer shall see a reset when the program closes the socket. */
int client_sock_reset(uint64_t handle, bool resets);
/* What has been asked for, with its port. */
int client_listen(const struct ipc_listen *ask, struct addr *asked);
int client_bound(const struct ipc_bound *ask, struct addr *asked);
/* Addresses as accept saw them in, virtual ones out. */
int client_verify(const struct ipc_pair *real, struct ipc_pair *virtual);
/* The mirror of ask->remote; `own` is the user's virtual address with the port of ask->bound (also for IPC_SELF). */
int client_udp_open(const struct ipc_udp_open *ask, struct addr *mirror, struct addr *own);
/* Whose mirror is bound to that address: ENOENT for nobody's. */
int client_udp_peer(const struct addr *mirror, struct addr *virtual, struct addr *own);

#endif
