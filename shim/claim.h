/* claim.h - addresses of which the kernel knows nothing, and what the daemon is told of sockets that can be reached.
 *
 * A program may be bound to a port below 1024 which the kernel refuses, or to its user's own virtual address. Then its socket is
 * on loopback, at a port that the kernel has chosen; the daemon knows which address was asked for, gives it to nobody else, and
 * leads the overlay's peers there:
 *
 *     asked for             bound to
 *     0.0.0.0:80            127.0.0.51:P                      nobody's mirror (overlay.h)
 *     [::]:80               [::]:P, interface lo              since one address has to serve both families
 *     10.9.9.9:5000 (own)   127.0.0.51:P
 *
 * Where it is bound is how such a socket is known again after exec or in the receiver of a passed fd; what was asked for, the
 * daemon knows. --overlay-only adds to them what the local network could reach: sockets of all addresses are bound to the
 * interface lo as well, one of an address of the network is bound to loopback, same port.
 */
#ifndef I3_SHIM_CLAIM_H
#define I3_SHIM_CLAIM_H

#include "include/addr.h"

/* Whether bind() to that address, which libc has refused with errno `err`, is ours to grant. */
bool claim_wanted(int fd, const struct addr *asked, int err);

/* Binds the program's socket, of that family, to loopback instead. 0 or -errno. */
int claim_bind(int fd, int family, const struct addr *asked);

/* From where the kernel has it to what the program asked for; false: it is just there. */
bool claim_name(int fd, const struct addr *real, struct addr *asked);

/* What the program has bound its socket to, as it asked for it; none if nothing. */
struct addr claim_bound_to(int fd);

/* Before a TCP socket is connected to an address which is not the overlay's: one with a claimed port below 1024 becomes a socket that
 * is bound to nothing, as if the program had gone on after the kernel's refusal, which those who want such ports by habit do. */
void claim_leave(int fd, const struct addr *to);

/* --overlay-only: before bind() to `a`. True: to loopback it shall be (claim_bind); else *err, 0 if it may go on. An address of the
 * network has to give way to loopback; all of them, to the interface lo: UDP's at once, while TCP's may still become a client and
 * waits for listen(). */
bool claim_fenced(int fd, const struct addr *a, int *err);

/* --overlay-only: before the socket listens, or (UDP) is bound to all addresses or to a group's, it is closed to the local network.
 * 0 or -errno. */
int claim_fence(int fd);

/* A socket has been bound to `a` natively: one of UDP receives from now on, and the daemon learns of it. Multicast and broadcast are
 * the real network's. */
void claim_after_bind(int fd, const struct addr *a);

/* The daemon learns of a socket that listens, or (UDP) is bound. -EADDRINUSE, and it does not listen any more, when somebody has
 * its address; else 0: a program that the daemon does not know works as ever, for its host and network. */
int claim_tell(int fd);
/* The same for one of which it may know, or which is inherited. */
void claim_tell_once(int fd);

#endif
