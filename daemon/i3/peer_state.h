/* peer_state.h - what a peer and the table of peers consist of; shared by peer.c (table, packets) and peer_shake.c
 * (making keys), for nobody else.
 *
 * Keys of a peer: `current` is sent with. `next` is one that we answered for and the peer has not used yet; it becomes
 * current when the peer does, or is sent with when there is no current. `previous` still opens what is on its way.
 *
 * A peer has one deadline, the earliest of all it waits for. On the data path it is only ever moved forward in time when
 * something earlier comes up; what has become pointless is found out when it fires.
 */
#ifndef I3_PEER_STATE_H
#define I3_PEER_STATE_H

#include "daemon/i3/cookie.h"
#include "daemon/i3/deadline.h"
#include "daemon/i3/path.h"
#include "daemon/i3/pmtu.h"
#include "daemon/i3/session.h"

#define HANDSHAKE_PRICE      (USEC_PER_SEC / HANDSHAKES_PER_S)
#define HANDSHAKE_REPEAT     (250 * USEC_PER_MSEC)
#define HANDSHAKE_REPEAT_MAX (2 * USEC_PER_SEC)
#define HANDSHAKE_LIFE       (10 * USEC_PER_SEC)
#define ABSENT_PATIENCE      (1500 * USEC_PER_MSEC) /* a daemon or node that is started anew needs so long for its triggers */
#define HANDSHAKE_PAUSE      (1 * USEC_PER_SEC)    /* from one to the next which nobody asked for by name */
#define TIE_BREAK            (1 * USEC_PER_SEC)    /* two INITs this close are a simultaneous open */
#define TIE_REPEAT           (100 * USEC_PER_MSEC) /* after losing it, the peer answers within a round trip */
#define SILENCE_MAX          (15 * USEC_PER_SEC)
#define PATIENCE_MIN         (2 * USEC_PER_SEC)
#define QUICK_ANSWER         (1 * USEC_PER_SEC)
#define DOUBT_AFTER          (500 * USEC_PER_MSEC) /* and two round trips */
#define TAKE_UP_PATIENCE     (500 * USEC_PER_MSEC) /* for a peer to use a new key, where it has something to say */
#define KEEPALIVE            (10 * USEC_PER_SEC)
#define MEMBER_DOUBT_AFTER   (300 * USEC_PER_MSEC) /* a group's member is asked for a sign of life */
#define MEMBER_CHANCE        (100 * USEC_PER_MSEC) /* for the old member to answer, when another one has */
#define MEMBER_PATIENCE      (500 * USEC_PER_MSEC) /* and left when none comes in that, or in two round trips */

enum {
    DOUBTS_MAX = 3,
    CONFIRMS_MAX = 8,         /* answers to repeated RESPONSEs */
    RESPONSE_REPEATS_MAX = 6, /* RESPONSEs which nobody asked for again */
    RESPONSE_ASKED_MAX = 12,  /* as INITs that came again, of which nobody sends more: a replayed one is no source of packets for ever */
    OUTPUT_MAX = OUTBOX_HEADROOM / (PATH_OUTPUT_MAX + 9), /* peers served per call of peers_output, with that many datagrams each */
    HANDSHAKES_PER_S = 2000, /* INITs decrypted; more are dropped unread, so that a flood cannot take the whole CPU */
    HANDSHAKES_BURST = 500,
    RESPONSES_FORGED_MAX = 32, /* read in vain per handshake of ours; its id is secret, so they come from the peer or from who is on the way */
    COOKIES_TAKEN_MAX = 4,     /* per handshake: from then on, INITs keep to their times */
};

/* Ours, as initiator. */
struct handshake {
    struct noise noise;
    struct session *session; /* to be */
    uint8_t init[INIT_MAX];
    size_t init_len;
    unsigned tries, not_present, not_present_try;
    unsigned forged, cookies;
    mono_t other_at; /* when another member of the group than the one we had a session with answered; 0: none did */
    bool saw_theirs; /* an INIT of the peer lost the tie against this one */
    mono_t first, last, due;
};

struct peer {
    uint8_t key[KEY_LEN];
    struct i3_id public_id;
    uint32_t local, address, we_are;
    uint8_t address6[16]; /* the same at both ends */
    struct i3_id via[PEER_VIA_MAX]; /* ids on the way to it */
    uint8_t n_via;
    bool by_boxes;
    struct peer_boxes boxes; /* which those are, where both ends know of them */
    int8_t shortcut, plain; /* as in struct peers_config, for this one: 1 yes, 0 no, -1 what is said there */
    uint8_t ask[MEMBER_LEN];    /* the suffix that a first INIT asks for */
    uint8_t member[MEMBER_LEN]; /* which member of a group has answered last; zeros: it is none */
    uint16_t mtu;
    uint16_t extra; /* bytes that the way takes besides */
    struct addr first; /* with by_id: where packets go */
    uint32_t recv_buffer;
    UT_hash_handle by_key, by_id, by_local;

    struct session *current, *previous, *next;
    struct path *path; /* NULL: by the node alone, as either end wants no shortcuts */
    bool refuses_shortcut; /* it is the peer who does not */
    struct pmtu pmtu[2];   /* by the node, and straight */
    struct addr straight;  /* the way in use: pmtu[1] is about this one, and the log knows of it; family 0: by the node */
    uint16_t told_mtu;     /* by the last event; 0: never up */
    struct handshake *shake;
    bool barred; /* no handshakes: it is dropped (pump/drop.c) */
    bool wanted; /* a handshake shall start at `start` */
    mono_t start, last_start;
    uint64_t our_time;           /* told in our last INIT; the next one's is greater */
    uint64_t their_time;         /* of the last genuine INIT */
    uint8_t their_mac1[MAC_LEN]; /* which INIT that was */
    uint8_t cookie[MAC_LEN];     /* for our INITs (cookie.h) */
    mono_t cookie_until;         /* past: there is none */
    bool their_answered;
    bool anew;                   /* has other keys for its private ids than before: to be told with UP */

    uint32_t mark, box; /* of the pump's */
    struct budget misuse;

    struct deadline due;
    mono_t last_received, last_sent;
    mono_t unanswered; /* since when we have sent and heard nothing; MONO_NEVER: it is not so */
    mono_t pressing,
        last_data;     /* first and last of the packets sent in it without a pause longer than `patience` */
    uint8_t doubts;    /* how often we have asked in this silence whether it is our triggers */
    bool suspect;      /* the member has not given the sign of life that it was asked for */
    mono_t probed;     /* when it was asked; MONO_NEVER: it was not */
    uint64_t patience; /* how long they may go unanswered before we ask whether the peer has lost its keys */
    mono_t keepalive;  /* when an empty packet is due; MONO_NEVER: none */

    bool has_event;
    struct peer_event event;
    struct peer *event_prev, *event_next;

    uint64_t packets_in, packets_out, bytes_in, bytes_out, replays, forged, handshakes;
    uint32_t rtt_us;
};

struct peers {
    struct peers_config c;
    struct addr node;
    struct owners *owners; /* NULL: everything by the node */
    struct drbg drbg;
    struct i3_id public_id;
    uint8_t mac1_key[BLAKE2S_LEN];
    struct sessions sessions;
    struct path_own own; /* where we are */
    struct peer *by_key, *by_id, *by_local;
    struct deadlines due;
    struct peer *event_first, *event_last;
    unsigned vias; /* peers to which packets go by others */
    struct budget handshakes; /* INITs to decrypt: the Diffie-Hellmans of one each */
    struct gate gate;         /* who may ask for that under load */
    bool told_load;           /* the log has it */
    mono_t load_told_at;
    struct peers_load load;
    uint64_t unanswered; /* silences that may be due to our triggers: INITs sent again, talks that broke off */
};

/* ---- peer.c ---- */

/* What we want of this one. */
static inline bool peer_wants_shortcut(const struct peers *ps, const struct peer *p)
{
    return (p->shortcut < 0 ? ps->c.shortcut : p->shortcut) && !p->n_via;
}

static inline bool peer_wants_plain(const struct peers *ps, const struct peer *p)
{
    return p->plain < 0 ? ps->c.plain : p->plain;
}

/* The node which a packet to the peer, for this id of its, is handed to. */
const struct addr *peer_first_node(const struct peers *ps, const struct peer *p, const struct i3_id *id);

/* What the packets to a peer are longer by than others. */
static inline size_t peer_via_len(const struct peer *p)
{
    return (size_t)p->n_via * ID_LEN;
}

/* The key to send with, NULL for none. */
struct session *peer_sending_key(const struct peer *p, mono_t now);
/* Something may be due at `at`. */
void peer_arm(struct peers *ps, struct peer *p, mono_t at);
void peer_tell(struct peers *ps, struct peer *p, enum peer_event_kind kind, int err);
/* Genuine bytes came. */
void peer_heard(struct peer *p, mono_t now);
/* Seals nothing and pushes it. */
void peer_send_empty(struct peers *ps, struct peer *p, struct session *s, mono_t now, struct outbox *out);
/* Pushes a message of a handshake by the node; straight as well when `both` and there is a shortcut: the node may be gone. */
void peer_push_shake(struct peers *ps, const struct peer *p, const struct i3_id *to, enum wire_proto proto, const uint8_t *body,
    size_t len, bool both, struct outbox *out);
/* Seals a word for the peer (inner.h) and pushes it to `at`. */
void peer_send_word(struct peers *ps, struct peer *p, struct session *s, const struct addr *at, mono_t now, const uint8_t *msg,
    size_t len, struct outbox *out);
/* The body of a DATA packet of `len` bytes to be filled in, already pushed; NULL when there is no room or no node. */
uint8_t *peer_push(const struct addr *at, const struct peer *p, const struct i3_id *to, enum wire_proto proto, size_t len, struct outbox *out);

/* ---- peer_way.c: by which way, and how large (path.h, pmtu.h) ---- */

/* Both ends have said whether they want shortcuts. */
void way_consent(struct peers *ps, struct peer *p, bool theirs, mono_t now);
/* There is a new key. */
void way_up(struct peers *ps, struct peer *p, mono_t now);
void way_free(struct peer *p);
/* A genuine word of the peer's; from: NULL when a node has relayed it. */
void way_input(struct peers *ps, struct peer *p, mono_t now, const struct addr *from, const uint8_t *msg, size_t len,
    struct outbox *out);
/* Says what is due to be said. */
void way_run(struct peers *ps, struct peer *p, mono_t now, struct outbox *out);
mono_t way_deadline(const struct peer *p);
/* The largest packet which gets through now. */
uint16_t way_mtu(const struct peer *p);
void way_relayed_why(const struct peers *ps, const struct peer *p, mono_t now, char out[PATH_WORDS]);

static inline bool way_is_direct(const struct peer *p)
{
    return p->path && p->path->active >= 0;
}

/* A packet of len bytes goes to peer_destination(). True: the deadline may have come earlier. */
static inline bool way_sent(struct peers *ps, struct peer *p, mono_t now, size_t len)
{
    bool news = p->path && path_sent(p->path, now, &ps->drbg);
    return pmtu_sent(&p->pmtu[way_is_direct(p)], now, len) || news;
}

/* ---- peer_member.c ---- */

void peer_forget_sessions(struct peers *ps, struct peer *p);

/* The peer is one of several with this key. */
bool peer_is_group(const struct peer *p);
/* Is the member there? It is asked. */
void member_ask(struct peers *ps, struct peer *p, mono_t now, struct outbox *out);
/* When one that was asked, and has not answered, is left; and leaving it. */
mono_t member_due(const struct peer *p);
void member_suspect(struct peers *ps, struct peer *p, mono_t now);
/* It has left the group: ask another. */
void member_left(struct peers *ps, struct peer *p, mono_t now);

/* ---- peer_shake.c ---- */

/* A member of a group never does. */
bool shake_may_start(const struct peers *ps);
/* Wants a handshake at `at` or, when one was started less than HANDSHAKE_PAUSE ago, a little later. */
void shake_want(struct peers *ps, struct peer *p, mono_t at);
/* When the handshake has something to do. */
mono_t shake_deadline(const struct peer *p);
void shake_expire(struct peers *ps, struct peer *p, mono_t now, uint64_t wall_us, struct outbox *out);
void shake_cancel(struct peers *ps, struct peer *p);
/* The peer used `next`. */
void shake_confirmed(struct peers *ps, struct peer *p, mono_t now);
void shake_not_present(struct peers *ps, struct peer *p, mono_t now, const struct wire_not_present *np);

enum peer_verdict shake_input_init(
    struct peers *ps, mono_t now, const struct wire_data *d, struct outbox *out, struct peer **who);
/* The other side is under load. */
enum peer_verdict shake_input_cookie(struct peers *ps, mono_t now, const struct wire_data *d, struct peer **who);
enum peer_verdict shake_input_response(
    struct peers *ps, mono_t now, const struct wire_data *d, struct outbox *out, struct peer **who);

#endif
