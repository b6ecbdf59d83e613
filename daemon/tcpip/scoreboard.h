/* scoreboard.h - what is in flight, in runs: neighbouring bytes which share a fate (RFC 6675's scoreboard, with the
 * times that RACK of RFC 8985 needs).
 *
 *   snd_una                                                        snd_nxt
 *      | FLIGHT t=10 | SACKED      | LOST  | RETX t=31 | SACKED | FLIGHT t=30 |
 *
 * A batch of segments is one run; SACKED neighbours melt into one, however many blocks told of them. So the cost of an
 * ACK goes by the holes, not by the segments. pipe = bytes FLIGHT + bytes RETX.
 *
 * Invariants: the runs cover [una, end) without gaps, in order; the counters are the sums over the runs.
 * Bound: RUNS_MAX runs. At the bound nothing new is sent until ACKs have melted some, and a SACK that would have to
 * split a run is not taken in (it comes again).
 */
#ifndef I3_TCPIP_SCOREBOARD_H
#define I3_TCPIP_SCOREBOARD_H

#include <stdbool.h>
#include <stdint.h>

enum { RUNS_MAX = 8192 };

enum run_state { RUN_FLIGHT, RUN_RETX, RUN_LOST, RUN_SACKED };

struct run {
    uint64_t start, end;
    uint64_t sent; /* the latest transmission, µs */
    uint8_t state; /* enum run_state */
    bool retx;     /* sent more than once */
};

struct scoreboard {
    struct run *v; /* v[head] to v[head + n - 1] */
    uint32_t head, n, cap;
    uint64_t bytes[4];   /* by state */
    uint64_t lost_hint;  /* no LOST byte lies before it */
    uint64_t top;        /* end of the highest byte SACKed or acknowledged */
    uint64_t *memory;
};

/* RACK's memory: the latest-sent segment that is known to have arrived. */
struct rack {
    uint64_t sent, end;
    uint32_t rtt;
    bool reordering; /* seen on this path */
    uint8_t steps;   /* of the reordering window, in quarters of the minimum RTT */
};

/* What one ACK brought to light. */
struct delivery {
    uint64_t acked, sacked; /* bytes newly acknowledged and never SACKed before; newly SACKed */
    uint64_t first_sent;    /* latest transmission among those sent only once; 0: none */
    bool any_retx;          /* something delivered had been sent more than once */
    uint64_t top;           /* in: the scoreboard's before the ACK. What arrives below it now was overtaken */
};

void scoreboard_init(struct scoreboard *b, uint64_t start, uint64_t *memory);
void scoreboard_release(struct scoreboard *b);

static inline uint64_t scoreboard_pipe(const struct scoreboard *b)
{
    return b->bytes[RUN_FLIGHT] + b->bytes[RUN_RETX];
}

/* Another run fits. */
bool scoreboard_room(struct scoreboard *b);

/* [start, end) goes out for the first time; start is where the last run ended. `melt`: how many µs apart two
 * sendings may lie to count as one. Only after scoreboard_room(). */
void scoreboard_sent(struct scoreboard *b, uint64_t start, uint64_t end, uint64_t now, uint64_t melt);

/* Everything below una has arrived. */
void scoreboard_ack(struct scoreboard *b, uint64_t una, uint64_t now, uint32_t min_rtt, struct rack *k, struct delivery *d);
/* [start, end) has arrived. */
void scoreboard_sack(struct scoreboard *b, uint64_t start, uint64_t end, uint64_t now, uint32_t min_rtt, struct rack *k,
    struct delivery *d);

/* Marks LOST what was sent so long before the latest arrival that `window` µs of reordering do not excuse it.
 * Returns the bytes marked; *next is when more may become lost, UINT64_MAX for not by time. */
uint64_t scoreboard_detect(struct scoreboard *b, const struct rack *k, uint64_t now, uint64_t window, uint64_t *next);

/* Marks LOST what is in flight of [start, end). Returns the bytes. */
uint64_t scoreboard_lose(struct scoreboard *b, uint64_t start, uint64_t end);
/* The receiver has taken back its SACKs, or may have. */
void scoreboard_forget_sacks(struct scoreboard *b);
/* Nothing was lost after all: LOST is in flight again. */
void scoreboard_unlose(struct scoreboard *b);

/* The first LOST run; false: none. */
bool scoreboard_next_lost(struct scoreboard *b, uint64_t *start, uint64_t *end);
/* [start, end), the beginning of what scoreboard_next_lost() gave, goes out again. False when there is no room for it. */
bool scoreboard_resent(struct scoreboard *b, uint64_t start, uint64_t end, uint64_t now);

#endif
