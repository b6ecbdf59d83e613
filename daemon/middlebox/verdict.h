/* verdict.h - what a program outside says of packets which pass: forward, drop, alert; and the packets that wait for its word.
 *
 *   box -> program    "packet N FLOW in|out KEY LENGTH\n" and LENGTH bytes, the IP packet as taps see it;   "gone FLOW\n"
 *   program -> box    lines:
 *     mode inline | watch        the first line: packets wait for the verdict, or go on at once and a copy is shown
 *     show packets | flows       all packets (at first), or of each flow those before its verdict
 *     forward N | drop N         that packet
 *     accept FLOW | block FLOW   from now on all of that flow, what waits too
 *     alert FLOW TEXT            to whoever opened the route, where the user has said; does not decide anything
 *
 * N and FLOW are decimal numbers of the box's. in: from who opened the route; KEY: 8 letters that tell that one from others.
 *
 * Bounds: VERDICT_WAIT packets wait at once, each VERDICT_PATIENCE at most: what is too many or waits too long fares as `fail` says. FLOWS_MAX flows are
 * known; the one not seen for longest gives way, or whose last packet was FLOW_IDLE ago.
 */
#ifndef I3_BOX_VERDICT_H
#define I3_BOX_VERDICT_H

#include "daemon/middlebox/show.h"

#define VERDICT_PATIENCE (1 * USEC_PER_SEC)
#define FLOW_IDLE        (600 * USEC_PER_SEC)

enum { VERDICT_WAIT = 512, VERDICT_PACKET = 9216, FLOWS_MAX = 16384, VERDICT_LINE = 300 };

enum flow_fate { FLOW_ASK, FLOW_ACCEPT, FLOW_BLOCK };

struct flow_entry {
    struct flow_key key;
    uint32_t number; /* from 1 */
    enum flow_fate fate;
};

struct waiting {
    uint32_t number; /* from 1 */
    uint32_t flow;
    uint32_t serial; /* of the route */
    uint8_t out, ecn; /* by which end it leaves; of its own header */
    uint16_t len;
    mono_t until;
    uint8_t packet[VERDICT_PACKET]; /* as it is forwarded, behind its head of BOX_HEAD */
};

struct verdicts;

struct verdicts *verdicts_new(void);
void verdicts_free(struct verdicts *v);

/* The flow of a packet, new if need be; NULL: no memory. */
struct flow_entry *verdict_flow(struct verdicts *v, const struct flow_key *key, mono_t now);
struct flow_entry *verdict_flow_numbered(struct verdicts *v, uint32_t number);
/* All flows are to be asked for again: the program is another one. */
void verdicts_ask_again(struct verdicts *v);

/* A packet waits: what it is called. NULL: too many do. Its place is the caller's to fill in, but for number and until. */
struct waiting *verdict_wait(struct verdicts *v, mono_t now);
/* The packet of that number; the next one of that flow, the oldest first; the oldest if it has waited too long, or whatever it has where `all`.
 * NULL: none. It waits until verdict_done(). */
struct waiting *verdict_numbered(struct verdicts *v, uint32_t number);
struct waiting *verdict_of_flow(struct verdicts *v, uint32_t flow);
struct waiting *verdict_late(struct verdicts *v, mono_t now, bool all);
void verdict_done(struct verdicts *v, struct waiting *w);
mono_t verdicts_deadline(const struct verdicts *v);
unsigned verdicts_waiting(const struct verdicts *v);
unsigned verdicts_flows(const struct verdicts *v);

enum verdict_verb { VERB_BAD, VERB_INLINE, VERB_WATCH, VERB_PACKETS, VERB_FLOWS, VERB_FORWARD, VERB_DROP, VERB_ACCEPT, VERB_BLOCK, VERB_ALERT };

/* One line of a program's, without its end. *text: of an alert, within the line. */
enum verdict_verb verdict_parse(const char *line, uint32_t *number, const char **text);

#endif
