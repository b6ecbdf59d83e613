/* A packet as one line: what is said of each kind, and that any packet, cut anywhere, is read without harm. */
#include "tools/i3ctl_packet.h"
#include "tests/lib/suite.h"

#include <stdlib.h>
#include <string.h>

#include "include/bytes.h"

#define A6(last)       0xfd, 0x69, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last
#define IP6(len, next) 0x60, 0, 0, 0, 0, len, next, 64, A6(1), A6(2)

static const uint8_t tcp_syn[] = {0x45, 0, 0, 40, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 0x1f, 0x90, 0, 0, 0, 7, 0, 0, 0, 0, 0x50, 2,
    1, 0, 0, 0, 0, 0};
static const uint8_t tcp_data[] = {0x45, 0, 0, 60, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 80, 0x1f, 0x90, 0, 0, 0, 7, 0, 0, 0, 9, 0x50,
    0x18, 1, 0, 0, 0, 0, 0};
static const uint8_t udp[] = {0x45, 0, 0, 33, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 0, 54, 0, 13, 0, 0, 'h', 'e', 'l', 'l', 'o'};
static const uint8_t fragment[] = {0x45, 0, 0, 28, 0, 1, 0, 5, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8};
static const uint8_t echo[] = {0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 8, 0, 0, 0, 0, 3, 0, 4};
static const uint8_t too_big6[] = {IP6(8, 58), 2, 0, 0, 0, 0, 0, 5, 0};
static const uint8_t udp6[] = {IP6(9, 17), 0, 53, 0, 54, 0, 9, 0, 0, 'x'};
static const uint8_t later6[] = {IP6(16, 44), 17, 0, 0, 0x10, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8};
static const uint8_t other[] = {0x45, 0, 0, 24, 0, 1, 0, 0, 64, 99, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 1, 2, 3, 4};
static const uint8_t nonsense[] = {0x95, 1, 2, 3};

static const struct {
    const uint8_t *p;
    size_t len;
    uint8_t family;
    bool ports;
    const char *proto, *info;
} cases[] = {
    {tcp_syn, sizeof(tcp_syn), 4, true, "TCP", "[S] seq 7 win 256 length 0"},
    {tcp_data, sizeof(tcp_data), 4, true, "TCP", "[P.] seq 7 ack 9 win 256 length 20"},
    {udp, sizeof(udp), 4, true, "UDP", "length 5"},
    {fragment, sizeof(fragment), 4, false, "UDP", "fragment length 8"},
    {echo, sizeof(echo), 4, false, "ICMP", "echo request id 3 seq 4"},
    {too_big6, sizeof(too_big6), 6, false, "ICMP", "too big code 0"},
    {udp6, sizeof(udp6), 6, true, "UDP", "length 1"},
    {later6, sizeof(later6), 6, false, "UDP", "fragment length 8"},
    {other, sizeof(other), 4, false, "proto 99", "length 4"},
    {nonsense, sizeof(nonsense), 0, false, "", "not understood, length 4"},
};

START_TEST(a_packet_is_one_line)
{
    struct packet_line l;
    packet_read(cases[_i].p, cases[_i].len, &l);
    ck_assert_uint_eq(l.family, cases[_i].family);
    ck_assert_int_eq(l.ports, cases[_i].ports);
    ck_assert_str_eq(l.proto, cases[_i].proto);
    ck_assert_str_eq(l.info, cases[_i].info);
}
END_TEST

START_TEST(a_packet_cut_anywhere_is_read)
{
    for (size_t n = 0; n <= cases[_i].len; n++) {
        struct packet_line l;
        uint8_t *p = malloc(n + 1);
        memcpy(p, cases[_i].p, n);
        packet_read(p, n, &l);
        ck_assert(n < 20 ? !l.family : true);
        free(p);
    }
}
END_TEST

START_TEST(lengths_that_lie_are_not_believed)
{
    struct packet_line l;
    uint8_t p[sizeof(tcp_syn)];
    memcpy(p, tcp_syn, sizeof(p));
    p[3] = 10; /* shorter than its own header */
    packet_read(p, sizeof(p), &l);
    ck_assert_uint_eq(l.family, 0);
    memcpy(p, tcp_syn, sizeof(p));
    p[0] = 0x4f; /* a header longer than the packet */
    packet_read(p, sizeof(p), &l);
    ck_assert_uint_eq(l.family, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("packet");
    TCase *t = tcase_create("packet");
    tcase_add_loop_test(t, a_packet_is_one_line, 0, ARRAY_LEN(cases));
    tcase_add_loop_test(t, a_packet_cut_anywhere_is_read, 0, ARRAY_LEN(cases));
    tcase_add_test(t, lengths_that_lie_are_not_believed);
    suite_add_tcase(s, t);
    return suite_run(s);
}
