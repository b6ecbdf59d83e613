/* pump/gateway.h - gateways where they take effect (daemon/gateway/to_ip.h has the picture):
 *
 *   gate_client.c    the user's end: names that rules send to a gateway, their addresses, words with the gateway
 *   gate_server.c    the gateway's: users' names, the DNS, TCP
 *   gate_udp.c       its NAT for datagrams
 *   gate_control.c   i3ctl gateway
 *
 * pump/flow.c moves the bytes of connections, as it does for servers of this machine.
 */
#ifndef I3_PUMP_GATEWAY_H
#define I3_PUMP_GATEWAY_H

#include "daemon/gateway/to_ip.h"
#include "daemon/gateway/vias.h"
#include "daemon/pump/impl.h"

enum { GATE_WAITERS = 4096, GATE_LOGS_A_SECOND = 20, GATE_PROBES = 32 };
#define GATE_PROBE_HOLDS (60 * USEC_PER_SEC)

/* What a gateway has said when it was asked whether it would have us (pump/gate_control.c). */
struct gate_probe {
    uint8_t key[KEY_LEN];
    bool answers, allowed;
    mono_t at;
};

/* A program that waits for a name. */
struct gate_waiter {
    struct ipc_client *client; /* NULL: free */
    uint32_t serial, host;     /* of the via */
    mono_t until;
};

/* One TCP connection of a user's, at the gateway. */
struct gate_conn {
    struct pump *p;
    struct gate_name *name;
    struct tcp_ref ref;
    struct flow *flow; /* NULL: held, or being dialled for the first time */
    bool v6, held, open;
    uint32_t host, ip;
    uint16_t port, client_port;
    struct addr to[TO_IP_ADDRS];
    unsigned n, at;
    int err; /* of the first that was tried */
    mono_t started, due, used; /* due: of dialling */
    uint64_t up, down;
    TAILQ_ENTRY(gate_conn) all;
};

struct gate_udps;

struct gateway {
    /* the user's end */
    struct vias *vias;
    struct gate_waiter *waiters;
    unsigned waiting;
    bool ended; /* answers have come: those who wait are to be told */
    bool unsaved;
    mono_t saved_at, lives_at;
    struct gate_probe probes[GATE_PROBES];
    unsigned next_probe;

    /* the gateway's */
    struct to_ip *to;
    struct resolver *resolver; /* NULL: no section gateway */
    struct addr server;
    TAILQ_HEAD(, gate_conn) conns;
    unsigned dialling;
    mono_t sweep_at;
    struct gate_udps *udps;
    uint64_t refused; /* packets and words of those who are no users */
    mono_t log_second;
    unsigned logs; /* of refusals, in this second */
};

int gateway_start(struct pump *p, char *why, size_t whylen);
void gateway_stop(struct pump *p);
mono_t gateway_deadline(const struct pump *p);
void gateway_turn(struct pump *p);
/* The configuration, the book or who may use the gateway has changed: what is allowed no more ends. */
void gateway_recheck(struct pump *p);

/* A word of kind 9. */
void gateway_word(struct side *s, struct peer *peer, const uint8_t *msg, size_t len);
/* A side of ours goes. */
void gateway_forget_side(struct pump *p, const struct side *s);
void gate_server_forget_side(struct pump *p, const struct side *s);
void gate_client_gone(struct pump *p, const struct ipc_client *c);

/* ---- the user's end ---- */

/* What RESOLVE answers for a name that a rule sends to the gateway e, asked by programs of that side. IPC_PENDING: see gate_wait(). */
void gate_resolve(struct pump *p, struct side *s, const struct book_entry *e, const char *full, bool strip_suffix, const char *suffix,
    struct ipc_resolved *out);
/* The program is answered when the gateway has, or in a moment. False: nothing is under way, or too many wait. */
bool gate_wait(struct pump *p, struct side *s, const struct book_entry *e, const char *full, struct ipc_client *c, uint32_t serial);
/* Before a program's packets go there: 0, or the errno which it shall see. */
int gate_connect(struct pump *p, struct via *v);
/* The name behind a virtual address, NULL: it is no gateway's. */
struct via *gate_via(const struct pump *p, uint32_t host);
/* The gateway's own virtual address, where that host is behind one; else the host's. */
uint32_t gate_host(const struct pump *p, uint32_t host);
/* By whom packets from `own` to `remote` are to be sent: to a gateway, or from what it has connected a user with. */
bool gate_route(const struct pump *p, uint32_t own, uint32_t remote, struct side **s, struct peer **peer);
void gate_client_turn(struct pump *p);
mono_t gate_client_deadline(const struct pump *p);
void gate_save(struct pump *p);
int gate_load(struct pump *p, char *why, size_t whylen);
/* Words ANSWER, UNKNOWN, REFUSED. */
void gate_client_word(struct side *s, struct peer *peer, const uint8_t *msg, size_t len);
void gate_client_event(struct pump *p, const struct side *s, const struct peer_event *e);
/* A packet from behind a gateway. True: it was one, and is taken care of. */
bool gate_client_packet(struct pump *p, const struct side *s, struct peer *peer, const uint8_t *packet, size_t len);

/* An answer to a question of pump/gate_control.c. */
void gate_probe_answer(struct pump *p, const uint8_t key[KEY_LEN], enum gate_status status);

/* ---- the gateway's end ---- */

/* May that key use the gateway of this host? */
bool gateway_allows(const struct pump *p, const uint8_t key[KEY_LEN]);
const struct config_gateway *gateway_config(const struct pump *p);
/* The virtual network, which users do not reach through us. */
struct network gateway_own_network(const struct pump *p);
int gate_server_start(struct pump *p);
void gate_server_stop(struct pump *p);
void gate_server_recheck(struct pump *p);
void gate_server_turn(struct pump *p);
mono_t gate_server_deadline(const struct pump *p);
void gate_server_word(struct side *s, struct peer *peer, const uint8_t *msg, size_t len);
bool gate_server_packet(struct pump *p, const struct side *s, struct peer *peer, const uint8_t *packet, size_t len);
/* The record of that name is asked for, if it has to be. False: it is there, and holds. */
bool gate_wants_record(struct pump *p, struct gate_name *m);
/* The user's daemon, and ours, say that it was not let through. */
void gate_refused(struct pump *p, struct gate_name *m, uint8_t proto, uint16_t port, uint16_t client_port, enum gate_status why, const char *words);
const char *gate_user_name(const struct pump *p, const struct gate_user *u, char out[KEY_STR_LEN + 1]);

/* pump/flow.c tells of connections. A SYN for an address of a user's: */
void gate_incoming(struct pump *p, const struct tcpip_event *e);
/* This one cannot be had: the fd of the next that is tried, or -errno: there is none. */
int gate_next(struct gate_conn *c, int err);
void gate_opened(struct gate_conn *c);
/* It is over; err as of the connection. The caller frees its own. */
void gate_closed(struct gate_conn *c, int err);
/* The engine is told that there will be none. */
void gate_refuse(struct gate_conn *c, int err);

/* ---- datagrams ---- */

int gate_udp_start(struct pump *p);
void gate_udp_stop(struct pump *p);
void gate_udp_in(struct pump *p, struct gate_name *m, const uint8_t *packet, const struct ip_header *ip);
void gate_udp_recheck(struct pump *p);
/* A name goes: what goes by it ends. */
void gate_udp_end(struct pump *p, const struct gate_name *m);
/* Its record is there. */
void gate_udp_ready(struct pump *p, struct gate_name *m);
void gate_udp_expire(struct pump *p);
mono_t gate_udp_deadline(const struct pump *p);
unsigned gate_udp_ports(const struct pump *p);

#endif
