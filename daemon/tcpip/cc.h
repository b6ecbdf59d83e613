/* cc.h - congestion control behind one small interface, with two laws, and the rule that chooses between them.
 *
 * CUBIC (cubic.c) takes each loss for a full queue. It owns cwnd and ssthresh while the connection is not in recovery;
 * during fast recovery output is governed by PRR (RFC 6937) in recovery.c, which asks it only for the new ssthresh.
 *
 * BBR (bbr.c) makes a model of the path: the highest rate of delivery of late, and the least round trip. It paces at that rate
 * and keeps about two products of them in flight, in recovery as well; a loss is only something to send again.
 *
 * The rule (choose.c). Congestion loses packets when a queue is full, that is, when the round trip is at its longest. So
 * each loss event under CUBIC is either
 *   explained:   the round trip at that time stood above its floor (the least of the last 30 to 60 s) by more than an eighth,
 *                and in the upper quarter of the range it had of late; or
 *   unexplained: there was no such queue, nor an explained event of any connection to the remote within the last 4 round trips.
 * An unexplained one counts +1, +2 if the round trip stood within a sixteenth (and half a millisecond) of its floor, an explained
 * one -1 (not below 0). At 4, and if since the first of them at least one byte in 4096 was lost, the connection goes over to BBR.
 * The first time that an unexplained one happens in slow start, the window is cut as ever, but slow start goes on after it: else the next
 * evidence would be long in coming.
 * It goes back to CUBIC when losses cease (less than one byte in 8192 over 24 MB or more), or when it is crowded: a queue
 * stood for 16 rounds, BBR all but emptied its share of it for 200 ms, and it still stands. Then it belongs to others,
 * who fill it until it overflows, and only a law that does the same gets its share. Likewise when what is lost is lost
 * to the queue: of what it carried while none stood, less than a quarter was lost of what was while one did.
 * What was chosen holds for the remote, too: its other connections follow to BBR at their next loss, and go back to CUBIC all
 * together; for some minutes after that BBR is what new ones begin with, and a count of 2 is enough. Those under BBR empty
 * their shares of a queue at the same time, so that none takes another's for a stranger's.
 *
 * Marks (ECN) are answered with 0.85 by CUBIC (RFC 8511: the queues that mark are short) and with an eighth of the rate by BBR, which
 * ends its probing, too, so that both keep to what the router wants.
 *
 * All sizes are bytes, all times µs.
 */
#ifndef I3_TCPIP_CC_H
#define I3_TCPIP_CC_H

#include <stdbool.h>
#include <stdint.h>

struct cc;

/* What one ACK told. */
struct cc_ack {
    uint64_t now;
    uint64_t delivered; /* bytes newly known to have arrived */
    uint64_t snd_una, snd_nxt;
    uint32_t rtt; /* 0: no sample */
    uint32_t srtt, min_rtt;
    bool limited; /* the window, not the program, held the sender back */
    /* for the paced laws only */
    uint64_t rate;  /* of delivery, bytes per second; 0: no sample */
    uint64_t total; /* bytes delivered, ever */
    uint64_t prior; /* `total` when what this ACK is for was sent */
    uint64_t lost;  /* bytes held lost, ever */
    uint64_t pipe;
    uint32_t rttvar;
    uint32_t floor;    /* the least RTT of the last 30 to 60 s */
    uint64_t probed_at; /* the latest cc.probe_at among the connections to the remote */
    bool rate_limited; /* the sample tells of the program rather than of the path */
};

struct cc_law {
    const char *name;
    bool paced; /* sets `pacing`, and keeps to its own window in recovery, without PRR */
    void (*init)(struct cc *c, uint64_t now);
    void (*ack)(struct cc *c, const struct cc_ack *a);
    /* A loss event begins: sets ssthresh and remembers what an undo needs. */
    void (*loss)(struct cc *c, uint64_t now);
    /* A router marked instead of dropping: at once, nothing is lost. Once per round trip at most. */
    void (*mark)(struct cc *c, uint64_t now);
    /* That event was none. */
    void (*undo)(struct cc *c);
};

struct cubic {
    double w_max, w_est, k, origin; /* segments, seconds */
    uint64_t epoch;                 /* 0: not begun */
    uint64_t last;                  /* the ACK before */
};

/* HyStart++ (RFC 9406): leaves slow start when the round trip grows. */
struct hystart {
    uint64_t round_end;
    uint32_t last_min, now_min, samples, css_base;
    uint8_t css_rounds; /* 0: plain slow start; else in conservative slow start since so many rounds, plus 1 */
};

struct bbr {
    uint64_t bw[2];      /* the highest rate of delivery in the last cycle, and in this one */
    uint64_t full_bw;    /* STARTUP: the rate that has to be beaten by a quarter */
    uint64_t next_round; /* a round ends when what was sent after this much had been delivered is acknowledged */
    uint64_t round_lost, round_total; /* cc_ack.lost and .total at its beginning */
    uint64_t clear_lost, clear_all, queue_lost, queue_all; /* while no queue stood, and while one did */
    uint64_t phase_at;   /* the phase of the cycle, or PROBE_RTT, began */
    uint64_t min_rtt_at, probed_at;
    uint64_t probe_round;
    uint32_t min_rtt, probe_min, round_min, slack;
    uint16_t loss; /* fraction of late, in 1/1024 */
    uint8_t mode, phase, full_rounds;
    uint8_t queue_rounds; /* for so many in turn a queue has been standing */
    uint8_t settled; /* rounds in PROBE_BW, while few */
    bool full, round_limited;
};

struct cc {
    const struct cc_law *law;
    uint64_t cwnd, ssthresh;
    uint64_t pacing; /* bytes per second; 0: not paced */
    uint64_t probe_at; /* BBR began to empty its share of the queue */
    uint32_t near;   /* the round trip by which cc_quantum() goes, µs */
    uint32_t mss;
    bool crowded; /* BBR's finding: the queue that stands is not its own, or what is lost is lost to it */
    union {
        struct {
            uint64_t undo_cwnd, undo_ssthresh;
            struct cubic cubic, undo_cubic;
            struct hystart hystart;
        };
        struct bbr bbr;
    };
};

extern const struct cc_law cc_cubic, cc_bbr;

/* What choose.c remembers of a connection. */
struct choice {
    uint32_t rtt, high;       /* smoothed; its highest, which loses an eighth of its height with each loss event */
    uint32_t low, low_before; /* least RTT of these 30 s, and of those before */
    uint64_t low_at;
    uint64_t lost, total; /* cc_ack's when the count began */
    uint64_t since; /* ... at */
    uint8_t score;
    bool unexplained; /* the last loss event was */
    bool fixed; /* the law is not to be changed (tests, measurements) */
};

void choice_init(struct choice *h);
void choice_rtt(struct choice *h, uint64_t now, uint32_t rtt);
static inline uint32_t choice_floor(const struct choice *h)
{
    return h->low < h->low_before ? h->low : h->low_before;
}
/* What the connections to one remote know together. */
struct company {
    uint64_t lossy_until; /* connections begin with BBR */
    uint32_t lossy_rto;   /* with which a handshake begins until then */
    uint32_t paced;       /* how many are under BBR */
    uint64_t full_at;     /* the latest explained event */
    uint64_t probed_at;   /* when one of them last emptied its share of the queue */
};
/* The law for a connection under `law` which has delivered `total` and lost `lost` bytes so far: after a loss event, and
 * at any ACK. NULL: the same. */
const struct cc_law *choice_loss(struct choice *h, const struct cc_law *law, struct company *others, uint64_t now, uint64_t total,
    uint64_t lost);
const struct cc_law *choice_ack(struct choice *h, const struct cc *c, uint64_t now, uint64_t total, uint64_t lost);

/* How many bytes may leave at one instant: a millisecond's, or a quarter of a round trip's if that is less; at least 2 segments,
 * at most 64 KB. */
static inline uint64_t cc_quantum(const struct cc *c)
{
    uint64_t us = c->near < 4000 ? c->near / 4 : 1000;
    uint64_t q = c->pacing * us / 1000000, least = 2ull * c->mss;
    return q < least ? least : q > 65536 ? 65536 : q;
}

enum { CC_INITIAL_SEGMENTS = 10 };

void cc_init(struct cc *c, const struct cc_law *law, uint32_t mss, uint64_t now);
/* Another law goes on from the window that is there. */
void cc_change(struct cc *c, const struct cc_law *law, uint64_t now);
/* Nothing was sent for `idle` µs: the window is no longer known to be safe (RFC 5681 4.1, 7661). */
void cc_idle(struct cc *c, uint64_t idle, uint32_t rto);
bool cc_slow_start(const struct cc *c);
/* For a law that does not pace by itself: spreads what is in flight over the round trip. 0: not at all. */
void cc_pace(struct cc *c, uint64_t flight, uint32_t srtt, uint32_t min_rtt);

#endif
