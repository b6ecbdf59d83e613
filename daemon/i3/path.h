/* path.h - the way of packets to one peer: by the node, or straight to an address of the peer's (a shortcut, DESIGN section 6,
 * paper 5.2). A state machine without I/O: what it wants to say is sealed and sent by peer.c.
 *
 *        OFFER by the node, both ways                 CHALLENGE to each            RESPONSE from there
 *   RELAYED ------------------------> candidates (8) ----------------> (7 tries) ---------------------> DIRECT
 *      ^                                   ^                                                             |
 *      |  again when packets flow:         |  a genuine packet from an address which is not known:       |
 *      |  after 2 s, doubling to 60 s      |  the peer has another NAT                                   |
 *      +---- 30 s without packets; packets go there and nothing comes from there for a second; -----------+
 *            either end has moved, and says so in its offer
 *
 * Consent: both daemons say in the handshake that they want shortcuts; who does not, neither offers nor answers.
 *
 * An address becomes a candidate when the peer offers it inside the session, or when a packet which was opened by the session's
 * key came straight from it. It is used only after a random token sent to that very address has come back from that very
 * address. So whoever listens, repeats or forges packets can make us send a few challenges, and no data.
 * Both ends challenge at the same time, several times in the first seconds: this opens the NATs on the way (hole punching).
 *
 * Each direction decides alone: packets have the same form either way, and the receiver treats them alike. Straight packets are
 * known by their hop count, which every node lowers. Who lies there gets a challenge, or none: a matter of speed alone.
 *
 * Choice: the smallest round-trip time; when about equal, loopback before private before public addresses. Who hears the peer only
 * from another address that is good goes over to that: by a NAT which hairpins there are two ways, and by each of them the ends see
 * different kinds of address. The patience until then is random, or both would go over at once, and cross for ever.
 * Liveness: packets sent to the address in use must bring some genuine packet from there. If none comes for 300 ms + 2 RTT,
 * it is challenged; after 1 s + 4 RTT (2.5 s at most) without any the way is given up for the next best, or the node.
 *
 * Bounds: PATH_CANDIDATES addresses for each peer, PATH_TRIES challenges for each in a round; on the whole PATH_BURST and from
 * then on PATH_RATE a second, so that a peer which keeps offering has us send no more than that to anybody. Answers: one for
 * each challenge, as long as that.
 */
#ifndef I3_PATH_H
#define I3_PATH_H

#include "daemon/base/budget.h"
#include "daemon/base/crypto.h"
#include "daemon/base/mono.h"
#include "daemon/i3/inner.h"

enum {
    PATH_CANDIDATES = 8,
    PATH_TRIES = 7,
    PATH_BURST = 64,
    PATH_RATE = 8,
    PATH_OUTPUT_MAX = PATH_CANDIDATES + 3, /* messages that are due at once, at most */
};

/* Why packets go by the node. */
enum path_why {
    PATH_DIRECT, /* they do not */
    PATH_NEW,    /* nothing was tried yet */
    PATH_ASKING, /* offered, or challenges are on their way */
    PATH_SILENT, /* no address answers */
    PATH_LOST,   /* the way in use has failed */
    PATH_IDLE,   /* no packets for 30 s */
    PATH_WHYS,
};

struct candidate {
    struct addr addr; /* family 0: free */
    bool offered;     /* in the newest offer; else a source of packets */
    bool valid;       /* it has answered, and was not given up since */
    uint8_t tries;    /* in this round */
    uint64_t token;   /* of its first challenge; the others count on */
    mono_t round;     /* when this round began */
    uint32_t sent[PATH_TRIES]; /* after `round`, in microseconds */
    mono_t due;       /* the next challenge */
    mono_t heard;     /* last genuine packet from there */
    uint32_t rtt_us;
};

struct path {
    struct candidate c[PATH_CANDIDATES];
    int8_t active; /* -1: by the node */
    enum path_why why;
    mono_t attention;    /* a packet sent from now on needs path_attend() */
    mono_t last_sent;    /* a packet for a program */
    mono_t since;        /* the way in use is used */
    mono_t watch_since, watch_at; /* packets go straight and await an answer since; when that is looked at */
    uint64_t pause;      /* before the next round */
    mono_t round;        /* the last one's start */
    uint32_t patience;   /* with an address in use which is silent while the peer speaks from another; microseconds */

    bool moved;        /* to be told with our newest offer */
    uint8_t their_nat; /* enum nat_kind, as they say */
    mono_t lost;       /* when a way in use has failed last; us 0: never */

    uint32_t serial, acked, theirs; /* of our newest offer, of that which the peer has, of the peer's newest */
    unsigned offer_tries;
    mono_t offer_due;

    struct addr answer_to; /* a response that is due; family 0: none */
    uint64_t answer;
    struct budget challenges;
};

/* What a daemon tells of itself; the same for all peers. */
struct path_own {
    struct addr addr[OFFER_MAX];
    uint8_t n;
    bool v4, v6, loopback; /* what we can and may send to */
    uint8_t nat;           /* enum nat_kind */
};

void path_init(struct path *x, mono_t now, struct drbg *d);

/* A session stands again: what we offer is told anew. */
void path_renew(struct path *x, mono_t now);
/* Own addresses have changed: likewise, now (true) or when there are packets again. */
bool path_moved(struct path *x, mono_t now);

/* We are at another place: whatever we sent to may not take our packets any more, and nobody finds us at the old one. By the
 * node, until an address has answered us here. True as above. */
bool path_uprooted(struct path *x, mono_t now, struct drbg *d);

/* The kernel will not send there. */
void path_fail(struct path *x, mono_t now, const struct addr *to);

/* A message of the peer's (inner.h). from: where it came from, NULL when a node has relayed it. */
void path_input(struct path *x, mono_t now, const struct path_own *own, struct drbg *d, const struct addr *from,
    const uint8_t *msg, size_t len);

/* The next message which is due: its length, 0 for none. *to: where, family 0 for by the node. */
size_t path_output(struct path *x, mono_t now, const struct path_own *own, struct drbg *d, struct addr *to,
    uint8_t msg[INNER_MAX]);

/* When path_output() wants to be called. */
mono_t path_deadline(const struct path *x);

/* The address in use, NULL for the node. */
static inline const struct addr *path_address(const struct path *x)
{
    return x->active < 0 ? NULL : &x->c[x->active].addr;
}

/* Why not, in words: at most PATH_WORDS bytes with the 0. */
enum { PATH_WORDS = 96 };
void path_words(const struct path *x, mono_t now, unsigned own_nat, char out[PATH_WORDS]);

static inline const char *path_why_name(enum path_why w)
{
    static const char *const name[PATH_WHYS] = {
        [PATH_DIRECT] = "direct",
        [PATH_NEW] = "no traffic yet",
        [PATH_ASKING] = "looking for a direct way",
        [PATH_SILENT] = "no direct way was found",
        [PATH_LOST] = "the direct way has failed",
        [PATH_IDLE] = "no traffic",
    };
    return name[w];
}

/* ---- per packet: a comparison or two. True: the deadline may have come earlier ---- */

bool path_attend(struct path *x, mono_t now, struct drbg *d);
bool path_heard_elsewhere(struct path *x, mono_t now, const struct path_own *own, struct drbg *d, const struct addr *from);

/* A packet for a program was sealed and goes to path_address(). */
static inline bool path_sent(struct path *x, mono_t now, struct drbg *d)
{
    x->last_sent = now;
    return mono_due(x->attention, now) && path_attend(x, now, d);
}

/* A genuine packet came straight from there. */
static inline bool path_heard(
    struct path *x, mono_t now, const struct path_own *own, struct drbg *d, const struct addr *from)
{
    if (x->active >= 0 && addr_eq(from, &x->c[x->active].addr)) {
        x->c[x->active].heard = now;
        return false;
    }
    return path_heard_elsewhere(x, now, own, d, from);
}

#endif
