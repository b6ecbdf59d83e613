/* peer.h - sessions between daemons: private triggers exchanged under Noise IK, packets sealed (paper 4.3 and figure 6,
 * DESIGN section 7).
 *
 *   A (initiator)                                             B (responder)
 *     HANDSHAKE_INIT    to B's public id   ------------------>  checks mac1, decrypts, is A in the book?
 *                                                               (no: silence)
 *                       to A's private id  <------------------  HANDSHAKE_RESPONSE
 *     SEALED            to B's private id  <----------------->  SEALED to A's private id
 *
 * Noise_IK_25519_ChaChaPoly_BLAKE2s, prologue "i3run session v1". Bodies (after the DATA header):
 *
 *   INIT      e(32) | enc s(48) | enc payload(16 + 64) | mac1(16) | return(32) | mac2(16)
 *     payload  time(8, us since 1970) | private id(32) | own address(4) | your address(4) | ciphers(1) 0 | mtu(2) |
 *              receive buffer(4) | 8 zeros
 *     mac1     first 16 of HMAC-BLAKE2s(BLAKE2s("i3run mac1" || B's public key), everything before it)
 *     return   zeros at first; when it is sent again: the private id of the payload, in the clear
 *     mac2     zeros, or what shows that an answer to `return` gets there: asked for under load (cookie.h)
 *             one which goes by middle-boxes names them behind that, sealed (handshake.h); the RESPONSE comes back by them
 *   RESPONSE  e(32) | enc payload(16 + 56)
 *     payload  private id(32) | own address(4) | your address(4) | cipher(1) 0 | mtu(2) | receive buffer(4) | member(8)
 *   SEALED    counter(8) | ciphertext | tag(16)      37 + 24 bytes in all around an IP packet
 *   PLAIN     counter(8) | tag(16) | the packet      the same, when both ends want no encryption
 *
 * The drawing shows the way by the node. Once a session stands, the two look for a shortcut and for the largest packet that gets
 * through (path.h, pmtu.h), which either decides for its own direction; SEALED packets look the same by all ways. Handshakes go by
 * the node; repeated INITs and all RESPONSEs go straight as well where there is a shortcut, so that it outlives the node.
 *
 * What is sealed is an IP packet, nothing, or a word about the way (inner.h). Only IP packets are ever PLAIN. The byte
 * which follows `ciphers` in INIT and RESPONSE holds flags: 1 shortcuts wanted, 2 no encryption wanted; both ends must say so.
 *
 * Private ids: prefix of the daemon's private key, suffix = index(8) || random(8), drawn per handshake; the index finds
 * the session in a table, and every new key has a new suffix, so an id always names exactly one key.
 *
 * Rules: an unanswered INIT is repeated (same bytes) after 250 ms, doubling to 2 s, for 10 s, then the peer
 * is UNREACHABLE for those who wait; a NOT_PRESENT that echoes it says so earlier, if others say so too and
 * it has been so for 1.5 s (the peer may just be starting). An INIT already answered gets the same RESPONSE bytes, 12 times and until its key is in use; from then on silence.
 * Simultaneous open: the INIT of the smaller public key wins, the other side drops its own and answers; after
 * 1 s without an answer the winner answers as well. A key is replaced after 120 s or 2^60 packets by its
 * initiator when it sends (after 165 s by the responder), refused after 180 s; the previous key is accepted
 * until then. A responder prefers the older key until the new one was used by the other side, which uses it
 * at once, with an empty packet; while it sends under the older one it repeats the RESPONSE, and each
 * repeated RESPONSE is answered by another empty packet. Replay window 8192 packets. An older time than the
 * last one accepted from that key is a replay: silence.
 *
 * Groups: several daemons may share a key and answer for it (anycast). Each has a trigger for all ids of the key's prefix, with a
 * suffix of its own (the member, 8 bytes, then zeros), and one with the suffix of ones, which all of them have. An INIT asks for a
 * suffix that was drawn by chance, or chosen (peer_set_near); the node gives it to the member which is nearest to that. The
 * RESPONSE says who that is, and further INITs ask for this very one, so that all connections stay with it. An INIT which is not
 * answered goes to the suffix of ones, so that every member gets it, and the first answer counts, except that the member with which a
 * session stands has 0.1 s more: who has died is missed for a repetition or two. Such a peer is asked for a sign of life (PROBE) 0.3 s after a talk broke off with a
 * packet of ours, by whatever way, and given up for the other members another 0.5 s later. A member never asks for a session
 * itself, or clients would go from one to the other. One that leaves says so (BYE), and its clients ask again at once. Whoever has its key alone has a trigger for all its suffixes as well, so
 * nobody need know beforehand which kind a key is.
 *
 * Silence: whoever has received a packet and has sent nothing for 10 s sends an empty one, which asks for no
 * answer, so idle sessions fall silent. Nothing received for 15 s after something was sent: a new handshake.
 * So too when packets were sent for 2 s, without a pause, and nothing came back (the peer has restarted);
 * that time doubles for a peer which turns out to be merely quiet. A NOT_PRESENT for a packet that we sent: a
 * new handshake at once. From one handshake to the next at least 1 s, except for peer_open().
 *
 * Strangers: mac1 is checked first, at the price of a hash; from 500 INITs a second on they need a cookie (cookie.h), and at most 2,000 a second
 * are decrypted. RESPONSEs have no part in that: each handshake of ours may read 32 which are not the right one.
 *
 * PLAIN: the tag is that of the same AEAD over no text and, as its associated data, the packet's length and its first 72 bytes
 * (GMAC, where the cipher is AES-GCM; the nonce is the counter, never used twice, SEALED or PLAIN). A fixed price of some 40 ns
 * where AES-GCM of 1400 bytes costs 120. It keeps out whoever is not on the way: nobody can make up, repeat, cut or lengthen a
 * packet, or give it other headers. Whoever is on the way can read everything and change what lies behind the headers. Nobody
 * can bring two daemons to it: the flags stand in the handshake's encrypted payloads.
 *
 * Bounds: PEERS_MAX peers (only keys of the book get one), 3 keys (previous, current, next) and 1 handshake
 * each.
 */
#ifndef I3_PEER_H
#define I3_PEER_H

#include <sys/uio.h>

#include "daemon/base/mono.h"
#include "daemon/base/outbox.h"
#include "daemon/base/id.h"
#include "daemon/i3/path.h" /* struct path_own */
#include "daemon/i3/handshake.h" /* struct peer_boxes */
#include "daemon/i3/owners.h"
#include "daemon/i3/seal.h" /* enum peer_cipher, bits of a mask */

enum {
    PEERS_MAX = 65536,
    PEER_SEAL_OVERHEAD = DATA_HEADER_LEN + 8 + 16,
    PEER_REPLAY_WINDOW = 8192,
    PEER_MISUSE_PER_S = 100, /* what may come of a race, a restart or a port scan; PEER_MISUSE_BURST at once */
    PEER_MISUSE_BURST = 2000,
    PEER_VIA_MAX = 3, /* a stack of four ids: what nodes take by default */
};

struct peers;
struct peer;

struct peers_config {
    uint8_t priv[KEY_LEN], pub[KEY_LEN];                 /* identity */
    uint8_t session_priv[KEY_LEN], session_pub[KEY_LEN]; /* key of the private ids' prefix */
    unsigned ciphers;     /* mask of what this machine does well; must not be 0 */
    uint32_t own_address; /* virtual, host order */
    uint32_t pool;        /* to compute the peers' own addresses */
    unsigned pool_bits;
    bool plain;           /* IP packets need not be encrypted, where the peer thinks so as well */
    bool shortcut;        /* we would take shortcuts, and tell peers our addresses */
    uint16_t mtu;         /* inner MTU offered; the smaller of both is the limit */
    bool by_id;           /* there are no nodes: what is for a peer is pushed for ADDR_ID and the prefix of its public id */
    bool probe_mtu;       /* find out what gets through (pmtu.h) */
    uint32_t recv_buffer; /* of our UDP socket, told to peers */
    bool anonymous;       /* a peer is told nothing of what we call it, and the log nothing of peers */
    uint8_t member[8];    /* not zeros: the identity is shared, and this is ours of its suffixes */
    uint8_t seed[32];
    const void *accel; /* of io/accel.h, or NULL */
    /* May this key talk to us (is it in the book)? May call peer_get() for it; a peer made by its INIT alone
     * has no local address yet. */
    bool (*known)(void *ctx, const uint8_t key[KEY_LEN]);
    /* The middle-boxes which that peer's new INIT names, n 0: none. It is the time to say peer_set_boxes(), before the answer. NULL: not asked. */
    void (*boxes)(void *ctx, struct peer *p, const struct peer_boxes *theirs);
    /* The peer of a key that is known, has none, and has shown that it is whose it says; NULL: it may not have one just now. Not set:
     * peer_get() without an address. */
    struct peer *(*meet)(void *ctx, const uint8_t key[KEY_LEN]);
    void *ctx;
};

struct peers *peers_new(const struct peers_config *c);
void peers_free(struct peers *ps);

/* Where DATA packets go by default: the node. */
/* The key of the private ids told from now on, whose trigger stands. The last one's is still wanted for a session's life. */
void peers_set_session_key(struct peers *ps, const uint8_t session_pub[KEY_LEN]);
void peers_set_node(struct peers *ps, const struct addr *node);
/* Which outlive the peers: packets that are not sent straight go where these say. NULL (the default): to the node. */
void peers_set_owners(struct peers *ps, struct owners *os);
/* The way by the node is another one: what gets through is found out anew. */
void peers_size_anew(struct peers *ps, mono_t now);
/* Where we are, for peers who would take a shortcut to us; what has changed is told to those who talk with us. */
void peers_set_own(struct peers *ps, mono_t now, const struct path_own *own);
/* We are at another place. */
void peers_uprooted(struct peers *ps, mono_t now);
/* We have slept since `asleep`, and their keys may be forgotten: those with whom we talked then are called, so that what they have for
 * us need not wait until they try again. */
void peers_woke(struct peers *ps, mono_t asleep, mono_t now);
/* The kernel refuses to send there. */
void peers_send_failed(struct peers *ps, mono_t now, const struct addr *to);
/* It refuses a datagram of that size: EMSGSIZE. */
void peers_too_big(struct peers *ps, mono_t now, const struct addr *to, size_t len);

/* Is an id with that prefix one of ours, public or private? */
bool peers_has_id(const struct peers *ps, const uint8_t id[ID_LEN]);

/* The peer with this key, made if need be; NULL when the table is full or the key is our own. `local` is the virtual
 * address under which local programs know it, host order. */
struct peer *peer_get(struct peers *ps, const uint8_t key[KEY_LEN], uint32_t local);
/* Asks for the members of a group whose suffix begins with these n bytes, at most 8; the rest is drawn by chance. */
void peer_set_near(struct peer *p, const uint8_t *suffix, size_t n);
/* What is sent to it bears these ids first, n at most PEER_VIA_MAX: whoever has them passes it on (pump/waypoint.c). No shortcuts then,
 * and packets are smaller by the ids. What the peer sends comes by the shortest way, unless it has such a list for us. */
void peer_set_via(struct peers *ps, struct peer *p, const struct i3_id *via, unsigned n);
/* The same for middle-boxes, which our INITs name, so that both ends know of them; n 0: none, and peer_set_via() counts no more. */
void peer_set_boxes(struct peers *ps, struct peer *p, const struct peer_boxes *b);
/* The session was made by them: our INIT that was answered named them, or it has been said of the peer's. */
bool peer_by_boxes(const struct peer *p);
void peer_set_by_boxes(struct peer *p, bool by);
/* The largest packet that gets through at present. */
uint16_t peer_mtu(const struct peer *p);
const struct peer_boxes *peer_boxes(const struct peer *p);
/* Another number of the caller's, 0 at first. */
void peer_set_box(struct peer *p, uint32_t box);
uint32_t peer_box(const struct peer *p);
/* A packet for the peer, of that length, leaves in another one's session, as its boxes have it; or has come so. It counts like one of its
 * own session's: as a question and a sign of life. False: there is no key, and a handshake is wanted. */
bool peer_routed_out(struct peers *ps, struct peer *p, mono_t now, size_t len);
void peer_routed_in(struct peers *ps, struct peer *p, mono_t now, size_t len);
/* With by_id: the way to it is another one, by which packets are longer by `extra` bytes. A handshake that waits is tried at once. */
void peer_way_changed(struct peers *ps, struct peer *p, mono_t now, uint16_t extra);
/* With by_id: there is none, and has been none for a while. A handshake ends. */
void peer_has_no_way(struct peers *ps, struct peer *p);
/* The peer which has told us ids with that prefix in a standing session; NULL: nobody. */
struct peer *peer_by_remote(const struct peers *ps, const uint8_t prefix[ID_PREFIX_LEN]);
/* `shortcut` and `plain` of struct peers_config for this one: 1 yes, 0 no, -1 as there. A standing session goes on; a shortcut is left at
 * once, all else is agreed upon anew by the next packet. */
void peer_set_wishes(struct peers *ps, struct peer *p, int shortcut, int plain);
/* The same of the configuration itself, for all. */
void peers_set_wishes(struct peers *ps, bool shortcut, bool plain);
struct peer *peer_by_address(const struct peers *ps, uint32_t local);
struct peer *peer_by_key(const struct peers *ps, const uint8_t key[KEY_LEN]);
const uint8_t *peer_key(const struct peer *p);
/* A number of the caller's, 0 at first. */
void peer_set_mark(struct peer *p, uint32_t mark);
uint32_t peer_mark(const struct peer *p);
/* Forgets the peer and its keys at once (removed from the book). */
void peer_drop(struct peers *ps, struct peer *p);
/* Its keys are forgotten at once, and no handshake is made with it or answered, until it is let in again; whoever waits for it hears so.
 * (That it is not answered is for `known` to say.) */
void peer_bar(struct peers *ps, struct peer *p, bool barred);
/* One more thing that it should not have done. False: it does so too often, more than PEER_MISUSE_PER_S for long. */
bool peer_misuse(struct peer *p, mono_t now);
bool peer_is_barred(const struct peer *p);
/* Everybody with a session makes a new one, so as to be told an id with the present key (peers_set_session_key()). */
void peers_renew(struct peers *ps, mono_t now);
/* How many have a session and have not taken up such an id yet. */
unsigned peers_behind(const struct peers *ps, mono_t now);

/* A member of a group leaves: says so to its peers and forgets their sessions. False: that was all; true: send what is in the outbox
 * and call again. */
bool peers_leave(struct peers *ps, mono_t now, struct outbox *out);

/* Wants a session: starts a handshake unless one stands or runs. wall_us: microseconds since 1970. */
void peer_open(struct peers *ps, struct peer *p, mono_t now, uint64_t wall_us);

/* The same although one stands: the other end may have forgotten it. */
void peer_open_anew(struct peers *ps, struct peer *p, mono_t now);

/* Seals the packet given as n pieces (len bytes in all) into out, with the DATA header: PEER_SEAL_OVERHEAD + len bytes,
 * and ID_LEN more for each id on the way.
 * Returns that length, or -ENOTCONN (no key: a handshake is started), -EHOSTUNREACH (no key, and we are a member of a group),
 * -EMSGSIZE, -ENOSPC (cap too small). */
ssize_t peer_seal(struct peers *ps, struct peer *p, mono_t now, uint64_t wall_us, const struct iovec *v, int n, uint8_t *out,
    size_t cap);
/* There is a key to send with. Cheap. */
bool peer_is_standing(const struct peer *p);
/* A word of the caller's own (inner.h) to a peer. False: there is no key to send with, or no room. */
bool peer_say(struct peers *ps, struct peer *p, mono_t now, const uint8_t *msg, size_t len, struct outbox *out);
/* It goes by a shortcut. */
bool peer_is_direct(const struct peer *p);
/* Where it goes: to the node, or by a shortcut (path.h). */
const struct addr *peer_destination(const struct peers *ps, const struct peer *p);

enum peer_verdict {
    PEER_DROP,    /* not for us, forged, replayed, malformed, unknown: no answer */
    PEER_CONTROL, /* taken care of; *who: of whom, NULL: a stranger was asked for a cookie */
    PEER_PACKET,  /* a packet of *who: *plain, *plain_len, decrypted in place */
    PEER_WORD,    /* as well, but a word which is none of ours, of a kind from INNER_OTHERS on (pump/word.c) */
};

/* One DATA packet, already decoded; d's spans point into a writable buffer. Answers are pushed to out. */
enum peer_verdict peers_input(struct peers *ps, mono_t now, uint64_t wall_us, const struct addr *from,
    const struct wire_data *d, struct outbox *out, struct peer **who, uint8_t **plain, size_t *plain_len);
/* A NOT_PRESENT from the node. */
void peers_not_present(struct peers *ps, mono_t now, uint64_t wall_us, const struct wire_not_present *np);

/* Pushes what is due: handshakes, keep-alives that confirm a key. */
void peers_output(struct peers *ps, mono_t now, uint64_t wall_us, struct outbox *out);
mono_t peers_deadline(const struct peers *ps);

/* How many times an answer was missed, ever: an INIT was sent again, or a talk broke off half a second ago with a packet of ours (if
 * only the last word). When it grows, the peer may be gone, or the way to it, or the triggers by which its answer would reach us (a
 * NAT has forgotten us): these are worth a question. */
uint64_t peers_unanswered(const struct peers *ps);

enum peer_event_kind { PEER_UP, PEER_UNREACHABLE, PEER_MTU, PEER_BACK };

struct peer_event {
    enum peer_event_kind kind;
    struct peer *peer;
    bool moved; /* UP: another member of the group answers now; what was open is gone */
    bool anew;  /* UP: it has other keys for its private ids: most likely it was started anew, and what was open is gone; ask */
    int err; /* UNREACHABLE: EHOSTUNREACH (not present) or ETIMEDOUT (no answer) */
};

/* UP: there is a new key which both ends are known to have, the first time and each later time. UNREACHABLE:
 * a wanted session could not be had. MTU: info.mtu has changed, for another way or another finding. BACK: heard again
 * after a silence that was doubted. One event per peer is kept, the newest; an MTU and a BACK give way to others. */
bool peers_event(struct peers *ps, struct peer_event *out);

/* What strangers cost (cookie.h), ever; `now`: INITs need a cookie at present. */
struct peers_load {
    bool now;
    uint64_t inits;     /* with a good mac1 */
    uint64_t read;      /* decrypted, at the price of a Diffie-Hellman */
    uint64_t cookies;   /* asked for */
    uint64_t dropped;   /* unread: under load without a way back, or beyond a budget */
    uint64_t cookies_taken; /* which others have asked of us */
};

struct peers_load peers_load(const struct peers *ps, mono_t now);

/* The addresses of a session, host order: what each packet is checked and rewritten by. */
struct peer_addresses {
    uint32_t local;   /* under which local programs know the peer */
    uint32_t address; /* the peer's own idea of its address: what it said, else H24 of its id */
    uint32_t we_are;  /* under which the peer knows us: what it said, else our own address */
};

struct peer_addresses peer_addresses(const struct peer *p);
/* What we say is our own address; and what a peer that has not spoken yet is taken to call itself. */
uint32_t peers_own_address(const struct peers *ps);
uint32_t peer_default_address(const struct peers *ps, const struct peer *p);

/* Its virtual IPv6 address (id_address6), 16 bytes: the same at both ends, so that nothing is said or rewritten. */
const uint8_t *peer_address6(const struct peer *p);

/* ---- looking in ---- */

struct peer_info {
    uint8_t key[KEY_LEN];
    struct i3_id public_id;
    uint32_t local;          /* virtual address used here */
    uint32_t address;        /* the peer's own idea of its address: H24 of its id, or what it told us */
    uint32_t we_are;         /* the address under which the peer knows us */
    bool standing;           /* there is a key to send with */
    const char *state;       /* "idle", "handshake", "standing", "dropped" */
    enum peer_cipher cipher;
    bool plain;              /* IP packets are not encrypted */
    const char *cipher_name; /* "none (headers authenticated)" then */
    uint16_t mtu;            /* of the way in use */
    uint32_t recv_buffer;    /* the peer's */
    mono_t since;            /* of the current key */
    mono_t last_received, last_sent;
    uint64_t packets_in, packets_out, bytes_in, bytes_out, replays, forged, handshakes;
    uint32_t handshake_rtt_us;
    struct addr shortcut; /* none: by the node, and why */
    uint32_t shortcut_rtt_us;
    char relayed_why[PATH_WORDS];
    uint8_t member[8];    /* which of a group answers; zeros: it is no group */
};

void peer_info(const struct peers *ps, const struct peer *p, mono_t now, struct peer_info *out);
/* Iteration: NULL starts, NULL ends. */
struct peer *peer_next(const struct peers *ps, const struct peer *p);

#endif
