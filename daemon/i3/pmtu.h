/* pmtu.h - how large a packet may be on one way to one peer: path-MTU discovery without ICMP (RFC 8899). A state machine without
 * I/O, one for the way by the node and one for the shortcut.
 *
 *             +-------- answered ---------+   +----- every second in which large packets are sent -+
 *             |                           v   |                                                     |
 *   start -> CONFIRM (the size in use) -> IDLE <----------- done ---------- SEARCH (between) <------+ 600 s after the last
 *             |                                                               ^                      search, for more
 *             +-- 4 tries unanswered, a packet of PMTU_BASE got through ------+ in use meanwhile: what was answered last
 *
 * Sizes are those of the packet inside: what is around it on the way is the same for all. A probe is a sealed packet of that
 * size (inner.h); fragmentation is forbidden to it and to all others (io/udp). The first size in use is PMTU_USUAL or the
 * largest that both ends allow, so a good way is never slow at the start; a bad one is found out by the first probes, which go out
 * at once, and what more a way can take is searched right after.
 * If not even the smallest probe is answered, the way is dead or the peer does not know probes: nothing is concluded.
 *
 * Bounds: PMTU_TRIES probes of a size, 2 above PMTU_USUAL, as many of PMTU_BASE beside; a search ends when PMTU_GRAIN bytes are left.
 */
#ifndef I3_PMTU_H
#define I3_PMTU_H

#include <stddef.h>

#include "daemon/base/mono.h"

enum {
    PMTU_BASE = 1200 - 61, /* works everywhere: a UDP datagram of 1200 bytes */
    PMTU_USUAL = 1400,      /* works nearly everywhere */
    PMTU_TRIES = 4,
    PMTU_GRAIN = 8,
};

enum pmtu_state { PMTU_IDLE, PMTU_CONFIRM, PMTU_SEARCH };

struct pmtu {
    enum pmtu_state state;
    uint16_t max;       /* never more; 0: not started */
    uint16_t base;      /* PMTU_BASE, or less */
    uint16_t mtu;       /* in use */
    uint16_t good, bad; /* the largest answered, the smallest that was not; 0 and max + 1 when there is none */
    uint16_t probe;     /* being tried */
    uint8_t tries;
    bool searched;      /* a search has ended since something got narrower */
    bool base_due, base_ok; /* in this round: a base probe is to be sent, and one was answered */
    uint32_t first, next;   /* ids of probes of this way */
    uint32_t rtt_us;
    mono_t sent;        /* the last probe */
    mono_t due;         /* the next */
    mono_t attention;   /* a large packet from then on begins a round */
    mono_t raise_at;
};

/* A new way, of which nothing is known but its round-trip time (0: not even that). id: random. */
void pmtu_start(struct pmtu *m, mono_t now, uint16_t max, uint32_t rtt_us, uint32_t id);

/* The same where `extra` bytes more than elsewhere are put around a packet: what works everywhere is smaller by them. */
void pmtu_start_in(struct pmtu *m, mono_t now, uint16_t max, uint16_t extra, uint32_t rtt_us, uint32_t id);

/* The size of the next probe which is due, 0 for none, and its id. */
uint16_t pmtu_output(struct pmtu *m, mono_t now, uint32_t *id);
mono_t pmtu_deadline(const struct pmtu *m);
/* An answer. */
void pmtu_input(struct pmtu *m, mono_t now, uint16_t size, uint32_t id);
/* The kernel has refused a packet of that size. */
void pmtu_too_big(struct pmtu *m, mono_t now, uint16_t size);

void pmtu_attend(struct pmtu *m, mono_t now);

/* A packet of len bytes was sent. True: the deadline has come earlier. */
static inline bool pmtu_sent(struct pmtu *m, mono_t now, size_t len)
{
    if (len < m->base || !mono_due(m->attention, now))
        return false;
    pmtu_attend(m, now);
    return true;
}

#endif
