/* Which of several nodes is used: the nearest that answers, without flapping. */
#include <check.h>
#include <errno.h>

#include "daemon/i3/nodes.h"
#include "tests/lib/suite.h"

#define MS  USEC_PER_MSEC
#define SEC USEC_PER_SEC

enum { N = 4, FLIGHT = 256 };

/* A node that answers after `rtt`, or not at all; owner: whom it names for the probe. */
struct fake {
    struct addr addr, owner;
    uint64_t rtt, jitter;
    bool down;
    unsigned asked;
};

struct flight {
    mono_t at;
    unsigned from;
    uint8_t p[OWNER_LEN];
    size_t len;
};

static struct nodes *ns;
static struct fake node[N];
static struct flight flight[FLIGHT];
static unsigned n_flight;
static struct outbox out;
static struct drbg drbg;
static mono_t now;
static unsigned changes;
static bool busy; /* packets go by the node in use */

static void setup_with(unsigned n)
{
    struct addr v[N];
    uint8_t probe[ID_PREFIX_LEN] = {9};
    drbg_init(&drbg, (uint8_t[32]){1});
    now = (mono_t){SEC};
    n_flight = changes = 0;
    busy = true;
    for (unsigned i = 0; i < N; i++) {
        v[i] = addr_v4(0xc0000201 + i, 5610);
        node[i] = (struct fake){.addr = v[i], .rtt = (50 - i * 10) * MS, .owner = addr_v4(0xc6336401, 5610)};
    }
    ns = nodes_new(v, n, probe, (uint8_t[32]){2});
    outbox_clear(&out);
}

static void setup(void)
{
    setup_with(N);
}

static void teardown(void)
{
    nodes_free(ns);
}

static void answer(struct fake *f, const uint8_t *p, size_t len)
{
    uint8_t nonce[NONCE_LEN], prefix[ID_PREFIX_LEN];
    uint64_t number;
    struct flight a = {.at = mono_add(now, f->rtt + (f->jitter ? drbg_u64(&drbg) % f->jitter : 0)), .from = (unsigned)(f - node)};
    f->asked++;
    if (f->down)
        return;
    if (ping_decode(p, len, WIRE_PING, nonce) == 0) {
        a.len = ping_encode(a.p, sizeof(a.p), WIRE_PONG, nonce);
    } else {
        ck_assert_int_eq(lookup_decode(p, len, &number, prefix), 0);
        struct wire_owner o = {.seconds = 30, .nonce = number, .owner = f->owner};
        if (addr_eq(&f->owner, &f->addr))
            o.owner = addr_v4(0, 0), o.flags = OWNER_SELF;
        a.len = owner_encode(a.p, sizeof(a.p), &o);
    }
    ck_assert_uint_lt(n_flight, FLIGHT);
    flight[n_flight++] = a;
}

static void pass(uint64_t us)
{
    for (mono_t end = mono_add(now, us); now.us < end.us; now = mono_add(now, MS)) {
        unsigned before = nodes_choice(ns);
        if (busy)
            nodes_used(ns, now);
        if (mono_due(nodes_deadline(ns), now))
            nodes_output(ns, now, &out);
        for (unsigned i = 0; i < out.n; i++)
            for (unsigned k = 0; k < N; k++)
                if (addr_eq(&out.v[i].to, &node[k].addr))
                    answer(&node[k], out.v[i].data, out.v[i].len);
        outbox_clear(&out);
        for (unsigned i = 0; i < n_flight; i++) {
            if (!mono_due(flight[i].at, now))
                continue;
            struct flight f = flight[i];
            flight[i--] = flight[--n_flight];
            nodes_input(ns, now, &node[f.from].addr, f.p, f.len);
        }
        changes += nodes_choice(ns) != before;
    }
}

START_TEST(the_nearest_is_taken_soon)
{
    ck_assert_uint_eq(nodes_choice(ns), 0); /* the first of the list, at once */
    pass(2 * SEC);
    ck_assert_uint_eq(nodes_choice(ns), 3);
    struct node_info info;
    ck_assert(nodes_info(ns, 3, &info) && info.in_use && info.state == NODE_LIVES);
    ck_assert_uint_ge(info.rtt_us, 20 * MS);
    ck_assert_uint_le(info.rtt_us, 22 * MS);
    ck_assert_str_eq(info.why, "the nearest");
    ck_assert(nodes_info(ns, 0, &info) && !info.in_use);
    ck_assert(!nodes_info(ns, N, &info));
}
END_TEST

START_TEST(one_that_is_hardly_nearer_is_not)
{
    for (unsigned i = 0; i < N; i++)
        node[i].rtt = (20 - i) * MS;
    pass(10 * SEC);
    ck_assert_uint_eq(nodes_choice(ns), 0);
}
END_TEST

START_TEST(jitter_does_not_make_it_flap)
{
    for (unsigned i = 0; i < N; i++)
        node[i].rtt = 20 * MS, node[i].jitter = 10 * MS;
    for (unsigned i = 0; i < 30; i++)
        pass(60 * SEC);
    ck_assert_uint_le(changes, 1);
}
END_TEST

START_TEST(a_silent_one_is_left_within_a_second_and_taken_again_when_it_is_back)
{
    pass(2 * SEC);
    node[3].down = true;
    uint64_t took = 0;
    for (; nodes_choice(ns) == 3; took += 10 * MS)
        pass(10 * MS);
    ck_assert_uint_le(took, 1000 * MS);
    ck_assert_uint_eq(nodes_choice(ns), 2); /* the next nearest */
    pass(60 * SEC);
    ck_assert_uint_eq(nodes_choice(ns), 2);
    node[3].down = false;
    pass(20 * SEC);
    ck_assert_uint_eq(nodes_choice(ns), 3);
    ck_assert_uint_eq(changes, 3);
}
END_TEST

START_TEST(the_first_of_the_list_may_be_dead_from_the_start)
{
    node[0].down = true;
    pass(1500 * MS);
    ck_assert_uint_eq(nodes_choice(ns), 3);
}
END_TEST

START_TEST(where_none_answers_nothing_changes_and_little_is_sent)
{
    pass(2 * SEC);
    for (unsigned i = 0; i < N; i++)
        node[i].down = true;
    pass(60 * SEC);
    unsigned before = changes, asked = 0;
    for (unsigned i = 0; i < N; i++)
        asked -= node[i].asked;
    pass(60 * SEC);
    ck_assert_uint_eq(changes, before);
    for (unsigned i = 0; i < N; i++)
        asked += node[i].asked;
    ck_assert_uint_le(asked, 60 * N);
    node[1].down = false;
    pass(20 * SEC);
    ck_assert_uint_eq(nodes_choice(ns), 1);
}
END_TEST

/* Two nodes that are not of one ring: whoever looks for us by the one does not find us by the other. */
START_TEST(a_nearer_one_of_another_ring_is_not_taken)
{
    for (unsigned i = 0; i < N; i++)
        node[i].owner = node[i].addr;
    pass(300 * SEC);
    ck_assert_uint_eq(nodes_choice(ns), 0);
    struct node_info info;
    ck_assert(nodes_info(ns, 3, &info));
    ck_assert_str_eq(info.why, "of another ring, or its ring is changing");
    node[0].down = true; /* better another ring than none */
    pass(3 * SEC);
    ck_assert_uint_eq(nodes_choice(ns), 3);
}
END_TEST

START_TEST(a_ring_that_was_changing_is_asked_again)
{
    node[3].owner = node[3].addr;
    pass(2 * SEC);
    ck_assert_uint_eq(nodes_choice(ns), 2);
    node[3].owner = node[0].owner;
    pass(30 * SEC);
    ck_assert_uint_eq(nodes_choice(ns), 3);
}
END_TEST

START_TEST(idle_it_costs_little)
{
    pass(5 * SEC);
    busy = false;
    pass(10 * SEC);
    for (unsigned i = 0; i < N; i++)
        node[i].asked = 0;
    pass(600 * SEC);
    ck_assert_uint_le(node[3].asked, 600 / 11 * 3 + 3);
    ck_assert_uint_le(node[0].asked, 600 / 110 * 4 + 4);
}
END_TEST

START_TEST(with_one_node_nothing_is_sent)
{
    nodes_free(ns);
    setup_with(1);
    pass(10 * SEC);
    ck_assert_uint_eq(node[0].asked, 0);
    ck_assert_uint_eq(nodes_deadline(ns).us, MONO_NEVER.us);
}
END_TEST

START_TEST(answers_to_nothing_are_refused)
{
    uint8_t p[OWNER_LEN], nonce[NONCE_LEN] = {1};
    size_t len = ping_encode(p, sizeof(p), WIRE_PONG, nonce);
    struct addr stranger = addr_v4(0x01020304, 5610);
    nodes_output(ns, now, &out);
    ck_assert_int_eq(nodes_input(ns, now, &node[1].addr, p, len), -EPROTO);
    ck_assert_uint_eq(out.v[0].len, PING_LEN);
    ck_assert_int_eq(ping_decode(out.v[0].data, out.v[0].len, WIRE_PING, nonce), 0);
    len = ping_encode(p, sizeof(p), WIRE_PONG, nonce);
    ck_assert_int_eq(nodes_input(ns, now, &stranger, p, len), -EPROTO);
    ck_assert_int_eq(nodes_input(ns, now, &node[1].addr, p, len), -EPROTO);
    ck_assert_int_eq(nodes_input(ns, now, &node[0].addr, p, len), 0);
    ck_assert_int_eq(nodes_input(ns, now, &node[0].addr, p, len), -EPROTO); /* once */
    struct wire_owner o = {.seconds = 30, .nonce = 5, .owner = stranger};
    len = owner_encode(p, sizeof(p), &o);
    ck_assert_int_eq(nodes_input(ns, now, &node[0].addr, p, len), -EPROTO);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("i3/nodes");
    TCase *t = tcase_create("nodes");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_nearest_is_taken_soon);
    tcase_add_test(t, one_that_is_hardly_nearer_is_not);
    tcase_add_test(t, jitter_does_not_make_it_flap);
    tcase_add_test(t, a_silent_one_is_left_within_a_second_and_taken_again_when_it_is_back);
    tcase_add_test(t, the_first_of_the_list_may_be_dead_from_the_start);
    tcase_add_test(t, where_none_answers_nothing_changes_and_little_is_sent);
    tcase_add_test(t, a_nearer_one_of_another_ring_is_not_taken);
    tcase_add_test(t, a_ring_that_was_changing_is_asked_again);
    tcase_add_test(t, idle_it_costs_little);
    tcase_add_test(t, with_one_node_nothing_is_sent);
    tcase_add_test(t, answers_to_nothing_are_refused);
    suite_add_tcase(s, t);
    return suite_run(s);
}
