/* The datagrams of a mesh, byte by byte; cut short, lengthened, changed. And what they do to a member who is sent them. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/mesh/mesh.h"
#include "daemon/mesh/mesh_wire.h"
#include "tests/lib/suite.h"

static void hex(const uint8_t *p, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        sprintf(out + 2 * i, "%02x", p[i]);
}

START_TEST(a_probe_is_these_bytes)
{
    struct mesh_probe v = {.flags = MESH_ASK, .by = "abcdefgh", .to = "ABCDEFGH", .mine = 0x0102030405060708, .yours = 0x1112131415161718,
        .serial = 0x2122232425262728, .token = 0x3132333435363738, .echo = 0x4142434445464748}, is;
    uint8_t p[MESH_PROBE_LEN + 1] = {0};
    char text[2 * MESH_PROBE_LEN + 1];
    mesh_probe_encode(p, &v);
    memset(p + MESH_PROBE_SIGNED, 0xee, MAC_LEN);
    hex(p, MESH_PROBE_LEN, text);
    ck_assert_str_eq(text, "1f01010061626364656667684142434445464748"
                           "01020304050607081112131415161718212223242526272831323334353637384142434445464748"
                           "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
    ck_assert_int_eq(mesh_probe_decode(p, MESH_PROBE_LEN, &is), 0);
    ck_assert_int_eq(is.flags, MESH_ASK);
    ck_assert(is.mine == v.mine && is.yours == v.yours && is.serial == v.serial && is.token == v.token && is.echo == v.echo);
    ck_assert_ptr_eq(is.mac, p + MESH_PROBE_SIGNED);
    for (size_t n = 0; n < MESH_PROBE_LEN; n++)
        ck_assert_int_lt(mesh_probe_decode(p, n, &is), 0);
    ck_assert_int_lt(mesh_probe_decode(p, MESH_PROBE_LEN + 1, &is), 0);
    p[2] = 2;
    ck_assert_int_lt(mesh_probe_decode(p, MESH_PROBE_LEN, &is), 0);
    p[2] = 0, p[3] = 1;
    ck_assert_int_lt(mesh_probe_decode(p, MESH_PROBE_LEN, &is), 0);
    p[3] = 0, p[0] = 0x2f;
    ck_assert_int_lt(mesh_probe_decode(p, MESH_PROBE_LEN, &is), 0);
}
END_TEST

START_TEST(a_vector_is_these_bytes)
{
    struct mesh_vector v = {.n = 2, .by = "abcdefgh", .to = "ABCDEFGH", .counter = 0x0102030405060708}, is;
    struct mesh_link l = {.id = "12345678", .rtt = 0x0a0b, .loss = 0x0c0d}, back;
    uint8_t p[MESH_VECTOR_HEAD + 2 * MESH_LINK_LEN + MAC_LEN + 1] = {0};
    size_t len = sizeof(p) - 1;
    char text[2 * sizeof(p) + 1];
    mesh_vector_encode(p, &v);
    mesh_link_encode(p + MESH_VECTOR_HEAD, &l);
    hex(p, MESH_VECTOR_HEAD + MESH_LINK_LEN, text);
    ck_assert_str_eq(text, "1f020200616263646566676841424344454647480102030405060708" "31323334353637380a0b0c0d");
    mesh_link_decode(p + MESH_VECTOR_HEAD, &back);
    ck_assert_mem_eq(&back, &l, sizeof(l));
    ck_assert_int_eq(mesh_vector_decode(p, len, &is), 0);
    ck_assert(is.n == 2 && is.counter == v.counter && is.sealed == p + MESH_VECTOR_HEAD);
    for (size_t n = 0; n < len; n++)
        ck_assert_int_lt(mesh_vector_decode(p, n, &is), 0);
    ck_assert_int_lt(mesh_vector_decode(p, len + 1, &is), 0);
    for (unsigned n = 0; n < 256; n++) {
        p[2] = (uint8_t)n;
        ck_assert_int_eq(mesh_vector_decode(p, len, &is) == 0, n == 2);
    }
}
END_TEST

START_TEST(a_packet_on_its_detour_is_these_bytes)
{
    struct mesh_relay v = {.hop = 1, .by = "abcdefgh", .to = "0123456789abcde", .from = "fedcba987654321", .counter = 0x0102030405060708}, is;
    uint8_t p[MESH_HEAD + 3] = {0};
    char text[2 * sizeof(p) + 1];
    mesh_relay_encode(p, &v);
    memset(p + MESH_HEAD_SIGNED, 0xee, MAC_LEN);
    memcpy(p + MESH_HEAD, "xyz", 3);
    hex(p, sizeof(p), text);
    ck_assert_str_eq(text, "1f030100" "6162636465666768" "30313233343536373839616263646500" "66656463626139383736353433323100" "0102030405060708"
                           "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee" "78797a");
    ck_assert_int_eq(mesh_relay_decode(p, sizeof(p), &is), 0);
    ck_assert(is.hop == 1 && is.counter == v.counter && is.packet_len == 3 && is.packet == p + MESH_HEAD && is.tag == p + MESH_HEAD_SIGNED);
    for (size_t n = 0; n <= MESH_HEAD; n++)
        ck_assert_int_lt(mesh_relay_decode(p, n, &is), 0);
    for (unsigned hop = 0; hop < 256; hop++) {
        p[2] = (uint8_t)hop;
        ck_assert_int_eq(mesh_relay_decode(p, sizeof(p), &is) == 0, hop == 1 || hop == 2);
    }
}
END_TEST

/* ---- the first talk of two ---- */

static struct mesh *a, *b;
static uint8_t priv[2][KEY_LEN], pub[2][KEY_LEN];
static struct addr at[3];
static struct outbox out;
static mono_t now;

static struct mesh *make(unsigned i, uint8_t seed)
{
    struct mesh_config c = {.seed = {seed}};
    memcpy(c.priv, priv[i], KEY_LEN);
    memcpy(c.pub, pub[i], KEY_LEN);
    return mesh_new(&c);
}

static void setup(void)
{
    now = (mono_t){USEC_PER_SEC};
    for (unsigned i = 0; i < 2; i++) {
        memset(priv[i], 7 + (int)i, KEY_LEN);
        x25519_public(pub[i], priv[i]);
    }
    for (unsigned i = 0; i < 3; i++)
        at[i] = addr_v4(0xc0000201 + i, 5700);
    a = make(0, 1);
    b = make(1, 2);
    outbox_clear(&out);
    mesh_begin(a);
    ck_assert_int_eq(mesh_member(a, now, pub[1], &at[1], 1), 0);
    mesh_end(a, now);
    mesh_begin(b);
    ck_assert_int_eq(mesh_member(b, now, pub[0], NULL, 0), 0);
    mesh_end(b, now);
}

static void teardown(void)
{
    mesh_free(a);
    mesh_free(b);
}

static void give(struct mesh *m, const struct addr *from, const uint8_t *data, size_t len)
{
    const uint8_t *who;
    uint8_t copy[2000], *packet;
    size_t plen;
    ck_assert_uint_le(len, sizeof(copy));
    memcpy(copy, data, len);
    outbox_clear(&out);
    ck_assert_int_ne(mesh_input(m, now, from, 0, copy, len, &out, &who, &packet, &plen), MESH_DATA);
}

START_TEST(three_probes_prove_both_ends)
{
    uint8_t p[3][MESH_PROBE_LEN];
    mesh_output(a, now, &out);
    ck_assert_uint_eq(out.n, 1);
    ck_assert_uint_eq(out.v[0].len, MESH_PROBE_LEN);
    memcpy(p[0], out.v[0].data, MESH_PROBE_LEN);
    give(b, &at[0], p[0], MESH_PROBE_LEN);
    ck_assert_uint_eq(out.n, 1);
    ck_assert_uint_eq(out.v[0].len, MESH_PROBE_LEN); /* as long as what it answers */
    ck_assert_ptr_null(mesh_at(b, &at[0]));          /* not proven yet */
    memcpy(p[1], out.v[0].data, MESH_PROBE_LEN);
    now = mono_add(now, 5000);
    give(a, &at[1], p[1], MESH_PROBE_LEN);
    ck_assert_ptr_nonnull(mesh_at(a, &at[1]));
    ck_assert_uint_eq(out.n, 1);
    memcpy(p[2], out.v[0].data, MESH_PROBE_LEN);
    now = mono_add(now, 5000);
    give(b, &at[0], p[2], MESH_PROBE_LEN);
    ck_assert_uint_eq(out.n, 0);
    ck_assert_ptr_nonnull(mesh_at(b, &at[0]));
    struct mesh_info i;
    mesh_output(a, now, &out);
    ck_assert(mesh_info_of(a, now, pub[1], &i) && i.spot[0].rtt_us == 5000);
    /* all of it again, from elsewhere: nothing */
    for (unsigned k = 0; k < 3; k++) {
        give(b, &at[2], p[k], MESH_PROBE_LEN);
        ck_assert_ptr_null(mesh_at(b, &at[2]));
    }
}
END_TEST

START_TEST(one_wrong_bit_and_there_is_silence)
{
    uint8_t p[MESH_PROBE_LEN];
    mesh_output(a, now, &out);
    memcpy(p, out.v[0].data, MESH_PROBE_LEN);
    for (unsigned bit = 0; bit < 8 * MESH_PROBE_LEN; bit++) {
        p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        give(b, &at[0], p, MESH_PROBE_LEN);
        ck_assert_msg(!out.n, "bit %u", bit);
        p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    give(b, &at[0], p, MESH_PROBE_LEN);
    ck_assert_uint_eq(out.n, 1);
}
END_TEST

/* A member's own greeting, repeated by somebody, is answered a bounded number of times. */
START_TEST(a_flood_of_a_recorded_greeting_ends_in_silence)
{
    uint8_t p[MESH_PROBE_LEN];
    unsigned answers = 0;
    mesh_output(a, now, &out);
    memcpy(p, out.v[0].data, MESH_PROBE_LEN);
    for (unsigned i = 0; i < 10000; i++) {
        struct addr from = addr_v4(0xc6336400 + i, (uint16_t)(1 + i));
        give(b, &from, p, MESH_PROBE_LEN);
        answers += out.n;
        now = mono_add(now, 100);
    }
    ck_assert_uint_le(answers, 3 * MESH_ANSWERS + 1);
    struct mesh_info i;
    ck_assert(mesh_info_of(b, now, pub[0], &i));
    ck_assert_uint_le(i.n_spots, MESH_SPOTS);
    ck_assert_int_eq(i.kind, MESH_NONE);
}
END_TEST

START_TEST(members_have_bounds)
{
    uint8_t key[KEY_LEN], secret[KEY_LEN] = {1};
    mesh_begin(a);
    ck_assert_int_eq(mesh_member(a, now, pub[0], NULL, 0), -EINVAL); /* ourselves */
    for (unsigned i = 0; i < MESH_MEMBERS + 5; i++) {
        secret[1] = (uint8_t)i;
        x25519_public(key, secret);
        ck_assert_int_eq(mesh_member(a, now, key, at, 3), i < MESH_MEMBERS - 1 ? 0 : -ENOSPC);
    }
    mesh_end(a, now);
    ck_assert_uint_eq(mesh_stats(a)->members, MESH_MEMBERS - 1);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("mesh wire");
    TCase *t = tcase_create("mesh wire");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_probe_is_these_bytes);
    tcase_add_test(t, a_vector_is_these_bytes);
    tcase_add_test(t, a_packet_on_its_detour_is_these_bytes);
    tcase_add_test(t, three_probes_prove_both_ends);
    tcase_add_test(t, one_wrong_bit_and_there_is_silence);
    tcase_add_test(t, a_flood_of_a_recorded_greeting_ends_in_silence);
    tcase_add_test(t, members_have_bounds);
    suite_add_tcase(s, t);
    return suite_run(s);
}
