/* tcpip.h - the user-space TCP/IP engine: one virtual host per daemon (IPv4 and IPv6, TCP, ICMP echo).
 *
 *      programs (pump)                            peers (pump)
 *   bytes |        ^ bytes                  packets |        ^ packets
 *         v        |                                v        |
 *   +-----------------------------------------------------------------+
 *   |  tcp_send_*  tcp_recv_*      conn table      tcpip_input/output |
 *   |  send buffer  receive buffer  scoreboard, congestion control    |
 *   +-----------------------------------------------------------------+
 *          tcpip_event()        tcpip_deadline()/tcpip_expire()
 *
 * Pure: no system call, no clock, no randomness but the seed. Built for batches:
 *  - input: the caller feeds a batch of decrypted IP packets in place; in-order payload is not copied
 *    but remembered as spans, which tcp_recv_spans() hands out (older buffered bytes first) so that
 *    one writev() takes them straight to the program. tcpip_settle() then copies what was not
 *    consumed, and the caller may reuse its packet buffers.
 *  - output: tcpip_output() gives up to `max` packets of one connection as header bytes and spans
 *    of the send buffer, so that the AEAD can read straight from there into the GSO buffer.
 * No allocation per segment. Buffers are taken when data needs them and given back when empty, so
 * that an idle connection costs little.
 *
 * Memory has a cap. A buffer may grow to half of what is free, times the part that is free: so one alone gets all it needs, many
 * that fill up share what there is, and one that comes later still gets as much as each of them; 4 KB each way are every connection's, whatever the others hold, and the
 * last eighth is kept for that. The windows offered follow, and a window that cannot be kept any more is taken back. When not
 * even that least is left, tcp_connect() gives -ENOBUFS, and SYNs are ignored: the peer asks again, as of a listener whose
 * queue is full. The connections of one host have at most half of it all in their buffers, and their SYNs are ignored while they are more
 * than half of what there is in the last ninth of conns_max, or in as many half-open ones as are left for others.
 *
 * RFCs: 791, 792, 1122, 9293 (TCP), 7323 (window scale, timestamps, PAWS), 2018/6675 (SACK),
 * 6298 (RTO), 5681, 3168 (ECN), 9438 (CUBIC), 6928 (IW10), 5961 (challenge ACK), 6528 (ISN), 1191.
 * RFC 8200, 4443, 6437 (IPv6).
 * Addresses are host-order uint32_t, ports host-order uint16_t.
 *
 * IPv6: a host keeps its uint32_t, its IPv4 address, as the handle by which paths, runs of packets and calls name it; a
 * connection is of either family, and those of both between the same two hosts are different ones, ports or no ports. The
 * engine has no table of IPv6 addresses: it takes them from tcp_connect6() and from what comes in.
 */
#ifndef I3_TCPIP_H
#define I3_TCPIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "daemon/base/mono.h"

struct tcpip;

/* A connection, for whatever outlives the call; stale references are recognised and harmless. */
struct tcp_ref {
    uint32_t slot, generation;
};

struct tcpip_config {
    uint16_t mtu;          /* inner MTU, default 1400 */
    uint32_t send_max;     /* bytes of send buffer a connection may grow to */
    uint32_t recv_max;     /* likewise receive buffer, and the largest window offered */
    uint64_t memory_max;   /* bytes for all connections and their buffers, default 256 MB, at least 1 MB */
    uint32_t conns_max;    /* beyond it, SYNs are ignored and tcp_connect gives -ENOBUFS */
    uint16_t port_lo, port_hi; /* ephemeral ports for tcp_connect, inclusive */
    uint64_t time_wait_us; /* default 60 s */
    uint64_t ride_us;      /* the ACK of a SYN-ACK or a FIN waits so long to ride on what the program says to it, default 300 */
    bool ecn;              /* offer and take explicit congestion notification; default true */
    uint64_t keepalive_us; /* idle time before the first probe, default 7200 s; 0: none */
    uint64_t patience_us;  /* data may go unanswered for so long at least before a connection is given up; default 0: until the
                              last of its time-outs */
    uint8_t seed[32];      /* ISNs, ports, IP ids */
};

void tcpip_config_default(struct tcpip_config *c);

/* NULL when out of memory. */
struct tcpip *tcpip_new(const struct tcpip_config *config);
void tcpip_free(struct tcpip *t);

/* ---- packets ---- */

/* One IPv4 packet as a peer sent it. The bytes must stay valid and unchanged until tcpip_settle().
 * Malformed packets and wrong checksums are dropped and counted. */
void tcpip_input(struct tcpip *t, mono_t now, const uint8_t *packet, size_t len);

/* One IPv6 packet. The caller has compared its addresses with those of the two hosts, whose handles are src and dst. */
void tcpip_input6(struct tcpip *t, mono_t now, const uint8_t *packet, size_t len, uint32_t src, uint32_t dst);

/* TCP segments of known connections since it was last asked: how many, and the shortest RTT among their connections (0: one has
 * none yet). Says how long the next packets may be left to gather unnoticed. */
struct tcpip_calm {
    uint32_t segments, rtt_us;
};
struct tcpip_calm tcpip_calm(struct tcpip *t);

/* Ends a batch of inputs: payload not yet consumed is copied into receive buffers. */
void tcpip_settle(struct tcpip *t, mono_t now);

enum { TCPIP_HEAD_MAX = 40 + 60 };

/* A packet on its way out: head, then body[0], body[1] (spans of the send buffer; len 0 when unused).
 * Valid until the next call into the engine. */
struct tcpip_packet {
    uint8_t head[TCPIP_HEAD_MAX];
    uint16_t head_len;
    uint16_t len; /* of the whole packet */
    struct iovec body[2];
};

/* Up to `max` packets, all with the same source and destination host, which go to *src and *dst. Returns how
 * many; 0 when nothing may be sent now. Call until it returns 0. Full-sized segments come in runs, so
 * that they fit into GSO trains. */
size_t tcpip_output(struct tcpip *t, mono_t now, struct tcpip_packet *v, size_t max, uint32_t *src, uint32_t *dst);

/* When tcpip_expire() next wants to be called; MONO_NEVER for not at all. */
mono_t tcpip_deadline(const struct tcpip *t);
void tcpip_expire(struct tcpip *t, mono_t now);

/* ---- events ---- */

enum tcpip_event_kind {
    TCPIP_INCOMING,   /* a SYN for (local, remote): answer with tcp_accept() or tcp_refuse() */
    TCPIP_CONNECTED,  /* our tcp_connect() has succeeded, or what we accepted is established */
    TCPIP_READABLE,   /* tcp_recv_spans() has something, or the peer's FIN is next */
    TCPIP_WRITABLE,   /* send space again, after tcp_send_space() had given none */
    TCPIP_FAILED,     /* the connection is gone; `err` is the errno a socket would show */
    TCPIP_CLOSED,     /* both directions ended in good order; the reference is dead */
    TCPIP_ECHO_REPLY, /* an answer to tcpip_ping(): remote, ident, sequence */
};

struct tcpip_event {
    enum tcpip_event_kind kind;
    struct tcp_ref ref;
    uint64_t user; /* as set by tcp_set_user() */
    int err;       /* ECONNREFUSED, ECONNRESET, ETIMEDOUT, EHOSTUNREACH… */
    bool v6;
    uint32_t local, remote;
    uint16_t local_port, remote_port;
    uint16_t ident, sequence; /* ECHO_REPLY */
};

/* The next event, or false. READABLE and WRITABLE are level-like: at most one of each is queued per
 * connection, and it is queued anew only after it was taken and the condition came up again. */
bool tcpip_event(struct tcpip *t, struct tcpip_event *out);

/* ---- connections ---- */

/* Starts a connection. local_port 0: an ephemeral one. 0 and *ref, or -EADDRINUSE, -EADDRNOTAVAIL, -ENOBUFS. */
int tcp_connect(struct tcpip *t, mono_t now, uint32_t local, uint16_t local_port, uint32_t remote,
    uint16_t remote_port, struct tcp_ref *ref);

/* The same over IPv6; remote and local remain the hosts' handles. */
int tcp_connect6(struct tcpip *t, mono_t now, uint32_t local, const uint8_t local6[16], uint16_t local_port,
    uint32_t remote, const uint8_t remote6[16], uint16_t remote_port, struct tcp_ref *ref);

/* Answers an INCOMING: SYN-ACK, or RST (refuse). The engine holds at most a bounded number of
 * unanswered SYNs and forgets one after 30 s. */
void tcp_accept(struct tcpip *t, mono_t now, struct tcp_ref ref);
void tcp_refuse(struct tcpip *t, mono_t now, struct tcp_ref ref);

/* The same, with an ICMP error in place of the RST: EHOSTUNREACH, ENETUNREACH, EACCES ("administratively prohibited": an IPv4 program sees EHOSTUNREACH);
 * anything else is as tcp_refuse(). */
void tcp_refuse_with(struct tcpip *t, mono_t now, struct tcp_ref ref, int err);

void tcp_set_user(struct tcpip *t, struct tcp_ref ref, uint64_t user);

/* The connection's addresses; false for a dead reference. */
bool tcp_names(const struct tcpip *t, struct tcp_ref ref, uint32_t *local, uint16_t *local_port, uint32_t *remote,
    uint16_t *remote_port);

/* Free room in the send buffer as up to 2 spans; returns their number, 0 when it is full (a WRITABLE will follow)
 * or the connection cannot send. Room is made as far as congestion and memory allow. Allowed before CONNECTED.
 * Valid until the next call into the engine. */
int tcp_send_space(struct tcpip *t, struct tcp_ref ref, struct iovec v[2]);
/* n bytes were put there. push: nothing more is at hand now, do not wait for a full segment (no Nagle). */
void tcp_send_commit(struct tcpip *t, mono_t now, struct tcp_ref ref, size_t n, bool push);
/* No more data will come: FIN after what is buffered. */
void tcp_send_eof(struct tcpip *t, mono_t now, struct tcp_ref ref);

/* In-order bytes not yet consumed as up to max spans; returns their number. *eof: the peer's FIN comes after them.
 * Valid until the next tcp_recv_consume() or tcpip_settle(). A connection whose peer has closed ends (CLOSED) only
 * when everything was consumed and *eof was shown once. After FAILED was raised what had arrived can still be read,
 * until the event is taken. */
int tcp_recv_spans(struct tcpip *t, struct tcp_ref ref, struct iovec *v, int max, bool *eof);
void tcp_recv_consume(struct tcpip *t, mono_t now, struct tcp_ref ref, size_t n);

/* The program is gone in good order: what is buffered still goes out, incoming data is refused with RST
 * (RFC 1122 4.2.2.13). No event follows; the reference is dead. */
void tcp_close(struct tcpip *t, mono_t now, struct tcp_ref ref);
/* Gone in bad order: RST now. No event follows; the reference is dead. */
void tcp_abort(struct tcpip *t, mono_t now, struct tcp_ref ref);

/* There is such a connection, in whatever state, or what is left of one. */
bool tcpip_has(struct tcpip *t, bool v6, uint32_t local, uint16_t local_port, uint32_t remote, uint16_t remote_port);

/* There is a connection with that host, open or on its way to be, with any address of ours. */
bool tcpip_has_remote(struct tcpip *t, uint32_t remote);

/* Incoming connections of `remote` whose program is gone already, while what it has left behind is still on its way: those which
 * `barred` says so of, by our end, are reset. Returns how many. */
unsigned tcpip_reset_orphans(struct tcpip *t, mono_t now, uint32_t remote, bool (*barred)(void *ctx, uint32_t local, uint16_t port), void *ctx);
/* Every connection to `remote` fails with err (peer unreachable). Only those not yet established when `all` is false. */
void tcpip_fail_remote(struct tcpip *t, mono_t now, uint32_t remote, int err, bool all);

/* The connections of either family with these ends which are being opened by us fail with err. */
void tcpip_fail_opening(struct tcpip *t, mono_t now, uint32_t local, uint16_t local_port, uint32_t remote, uint16_t remote_port, int err);

/* Another host is at `remote` now: connections which stand fail with err, those that are being opened ask it at once. */
void tcpip_replace_remote(struct tcpip *t, mono_t now, uint32_t remote, int err);

/* `remote` may have forgotten everything: connections which stand are asked for a sign of life, at which one that it does not know ends;
 * those that are being opened ask at once. */
void tcpip_ask_remote(struct tcpip *t, mono_t now, uint32_t remote);

/* `remote` is an address behind the host `via`, which ends its connections (a gateway): they share the way there, what tcpip_set_path() says
 * of it and its company. The calls above and below, made for `via`, are about all of these; for `remote`, about its own. via 0: no more.
 * -EBUSY: it has connections; -ENOMEM. */
int tcpip_set_via(struct tcpip *t, uint32_t remote, uint32_t via);

/* `remote` is there again: what has timed out, as it was away, need not wait for the next time-out. */
void tcpip_revive(struct tcpip *t, mono_t now, uint32_t remote);

/* What the peer's socket holds, as it told (payload bytes; one segment may always fly). 0: unlimited. On a near path that bounds
 * what the connections to it have in flight together, since all of it may lie in that socket. Where the round trip is longer than
 * the quarter of a millisecond in which a busy peer comes round to its socket, it bounds what leaves in such a time, and in
 * flight there may be as many times more. mtu 0: the engine's; never above it. */
void tcpip_set_path(struct tcpip *t, uint32_t remote, uint32_t flight_max, uint16_t mtu);

/* Sends an ICMP echo request; the answer is an ECHO_REPLY event. Echo requests of others are answered inside. */
int tcpip_ping(struct tcpip *t, mono_t now, uint32_t local, uint32_t remote, uint16_t ident, uint16_t sequence);

/* The same over IPv6 (ICMPv6). */
int tcpip_ping6(struct tcpip *t, mono_t now, uint32_t local, const uint8_t local6[16], uint32_t remote,
    const uint8_t remote6[16], uint16_t ident, uint16_t sequence);

/* ---- looking in ---- */

struct tcpip_stats {
    uint64_t in_unknown; /* an upper layer which there is none for here */
    uint64_t in_packets, in_bad, in_no_conn, out_packets, out_bytes, in_bytes;
    uint64_t retransmits, fast_retransmits, timeouts, resets_out, resets_in, dup_acks_out;
    uint64_t ecn_marked, ecn_cuts; /* segments that came marked; times that we slowed down for marks of ours */
    uint32_t conns, half_open, time_wait;
    uint64_t memory, memory_max; /* bytes held for connections and buffers, and the cap */
    uint64_t refused_half_open, refused_peer; /* SYNs: too many wait for an answer; too many are of that host */
    uint64_t refused_memory;     /* connections refused for want of memory, both ways */
    uint64_t dropped_memory;     /* segments that came, and for which there was no room after all */
};

void tcpip_stats(const struct tcpip *t, struct tcpip_stats *out);

struct tcp_info_row {
    struct tcp_ref ref;
    bool v6;
    uint32_t local, remote;
    uint16_t local_port, remote_port;
    const char *state; /* RFC 9293's names */
    const char *law;   /* of congestion control, now: "cubic" or "bbr" */
    uint32_t srtt_us, rto_us, cwnd, ssthresh, flight, mss, send_queued, recv_queued, peer_window;
    uint64_t bytes_in, bytes_out, retransmits;
};

/* The connection after *cursor (start with 0), false at the end. */
bool tcpip_next(const struct tcpip *t, uint32_t *cursor, struct tcp_info_row *row);

#endif
