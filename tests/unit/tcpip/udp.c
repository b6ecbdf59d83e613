/* udp.c - UDP headers, ICMP errors, fragments. */
#include <check.h>
#include <stdlib.h>

#include "daemon/tcpip/fragment.h"
#include "daemon/tcpip/udp.h"
#include "include/bytes.h"

enum { A = 0x0a010203, B = 0x0a040506, MTU = 1400 };

static const struct udp_names names = {A, B, 5000, 53};

/* n bytes that differ from their neighbours. */
static void pattern(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + seed);
}

/* A whole packet; its length. */
static size_t make(uint8_t *out, const uint8_t *data, size_t len)
{
    ip_build(out, A, B, IP_UDP, 77, (uint16_t)(UDP_HEADS + len));
    udp_build(out + IP_HEAD, &names, data, len);
    memcpy(out + UDP_HEADS, data, len);
    return UDP_HEADS + len;
}

/* ---- headers ---- */

START_TEST(header_is_as_drawn)
{
    static const uint8_t golden[] = {0x13, 0x88, 0x00, 0x35, 0x00, 0x0a, 0x68, 0xa6, 'h', 'i'};
    uint8_t packet[64];
    ck_assert_uint_eq(make(packet, (const uint8_t *)"hi", 2), UDP_HEADS + 2);
    ck_assert_mem_eq(packet + IP_HEAD, golden, sizeof(golden));
}
END_TEST

START_TEST(datagrams_come_back)
{
    static const size_t length[] = {0, 1, 2, 3, 7, 64, 1371, 1372, 9000, UDP_DATA_MAX};
    static uint8_t data[UDP_DATA_MAX], packet[65535];
    struct ip_header ip;
    struct udp_datagram d;
    size_t len = length[_i];
    pattern(data, len, 3);
    size_t n = make(packet, data, len);
    ck_assert(ip_parse(packet, n, &ip));
    ck_assert(udp_parse(packet, &ip, &d));
    ck_assert_uint_eq(d.len, len);
    ck_assert_mem_eq(d.data, data, len);
    ck_assert(d.names.src == A && d.names.dst == B && d.names.src_port == 5000 && d.names.dst_port == 53);
}
END_TEST

START_TEST(any_flipped_bit_is_noticed)
{
    uint8_t data[33], packet[128];
    struct ip_header ip;
    struct udp_datagram d;
    pattern(data, sizeof(data), 9);
    size_t n = make(packet, data, sizeof(data));
    for (size_t bit = IP_HEAD * 8; bit < n * 8; bit++) {
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_msg(ip_parse(packet, n, &ip) && !udp_parse(packet, &ip, &d), "bit %zu", bit);
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
}
END_TEST

START_TEST(lengths_are_held_against_the_packet)
{
    static const struct {
        uint16_t say;
        bool good;
    } c[] = {{0, false}, {7, false}, {8, true}, {9, true}, {12, true}, {13, false}, {0xffff, false}};
    uint8_t packet[64];
    struct ip_header ip;
    struct udp_datagram d;
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        size_t n = make(packet, (const uint8_t *)"abcd", 4);
        ip_store16(packet + IP_HEAD + 4, c[i].say);
        ip_store16(packet + IP_HEAD + 6, 0); /* no checksum: allowed */
        ck_assert(ip_parse(packet, n, &ip));
        ck_assert_msg(udp_parse(packet, &ip, &d) == c[i].good, "length %u", c[i].say);
        if (c[i].good)
            ck_assert_uint_eq(d.len, c[i].say - 8u);
    }
    for (uint16_t n = IP_HEAD; n < UDP_HEADS; n++) { /* the header itself cut short */
        ip_build(packet, A, B, IP_UDP, 1, n);
        ck_assert(ip_parse(packet, n, &ip));
        ck_assert(!udp_parse(packet, &ip, &d));
    }
}
END_TEST

START_TEST(checksum_zero_is_sent_as_ones)
{
    uint8_t head[UDP_HEAD], data[2] = {0};
    unsigned ones = 0;
    for (unsigned v = 0; v < 65536; v++) {
        ip_store16(data, (uint16_t)v);
        udp_build(head, &names, data, 2);
        ck_assert_uint_ne(ip_load16(head + 6), 0);
        ones += ip_load16(head + 6) == 0xffff;
    }
    ck_assert_uint_eq(ones, 1);
}
END_TEST

/* ---- ICMP errors ---- */

START_TEST(error_says_which_datagram_it_is_about)
{
    uint8_t data[1000], packet[2000], out[ICMP_ERROR_MAX];
    struct ip_header ip;
    struct icmp_error e;
    pattern(data, sizeof(data), 1);
    size_t n = make(packet, data, sizeof(data));
    size_t len = icmp_error_build(out, ICMP_UNREACHABLE_PORT, 4, packet, n);
    ck_assert_uint_eq(len, ICMP_ERROR_MAX);
    ck_assert(ip_parse(out, len, &ip));
    ck_assert(ip.src == B && ip.dst == A && ip.proto == IP_ICMP);
    ck_assert(icmp_error_parse(out, &ip, &e));
    ck_assert(e.type == ICMP_UNREACHABLE && e.code == ICMP_UNREACHABLE_PORT && e.proto == IP_UDP);
    ck_assert(e.src == A && e.dst == B && e.src_port == 5000 && e.dst_port == 53 && e.seq == 0);
}
END_TEST

START_TEST(errors_about_errors_are_not_made)
{
    uint8_t packet[64], out[ICMP_ERROR_MAX], again[ICMP_ERROR_MAX];
    size_t n = make(packet, (const uint8_t *)"x", 1);
    size_t len = icmp_error_build(out, ICMP_UNREACHABLE_PORT, 1, packet, n);
    ck_assert_uint_gt(len, 0);
    ck_assert_uint_eq(icmp_error_build(again, ICMP_UNREACHABLE_PORT, 1, out, len), 0);
    ip_store16(packet + 6, 5); /* a later fragment */
    ck_assert_uint_eq(icmp_error_build(out, ICMP_UNREACHABLE_PORT, 1, packet, n), 0);
    for (size_t cut = 0; cut < IP_HEAD + 8; cut++)
        ck_assert_uint_eq(icmp_error_build(out, ICMP_UNREACHABLE_PORT, 1, packet, cut), 0);
}
END_TEST

START_TEST(cut_or_damaged_errors_are_refused)
{
    uint8_t packet[64], out[ICMP_ERROR_MAX];
    struct ip_header ip;
    struct icmp_error e;
    size_t n = make(packet, (const uint8_t *)"x", 1);
    size_t len = icmp_error_build(out, ICMP_UNREACHABLE_PORT, 1, packet, n);
    ck_assert(ip_parse(out, len, &ip));
    for (size_t bit = IP_HEAD * 8; bit < len * 8; bit++) {
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_msg(!icmp_error_parse(out, &ip, &e), "bit %zu", bit);
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (uint16_t cut = 0; cut < len - IP_HEAD; cut++) { /* its checksum made right each time */
        uint8_t part[ICMP_ERROR_MAX];
        memcpy(part, out, len);
        ip_store16(part + IP_HEAD + 2, 0);
        ip_store_sum(part + IP_HEAD + 2, ip_sum(part + IP_HEAD, cut));
        ip.len = (uint16_t)(IP_HEAD + cut);
        ck_assert_msg(icmp_error_parse(part, &ip, &e) == (cut >= 8 + IP_HEAD + 8), "cut %u", cut);
    }
}
END_TEST

/* ---- fragments ---- */

struct piece {
    size_t len;
    uint8_t p[IP_HEAD + MTU];
};

static struct piece piece[64];

/* A datagram of `len` bytes in pieces for `mtu`; how many. */
static unsigned cut(uint16_t id, size_t len, uint16_t mtu, unsigned seed)
{
    static uint8_t whole[65535];
    uint8_t *upper = whole + IP_HEAD;
    uint16_t room = fragment_room(mtu);
    size_t total = UDP_HEAD + len;
    unsigned n = 0;
    pattern(upper + UDP_HEAD, len, seed);
    udp_build(upper, &names, upper + UDP_HEAD, len);
    for (size_t at = 0; at < total; at += room, n++) {
        uint16_t body = (uint16_t)(total - at < room ? total - at : room);
        fragment_build(piece[n].p, A, B, IP_UDP, id, (uint16_t)at, body, at + room < total);
        memcpy(piece[n].p + IP_HEAD, upper + at, body);
        piece[n].len = IP_HEAD + (size_t)body;
        ck_assert_uint_le(piece[n].len, mtu);
    }
    return n;
}

static const uint8_t *add(struct reassembly *r, uint64_t us, unsigned i, size_t *len)
{
    return reassembly_add(r, (mono_t){us}, piece[i].p, piece[i].len, len);
}

/* What came out is the datagram of cut(). */
static void ck_whole(const uint8_t *packet, size_t n, size_t len, unsigned seed)
{
    static uint8_t want[65535];
    struct ip_header ip;
    struct udp_datagram d;
    ck_assert_ptr_nonnull(packet);
    ck_assert(ip_parse(packet, n, &ip));
    ck_assert(udp_parse(packet, &ip, &d));
    pattern(want, len, seed);
    ck_assert_uint_eq(d.len, len);
    ck_assert_mem_eq(d.data, want, len);
}

START_TEST(pieces_in_any_order_make_the_datagram)
{
    static const size_t length[] = {1373, 1400, 2752, 2753, 9000, 40001, UDP_DATA_MAX};
    for (size_t k = 0; k < ARRAY_LEN(length); k++) {
        struct reassembly *r = reassembly_new();
        unsigned n = cut(9, length[k], MTU, (unsigned)k), step = 1;
        size_t len;
        const uint8_t *p = NULL;
        ck_assert_uint_ge(n, 2);
        if (_i == 1)
            step = n - 1; /* backwards */
        if (_i == 2)
            for (step = 7; n % step == 0; step++)
                ;
        for (unsigned i = 0; i < n; i++) {
            ck_assert_ptr_null(p);
            p = add(r, 1, (i + (_i ? n - 1 : 0)) * step % n, &len);
            if (i + 1 < n)
                ck_assert_ptr_null(add(r, 2, (i + (_i ? n - 1 : 0)) * step % n, &len)); /* twice is no harm */
        }
        ck_whole(p, len, length[k], (unsigned)k);
        ck_assert_uint_eq(reassembly_deadline(r).us, UINT64_MAX);
        ck_assert_uint_eq(reassembly_stats(r)->bad, 0);
        reassembly_free(r);
    }
}
END_TEST

START_TEST(interleaved_datagrams_do_not_mix)
{
    struct reassembly *r = reassembly_new();
    size_t len;
    cut(1, 2000, MTU, 1);
    ck_assert_ptr_null(add(r, 1, 0, &len));
    cut(2, 2000, MTU, 2);
    ck_assert_ptr_null(add(r, 1, 0, &len));
    cut(1, 2000, MTU, 1);
    ck_whole(add(r, 1, 1, &len), len, 2000, 1);
    cut(2, 2000, MTU, 2);
    ck_whole(add(r, 1, 1, &len), len, 2000, 2);
    reassembly_free(r);
}
END_TEST

/* A piece as an attacker makes it. */
static void forge(unsigned i, uint16_t id, uint16_t at, uint16_t body, bool more)
{
    fragment_build(piece[i].p, A, B, IP_UDP, id, at, body, more);
    memset(piece[i].p + IP_HEAD, 'f', body);
    piece[i].len = IP_HEAD + (size_t)body;
}

START_TEST(overlaps_spoil_the_datagram)
{
    static const struct {
        uint16_t at, body;
        bool more;
    } c[] = {{8, 1376, true}, {1368, 16, true}, {0, 1384, true}, {1376, 16, false} /* another end */, {8, 8, false},
        {4000, 80, true} /* beyond the end */};
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        struct reassembly *r = reassembly_new();
        size_t len;
        ck_assert_uint_eq(cut(5, 2000, MTU, 0), 2);
        ck_assert_ptr_null(add(r, 1, i == 3 || i == 5 ? 1 : 0, &len));
        forge(9, 5, c[i].at, c[i].body, c[i].more);
        ck_assert_ptr_null(add(r, 1, 9, &len));
        ck_assert_uint_eq(reassembly_stats(r)->bad, 1);
        ck_assert_ptr_null(add(r, 1, i == 3 || i == 5 ? 0 : 1, &len));
        reassembly_free(r);
    }
}
END_TEST

START_TEST(malformed_pieces_are_refused)
{
    struct reassembly *r = reassembly_new();
    size_t len;
    forge(0, 1, 0, 12, true); /* no multiple of 8 */
    ck_assert_ptr_null(add(r, 1, 0, &len));
    forge(0, 1, 65528, 100, false); /* longer than a packet can be */
    ck_assert_ptr_null(add(r, 1, 0, &len));
    forge(0, 1, 8, 16, true);
    piece[0].p[11] ^= 1;
    ck_assert_ptr_null(add(r, 1, 0, &len));
    forge(0, 1, 8, 16, true);
    for (size_t n = 0; n < piece[0].len; n++)
        ck_assert_ptr_null(reassembly_add(r, (mono_t){1}, piece[0].p, n, &len));
    ck_assert_uint_eq(reassembly_stats(r)->bad, 3 + piece[0].len);
    ck_assert_uint_eq(reassembly_deadline(r).us, UINT64_MAX);
    reassembly_free(r);
}
END_TEST

START_TEST(what_is_not_complete_after_30_s_goes)
{
    struct reassembly *r = reassembly_new();
    size_t len;
    cut(1, 2000, MTU, 0);
    add(r, 1000, 0, &len);
    ck_assert_uint_eq(reassembly_deadline(r).us, 1000 + REASSEMBLY_US);
    reassembly_expire(r, (mono_t){999 + REASSEMBLY_US});
    ck_assert_uint_eq(reassembly_stats(r)->expired, 0);
    reassembly_expire(r, (mono_t){1000 + REASSEMBLY_US});
    ck_assert_uint_eq(reassembly_stats(r)->expired, 1);
    ck_assert_ptr_null(add(r, 1000 + REASSEMBLY_US, 1, &len));
    reassembly_free(r);
}
END_TEST

START_TEST(one_source_takes_no_more_than_its_share)
{
    struct reassembly *r = reassembly_new();
    uint8_t other[2][IP_HEAD + 16];
    size_t len;
    fragment_build(other[0], A + 1, B, IP_UDP, 1, 0, 16, true);
    fragment_build(other[1], A + 1, B, IP_UDP, 1, 16, 16, false);
    reassembly_add(r, (mono_t){1}, other[0], sizeof(other[0]), &len);
    for (unsigned i = 0; i < 10 * REASSEMBLY_MAX; i++) {
        forge(0, (uint16_t)i, 8, 16, true);
        add(r, 2, 0, &len);
    }
    ck_assert_uint_eq(reassembly_stats(r)->evicted, 10 * REASSEMBLY_MAX - REASSEMBLY_SOURCE);
    ck_assert_ptr_nonnull(reassembly_add(r, (mono_t){3}, other[1], sizeof(other[1]), &len));
    reassembly_free(r);
}
END_TEST

START_TEST(many_sources_take_no_more_than_all)
{
    struct reassembly *r = reassembly_new();
    uint8_t p[IP_HEAD + 16] = {0};
    size_t len;
    for (unsigned i = 0; i < 3 * REASSEMBLY_MAX; i++) {
        fragment_build(p, A + i, B, IP_UDP, 1, 0, 16, true);
        ck_assert_ptr_null(reassembly_add(r, (mono_t){i}, p, sizeof(p), &len));
    }
    ck_assert_uint_eq(reassembly_stats(r)->evicted, 2 * REASSEMBLY_MAX);
    ck_assert_uint_eq(reassembly_deadline(r).us, 2 * REASSEMBLY_MAX + REASSEMBLY_US);
    reassembly_free(r);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tcpip/udp");
    TCase *t = tcase_create("headers");
    tcase_add_test(t, header_is_as_drawn);
    tcase_add_loop_test(t, datagrams_come_back, 0, 10);
    tcase_add_test(t, any_flipped_bit_is_noticed);
    tcase_add_test(t, lengths_are_held_against_the_packet);
    tcase_add_test(t, checksum_zero_is_sent_as_ones);
    tcase_add_test(t, error_says_which_datagram_it_is_about);
    tcase_add_test(t, errors_about_errors_are_not_made);
    tcase_add_test(t, cut_or_damaged_errors_are_refused);
    suite_add_tcase(s, t);
    t = tcase_create("fragments");
    tcase_add_loop_test(t, pieces_in_any_order_make_the_datagram, 0, 3);
    tcase_add_test(t, interleaved_datagrams_do_not_mix);
    tcase_add_test(t, overlaps_spoil_the_datagram);
    tcase_add_test(t, malformed_pieces_are_refused);
    tcase_add_test(t, what_is_not_complete_after_30_s_goes);
    tcase_add_test(t, one_source_takes_no_more_than_its_share);
    tcase_add_test(t, many_sources_take_no_more_than_all);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0;
}
