/* word.h - what middle-boxes and the two ends of a way by them say to each other (route.h has the picture). Words within sessions (i3/inner.h,
 * kind 11); the second byte is the sub-kind. `num` is the route's number in that session. Big-endian; trailing bytes are refused.
 *
 * OPEN (1)  to the next on the way: let packets pass. n more come behind the one that reads this, the last is the other end
 *     0      1      2        4           12      13     14       16
 *   +------+------+--------+-----------+-------+------+--------+------------------+------- ... --------+
 *   | 0x1b | 1    | num(2) | token (8) | flags | n    | mtu(2) | group(32) mac(16)| n of: key, member  |   key (32), member (8)
 *   +------+------+--------+-----------+-------+------+--------+------------------+------- ... --------+
 *   flags  1: the one who opened it is anonymous; 2: group and mac are there: the sender is a member of that group (box_proof())
 *   mtu    the largest packet that comes through on the way back, from here
 *
 * OPENED (2), MTU (3)  it does; the largest packet which comes through that way
 * CLOSE (4)  it does not, or no more; hops: how many have passed that on. ASK (9), between the ends: open it again
 *     0      1      2        4              6
 *   +------+------+--------+--------------+--------------+
 *   | 0x1b | kind | num(2) | mtu (2)      | 0 0          |     CLOSE: why (1), hops (1), 0 0; ASK: num is 0, as all else
 *   +------+------+--------+--------------+--------------+
 *
 * MEMBER (5)   back along the route, of an anycast box before the other end: it calls there under that key, its daemon's own
 * INTRODUCE (6)  between the ends: so the one with that key is the last box of the way with this token
 *     0      1      2        4           12
 *   +------+------+--------+-----------+-----------+
 *   | 0x1b | kind | num(2) | token (8) | key (32)  |
 *   +------+------+--------+-----------+-----------+
 *
 * IMPOSE (7)  between the ends: packets are taken only when they come by one of these boxes
 *     0      1      2      3      4
 *   +------+------+------+------+-------- ... --------+
 *   | 0x1b | 7    | n    | 0    | n keys (32 each)    |   n: 1 to BOX_IMPOSED_MAX
 *   +------+------+------+------+-------- ... --------+
 *
 * ALERT (8)  back along the route to whoever opened it, or (num 0) on to where that one wants to have it; text is UTF-8
 *     0      1      2        4           12           44
 *   +------+------+--------+-----------+------------+------ ... ------+
 *   | 0x1b | 8    | num(2) | time (8)  | box's key  | 1 to 200 bytes  |   time: microseconds since 1970
 *   +------+------+--------+-----------+------------+------ ... ------+
 *
 * A packet on its way (kind 13); flags are not looked at
 *     0      1      2        4
 *   +------+------+--------+------ ... ------+
 *   | 0x1d | flags| num(2) | the IP packet   |   as it would be sealed for the end: it bears that end's addresses
 *   +------+------+--------+------ ... ------+
 */
#ifndef I3_BOX_WORD_H
#define I3_BOX_WORD_H

#include "daemon/i3/handshake.h"
#include "daemon/i3/inner.h"

enum box_kind { BOX_OPEN = 1, BOX_OPENED, BOX_MTU, BOX_CLOSE, BOX_MEMBER, BOX_INTRODUCE, BOX_IMPOSE, BOX_ALERT, BOX_ASK };
enum { BOX_ANONYMOUS = 1, BOX_PROVEN = 2 };
enum box_why { BOX_UNKNOWN, BOX_DENIED, BOX_LOOP, BOX_FULL, BOX_UNREACHABLE, BOX_NO_SESSION, BOX_NOT_NEXT, BOX_IDLE, BOX_WHYS };

enum {
    BOX_HEAD = 4, /* before the packet */
    BOX_SHORT_LEN = 8,
    BOX_PROOF_LEN = 16,
    BOX_KEY_WORD_LEN = 4 + BOXES_TOKEN_LEN + KEY_LEN,
    BOX_IMPOSED_MAX = 8,
    BOX_ALERT_TEXT = 200,
    BOX_WORD_MAX = 4 + BOX_IMPOSED_MAX * KEY_LEN, /* the longest */
};

struct box_word {
    enum box_kind kind;
    uint16_t num, mtu;
    uint8_t token[BOXES_TOKEN_LEN];
    uint8_t flags, why, hops;
    unsigned n;                          /* of OPEN and IMPOSE */
    struct peer_box rest[BOXES_MAX];     /* OPEN */
    uint8_t keys[BOX_IMPOSED_MAX][KEY_LEN]; /* IMPOSE */
    uint8_t key[KEY_LEN];                /* the group of OPEN; MEMBER, INTRODUCE; the box of ALERT */
    uint8_t mac[BOX_PROOF_LEN];
    uint64_t time;
    char text[BOX_ALERT_TEXT + 1]; /* printable: what is not has become '?' */
};

/* 0 or -EBADMSG. */
int box_word_decode(const uint8_t *p, size_t len, struct box_word *w);
/* The length, 0 when it does not fit or is none. */
size_t box_word_encode(uint8_t *p, size_t cap, const struct box_word *w);

/* What a member of a group shows to the end with that key: made with the group's private key, checked with the end's own. False: the other
 * key is a weak point. member: the key of its daemon. */
bool box_proof(uint8_t out[BOX_PROOF_LEN], const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN], const uint8_t token[BOXES_TOKEN_LEN],
    const uint8_t member[KEY_LEN]);

const char *box_why_text(unsigned why);

static inline void box_put_head(uint8_t out[BOX_HEAD], uint16_t num)
{
    out[0] = inner_first(INNER_BOX_DATA);
    out[1] = 0;
    out[2] = (uint8_t)(num >> 8);
    out[3] = (uint8_t)num;
}

/* The number of a data word of at least BOX_HEAD bytes. */
static inline uint16_t box_num(const uint8_t *p)
{
    return (uint16_t)(p[2] << 8 | p[3]);
}

#endif
