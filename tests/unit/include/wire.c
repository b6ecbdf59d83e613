/* Every i3 packet, byte for byte as wire.h draws it; every truncation and every byte too many refused. */
#include "include/wire.h"
#include "tests/lib/suite.h"

#include <check.h>
#include <stdlib.h>

/* Bytes of a field: the first is as given, the others count on from it. */
#define B4(a)  a, (a) + 1, (a) + 2, (a) + 3
#define B8(a)  B4(a), B4((a) + 4)
#define B16(a) B8(a), B8((a) + 8)
#define B32(a) B16(a), B16((a) + 16)
#define Z4     0, 0, 0, 0
#define Z8     Z4, Z4
#define Z16    Z8, Z8
#define Z32    Z16, Z16
#define ADDR4  4, 0, 0x15, 0xea, 203, 0, 113, 7, Z4, Z8 /* 203.0.113.7:5610 */
#define ADDR6  6, 0, 0xff, 0xfe, B16(0xe0)

static const uint8_t data_1[] = {0x11, 0x01, 0x10, 1, 3, B32(0x20), 'p', 'a', 'y'};
static const uint8_t data_3[] = {0x11, 0x00, 0xff, 3, 1, B32(0x20), B32(0x40), B32(0x60)};
static const uint8_t insert_0[] = {0x12, 0x01, 128, 0, B32(0x20), B8(0x80), Z32, Z4};
static const uint8_t insert_1[] = {0x12, 0x00, 0, 1, B32(0x20), B8(0x80), B32(0x40), Z4};
static const uint8_t insert_2[] = {0x12, 0x00, 7, 2, B32(0x20), B8(0x80), B32(0x40), B32(0x60)};
static const uint8_t challenge[] = {0x13, 9, 0, 0, B8(0x80), B16(0x90), B32(0xa0), ADDR4};
static const uint8_t challenge_6[] = {0x13, 9, 0, 0, B8(0x80), B16(0x90), B32(0xa0), ADDR6};
static const uint8_t prove_0[] = {
    0x14, 0x01, 128, 0, B32(0x20), B8(0x80), 9, 0, 0, 0, B16(0x90), B32(0xc0), B8(0x70), B16(0x01)};
static const uint8_t prove_2[] = {0x14, 0x00, 0, 2, B32(0x20), B8(0x80), B32(0x40), B32(0x60), 9, 0, 0, 0,
    B16(0x90), B32(0xc0), B8(0x70), B16(0x01)};
static const uint8_t ack[] = {0x15, 0, 0x01, 0x2c, B8(0x70), ADDR4, B16(0x01)};
static const uint8_t refresh[] = {0x16, 0x00, 128, 0, B32(0x20), B8(0x70), B16(0x01)};
static const uint8_t refresh_remove[] = {0x16, 0x01, 1, 0, B32(0x20), B8(0x70), B16(0x01)};
static const uint8_t not_present_0[] = {0x17, 0, 0, 0, B32(0x20)};
static const uint8_t not_present_16[] = {0x17, 0, 0, 16, B32(0x20), B16(0x50)};
static const uint8_t ping[] = {0x18, 0, 0, 0, B8(0x80)};
static const uint8_t pong[] = {0x19, 0, 0, 0, B8(0x80)};
static const uint8_t refused[] = {0x1a, 2, 0, 0, B8(0x70)};
static const uint8_t batch_1[] = {0x1e, 1, 0, 0, 0, 12, 0x1a, 2, 0, 0, B8(0x70)};
static const uint8_t batch_3[] = {0x1e, 3, 0, 0, 0, 60, 0x16, 0x00, 128, 0, B32(0x20), B8(0x70), B16(0x01), 0, 48, 0x15, 0, 0x01,
    0x2c, B8(0x70), ADDR4, B16(0x01), 0, 12, 0x1a, 2, 0, 0, B8(0x70)};

/* Decodes a packet of one kind and encodes what came out; the length, or 0 when it does not decode. */
static size_t re_data(const uint8_t *p, size_t len, uint8_t *out, size_t cap)
{
    struct wire_data d;
    if (data_decode(p, len, &d))
        return 0;
    size_t n = data_header_encode(out, cap, &d);
    if (!n || cap - n < d.payload_len)
        return 0;
    memcpy(out + n, d.payload, d.payload_len);
    return n + d.payload_len;
}

#define RE(name)                                                                                             \
    static size_t re_##name(const uint8_t *p, size_t len, uint8_t *out, size_t cap)                          \
    {                                                                                                        \
        struct wire_##name v;                                                                                \
        return name##_decode(p, len, &v) ? 0 : name##_encode(out, cap, &v);                                  \
    }
RE(insert)
RE(challenge)
RE(prove)
RE(ack)
RE(refresh)
RE(not_present)
RE(refused)

static size_t re_ping(const uint8_t *p, size_t len, uint8_t *out, size_t cap)
{
    uint8_t nonce[NONCE_LEN];
    return ping_decode(p, len, WIRE_PING, nonce) ? 0 : ping_encode(out, cap, WIRE_PING, nonce);
}

static size_t re_pong(const uint8_t *p, size_t len, uint8_t *out, size_t cap)
{
    uint8_t nonce[NONCE_LEN];
    return ping_decode(p, len, WIRE_PONG, nonce) ? 0 : ping_encode(out, cap, WIRE_PONG, nonce);
}

static size_t re_batch(const uint8_t *p, size_t len, uint8_t *out, size_t cap)
{
    struct wire_batch b;
    struct writer w = batch_begin(out, cap);
    size_t n;
    if (batch_decode(p, len, &b))
        return 0;
    for (const uint8_t *packet; (packet = batch_next(&b.packets, &n));)
        if (!batch_add(&w, packet, n))
            return 0;
    return out[1] == b.n ? writer_len(&w) : 0;
}

static const struct golden {
    const char *name;
    const uint8_t *p;
    size_t len, shortest; /* the shortest prefix of it which is a packet too */
    bool open_ended;      /* more bytes may follow */
    size_t (*re)(const uint8_t *, size_t, uint8_t *, size_t);
} golden[] = {
    {"data 1", data_1, sizeof(data_1), 37, true, re_data},
    {"data 3", data_3, sizeof(data_3), 101, true, re_data},
    {"insert 0", insert_0, sizeof(insert_0), 80, false, re_insert},
    {"insert 1", insert_1, sizeof(insert_1), 80, false, re_insert},
    {"insert 2", insert_2, sizeof(insert_2), 108, false, re_insert},
    {"challenge", challenge, sizeof(challenge), 80, false, re_challenge},
    {"challenge v6", challenge_6, sizeof(challenge_6), 80, false, re_challenge},
    {"prove 0", prove_0, sizeof(prove_0), 120, false, re_prove},
    {"prove 2", prove_2, sizeof(prove_2), 184, false, re_prove},
    {"ack", ack, sizeof(ack), 48, false, re_ack},
    {"refresh", refresh, sizeof(refresh), 60, false, re_refresh},
    {"refresh remove", refresh_remove, sizeof(refresh_remove), 60, false, re_refresh},
    {"not present 0", not_present_0, sizeof(not_present_0), 36, false, re_not_present},
    {"not present 16", not_present_16, sizeof(not_present_16), 52, false, re_not_present},
    {"ping", ping, sizeof(ping), 12, false, re_ping},
    {"pong", pong, sizeof(pong), 12, false, re_pong},
    {"refused", refused, sizeof(refused), 12, false, re_refused},
    {"batch 1", batch_1, sizeof(batch_1), sizeof(batch_1), false, re_batch},
    {"batch 3", batch_3, sizeof(batch_3), sizeof(batch_3), false, re_batch},
};

/* From a heap copy of just that length, so that a sanitizer sees the first byte read beyond. */
static size_t re_exact(const struct golden *g, const uint8_t *p, size_t len, uint8_t *out, size_t cap)
{
    uint8_t *copy = malloc(len ? len : 1);
    memcpy(copy, p, len);
    size_t n = g->re(copy, len, out, cap);
    free(copy);
    return n;
}

START_TEST(golden_bytes_come_back)
{
    const struct golden *g = &golden[_i];
    uint8_t out[512];
    ck_assert_msg(re_exact(g, g->p, g->len, out, sizeof(out)) == g->len, "%s", g->name);
    ck_assert_mem_eq(out, g->p, g->len);
}
END_TEST

START_TEST(every_truncation_is_refused)
{
    const struct golden *g = &golden[_i];
    uint8_t out[512];
    for (size_t len = 0; len < g->len; len++)
        ck_assert_msg(
            (re_exact(g, g->p, len, out, sizeof(out)) > 0) == (len >= g->shortest), "%s %zu", g->name, len);
}
END_TEST

START_TEST(trailing_bytes_are_refused)
{
    const struct golden *g = &golden[_i];
    uint8_t p[512], out[512];
    memcpy(p, g->p, g->len);
    for (unsigned extra = 1; extra < 40; extra += 13) {
        memset(p + g->len, 1, extra);
        ck_assert_msg((re_exact(g, p, g->len + extra, out, sizeof(out)) > 0) == g->open_ended, "%s", g->name);
    }
}
END_TEST

/* Another version or kind in the first byte. */
START_TEST(only_its_own_kind_is_decoded)
{
    const struct golden *g = &golden[_i];
    uint8_t p[512], out[512];
    memcpy(p, g->p, g->len);
    for (unsigned first = 0; first < 256; first++) {
        p[0] = (uint8_t)first;
        ck_assert_msg(
            (re_exact(g, p, g->len, out, sizeof(out)) > 0) == (first == g->p[0]), "%s %#x", g->name, first);
    }
    ck_assert_uint_eq(wire_kind(g->p, g->len), g->p[0] & 15);
}
END_TEST

/* An encoder writes all or nothing. */
START_TEST(encoders_respect_their_room)
{
    const struct golden *g = &golden[_i];
    uint8_t out[512], clean[512];
    memset(clean, 0x5a, sizeof(clean));
    for (size_t cap = 0; cap < g->len; cap++) {
        memset(out, 0x5a, sizeof(out));
        ck_assert_msg(g->re(g->p, g->len, out, cap) == 0, "%s %zu", g->name, cap);
        ck_assert_mem_eq(out + cap, clean, sizeof(out) - cap);
    }
}
END_TEST

/* One byte of a good packet set to a value that the drawing does not allow. */
static const struct violation {
    const uint8_t *p;
    size_t len, at;
    uint8_t value;
} violation[] = {
    {data_1, sizeof(data_1), 1, 2}, /* unknown flag */
    {data_1, sizeof(data_1), 1, 0x80},
    {data_1, sizeof(data_1), 3, 0}, /* no id */
    {data_1, sizeof(data_1), 3, 2}, /* more ids than bytes */
    {data_1, sizeof(data_1), 3, 16},
    {insert_0, sizeof(insert_0), 1, 4},   /* unknown flag */
    {insert_0, sizeof(insert_0), 2, 129}, /* over 256 bits */
    {insert_0, sizeof(insert_0), 2, 255},
    {insert_0, sizeof(insert_0), 3, 2}, /* more ids than bytes */
    {insert_0, sizeof(insert_0), 3, 16},
    {insert_0, sizeof(insert_0), 44, 1}, /* padding is zeros */
    {insert_0, sizeof(insert_0), 79, 1},
    {insert_1, sizeof(insert_1), 79, 1},
    {challenge, sizeof(challenge), 2, 1}, /* zeros */
    {challenge, sizeof(challenge), 3, 1},
    {challenge, sizeof(challenge), 60, 0}, /* family */
    {challenge, sizeof(challenge), 60, 5},
    {challenge, sizeof(challenge), 61, 1}, /* zero in the address */
    {challenge, sizeof(challenge), 68, 1}, /* an IPv4 address has 4 bytes */
    {challenge, sizeof(challenge), 79, 1},
    {prove_0, sizeof(prove_0), 1, 4},
    {prove_0, sizeof(prove_0), 2, 129},
    {prove_0, sizeof(prove_0), 3, 1},
    {prove_0, sizeof(prove_0), 45, 1},
    {prove_0, sizeof(prove_0), 47, 1},
    {ack, sizeof(ack), 1, 1},
    {ack, sizeof(ack), 12, 7},
    {refresh, sizeof(refresh), 1, 2},
    {refresh, sizeof(refresh), 2, 129},
    {refresh, sizeof(refresh), 3, 1},
    {not_present_0, sizeof(not_present_0), 1, 1},
    {not_present_0, sizeof(not_present_0), 2, 1},
    {not_present_0, sizeof(not_present_0), 3, 1},
    {not_present_16, sizeof(not_present_16), 3, 15},
    {not_present_16, sizeof(not_present_16), 3, 17},
    {ping, sizeof(ping), 1, 1},
    {ping, sizeof(ping), 3, 1},
    {pong, sizeof(pong), 2, 1},
    {refused, sizeof(refused), 2, 1},
    {refused, sizeof(refused), 3, 1},
    {batch_1, sizeof(batch_1), 1, 0},    /* none */
    {batch_1, sizeof(batch_1), 1, 2},    /* more than there are */
    {batch_3, sizeof(batch_3), 1, 2},    /* fewer */
    {batch_1, sizeof(batch_1), 2, 1},    /* zeros */
    {batch_1, sizeof(batch_1), 3, 1},
    {batch_1, sizeof(batch_1), 5, 11},   /* lengths */
    {batch_1, sizeof(batch_1), 5, 13},
    {batch_1, sizeof(batch_1), 5, 0},
    {batch_1, sizeof(batch_1), 4, 1},
    {batch_1, sizeof(batch_1), 6, 0x11}, /* kinds that do not belong */
    {batch_1, sizeof(batch_1), 6, 0x14},
    {batch_1, sizeof(batch_1), 6, 0x1e},
    {batch_1, sizeof(batch_1), 6, 0x2a},
};

START_TEST(what_the_drawing_forbids_is_refused)
{
    const struct violation *v = &violation[_i];
    uint8_t p[512], out[512];
    memcpy(p, v->p, v->len);
    p[v->at] = v->value;
    for (size_t i = 0; i < ARRAY_LEN(golden); i++)
        ck_assert_msg(
            re_exact(&golden[i], p, v->len, out, sizeof(out)) == 0, "%s byte %zu", golden[i].name, v->at);
}
END_TEST

/* ---- fields: the golden bytes mean what the structs say ---- */

static void expect_counting(const uint8_t *p, size_t n, uint8_t first)
{
    for (size_t i = 0; i < n; i++)
        ck_assert_uint_eq(p[i], (uint8_t)(first + i));
}

START_TEST(fields_of_data)
{
    struct wire_data d;
    ck_assert_int_eq(data_decode(data_1, sizeof(data_1), &d), 0);
    ck_assert(d.flags == DATA_SHORTCUT && d.hops == 16 && d.n == 1 && d.proto == PROTO_SEALED);
    ck_assert_ptr_eq(d.ids, data_1 + DATA_FIXED_LEN);
    ck_assert_ptr_eq(d.payload, data_1 + DATA_HEADER_LEN);
    ck_assert_uint_eq(d.payload_len, 3);
    ck_assert_uint_eq(DATA_HEADER_LEN, 37); /* the paper's figure */
    ck_assert_int_eq(data_decode(data_3, sizeof(data_3), &d), 0);
    ck_assert(d.n == 3 && d.hops == 255 && d.payload_len == 0);
    expect_counting(d.ids, 96, 0x20);
}
END_TEST

START_TEST(fields_of_insertion)
{
    struct wire_insert in;
    struct wire_challenge c;
    struct wire_prove pr;
    struct addr want = addr_v4(0xcb007107, 5610);
    ck_assert_int_eq(insert_decode(insert_0, sizeof(insert_0), &in), 0);
    ck_assert(in.flags == INSERT_SHORTCUT && in.plen == 256 && in.n == 0);
    ck_assert_int_eq(insert_decode(insert_2, sizeof(insert_2), &in), 0);
    ck_assert(in.flags == 0 && in.plen == 135 && in.n == 2);
    expect_counting(in.id.b, ID_LEN, 0x20);
    expect_counting(in.nonce, NONCE_LEN, 0x80);
    expect_counting(in.ids, 64, 0x40);

    ck_assert_int_eq(challenge_decode(challenge, sizeof(challenge), &c), 0);
    ck_assert_uint_eq(c.epoch, 9);
    expect_counting(c.nonce, NONCE_LEN, 0x80);
    expect_counting(c.cookie, COOKIE_LEN, 0x90);
    expect_counting(c.node_key, KEY_LEN, 0xa0);
    ck_assert(addr_eq(&c.seen, &want));
    ck_assert_int_eq(challenge_decode(challenge_6, sizeof(challenge_6), &c), 0);
    ck_assert(c.seen.family == 6 && c.seen.port == 0xfffe);
    expect_counting(c.seen.ip, 16, 0xe0);

    ck_assert_int_eq(prove_decode(prove_2, sizeof(prove_2), &pr), 0);
    ck_assert(pr.insert.plen == 128 && pr.insert.n == 2 && pr.epoch == 9);
    expect_counting(pr.insert.ids, 64, 0x40);
    expect_counting(pr.cookie, COOKIE_LEN, 0x90);
    expect_counting(pr.key, KEY_LEN, 0xc0);
    ck_assert_uint_eq(pr.seq, 0x7071727374757677);
    expect_counting(pr.mac, MAC_LEN, 1);
}
END_TEST

START_TEST(fields_of_upkeep)
{
    struct wire_ack a;
    struct wire_refresh rf;
    struct wire_not_present np;
    struct wire_refused no;
    struct addr want = addr_v4(0xcb007107, 5610);
    uint8_t nonce[NONCE_LEN];
    ck_assert_int_eq(ack_decode(ack, sizeof(ack), &a), 0);
    ck_assert(a.seconds == 300 && a.seq == 0x7071727374757677 && addr_eq(&a.seen, &want));
    expect_counting(a.mac, MAC_LEN, 1);
    ck_assert_int_eq(refresh_decode(refresh_remove, sizeof(refresh_remove), &rf), 0);
    ck_assert(rf.flags == REFRESH_REMOVE && rf.plen == 129 && rf.seq == 0x7071727374757677);
    expect_counting(rf.id.b, ID_LEN, 0x20);
    expect_counting(rf.mac, MAC_LEN, 1);
    ck_assert_int_eq(not_present_decode(not_present_16, sizeof(not_present_16), &np), 0);
    ck_assert_uint_eq(np.echo_len, 16);
    expect_counting(np.id.b, ID_LEN, 0x20);
    expect_counting(np.echo, 16, 0x50);
    ck_assert_int_eq(ping_decode(ping, sizeof(ping), WIRE_PING, nonce), 0);
    expect_counting(nonce, NONCE_LEN, 0x80);
    ck_assert_int_eq(ping_decode(ping, sizeof(ping), WIRE_PONG, nonce), -EBADMSG);
    ck_assert_int_eq(refused_decode(refused, sizeof(refused), &no), 0);
    ck_assert(no.reason == REFUSED_COOKIE && no.seq == 0x7071727374757677);
}
END_TEST

START_TEST(the_owner_of_a_prefix_byte_by_byte)
{
    static const uint8_t lookup[OWNER_LEN] = {0x1c, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27,
        0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f};
    static const uint8_t owner[OWNER_LEN] = {0x1d, 0, 0, 30, 1, 2, 3, 4, 5, 6, 7, 8, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27,
        0x28, 0x29, 0x2a, 0x2b, 0x2c, 0x2d, 0x2e, 0x2f, 4, 0, 0x15, 0xea, 192, 0, 2, 7};
    uint8_t p[OWNER_LEN], prefix[ID_PREFIX_LEN];
    struct wire_owner o;
    uint64_t nonce;
    ck_assert_int_eq(lookup_decode(lookup, sizeof(lookup), &nonce, prefix), 0);
    ck_assert_uint_eq(nonce, 0x0102030405060708);
    expect_counting(prefix, ID_PREFIX_LEN, 0x20);
    ck_assert_uint_eq(lookup_encode(p, sizeof(p), nonce, prefix), sizeof(lookup));
    ck_assert_mem_eq(p, lookup, sizeof(lookup));
    ck_assert_int_eq(owner_decode(owner, sizeof(owner), &o), 0);
    struct addr want = addr_v4(0xc0000207, 5610);
    ck_assert(!o.flags && o.seconds == 30 && o.nonce == nonce && addr_eq(&o.owner, &want));
    ck_assert_uint_eq(owner_encode(p, sizeof(p), &o), sizeof(owner));
    ck_assert_mem_eq(p, owner, sizeof(owner));
    o.flags = OWNER_SELF; /* and an address */
    owner_encode(p, sizeof(p), &o);
    ck_assert_int_eq(owner_decode(p, sizeof(p), &o), -EBADMSG);
    for (size_t n = 0; n < OWNER_LEN; n++) {
        ck_assert_int_eq(owner_decode(owner, n, &o), -EBADMSG);
        ck_assert_int_eq(lookup_decode(lookup, n, &nonce, prefix), -EBADMSG);
    }
}
END_TEST

START_TEST(a_batch_is_bounded)
{
    uint8_t p[4096];
    struct wire_batch b;
    struct writer w = batch_begin(p, sizeof(p));
    ck_assert_int_eq(batch_decode(p, writer_len(&w), &b), -EBADMSG);
    for (unsigned i = 0; i < BATCH_MAX; i++)
        ck_assert(batch_add(&w, refresh, sizeof(refresh)));
    ck_assert(!batch_add(&w, refresh, sizeof(refresh)));
    ck_assert_uint_eq(writer_len(&w), BATCH_HEADER_LEN + BATCH_MAX * (2 + REFRESH_LEN));
    ck_assert_int_eq(batch_decode(p, writer_len(&w), &b), 0);
    put_u16(&w, REFUSED_LEN);
    put_bytes(&w, refused, sizeof(refused));
    p[1]++;
    ck_assert_int_eq(batch_decode(p, writer_len(&w), &b), -EBADMSG);
}
END_TEST

/* ---- sizes: no answer is longer than what asks for it ---- */

START_TEST(answers_are_no_longer_than_questions)
{
    uint8_t p[2048], ids[STACK_MAX * ID_LEN] = {0};
    for (uint8_t n = 0; n <= STACK_MAX; n++) {
        struct wire_insert in = {.plen = 256, .n = n, .ids = ids};
        struct wire_prove pr = {.insert = in};
        size_t asked = insert_encode(p, sizeof(p), &in);
        ck_assert_uint_ge(asked, CHALLENGE_LEN);
        ck_assert_uint_ge(asked, INSERT_FIXED_LEN + (size_t)n * ID_LEN);
        ck_assert_uint_eq(
            prove_encode(p, sizeof(p), &pr), INSERT_FIXED_LEN + (size_t)n * ID_LEN + PROVE_TAIL_LEN);
        ck_assert_uint_ge(INSERT_FIXED_LEN + PROVE_TAIL_LEN, ACK_LEN);
    }
    ck_assert_uint_eq(sizeof(challenge), CHALLENGE_LEN);
    ck_assert_uint_eq(sizeof(ack), ACK_LEN);
    ck_assert_uint_eq(sizeof(refresh), REFRESH_LEN);
    ck_assert_uint_ge(REFRESH_LEN, ACK_LEN);
    ck_assert_uint_eq(sizeof(ping), PING_LEN);
    ck_assert_uint_eq(sizeof(refused), REFUSED_LEN);
    ck_assert_uint_eq(sizeof(not_present_0), NOT_PRESENT_MIN_LEN);
    ck_assert_uint_ge(DATA_HEADER_LEN, NOT_PRESENT_MIN_LEN);
}
END_TEST

/* ---- addr.h ---- */

START_TEST(addresses_convert)
{
    char s[ADDR_STR];
    struct sockaddr_storage ss;
    struct addr a = addr_v4(0x0a010203, 80), b = {.family = 6, .port = 443, .ip = {[15] = 1}}, none = {0};
    ck_assert_str_eq(addr_str(&a, s), "10.1.2.3:80");
    ck_assert_str_eq(addr_str(&b, s), "[::1]:443");
    ck_assert_str_eq(addr_str(&none, s), "none");
    ck_assert_uint_eq(addr_ip4(&a), 0x0a010203);
    ck_assert_uint_eq(addr_ip4(&b), 0);
    socklen_t n = addr_to_sockaddr(&a, &ss);
    struct addr back = addr_from_sockaddr(&ss, n);
    ck_assert(n == sizeof(struct sockaddr_in) && addr_eq(&back, &a));
    back = addr_from_sockaddr(&ss, n - 1);
    ck_assert(addr_eq(&back, &none));
    n = addr_to_sockaddr(&b, &ss);
    back = addr_from_sockaddr(&ss, n);
    ck_assert(n == sizeof(struct sockaddr_in6) && addr_eq(&back, &b));
    ck_assert_uint_eq(addr_to_sockaddr(&none, &ss), 0);

    struct addr mapped = {.family = 6, .port = 80, .ip = {[10] = 0xff, 0xff, 10, 1, 2, 3}};
    n = addr_to_sockaddr(&mapped, &ss);
    back = addr_from_sockaddr(&ss, n);
    ck_assert(addr_eq(&back, &a));
}
END_TEST

/* ---- bytes.h ---- */

START_TEST(cursors_remember_failure)
{
    uint8_t p[4] = {1, 2, 3, 4}, out[3] = {9, 9, 9};
    struct reader r = reader_of(p, sizeof(p));
    ck_assert_uint_eq(get_u16(&r), 0x0102);
    ck_assert(reader_ok(&r) && !reader_done(&r));
    get_bytes(&r, out, 3);
    ck_assert(out[0] == 0 && out[1] == 0 && out[2] == 0);
    ck_assert(!reader_ok(&r));
    ck_assert_uint_eq(get_u8(&r), 0); /* two were left, but it has failed */
    ck_assert(!reader_ok(&r));
    struct writer w = writer_of(out, sizeof(out));
    put_u16(&w, 0xa1b2);
    put_u16(&w, 0xffff);
    put_u8(&w, 0xff);
    ck_assert(!writer_ok(&w));
    ck_assert(out[0] == 0xa1 && out[1] == 0xb2 && out[2] == 0);
    ck_assert_uint_eq(writer_len(&w), 2);
}
END_TEST

START_TEST(frames_are_cut_by_their_length)
{
    static const struct {
        uint8_t bytes[4];
        size_t len;
        int wanted;
    } cases[] = {
        {{0}, 0, 0},
        {{0}, 1, 0}, /* the length's first byte says nothing yet */
        {{0, 0}, 2, -EMSGSIZE},
        {{0, 1}, 2, 0},
        {{0, 1, 7}, 3, 3},
        {{0, 1, 7, 9}, 4, 3},
        {{0, 2, 7, 9}, 4, 4},
        {{0, 2, 7}, 3, 0},
        {{0x40, 0x00}, 2, 0},
        {{0x40, 0x01}, 2, -EMSGSIZE},
        {{'H', 'T', 'T', 'P'}, 4, -EMSGSIZE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        ck_assert_msg(frame_next(cases[i].bytes, cases[i].len) == cases[i].wanted, "case %zu", i);
    static uint8_t largest[FRAME_HEAD + FRAME_MAX_LEN];
    frame_head(largest, FRAME_MAX_LEN);
    ck_assert(largest[0] == 0x40 && largest[1] == 0);
    for (size_t len = 0; len < sizeof(largest); len++)
        ck_assert_int_eq(frame_next(largest, len), 0);
    ck_assert_int_eq(frame_next(largest, sizeof(largest)), sizeof(largest));
}
END_TEST

START_TEST(how_a_host_is_reached_is_not_on_the_wire)
{
    struct addr tcp = addr_by(&(struct addr){.family = 4, .port = 5610, .ip = {192, 0, 2, 1}}, ADDR_TCP), back;
    uint8_t p[ADDR_WIRE_LEN];
    char s[ADDR_STR];
    struct sockaddr_storage ss;
    struct writer w = writer_of(p, sizeof(p));
    put_addr(&w, &tcp);
    struct reader r = reader_of(p, sizeof(p));
    get_addr(&r, &back);
    ck_assert(reader_ok(&r) && back.via == ADDR_UDP && !addr_eq(&back, &tcp));
    ck_assert_str_eq(addr_str(&tcp, s), "192.0.2.1:5610/tcp");
    ck_assert_uint_eq(addr_to_sockaddr(&tcp, &ss), 0); /* no datagram goes there */
    p[1] = ADDR_TCP;
    r = reader_of(p, sizeof(p));
    get_addr(&r, &back);
    ck_assert(!reader_ok(&r));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("include/wire");
    TCase *tc = tcase_create("wire");
    int n = (int)ARRAY_LEN(golden);
    tcase_add_loop_test(tc, golden_bytes_come_back, 0, n);
    tcase_add_loop_test(tc, every_truncation_is_refused, 0, n);
    tcase_add_loop_test(tc, trailing_bytes_are_refused, 0, n);
    tcase_add_loop_test(tc, only_its_own_kind_is_decoded, 0, n);
    tcase_add_loop_test(tc, encoders_respect_their_room, 0, n);
    tcase_add_loop_test(tc, what_the_drawing_forbids_is_refused, 0, (int)ARRAY_LEN(violation));
    tcase_add_test(tc, fields_of_data);
    tcase_add_test(tc, fields_of_insertion);
    tcase_add_test(tc, fields_of_upkeep);
    tcase_add_test(tc, answers_are_no_longer_than_questions);
    tcase_add_test(tc, the_owner_of_a_prefix_byte_by_byte);
    tcase_add_test(tc, a_batch_is_bounded);
    tcase_add_test(tc, frames_are_cut_by_their_length);
    tcase_add_test(tc, how_a_host_is_reached_is_not_on_the_wire);
    tcase_add_test(tc, addresses_convert);
    tcase_add_test(tc, cursors_remember_failure);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
