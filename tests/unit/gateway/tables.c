/* The tables of both ends of a gateway (daemon/gateway/to_ip.h, vias.h). */
#include "daemon/gateway/to_ip.h"
#include "daemon/gateway/vias.h"

#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/suite.h"

#define AT(s) ((mono_t){(uint64_t)(s) * USEC_PER_SEC + 1})

static const uint8_t ann[KEY_LEN] = {1}, ben[KEY_LEN] = {2}, gate_a[KEY_LEN] = {3}, gate_b[KEY_LEN] = {4};
static int side, other_side;
static unsigned gone_n;

static void gone(void *ctx, struct gate_name *m)
{
    (void)ctx;
    (void)m;
    gone_n++;
}

static struct gate_ask asking(uint32_t ip, const char *name)
{
    struct gate_ask a = {.serial = 1, .ip = ip, .ip6 = {0xfd, [12] = (uint8_t)(ip >> 24), [13] = (uint8_t)(ip >> 16), [14] = (uint8_t)(ip >> 8), [15] = (uint8_t)ip}};
    snprintf(a.name, sizeof(a.name), "%s", name);
    return a;
}

static struct gate_name *put(struct to_ip *t, struct gate_user *u, uint32_t ip, const char *name)
{
    struct gate_ask a = asking(ip, name);
    struct gate_name *m = NULL;
    ck_assert_int_eq(gate_name_put(t, AT(0), u, &side, &a, gone, NULL, &m), 0);
    return m;
}

START_TEST(users_have_tables_of_their_own_and_share_what_the_dns_says)
{
    struct to_ip *t = to_ip_new();
    struct gate_user *a = gate_user_get(t, AT(0), ann, 100), *b = gate_user_get(t, AT(0), ben, 200);
    struct gate_name *m = put(t, a, 7, "Wiki.Intra."), *n = put(t, b, 7, "wiki.intra"), *o = put(t, b, 8, "git.intra");
    ck_assert(m != n && m->record == n->record && m->record != o->record);
    ck_assert_str_eq(m->record->name, "wiki.intra");
    ck_assert_ptr_eq(gate_name_find(t, 100, 7), m);
    ck_assert_ptr_eq(gate_name_find(t, 200, 7), n);
    ck_assert_ptr_null(gate_name_find(t, 100, 8));
    ck_assert_ptr_eq(gate_name_find6(t, 200, asking(8, "x").ip6), o);
    ck_assert_ptr_null(gate_name_find6(t, 100, asking(8, "x").ip6));
    gone_n = 0;
    ck_assert_ptr_eq(put(t, a, 7, "wiki.intra"), m); /* again */
    ck_assert_uint_eq(gone_n, 0);
    put(t, a, 7, "other.intra"); /* another name at its address */
    ck_assert_uint_eq(gone_n, 1);
    ck_assert_uint_eq(a->n_names, 1);
    struct gate_ask q = asking(7, "other.intra");
    struct gate_name *again;
    ck_assert_int_eq(gate_name_put(t, AT(0), a, &other_side, &q, gone, NULL, &again), 0); /* another key of ours */
    ck_assert(gone_n == 2 && again->side == &other_side);
    to_ip_free(t);
}
END_TEST

START_TEST(what_is_no_name_is_refused)
{
    static const char *const bad[] = {".", "a..b", ".a", "a b", "a\tb", "a\\b", "\x80",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct to_ip *t = to_ip_new();
    struct gate_user *a = gate_user_get(t, AT(0), ann, 100);
    struct gate_name *m;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct gate_ask q = asking(7, bad[i]);
        ck_assert_msg(gate_name_put(t, AT(0), a, &side, &q, gone, NULL, &m) == -EINVAL, "%s", bad[i]);
    }
    ck_assert_uint_eq(a->n_names, 0);
    to_ip_free(t);
}
END_TEST

START_TEST(a_user_has_so_many_names_and_its_oldest_without_flows_gives_way)
{
    struct to_ip *t = to_ip_new();
    struct gate_user *a = gate_user_get(t, AT(0), ann, 100), *b = gate_user_get(t, AT(0), ben, 200);
    struct gate_name *bens = put(t, b, 1, "ben.intra"), *busy = put(t, a, 1, "n1");
    char name[32];
    gate_flow_begin(t, busy, AT(0));
    gone_n = 0;
    for (uint32_t i = 2; i <= TO_IP_NAMES + 3; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        put(t, a, i, name);
        gate_name_touch(busy, AT(0));
    }
    ck_assert_uint_eq(a->n_names, TO_IP_NAMES);
    ck_assert_uint_eq(gone_n, 3);
    ck_assert_ptr_eq(gate_name_find(t, 100, 1), busy);
    ck_assert_ptr_null(gate_name_find(t, 100, 2));
    ck_assert_ptr_eq(gate_name_find(t, 200, 1), bens);
    to_ip_free(t);
}
END_TEST

START_TEST(answers_hold_as_long_as_they_say_within_bounds)
{
    static const struct {
        enum gate_status status;
        uint32_t ttl, holds; /* seconds */
    } v[] = {{GATE_OK, 0, 1}, {GATE_OK, 300, 300}, {GATE_OK, 90000, 3600}, {GATE_NO_NAME, 0, 1}, {GATE_NO_NAME, 7, 7}, {GATE_NO_NAME, 900, 30},
        {GATE_NO_ADDRESS, 7, 7}, {GATE_LATER, 300, 2}, {GATE_FAILED, 300, 2}};
    struct addr one = addr_v4(0x01020304, 0);
    for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
        struct to_ip *t = to_ip_new();
        struct gate_record *r = put(t, gate_user_get(t, AT(0), ann, 100), 7, "x.intra")->record;
        ck_assert(gate_record_stale(r, AT(0)));
        uint32_t token = gate_record_ask(t, r);
        ck_assert_ptr_eq(gate_record_asked(t, token), r);
        gate_record_answer(t, AT(10), r, v[i].status, &one, v[i].status == GATE_OK, v[i].ttl);
        ck_assert_ptr_null(gate_record_asked(t, token));
        ck_assert_msg(!gate_record_stale(r, (mono_t){AT(10 + v[i].holds).us - 1}) && gate_record_stale(r, AT(10 + v[i].holds)), "case %zu", i);
        to_ip_free(t);
    }
}
END_TEST

START_TEST(old_addresses_serve_on_while_the_dns_is_dead_but_not_when_the_name_is_gone)
{
    struct addr one = addr_v4(0x01020304, 0);
    struct to_ip *t = to_ip_new();
    struct gate_record *r = put(t, gate_user_get(t, AT(0), ann, 100), 7, "x.intra")->record;
    gate_record_ask(t, r);
    gate_record_answer(t, AT(0), r, GATE_OK, &one, 1, 5);
    gate_record_ask(t, r);
    gate_record_answer(t, AT(6), r, GATE_LATER, NULL, 0, 0);
    ck_assert(r->status == GATE_OK && r->n == 1 && !gate_record_stale(r, AT(7)));
    gate_record_ask(t, r);
    gate_record_answer(t, AT(9), r, GATE_NO_NAME, NULL, 0, 5);
    ck_assert(r->status == GATE_NO_NAME && r->n == 0);
    to_ip_free(t);
}
END_TEST

START_TEST(addresses_are_filtered_and_the_family_that_was_used_comes_first)
{
    static struct config_gateway c;
    struct network own = {.family = 4, .bits = 8, .ip = {10}};
    struct addr found[4] = {addr_v4(0x0a140001, 0), addr_v4(0x7f000001, 0), addr_v4(0xc0000207, 0), {.family = 6, .ip = {0x20, 1, 0xd, 0xb8}}}, out[TO_IP_ADDRS];
    bool reserved;
    uint8_t families;
    struct to_ip *t = to_ip_new();
    struct gate_name *m = put(t, gate_user_get(t, AT(0), ann, 100), 7, "x.intra");
    network_parse(&c.networks[0], "0.0.0.0/0:80");
    network_parse(&c.networks[1], "2001:db8::/32");
    c.n_networks = 2;
    gate_record_answer(t, AT(0), m->record, GATE_OK, found, 4, 60);
    ck_assert_uint_eq(gate_addresses(&c, &own, m->record, 80, 6, out, &reserved), 2);
    ck_assert(out[0].family == 6 && addr_ip4(&out[1]) == 0xc0000207 && out[1].port == 80 && reserved);
    ck_assert_uint_eq(gate_addresses(&c, &own, m->record, 443, 4, out, &reserved), 1);
    ck_assert(gate_name_status(&c, &own, m, &families) == GATE_OK && families == (GATE_HAS_4 | GATE_HAS_6));
    gate_record_answer(t, AT(0), m->record, GATE_OK, found, 2, 60); /* a name that points home */
    ck_assert(gate_name_status(&c, &own, m, &families) == GATE_FORBIDDEN && !families);
    snprintf(c.names[0], sizeof(c.names[0]), ".other");
    c.n_names = 1;
    ck_assert(!gate_name_permitted(&c, "x.intra") && gate_name_permitted(&c, "x.other") && gate_name_permitted(&c, "other") && !gate_name_permitted(&c, "another") &&
              gate_name_permitted(&c, "10.1.2.3"));
    to_ip_free(t);
}
END_TEST

START_TEST(addresses_may_be_names)
{
    struct addr a;
    ck_assert(gate_literal("10.9.0.5", &a) && a.family == 4 && addr_ip4(&a) == 0x0a090005);
    ck_assert(gate_literal("fd00::5", &a) && a.family == 6);
    ck_assert(gate_literal("fd00--5", &a) && a.family == 6 && a.ip[0] == 0xfd && a.ip[15] == 5);
    ck_assert(gate_literal("--1", &a) && a.family == 6 && a.ip[15] == 1);
    ck_assert(!gate_literal("10.9.0", &a) && !gate_literal("010.9.0.5", &a) && !gate_literal("face-book", &a) && !gate_literal("a-b-c", &a) && !gate_literal("", &a));
    struct to_ip *t = to_ip_new();
    struct gate_name *m = put(t, gate_user_get(t, AT(0), ann, 100), 7, "10.9.0.5");
    ck_assert(!gate_record_stale(m->record, AT(100000)) && m->record->n == 1); /* no DNS is asked, ever */
    gate_records_doubt(t);
    ck_assert(!gate_record_stale(m->record, AT(100000)));
    to_ip_free(t);
}
END_TEST

START_TEST(flows_are_counted_by_user_and_in_all)
{
    static struct config_gateway c = {.connections = 3, .per_user = 2};
    struct to_ip *t = to_ip_new();
    struct gate_user *a = gate_user_get(t, AT(0), ann, 100), *b = gate_user_get(t, AT(0), ben, 200);
    struct gate_name *m = put(t, a, 7, "x"), *n = put(t, b, 7, "x");
    gate_flow_begin(t, m, AT(0));
    ck_assert(gate_user_room(t, a, &c));
    gate_flow_begin(t, m, AT(0));
    ck_assert(!gate_user_room(t, a, &c) && gate_user_room(t, b, &c));
    gate_flow_begin(t, n, AT(0));
    ck_assert(!gate_user_room(t, b, &c) && gate_flows(t) == 3);
    gate_flow_end(t, m);
    ck_assert(gate_user_room(t, b, &c) && gate_user_room(t, a, &c) && a->flows == 1);
    to_ip_free(t);
}
END_TEST

START_TEST(unknown_is_said_a_few_times_a_second)
{
    struct to_ip *t = to_ip_new();
    struct gate_user *a = gate_user_get(t, AT(0), ann, 100);
    unsigned said = 0;
    for (int i = 0; i < 1000; i++)
        said += gate_user_may_hear(a, AT(0));
    ck_assert_uint_eq(said, 64);
    ck_assert(gate_user_may_hear(a, AT(1)));
    to_ip_free(t);
}
END_TEST

/* ---- the user's end ---- */

START_TEST(the_same_name_behind_two_gateways_is_two)
{
    struct vias *t = vias_new();
    uint8_t ip6[16] = {0xfd};
    struct via *a = via_add(t, gate_a, 0, "Wiki.Intra", "wiki", NULL, NULL, NULL), *b = via_add(t, gate_b, 0, "wiki.intra", "wiki", NULL, NULL, NULL);
    struct via *c = via_add(t, gate_a, 77, "wiki.intra", "wiki", NULL, NULL, NULL); /* another side of ours */
    ck_assert(a && b && c && memcmp(a->pseudo, b->pseudo, KEY_LEN) && memcmp(a->pseudo, c->pseudo, KEY_LEN));
    ck_assert_ptr_eq(via_find(t, gate_a, 0, "WIKI.intra"), a);
    ck_assert_ptr_eq(via_find(t, gate_a, 77, "wiki.intra"), c);
    ck_assert_ptr_null(via_find(t, gate_b, 77, "wiki.intra"));
    via_place(t, a, 5, ip6);
    via_place(t, b, 6, ip6);
    via_place(t, a, 7, ip6);
    ck_assert(!via_by_host(t, 5) && via_by_host(t, 6) == b && via_by_host(t, 7) == a);
    via_remove(t, a);
    ck_assert(!via_by_host(t, 7) && !via_find(t, gate_a, 0, "wiki.intra") && vias_count(t) == 2);
    vias_free(t);
}
END_TEST

/* What is in the pool on disk must be the same in the next version. */
START_TEST(the_key_of_a_name_never_changes)
{
    static const uint8_t want[8] = {0x7b, 0xf9, 0x00, 0x45, 0xd7, 0x93, 0xd4, 0x92};
    uint8_t key[KEY_LEN];
    via_pseudo(key, gate_a, 0, "wiki.intra");
    ck_assert_mem_eq(key, want, sizeof(want));
}
END_TEST

START_TEST(questions_are_repeated_ever_more_slowly_until_they_are_given_up)
{
    struct vias *t = vias_new();
    struct via *v = via_add(t, gate_a, 0, "x", "x", NULL, NULL, NULL);
    mono_t now = AT(0);
    unsigned sent = 0;
    ck_assert(vias_deadline(t).us == MONO_NEVER.us);
    via_ask(t, v, now, 8 * USEC_PER_SEC);
    for (; !mono_due(v->give_up, now); now = vias_deadline(t)) {
        ck_assert(mono_due(v->due, now));
        via_sent(v, now);
        sent++;
    }
    ck_assert_uint_ge(sent, 6);
    ck_assert_uint_le(sent, 10);
    via_answered(t, v, now, GATE_LATER, 0, USEC_PER_SEC);
    ck_assert(!via_asking(t, NULL) && v->answered && vias_deadline(t).us == MONO_NEVER.us);
    uint32_t serial = v->serial;
    via_ask(t, v, now, USEC_PER_SEC);
    ck_assert_uint_ne(v->serial, serial);
    vias_free(t);
}
END_TEST

static bool busy(void *ctx, const struct via *v)
{
    return v == ctx;
}

START_TEST(the_longest_unused_that_is_not_busy_gives_way)
{
    struct vias *t = vias_new();
    struct via *first = via_add(t, gate_a, 0, "first", "x", NULL, NULL, NULL);
    char name[32];
    via_add(t, gate_a, 0, "second", "x", NULL, NULL, NULL);
    for (unsigned i = 0; i < VIAS_MAX - 2; i++) {
        snprintf(name, sizeof(name), "n%u", i);
        ck_assert_ptr_nonnull(via_add(t, gate_a, 0, name, "x", NULL, NULL, NULL));
    }
    ck_assert_ptr_nonnull(via_add(t, gate_a, 0, "last", "x", busy, NULL, first));
    ck_assert_uint_eq(vias_count(t), VIAS_MAX);
    ck_assert_ptr_eq(via_find(t, gate_a, 0, "first"), first);
    ck_assert_ptr_null(via_find(t, gate_a, 0, "second"));
    vias_free(t);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("gateway/tables");
    TCase *tc = tcase_create("tables");
    tcase_add_test(tc, users_have_tables_of_their_own_and_share_what_the_dns_says);
    tcase_add_test(tc, what_is_no_name_is_refused);
    tcase_add_test(tc, a_user_has_so_many_names_and_its_oldest_without_flows_gives_way);
    tcase_add_test(tc, answers_hold_as_long_as_they_say_within_bounds);
    tcase_add_test(tc, old_addresses_serve_on_while_the_dns_is_dead_but_not_when_the_name_is_gone);
    tcase_add_test(tc, addresses_are_filtered_and_the_family_that_was_used_comes_first);
    tcase_add_test(tc, addresses_may_be_names);
    tcase_add_test(tc, flows_are_counted_by_user_and_in_all);
    tcase_add_test(tc, unknown_is_said_a_few_times_a_second);
    tcase_add_test(tc, the_same_name_behind_two_gateways_is_two);
    tcase_add_test(tc, the_key_of_a_name_never_changes);
    tcase_add_test(tc, questions_are_repeated_ever_more_slowly_until_they_are_given_up);
    tcase_add_test(tc, the_longest_unused_that_is_not_busy_gives_way);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
