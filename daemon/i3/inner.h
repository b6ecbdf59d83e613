/* inner.h - what SEALED packets carry beside IP packets: words between two daemons about the way between them (path.h).
 *
 * The first byte tells them apart: an IP packet begins with the nibble 4 or 6, these begin with 1, and the low nibble is the
 * kind. One packet, one message; big-endian; trailing bytes are refused. A kind or a nibble which is not known is ignored, so
 * that newer daemons may say more.
 *
 * OFFER (1)  my addresses; `ack` is the serial of your newest offer that I have, 0 for none. ask: answer with yours
 *     0      1      2      3      4            8          12
 *   +------+------+------+------+------------+-----------+----- ... -----------+
 *   | 0x11 | ask  | n    | how  | serial (4) | ack (4)   | n addresses (20 n)  |   n: 0 to 8
 *   +------+------+------+------+------------+-----------+----- ... -----------+
 *   how: the kind of NAT that I am behind (enum nat_kind, 2 bits); 4: I have moved, and am at none of my old addresses
 *
 * CHALLENGE (2), RESPONSE (3)  is it you at the address which this was sent to? The response repeats the token
 *     0      1          4           12
 *   +------+----------+-----------+
 *   | 0x12 | 0 0 0    | token (8) |
 *   +------+----------+-----------+
 *
 * PROBE (4)  does a packet of this size get through (pmtu.h)? `size` bytes in all, zeros behind the id
 * PROBE_ACK (5)  it does; without the zeros, by the way on which the probe came
 *     0      1      2          4        8
 *   +------+------+----------+--------+--- ... --+
 *   | 0x14 | 0    | size (2) | id (4) | zeros    |
 *   +------+------+----------+--------+--- ... --+
 *
 * BYE (7)  a member of a group leaves it, and forgets this session: ask another one
 *     0      1
 *   +------+----------+
 *   | 0x17 | 0 0 0    |
 *   +------+----------+
 *
 * ROTATE (8)  my key will be that one from now on (rotation.h). Said in sessions of the old key alone, until it is answered
 *     0      1          4             36           52
 *   +------+----------+-------------+------------+
 *   | 0x18 | 0 0 0    | new key(32) | proof (16) |
 *   +------+----------+-------------+------------+
 *
 * GATEWAY (9)  between a user and its gateway: gateway/words.h
 *
 * ROTATED (10)  I have written that down; the token is the first 8 bytes of the new key. As RESPONSE
 */
#ifndef I3_INNER_H
#define I3_INNER_H

#include "include/wire.h"

enum { ROTATION_PROOF_LEN = 16, INNER_ROTATE_LEN = 4 + KEY_LEN + ROTATION_PROOF_LEN };
enum { INNER_NIBBLE = 1, OFFER_MAX = 8, INNER_OFFER_LEN = 12, INNER_TOKEN_LEN = 12, INNER_PROBE_LEN = 8, INNER_BYE_LEN = 4, INNER_MAX = INNER_OFFER_LEN + OFFER_MAX * ADDR_WIRE_LEN };

enum inner_kind { INNER_OFFER = 1, INNER_CHALLENGE = 2, INNER_RESPONSE = 3, INNER_PROBE = 4, INNER_PROBE_ACK = 5, INNER_BYE = 7, INNER_ROTATE = 8, INNER_GATEWAY = 9, INNER_ROTATED = 10, INNER_BOX = 11, INNER_BOX_DATA = 13, INNER_ANON = 14 };

/* Kinds from here on are not about the way: peers_input() hands them on (PEER_WORD). */
enum { INNER_OTHERS = INNER_ROTATE };

/* What a NAT makes of one socket, as far as its owner can tell. */
enum nat_kind { NAT_UNKNOWN, NAT_NONE, NAT_CONE /* one outside address for all */, NAT_SYMMETRIC /* one for each */, NAT_KINDS };
enum { OFFER_MOVED = 4, OFFER_HOW = 7 };

struct inner_offer {
    bool ask, moved;
    uint8_t nat;
    uint8_t n;
    uint32_t serial, ack;
    struct addr addr[OFFER_MAX];
};

struct inner_rotate {
    uint8_t key[KEY_LEN], proof[ROTATION_PROOF_LEN];
};

/* Not an IP packet. */
static inline bool inner_is(const uint8_t *p, size_t len)
{
    return len && p[0] >> 4 != 4 && p[0] >> 4 != 6;
}

/* The kind, 0 when it is of no nibble of ours. */
static inline unsigned inner_kind(const uint8_t *p, size_t len)
{
    return len && p[0] >> 4 == INNER_NIBBLE ? p[0] & 15u : 0;
}

static inline uint8_t inner_first(enum inner_kind kind)
{
    return (uint8_t)(INNER_NIBBLE << 4 | kind);
}

/* Decoders: 0 or -EBADMSG. Encoders: the length, or 0 when it does not fit. */

static inline int offer_decode(const uint8_t *p, size_t len, struct inner_offer *out)
{
    struct reader r = reader_of(p, len);
    if (get_u8(&r) != inner_first(INNER_OFFER))
        return -EBADMSG;
    uint8_t ask = get_u8(&r);
    out->ask = ask;
    out->n = get_u8(&r);
    uint8_t how = get_u8(&r);
    out->nat = how & (NAT_KINDS - 1);
    out->moved = how & OFFER_MOVED;
    out->serial = get_u32(&r);
    out->ack = get_u32(&r);
    if (ask > 1 || how > OFFER_HOW || out->n > OFFER_MAX)
        return -EBADMSG;
    for (unsigned i = 0; i < out->n; i++)
        get_addr(&r, &out->addr[i]);
    return reader_done(&r) ? 0 : -EBADMSG;
}

static inline size_t offer_encode(uint8_t *p, size_t cap, const struct inner_offer *o)
{
    struct writer w = writer_of(p, cap);
    put_u8(&w, inner_first(INNER_OFFER));
    put_u8(&w, o->ask);
    put_u8(&w, o->n);
    put_u8(&w, (uint8_t)(o->nat | (o->moved ? OFFER_MOVED : 0)));
    put_u32(&w, o->serial);
    put_u32(&w, o->ack);
    for (unsigned i = 0; i < o->n; i++)
        put_addr(&w, &o->addr[i]);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

/* CHALLENGE and RESPONSE. */
static inline int token_decode(const uint8_t *p, size_t len, enum inner_kind kind, uint64_t *token)
{
    struct reader r = reader_of(p, len);
    if (get_u32(&r) != (uint32_t)inner_first(kind) << 24)
        return -EBADMSG;
    *token = get_u64(&r);
    return reader_done(&r) ? 0 : -EBADMSG;
}

static inline size_t token_encode(uint8_t *p, size_t cap, enum inner_kind kind, uint64_t token)
{
    struct writer w = writer_of(p, cap);
    put_u32(&w, (uint32_t)inner_first(kind) << 24);
    put_u64(&w, token);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

static inline int bye_decode(const uint8_t *p, size_t len)
{
    struct reader r = reader_of(p, len);
    return get_u32(&r) == (uint32_t)inner_first(INNER_BYE) << 24 && reader_done(&r) ? 0 : -EBADMSG;
}

static inline size_t bye_encode(uint8_t *p, size_t cap)
{
    struct writer w = writer_of(p, cap);
    put_u32(&w, (uint32_t)inner_first(INNER_BYE) << 24);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

static inline int rotate_decode(const uint8_t *p, size_t len, struct inner_rotate *out)
{
    struct reader r = reader_of(p, len);
    if (get_u32(&r) != (uint32_t)inner_first(INNER_ROTATE) << 24)
        return -EBADMSG;
    get_bytes(&r, out->key, KEY_LEN);
    get_bytes(&r, out->proof, ROTATION_PROOF_LEN);
    return reader_done(&r) ? 0 : -EBADMSG;
}

static inline size_t rotate_encode(uint8_t *p, size_t cap, const struct inner_rotate *m)
{
    struct writer w = writer_of(p, cap);
    put_u32(&w, (uint32_t)inner_first(INNER_ROTATE) << 24);
    put_bytes(&w, m->key, KEY_LEN);
    put_bytes(&w, m->proof, ROTATION_PROOF_LEN);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

/* The length of a PROBE is its size; of an ACK, INNER_PROBE_LEN. What a probe is filled with is not looked at. */
static inline int probe_decode(const uint8_t *p, size_t len, enum inner_kind kind, uint16_t *size, uint32_t *id)
{
    struct reader r = reader_of(p, len);
    if (get_u16(&r) != inner_first(kind) << 8)
        return -EBADMSG;
    *size = get_u16(&r);
    *id = get_u32(&r);
    return reader_ok(&r) && len == (kind == INNER_PROBE ? *size : INNER_PROBE_LEN) ? 0 : -EBADMSG;
}

static inline size_t probe_encode(uint8_t *p, size_t cap, enum inner_kind kind, uint16_t size, uint32_t id)
{
    struct writer w = writer_of(p, cap);
    put_u16(&w, (uint16_t)(inner_first(kind) << 8));
    put_u16(&w, size);
    put_u32(&w, id);
    if (kind == INNER_PROBE)
        put_zeros(&w, size > INNER_PROBE_LEN ? size - INNER_PROBE_LEN : 0);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

#endif
