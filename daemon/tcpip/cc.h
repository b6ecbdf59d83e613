/* cc.h - congestion control behind one small interface, so that another law (BBR) can be put in beside CUBIC.
 *
 * The law owns cwnd and ssthresh while the connection is not in recovery. During fast recovery output is governed by
 * PRR (RFC 6937) in recovery.c, which asks the law only for the new ssthresh. All sizes are bytes.
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
};

struct cc_law {
    const char *name;
    void (*init)(struct cc *c, uint64_t now);
    void (*ack)(struct cc *c, const struct cc_ack *a);
    /* A loss event begins: sets ssthresh and remembers what an undo needs. */
    void (*loss)(struct cc *c, uint64_t now);
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

struct cc {
    const struct cc_law *law;
    uint64_t cwnd, ssthresh;
    uint64_t pacing; /* bytes per second; 0: not paced */
    uint32_t mss;
    uint64_t undo_cwnd, undo_ssthresh;
    struct cubic cubic, undo_cubic;
    struct hystart hystart;
};

extern const struct cc_law cc_cubic;

enum { CC_INITIAL_SEGMENTS = 10 };

void cc_init(struct cc *c, const struct cc_law *law, uint32_t mss, uint64_t now);
/* Nothing was sent for `idle` µs: the window is no longer known to be safe (RFC 5681 4.1, 7661). */
void cc_idle(struct cc *c, uint64_t idle, uint32_t rto);
bool cc_slow_start(const struct cc *c);

#endif
