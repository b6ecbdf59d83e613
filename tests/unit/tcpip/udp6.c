/* udp6.c - UDP in IPv6, its fragments, and ICMPv6's errors about it. Golden bytes come from Python (struct, RFC 1071). */
#include <check.h>
#include <stdlib.h>

#include "daemon/tcpip/fragment.h"
#include "daemon/tcpip/udp6.h"
#include "include/bytes.h"
#include "tests/unit/i3/hex.h"

enum { A = 0x0a7b7721, B = 0x0a46a6d7, MTU = 1400 }; /* handles */

#define A6 "fd693300007b7721abf64824236f37f8"
#define B6 "fd6933000046a6d71204c794c525b1ea"
#define DATAGRAM "60000000000a1140" A6 B6 "13880035000a63fa6869"

static const char refusal[] = "60000000003a3a40" B6 A6 "01046d9e00000000" DATAGRAM;
static const char piece_head[] = "6000000000702c40" A6 B6 "1100054100001234";

static uint8_t to_b[IP6_HEAD];

static void hosts(void)
{
    uint8_t a[16], b[16];
    unhex(A6, a, 16);
    unhex(B6, b, 16);
    ip6_template(to_b, a, b, 0);
}

static void pattern(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 7 + (i >> 8) * 13);
}

/* A whole packet from A to B; its length. */
static size_t make(uint8_t *out, const uint8_t *data, size_t len)
{
    ip6_build(out, to_b, IP_UDP, (uint16_t)(UDP_HEAD + len));
    udp6_build(out + IP6_HEAD, to_b, 5000, 53, data, len);
    memcpy(out + UDP6_HEADS, data, len);
    return UDP6_HEADS + len;
}

static bool parse(const uint8_t *packet, size_t len, struct udp_datagram *d)
{
    struct ip_header ip = {.src = A, .dst = B};
    *d = (struct udp_datagram){.names = {.src = A, .dst = B}};
    return ip6_parse(packet, len, &ip) && ip.proto == IP_UDP &&
           udp6_parse(packet, packet + IP6_HEAD, (size_t)(ip.len - IP6_HEAD), d);
}

START_TEST(packet_is_as_drawn)
{
    uint8_t want[64], got[64];
    size_t len = unhex(DATAGRAM, want, sizeof(want));
    ck_assert_uint_eq(make(got, (const uint8_t *)"hi", 2), len);
    ck_assert_mem_eq(got, want, len);
}
END_TEST

START_TEST(datagrams_come_back)
{
    static const size_t length[] = {0, 1, 2, 3, 7, 64, 1351, 1352, 9000, 65000};
    static uint8_t data[65000], packet[65535];
    struct udp_datagram d;
    pattern(data, length[_i]);
    size_t n = make(packet, data, length[_i]);
    ck_assert(parse(packet, n, &d));
    ck_assert_uint_eq(d.len, length[_i]);
    ck_assert_mem_eq(d.data, data, d.len);
    ck_assert(d.names.src == A && d.names.dst == B && d.names.src_port == 5000 && d.names.dst_port == 53);
}
END_TEST

START_TEST(damage_is_noticed)
{
    uint8_t data[33], packet[128];
    struct udp_datagram d;
    pattern(data, sizeof(data));
    size_t n = make(packet, data, sizeof(data));
    for (size_t bit = IP6_SRC * 8; bit < n * 8; bit++) {
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_msg(!parse(packet, n, &d), "bit %zu", bit);
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < n; cut++) { /* with a header that says so */
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, packet, cut);
        if (cut >= IP6_HEAD)
            ip_store16(exact + 4, (uint16_t)(cut - IP6_HEAD));
        ck_assert(!parse(exact, cut, &d));
        free(exact);
    }
    ip_store16(packet + IP6_HEAD + 6, 0); /* "none" is IPv4's */
    ck_assert(!parse(packet, n, &d));
}
END_TEST

/* ---- fragments ---- */

START_TEST(piece_is_as_drawn)
{
    uint8_t want[64], got[64];
    unhex(piece_head, want, sizeof(want));
    fragment6_build(got, to_b, IP_UDP, 0x1234, 1344, 104, true);
    ck_assert_mem_eq(got, want, FRAGMENT6_HEADS);
}
END_TEST

START_TEST(pieces_make_the_datagram)
{
    static const size_t length[] = {1353, 1400, 3000, 20000, 65000};
    static uint8_t data[65000], packet[65535];
    struct reassembly *r = reassembly_new();
    struct udp_datagram d = {.names = {.src = A}};
    pattern(data, length[_i]);
    size_t len = make(packet, data, length[_i]), total = len - IP6_HEAD, room = fragment6_room(MTU), whole = 0;
    const uint8_t *all = NULL;
    ck_assert_uint_eq(room % 8, 0);
    for (size_t at = 0; at < total; at += room) {
        size_t body = total - at < room ? total - at : room;
        uint8_t *piece = malloc(FRAGMENT6_HEADS + body), as4[MTU];
        struct ip_header ip = {.src = A, .dst = B};
        fragment6_build(piece, to_b, IP_UDP, 0x10005, (uint16_t)at, (uint16_t)body, at + room < total);
        memcpy(piece + FRAGMENT6_HEADS, packet + IP6_HEAD + at, body);
        ck_assert_uint_le(FRAGMENT6_HEADS + body, MTU);
        ck_assert(ip6_parse(piece, FRAGMENT6_HEADS + body, &ip) && ip.proto == IP6_FRAGMENT);
        ck_assert_uint_eq(fragment6_as4(as4, 20 + body - 1, piece, &ip), 0);
        size_t n = fragment6_as4(as4, sizeof(as4), piece, &ip);
        ck_assert_uint_eq(n, IP_HEAD + body);
        ck_assert(all == NULL);
        all = reassembly_add(r, (mono_t){1}, as4, n, &whole);
        free(piece);
    }
    ck_assert_ptr_nonnull(all);
    ck_assert_uint_eq(all[9], FRAGMENT6_PROTO);
    ck_assert_uint_eq(whole, IP_HEAD + total);
    ck_assert(udp6_parse(to_b, all + IP_HEAD, whole - IP_HEAD, &d));
    ck_assert_uint_eq(d.len, length[_i]);
    ck_assert_mem_eq(d.data, data, d.len);
    reassembly_free(r);
}
END_TEST

START_TEST(other_pieces_are_refused)
{
    uint8_t piece[200] = {0}, as4[300];
    struct ip_header ip = {.src = A, .dst = B};
    for (size_t body = 0; body < 20; body++) { /* nothing in it */
        fragment6_build(piece, to_b, IP_UDP, 1, 0, (uint16_t)body, true);
        ck_assert(ip6_parse(piece, FRAGMENT6_HEADS + body, &ip));
        ck_assert_uint_eq(fragment6_as4(as4, sizeof(as4), piece, &ip), body ? IP_HEAD + body : 0);
    }
    ip6_build(piece, to_b, IP6_FRAGMENT, 4); /* not even its header */
    ck_assert(ip6_parse(piece, IP6_HEAD + 4, &ip));
    ck_assert_uint_eq(fragment6_as4(as4, sizeof(as4), piece, &ip), 0);
    fragment6_build(piece, to_b, IP_TCP, 1, 0, 64, true);
    ck_assert(ip6_parse(piece, FRAGMENT6_HEADS + 64, &ip));
    ck_assert_uint_eq(fragment6_as4(as4, sizeof(as4), piece, &ip), 0);
}
END_TEST

/* ---- ICMPv6 ---- */

static bool parse_error(const uint8_t *p, size_t len, struct icmp_error *e)
{
    struct ip_header ip = {.src = B, .dst = A};
    return ip6_parse(p, len, &ip) && ip.proto == IP6_ICMP && icmp6_error_parse(p, &ip, e);
}

START_TEST(error_says_which_datagram_it_is_about)
{
    uint8_t quoted[64], want[200], got[ICMP6_ERROR_MAX];
    struct icmp_error e;
    size_t n = unhex(DATAGRAM, quoted, sizeof(quoted)), len = unhex(refusal, want, sizeof(want));
    ck_assert_uint_eq(icmp6_error_build(got, quoted, n), len);
    ck_assert_mem_eq(got, want, len);
    ck_assert(parse_error(got, len, &e));
    ck_assert(e.proto == IP_UDP && e.code == ICMP_UNREACHABLE_PORT && e.src == A && e.dst == B && e.src_port == 5000 && e.dst_port == 53);
    ck_assert_uint_eq(icmp6_error_build(got, quoted, UDP6_HEADS - 1), 0);
    for (size_t bit = IP6_SRC * 8; bit < len * 8; bit++) {
        want[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_msg(!parse_error(want, len, &e), "bit %zu", bit);
        want[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, want, cut);
        if (cut >= IP6_HEAD)
            ip_store16(exact + 4, (uint16_t)(cut - IP6_HEAD));
        ck_assert(!parse_error(exact, cut, &e));
        free(exact);
    }
}
END_TEST

/* Good sums, but about somebody else's packet: it must be one from us to whom the error comes from. */
START_TEST(errors_about_others_are_refused)
{
    uint8_t quoted[64], p[ICMP6_ERROR_MAX];
    struct icmp_error e;
    size_t n = unhex(DATAGRAM, quoted, sizeof(quoted)), len = icmp6_error_build(p, quoted, n);
    static const size_t at[] = {IP6_HEAD + 8 + IP6_SRC, IP6_HEAD + 8 + IP6_DST + 15, IP6_HEAD + 8 + 6, IP6_HEAD, IP6_HEAD + 1};
    for (size_t i = 0; i < ARRAY_LEN(at); i++) {
        p[at[i]] ^= 8;
        ip_store16(p + IP6_HEAD + 2, 0);
        ip_store_sum(p + IP6_HEAD + 2, ip_sum(p + IP6_HEAD, len - IP6_HEAD) + ip6_pseudo_sum(p, IP6_ICMP, (uint16_t)(len - IP6_HEAD)));
        ck_assert(!parse_error(p, len, &e));
        p[at[i]] ^= 8;
    }
}
END_TEST

START_TEST(long_quotes_are_cut)
{
    static uint8_t packet[3000], out[ICMP6_ERROR_MAX];
    uint8_t data[2000] = {0};
    struct icmp_error e;
    size_t n = make(packet, data, sizeof(data)), len = icmp6_error_build(out, packet, n);
    ck_assert_uint_eq(len, ICMP6_ERROR_MAX);
    ck_assert(parse_error(out, len, &e));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tcpip/udp6");
    TCase *t = tcase_create("udp6");
    tcase_add_checked_fixture(t, hosts, NULL);
    tcase_add_test(t, packet_is_as_drawn);
    tcase_add_loop_test(t, datagrams_come_back, 0, 10);
    tcase_add_test(t, damage_is_noticed);
    tcase_add_test(t, piece_is_as_drawn);
    tcase_add_loop_test(t, pieces_make_the_datagram, 0, 5);
    tcase_add_test(t, other_pieces_are_refused);
    tcase_add_test(t, error_says_which_datagram_it_is_about);
    tcase_add_test(t, errors_about_others_are_refused);
    tcase_add_test(t, long_quotes_are_cut);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
