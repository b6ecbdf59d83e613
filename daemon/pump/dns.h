/* pump/dns.h - what the pump's files for port 53 share. Towards a program the daemon stands for the DNS server that it has chosen
 * (include/ipc.h, daemon/dns/stub.h):
 *
 *   pump/dns.c       UDP: a mirror for each server, and for each program's socket that asks it a socket of ours connected to that
 *                    server, so that answers, their truncation, refusals and silence are the server's
 *   pump/dns_tcp.c   TCP: message by message, between the program's pair and a connection to the server
 *
 * Bounds: SERVERS_MAX mirrors, ASKERS_MAX sockets (fewer where few files may be open), STREAMS_MAX streams; when there is no room the
 * least recently used goes. A socket goes ASKER_IDLE_US after the last datagram, a mirror after SERVER_IDLE_US if no program's
 * socket is connected to it.
 */
#ifndef I3_PUMP_DNS_H
#define I3_PUMP_DNS_H

#include "daemon/dns/stub.h"
#include "daemon/pump/impl.h"

enum { DNS_HELD_MAX = 32, DNS_SERVERS_MAX = 256, DNS_ASKERS_MAX = 1024, DNS_STREAMS_MAX = 256 };
#define DNS_ASKER_IDLE_US (60 * USEC_PER_SEC)
#define DNS_SERVER_IDLE_US (7200 * USEC_PER_SEC)

struct dns_server;
struct dns_asker;
struct dns_stream;

/* A question that waits for a look-up (pump/lookup.h). */
struct dns_held {
    struct addr server, from;
    size_t len;
    uint8_t msg[512];
};

struct dns_side {
    struct stub_names names;
    struct dns_server *servers, *servers_real; /* by address, and by where their mirrors are bound */
    struct dns_asker *askers;
    TAILQ_HEAD(, dns_server) old_servers; /* the least recently used first */
    TAILQ_HEAD(, dns_asker) old_askers;
    TAILQ_HEAD(, dns_stream) streams; /* likewise */
    unsigned n_servers, n_askers, n_streams, askers_max;
    bool pending; /* the answer that was just made is none yet */
    struct dns_held held[DNS_HELD_MAX];
    unsigned n_held;
    uint8_t opened[65536 / 8]; /* ports of sockets that programs have told us of */
    uint8_t answer[DNS_REPLY_MAX], datagram[65536];
};

/* The reply to a message: its length; 0: it is the server's. */
size_t dns_answer(struct pump *p, const uint8_t *msg, size_t len, uint8_t out[DNS_REPLY_MAX]);
/* Of a socket of ours on its way to a server: from `from` if that says which of the host's addresses a program has chosen. The fd,
 * connected or connecting, or -errno; its own address goes to *local. */
int dns_dial(int type, const struct addr *server, const struct addr *from, struct addr *local);

/* pump/dns_tcp.c */
void dns_streams_stop(struct pump *p);

#endif
