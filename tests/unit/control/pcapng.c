/* Capture files byte for byte, and what does not fit refused; tshark reads whole ones in integration/trace.py. */
#include "daemon/control/pcapng.h"
#include "tests/lib/suite.h"

#include <stdlib.h>
#include <string.h>

#include "include/bytes.h"

static const uint8_t golden_section[] = {0x0a, 0x0d, 0x0d, 0x0a, 0, 0, 0, 40, 0x1a, 0x2b, 0x3c, 0x4d, 0, 1, 0, 0, 255, 255, 255, 255, 255, 255,
    255, 255, 0, 4, 0, 3, 'i', '3', 'd', 0, 0, 0, 0, 0, 0, 0, 0, 40};
static const uint8_t golden_interface[] = {0, 0, 0, 1, 0, 0, 0, 40, 0, 101, 0, 0, 0, 4, 0, 0, 0, 2, 0, 2, 'i', '3', 0, 0, 0, 3, 0, 4, 'w', 'h', 'a',
    't', 0, 0, 0, 0, 0, 0, 0, 40};
static const uint8_t golden_names[] = {0, 0, 0, 4, 0, 0, 0, 60, 0, 1, 0, 11, 10, 1, 2, 3, 'b', 'o', 'b', '.', 'i', '3', 0, 0, 0, 2, 0, 23, 0xfd, 0x69,
    3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 'b', 'o', 'b', '.', 'i', '3', 0, 0, 0, 0, 0, 0, 0, 0, 0, 60};
static const uint8_t golden_packet[] = {0, 0, 0, 6, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 9, 'a', 'b', 'c', 'd', 'e',
    0, 0, 0, 0, 2, 0, 4, 0, 0, 0, 2, 0, 4, 0, 8, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 64};
static const uint8_t golden_statistics[] = {0, 0, 0, 5, 0, 0, 0, 76, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 2, 0, 8, 0, 0, 0, 0, 0, 0, 0, 3, 0, 3, 0, 8,
    0, 0, 0, 0, 0, 0, 0, 9, 0, 4, 0, 8, 0, 0, 0, 0, 0, 0, 0, 11, 0, 5, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 76};

static size_t make_section(uint8_t *out, size_t cap)
{
    return pcapng_section(out, cap, "i3d");
}

static size_t make_interface(uint8_t *out, size_t cap)
{
    return pcapng_interface(out, cap, "i3", "what", PCAPNG_SNAPLEN);
}

static size_t make_names(uint8_t *out, size_t cap)
{
    static const uint8_t ip6[16] = {0xfd, 0x69, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
    return pcapng_names(out, cap, 0x0a010203, ip6, "bob.i3");
}

/* Nine bytes in three pieces, of which five are kept. */
static size_t make_packet(uint8_t *out, size_t cap)
{
    const struct iovec v[] = {{"abc", 3}, {"defg", 4}, {"hi", 2}};
    const struct pcapng_packet p = {0x100000002, PCAPNG_OUT, 9, 5, 7};
    return pcapng_packet(out, cap, &p, v, 3);
}

static size_t make_statistics(uint8_t *out, size_t cap)
{
    return pcapng_statistics(out, cap, 3, 9, 11, 2);
}

static const struct {
    size_t (*make)(uint8_t *out, size_t cap);
    const uint8_t *golden;
    size_t len;
} cases[] = {
    {make_section, golden_section, sizeof(golden_section)},
    {make_interface, golden_interface, sizeof(golden_interface)},
    {make_names, golden_names, sizeof(golden_names)},
    {make_packet, golden_packet, sizeof(golden_packet)},
    {make_statistics, golden_statistics, sizeof(golden_statistics)},
};

START_TEST(blocks_are_what_the_format_says)
{
    uint8_t out[256];
    size_t n = cases[_i].make(out, sizeof(out));
    ck_assert_uint_eq(n, cases[_i].len);
    ck_assert_mem_eq(out, cases[_i].golden, n);
}
END_TEST

START_TEST(a_block_that_does_not_fit_is_none)
{
    for (size_t cap = 0; cap < cases[_i].len; cap++) {
        uint8_t *out = malloc(cap + 1); /* a sanitizer sees the byte too many */
        ck_assert_uint_eq(cases[_i].make(out, cap), 0);
        free(out);
    }
}
END_TEST

START_TEST(a_packet_is_never_larger_than_promised)
{
    static uint8_t packet[9216], out[9216 + PCAPNG_PACKET_OVERHEAD];
    for (uint32_t len = 1; len <= sizeof(packet); len += 13) {
        const struct pcapng_packet p = {1, PCAPNG_IN, len, PCAPNG_SNAPLEN, UINT64_MAX};
        size_t n = pcapng_packet(out, len + PCAPNG_PACKET_OVERHEAD, &p, &(struct iovec){packet, len}, 1);
        ck_assert_uint_ne(n, 0);
        ck_assert_uint_eq(n % 4, 0);
        struct reader r = reader_of(out + n - 4, 4);
        ck_assert_uint_eq(get_u32(&r), n);
    }
}
END_TEST

START_TEST(a_packet_shorter_than_it_says_is_none)
{
    uint8_t out[256];
    const struct pcapng_packet p = {1, PCAPNG_IN, 9, 100, 0};
    ck_assert_uint_eq(pcapng_packet(out, sizeof(out), &p, &(struct iovec){"12345678", 8}, 1), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("pcapng");
    TCase *t = tcase_create("pcapng");
    tcase_add_loop_test(t, blocks_are_what_the_format_says, 0, ARRAY_LEN(cases));
    tcase_add_loop_test(t, a_block_that_does_not_fit_is_none, 0, ARRAY_LEN(cases));
    tcase_add_test(t, a_packet_is_never_larger_than_promised);
    tcase_add_test(t, a_packet_shorter_than_it_says_is_none);
    suite_add_tcase(s, t);
    return suite_run(s);
}
