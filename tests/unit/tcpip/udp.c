/* udp.c - UDP headers, ICMP errors, fragments. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>

#include "daemon/tcpip/fragment.h"
#include "daemon/tcpip/icmp_error.h"
#include "daemon/tcpip/udp.h"
#include "include/bytes.h"
#include "tests/lib/suite.h"

enum { A = 0x0a010203, B = 0x0a040506, MTU = 1400 };

static bool v6; /* set by the fixture: every test is told in both */
static const uint8_t a6[16] = {0xfd, 0x69, 0x33, [15] = 1}, b6[16] = {0xfd, 0x69, 0x33, [14] = 7, [15] = 2};

static void in_ipv4(void)
{
    v6 = false;
}

static void in_ipv6(void)
{
    v6 = true;
}

/* An IP header from A to B (or B to A) for `body` bytes. Returns its length. */
static size_t head(uint8_t *out, bool back, uint8_t proto, uint16_t body)
{
    if (v6) {
        uint8_t template[IP6_HEAD];
        ip6_template(template, back ? b6 : a6, back ? a6 : b6, 0);
        ip6_build(out, template, proto == IP_ICMP ? IP6_ICMP : proto, body);
        return IP6_HEAD;
    }
    ip_build(out, back ? B : A, back ? A : B, proto, 77, (uint16_t)(IP_HEAD + body));
    return IP_HEAD;
}

static size_t head_len(void)
{
    return v6 ? IP6_HEAD : IP_HEAD;
}

static bool parse(const uint8_t *packet, size_t len, struct ip_header *ip)
{
    *ip = (struct ip_header){.src = A, .dst = B};
    return v6 ? ip6_parse(packet, len, ip) : ip_parse(packet, len, ip);
}

/* n bytes that differ from their neighbours. */
static void pattern(uint8_t *p, size_t n, unsigned seed)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 7 + (i >> 8) * 13 + seed);
}

/* A whole packet; its length. */
static size_t make(uint8_t *out, const uint8_t *data, size_t len)
{
    size_t n = head(out, false, IP_UDP, (uint16_t)(UDP_HEAD + len));
    udp_build(out + n, out, 5000, 53, data, len);
    memcpy(out + n + UDP_HEAD, data, len);
    return n + UDP_HEAD + len;
}

/* ---- headers ---- */

START_TEST(header_is_as_drawn)
{
    static const uint8_t golden[] = {0x13, 0x88, 0x00, 0x35, 0x00, 0x0a, 0x68, 0xa6, 'h', 'i'};
    static const uint8_t sum6[] = {0x1b, 0xdd};
    uint8_t packet[64];
    ck_assert_uint_eq(make(packet, (const uint8_t *)"hi", 2), head_len() + UDP_HEAD + 2);
    if (v6)
        ck_assert_mem_eq(packet + IP6_HEAD + 6, sum6, 2);
    else
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
    ck_assert(parse(packet, n, &ip));
    ck_assert(udp_parse(packet, &ip, &d));
    ck_assert_uint_eq(d.len, len);
    ck_assert_mem_eq(d.data, data, len);
    ck_assert(d.src_port == 5000 && d.dst_port == 53);
}
END_TEST

START_TEST(any_flipped_bit_is_noticed)
{
    uint8_t data[33], packet[128];
    struct ip_header ip;
    struct udp_datagram d;
    pattern(data, sizeof(data), 9);
    size_t n = make(packet, data, sizeof(data));
    for (size_t bit = head_len() * 8; bit < n * 8; bit++) {
        packet[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_msg(parse(packet, n, &ip) && !udp_parse(packet, &ip, &d), "bit %zu", bit);
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
        ip_store16(packet + head_len() + 4, c[i].say);
        ip_store16(packet + head_len() + 6, 0); /* no checksum: allowed in IPv4 */
        ck_assert(parse(packet, n, &ip));
        ck_assert_msg(udp_parse(packet, &ip, &d) == (c[i].good && !v6), "length %u", c[i].say);
        if (c[i].good && !v6)
            ck_assert_uint_eq(d.len, c[i].say - 8u);
    }
    for (uint16_t n = (uint16_t)head_len(); n < head_len() + UDP_HEAD; n++) { /* the header itself cut short */
        head(packet, false, IP_UDP, (uint16_t)(n - head_len()));
        ck_assert(parse(packet, n, &ip));
        ck_assert(!udp_parse(packet, &ip, &d));
    }
}
END_TEST

START_TEST(checksum_zero_is_sent_as_ones)
{
    uint8_t ip[IP6_HEAD], out[UDP_HEAD], data[2] = {0};
    unsigned ones = 0;
    head(ip, false, IP_UDP, UDP_HEAD + 2);
    for (unsigned v = 0; v < 65536; v++) {
        ip_store16(data, (uint16_t)v);
        udp_build(out, ip, 5000, 53, data, 2);
        ck_assert_uint_ne(ip_load16(out + 6), 0);
        ones += ip_load16(out + 6) == 0xffff;
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
    size_t len = icmp_error_build(out, 4, packet, n);
    ck_assert_uint_eq(len, ICMP_ERROR_MAX);
    ck_assert(parse(out, len, &ip));
    ck_assert(v6 || (ip.src == B && ip.dst == A));
    ck_assert_uint_eq(ip.proto, v6 ? IP6_ICMP : IP_ICMP);
    ck_assert(icmp_error_parse(out, &ip, &e));
    ck_assert(e.err == ECONNREFUSED && e.proto == IP_UDP && e.mtu == 0);
    ck_assert(e.local_port == 5000 && e.remote_port == 53 && e.seq == 0);
}
END_TEST

START_TEST(errors_about_errors_are_not_made)
{
    uint8_t packet[64], out[ICMP_ERROR_MAX], again[ICMP_ERROR_MAX];
    size_t n = make(packet, (const uint8_t *)"x", 1);
    size_t len = icmp_error_build(out, 1, packet, n);
    ck_assert_uint_gt(len, 0);
    ck_assert_uint_eq(icmp_error_build(again, 1, out, len), 0);
    for (size_t cut = 0; cut < head_len() + 8; cut++)
        ck_assert_uint_eq(icmp_error_build(out, 1, packet, cut), 0);
    if (v6)
        return;
    ip_store16(packet + 6, 5); /* a later fragment */
    ck_assert_uint_eq(icmp_error_build(out, 1, packet, n), 0);
}
END_TEST

/* An error of that type and code about a packet of that protocol with 8 bytes, from B to A. */
static size_t make_error(uint8_t *out, uint8_t type, uint8_t code, uint32_t rest, uint8_t proto)
{
    size_t quoted = head_len() + 8, n = head(out, true, IP_ICMP, (uint16_t)(8 + quoted));
    uint8_t *icmp = out + n, *quote = icmp + 8;
    ip_store32(icmp, (uint32_t)type << 24 | (uint32_t)code << 16);
    ip_store32(icmp + 4, rest);
    head(quote, false, proto, 1000);
    for (unsigned i = 0; i < 8; i++)
        quote[head_len() + i] = (uint8_t)(i + 1);
    ip_store_sum(icmp + 2, ip_sum(icmp, 8 + quoted) + (v6 ? ip6_pseudo_sum(out, IP6_ICMP, (uint16_t)(8 + quoted)) : 0));
    return n + 8 + quoted;
}

START_TEST(errors_mean_what_linux_makes_of_them)
{
    static const struct {
        bool v6;
        uint8_t type, code, proto;
        int err;
    } c[] = {{false, 3, 0, IP_TCP, ENETUNREACH}, {false, 3, 1, IP_TCP, EHOSTUNREACH}, {false, 3, 2, IP_UDP, ENOPROTOOPT},
        {false, 3, 3, IP_UDP, ECONNREFUSED}, {false, 3, 4, IP_TCP, EMSGSIZE}, {false, 3, 13, IP_TCP, EHOSTUNREACH},
        {false, 3, 16, IP_TCP, 0}, {false, 4, 0, IP_TCP, 0}, {false, 11, 0, IP_TCP, EHOSTUNREACH}, {false, 12, 0, IP_TCP, EPROTO},
        {false, 0, 0, IP_TCP, 0}, {false, 8, 0, IP_UDP, 0}, {false, 3, 3, IP_ICMP, 0}, {true, 1, 0, IP_TCP, ENETUNREACH},
        {true, 1, 1, IP_TCP, EACCES}, {true, 1, 3, IP_TCP, EHOSTUNREACH}, {true, 1, 4, IP_UDP, ECONNREFUSED},
        {true, 1, 7, IP_UDP, 0}, {true, 2, 0, IP_TCP, EMSGSIZE}, {true, 3, 0, IP_TCP, EHOSTUNREACH}, {true, 4, 0, IP_TCP, EPROTO},
        {true, 128, 0, IP_UDP, 0}, {true, 1, 4, IP_ICMP, 0}};
    uint8_t out[ICMP_ERROR_MAX];
    struct ip_header ip;
    struct icmp_error e;
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        if (c[i].v6 != v6)
            continue;
        ck_assert(parse(out, make_error(out, c[i].type, c[i].code, 1280, c[i].proto), &ip));
        ck_assert_msg(icmp_error_parse(out, &ip, &e) == (c[i].err != 0), "type %u code %u", c[i].type, c[i].code);
        if (!c[i].err)
            continue;
        ck_assert_msg(e.err == c[i].err && e.mtu == (c[i].err == EMSGSIZE ? 1280 : 0), "type %u code %u", c[i].type, c[i].code);
        ck_assert(e.local_port == 0x0102 && e.remote_port == 0x0304 && e.seq == (c[i].proto == IP_TCP ? 0x05060708 : 0));
    }
}
END_TEST

START_TEST(errors_about_what_others_sent_are_refused)
{
    uint8_t out[ICMP_ERROR_MAX];
    struct ip_header ip;
    struct icmp_error e;
    size_t n = make_error(out, v6 ? 1 : 3, v6 ? 4 : 3, 0, IP_UDP), first = v6 ? IP6_SRC : 12, len = v6 ? 32 : 8;
    uint8_t *icmp = out + head_len(), *quote = icmp + 8;
    for (size_t i = 0; i < len; i++) {
        quote[first + i] ^= 1;
        ip_store16(icmp + 2, 0);
        ip_store_sum(icmp + 2, ip_sum(icmp, n - head_len()) + (v6 ? ip6_pseudo_sum(out, IP6_ICMP, (uint16_t)(n - head_len())) : 0));
        ck_assert(parse(out, n, &ip));
        ck_assert(!icmp_error_parse(out, &ip, &e));
        quote[first + i] ^= 1;
    }
}
END_TEST

START_TEST(cut_or_damaged_errors_are_refused)
{
    uint8_t packet[64], out[ICMP_ERROR_MAX];
    struct ip_header ip;
    struct icmp_error e;
    size_t n = make(packet, (const uint8_t *)"x", 1);
    size_t len = icmp_error_build(out, 1, packet, n);
    ck_assert(parse(out, len, &ip));
    for (size_t bit = head_len() * 8; bit < len * 8; bit++) {
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert_msg(!icmp_error_parse(out, &ip, &e), "bit %zu", bit);
        out[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (uint16_t cut = 0; cut < len - head_len(); cut++) { /* its checksum made right each time */
        uint8_t part[ICMP_ERROR_MAX], *icmp = part + head_len();
        memcpy(part, out, len);
        ip_store16(icmp + 2, 0);
        ip_store_sum(icmp + 2, ip_sum(icmp, cut) + (v6 ? ip6_pseudo_sum(part, IP6_ICMP, cut) : 0));
        ip.len = (uint16_t)(head_len() + cut);
        ck_assert_msg(icmp_error_parse(part, &ip, &e) == (cut >= 8 + head_len() + 8), "cut %u", cut);
    }
}
END_TEST

/* ---- fragments ---- */

struct piece {
    size_t len;
    uint8_t p[FRAGMENT_HEADS_MAX + MTU];
};

static struct piece piece[64];

/* A datagram of `len` bytes in pieces for `mtu`; how many. */
static unsigned cut(uint16_t id, size_t len, uint16_t mtu, unsigned seed)
{
    static uint8_t data[65535], whole[65535 + UDP_HEADS_MAX];
    unsigned n = 0;
    pattern(data, len, seed);
    size_t all = make(whole, data, len), total = all - head_len();
    uint16_t room = fragment_room(whole, mtu);
    for (size_t at = 0; at < total; at += room, n++) {
        uint16_t body = (uint16_t)(total - at < room ? total - at : room);
        size_t h = fragment_build(piece[n].p, whole, id, (uint16_t)at, body, at + room < total);
        memcpy(piece[n].p + h, whole + head_len() + at, body);
        piece[n].len = h + body;
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
    ck_assert(parse(packet, n, &ip));
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
    uint8_t whole[IP6_HEAD];
    head(whole, false, IP_UDP, 2000);
    size_t n = fragment_build(piece[i].p, whole, id, at, body, more);
    memset(piece[i].p + n, 'f', body);
    piece[i].len = n + body;
}

START_TEST(overlaps_spoil_the_datagram)
{
    uint8_t whole[IP6_HEAD];
    head(whole, false, IP_UDP, 2000);
    uint16_t room = fragment_room(whole, MTU); /* bytes of the first piece of two */
    const struct {
        unsigned first; /* the piece that is there already */
        uint16_t at, body;
        bool more;
    } c[] = {{0, 8, room, true}, {0, (uint16_t)(room - 8), 16, true}, {0, 0, (uint16_t)(room + 8), true}, {0, 8, 8, false},
        {1, room, 16, false} /* another end */, {1, 4000, 80, true} /* beyond the end */};
    for (size_t i = 0; i < ARRAY_LEN(c); i++) {
        struct reassembly *r = reassembly_new();
        size_t len;
        ck_assert_uint_eq(cut(5, 2000, MTU, 0), 2);
        ck_assert_ptr_null(add(r, 1, c[i].first, &len));
        forge(9, 5, c[i].at, c[i].body, c[i].more);
        ck_assert_ptr_null(add(r, 1, 9, &len));
        ck_assert_msg(reassembly_stats(r)->bad == 1, "case %zu", i);
        ck_assert_ptr_null(add(r, 1, !c[i].first, &len));
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
    if (!v6) {
        forge(0, 1, 8, 16, true);
        piece[0].p[11] ^= 1;
        ck_assert_ptr_null(add(r, 1, 0, &len));
    }
    forge(0, 1, 8, 16, true);
    for (size_t n = 0; n < piece[0].len; n++)
        ck_assert_ptr_null(reassembly_add(r, (mono_t){1}, piece[0].p, n, &len));
    ck_assert_uint_eq(reassembly_stats(r)->bad, (v6 ? 2 : 3) + piece[0].len);
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

/* Into piece 1: the first or the last 16 bytes of 32 from another source. */
static void from_other(unsigned source, uint16_t at)
{
    uint8_t whole[IP6_HEAD];
    head(whole, false, IP_UDP, 32);
    whole[v6 ? IP6_SRC + 12 : 13] ^= (uint8_t)source;
    piece[1].len = fragment_build(piece[1].p, whole, 1, at, 16, !at) + 16;
}

START_TEST(one_source_takes_no_more_than_its_share)
{
    struct reassembly *r = reassembly_new();
    size_t len;
    from_other(1, 0);
    add(r, 1, 1, &len);
    for (unsigned i = 0; i < 10 * REASSEMBLY_MAX; i++) {
        forge(0, (uint16_t)i, 8, 16, true);
        add(r, 2, 0, &len);
    }
    ck_assert_uint_eq(reassembly_stats(r)->evicted, 10 * REASSEMBLY_MAX - REASSEMBLY_SOURCE);
    from_other(1, 16);
    ck_assert_ptr_nonnull(add(r, 3, 1, &len));
    reassembly_free(r);
}
END_TEST

START_TEST(many_sources_take_no_more_than_all)
{
    struct reassembly *r = reassembly_new();
    size_t len;
    for (unsigned i = 0; i < 3 * REASSEMBLY_MAX; i++) {
        from_other(i, 0);
        ck_assert_ptr_null(add(r, i, 1, &len));
    }
    ck_assert_uint_eq(reassembly_stats(r)->evicted, 2 * REASSEMBLY_MAX);
    ck_assert_uint_eq(reassembly_deadline(r).us, 2 * REASSEMBLY_MAX + REASSEMBLY_US);
    reassembly_free(r);
}
END_TEST

static TCase *all(const char *name, void (*setup)(void))
{
    TCase *t = tcase_create(name);
    tcase_add_unchecked_fixture(t, setup, NULL);
    tcase_add_test(t, header_is_as_drawn);
    tcase_add_loop_test(t, datagrams_come_back, 0, 10);
    tcase_add_test(t, any_flipped_bit_is_noticed);
    tcase_add_test(t, lengths_are_held_against_the_packet);
    tcase_add_test(t, checksum_zero_is_sent_as_ones);
    tcase_add_test(t, error_says_which_datagram_it_is_about);
    tcase_add_test(t, errors_about_errors_are_not_made);
    tcase_add_test(t, errors_mean_what_linux_makes_of_them);
    tcase_add_test(t, errors_about_what_others_sent_are_refused);
    tcase_add_test(t, cut_or_damaged_errors_are_refused);
    tcase_add_loop_test(t, pieces_in_any_order_make_the_datagram, 0, 3);
    tcase_add_test(t, interleaved_datagrams_do_not_mix);
    tcase_add_test(t, overlaps_spoil_the_datagram);
    tcase_add_test(t, malformed_pieces_are_refused);
    tcase_add_test(t, what_is_not_complete_after_30_s_goes);
    tcase_add_test(t, one_source_takes_no_more_than_its_share);
    tcase_add_test(t, many_sources_take_no_more_than_all);
    return t;
}

int main(void)
{
    Suite *s = suite_create("tcpip/udp");
    suite_add_tcase(s, all("ipv4", in_ipv4));
    suite_add_tcase(s, all("ipv6", in_ipv6));
    return suite_run(s);
}
