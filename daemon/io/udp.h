/* udp.h - a UDP socket in batches: recvmmsg with GRO in, sendmmsg with GSO out.
 *
 * One call of udp_take() or udp_recv() is one batch of trains (up to 64 KB each): UDP_BATCH of them, and up to UDP_BATCH_MAX while they
 * are short, so that a batch stays within the CPU's second-level cache, and a system call is worth its while. The packets it hands
 * out lie in the socket's own buffers and stay valid until the next udp_recv().
 * Datagrams are never fragmented on the way: what is too large is lost, and EMSGSIZE where it is the machine's own interface
 * that is too narrow. Who sends large ones must find out what gets through (i3/pmtu.h).
 */
#ifndef I3_UDP_H
#define I3_UDP_H

#include "daemon/base/inbox.h"
#include "daemon/base/outbox.h"

enum { UDP_BATCH = 8, UDP_BATCH_MAX = 64 };

struct udp;

struct udp_stats {
    uint64_t packets_in, bytes_in, packets_out, bytes_out, calls_in, calls_out, send_lost;
};

typedef void udp_packet_fn(void *ctx, const struct addr *from, uint8_t *p, size_t len);

/* Binds to `bind` (port 0: any). Asks for buffers of `buffer` bytes; the kernel may give less. 0 or -errno. */
int udp_open(struct udp **out, const struct addr *bind, uint32_t buffer);
/* Another socket at the place of `first` (SO_REUSEPORT): the kernel deals flows out among them, each always to the same one. No other
 * process takes part, as the first one was bound alone. */
int udp_open_beside(struct udp **out, struct udp *first, uint32_t buffer);
void udp_close(struct udp *u);

int udp_fd(const struct udp *u);
/* Where it is bound. */
const struct addr *udp_local(const struct udp *u);
/* Bytes that the receive buffer holds. */
uint32_t udp_buffer(const struct udp *u);
const struct udp_stats *udp_stats(const struct udp *u);

/* The ECN bits of the outer IP header (RFC 3168) of the datagram which udp_packet_fn is being called with. */
uint8_t udp_ecn(const struct udp *u);

/* One batch of at most UDP_BATCH_MAX trains: how many. *more: there may be more at hand; false: there is none, and poll or an edge-triggered
 * epoll will tell of the next. */
unsigned udp_take(struct udp *u, struct train_in *t, bool *more);

/* The same: calls fn for every datagram, trains taken apart; true: there may be more at hand. */
bool udp_recv(struct udp *u, udp_packet_fn *fn, void *ctx);

typedef void udp_failed_fn(void *ctx, const struct addr *to, size_t len, int err);

/* Sends everything in the outbox and clears it. What the socket does not take is lost and counted, and told to fn (NULL: nobody)
 * with the length of a datagram and a positive errno. */
void udp_send(struct udp *u, struct outbox *o, udp_failed_fn *fn, void *ctx);

#endif
