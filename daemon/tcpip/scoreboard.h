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
    uint64_t prior, prior_at; /* rate.delivered and rate.at then */
    uint32_t span;            /* µs since rate.first_sent then */
    uint8_t state; /* enum run_state */
    bool retx;     /* sent more than once */
    bool limited;  /* the program, or the peer's window, held us back then */
};

/* The rate of delivery, sampled by every ACK (draft-cheng-iccrg-delivery-rate-estimation): what arrived between the sending of
 * a run and its ACK, over the time that this took. Sending faster than the path carries lengthens the one, ACKs that come in
 * heaps the other, so the longer of the two counts. */
struct rate {
    uint64_t delivered;  /* bytes known to have arrived, ever */
    uint64_t at;         /* when that was last heard */
    uint64_t first_sent; /* when the latest of those were sent */
    uint64_t limited;    /* samples tell of the program until `delivered` has passed this; 0: they tell of the path */
};

struct scoreboard {
    struct run *v; /* v[head] to v[head + n - 1] */
    uint32_t head, n, cap;
    uint64_t bytes[4];   /* by state */
    uint64_t lost_hint;  /* no LOST byte lies before it */
    uint64_t top;        /* end of the highest byte SACKed or acknowledged */
    struct rate rate;
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
    uint64_t last_sent;     /* among all */
    bool any_retx;          /* something delivered had been sent more than once */
    bool acked_retx;        /* and it moved the ACK, so that the timestamp echoed is its own */
    uint64_t top;           /* in: the scoreboard's before the ACK. What arrives below it now was overtaken */
    uint64_t prior, prior_at, prior_sent; /* of the latest-sent run that arrived; prior_at 0: none */
    uint32_t span;
    bool limited;
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

/* The rate which this ACK shows, bytes per second; 0: none. Once per ACK, after the above. */
uint64_t scoreboard_rate(struct scoreboard *b, const struct delivery *d, uint32_t min_rtt);
/* Nothing more is at hand to send though there is room: the rates that follow are no measure of the path. */
static inline void scoreboard_limited(struct scoreboard *b)
{
    uint64_t until = b->rate.delivered + scoreboard_pipe(b);
    b->rate.limited = until ? until : 1;
}

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
