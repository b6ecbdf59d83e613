/* mesh.h - hosts that reach each other without nodes: each knows the others' keys and addresses beforehand, and packets go straight, or
 * by one other member where that is better (paper section 3: "multiple overlays"; RON, Andersen et al. 2001). A state machine
 * without I/O; sessions are i3/peer.h's, as everywhere, and what they seal is what is carried here.
 *
 *       A ------- straight ------- B         each link: probed, RTT (smoothed) and loss known at both ends
 *        \                        /          A learns from C's vectors what the link C-B is like
 *         '------ C -------------'           one detour at most; C can read nothing
 *
 * Members are keys of the book; each has up to MESH_SPOTS addresses, told or learnt. Two members prove themselves to each other by a
 * MAC under their static Diffie-Hellman secret, in every probe: who has no such key gets no answer, whatever he sends. What answers a
 * probe is as long as the probe. An address is used when a random token which was sent to it has come back from it, so nobody can make
 * us send to a third one; where it came from does not matter, and so a member behind a NAT, or at another place, is found again by its
 * first probe.
 *
 *             PROBE token a, ask                          PROBE token b, echo a, ask (its address is not proven)
 *        A ------------------------> B              A <------------------------ B       proven at A
 *                                                   A --- PROBE echo b -------> B       proven at B
 *
 * Each start draws an incarnation ("life") for each member. A member's new one is believed when it has echoed a token of ours, so that
 * nothing recorded from an earlier life does any harm. From both lives come the keys, one for each direction, under which vectors are sealed and packets
 * to a relay are signed; counters and a window refuse what comes twice.
 *
 * Liveness: a proven address in use is probed every MESH_EVERY, another one every MESH_SPARE. A missing answer brings the next probe
 * at once, and MESH_MISSES in a row end it: 2.2 s on a fast link. What is down is probed every 2 s for a minute, then more rarely.
 *
 * Vectors: what my links to others are like, sealed, to every member that is up, every MESH_TELL, and at once when one goes down, comes
 * up or has changed a lot. They count for MESH_BELIEVE.
 *
 * Choice: the least cost, a link's being its RTT and MESH_LOSS_PRICE for each part lost in 1000, a detour's the sum of both links' and
 * MESH_DETOUR_PRICE. A way that is dead is left at once. A living one is left after MESH_HOLD, for one that is better by a margin; for
 * the straight way by none, when it has been well for MESH_STEADY, and up to 24 s if it keeps failing. So equal ways do not take turns.
 *
 * No loops: a packet to a relay says so (hop 1), and the relay sends it straight to its destination (hop 2) or not at all. A relay serves
 * members alone, for members alone, within a budget for each of them.
 *
 * Bounds: MESH_MEMBERS members, MESH_SPOTS addresses and MESH_TOKENS outstanding probes for each; MESH_ANSWERS answers a second to one
 * member; MESH_RELAYED packets a second handed on for one; a vector has MESH_LINKS_MAX links, and members beyond are in the next one.
 */
#ifndef I3_MESH_H
#define I3_MESH_H

#include "daemon/base/mono.h"
#include "daemon/base/outbox.h"
#include "daemon/base/crypto.h"
#include "daemon/base/id.h"

enum {
    MESH_MEMBERS = 128,
    MESH_SPOTS = 8, /* addresses of a member; MESH_LEARNT of them are for learnt ones */
    MESH_LEARNT = 2,
    MESH_TOKENS = 8,
    MESH_MISSES = 4,
    MESH_ANSWERS = 50,
    MESH_RELAYED = 250000,
    MESH_RELAYED_BURST = 25000,
};

#define MESH_EVERY        (1 * USEC_PER_SEC)
#define MESH_SPARE        (5 * USEC_PER_SEC)
#define MESH_TELL         (3 * USEC_PER_SEC)
#define MESH_BELIEVE      (12 * USEC_PER_SEC)
#define MESH_HOLD         (3 * USEC_PER_SEC)
#define MESH_STEADY       (1500 * USEC_PER_MSEC)
#define MESH_LOSS_PRICE   2000 /* microseconds */
#define MESH_DETOUR_PRICE 1000

struct mesh;

struct mesh_config {
    uint8_t priv[KEY_LEN], pub[KEY_LEN];
    uint8_t seed[32];
    bool passive; /* answers, and asks nobody: an old key of the user's */
    bool relay;   /* hands on packets of others */
};

struct mesh *mesh_new(const struct mesh_config *c);
void mesh_free(struct mesh *m);

/* The members are told one by one between begin and end; who is not told is none any more. -ENOSPC, -EINVAL: our own key, or none that
 * is good; 0: it is one, with these addresses (at most MESH_SPOTS - MESH_LEARNT count, and what was learnt stays). */
void mesh_begin(struct mesh *m);
int mesh_member(struct mesh *m, mono_t now, const uint8_t key[KEY_LEN], const struct addr *at, unsigned n);
void mesh_end(struct mesh *m, mono_t now);
/* It only answers from now on: its key is an old one. */
void mesh_set_passive(struct mesh *m);
void mesh_set_relay(struct mesh *m, bool relay);

/* ---- packets ---- */

enum mesh_verdict {
    MESH_DROP,  /* nobody's, not for us, forged, replayed: no answer */
    MESH_TAKEN, /* taken care of */
    MESH_DATA,  /* a packet for us by a relay: *packet, *packet_len, within data; *who: from whom, its key */
};

/* One datagram of kind WIRE_MESH. What is handed on is pushed by reference: data stays until the outbox is sent. ecn: of its header. */
enum mesh_verdict mesh_input(struct mesh *m, mono_t now, const struct addr *from, uint8_t ecn, uint8_t *data, size_t len, struct outbox *out,
    const uint8_t **who, uint8_t **packet, size_t *packet_len);
/* Is it for this key's members at all? By the bytes in front alone. */
bool mesh_is_for(const struct mesh *m, const uint8_t *data, size_t len);

/* Whose address that is, proven: its key; NULL: nobody's. */
const uint8_t *mesh_at(const struct mesh *m, const struct addr *from);

/* How packets to a member go now. */
struct mesh_way {
    bool direct;
    struct addr to;
};

/* By the first half of its public id. False: it is no member, or there is no way. */
bool mesh_way(struct mesh *m, const uint8_t prefix[ID_PREFIX_LEN], struct mesh_way *w);
/* What stands before a packet to a relay: packet[-MESH_HEAD] on is written. */
void mesh_wrap(struct mesh *m, const uint8_t prefix[ID_PREFIX_LEN], uint8_t *packet, size_t len);

/* Pushes what is due. */
void mesh_output(struct mesh *m, mono_t now, struct outbox *out);
mono_t mesh_deadline(const struct mesh *m);

/* Answers of peers are missed: links in use are probed now. */
void mesh_doubt(struct mesh *m, mono_t now);
/* We are at another place, or were asleep. */
void mesh_moved(struct mesh *m, mono_t now);
/* The kernel refuses to send there. */
void mesh_send_failed(struct mesh *m, mono_t now, const struct addr *to);

/* ---- looking in ---- */

enum mesh_kind { MESH_NONE, MESH_DIRECT, MESH_DETOUR };

/* The way to a member has changed; the newest alone is kept. */
struct mesh_event {
    uint8_t key[KEY_LEN];
    enum mesh_kind kind;
    struct addr at;        /* DIRECT */
    uint8_t by[KEY_LEN];   /* DETOUR: whose */
    uint32_t rtt_us;       /* of the whole way */
    const char *why;       /* "up", "lost", "better", "another address", "back" */
};

bool mesh_event(struct mesh *m, struct mesh_event *out);

struct mesh_spot_info {
    struct addr addr;
    bool told, up, in_use;
    uint32_t rtt_us;  /* 0: never answered */
    unsigned loss;    /* of 1000 */
    bool heard;
    uint64_t heard_us; /* since it answered last */
};

struct mesh_info {
    uint8_t key[KEY_LEN];
    struct mesh_spot_info spot[MESH_SPOTS];
    unsigned n_spots;
    enum mesh_kind kind;
    uint8_t by[KEY_LEN];
    uint32_t rtt_us;    /* of the way in use */
    unsigned loss;      /* of it, of 1000 */
    uint64_t since_us;  /* it has been in use */
    uint64_t changes;   /* of the way, ever */
};

/* i counts from 0; false: that was the last. */
bool mesh_info(const struct mesh *m, mono_t now, unsigned i, struct mesh_info *out);
bool mesh_info_of(const struct mesh *m, mono_t now, const uint8_t key[KEY_LEN], struct mesh_info *out);

struct mesh_stats {
    uint64_t probes_in, probes_out, probes_lost, vectors_in, vectors_out;
    uint64_t strangers;  /* datagrams of nobody we know, or not for us */
    uint64_t forged, replayed;
    uint64_t relayed;    /* handed on for others */
    uint64_t relay_refused; /* not: no member, no link, or too many */
    uint64_t detours_in, detours_out; /* packets of ours by relays */
    unsigned members, up; /* now; a way to them */
    unsigned direct;
};

const struct mesh_stats *mesh_stats(struct mesh *m);

#endif
