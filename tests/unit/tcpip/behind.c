/* Addresses behind another host (tcpip_set_via()), and connections that are refused in the network's words (tcp_refuse_with()): two engines, a
 * user's and a gateway's, and a wire between them. */
#include "daemon/tcpip/tcpip.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "daemon/tcpip/ip6.h"
#include "tests/lib/suite.h"

enum { USER = 0x0a000001, GATE = 0x0a000002, ONE = 0x0a010001, TWO = 0x0a010002, PORT = 80 };

static const uint8_t user6[16] = {0xfd, 0x69, [15] = 1}, one6[16] = {0xfd, 0x69, [15] = 11}, two6[16] = {0xfd, 0x69, [15] = 12};

static struct tcpip *user, *gate;
static mono_t now;

static void setup(void)
{
    struct tcpip_config c;
    tcpip_config_default(&c);
    memset(c.seed, 1, sizeof(c.seed));
    user = tcpip_new(&c);
    memset(c.seed, 2, sizeof(c.seed));
    gate = tcpip_new(&c);
    now = (mono_t){1000000};
}

static void teardown(void)
{
    tcpip_free(user);
    tcpip_free(gate);
}

/* What one has to send, to the other; returns how much that was. */
static unsigned carry(struct tcpip *from, struct tcpip *to)
{
    struct tcpip_packet v[16];
    uint8_t packet[4096];
    uint32_t src, dst;
    unsigned all = 0;
    size_t n;
    while ((n = tcpip_output(from, now, v, 16, &src, &dst)) > 0)
        for (size_t i = 0; i < n; i++, all++) {
            size_t len = v[i].head_len;
            memcpy(packet, v[i].head, len);
            for (int b = 0; b < 2; b++) {
                memcpy(packet + len, v[i].body[b].iov_base ? v[i].body[b].iov_base : packet, v[i].body[b].iov_len);
                len += v[i].body[b].iov_len;
            }
            if (packet[0] >> 4 == 6)
                tcpip_input6(to, now, packet, len, src, dst);
            else
                tcpip_input(to, now, packet, len);
            tcpip_settle(to, now);
        }
    return all;
}

static struct tcp_ref dial(uint32_t host, bool v6)
{
    struct tcp_ref ref;
    int err = v6 ? tcp_connect6(user, now, USER, user6, 0, host, host == ONE ? one6 : two6, PORT, &ref) : tcp_connect(user, now, USER, 0, host, PORT, &ref);
    ck_assert_int_eq(err, 0);
    tcp_set_user(user, ref, host);
    return ref;
}

/* The gateway's side of it, which has come as a SYN; answered or not. */
static struct tcp_ref incoming(void)
{
    struct tcpip_event e;
    carry(user, gate);
    ck_assert(tcpip_event(gate, &e) && e.kind == TCPIP_INCOMING && e.remote == USER);
    return e.ref;
}

static void opened(uint32_t host)
{
    struct tcpip_event e;
    dial(host, false);
    tcp_accept(gate, now, incoming());
    carry(gate, user);
    carry(user, gate);
    ck_assert(tcpip_event(user, &e) && e.kind == TCPIP_CONNECTED && e.user == host);
    while (tcpip_event(gate, &e))
        ;
}

/* The next failure at the user's, 0 for none; *who: of which. */
static int failure(uint64_t *who)
{
    struct tcpip_event e;
    while (tcpip_event(user, &e))
        if (e.kind == TCPIP_FAILED) {
            *who = e.user;
            return e.err;
        }
    return 0;
}

START_TEST(what_happens_to_the_gateway_happens_to_all_behind_it_and_to_one_alone_when_it_is_named)
{
    uint64_t who, first;
    ck_assert(!tcpip_set_via(user, ONE, GATE) && !tcpip_set_via(user, TWO, GATE));
    opened(ONE);
    opened(TWO);
    tcpip_fail_remote(user, now, ONE, EACCES, true);
    ck_assert_int_eq(failure(&who), EACCES);
    ck_assert_uint_eq(who, ONE);
    ck_assert_int_eq(failure(&who), 0);
    opened(ONE);
    tcpip_fail_remote(user, now, GATE, EHOSTUNREACH, true);
    ck_assert_int_eq(failure(&first), EHOSTUNREACH);
    ck_assert_int_eq(failure(&who), EHOSTUNREACH);
    ck_assert(first != who && first + who == (uint64_t)ONE + TWO);
}
END_TEST

START_TEST(a_replaced_gateway_resets_what_stands_and_asks_for_what_is_being_opened)
{
    uint64_t who;
    ck_assert(!tcpip_set_via(user, ONE, GATE) && !tcpip_set_via(user, TWO, GATE));
    opened(ONE);
    dial(TWO, false);
    ck_assert_uint_eq(carry(user, gate), 1);
    tcpip_replace_remote(user, now, GATE, ECONNRESET);
    ck_assert_int_eq(failure(&who), ECONNRESET);
    ck_assert_uint_eq(who, ONE);
    ck_assert_int_eq(failure(&who), 0);
    tcpip_expire(user, now);
    ck_assert_uint_ge(carry(user, gate), 1); /* the SYN, without waiting for its time */
}
END_TEST

START_TEST(the_path_is_the_gateways)
{
    struct tcp_info_row row;
    uint32_t at = 0;
    ck_assert(!tcpip_set_via(user, ONE, GATE));
    opened(ONE);
    tcpip_set_path(user, GATE, 0, 700);
    ck_assert(tcpip_next(user, &at, &row) && row.remote == ONE && row.mss < 700);
    ck_assert(tcpip_has_remote(user, GATE));
}
END_TEST

START_TEST(an_address_changes_hands_only_while_nothing_is_open_there)
{
    uint64_t who;
    struct tcpip_stats before, after;
    tcpip_stats(user, &before);
    ck_assert(!tcpip_set_via(user, ONE, GATE) && !tcpip_set_via(user, ONE, GATE));
    opened(ONE);
    ck_assert_int_eq(tcpip_set_via(user, ONE, TWO), -EBUSY);
    ck_assert_int_eq(tcpip_set_via(user, ONE, 0), -EBUSY);
    ck_assert_int_eq(tcpip_set_via(user, ONE, ONE), -EBUSY);
    tcpip_fail_remote(user, now, ONE, ECONNRESET, true);
    ck_assert_int_eq(failure(&who), ECONNRESET);
    carry(user, gate);
    ck_assert(!tcpip_set_via(user, ONE, TWO) && !tcpip_set_via(user, ONE, 0) && !tcpip_set_via(user, ONE, 0) && !tcpip_set_via(user, TWO, 0));
    tcpip_stats(user, &after);
    ck_assert_uint_eq(after.memory, before.memory);
}
END_TEST

START_TEST(a_refusal_says_why_in_both_families)
{
    static const struct {
        int err, seen[2]; /* over IPv4, IPv6 */
    } v[] = {{EHOSTUNREACH, {EHOSTUNREACH, EHOSTUNREACH}}, {ENETUNREACH, {ENETUNREACH, ENETUNREACH}}, {EACCES, {EHOSTUNREACH, EACCES}},
        {ECONNREFUSED, {ECONNREFUSED, ECONNREFUSED}}, {EIO, {ECONNREFUSED, ECONNREFUSED}}};
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++)
        for (int v6 = 0; v6 < 2; v6++) {
            uint64_t who;
            dial(ONE, v6);
            tcp_refuse_with(gate, now, incoming(), v[i].err);
            ck_assert_uint_eq(carry(gate, user), 1);
            ck_assert_msg(failure(&who) == v[i].seen[v6], "case %zu v6 %d", i, v6);
            struct tcpip_stats st;
            tcpip_stats(gate, &st);
            ck_assert_uint_eq(st.conns, 0);
        }
}
END_TEST

START_TEST(one_that_is_being_opened_can_be_failed_and_one_that_stands_not)
{
    uint64_t who;
    uint32_t ip;
    uint16_t port, other, unused;
    opened(ONE);
    struct tcp_ref a = dial(TWO, true), b = dial(TWO, true);
    ck_assert(tcp_names(user, a, &ip, &port, &ip, &unused) && tcp_names(user, b, &ip, &other, &ip, &unused));
    tcpip_fail_opening(user, now, USER, port, TWO, PORT, ETIMEDOUT);
    ck_assert_int_eq(failure(&who), ETIMEDOUT);
    ck_assert_int_eq(failure(&who), 0);
    ck_assert(tcp_names(user, b, &ip, &port, &ip, &unused));
    struct tcp_info_row row;
    for (uint32_t at = 0; tcpip_next(user, &at, &row);)
        if (row.remote == ONE)
            tcpip_fail_opening(user, now, USER, row.local_port, ONE, PORT, ETIMEDOUT);
    ck_assert_int_eq(failure(&who), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("tcpip/behind");
    TCase *tc = tcase_create("behind");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_happens_to_the_gateway_happens_to_all_behind_it_and_to_one_alone_when_it_is_named);
    tcase_add_test(tc, a_replaced_gateway_resets_what_stands_and_asks_for_what_is_being_opened);
    tcase_add_test(tc, the_path_is_the_gateways);
    tcase_add_test(tc, an_address_changes_hands_only_while_nothing_is_open_there);
    tcase_add_test(tc, a_refusal_says_why_in_both_families);
    tcase_add_test(tc, one_that_is_being_opened_can_be_failed_and_one_that_stands_not);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
