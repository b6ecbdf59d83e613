/* ring_wire.h - what the nodes of a ring say to each other, byte by byte.
 *
 * UDP, on the node's own port, beside the packets of include/wire.h. Integers are big-endian. Every message begins and ends alike:
 *
 *     0      1      2      3      4           12          28                    80         len - 16
 *   +------+------+------+------+-- ... ----+-- ... -----+------- ... ---------+-- ... ---+---- ... ---+
 *   | 0x1b | type | hops | flags| nonce (8) | to (16)    | sender: contact (52)| body     | mac (16)   |
 *   +------+------+------+------+-- ... ----+-- ... -----+------- ... ---------+-- ... ---+---- ... ---+
 *
 *   contact: address (20, as in wire.h), key (32). A node's position on the ring is the prefix of the id of its key (base/id.h).
 *   to: the receiver's position; zeros where only an address is known. Another node that has come to live at the address drops it.
 *   mac: HMAC-BLAKE2s under the ring's key over all bytes before it. A message whose sender's address is not the one it came from is
 *   dropped, so that a copy of it gets no answer sent to a third party.
 *
 *   type          body                                                     answer
 *   1 ASK         -                                                        STATE. flag 1: "you are my successor" (notify); flag 4: "I may
 *                                                                          be yours" (offer)
 *   2 STATE       n (1), 0 0 0, predecessor, successors                    nonce: that of ASK. The first contact is the predecessor,
 *                                                                          all zeros when there is none
 *   3 FIND        target (16), origin address (20), origin nonce (8)       TAKEN at once, to the sender; FOUND from the owner to the
 *                                                                          origin. flag 2: "I believe that the target is yours"
 *   4 TAKEN       -                                                        nonce: that of FIND
 *   5 FOUND       from (16)                                                nonce: the origin's; hops: how many it took; sender: the owner
 *                                                                          of (from, itself], in which the target lies
 *   6 LEAVE       n (1), 0 0 0, predecessor, successors                    -
 *   7 TRIGGERS    copies of triggers, one after the other (cluster.c)      -
 */
#ifndef I3_RING_WIRE_H
#define I3_RING_WIRE_H

#include "daemon/base/crypto.h"
#include "daemon/base/id.h"

enum {
    RING_SUCCESSORS = 8,
    RING_CONTACT_LEN = ADDR_WIRE_LEN + KEY_LEN,
    RING_HEADER_LEN = 12 + ID_PREFIX_LEN + RING_CONTACT_LEN,
    RING_PAYLOAD_MAX = 1024,
    RING_MAX_LEN = RING_HEADER_LEN + RING_PAYLOAD_MAX + MAC_LEN,
    RING_FIND_LEN = ID_PREFIX_LEN + ADDR_WIRE_LEN + NONCE_LEN,
    RING_HOPS_MAX = 64,
};

enum ring_type { RING_ASK = 1, RING_STATE, RING_FIND, RING_TAKEN, RING_FOUND, RING_LEAVE, RING_TRIGGERS, RING_TYPES };
enum ring_flag { RING_NOTIFY = 1, RING_FINAL = 2, RING_OFFER = 4, RING_FLAGS = 7 };

/* A position on the ring: the 128 bits of a prefix as a number; arithmetic wraps round as the ring does. */
typedef unsigned __int128 ring_pos;

struct ring_contact {
    ring_pos pos;
    struct addr addr; /* family 0: none */
    uint8_t key[KEY_LEN];
};

struct ring_message {
    uint8_t type, hops, flags;
    uint64_t nonce;
    ring_pos to; /* 0: whoever is there */
    struct ring_contact sender;
    struct ring_contact predecessor; /* STATE, LEAVE */
    struct ring_contact successor[RING_SUCCESSORS];
    uint8_t n;
    ring_pos target; /* FIND */
    ring_pos from;   /* FOUND */
    struct addr origin;
    uint64_t origin_nonce;
    const uint8_t *payload; /* TRIGGERS: inside the datagram */
    size_t payload_len;
};

/* x in (a, b], going up from a; with a == b that is the whole ring. */
static inline bool ring_within(ring_pos a, ring_pos x, ring_pos b)
{
    return (ring_pos)(x - a - 1) <= (ring_pos)(b - a - 1);
}

/* x in (a, b). */
static inline bool ring_between(ring_pos a, ring_pos x, ring_pos b)
{
    return x != b && ring_within(a, x, b);
}

static inline ring_pos ring_pos_of(const uint8_t prefix[ID_PREFIX_LEN])
{
    struct reader r = reader_of(prefix, ID_PREFIX_LEN);
    ring_pos high = get_u64(&r);
    return high << 64 | get_u64(&r);
}

/* A message with its mac: the length, or 0 when it does not fit. */
size_t ring_encode(uint8_t *p, size_t cap, const struct ring_message *m, const uint8_t secret[BLAKE2S_LEN]);

/* 0, -EBADMSG (malformed), or -EPERM (its mac is wrong). What it says is a member's word then, no more. */
int ring_decode(const uint8_t *p, size_t len, struct ring_message *m, const uint8_t secret[BLAKE2S_LEN]);

#endif
