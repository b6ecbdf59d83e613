/* accept.h - sockets that strangers reach: TCP that listens, taken from in batches, and UDP that answers by the address at which it was asked.
 *
 * A flood of SYNs is the kernel's business: its queue is as long as it lets us ask for, and beyond it SYN cookies hold (sysctl
 * net.ipv4.tcp_syncookies, on by default). What has been accepted is the caller's, who says how many a turn.
 */
#ifndef I3_ACCEPT_H
#define I3_ACCEPT_H

#include <stddef.h>
#include <sys/types.h>

#include "include/addr.h"

enum { ACCEPT_BACKLOG = 4096, ANSWER_CONTROL = 64 };

struct accepted {
    int fd; /* does not block; no delays for small segments */
    struct addr source, local;
};

/* Listens at `at` (port 0: any), an IPv6 one for IPv6 alone; *local: where. The fd or -errno. */
int accept_open(const struct addr *at, struct addr *local);
/* At most max connections: how many. *more: there may be more at hand. *spare: an fd that is given up for a moment when there are no
 * others, so that who connects is turned away and not left to wait; -1: there is none. *turned: how many were. */
unsigned accept_batch(int fd, struct accepted *v, unsigned max, bool *more, int *spare, uint64_t *turned);
/* The other side shall see a reset. */
void accept_reset(int fd);

/* Where a datagram came from, and at which address of ours. */
struct answer_way {
    struct addr source;
    struct sockaddr_storage name;
    socklen_t len;
    size_t control_len;
    _Alignas(8) char control[ANSWER_CONTROL];
};

/* The same for UDP. */
int answer_open(const struct addr *at, struct addr *local);
/* The datagram's length; -EAGAIN: there is none; -errno. */
ssize_t answer_recv(int fd, void *buf, size_t cap, struct answer_way *way);
/* 0 or -errno. */
int answer_send(int fd, const struct answer_way *way, const void *buf, size_t len);

#endif
