/* What nodes say to each other: there and back, cut short, and with a wrong mac. */
#include <check.h>

#include "daemon/node/ring_wire.h"
#include "tests/lib/suite.h"

static const uint8_t secret[BLAKE2S_LEN] = {1, 2, 3}, other[BLAKE2S_LEN] = {1, 2, 4};

static struct ring_contact contact(uint8_t n)
{
    struct i3_id id;
    struct ring_contact c = {.addr = addr_v4(0xc0000200u + n, 5610)};
    memset(c.key, n, KEY_LEN);
    id_of_key(&id, c.key, NULL);
    c.pos = ring_pos_of(id.b);
    return c;
}

static struct ring_message message(enum ring_type type)
{
    static const uint8_t copies[3] = {9, 8, 7};
    struct ring_message m = {.type = (uint8_t)type, .nonce = 0x1122334455667788, .to = 77, .sender = contact(1)};
    switch (type) {
    case RING_STATE:
    case RING_LEAVE:
        m.predecessor = contact(2);
        m.n = RING_SUCCESSORS;
        for (uint8_t i = 0; i < RING_SUCCESSORS; i++)
            m.successor[i] = contact((uint8_t)(3 + i));
        break;
    case RING_FIND:
        m.hops = 5;
        m.flags = RING_FINAL;
        m.target = (ring_pos)1 << 127 | 5;
        m.origin = addr_v4(0xc0000207, 7);
        m.origin_nonce = 42;
        break;
    case RING_FOUND:
        m.from = (ring_pos)3 << 126 | 9;
        break;
    case RING_TRIGGERS:
        m.payload = copies;
        m.payload_len = sizeof(copies);
        break;
    case RING_ASK:
    case RING_TAKEN:
    case RING_TYPES:
        break;
    }
    return m;
}

static void same(const struct ring_contact *a, const struct ring_contact *b)
{
    ck_assert(a->pos == b->pos && addr_eq(&a->addr, &b->addr));
    ck_assert_mem_eq(a->key, b->key, KEY_LEN);
}

START_TEST(a_message_comes_out_as_it_went_in)
{
    struct ring_message m = message((enum ring_type)_i), got;
    uint8_t p[RING_MAX_LEN];
    size_t len = ring_encode(p, sizeof(p), &m, secret);
    ck_assert_uint_gt(len, RING_HEADER_LEN);
    ck_assert_int_eq(ring_decode(p, len, &got, secret), 0);
    ck_assert(got.type == m.type && got.hops == m.hops && got.flags == m.flags && got.nonce == m.nonce && got.to == m.to);
    same(&got.sender, &m.sender);
    ck_assert(got.target == m.target && got.from == m.from && got.origin_nonce == m.origin_nonce && addr_eq(&got.origin, &m.origin));
    ck_assert_uint_eq(got.n, m.n);
    same(&got.predecessor, &m.predecessor);
    for (unsigned i = 0; i < m.n; i++)
        same(&got.successor[i], &m.successor[i]);
    ck_assert_uint_eq(got.payload_len, m.payload_len);
    if (m.payload_len)
        ck_assert_mem_eq(got.payload, m.payload, m.payload_len);
}
END_TEST

START_TEST(what_is_cut_short_or_changed_is_refused)
{
    struct ring_message m = message((enum ring_type)_i), got;
    uint8_t p[RING_MAX_LEN];
    size_t len = ring_encode(p, sizeof(p), &m, secret);
    for (size_t n = 0; n < len; n++)
        ck_assert_int_ne(ring_decode(p, n, &got, secret), 0);
    for (size_t n = 0; n < len; n++) {
        p[n] ^= 4;
        ck_assert_int_ne(ring_decode(p, len, &got, secret), 0);
        p[n] ^= 4;
    }
    ck_assert_int_eq(ring_decode(p, len, &got, other), -EPERM);
    ck_assert_uint_eq(ring_encode(p, len - 1, &m, secret), 0);
}
END_TEST

START_TEST(intervals_go_round_the_ring)
{
    const ring_pos top = ~(ring_pos)0;
    ck_assert(ring_within(10, 20, 20) && !ring_within(10, 10, 20) && !ring_within(10, 21, 20));
    ck_assert(ring_within(top, 0, 5) && ring_within(top - 1, top, 5) && !ring_within(top, 6, 5));
    ck_assert(ring_within(7, 7, 7) && ring_within(7, 8, 7)); /* alone: everything */
    ck_assert(ring_between(10, 19, 20) && !ring_between(10, 20, 20));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("node/ring_wire");
    TCase *t = tcase_create("ring_wire");
    tcase_add_loop_test(t, a_message_comes_out_as_it_went_in, RING_ASK, RING_TYPES);
    tcase_add_loop_test(t, what_is_cut_short_or_changed_is_refused, RING_ASK, RING_TYPES);
    tcase_add_test(t, intervals_go_round_the_ring);
    suite_add_tcase(s, t);
    return suite_run(s);
}
