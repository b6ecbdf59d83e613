/* tcp_net.h - two engines and the network between them, in virtual time.
 *
 *    host 0 [engine, programs] ==> link 0 ==> host 1      A link has a rate, a queue, a delay, and faults;
 *                              <== link 1 <==             all of them from one seed.
 *
 * A flow is one connection: each side writes `total` bytes of a pattern, then closes its half, and checks each byte
 * it reads against the pattern of the other side. Flows are IPv4's unless mix6 is set: then those with an odd key are IPv6's.
 */
#ifndef I3_TESTS_TCP_NET_H
#define I3_TESTS_TCP_NET_H

#include "daemon/tcpip/tcpip.h"

enum { NET_ADDR_0 = 0x0a000001, NET_ADDR_1 = 0x0a000002, NET_PORT = 80 };

/* Probabilities in parts per million. */
struct net_link {
    uint64_t delay, jitter; /* µs */
    uint64_t rate;          /* bytes per second of whole packets; 0: unlimited */
    uint64_t queue;         /* bytes */
    uint32_t loss, reorder, duplicate, corrupt;
    uint32_t burst, burst_len; /* chance that a burst of losses begins; its mean length in µs */
    uint32_t mark;             /* ECT packets that are marked; above `mark_at` bytes of queue all are */
    uint64_t mark_at;          /* 0: no such border */
    bool drops_ect;
    uint32_t mtu;              /* larger packets vanish; 0: none is too large */
    uint64_t reorder_by;       /* extra delay of a reordered packet */
    uint32_t overhead;         /* bytes of headers around a packet, which take their time as well */
    /* The socket at its end: it holds so many bytes and is emptied every `service` µs; what does not fit is lost. 0: no bound. */
    uint64_t socket, service;
    /* state */
    uint64_t free_at; /* ns */
    uint64_t burst_until, down_until;
    uint64_t service_at, in_socket;
    uint64_t packets, lost, overflowed, spilt, marked;
};

struct net_flow;

struct net_side {
    struct net_flow *flow;
    struct tcp_ref ref;
    bool open, connected, eof_sent, eof_got, closed, failed, paused;
    bool asleep; /* does not read until net_wake() */
    int err;
    uint64_t total, written, got;
    uint64_t pace;      /* µs between reads; 0: at once */
    uint64_t resume_at; /* when paused */
    uint64_t last_got;  /* time of the last byte */
    uint32_t chunk;     /* largest write */
};

struct net_flow {
    struct net_side side[2];
    uint64_t key; /* of the pattern */
    bool v6;
    uint64_t start;
};

struct net {
    struct tcpip *t[2];
    struct net_link link[2];
    struct net_flow *flow;
    uint32_t flows, accepted;
    uint64_t now, rng;
    struct net_packet *heap; /* by time of arrival */
    uint32_t n, cap;
    uint64_t serial;
    uint64_t worst_stall; /* longest time without a byte of progress while a flow was unfinished */
    uint64_t last_progress;
    bool refuse, mix6;
    bool bulk; /* the bytes are nobody's concern: nothing is written to the buffers, nothing compared */
    const char *error; /* the first thing that went wrong */
    uint8_t *batch[256];
};

uint64_t net_random(struct net *n);
uint32_t net_below(struct net *n, uint32_t bound);

/* config: NULL for defaults; the seeds are set from `seed`. */
void net_init(struct net *n, uint64_t seed, const struct tcpip_config *config, uint32_t flows);
void net_free(struct net *n);

/* Starts flow i from host 0 to host 1. */
void net_connect(struct net *n, uint32_t i, uint64_t up, uint64_t down);

/* The side of flow i reads from now on. */
void net_wake(struct net *n, uint32_t i, int side);

/* Runs until `until`, or until every flow is over. True when all are over. */
bool net_run(struct net *n, uint64_t until);
/* One step to the next event, at most to `until`; false when nothing is left to happen before. */
bool net_step(struct net *n, uint64_t until);

/* Every flow has delivered everything both ways and closed in good order. Else n->error says what not. */
bool net_all_well(struct net *n);

#endif
