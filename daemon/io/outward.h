/* outward.h - sockets of a gateway to real hosts (pump/gate_server.c). */
#ifndef I3_OUTWARD_H
#define I3_OUTWARD_H

#include "include/addr.h"

/* A TCP connection, not blocking, connected or connecting, which sends what it is given at once. The fd, or -errno. */
int outward_tcp(const struct addr *to);

/* A UDP socket of that family (4 or 6), not connected; errors about what it has sent are kept for outward_error(). The fd, or -errno. */
int outward_udp(uint8_t family);

/* The next error: the errno, with whom it is about in *to; 0: there is none. */
int outward_error(int fd, struct addr *to);

#endif
