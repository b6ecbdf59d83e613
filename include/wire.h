/* wire.h - every i3 packet, byte by byte. One UDP datagram, one packet; big-endian throughout.
 *
 * Byte 0 is the version (high nibble, 1) and the kind (low nibble). A decoder checks length before
 * it reads, refuses another version, an unknown kind and trailing bytes where none belong, and
 * never allocates. Theory: paper section 2 (triggers, stacks), 5.1 (NAT), DESIGN sections 5 and 6.
 *
 * DATA (1)  a packet on its way to ids[0]; the receiver's header is 37 bytes with one id (paper 7.2)
 *     0      1      2      3      4      5              37            37+32(n-1)
 *   +------+------+------+------+------+----- ... -----+----- ... ----+---- ...
 *   | 0x11 | flags| hops | n    | proto| ids[0] (32)   | ids[1..n-1]  | payload
 *   +------+------+------+------+------+----- ... -----+----- ... ----+---- ...
 *   hops: how many more nodes may handle it. n: 1 to 15. proto: what the payload is, see below.
 *
 * INSERT (2)  host -> node: I want a trigger. No proof yet; padded with zeros to at least 80 bytes,
 *             so that the CHALLENGE is never larger than what asked for it
 *     0      1      2      3      4           36         44
 *   +------+------+------+------+-- ... ----+---- ... --+---- ... -----+---- ... ----
 *   | 0x12 | flags| plen | n    | id (32)   | nonce (8) | ids (32 n)   | zeros
 *   +------+------+------+------+-- ... ----+---- ... --+---- ... -----+---- ... ----
 *   plen: prefix length in bits minus 128 (0: the prefix alone; 128: the whole id).
 *   flags: INSERT_* below.
 *   n = 0: the target is the address this packet comes from, as the node sees it. n = 1..15: a stack of ids.
 *
 * CHALLENGE (3)  node -> host, 80 bytes; stateless: cookie = MAC(secret of the epoch; insert, source)
 *     0      1      2      4           12           28                 60
 *   +------+------+------+-- ... ----+---- ... ----+------- ... ------+----- ... -------+
 *   | 0x13 | epoch| 0 0  | nonce (8) | cookie (16) | node key (32)    | seen address(20)|
 *   +------+------+------+-- ... ----+---- ... ----+------- ... ------+----- ... -------+
 *
 * PROVE (4)  host -> node: the INSERT again, with the cookie and a proof of the id's key
 *     0 ... 44 + 32 n as INSERT (0x14), then
 *   +------+-------+-------------+-------------+----------+------------+
 *   | epoch| 0 0 0 | cookie (16) | id key (32) | seq (8)  | mac (16)   |
 *   +------+-------+-------------+-------------+----------+------------+
 *   mac: HMAC-BLAKE2s under the trigger key (i3/proof.h) over all bytes before it. seq: what the
 *   first REFRESH must exceed; random in its upper bits, so that no one off the path can guess it.
 *
 * ACK (5)  node -> host, 48 bytes: the trigger stands
 *     0      1      2           4             12                 32
 *   +------+------+-----------+--- ... -----+------ ... -------+----- ... ---+
 *   | 0x15 | 0    | seconds   | seq (8)     | seen address (20)| mac (16)    |
 *   +------+------+-----------+--- ... -----+------ ... -------+----- ... ---+
 *   seq: that of the PROVE or REFRESH. mac: under the trigger key, over all bytes before it.
 *
 * REFRESH (6)  host -> node, 60 bytes: keep it (or, with flag 1, remove it)
 *     0      1      2      3      4           36          44
 *   +------+------+------+------+-- ... ----+--- ... ---+----- ... ---+
 *   | 0x16 | flags| plen | 0    | id (32)   | seq (8)   | mac (16)    |
 *   +------+------+------+------+-- ... ----+--- ... ---+----- ... ---+
 *   seq grows with each; the node takes it only from the trigger's own address.
 *
 * NOT_PRESENT (7)  node -> sender: nobody has a trigger for this id; never larger than the packet
 *     0      1      3      4           36
 *   +------+------+------+-- ... ----+---- ... -----------+
 *   | 0x17 | 0 0  | e    | id (32)   | echo (e <= 16)     |   echo: the payload's first bytes
 *   +------+------+------+-- ... ----+---- ... -----------+
 *
 * PING (8) / PONG (9)  12 bytes: kind, three zeros, nonce (8).
 *
 * REFUSED (10)  node -> host, 12 bytes: kind, reason, two zeros, seq or nonce (8).
 *
 * RING (11)  among nodes: daemon/node/ring_wire.h.
 *
 * LOOKUP (12)  host -> node, 48 bytes: which node owns this prefix?
 *     0      1      2      4           12           28           48
 *   +------+------+------+-- ... ----+---- ... ----+---- ... ----+
 *   | 0x1c | 0    | 0 0  | nonce (8) | prefix (16) | zeros (20)  |
 *   +------+------+------+-- ... ----+---- ... ----+---- ... ----+
 *
 * OWNER (13)  node -> host, 48 bytes: the answer to a LOOKUP, and to an INSERT, PROVE or REFRESH which went to a node that does
 * not own the id; nonce: of the LOOKUP or INSERT, or the seq. Unasked, with the seq of the last REFRESH or PROVE: the trigger is
 * another node's from now on. flags 1: the node that answers is the owner, and the field is 0.0.0.0:0.
 *     0      1      2      4           12           28           48
 *   +------+------+------+-- ... ----+---- ... ----+---- ... ----+
 *   | 0x1d | flags| life | nonce (8) | prefix (16) | owner (20)  |   life: seconds for which this may be believed
 *   +------+------+------+-- ... ----+---- ... ----+---- ... ----+
 *
 * BATCH (14)  several small packets to one node, or from it to one host
 *     0      1      2      4        6                      6 + len
 *   +------+------+------+--------+-------- ... ----------+--------+---- ...
 *   | 0x1e | n    | 0 0  | len (2)| the first packet      | len (2)| the second packet, and so on: n of them
 *   +------+------+------+--------+-------- ... ----------+--------+---- ...
 *   n: 1 to 32. To a node: REFRESHes. From it: its answers to those of one BATCH, ACK, REFUSED or OWNER, in their order; one whose
 *   answer takes time is answered by itself. None of these is longer than what it answers, and so the whole is not.
 *
 * MESH (15)  among the members of a mesh, on a socket of its own: daemon/mesh/mesh_wire.h.
 *
 * A seen address is 20 bytes: family (4 or 6), zero, port (2), ip (16, IPv4 in the first four). A node sees a host that comes by TCP
 * at its end of the connection, which is of use to nobody else.
 *
 * FRAMES  by TCP, where UDP is blocked (DESIGN 6): the same packets one behind the other, each with its length before it
 *     0             2             2 + length
 *   +------+------+------ ... ------+------+------ ...
 *   | length (2)  | a packet        | length ...        length: 1 to 16384; anything else ends the connection
 *   +------+------+------ ... ------+------+------ ...
 */
#ifndef I3_WIRE_H
#define I3_WIRE_H

#include <errno.h>

#include "include/addr.h"
#include "include/bytes.h"

enum {
    WIRE_VERSION = 1,
    ID_LEN = 32,
    ID_PREFIX_LEN = 16, /* bytes which choose the node and which must match */
    KEY_LEN = 32,       /* an X25519 key */
    MAC_LEN = 16,
    COOKIE_LEN = 16,
    NONCE_LEN = 8,
    STACK_MAX = 15, /* ids in one packet or one trigger's target */
    HOPS_DEFAULT = 16,
    ADDR_WIRE_LEN = 20,
    NOT_PRESENT_ECHO = 16,

    DATA_FIXED_LEN = 5,
    DATA_HEADER_LEN = DATA_FIXED_LEN + ID_LEN, /* with one id: 37 */
    INSERT_FIXED_LEN = 44,
    INSERT_MIN_LEN = 80,
    CHALLENGE_LEN = 80,
    PROVE_TAIL_LEN = 4 + COOKIE_LEN + KEY_LEN + 8 + MAC_LEN,
    ACK_LEN = 48,
    REFRESH_LEN = 60,
    NOT_PRESENT_MIN_LEN = 36,
    PING_LEN = 12,
    REFUSED_LEN = 12,
    OWNER_LEN = 48, /* and LOOKUP */
    BATCH_HEADER_LEN = 4,
    BATCH_MAX = 32, /* packets in a BATCH */
    WIRE_MAX_LEN = 65507,
    FRAME_HEAD = 2,
    FRAME_MAX_LEN = 16384, /* of the packet in a frame */
};

enum wire_kind {
    WIRE_DATA = 1,
    WIRE_INSERT,
    WIRE_CHALLENGE,
    WIRE_PROVE,
    WIRE_ACK,
    WIRE_REFRESH,
    WIRE_NOT_PRESENT,
    WIRE_PING,
    WIRE_PONG,
    WIRE_REFUSED,
    WIRE_RING,
    WIRE_LOOKUP,
    WIRE_OWNER,
    WIRE_BATCH,
    WIRE_MESH,
};

/* DATA flags */
enum { DATA_SHORTCUT = 1, DATA_FLAGS = 1 }; /* the sender would take a shortcut (paper 5.2) */
/* INSERT flags */
enum {
    INSERT_SHORTCUT = 1, /* the receiver allows one */
    INSERT_ALONE = 2,    /* the id is one host's: what it has left under it at other addresses, with this flag, goes */
    INSERT_FLAGS = 3,
};
/* REFRESH flags */
enum { REFRESH_REMOVE = 1, REFRESH_FLAGS = 1 };

/* OWNER flags */
enum { OWNER_SELF = 1, OWNER_FLAGS = 1 };

/* What a DATA packet carries. The node does not care. */
enum wire_proto {
    PROTO_HANDSHAKE_INIT = 1, /* i3/peer.h */
    PROTO_HANDSHAKE_RESPONSE = 2,
    PROTO_SEALED = 3,
    PROTO_PLAIN = 4,
    PROTO_GROUP = 5, /* i3/group.h */
    PROTO_JOIN = 8,  /* i3/invite.h */
    PROTO_JOINED = 9,
    PROTO_NAME = 12, /* naming/hashname.h */
    PROTO_COOKIE = 10, /* i3/cookie.h */
};

enum refused_reason {
    REFUSED_UNKNOWN = 1, /* no such trigger from your address: insert it anew */
    REFUSED_COOKIE = 2,  /* stale cookie: start over */
    REFUSED_PROOF = 3,   /* the key does not hash to the id, or the mac is wrong */
    REFUSED_FULL = 4,    /* the store is full */
    REFUSED_POLICY = 5,  /* stack too deep, or too many triggers */
    REFUSED_RATE = 6,    /* you send too fast; seq: the first 8 bytes of the id that DATA was for, else 0. Said once, until you slow down */
};

/* A 256-bit i3 identifier: 128-bit prefix (chooses the node), 128-bit suffix. */
struct i3_id {
    uint8_t b[ID_LEN];
};

struct wire_data {
    uint8_t flags, hops, n, proto;
    const uint8_t *ids; /* n * ID_LEN bytes, in place */
    const uint8_t *payload;
    size_t payload_len;
};

struct wire_insert {
    uint8_t flags;
    uint16_t plen; /* bits, 128..256 */
    uint8_t n;     /* ids in the target; 0: the sender's address */
    struct i3_id id;
    uint8_t nonce[NONCE_LEN];
    const uint8_t *ids; /* n * ID_LEN bytes, in place */
};

struct wire_challenge {
    uint8_t epoch;
    uint8_t nonce[NONCE_LEN];
    uint8_t cookie[COOKIE_LEN];
    uint8_t node_key[KEY_LEN];
    struct addr seen;
};

struct wire_prove {
    struct wire_insert insert;
    uint8_t epoch;
    uint8_t cookie[COOKIE_LEN];
    uint8_t key[KEY_LEN];
    uint64_t seq;
    uint8_t mac[MAC_LEN];
};

struct wire_ack {
    uint16_t seconds;
    uint64_t seq;
    struct addr seen;
    uint8_t mac[MAC_LEN];
};

struct wire_refresh {
    uint8_t flags;
    uint16_t plen;
    struct i3_id id;
    uint64_t seq;
    uint8_t mac[MAC_LEN];
};

struct wire_not_present {
    struct i3_id id;
    uint8_t echo_len;
    uint8_t echo[NOT_PRESENT_ECHO];
};

struct wire_refused {
    uint8_t reason;
    uint64_t seq;
};

struct wire_owner {
    uint8_t flags;
    uint16_t seconds;
    uint64_t nonce;
    uint8_t prefix[ID_PREFIX_LEN];
    struct addr owner;
};

struct wire_batch {
    unsigned n;
    struct reader packets; /* for batch_next() */
};

/* The kind of a packet, or 0 when it is empty or of another version. */
static inline unsigned wire_kind(const uint8_t *p, size_t len)
{
    return len && p[0] >> 4 == WIRE_VERSION ? p[0] & 15u : 0;
}

static inline uint8_t wire_first(enum wire_kind kind)
{
    return (uint8_t)(WIRE_VERSION << 4 | kind);
}

/* The kind byte checked off; the cursor fails when it is not `kind` of this version. */
static inline void wire_expect(struct reader *r, enum wire_kind kind)
{
    if (get_u8(r) != wire_first(kind))
        r->failed = true;
}

/* n bytes which must be zero. */
static inline void wire_expect_zeros(struct reader *r, size_t n)
{
    while (n--)
        if (get_u8(r))
            r->failed = true;
}

/* The bytes of the frame at p, with its length: 0 while it is not whole, -EMSGSIZE when it can be none. */
static inline int frame_next(const uint8_t *p, size_t len)
{
    unsigned n = len < FRAME_HEAD ? 1 : (unsigned)p[0] << 8 | p[1];
    if (!n || n > FRAME_MAX_LEN)
        return -EMSGSIZE;
    return len >= FRAME_HEAD + n ? FRAME_HEAD + (int)n : 0;
}

static inline void frame_head(uint8_t head[FRAME_HEAD], size_t len)
{
    head[0] = (uint8_t)(len >> 8);
    head[1] = (uint8_t)len;
}

static inline void put_addr(struct writer *w, const struct addr *a)
{
    put_u8(w, a->family);
    put_u8(w, 0);
    put_u16(w, a->port);
    put_bytes(w, a->ip, sizeof(a->ip));
}

static inline void get_addr(struct reader *r, struct addr *a)
{
    static const uint8_t zeros[12];
    memset(a, 0, sizeof(*a));
    a->family = get_u8(r);
    wire_expect_zeros(r, 1);
    a->port = get_u16(r);
    get_bytes(r, a->ip, sizeof(a->ip));
    if ((a->family != 4 && a->family != 6) || (a->family == 4 && memcmp(a->ip + 4, zeros, sizeof(zeros))))
        r->failed = true;
}

/* Each decoder returns 0 or -EBADMSG, and fills `out` only with spans inside [p, p + len).
 * Each encoder returns the length written, or 0 when it does not fit in cap. */

static inline int data_decode(const uint8_t *p, size_t len, struct wire_data *out)
{
    struct reader r = reader_of(p, len);
    wire_expect(&r, WIRE_DATA);
    out->flags = get_u8(&r);
    out->hops = get_u8(&r);
    out->n = get_u8(&r);
    out->proto = get_u8(&r);
    if (out->flags & ~DATA_FLAGS || out->n < 1 || out->n > STACK_MAX)
        return -EBADMSG;
    out->ids = get_span(&r, (size_t)out->n * ID_LEN);
    out->payload_len = reader_left(&r);
    out->payload = r.at;
    return reader_ok(&r) ? 0 : -EBADMSG;
}

/* Only the header: the payload follows at the returned offset. */
static inline size_t data_header_encode(uint8_t *p, size_t cap, const struct wire_data *d)
{
    struct writer w = writer_of(p, cap);
    put_u8(&w, wire_first(WIRE_DATA));
    put_u8(&w, d->flags);
    put_u8(&w, d->hops);
    put_u8(&w, d->n);
    put_u8(&w, d->proto);
    put_bytes(&w, d->ids, (size_t)d->n * ID_LEN);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

static inline void get_insert_body(struct reader *r, struct wire_insert *out)
{
    out->flags = get_u8(r);
    out->plen = (uint16_t)(get_u8(r) + 128u);
    out->n = get_u8(r);
    get_bytes(r, out->id.b, ID_LEN);
    get_bytes(r, out->nonce, NONCE_LEN);
    if (out->flags & ~INSERT_FLAGS || out->plen > 256 || out->n > STACK_MAX)
        r->failed = true;
    out->ids = get_span(r, (size_t)out->n * ID_LEN);
}

static inline void put_insert_body(struct writer *w, const struct wire_insert *i)
{
    put_u8(w, i->flags);
    put_u8(w, (uint8_t)(i->plen - 128));
    put_u8(w, i->n);
    put_bytes(w, i->id.b, ID_LEN);
    put_bytes(w, i->nonce, NONCE_LEN);
    put_bytes(w, i->ids, (size_t)i->n * ID_LEN);
}

static inline int insert_decode(const uint8_t *p, size_t len, struct wire_insert *out)
{
    struct reader r = reader_of(p, len);
    wire_expect(&r, WIRE_INSERT);
    get_insert_body(&r, out);
    if (r.failed || len < INSERT_MIN_LEN)
        return -EBADMSG;
    wire_expect_zeros(&r, reader_left(&r));
    return reader_done(&r) ? 0 : -EBADMSG;
}

static inline size_t insert_encode(uint8_t *p, size_t cap, const struct wire_insert *i)
{
    struct writer w = writer_of(p, cap);
    put_u8(&w, wire_first(WIRE_INSERT));
    put_insert_body(&w, i);
    if (writer_len(&w) < INSERT_MIN_LEN)
        put_zeros(&w, INSERT_MIN_LEN - writer_len(&w));
    return writer_ok(&w) ? writer_len(&w) : 0;
}

static inline int challenge_decode(const uint8_t *p, size_t len, struct wire_challenge *out)
{
    struct reader r = reader_of(p, len);
    wire_expect(&r, WIRE_CHALLENGE);
    out->epoch = get_u8(&r);
    wire_expect_zeros(&r, 2);
    get_bytes(&r, out->nonce, NONCE_LEN);
    get_bytes(&r, out->cookie, COOKIE_LEN);
    get_bytes(&r, out->node_key, KEY_LEN);
    get_addr(&r, &out->seen);
    return reader_done(&r) ? 0 : -EBADMSG;
}

static inline size_t challenge_encode(uint8_t *p, size_t cap, const struct wire_challenge *c)
{
    struct writer w = writer_of(p, cap);
    put_u8(&w, wire_first(WIRE_CHALLENGE));
    put_u8(&w, c->epoch);
    put_zeros(&w, 2);
    put_bytes(&w, c->nonce, NONCE_LEN);
    put_bytes(&w, c->cookie, COOKIE_LEN);
    put_bytes(&w, c->node_key, KEY_LEN);
    put_addr(&w, &c->seen);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

static inline int prove_decode(const uint8_t *p, size_t len, struct wire_prove *out)
{
    struct reader r = reader_of(p, len);
    wire_expect(&r, WIRE_PROVE);
    get_insert_body(&r, &out->insert);
    out->epoch = get_u8(&r);
    wire_expect_zeros(&r, 3);
    get_bytes(&r, out->cookie, COOKIE_LEN);
    get_bytes(&r, out->key, KEY_LEN);
    out->seq = get_u64(&r);
    get_bytes(&r, out->mac, MAC_LEN);
    return reader_done(&r) ? 0 : -EBADMSG;
}

/* With the mac as it stands in `v`; the caller computes it over all but the last MAC_LEN bytes. */
static inline size_t prove_encode(uint8_t *p, size_t cap, const struct wire_prove *v)
{
    struct writer w = writer_of(p, cap);
    put_u8(&w, wire_first(WIRE_PROVE));
    put_insert_body(&w, &v->insert);
    put_u8(&w, v->epoch);
    put_zeros(&w, 3);
    put_bytes(&w, v->cookie, COOKIE_LEN);
    put_bytes(&w, v->key, KEY_LEN);
    put_u64(&w, v->seq);
    put_bytes(&w, v->mac, MAC_LEN);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

static inline int ack_decode(const uint8_t *p, size_t len, struct wire_ack *out)
{
    struct reader r = reader_of(p, len);
    wire_expect(&r, WIRE_ACK);
    wire_expect_zeros(&r, 1);
    out->seconds = get_u16(&r);
    out->seq = get_u64(&r);
    get_addr(&r, &out->seen);
    get_bytes(&r, out->mac, MAC_LEN);
    return reader_done(&r) ? 0 : -EBADMSG;
}

static inline size_t ack_encode(uint8_t *p, size_t cap, const struct wire_ack *a)
{
    struct writer w = writer_of(p, cap);
    put_u8(&w, wire_first(WIRE_ACK));
    put_zeros(&w, 1);
    put_u16(&w, a->seconds);
    put_u64(&w, a->seq);
    put_addr(&w, &a->seen);
    put_bytes(&w, a->mac, MAC_LEN);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

static inline int refresh_decode(const uint8_t *p, size_t len, struct wire_refresh *out)
{
    struct reader r = reader_of(p, len);
    wire_expect(&r, WIRE_REFRESH);
    out->flags = get_u8(&r);
    out->plen = (uint16_t)(get_u8(&r) + 128u);
    wire_expect_zeros(&r, 1);
    get_bytes(&r, out->id.b, ID_LEN);
    out->seq = get_u64(&r);
    get_bytes(&r, out->mac, MAC_LEN);
    if (out->flags & ~REFRESH_FLAGS || out->plen > 256)
        return -EBADMSG;
    return reader_done(&r) ? 0 : -EBADMSG;
}

static inline size_t refresh_encode(uint8_t *p, size_t cap, const struct wire_refresh *f)
{
    struct writer w = writer_of(p, cap);
    put_u8(&w, wire_first(WIRE_REFRESH));
    put_u8(&w, f->flags);
    put_u8(&w, (uint8_t)(f->plen - 128));
    put_zeros(&w, 1);
    put_bytes(&w, f->id.b, ID_LEN);
    put_u64(&w, f->seq);
    put_bytes(&w, f->mac, MAC_LEN);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

static inline int not_present_decode(const uint8_t *p, size_t len, struct wire_not_present *out)
{
    struct reader r = reader_of(p, len);
    wire_expect(&r, WIRE_NOT_PRESENT);
    wire_expect_zeros(&r, 2);
    out->echo_len = get_u8(&r);
    get_bytes(&r, out->id.b, ID_LEN);
    if (out->echo_len > NOT_PRESENT_ECHO)
        return -EBADMSG;
    get_bytes(&r, out->echo, out->echo_len);
    return reader_done(&r) ? 0 : -EBADMSG;
}

static inline size_t not_present_encode(uint8_t *p, size_t cap, const struct wire_not_present *n)
{
    struct writer w = writer_of(p, cap);
    put_u8(&w, wire_first(WIRE_NOT_PRESENT));
    put_zeros(&w, 2);
    put_u8(&w, n->echo_len);
    put_bytes(&w, n->id.b, ID_LEN);
    put_bytes(&w, n->echo, n->echo_len);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

/* PING and PONG are alike but for the kind. */
static inline int ping_decode(const uint8_t *p, size_t len, enum wire_kind kind, uint8_t nonce[NONCE_LEN])
{
    struct reader r = reader_of(p, len);
    wire_expect(&r, kind);
    wire_expect_zeros(&r, 3);
    get_bytes(&r, nonce, NONCE_LEN);
    return reader_done(&r) ? 0 : -EBADMSG;
}

static inline size_t ping_encode(uint8_t *p, size_t cap, enum wire_kind kind, const uint8_t nonce[NONCE_LEN])
{
    struct writer w = writer_of(p, cap);
    put_u8(&w, wire_first(kind));
    put_zeros(&w, 3);
    put_bytes(&w, nonce, NONCE_LEN);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

static inline int refused_decode(const uint8_t *p, size_t len, struct wire_refused *out)
{
    struct reader r = reader_of(p, len);
    wire_expect(&r, WIRE_REFUSED);
    out->reason = get_u8(&r);
    wire_expect_zeros(&r, 2);
    out->seq = get_u64(&r);
    return reader_done(&r) ? 0 : -EBADMSG;
}

static inline size_t refused_encode(uint8_t *p, size_t cap, const struct wire_refused *f)
{
    struct writer w = writer_of(p, cap);
    put_u8(&w, wire_first(WIRE_REFUSED));
    put_u8(&w, f->reason);
    put_zeros(&w, 2);
    put_u64(&w, f->seq);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

static inline int lookup_decode(const uint8_t *p, size_t len, uint64_t *nonce, uint8_t prefix[ID_PREFIX_LEN])
{
    struct reader r = reader_of(p, len);
    wire_expect(&r, WIRE_LOOKUP);
    wire_expect_zeros(&r, 3);
    *nonce = get_u64(&r);
    get_bytes(&r, prefix, ID_PREFIX_LEN);
    wire_expect_zeros(&r, ADDR_WIRE_LEN);
    return reader_done(&r) ? 0 : -EBADMSG;
}

static inline size_t lookup_encode(uint8_t *p, size_t cap, uint64_t nonce, const uint8_t prefix[ID_PREFIX_LEN])
{
    struct writer w = writer_of(p, cap);
    put_u8(&w, wire_first(WIRE_LOOKUP));
    put_zeros(&w, 3);
    put_u64(&w, nonce);
    put_bytes(&w, prefix, ID_PREFIX_LEN);
    put_zeros(&w, ADDR_WIRE_LEN);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

static inline int owner_decode(const uint8_t *p, size_t len, struct wire_owner *out)
{
    struct reader r = reader_of(p, len);
    wire_expect(&r, WIRE_OWNER);
    out->flags = get_u8(&r);
    out->seconds = get_u16(&r);
    out->nonce = get_u64(&r);
    get_bytes(&r, out->prefix, ID_PREFIX_LEN);
    get_addr(&r, &out->owner);
    if (out->flags & ~OWNER_FLAGS || (out->owner.port == 0) != (out->flags == OWNER_SELF))
        return -EBADMSG;
    return reader_done(&r) ? 0 : -EBADMSG;
}

static inline size_t owner_encode(uint8_t *p, size_t cap, const struct wire_owner *o)
{
    struct writer w = writer_of(p, cap);
    put_u8(&w, wire_first(WIRE_OWNER));
    put_u8(&w, o->flags);
    put_u16(&w, o->seconds);
    put_u64(&w, o->nonce);
    put_bytes(&w, o->prefix, ID_PREFIX_LEN);
    put_addr(&w, &o->owner);
    return writer_ok(&w) ? writer_len(&w) : 0;
}

/* The next packet of a batch in place, or NULL: that was the last. */
static inline const uint8_t *batch_next(struct reader *packets, size_t *len)
{
    *len = reader_left(packets) ? get_u16(packets) : 0;
    return *len ? get_span(packets, *len) : NULL;
}

static inline bool batch_may_hold(unsigned kind)
{
    return kind == WIRE_REFRESH || kind == WIRE_ACK || kind == WIRE_REFUSED || kind == WIRE_OWNER;
}

/* Whole or not at all; the packets themselves are still to be decoded. */
static inline int batch_decode(const uint8_t *p, size_t len, struct wire_batch *out)
{
    struct reader r = reader_of(p, len);
    wire_expect(&r, WIRE_BATCH);
    out->n = get_u8(&r);
    wire_expect_zeros(&r, 2);
    out->packets = r;
    for (unsigned i = 0; i < out->n; i++) {
        size_t n;
        const uint8_t *packet = batch_next(&r, &n);
        if (!packet || !batch_may_hold(wire_kind(packet, n)))
            return -EBADMSG;
    }
    return out->n >= 1 && out->n <= BATCH_MAX && reader_done(&r) ? 0 : -EBADMSG;
}

/* An empty one, to be filled; it is one from the first packet on. */
static inline struct writer batch_begin(uint8_t *p, size_t cap)
{
    struct writer w = writer_of(p, cap);
    put_u8(&w, wire_first(WIRE_BATCH));
    put_zeros(&w, 3);
    return w;
}

/* False, and nothing written, when there is no room for it. */
static inline bool batch_add(struct writer *w, const uint8_t *p, size_t len)
{
    if (w->failed || (size_t)(w->end - w->at) < 2 + len || w->start[1] == BATCH_MAX)
        return false;
    put_u16(w, (uint16_t)len);
    put_bytes(w, p, len);
    w->start[1]++;
    return true;
}

#endif
