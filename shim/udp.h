/* udp.h - datagrams to and from virtual peers. The program's socket stays what it is, a UDP socket of the kernel; a virtual peer
 * has a mirror on loopback, a socket of the daemon (include/ipc.h), and only addresses are translated:
 *
 *     sendto 10.a.b.c:port   ->  127.a.b.c:q        the mirror; the daemon is asked where it is, once a second
 *     recvfrom 127.a.b.c:q   ->  10.a.b.c:port      asked too, since any local user may send from 127/8
 *
 * In IPv6, which has one loopback address only, mirrors are ports of ::1.
 *
 * So one socket has virtual and real peers at once, and receiving, polling, peeking, time stamps are the kernel's. The answers
 * are kept in two tables of ROUTES and PEERS entries; what falls out is asked for again. An answer is good for a second:
 * so long after its daemon has died a program may still send into the void, and not longer.
 */
#ifndef I3_SHIM_UDP_H
#define I3_SHIM_UDP_H

#include "include/addr.h"

enum { UDP_PASS = 1 };

/* Where fd's datagrams for `to`, which the virtual network covers, have to go: 0 and *via; UDP_PASS, not our affair; -errno. */
int udp_route(int fd, const struct addr *to, struct addr *via);

/* connect() of a UDP socket to a covered address: 0, UDP_PASS or -errno. */
int udp_connect(int fd, int family, const struct addr *to);
/* Before a UDP socket is connected to an address which is not covered: if it is connected to a virtual peer now, it is bound to
 * loopback, and has to be freed of that. */
void udp_leave(int fd);

/* From the address that the kernel gives for fd's peer to the virtual one, in place. False: it is none of the overlay's. */
bool udp_source(int fd, struct addr *a);

/* The user's own virtual address of that family, port 0; none as long as no datagram of it went over the overlay. */
struct addr udp_own(uint8_t family);

#endif
