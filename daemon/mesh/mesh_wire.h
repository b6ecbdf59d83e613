/* mesh_wire.h - the datagrams of a mesh (mesh.h), beside DATA (include/wire.h), which members send each other as it is.
 *
 * Ids are those of the members' public keys; `by` is who sends this very datagram, of 8 bytes of it. Big-endian; trailing bytes are
 * refused.
 *
 * PROBE (1)  are you there? 76 bytes, the answer as well
 *     0      1      2      3      4         12        20            28          36          44         52         60        76
 *   +------+------+------+------+---------+---------+-------------+-----------+-----------+----------+----------+---------+
 *   | 0x1f | 1    | flags| 0    | by (8)  | to (8)  | my life (8) | yours (8) | serial (8)| token (8)| echo (8) | mac(16) |
 *   +------+------+------+------+---------+---------+-------------+-----------+-----------+----------+----------+---------+
 *   flags 1: answer, with my token as your echo. life: drawn at each start; yours: 0 while unknown. serial: counts up in a life.
 *   mac: HMAC-BLAKE2s under the two keys' secret, over all bytes before it.
 *
 * VECTOR (2)  what my links are like, sealed; 44 + 12 n bytes, n <= 96
 *     0      1      2      3      4         12        20           28                 28 + 12 n
 *   +------+------+------+------+---------+---------+------------+----- ... ---------+----------+
 *   | 0x1f | 2    | n    | 0    | by (8)  | to (8)  | counter(8) | n links, sealed   | tag (16) |
 *   +------+------+------+------+---------+---------+------------+----- ... ---------+----------+
 *   a link: id(8) | rtt(2, units of 0.1 ms; 0xffff: down) | loss(2, of 10000)
 *
 * RELAY (3)  a packet on its detour
 *     0      1      2      3      4         12          28            44           52         68
 *   +------+------+------+------+---------+-----------+-------------+------------+----------+------ ... -------+
 *   | 0x1f | 3    | hop  | 0    | by (8)  | to (16)   | from (16)   | counter(8) | tag (16) | a DATA packet    |
 *   +------+------+------+------+---------+-----------+-------------+------------+----------+------ ... -------+
 *   hop 1: from `from` to a relay; 2: from the relay to `to`. tag: AES-256-GCM's under the link's key, over no text and, as its
 *   associated data, the first 52 bytes, the packet's length (4) and its first 72 bytes: who is not on the way can make none up, and
 *   what lies behind is protected by the session.
 */
#ifndef I3_MESH_WIRE_H
#define I3_MESH_WIRE_H

#include "include/wire.h"

enum { MESH_PROBE = 1, MESH_VECTOR, MESH_RELAY, MESH_TYPES };
enum { MESH_ASK = 1 };

enum {
    MESH_ID = 8,
    MESH_PROBE_LEN = 76,
    MESH_PROBE_SIGNED = MESH_PROBE_LEN - MAC_LEN,
    MESH_LINK_LEN = 12,
    MESH_LINKS_MAX = 96,
    MESH_VECTOR_HEAD = 28,
    MESH_VECTOR_MAX = MESH_VECTOR_HEAD + MESH_LINKS_MAX * MESH_LINK_LEN + MAC_LEN,
    MESH_HEAD = 68, /* before a packet to a relay */
    MESH_HEAD_SIGNED = 52,
    MESH_COVERS = 72, /* bytes of the packet */
    MESH_DOWN = 0xffff,
};

struct mesh_probe {
    uint8_t flags;
    uint8_t by[MESH_ID], to[MESH_ID];
    uint64_t mine, yours, serial, token, echo;
    const uint8_t *mac; /* decoded: in place */
};

struct mesh_link {
    uint8_t id[MESH_ID];
    uint16_t rtt, loss;
};

struct mesh_vector {
    uint8_t n;
    uint8_t by[MESH_ID], to[MESH_ID];
    uint64_t counter;
    const uint8_t *sealed; /* decoded: n links and the tag, in place */
};

struct mesh_relay {
    uint8_t hop;
    uint8_t by[MESH_ID], to[ID_PREFIX_LEN], from[ID_PREFIX_LEN];
    uint64_t counter;
    const uint8_t *tag, *packet; /* decoded: in place */
    size_t packet_len;
};

/* MESH_PROBE and so on, 0: none that is known. */
static inline unsigned mesh_type(const uint8_t *p, size_t len)
{
    return len >= 4 && p[0] == wire_first(WIRE_MESH) && p[1] < MESH_TYPES ? p[1] : 0;
}

static inline void mesh_put_head(struct writer *w, unsigned type, uint8_t second)
{
    put_u8(w, wire_first(WIRE_MESH));
    put_u8(w, (uint8_t)type);
    put_u8(w, second);
    put_u8(w, 0);
}

static inline uint8_t mesh_get_head(struct reader *r, unsigned type)
{
    wire_expect(r, WIRE_MESH);
    if (get_u8(r) != type)
        r->failed = true;
    uint8_t second = get_u8(r);
    wire_expect_zeros(r, 1);
    return second;
}

/* All but the mac: MESH_PROBE_SIGNED bytes. */
static inline void mesh_probe_encode(uint8_t p[MESH_PROBE_LEN], const struct mesh_probe *v)
{
    struct writer w = writer_of(p, MESH_PROBE_LEN);
    mesh_put_head(&w, MESH_PROBE, v->flags);
    put_bytes(&w, v->by, MESH_ID);
    put_bytes(&w, v->to, MESH_ID);
    put_u64(&w, v->mine);
    put_u64(&w, v->yours);
    put_u64(&w, v->serial);
    put_u64(&w, v->token);
    put_u64(&w, v->echo);
}

static inline int mesh_probe_decode(const uint8_t *p, size_t len, struct mesh_probe *v)
{
    struct reader r = reader_of(p, len);
    v->flags = mesh_get_head(&r, MESH_PROBE);
    get_bytes(&r, v->by, MESH_ID);
    get_bytes(&r, v->to, MESH_ID);
    v->mine = get_u64(&r);
    v->yours = get_u64(&r);
    v->serial = get_u64(&r);
    v->token = get_u64(&r);
    v->echo = get_u64(&r);
    v->mac = get_span(&r, MAC_LEN);
    return reader_done(&r) && v->flags <= MESH_ASK && v->mine ? 0 : -EBADMSG;
}

static inline void mesh_vector_encode(uint8_t p[MESH_VECTOR_HEAD], const struct mesh_vector *v)
{
    struct writer w = writer_of(p, MESH_VECTOR_HEAD);
    mesh_put_head(&w, MESH_VECTOR, v->n);
    put_bytes(&w, v->by, MESH_ID);
    put_bytes(&w, v->to, MESH_ID);
    put_u64(&w, v->counter);
}

static inline int mesh_vector_decode(const uint8_t *p, size_t len, struct mesh_vector *v)
{
    struct reader r = reader_of(p, len);
    v->n = mesh_get_head(&r, MESH_VECTOR);
    get_bytes(&r, v->by, MESH_ID);
    get_bytes(&r, v->to, MESH_ID);
    v->counter = get_u64(&r);
    v->sealed = get_span(&r, (size_t)v->n * MESH_LINK_LEN + MAC_LEN);
    return reader_done(&r) && v->n <= MESH_LINKS_MAX ? 0 : -EBADMSG;
}

static inline void mesh_link_encode(uint8_t p[MESH_LINK_LEN], const struct mesh_link *v)
{
    struct writer w = writer_of(p, MESH_LINK_LEN);
    put_bytes(&w, v->id, MESH_ID);
    put_u16(&w, v->rtt);
    put_u16(&w, v->loss);
}

static inline void mesh_link_decode(const uint8_t p[MESH_LINK_LEN], struct mesh_link *v)
{
    struct reader r = reader_of(p, MESH_LINK_LEN);
    get_bytes(&r, v->id, MESH_ID);
    v->rtt = get_u16(&r);
    v->loss = get_u16(&r);
}

/* All but the tag: MESH_HEAD_SIGNED bytes. */
static inline void mesh_relay_encode(uint8_t p[MESH_HEAD], const struct mesh_relay *v)
{
    struct writer w = writer_of(p, MESH_HEAD);
    mesh_put_head(&w, MESH_RELAY, v->hop);
    put_bytes(&w, v->by, MESH_ID);
    put_bytes(&w, v->to, ID_PREFIX_LEN);
    put_bytes(&w, v->from, ID_PREFIX_LEN);
    put_u64(&w, v->counter);
}

static inline int mesh_relay_decode(const uint8_t *p, size_t len, struct mesh_relay *v)
{
    struct reader r = reader_of(p, len);
    v->hop = mesh_get_head(&r, MESH_RELAY);
    get_bytes(&r, v->by, MESH_ID);
    get_bytes(&r, v->to, ID_PREFIX_LEN);
    get_bytes(&r, v->from, ID_PREFIX_LEN);
    v->counter = get_u64(&r);
    v->tag = get_span(&r, MAC_LEN);
    v->packet_len = reader_left(&r);
    v->packet = get_span(&r, v->packet_len);
    return reader_done(&r) && v->packet_len && (v->hop == 1 || v->hop == 2) ? 0 : -EBADMSG;
}

#endif
