/* overlay.h - which names and addresses are the overlay's, and must therefore never reach DNS or the real network.
 *
 * A name is ours when it ends in the suffix of an overlay (".i3", ".corp"), whatever the daemon knows of it; where the user has rules about other names as well
 * (IPC_INFO_EVERY_NAME), when the daemon says so. An address is ours when it lies in
 * the virtual network and the daemon does not say otherwise: with the daemon dead, all of the pool fails closed.
 */
#ifndef I3_SHIM_OVERLAY_H
#define I3_SHIM_OVERLAY_H

#include "include/ipc.h"

/* If the name is ours: true, and `out` is its plain form (lower case, no dot at the end; "" when it is too long
 * to exist). So is DNS_CANARY, a name which nobody shall find. */
bool overlay_name(const char *name, char out[IPC_NAME_MAX + 1]);

/* RESOLVE's status says that a name with our suffix is the system's, by a rule that the user has just made: overlay_name() knows it from
 * now on. */
bool overlay_left_alone(int status);

/* In the virtual network, of either family: the daemon has to be asked. */
bool overlay_covers(const struct addr *a);

/* 0: the address belongs to the overlay. IPC_NOT_VIRTUAL: to libc. CLIENT_DEAD: nobody can tell, so to nobody. Cached,
 * since it is asked for each datagram (but not in IPv6: nobody else's network has our 40 bits, so there is no doubt that would
 * have to be remembered). */
int overlay_verdict(const struct addr *a);

/* This program is anonymous, and that address is outside: it is refused, and said so once. */
bool overlay_shuns(const struct addr *a);

/* What another exchange has shown, for the cache. */
void overlay_learn(const struct addr *a, bool virtual);

/* The daemon once said that the address is none of ours; what counts when it cannot be asked any more. */
bool overlay_known_real(const struct addr *a);

/* The user's own virtual address, whatever the port. */
bool overlay_is_own(const struct addr *a);

/* 127.a.b.c other than 127.0.0.0/24: perhaps the mirror image of a virtual peer (SHIM.md, recipe 5). IPv6 has one loopback
 * address, so that anything from there may be one. */
static inline bool overlay_is_mirror(const struct addr *a)
{
    return (a->family == 4 && a->ip[0] == 127 && (a->ip[1] | a->ip[2]) != 0) ||
           (a->family == 6 && memcmp(a->ip, &in6addr_loopback, sizeof(a->ip)) == 0);
}

/* The loopback address of the same family. */
static inline struct addr overlay_loopback(uint8_t family, uint16_t port)
{
    return family == 6 ? addr_v6(in6addr_loopback.s6_addr, port) : addr_v4(INADDR_LOOPBACK, port);
}

/* Into a socket address of the family which the program's socket has (IPv4 becomes mapped); its full length. */
socklen_t overlay_sockaddr(const struct addr *a, int family, struct sockaddr_storage *ss);

/* Copies as the kernel does: cut to *len, *len set to the full length. */
void overlay_copy_out(const struct sockaddr_storage *ss, socklen_t full, void *sa, socklen_t *len);

#endif
