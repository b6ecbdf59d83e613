/* Checksums and rewriting, against the plainest way to compute them; segments there and back. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/tcpip/segment.h"
#include "include/bytes.h"
#include "tests/lib/suite.h"

static uint64_t rng = 88172645463325252ull;

static uint32_t draw(uint32_t bound)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return (uint32_t)(rng >> 32) % bound;
}

/* RFC 1071 as it is written: 16-bit words in network order, carries added round. */
static uint16_t naive(const uint8_t *p, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

START_TEST(sums_like_the_rfc)
{
    uint8_t data[70000], got[2];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)draw(256);
    memset(data + 3000, 0xff, 2000);
    memset(data + 6000, 0, 2000);
    for (int i = 0; i < 4000; i++) {
        size_t at = draw(9000), len = i < 200 ? (size_t)i : draw(i & 1 ? 200 : 65536 / 2);
        ip_store_sum(got, ip_sum(data + at, len));
        uint32_t limit = len > 60000 ? 60000 : (uint32_t)len;
        ck_assert_uint_eq(ip_load16(got), naive(data + at, limit, 0));
        /* in two pieces, the second of which may begin at an odd place */
        size_t cut = len ? draw((uint32_t)len) : 0;
        uint64_t rest = ip_sum(data + at + cut, len - cut);
        ip_store_sum(got, ip_sum(data + at, cut) + (cut & 1 ? ip_sum_odd(rest) : rest));
        ck_assert_uint_eq(ip_load16(got), naive(data + at, limit, 0));
    }
}
END_TEST

/* A packet of the protocol with right checksums. */
static size_t make_packet(uint8_t *p, uint8_t proto, uint32_t src, uint32_t dst, size_t body)
{
    size_t head = proto == IP_TCP ? 20 : 8, len = IP_HEAD + head + body, at = proto == IP_TCP ? 16 : proto == IP_UDP ? 6 : 2;
    for (size_t i = IP_HEAD; i < len; i++)
        p[i] = (uint8_t)draw(256);
    ip_build(p, src, dst, proto, 1, (uint16_t)len);
    if (proto == IP_ICMP)
        p[IP_HEAD] = 8;
    ip_store16(p + IP_HEAD + at, 0);
    uint64_t pseudo = proto == IP_ICMP ? 0 : ip_pseudo_sum(src, dst, proto, (uint16_t)(len - IP_HEAD));
    ip_store_sum(p + IP_HEAD + at, ip_sum(p + IP_HEAD, len - IP_HEAD) + pseudo);
    return len;
}

static bool sums_right(const uint8_t *p, size_t len)
{
    uint32_t src, dst;
    if (!ip_addresses(p, len, &src, &dst) || ip_fold(ip_sum(p, IP_HEAD)) != 0xffff)
        return false;
    uint64_t pseudo = p[9] == IP_ICMP ? 0 : ip_pseudo_sum(src, dst, p[9], (uint16_t)(len - IP_HEAD));
    return ip_fold(ip_sum(p + IP_HEAD, len - IP_HEAD) + pseudo) == 0xffff;
}

START_TEST(rewrites_with_right_checksums)
{
    static const uint8_t protos[] = {IP_TCP, IP_UDP, IP_ICMP};
    uint8_t p[2000], copy[2000];
    for (int i = 0; i < 3000; i++) {
        uint8_t proto = protos[i % 3];
        uint32_t src = draw(UINT32_MAX), dst = draw(UINT32_MAX), a = i % 5 ? draw(UINT32_MAX) : 0, b = i % 7 ? draw(UINT32_MAX) : ~0u;
        uint32_t now_src, now_dst;
        size_t len = make_packet(p, proto, src, dst, draw(1500));
        memcpy(copy, p, len);
        ck_assert(sums_right(p, len));
        ip_rewrite(p, len, a, b);
        ck_assert(sums_right(p, len));
        ck_assert(ip_addresses(p, len, &now_src, &now_dst) && now_src == a && now_dst == b);
        ip_rewrite(p, len, src, dst);
        ck_assert(sums_right(p, len));
        p[IP_HEAD + 20 % (len - IP_HEAD)] ^= 1; /* damage stays visible */
        ip_rewrite(p, len, a, b);
        ck_assert(!sums_right(p, len));
    }
}
END_TEST

START_TEST(keeps_a_udp_checksum_unused)
{
    uint8_t p[100];
    size_t len = make_packet(p, IP_UDP, 1, 2, 20);
    ip_store16(p + 26, 0);
    ip_rewrite(p, len, 3, 4);
    ck_assert_uint_eq(ip_load16(p + 26), 0);
}
END_TEST

START_TEST(rewrites_what_an_error_quotes)
{
    static const uint8_t protos[] = {IP_TCP, IP_UDP};
    for (int i = 0; i < 200; i++) {
        uint8_t p[200], quote[200];
        /* 2 sent something to 1; 1 answers with an error that quotes it */
        size_t inner = make_packet(quote, protos[i & 1], 2, 1, draw(50));
        size_t shown = i & 2 ? inner : IP_HEAD + 8, len = IP_HEAD + 8 + shown;
        memset(p, 0, sizeof(p));
        p[IP_HEAD] = 3;
        memcpy(p + 28, quote, shown);
        ip_build(p, 1, 2, IP_ICMP, 1, (uint16_t)len);
        ip_store_sum(p + 22, ip_sum(p + IP_HEAD, len - IP_HEAD));
        ip_rewrite(p, len, 0x0a000063, 0x0a000064);
        ck_assert(sums_right(p, len));
        uint32_t src, dst;
        ck_assert(ip_addresses(p + 28, shown, &src, &dst));
        ck_assert_uint_eq(src, 0x0a000064);
        ck_assert_uint_eq(dst, 0x0a000063);
        ck_assert_uint_eq(ip_fold(ip_sum(p + 28, IP_HEAD)), 0xffff);
        if (shown == inner)
            ck_assert(sums_right(p + 28, inner));
    }
}
END_TEST

START_TEST(leaves_alone_what_is_cut_short)
{
    uint8_t p[100];
    make_packet(p, IP_TCP, 1, 2, 10);
    for (size_t len = 0; len < 50; len++) {
        uint8_t *exact = malloc(len ? len : 1), before[100];
        memcpy(exact, p, len);
        memcpy(before, p, len);
        ip_rewrite(exact, len, 7, 8);
        if (len < IP_HEAD)
            ck_assert_mem_eq(exact, before, len ? len : 0);
        free(exact);
    }
    for (int i = 0; i < 20000; i++) { /* anything at all */
        size_t len = draw(90);
        uint8_t *junk = malloc(len + 1);
        for (size_t k = 0; k < len; k++)
            junk[k] = (uint8_t)draw(256);
        if (len > 9) {
            junk[0] = (uint8_t)(0x45 + draw(4));
            junk[9] = (uint8_t)(draw(2) ? 1 : 6);
        }
        if (len > 20)
            junk[20] = 3;
        ip_rewrite(junk, len, 7, 8);
        free(junk);
    }
}
END_TEST

START_TEST(parses_only_sound_headers)
{
    uint8_t p[100];
    struct ip_header h;
    size_t len = make_packet(p, IP_TCP, 1, 2, 10);
    ck_assert(ip_parse(p, len, &h));
    ck_assert(h.src == 1 && h.dst == 2 && h.proto == IP_TCP && h.len == len && h.head_len == 20);
    for (size_t cut = 0; cut < len; cut++)
        ck_assert(!ip_parse(p, cut, &h));
    ck_assert(ip_parse(p, len + 5, &h) && h.len == len);
    for (int bit = 0; bit < 160; bit++) {
        p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        ck_assert(!ip_parse(p, len, &h));
        p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    ip_store16(p + 6, 0x2000); /* a first fragment */
    ip_store16(p + 10, 0);
    ip_store_sum(p + 10, ip_sum(p, 20));
    ck_assert(!ip_parse(p, len, &h));
}
END_TEST

START_TEST(segments_go_there_and_back)
{
    for (int i = 0; i < 2000; i++) {
        struct segment s = {.src = draw(UINT32_MAX), .dst = draw(UINT32_MAX), .src_port = (uint16_t)draw(65536),
            .dst_port = (uint16_t)draw(65536), .seq = draw(UINT32_MAX), .ack = draw(UINT32_MAX), .flags = (uint8_t)draw(256),
            .window = (uint16_t)draw(65536), .len = draw(1000)};
        s.has_stamps = i & 1;
        s.ts_val = s.has_stamps ? draw(UINT32_MAX) : 0;
        s.ts_ecr = s.has_stamps ? draw(UINT32_MAX) : 0;
        if (s.flags & TH_SYN) {
            s.mss = (uint16_t)draw(65536);
            s.sack_ok = i & 2;
            s.has_wscale = i & 4;
            s.wscale = (uint8_t)(s.has_wscale ? draw(15) : 0);
        } else {
            s.sacks = (uint8_t)draw(s.has_stamps ? 4 : 5);
            for (int k = 0; k < s.sacks; k++)
                s.sack[k] = (struct sack_block){draw(UINT32_MAX), draw(UINT32_MAX)};
        }
        uint8_t p[1100], body[1000];
        for (size_t k = 0; k < s.len; k++)
            body[k] = (uint8_t)draw(256);
        size_t head = segment_build(p, &s, 7, ip_sum(body, s.len));
        ck_assert_uint_le(head, 80);
        memcpy(p + head, body, s.len);
        struct ip_header h;
        struct segment t;
        ck_assert(ip_parse(p, head + s.len, &h) && segment_parse(p, &h, &t));
        ck_assert(t.src == s.src && t.dst == s.dst && t.src_port == s.src_port && t.dst_port == s.dst_port);
        ck_assert(t.seq == s.seq && t.ack == s.ack && t.flags == s.flags && t.window == s.window && t.len == s.len);
        ck_assert(t.has_stamps == s.has_stamps && t.mss == s.mss && t.sack_ok == s.sack_ok && t.sacks == s.sacks);
        ck_assert(!s.has_stamps || (t.ts_val == s.ts_val && t.ts_ecr == s.ts_ecr));
        ck_assert(t.has_wscale == s.has_wscale && (!s.has_wscale || t.wscale == s.wscale));
        ck_assert_mem_eq(t.sack, s.sack, s.sacks * sizeof(s.sack[0]));
        p[head + (s.len ? draw(s.len) : 0) - !s.len] ^= 0x10;
        ck_assert(!segment_parse(p, &h, &t));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tcpip/ip");
    TCase *c = tcase_create("ip");
    tcase_add_test(c, sums_like_the_rfc);
    tcase_add_test(c, rewrites_with_right_checksums);
    tcase_add_test(c, keeps_a_udp_checksum_unused);
    tcase_add_test(c, rewrites_what_an_error_quotes);
    tcase_add_test(c, leaves_alone_what_is_cut_short);
    tcase_add_test(c, parses_only_sound_headers);
    tcase_add_test(c, segments_go_there_and_back);
    suite_add_tcase(s, c);
    return suite_run(s);
}
