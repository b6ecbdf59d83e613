/* IPv6 of the engine: headers, checksums and ICMPv6 against golden bytes, which come from another implementation (the sums by
 * struct.unpack and RFC 1071 in Python); what differs from IPv4 in a connection. The state machine itself is told in both families
 * by tcp.c. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "include/bytes.h"
#include "tests/lib/suite.h"
#include "tests/unit/i3/hex.h"
#include "tests/unit/tcpip/script.h"

enum { A = 0x0a7b7721, B = 0x0a46a6d7 }; /* handles */

#define A6 "fd693300007b7721abf64824236f37f8"
#define B6 "fd6933000046a6d71204c794c525b1ea"

static const char echo_golden[] = "60000000000d3a40" A6 B6 "80001bdf0021002c68656c6c6f";
static const char reply_golden[] = "60000000000d3a40" B6 A6 "81001adf0021002c68656c6c6f";
static const char syn_golden[] = "6001234500200640" A6 B6 "0fa0005001020304000000008002ffff3bda00000204053c0103030701010402";

static uint8_t a6[16], b6[16];

static void addresses(void)
{
    unhex(A6, a6, 16);
    unhex(B6, b6, 16);
}

static const mono_t now = {5000000};
static struct tcpip_packet v[16];

static struct tcpip *engine(uint8_t seed)
{
    struct tcpip_config c;
    tcpip_config_default(&c);
    c.ride_us = 0;
    c.seed[0] = seed;
    return tcpip_new(&c);
}

static size_t flatten(const struct tcpip_packet *p, uint8_t *out)
{
    size_t at = p->head_len;
    memcpy(out, p->head, at);
    for (int i = 0; i < 2; at += p->body[i].iov_len, i++)
        if (p->body[i].iov_len)
            memcpy(out + at, p->body[i].iov_base, p->body[i].iov_len);
    ck_assert_uint_eq(at, p->len);
    return at;
}

/* The only packet that waits, whole. */
static size_t output_one(struct tcpip *t, uint8_t *out)
{
    uint32_t src, dst;
    ck_assert_uint_eq(tcpip_output(t, now, v, 16, &src, &dst), 1);
    size_t len = flatten(&v[0], out);
    ck_assert_uint_eq(tcpip_output(t, now, v, 16, &src, &dst), 0);
    return len;
}

/* ---- headers ---- */

START_TEST(parses_only_sound_headers)
{
    uint8_t p[200];
    struct ip_header h = {.src = A, .dst = B};
    size_t len = unhex(syn_golden, p, sizeof(p));
    ck_assert(ip6_parse(p, len, &h));
    ck_assert(h.v6 && h.src == A && h.dst == B && h.proto == IP_TCP && h.ttl == 64 && h.head_len == 40 && h.len == len);
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, p, cut);
        ck_assert(!ip6_parse(exact, cut, &h));
        ck_assert(cut >= 40 || !ip6_is_from_to(exact, cut, a6, b6));
        free(exact);
    }
    ck_assert(ip6_parse(p, len + 5, &h) && h.len == len);
    p[0] = 0x45;
    ck_assert(!ip6_parse(p, len, &h) && !ip6_is_from_to(p, len, a6, b6));
    static uint8_t large[70000];
    memcpy(large, p, 40);
    large[0] = 0x60;
    ip_store16(large + 4, 65535); /* with its header it is longer than we count */
    ck_assert(!ip6_parse(large, sizeof(large), &h));
}
END_TEST

START_TEST(knows_whose_a_packet_is)
{
    uint8_t p[200];
    size_t len = unhex(syn_golden, p, sizeof(p));
    ck_assert(ip6_is_from_to(p, len, a6, b6));
    ck_assert(!ip6_is_from_to(p, len, b6, a6));
    for (int i = 0; i < 32; i++) {
        p[8 + i] ^= 1;
        ck_assert(!ip6_is_from_to(p, len, a6, b6));
        p[8 + i] ^= 1;
    }
}
END_TEST

START_TEST(builds_a_segment_byte_for_byte)
{
    uint8_t want[200], got[TCPIP_HEAD_MAX], template[IP6_HEAD];
    size_t len = unhex(syn_golden, want, sizeof(want));
    ip6_template(template, a6, b6, 0xfff12345);
    struct segment s = {.src = A, .dst = B, .ip6 = template, .src_port = 4000, .dst_port = 80, .seq = 0x01020304,
        .flags = TH_SYN, .window = 65535, .mss = 1340, .has_wscale = true, .wscale = 7, .sack_ok = true}, t;
    ck_assert_uint_eq(segment_build(got, &s, 99, 0), len);
    ck_assert_mem_eq(got, want, len);
    struct ip_header h = {.src = A, .dst = B};
    ck_assert(ip6_parse(got, len, &h) && segment_parse(got, &h, &t));
    ck_assert(t.src == A && t.dst == B && t.ip6 == got && t.seq == 0x01020304 && t.mss == 1340 && t.wscale == 7 && t.sack_ok);
    uint8_t back[IP6_HEAD];
    ip6_template_back(back, got);
    ck_assert_mem_eq(back + IP6_SRC, b6, 16);
    ck_assert_mem_eq(back + IP6_DST, a6, 16);
    ck_assert_uint_eq(ip_load32(back), 6u << 28);
}
END_TEST

START_TEST(sees_any_damage_that_matters)
{
    uint8_t p[200];
    size_t len = unhex(syn_golden, p, sizeof(p));
    struct tcpip *t = engine(1);
    struct tcpip_stats st;
    uint64_t harmless = 0, unknown = 0;
    for (size_t i = 0; i < len * 8; i++) {
        uint8_t *copy = malloc(len);
        memcpy(copy, p, len);
        copy[i / 8] ^= (uint8_t)(1 << i % 8);
        tcpip_input6(t, now, copy, len, A, B);
        tcpip_settle(t, now);
        free(copy);
        harmless += i < 4 || (i >= 8 && i < 32) || i / 8 == 7; /* traffic class, flow label, hops */
        unknown += i / 8 == 6;
    }
    tcpip_stats(t, &st);
    ck_assert_uint_eq(st.in_unknown, unknown);
    ck_assert_uint_eq(st.in_bad, len * 8 - harmless - unknown);
    tcpip_free(t);
}
END_TEST

START_TEST(drops_and_counts_other_upper_layers)
{
    static const uint8_t next[] = {0 /* hop by hop */, 43, 44, 50, 51, 59, 60, 1 /* ICMP for IPv4 */, 4, 17, 41, 255};
    uint8_t p[200];
    size_t len = unhex(syn_golden, p, sizeof(p));
    struct tcpip *t = engine(1);
    struct tcpip_stats st;
    for (size_t i = 0; i < ARRAY_LEN(next); i++) {
        p[6] = next[i];
        tcpip_input6(t, now, p, len, A, B);
        tcpip_settle(t, now);
    }
    tcpip_stats(t, &st);
    ck_assert_uint_eq(st.in_unknown, ARRAY_LEN(next));
    ck_assert(st.conns == 0 && st.in_bad == 0);
    tcpip_free(t);
}
END_TEST

START_TEST(takes_neither_family_for_the_other)
{
    uint8_t p6[200], p4[200];
    size_t len6 = unhex(syn_golden, p6, sizeof(p6));
    struct segment s = {.src = A, .dst = B, .src_port = 4000, .dst_port = 80, .flags = TH_SYN};
    size_t len4 = segment_build(p4, &s, 1, 0);
    struct tcpip *t = engine(1);
    struct tcpip_stats st;
    tcpip_input(t, now, p6, len6);
    tcpip_input6(t, now, p4, len4, A, B);
    tcpip_settle(t, now);
    tcpip_stats(t, &st);
    ck_assert(st.in_bad == 2 && st.conns == 0);
    tcpip_free(t);
}
END_TEST

/* ---- ICMPv6 ---- */

START_TEST(answers_echo_byte_for_byte_and_reports_replies)
{
    uint8_t p[200], want[200], got[200];
    struct tcpip *t = engine(1);
    struct tcpip_event e;
    size_t len = unhex(echo_golden, p, sizeof(p));
    for (size_t cut = 0; cut < len; cut++) { /* cut short, with a header which says so */
        uint8_t *exact = malloc(cut + 1);
        memcpy(exact, p, cut);
        if (cut >= 40)
            ip_store16(exact + 4, (uint16_t)(cut - 40));
        tcpip_input6(t, now, exact, cut, A, B);
        tcpip_settle(t, now);
        free(exact);
    }
    tcpip_input6(t, now, p, len, A, B);
    tcpip_settle(t, now);
    ck_assert_uint_eq(output_one(t, got), unhex(reply_golden, want, sizeof(want)));
    ck_assert_mem_eq(got, want, len);

    ck_assert_int_eq(tcpip_ping6(t, now, A, a6, B, b6, 33, 44), 0);
    len = output_one(t, got);
    ck_assert_uint_eq(len, 48);
    ck_assert(ip6_is_from_to(got, len, a6, b6) && got[6] == IP6_ICMP && got[40] == 128);
    ck_assert_uint_eq(ip_fold(ip_sum(got + 40, 8) + ip6_pseudo_sum(got, IP6_ICMP, 8)), 0xffff);

    len = unhex(reply_golden, p, sizeof(p));
    tcpip_input6(t, now, p, len, B, A);
    ck_assert(tcpip_event(t, &e));
    ck_assert(e.kind == TCPIP_ECHO_REPLY && e.v6 && e.remote == B && e.local == A && e.ident == 33 && e.sequence == 44);
    p[50] ^= 1;
    tcpip_input6(t, now, p, len, B, A);
    ck_assert(!tcpip_event(t, &e));
    tcpip_free(t);
}
END_TEST

/* ---- connections ---- */

START_TEST(takes_twenty_bytes_less_per_segment)
{
    struct script s;
    script_begin(&s, NULL);
    s.mss = 9000;
    script_run(&s, "connect\n> S 0 mss 1340 win 65535\n< SA 0 ack 1\n> A 1 ack 1\nevent CONNECTED\n"
                   "write 2000 push\n> A 1:1328\n> PA 1329:672\n");
    script_end(&s);
    script_begin(&s, NULL);
    script_run(&s, "incoming\nnone\naccept\n> SA 0 ack 1 mss 1340\n< A 1 ack 1\nevent CONNECTED\n");
    script_end(&s);
}
END_TEST

START_TEST(takes_1220_when_no_mss_was_named)
{
    script_play("peer mss=0 nots\nopen\nwrite 2000 push\n> A 1:1220\n> PA 1221:780\n");
}
END_TEST

/* Less than RFC 8200 asks of a link: the tunnel's affair, not TCP's. */
START_TEST(works_on_paths_below_1280)
{
    struct script s;
    script_begin(&s, NULL);
    s.mss = 9000;
    tcpip_set_path(s.t, 0x0a000002, 0, 700);
    script_run(&s, "connect\n> S 0 mss 1340\n< SA 0 ack 1\n> A 1 ack 1\nwrite 1000 push\n> A 1:628\n> PA 629:372\n");
    tcpip_set_path(s.t, 0x0a000002, 0, 600);
    script_run(&s, "write 600 push\n> A 1001:528\n> PA 1529:72\n");
    script_end(&s);
}
END_TEST

START_TEST(labels_the_segments_of_a_connection_alike)
{
    struct tcpip *t = engine(1), *u = engine(2);
    struct tcp_ref ref, in;
    struct tcpip_event e;
    uint8_t p[2000];
    uint32_t label[4];
    ck_assert_int_eq(tcp_connect6(t, now, A, a6, 0, B, b6, 80, &ref), 0);
    size_t len = output_one(t, p);
    label[0] = ip_load32(p);
    tcpip_input6(u, now, p, len, A, B);
    ck_assert(tcpip_event(u, &e) && e.kind == TCPIP_INCOMING && e.v6 && e.local == B && e.remote == A && e.local_port == 80);
    in = e.ref;
    tcp_accept(u, now, in);
    len = output_one(u, p);
    tcpip_input6(t, now, p, len, B, A);
    ck_assert(tcpip_event(t, &e) && e.kind == TCPIP_CONNECTED && e.v6);
    output_one(t, p);
    label[1] = ip_load32(p);
    struct iovec iov[2];
    ck_assert_int_gt(tcp_send_space(t, ref, iov), 0);
    memcpy(iov[0].iov_base, "x", 1);
    tcp_send_commit(t, now, ref, 1, true);
    output_one(t, p);
    label[2] = ip_load32(p);
    tcp_abort(t, now, ref);
    output_one(t, p);
    label[3] = ip_load32(p);
    ck_assert_uint_eq(label[0] >> 28, 6);
    ck_assert_uint_ne(label[0] & 0xfffff, 0);
    for (int i = 1; i < 4; i++)
        ck_assert_uint_eq(label[i] & 0xfffff, label[0] & 0xfffff);
    tcpip_free(t);
    tcpip_free(u);
}
END_TEST

/* One pair of hosts, one pair of ports, one connection in each family: neither hears of the other's segments. */
START_TEST(keeps_the_families_apart)
{
    struct script s4, s6;
    struct tcp_info_row row;
    struct tcp_ref other;
    script_v6 = false;
    script_begin(&s4, NULL);
    script_run(&s4, "open");
    s6 = s4; /* the same engine */
    s6.v6 = true;
    script_run(&s6, "open\nwrite 1000 push\n> PA 1:1000\n");
    script_run(&s4, "write 500 push\n");
    s4.out_at = s6.out_at;
    s4.out_n = s6.out_n;
    script_run(&s4, "> PA 1:500\n");
    bool seen[2] = {false};
    for (uint32_t at = 0; tcpip_next(s4.t, &at, &row);) {
        ck_assert_str_eq(row.state, "ESTABLISHED");
        ck_assert_uint_eq(row.send_queued, row.v6 ? 1000u : 500u);
        seen[row.v6] = true;
    }
    ck_assert(seen[0] && seen[1]);
    ck_assert_int_eq(tcp_connect6(s4.t, (mono_t){s4.now}, 0x0a000001, script_local6, 4000, 0x0a000002, script_remote6, 80, &other),
        -EADDRINUSE);
    s6.out_at = s4.out_at;
    s6.out_n = s4.out_n;
    script_run(&s6, "< R 1\n+1ms\n");
    ck_assert_int_eq(table_get(s4.t, s6.ref)->state, ST_CLOSED);
    ck_assert_int_eq(table_get(s4.t, s4.ref)->state, ST_ESTABLISHED);
    tcpip_fail_remote(s4.t, (mono_t){s4.now}, 0x0a000002, EHOSTUNREACH, true);
    struct tcpip_event e;
    int failed4 = 0, failed6 = 0;
    while (tcpip_event(s4.t, &e)) {
        failed4 += e.kind == TCPIP_FAILED && !e.v6;
        failed6 += e.kind == TCPIP_FAILED && e.v6;
    }
    ck_assert(failed4 == 1 && failed6 == 1);
    script_end(&s4);
}
END_TEST

static void speak_ipv6(void)
{
    script_v6 = true;
    addresses();
}

int main(void)
{
    const TTest *const tests[] = {
        parses_only_sound_headers, knows_whose_a_packet_is, builds_a_segment_byte_for_byte, sees_any_damage_that_matters,
        drops_and_counts_other_upper_layers, takes_neither_family_for_the_other, answers_echo_byte_for_byte_and_reports_replies,
        takes_twenty_bytes_less_per_segment, takes_1220_when_no_mss_was_named, works_on_paths_below_1280,
        labels_the_segments_of_a_connection_alike, keeps_the_families_apart,
    };
    Suite *s = suite_create("tcpip/ip6");
    TCase *c = tcase_create("ip6");
    tcase_add_checked_fixture(c, speak_ipv6, NULL);
    for (size_t i = 0; i < ARRAY_LEN(tests); i++)
        tcase_add_test(c, tests[i]);
    suite_add_tcase(s, c);
    return suite_run(s);
}
