/* engine.h - inside the engine: the connection, and who does what. Only files of this room (and its tests) include it.
 *
 *   input.c     packet -> connection, the state machine of RFC 9293 3.10.7
 *   acks.c      what an ACK says: scoreboard, round trip, window, undo
 *   recovery.c  loss: entering and leaving recovery, PRR (RFC 6937), time-outs, tail loss probe
 *   receive.c   payload: spans, reassembly, windows, when to acknowledge
 *   choose.c    which law of congestion control (cc.h)     cubic.c, bbr.c   the laws
 *   output.c    what may be sent now, pacing, and building it
 *   timers.c    deadlines          events.c   what the owner is told
 *   ecn.c       explicit congestion notification
 *   conn.c      a connection's life and death          memory.c   how large buffers may be
 *   table.c     connections by four-tuple, slots, TIME_WAIT, paths
 *   api.c       the owner's calls  engine.c   packets in and out, statistics
 *
 * Sequence numbers are 64-bit positions whose low half is what the wire carries, so that comparing is plain comparing
 * and nothing wraps: SND.UNA is snd_una, and so on. seq_near() widens what comes in. A stream begins at 2^32 + ISN.
 *
 *   send:     snd_una .. snd_nxt     in flight (scoreboard)       FIN, once queued, has position snd_end
 *             snd_nxt .. snd_end     buffered, not sent
 *   receive:  rd .. buf_end          in the ring, unread
 *             buf_end .. in_end      spans in the caller's packets (until tcpip_settle())
 *             in_end                 RCV.NXT, or RCV.NXT - 1 once the FIN was taken
 *             .. edge                right edge of the window the peer was offered; `ooo` says what is there
 */
#ifndef I3_TCPIP_ENGINE_H
#define I3_TCPIP_ENGINE_H

#include <errno.h>

#include "daemon/tcpip/cc.h"
#include "daemon/tcpip/hash.h"
#include "daemon/tcpip/heap.h"
#include "daemon/tcpip/list.h"
#include "daemon/tcpip/ranges.h"
#include "daemon/tcpip/ring.h"
#include "daemon/tcpip/rto.h"
#include "daemon/tcpip/scoreboard.h"
#include "daemon/tcpip/segment.h"
#include "daemon/tcpip/tcpip.h"

enum {
    SPANS_MAX = 512,      /* spans of one connection per batch; beyond it payload is copied at once */
    HALF_OPEN_MAX = 2048, /* unanswered or unfinished incoming connections; beyond it SYNs are ignored */
    /* What one host may have of that, and of conns_max, so that it leaves some to others: as much as is left, but always so many. */
    HALF_OPEN_LEAST = 16,
    PEER_CONNS_LEAST = 64,
    RAW_MAX = 512,        /* replies that belong to no connection, waiting; beyond it they are lost */
    ECHO_MAX = 64,        /* ECHO_REPLY events waiting; beyond it they are lost */
    PATHS_MAX = 16384,    /* paths with a setting of their own; beyond it tcpip_set_path() is ignored */
    SYN_LINEAR = 4,       /* the first so many time-outs of a handshake do not back off: one in three is lost on bad paths */
    SYN_RETRIES = 10,     /* 131 s with the initial RTO of 1 s */
    SYN_ACK_RETRIES = 9,  /* 67 s */
    LOSSY_RETRIES = 2,    /* more of each where the initial RTO is shorter */
    DATA_RETRIES = 15,
    ORPHAN_RETRIES = 8,
    KEEPALIVE_PROBES = 9,
    ECT_LOST_MAX = 3,
    ECN_SYN_TRIES = 2, /* a SYN that is not answered so often goes without ECN: something may drop it for that */
    QUICK_ACKS = 16, /* full segments at the start that are acknowledged without delay */
};

#define PENDING_US 30000000ull        /* an INCOMING waits so long for its answer */
#define FIN_WAIT_US 60000000ull       /* an orphan waits so long for the peer's FIN */
#define KEEPALIVE_STEP_US 75000000ull /* between probes */
#define DELACK_US 25000ull
#define IDLE_US 500000ull       /* empty buffers are given back after this */
#define CHALLENGE_US 20000ull   /* at most one challenge ACK in so long (RFC 5961 7) */
#define PAWS_US 2073600000000ull /* 24 days: then the stored timestamp is void (RFC 7323 5.5) */
#define LOSSY_US 300000000ull    /* a remote's next connections begin with BBR for so long after one needed it */
#define PATH_FLOOR_US 30000000ull
#define DRAIN_US 250u     /* a busy receiver comes round to its socket at least so often */
#define LATE_US 1000u      /* pacing bears with wake-ups that come so late */
#define PACED_RTT_US 1000u /* from this round trip on every law is paced */
#define PACED_BURST 65536u /* what a law that is paced only for the receiver's sake may send at once after a pause */
#define RECV_FIRST (256u * 1024)
#define SEND_FIRST (64u * 1024)
/* No path is taken to need more than 4 bytes for each nanosecond of its round trip; so a near one stays in the cache. */
#define BUFFER_NEAR (2u << 20)
#define FASTEST_PER_US 4000u

enum tcp_state {
    ST_CLOSED, /* dead: waits only for its last events to be taken */
    ST_LISTEN, /* a SYN came; the owner has not answered INCOMING yet */
    ST_SYN_SENT,
    ST_SYN_RCVD,
    ST_ESTABLISHED,
    ST_FIN_WAIT_1,
    ST_FIN_WAIT_2,
    ST_CLOSE_WAIT,
    ST_CLOSING,
    ST_LAST_ACK,
    ST_TIME_WAIT, /* only while the owner has not read everything; then struct time_wait takes over */
    TCP_STATES
};

enum timer { TIMER_REXMIT, TIMER_PACE, TIMER_REORDER, TIMER_DELACK, TIMER_LIFE, TIMER_IDLE, TIMERS };
enum rexmit { REXMIT_RTO, REXMIT_PROBE, REXMIT_PERSIST };
enum phase { PHASE_OPEN, PHASE_RECOVERY, PHASE_LOSS };

struct tuple {
    uint32_t local, remote; /* handles: in IPv4 the addresses themselves */
    uint16_t local_port, remote_port;
    uint32_t v6; /* a word, so that nothing is between the fields */
};

struct spans {
    struct spans *next; /* in the pool */
    uint32_t first, n;
    struct iovec v[SPANS_MAX];
};

/* A remote host: what the connections to it share. */
struct path {
    struct path *chain;
    uint32_t remote;
    struct path *via;    /* this one stands for that: tcpip_set_via(); path_get() gives that one */
    uint32_t flight_max; /* 0: no limit */
    uint16_t mtu;        /* 0: the engine's */
    uint32_t users;
    uint64_t flight;     /* bytes in flight, all connections */
    uint32_t low, low_before; /* least RTT of these 30 s, and of those before; UINT32_MAX: none */
    uint64_t low_at;
    struct company company; /* lives as long as the path does: with a setting, or in use */
    uint8_t ect_lost;       /* connections in a row whose first flight vanished, ECT; at ECT_LOST_MAX none is offered */
    uint64_t burst, burst_at; /* what may still be sent at once, and when that was reckoned; only far paths */
    uint32_t n_conns, half_open; /* of these, and incoming ones that are not answered or finished */
    uint64_t held;       /* bytes of their rings */
    struct link conns;   /* conn.on_path */
    struct link blocked; /* conn.on_blocked: want to send, and the path is full */
};

/* Not yet a connection's end, but no connection any more (RFC 9293 3.6.1): 80 bytes instead of a thousand. */
struct time_wait {
    struct time_wait *chain;
    struct link order; /* by expiry */
    struct tuple who;
    uint64_t expiry, since;
    uint32_t snd_nxt, rcv_nxt, ts_recent, ts_offset;
    uint32_t window;
    bool stamps;
    struct tw_block *block; /* in which it lies */
};

struct conn {
    /* demux and the output path first: these lines are touched for every segment */
    struct tuple who;
    uint64_t hash;
    struct conn *chain;
    uint8_t state; /* enum tcp_state */
    uint8_t phase; /* enum phase */
    bool stamps, sack_ok, scaled;
    /* RFC 3168 (ecn.c): agreed on; a mark to be told of until the peer says CWR; CWR to be said with new data; our ECT packets do
     * not get through; one did; agreed on in the SYN just looked at */
    bool ecn, ece_owed, cwr_due, ect_off, ect_proven;
    bool fin_queued, fin_sent, fin_rcvd, fin_known, eof_seen;
    bool orphan;      /* the owner is gone */
    bool reset_later; /* orphan with unread data: RST once everything has gone out */
    bool done;        /* both FINs are through, ours is acknowledged */
    bool half_open;   /* counts in tcpip.half_open and path.half_open */
    uint64_t counted; /* of the rings, in path.held */
    bool syn_due, ack_due, probe_due;
    bool force_small; /* persist: send what the window takes, be it silly */
    bool force_one;   /* tail loss probe: one segment, whatever cwnd says */
    bool limited;    /* cwnd stopped the last output */
    bool want_write; /* the owner met a full buffer */
    bool announced;  /* INCOMING was taken by the owner */
    uint8_t snd_scale, rcv_scale;

    uint64_t snd_una, snd_nxt, snd_end, snd_push;
    uint64_t snd_wnd, snd_wnd_max, wl1, wl2;
    struct ring tx;
    struct scoreboard board;
    struct rack rack;
    struct cc cc;
    struct choice choice;
    uint64_t lost;      /* bytes held lost, ever (recovery_detect) */
    uint64_t pace_at;   /* the next burst of a paced connection may leave */
    uint64_t pace_left; /* of the present one */
    struct rto rto;
    uint32_t mss;      /* payload of a full segment, options taken off */
    uint16_t peer_mss; /* as offered */
    uint16_t ip_id;
    uint64_t ip_sum, tcp_sum; /* of the template; the pseudo-header counts with TCP's */
    uint8_t head[IP6_HEAD + TCP_HEAD + TCP_STAMPS]; /* in IPv6 the addresses are kept here alone, from the beginning */
    uint8_t head_len;

    uint64_t rd, buf_end, in_end, edge, fin_at;
    uint64_t promised; /* the farthest that `edge` ever was: where it had to be taken back, the peer may still speak from there */
    struct ring rx;
    struct spans *spans;
    struct ranges ooo;
    struct range dsack; /* end 0: none */
    uint64_t last_ack;  /* RCV.NXT as last acknowledged */
    uint32_t ts_recent, ts_offset;
    uint64_t ts_recent_at;
    uint32_t recv_limit; /* bytes of window plus unread data */
    uint32_t acks_owed;  /* duplicates, for a peer without SACK */
    uint8_t quick;       /* acknowledgements still to be given at once */
    bool squeezed;       /* there is no memory for what the window has promised: it is taken back */

    /* recovery */
    uint64_t ecn_point; /* marks count again when this is acknowledged: once per round trip */
    uint64_t recovery_point, prr_delivered, prr_out, prr_flight;
    uint64_t probe_end; /* SND.NXT when a tail loss probe went out; 0: none */
    bool probe_was_copy;
    uint8_t probes; /* of a paced connection, without an answer */
    bool undo_armed;     /* something was sent again since the phase began, at undo_stamp */
    bool undo_barred;
    bool start_again, started_again; /* slow start goes on after this recovery; it has done so once */
    uint32_t undo_stamp, dupacks;
    uint64_t dup_bytes;  /* what duplicate ACKs of a peer without SACK stand for */
    uint64_t round_end; /* an RTT sample counts once per round */
    uint64_t shown;     /* bytes counted in path->flight */
    uint8_t retries, persist_backoff, keepalive_sent;
    uint8_t rexmit; /* enum rexmit: what TIMER_REXMIT is for */

    /* tuning of the receive buffer */
    uint64_t drs_at, drs_bytes;
    uint32_t drs_rtt;

    uint64_t timer[TIMERS]; /* UINT64_MAX: off */
    uint64_t heap_when;
    struct heap_node heap;

    struct tcp_ref ref;
    uint64_t user;
    uint32_t events; /* bits of enum tcpip_event_kind */
    int err;
    uint16_t soft_err; /* an ICMP error since the last acknowledgement: why it gives up if it does */
    struct link on_events, on_active, on_batch, on_path, on_blocked;
    struct path *path;
    uint64_t iss, irs;
    uint64_t last_in, last_out, challenge_at;
    uint64_t bytes_in, bytes_out, retransmits;
};

struct slot {
    struct conn *conn; /* NULL: free */
    uint32_t generation;
    uint32_t next_free;
};

/* A whole small packet on its way out: RST, TIME_WAIT's ACK, ICMP. */
struct raw {
    uint32_t src, dst;
    uint16_t head_len;
    uint8_t head[TCPIP_HEAD_MAX];
    uint8_t *body; /* heap, or NULL */
    uint32_t body_len;
};

struct tcpip {
    struct tcpip_config cfg;
    uint64_t now; /* latest time seen */
    struct hash_key key, isn_key;
    uint64_t random; /* state of a small generator for ports and ids */

    struct conn **buckets;
    uint32_t mask, conns;
    struct slot *slots;
    uint32_t n_slots, free_slot, generation;
    struct conn *last; /* of the packet before */
    struct time_wait **tw_buckets;
    uint32_t tw_mask, n_tw;
    struct link tw_room; /* blocks in which there is room */
    struct link tw_order;
    struct path **paths;
    uint32_t path_mask, n_paths;
    uint32_t half_open;

    struct heap heap;
    struct link active, batch, events;
    struct spans *span_pool;
    uint32_t span_free;
    struct raw *raw;
    uint32_t raw_first, raw_n;
    uint8_t *raw_body[RAW_MAX]; /* of the packets last given out */
    uint32_t raw_bodies;
    struct tcpip_event echo[ECHO_MAX];
    uint32_t echo_first, echo_n;

    struct tcpip_stats stats;
    struct tcpip_calm calm;
    uint64_t memory;

    bool isn_fixed; /* tests put streams close to the wrap */
    uint32_t isn;
};

static inline uint64_t max64(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static inline uint64_t min64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The position nearest to `ref` whose low half is `wire`. */
static inline uint64_t seq_near(uint64_t ref, uint32_t wire)
{
    return ref + (uint64_t)(int64_t)(int32_t)(wire - (uint32_t)ref);
}

static inline uint64_t conn_rcv_nxt(const struct conn *c)
{
    return c->in_end + c->fin_rcvd;
}

/* One past the last position that is or will be sent. */
static inline uint64_t conn_snd_lim(const struct conn *c)
{
    return c->snd_end + c->fin_queued;
}

static inline uint32_t conn_stamp(const struct conn *c, uint64_t now)
{
    return (uint32_t)(now / 1000) + c->ts_offset;
}

static inline uint32_t conn_ip_head(const struct conn *c)
{
    return c->who.v6 ? IP6_HEAD : IP_HEAD;
}

/* For struct segment. */
static inline const uint8_t *conn_ip6(const struct conn *c)
{
    return c->who.v6 ? c->head : NULL;
}

static inline bool conn_synced(const struct conn *c)
{
    return c->state >= ST_ESTABLISHED;
}

/* Why a connection ends whose peer is silent. */
static inline int conn_timeout_error(const struct conn *c)
{
    return c->soft_err ? c->soft_err : ETIMEDOUT;
}

static inline uint64_t conn_now(struct tcpip *t, mono_t now)
{
    if (now.us > t->now)
        t->now = now.us;
    return t->now;
}

/* table.c */
struct conn *table_find(struct tcpip *t, const struct tuple *who);
struct conn *table_get(const struct tcpip *t, struct tcp_ref ref); /* NULL: stale */
struct conn *table_new(struct tcpip *t, const struct tuple *who);  /* NULL: bound or memory */
void table_unhash(struct tcpip *t, struct conn *c);
void table_forget_ref(struct tcpip *t, struct conn *c); /* the owner's reference dies, the connection need not */
void table_free(struct tcpip *t, struct conn *c);
void table_release(struct tcpip *t);
struct time_wait *tw_find(struct tcpip *t, const struct tuple *who);
struct time_wait *tw_add(struct tcpip *t, const struct conn *c); /* NULL: out of memory */
void tw_restart(struct tcpip *t, struct time_wait *w);
void tw_free(struct tcpip *t, struct time_wait *w);
void tw_expire(struct tcpip *t);
struct path *path_get(struct tcpip *t, uint32_t remote, bool make);
bool path_set_via(struct tcpip *t, uint32_t remote, uint32_t via); /* false: out of memory */
void path_put(struct tcpip *t, struct path *p);
void table_trim(struct tcpip *t); /* no connection is left: the arrays go, too */
void path_wake(struct tcpip *t, struct path *p);
void path_rtt(struct path *p, uint64_t now, uint32_t rtt);
uint64_t path_flight_max(const struct path *p); /* bytes; UINT64_MAX: no limit */
void path_refill(const struct tcpip *t, struct path *p);
void path_later(struct tcpip *t, struct path *p);
uint64_t engine_random(struct tcpip *t);
uint32_t engine_isn(struct tcpip *t, const struct tuple *who);

/* conn.c: life and death */
const char *conn_state_name(const struct conn *c);
uint64_t conn_path_needs(const struct conn *c); /* bytes of buffer, at most */
uint64_t conn_send_limit(const struct tcpip *t, const struct conn *c);
void conn_set_state(struct conn *c, enum tcp_state state);
void conn_options(struct tcpip *t, struct conn *c, const struct segment *syn); /* what was agreed on */
void conn_set_mss(struct tcpip *t, struct conn *c);
void conn_start(struct tcpip *t, struct conn *c, uint32_t isn);
/* The law, and in `path` who runs which; keep: from the window that is there. */
void conn_law(struct tcpip *t, struct conn *c, const struct cc_law *law, bool keep);
void conn_set_hosts6(struct tcpip *t, struct conn *c, const uint8_t *own, const uint8_t *peer);
void conn_establish(struct tcpip *t, struct conn *c);
void conn_activate(struct tcpip *t, struct conn *c);
void conn_show_flight(struct tcpip *t, struct conn *c);
/* Each of these may free c: the caller returns at once. */
void conn_fail(struct tcpip *t, struct conn *c, int err);
void conn_reset(struct tcpip *t, struct conn *c, int err); /* RST, then conn_fail */
void conn_finish(struct tcpip *t, struct conn *c); /* ends it if everything is done and read */

/* events.c */
void event_raise(struct tcpip *t, struct conn *c, enum tcpip_event_kind kind);
void event_drop(struct conn *c);
void event_echo(struct tcpip *t, const struct ip_header *ip, uint16_t ident, uint16_t sequence);

/* timers.c */
void timer_set(struct tcpip *t, struct conn *c, enum timer which, uint64_t when);
static inline void timer_clear(struct conn *c, enum timer which)
{
    c->timer[which] = UINT64_MAX;
}
void timer_life(struct tcpip *t, struct conn *c);
void timer_fire(struct tcpip *t, struct conn *c);

/* input.c */
void input_tcp(struct tcpip *t, const uint8_t *packet, const struct ip_header *ip);
void input_challenge(struct tcpip *t, struct conn *c);

/* acks.c: false when the segment must not be looked at further; c may be gone then. */
void acks_handshake(struct tcpip *t, struct conn *c, const struct segment *s); /* the first round trip */
bool acks_input(struct tcpip *t, struct conn *c, const struct segment *s, uint64_t seq);

/* recovery.c */
void recovery_enter(struct tcpip *t, struct conn *c);
void recovery_ack(struct tcpip *t, struct conn *c, const struct segment *s, const struct delivery *d, uint32_t rtt,
    bool dsack);
void recovery_detect(struct tcpip *t, struct conn *c);

void recovery_timeout(struct tcpip *t, struct conn *c);
/* The path has turned out to take smaller segments only. */
void recovery_narrowed(struct tcpip *t, struct conn *c); /* may free c */
void recovery_probe(struct tcpip *t, struct conn *c);
void recovery_arm(struct tcpip *t, struct conn *c);
void recovery_arm_persist(struct tcpip *t, struct conn *c);

/* receive.c */
bool receive_data(struct tcpip *t, struct conn *c, const struct segment *s, uint64_t seq); /* false: c is gone */
void receive_settle(struct tcpip *t, struct conn *c);
/* An ACK is sent in so long at the latest; earlier by whatever else is sent. */
void receive_ack_within(struct tcpip *t, struct conn *c, uint64_t us);
void receive_consume(struct tcpip *t, struct conn *c, uint64_t n);
uint16_t receive_window(const struct tcpip *t, struct conn *c); /* for the wire; moves the edge */
void receive_fit(struct tcpip *t, struct conn *c); /* gives back what is not needed, when memory is short */
void receive_release(struct tcpip *t, struct conn *c);

/* ecn.c */
bool ecn_offered(const struct tcpip *t, const struct conn *c); /* in the SYN or SYN-ACK that goes out now */
void ecn_agree(const struct tcpip *t, struct conn *c, const struct segment *syn);
void ecn_arrival(struct tcpip *t, struct conn *c, const struct segment *s); /* what the IP header and CWR say */
void ecn_ack(struct tcpip *t, struct conn *c, const struct segment *s, const struct delivery *d);

/* memory.c */
bool memory_admits(struct tcpip *t);         /* one more connection; counts those that are not */
uint64_t memory_share(const struct tcpip *t, const struct path *p); /* the largest that a ring may be made now, bytes */
void memory_count(struct conn *c); /* a ring of its has another size */
void memory_fit(struct tcpip *t, struct conn *c, struct ring *r, uint64_t from, uint64_t to);

/* output.c */
size_t output_conn(struct tcpip *t, struct conn *c, struct tcpip_packet *v, size_t max, bool *more);
void output_raw(struct tcpip *t, uint32_t src, uint32_t dst, const uint8_t *head, size_t head_len, uint8_t *body,
    size_t body_len);
void output_reset_for(struct tcpip *t, const struct segment *s); /* RST to a segment nobody waits for */
void output_reset(struct tcpip *t, struct conn *c);
void output_sack(struct tcpip *t, struct conn *c);
/* The connection's last ACK, again. ip6: a header from us to the peer, NULL for IPv4. */
void output_time_wait(struct tcpip *t, const struct time_wait *w, const uint8_t *ip6);
void output_unreachable(struct tcpip *t, struct conn *c, int err); /* an ICMP error about its SYN */
void output_head(struct conn *c); /* makes the template */

/* icmp_tcp.c: false when it is no ICMP error about TCP. */
bool icmp_error_input(struct tcpip *t, const uint8_t *packet, const struct ip_header *ip);

/* icmp.c */
void icmp_input(struct tcpip *t, const uint8_t *packet, const struct ip_header *ip);
void icmp6_input(struct tcpip *t, const uint8_t *packet, const struct ip_header *ip);

#endif
