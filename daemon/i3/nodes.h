/* nodes.h - which of the configured nodes is the one by which this host reaches the overlay: the nearest, by measured round trip
 * (paper 4.2), that answers.
 *
 *   each node      a round of ROUND pings at the start, then every few minutes (jittered); the quickest of a round counts, smoothed
 *   the one in use  pinged every NODES_WATCH while packets go by it, every NODES_IDLE otherwise; silent for NODES_PATIENCE: left at once
 *   a silent one   asked every few seconds; one whole round answered, and it is there again
 *   none answers   the one in use stays; the first that answers is taken
 *   another one    is taken while this one lives only when it is clearly nearer (a quarter, and 2 ms), so that the choice does not flap,
 *                  and only when both name the same owner for one id: they are of one ring, and nobody is lost by the change
 *
 * With one node there is nothing to choose, and nothing is sent. Answers count only from the node asked, with the nonce of the question.
 *
 * Bound: NODES_MAX.
 */
#ifndef I3_NODES_H
#define I3_NODES_H

#include "daemon/base/crypto.h"
#include "daemon/base/mono.h"
#include "daemon/base/outbox.h"
#include "include/wire.h"

#define NODES_WATCH    (250 * USEC_PER_MSEC)
#define NODES_IDLE     (15 * USEC_PER_SEC)
#define NODES_PATIENCE (500 * USEC_PER_MSEC) /* and two round trips */
#define NODES_EVERY    (150 * USEC_PER_SEC)

enum { NODES_MAX = 16 };

struct nodes;

/* seed: 32 random bytes. probe: the prefix whose owner all are asked for. NULL: out of memory. */
struct nodes *nodes_new(const struct addr *v, unsigned n, const uint8_t probe[ID_PREFIX_LEN], const uint8_t seed[32]);
void nodes_free(struct nodes *ns);

/* Packets went by the node in use. */
void nodes_used(struct nodes *ns, mono_t now);
/* This one is to be used, whatever was measured: there is no way to another. */
void nodes_prefer(struct nodes *ns, mono_t now, unsigned i);
/* The world has changed (another network): all are measured again, now. */
void nodes_restart(struct nodes *ns, mono_t now);

/* A PONG or OWNER. -EPROTO: it answers nothing we asked. */
int nodes_input(struct nodes *ns, mono_t now, const struct addr *from, const uint8_t *p, size_t len);
void nodes_output(struct nodes *ns, mono_t now, struct outbox *out);
mono_t nodes_deadline(const struct nodes *ns);

/* The index of the one to be used. */
unsigned nodes_choice(const struct nodes *ns);
/* That one lives, as far as is known. */
bool nodes_lives(const struct nodes *ns, unsigned i);

enum node_state { NODE_UNKNOWN, NODE_LIVES, NODE_SILENT, NODE_STATES };

struct node_info {
    struct addr addr;
    enum node_state state;
    const char *state_name;
    uint32_t rtt_us; /* smoothed, 0: not measured */
    bool in_use;
    const char *why; /* it is used, or it is not */
};

/* False past the end. */
bool nodes_info(const struct nodes *ns, unsigned i, struct node_info *out);

#endif
