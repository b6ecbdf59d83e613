/* loopback.h - the daemon's side of local servers: is that listener still the one which was registered, and a
 * connection to it from the address that mirrors the caller's virtual one (SHIM.md, recipe 5).
 */
#ifndef I3_LOOPBACK_H
#define I3_LOOPBACK_H

#include "include/addr.h"

struct diag;

/* A netlink socket for listener look-ups. NULL when the system has none; diag_listens() then answers by
 * trying. */
struct diag *diag_open(void);
void diag_close(struct diag *d);

/* A TCP socket listens at `bound` and its SO_COOKIE is `cookie`. Where the kernel cannot be asked: true, the connection
 * itself will tell. */
bool diag_listens(struct diag *d, const struct addr *bound, uint64_t cookie);

struct diag_udp_info {
    uint64_t cookie;
    uint32_t uid;
    uint32_t used, buffer; /* of the receive buffer, as the kernel counts */
};

/* The UDP socket that a datagram from `from` to `at` would reach. 0, -ENOENT: there is none; -EOPNOTSUPP: the kernel cannot be
 * asked. */
int diag_udp(struct diag *d, const struct addr *at, const struct addr *from, struct diag_udp_info *out);

/* The UDP socket with that cookie is bound to that port; walks through all of the host's. Where the kernel cannot be asked: true. */
bool diag_udp_alive(struct diag *d, const struct addr *at, uint64_t cookie);

/* Some UDP socket is connected to that address; walks through all of the host's. Where the kernel cannot be asked: true. */
bool diag_udp_connected(struct diag *d, const struct addr *to);

/* 127.a.b.c:port for the virtual 10.a.b.c:port; ports below 1024 appear 64,512 higher. IPv6 has one loopback address only: ::1,
 * port 0. */
struct addr mirror_address(const struct addr *virt);

/* Where a listener bound there answers on this machine over that family: the loopback address when it is bound to all. */
struct addr loopback_of(const struct addr *bound, uint8_t family);

/* Some TCP socket has that address, whether or not it listens. Not to be asked of one that is not on this machine's. */
bool loopback_taken(const struct addr *bound);

/* Starts a non-blocking connection from `*from` (its port may be changed when it is taken, and is set when it is 0) to where a
 * listener bound to `bound` can be reached over the family of *from, which goes to *to. Returns the fd, connected or
 * connecting, or -errno. */
int loopback_connect(struct addr *from, const struct addr *bound, struct addr *to);

/* A UDP socket bound to *from (port 0: any) and connected to *to, whichever machine that is on, not blocking. The fd, or -errno. */
int loopback_udp(const struct addr *from, const struct addr *to);

#endif
