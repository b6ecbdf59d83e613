/* invite.h - an invitation as text, and the two messages by which it is taken up (`i3ctl share`, `join`).
 *
 * The code is what one person gives to another, by whatever way: whoever has it, and nobody else, may join, once and for ten minutes.
 *
 *   header(1) | token(16) | prefix(16) | nodes: n4 of ip(4) port(2), then n6 of ip(16) port(2) | check(2)
 *     header   version(4 bits, 1) | n4(2 bits) | n6(2 bits); INVITE_NODES in all
 *     prefix   of the inviter's public id, which certifies the key that answers
 *     check    the first two bytes of BLAKE2s("i3run invite v1" || all before them): tells what was mistyped
 *
 * It is written in base32, groups of six with '-' between: 66 letters and digits with one IPv4 node. Read in either case, with or without
 * '-', spaces and dots; 0, 1 and 8, which are no base32, are read as o, l and b.
 *
 *     joiner                                                     inviter
 *       JOIN    to the inviter's public id   ------------------>  is there an invitation with that tag? does the mac hold?
 *                                                                 (no: silence, at the price of a hash)
 *               to the joiner's public id    <------------------  JOINED, or REFUSAL
 *
 *   JOIN, JOINED (184 bytes both)
 *   0          8        40                88                        168         184
 *   +----------+--------+-----------------+-------------------------+-----------+
 *   | tag (8)  | e (32) | enc s (32 + 16) | enc payload (64 + 16)   | mac (16)  |
 *   +----------+--------+-----------------+-------------------------+-----------+
 *     tag      first 8 of BLAKE2s("i3run join tag v1" || token)
 *     mac      first 16 of HMAC-BLAKE2s(BLAKE2s("i3run join mac v1" || token), PROTO_... || everything before)
 *     between  Noise_IXpsk0_25519_ChaChaPoly_BLAKE2s, prologue "i3run join v1", psk = BLAKE2s("i3run join psk v1" || token || prefix)
 *     payload of JOIN     0(3) | length(1) | name(60): what the joiner would be called
 *     payload of JOINED   IP protocol(1) | port(2) | length(1) | name(60): what is open, and what the inviter would be called
 *
 *   REFUSAL (32 bytes): tag (8) | why (1) | 0 (7) | mac (16)
 *     why      enum join_refusal: only who has the code asks, and only who has it can read or make the answer
 *     mac      first 16 of HMAC-BLAKE2s(BLAKE2s("i3run join mac v1" || token), PROTO_JOINED || everything before || the mac of the JOIN)
 *
 * So both prove that they know the token, bound to both static keys, which travel encrypted under it; the inviter proves to have the key of
 * the prefix, so that somebody who has seen the code cannot pose as the inviter. The joiner's key is proven by the session that follows,
 * before it gets anything. Once taken up by one key an invitation is of no use to another; the same joiner who asks again, as the answer
 * was lost, gets it again. A JOIN that is played again by somebody who has recorded it has the same effect: none.
 */
#ifndef I3_INVITE_H
#define I3_INVITE_H

#include "daemon/base/id.h"
#include "daemon/i3/noise.h"

enum {
    INVITE_TOKEN_LEN = 16,
    INVITE_NODES = 3,
    INVITE_BYTES_MIN = 1 + INVITE_TOKEN_LEN + ID_PREFIX_LEN + 2,
    INVITE_BYTES_MAX = INVITE_BYTES_MIN + INVITE_NODES * 18,
    INVITE_STR = BASE32_LEN(INVITE_BYTES_MAX) * 7 / 6 + 2,
    INVITE_TAG_LEN = 8,
    INVITE_NAME_MAX = 60, /* one label of a name */
    INVITE_PAYLOAD = 64,
    JOIN_LEN = INVITE_TAG_LEN + NOISE_IX_FIRST_OVERHEAD + INVITE_PAYLOAD + MAC_LEN,
    JOINED_LEN = INVITE_TAG_LEN + NOISE_IX_SECOND_OVERHEAD + INVITE_PAYLOAD + MAC_LEN,
    REFUSAL_LEN = INVITE_TAG_LEN + 8 + MAC_LEN,
};

/* Used by somebody else; too late; taken back; right, but it cannot be done at present. */
enum join_refusal { JOIN_USED = 1, JOIN_OVER = 2, JOIN_WITHDRAWN = 3, JOIN_TROUBLE = 4, JOIN_REFUSALS };

struct invite {
    uint8_t token[INVITE_TOKEN_LEN];
    uint8_t prefix[ID_PREFIX_LEN];
    unsigned n;
    struct addr nodes[INVITE_NODES];
};

/* What is open to the joiner, and under which name the inviter would be known. */
struct joined {
    uint8_t proto;
    uint16_t port;
    char name[INVITE_NAME_MAX + 1];
};

void invite_format(const struct invite *i, char out[INVITE_STR]);
/* 0, -EINVAL: that is no invitation, -EMSGSIZE: characters are missing or too many, -EBADMSG: some are mistyped, -EPROTONOSUPPORT: of a newer version. */
int invite_parse(const char *text, struct invite *out);

void invite_tag(uint8_t out[INVITE_TAG_LEN], const uint8_t token[INVITE_TOKEN_LEN]);

/* The joiner's first message, JOIN_LEN bytes; name: one label, at most INVITE_NAME_MAX. 0 or -EINVAL. n is kept for the answer. */
int join_write(struct noise *n, const struct invite *i, const uint8_t e_priv[KEY_LEN], const uint8_t priv[KEY_LEN],
    const uint8_t pub[KEY_LEN], const char *name, uint8_t out[JOIN_LEN]);
/* A JOIN (or with PROTO_JOINED, a JOINED) for this token: its tag and mac. The price of two hashes. */
bool join_is_for(const uint8_t token[INVITE_TOKEN_LEN], enum wire_proto proto, const uint8_t *p, size_t len);
/* After join_is_for(): who (n->rs), and what it would be called. 0 or -EBADMSG. pub: the inviter's. */
int join_read(struct noise *n, const uint8_t token[INVITE_TOKEN_LEN], const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN],
    const uint8_t p[JOIN_LEN], char name[INVITE_NAME_MAX + 1]);
/* The answer, JOINED_LEN bytes. 0, -EINVAL or -EKEYREJECTED. */
int joined_write(struct noise *n, const uint8_t token[INVITE_TOKEN_LEN], const uint8_t e_priv[KEY_LEN], const struct joined *j,
    uint8_t out[JOINED_LEN]);
/* The other answer, to that JOIN. */
void refusal_write(const uint8_t token[INVITE_TOKEN_LEN], const uint8_t join[JOIN_LEN], enum join_refusal why, uint8_t out[REFUSAL_LEN]);
/* 0 or -EBADMSG. */
int refusal_read(const uint8_t token[INVITE_TOKEN_LEN], const uint8_t join[JOIN_LEN], const uint8_t *p, size_t len, enum join_refusal *why);
/* With a copy of what join_write() left, after join_is_for(): 0 and the inviter's key in n->rs, or -EBADMSG. */
int joined_read(struct noise *n, const struct invite *i, const uint8_t p[JOINED_LEN], struct joined *j);

#endif
