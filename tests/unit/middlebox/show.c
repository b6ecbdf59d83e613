/* Packets under other addresses: the same for a whole session, in both directions and in what errors quote; checksums stay as right or wrong as
 * they were; and which packets make a flow. */
#include "daemon/middlebox/show.h"

#include <check.h>
#include <string.h>

#include "tests/lib/suite.h"

static struct shows *t;

static void begin(void)
{
    t = shows_new();
}

static void end(void)
{
    shows_free(t);
}

static uint32_t add_up(const uint8_t *p, size_t len, uint32_t sum)
{
    for (size_t i = 0; i < len; i++)
        sum += i & 1 ? p[i] : (uint32_t)(p[i] << 8);
    return sum;
}

static uint16_t folded(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

struct packet {
    uint8_t p[200];
    size_t len, head;
};

/* Sums of the whole, as a receiver would make them: 0xffff when right. */
static uint16_t upper_sum(const struct packet *k)
{
    bool v6 = k->p[0] >> 4 == 6;
    uint8_t proto = v6 ? k->p[6] : k->p[9];
    uint32_t sum = add_up(k->p + k->head, k->len - k->head, 0);
    if (proto != 1)
        sum += add_up(k->p + (v6 ? 8 : 12), v6 ? 32 : 8, 0) + proto + (uint32_t)(k->len - k->head);
    return folded(sum);
}

static struct packet make(bool v6, uint8_t proto, const char *src, const char *dst, const uint8_t *body, size_t n)
{
    struct packet k = {.head = v6 ? 40 : 20};
    k.len = k.head + n;
    k.p[0] = v6 ? 0x60 : 0x45;
    k.p[v6 ? 5 : 3] = (uint8_t)(v6 ? n : k.len);
    k.p[v6 ? 6 : 9] = proto;
    k.p[v6 ? 7 : 8] = 64;
    memcpy(k.p + (v6 ? 8 : 12), src, v6 ? 16 : 4);
    memcpy(k.p + (v6 ? 24 : 16), dst, v6 ? 16 : 4);
    memcpy(k.p + k.head, body, n);
    size_t at = k.head + (proto == 6 ? 16 : proto == 17 ? 6 : 2);
    uint16_t sum = (uint16_t)~upper_sum(&k);
    k.p[at] = (uint8_t)(sum >> 8);
    k.p[at + 1] = (uint8_t)sum;
    if (!v6) {
        sum = (uint16_t)~folded(add_up(k.p, 20, 0));
        k.p[10] = (uint8_t)(sum >> 8);
        k.p[11] = (uint8_t)sum;
    }
    return k;
}

static const char *const a = "\x0a\x11\x22\x33 more than four", *const b = "\x0a\x44\x55\x66, sixteen byte";

/* tcp, udp, echo; 4 and 6 */
static struct packet sample(unsigned i, const char *src, const char *dst)
{
    static const uint8_t protos[] = {6, 17, 1}, body[40] = {0x30, 0x39, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 2, 9, 9, 0, 0, 0, 0, 'x', 'y', 'z'};
    uint8_t copy[23];
    memcpy(copy, body, sizeof(copy));
    copy[16] = copy[17] = 0;
    if (i % 3 == 1)
        copy[6] = copy[7] = 0;
    if (i % 3 == 2)
        copy[0] = i >= 3 ? 128 : 8, copy[1] = copy[2] = copy[3] = 0;
    return make(i >= 3, i % 3 == 2 && i >= 3 ? 58 : protos[i % 3], src, dst, copy, sizeof(copy));
}

START_TEST(a_session_has_the_same_names_in_both_directions_and_right_sums)
{
    struct packet there = sample((unsigned)_i, a, b), back = sample((unsigned)_i, b, a), body = there;
    size_t src = there.head == 40 ? 8 : 12, n = there.head == 40 ? 16 : 4;
    ck_assert_uint_eq(upper_sum(&there), 0xffff);
    ck_assert(show_synthesised(t, 1, SHOW_NOBODY, there.p, there.len));
    ck_assert(show_synthesised(t, 1, SHOW_NOBODY, back.p, back.len));
    ck_assert_mem_eq(there.p + src, back.p + src + n, n);
    ck_assert_mem_eq(there.p + src + n, back.p + src, n);
    ck_assert_mem_ne(there.p + src, there.p + src + n, n);
    ck_assert_mem_ne(there.p + src, a, n);
    if (n == 4) {
        ck_assert_mem_eq(there.p + src, "\x0a\x40\0\x01", 4);
        ck_assert_uint_eq(folded(add_up(there.p, 20, 0)), 0xffff);
    } else {
        ck_assert_mem_eq(there.p + src, "\xfd\x69\x33\x74\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
    }
    ck_assert_uint_eq(upper_sum(&there), 0xffff);
    ck_assert_uint_eq(upper_sum(&back), 0xffff);
    ck_assert_mem_eq(there.p + there.head + 18, body.p + body.head + 18, 5); /* nothing else */
}
END_TEST

START_TEST(a_new_session_has_new_names)
{
    struct packet one = sample(0, a, b), two = sample(0, a, b), again = sample(0, a, b);
    show_synthesised(t, 1, SHOW_NOBODY, one.p, one.len);
    show_synthesised(t, 2, SHOW_NOBODY, two.p, two.len);
    ck_assert_mem_ne(one.p + 12, two.p + 12, 4);
    shows_forget(t, 1);
    show_synthesised(t, 1, SHOW_NOBODY, again.p, again.len);
    ck_assert_mem_ne(one.p + 12, again.p + 12, 4);
}
END_TEST

START_TEST(a_wrong_sum_stays_wrong_and_a_datagram_without_one_has_none)
{
    struct packet k = sample(0, a, b), none = sample(1, a, b);
    k.p[k.head + 20] ^= 1;
    none.p[none.head + 6] = none.p[none.head + 7] = 0;
    show_synthesised(t, 1, SHOW_NOBODY, k.p, k.len);
    ck_assert_uint_ne(upper_sum(&k), 0xffff);
    show_synthesised(t, 1, SHOW_NOBODY, none.p, none.len);
    ck_assert_mem_eq(none.p + none.head + 6, "\0\0", 2);
}
END_TEST

START_TEST(what_an_error_quotes_is_renamed_too)
{
    bool v6 = _i;
    struct packet about = sample(v6 ? 4 : 1, a, b);
    uint8_t body[8 + 28 + 20] = {v6 ? 1 : 3, v6 ? 4 : 3};
    size_t quoted = about.head + 8;
    memcpy(body + 8, about.p, quoted); /* as much as an old router quotes */
    struct packet k = make(v6, v6 ? 58 : 1, b, a, body, 8 + quoted);
    ck_assert_uint_eq(upper_sum(&k), 0xffff);
    ck_assert(show_synthesised(t, 1, SHOW_NOBODY, k.p, k.len));
    ck_assert_uint_eq(upper_sum(&k), 0xffff);
    size_t src = v6 ? 8 : 12, n = v6 ? 16 : 4;
    const uint8_t *inner = k.p + k.head + 8;
    ck_assert_mem_eq(inner + src, k.p + src + n, n); /* a sent what b complains about */
    ck_assert_mem_eq(inner + src + n, k.p + src, n);
    if (!v6)
        ck_assert_uint_eq(folded(add_up(inner, 20, 0)), 0xffff);
}
END_TEST

/* Each end calls it something else. */
START_TEST(an_anonymous_end_has_one_name_whatever_it_is_called)
{
    static const char other[] = "\x0a\x77\x88\0 as b calls a..";
    struct packet there = sample((unsigned)_i, other, b), back = sample((unsigned)_i, b, a), more = sample((unsigned)_i, "\x0a\x99\x55\x66, another one", a);
    size_t src = there.head == 40 ? 8 : 12, n = there.head == 40 ? 16 : 4;
    ck_assert(show_synthesised(t, 1, SHOW_SENDER, there.p, there.len));
    ck_assert(show_synthesised(t, 1, SHOW_RECEIVER, back.p, back.len));
    ck_assert(show_synthesised(t, 1, SHOW_RECEIVER, more.p, more.len));
    ck_assert_mem_eq(there.p + src, back.p + src + n, n);
    ck_assert_mem_eq(there.p + src + n, back.p + src, n);
    ck_assert_mem_eq(there.p + src, more.p + src + n, n);
    ck_assert_mem_ne(there.p + src + n, more.p + src, n); /* what is behind a gateway is not one host */
    ck_assert_uint_eq(upper_sum(&there), 0xffff);
    ck_assert_uint_eq(upper_sum(&back), 0xffff);
}
END_TEST

START_TEST(later_fragments_have_names_as_well)
{
    struct packet k = sample(1, a, b), body = k;
    k.p[6] = 0;
    k.p[7] = 10;
    ck_assert(show_synthesised(t, 1, SHOW_NOBODY, k.p, k.len));
    ck_assert_mem_eq(k.p + 12, "\x0a\x40\0\x01", 4);
    ck_assert_mem_eq(k.p + 20, body.p + 20, body.len - 20); /* there is no header to be mended */
}
END_TEST

START_TEST(what_is_no_whole_packet_is_not_shown)
{
    for (unsigned i = 0; i < 6; i++) {
        struct packet k = sample(i, a, b);
        for (size_t len = 0; len < k.len; len++) {
            struct packet c = k;
            memset(c.p + len, 0x5a, sizeof(c.p) - len);
            ck_assert_msg(!show_synthesised(t, 1, SHOW_NOBODY, c.p, len), "%u: %zu of %zu bytes", i, len, k.len);
        }
    }
    uint8_t no[40] = {0x50};
    ck_assert(!show_synthesised(t, 1, SHOW_NOBODY, no, sizeof(no)));
}
END_TEST

START_TEST(names_are_bounded_and_the_oldest_give_way)
{
    struct packet first = sample(0, a, b), again = sample(0, a, b);
    show_synthesised(t, 0, SHOW_NOBODY, first.p, first.len);
    for (uint32_t i = 1; i <= SHOW_HOSTS / 2; i++) {
        struct packet k = sample(0, a, b);
        ck_assert(show_synthesised(t, i, SHOW_NOBODY, k.p, k.len));
    }
    show_synthesised(t, 0, SHOW_NOBODY, again.p, again.len);
    ck_assert_mem_ne(first.p + 12, again.p + 12, 4);
}
END_TEST

START_TEST(both_directions_are_one_flow)
{
    struct flow_key there, back, other;
    for (unsigned i = 0; i < 2; i++) {
        struct packet k = sample(i * 3, a, b), r = sample(i * 3, b, a);
        uint8_t port[2];
        memcpy(port, r.p + r.head, 2);
        memmove(r.p + r.head, r.p + r.head + 2, 2);
        memcpy(r.p + r.head + 2, port, 2);
        ck_assert(flow_of(7, k.p, k.len, &there));
        ck_assert(flow_of(7, r.p, r.len, &back));
        ck_assert_mem_eq(&there, &back, sizeof(there));
        ck_assert(flow_of(8, k.p, k.len, &other));
        ck_assert_mem_ne(&there, &other, sizeof(there));
        k.p[k.head + 1]++;
        ck_assert(flow_of(7, k.p, k.len, &other));
        ck_assert_mem_ne(&there, &other, sizeof(there));
        ck_assert(!flow_of(7, k.p, 19, &other));
    }
}
END_TEST

int main(void)
{
    Suite *s = suite_create("middlebox/show");
    TCase *c = tcase_create("show");
    tcase_add_checked_fixture(c, begin, end);
    tcase_add_loop_test(c, a_session_has_the_same_names_in_both_directions_and_right_sums, 0, 6);
    tcase_add_loop_test(c, an_anonymous_end_has_one_name_whatever_it_is_called, 0, 6);
    tcase_add_test(c, a_new_session_has_new_names);
    tcase_add_test(c, a_wrong_sum_stays_wrong_and_a_datagram_without_one_has_none);
    tcase_add_loop_test(c, what_an_error_quotes_is_renamed_too, 0, 2);
    tcase_add_test(c, later_fragments_have_names_as_well);
    tcase_add_test(c, what_is_no_whole_packet_is_not_shown);
    tcase_add_test(c, names_are_bounded_and_the_oldest_give_way);
    tcase_add_test(c, both_directions_are_one_flow);
    suite_add_tcase(s, c);
    return suite_run(s);
}
