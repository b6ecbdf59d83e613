/* Hosts at different nodes of one ring, in virtual time: whose trigger is where, and what becomes of a talk when nodes come and go. */
#include "daemon/node/cluster.h"
#include "tests/lib/suite.h"
#include "tests/sim/overlay_world.h"

static ring_pos pos_of(const struct i3_id *id)
{
    return ring_pos_of(id->b);
}

/* The node that owns the id, as the nodes see it; fails unless it is exactly one. */
static unsigned owner_of(const struct i3_id *id)
{
    unsigned owner = NODES, n = 0;
    for (unsigned i = 0; i < w.nodes; i++) {
        if (w.node[i].n && ring_owns(node_ring(w.node[i].n), pos_of(id))) {
            owner = i;
            n++;
        }
    }
    ck_assert_uint_eq(n, 1);
    return owner;
}

static struct node_stats stats_of(unsigned i)
{
    struct node_stats s = {0};
    if (w.node[i].n)
        node_stats(w.node[i].n, &s);
    return s;
}

static uint64_t relayed(void)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < w.nodes; i++)
        n += stats_of(i).relayed;
    return n;
}

static bool all_stand(void)
{
    bool all = true;
    for (unsigned i = 0; i < w.hosts; i++)
        all = all && triggers_all_standing(w.host[i].t);
    return all;
}

START_TEST(triggers_are_kept_by_the_owners_of_their_ids)
{
    world_ring(8, 12, 1);
    run(3 * SEC);
    ck_assert(all_stand());
    for (unsigned i = 0; i < w.hosts; i++) {
        struct trigger_info t;
        ck_assert(triggers_info(w.host[i].t, 0, &t));
        ck_assert(addr_eq(&t.node, &w.node[owner_of(&t.id)].addr));
    }
    world_stop();
}
END_TEST

START_TEST(hosts_at_different_nodes_talk)
{
    world_ring(8, 12, 2);
    run(3 * SEC);
    for (unsigned i = 1; i < w.hosts; i++)
        ck_assert_uint_le(time_to_talk(0, i), 500 * MS);
    world_stop();
}
END_TEST

START_TEST(later_packets_go_straight_to_the_owner)
{
    world_ring(8, 8, 3);
    run(3 * SEC);
    for (unsigned i = 1; i < w.hosts; i++)
        time_to_talk(0, i);
    run(SEC);
    uint64_t before = relayed();
    for (unsigned k = 0; k < 20; k++)
        for (unsigned i = 1; i < w.hosts; i++)
            ck_assert(talk(0, i));
    run(SEC);
    ck_assert_uint_eq(relayed(), before);
    world_stop();
}
END_TEST

/* A packet every 50 ms each way; the longest time without one arriving, both ways, from now on for `us`. */
static uint64_t longest_gap(unsigned a, unsigned b, uint64_t us)
{
    mono_t end = mono_add(w.now, us), last[2] = {w.now, w.now};
    uint64_t got[2] = {w.host[a].got, w.host[b].got}, gap = 0;
    while (w.now.us < end.us) {
        talk(a, b);
        talk(b, a);
        run(50 * MS);
        for (unsigned i = 0; i < 2; i++) {
            uint64_t now_got = w.host[i ? b : a].got;
            if (now_got != got[i])
                last[i] = w.now;
            got[i] = now_got;
            uint64_t since = mono_since(last[i], w.now);
            gap = since > gap ? since : gap;
        }
    }
    return gap;
}

/* Of two hosts whose own nodes are others than `i`. */
START_TEST(the_crash_of_an_owner_is_mended_within_two_seconds)
{
    uint64_t worst = 0;
    for (uint8_t seed = 0; seed < 20; seed++) {
        world_ring(8, 2, (uint8_t)(10 + seed));
        run(3 * SEC);
        time_to_talk(0, 1);
        run(2 * SEC);
        unsigned owner = owner_of(&w.host[1].private_id);
        if (owner > 1) { /* not a home node: that is another test */
            node_crash(owner);
            uint64_t gap = longest_gap(0, 1, 8 * SEC);
            worst = gap > worst ? gap : worst;
        }
        world_stop();
    }
    ck_assert_msg(worst <= 2 * SEC, "%llu ms", (unsigned long long)(worst / MS));
}
END_TEST

/* ---- owners that nodes have learned ---- */

/* A DATA packet by way of the host's home node, as from one that keeps no cache of its own. */
static void send_by_home(struct host *h, const struct i3_id *id)
{
    uint8_t p[DATA_HEADER_LEN + 64] = {0};
    struct wire_data d = {.hops = HOPS_DEFAULT, .n = 1, .proto = PROTO_SEALED, .ids = id->b};
    data_header_encode(p, sizeof(p), &d);
    outbox_push(&w.out, &w.node[h->home].addr, p, sizeof(p));
    send_all(&h->addr);
}

/* How many nodes have passed it on. */
static uint64_t hops_by_home(struct host *h, const struct i3_id *id)
{
    uint64_t before = relayed();
    send_by_home(h, id);
    run(500 * MS);
    return relayed() - before;
}

START_TEST(a_nodes_second_packet_takes_one_hop)
{
    unsigned far = 0;
    world_ring(NODES, 4, 21);
    run(3 * SEC);
    for (unsigned i = 0; i < 60; i++) {
        struct i3_id id;
        drbg_draw(&w.drbg, &id, sizeof(id));
        unsigned owner = owner_of(&id);
        uint64_t first = hops_by_home(&w.host[0], &id);
        far += first > 1;
        ck_assert_uint_eq(hops_by_home(&w.host[0], &id), owner != w.host[0].home);
        id.b[ID_PREFIX_LEN - 1] ^= 1; /* its neighbour, which nobody has asked about */
        ck_assert_uint_eq(hops_by_home(&w.host[0], &id), owner != w.host[0].home);
    }
    ck_assert_uint_ge(far, 2); /* there was something to learn */
    world_stop();
}
END_TEST

/* Packets by the home node every 20 ms; the longest time without one arriving, from now on for `us`. */
static uint64_t gap_by_home(struct host *from, struct host *to, uint64_t us)
{
    mono_t end = mono_add(w.now, us), last = w.now;
    uint64_t got = w.data_in[to - w.host], gap = 0;
    while (w.now.us < end.us) {
        send_by_home(from, &to->public_id);
        run(20 * MS);
        if (w.data_in[to - w.host] != got)
            last = w.now;
        got = w.data_in[to - w.host];
        gap = mono_since(last, w.now) > gap ? mono_since(last, w.now) : gap;
    }
    return gap;
}

START_TEST(an_owner_that_a_node_has_learned_may_crash)
{
    uint64_t worst = 0;
    for (uint8_t seed = 0; seed < 20; seed++) {
        world_ring(8, 2, (uint8_t)(60 + seed));
        run(3 * SEC);
        unsigned owner = owner_of(&w.host[1].public_id);
        ck_assert_uint_le(gap_by_home(&w.host[0], &w.host[1], SEC), 100 * MS);
        if (owner > 1) {
            node_crash(owner);
            uint64_t gap = gap_by_home(&w.host[0], &w.host[1], 5 * SEC);
            worst = gap > worst ? gap : worst;
        }
        world_stop();
    }
    ck_assert_msg(worst <= 1500 * MS, "%llu ms", (unsigned long long)(worst / MS));
}
END_TEST

/* From every host to every other's public id, by its home node: how many do not arrive. */
static unsigned unreached(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < w.hosts; i++) {
        for (unsigned k = 0; k < w.hosts; k++) {
            uint64_t before = w.data_in[k];
            send_by_home(&w.host[i], &w.host[k].public_id);
            run(100 * MS);
            n += w.data_in[k] == before;
        }
    }
    return n;
}

START_TEST(hosts_that_come_while_the_ring_forms_are_found)
{
    unsigned lost = 0;
    for (uint8_t seed = 0; seed < 40; seed++) {
        world_ring_young(8, 4, (uint8_t)(100 + seed), 300 * MS + seed * 50 * MS);
        run(2 * SEC);
        lost += unreached();
        world_stop();
    }
    ck_assert_uint_eq(lost, 0);
}
END_TEST

/* An owner dies with its successor, which kept the copies: the hosts notice, and insert anew. */
START_TEST(the_crash_of_two_neighbours_is_mended_within_two_seconds)
{
    uint64_t worst = 0;
    for (uint8_t seed = 0; seed < 20; seed++) {
        world_ring(10, 2, (uint8_t)(150 + seed));
        run(3 * SEC);
        time_to_talk(0, 1);
        run(2 * SEC);
        unsigned owner = owner_of(&w.host[1].private_id), next = NODES;
        const struct ring_contact *s = ring_successor(node_ring(w.node[owner].n), 0);
        for (unsigned i = 0; i < w.nodes; i++)
            next = addr_eq(&w.node[i].addr, &s->addr) ? i : next;
        if (owner > 1 && next > 1) {
            ck_assert_uint_le(longest_gap(0, 1, 500 * MS), 100 * MS);
            node_crash(owner);
            node_crash(next);
            uint64_t gap = longest_gap(0, 1, 8 * SEC);
            worst = gap > worst ? gap : worst;
        }
        world_stop();
    }
    ck_assert_msg(worst <= 2 * SEC, "%llu ms", (unsigned long long)(worst / MS));
}
END_TEST

START_TEST(a_host_that_is_out_of_touch_is_reached_by_the_copy_of_its_trigger)
{
    for (uint8_t seed = 0; seed < 10; seed++) {
        world_ring(8, 3, (uint8_t)(40 + seed));
        run(6 * SEC); /* far from the next refresh */
        unsigned owner = owner_of(&w.host[1].public_id);
        if (owner != w.host[0].home && owner != w.host[1].home) {
            node_crash(owner);
            run(1500 * MS);
            ck_assert_uint_le(time_to_talk(0, 1), SEC);
        }
        world_stop();
    }
}
END_TEST

START_TEST(nodes_that_come_take_over_without_a_gap)
{
    world_ring(NODES, 4, 5);
    for (unsigned i = 6; i < NODES; i++)
        node_crash(i);
    run(20 * SEC);
    time_to_talk(0, 1);
    run(5 * SEC);
    uint64_t worst = 0;
    for (unsigned i = 6; i < NODES; i++) {
        node_start(i);
        uint64_t gap = longest_gap(0, 1, 5 * SEC);
        worst = gap > worst ? gap : worst;
    }
    ck_assert_msg(worst <= 300 * MS, "%llu ms", (unsigned long long)(worst / MS));
    ck_assert(all_stand());
    world_stop();
}
END_TEST

/* A packet every 20 ms each way for `us`; how many do not arrive. */
static unsigned lost_packets(unsigned a, unsigned b, uint64_t us)
{
    mono_t end = mono_add(w.now, us);
    uint64_t got = w.host[a].got + w.host[b].got, sent = 0;
    for (; w.now.us < end.us; run(20 * MS))
        sent += (unsigned)talk(a, b) + (unsigned)talk(b, a);
    run(SEC);
    return (unsigned)(sent - (w.host[a].got + w.host[b].got - got));
}

static void leave_politely(unsigned i)
{
    while (node_leave(w.node[i].n, w.now, &w.out))
        send_all(&w.node[i].addr);
    send_all(&w.node[i].addr);
    ck_assert(node_lingers(w.node[i].n));
}

START_TEST(nodes_that_leave_politely_lose_nothing)
{
    unsigned lost = 0;
    for (uint8_t seed = 0; seed < 3; seed++) {
        world_ring(NODES, 4, (uint8_t)(180 + seed));
        run(3 * SEC);
        time_to_talk(0, 1);
        run(SEC);
        for (unsigned i = 4; i < NODES - 2; i++) {
            leave_politely(i);
            lost += lost_packets(0, 1, NODE_LINGER);
            node_crash(i);
            lost += lost_packets(0, 1, SEC);
        }
        world_stop();
    }
    ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(nodes_that_join_lose_nothing)
{
    unsigned lost = 0;
    for (uint8_t seed = 0; seed < 3; seed++) {
        world_ring(NODES, 4, (uint8_t)(190 + seed));
        for (unsigned i = 4; i < NODES; i++)
            node_crash(i);
        run(35 * SEC);
        time_to_talk(0, 1);
        run(SEC);
        for (unsigned i = 4; i < NODES; i++) {
            node_start(i);
            lost += lost_packets(0, 1, 2 * SEC);
        }
        world_stop();
    }
    ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(hosts_that_come_by_connections_are_found_while_nodes_come)
{
    world_ring(NODES, 4, 9);
    for (unsigned i = 4; i < NODES; i++)
        node_crash(i);
    for (unsigned i = 0; i < w.hosts; i++)
        w.host[i].addr.via = ADDR_TCP;
    run(45 * SEC); /* and what was before is forgotten */
    w.connections = true;
    time_to_talk(0, 1);
    uint64_t worst = 0;
    for (unsigned i = 4; i < NODES; i++) {
        node_start(i);
        uint64_t gap = longest_gap(0, 1, 5 * SEC);
        worst = gap > worst ? gap : worst;
    }
    ck_assert_msg(worst <= SEC, "%llu ms", (unsigned long long)(worst / MS));
    world_stop();
}
END_TEST

START_TEST(nobody_home_is_told_through_the_ring)
{
    world_ring(8, 2, 7);
    run(2 * SEC);
    struct i3_id nobody;
    drbg_draw(&w.drbg, &nobody, sizeof(nobody));
    uint64_t before = w.not_presents;
    for (unsigned k = 0; k < 5; k++) {
        uint8_t p[DATA_HEADER_LEN + 64] = {0};
        struct wire_data d = {.hops = HOPS_DEFAULT, .n = 1, .proto = PROTO_SEALED, .ids = nobody.b};
        data_header_encode(p, sizeof(p), &d);
        outbox_push(&w.out, owners_node(w.host[0].rt, &nobody), p, sizeof(p));
        send_all(&w.host[0].addr);
        run(300 * MS);
    }
    ck_assert_uint_gt(w.not_presents, before);
    world_stop();
}
END_TEST

/* A LOOKUP of an id that is another's than the node it is sent to. */
static void ask_for_owner(struct host *h)
{
    struct i3_id id;
    uint8_t p[OWNER_LEN];
    do
        drbg_draw(&w.drbg, &id, sizeof(id));
    while (owner_of(&id) == h->home);
    outbox_push(&w.out, &w.node[h->home].addr, p, lookup_encode(p, sizeof(p), drbg_u64(&w.drbg) | 1, id.b));
    send_all(&h->addr);
}

/* Many times what a node can ask of the ring at once: those which it did ask are answered. */
START_TEST(questions_beyond_a_nodes_means_take_no_others_place)
{
    world_ring(8, 1, 9);
    w.nc.lookups_per_s = 1000000;
    node_start(0);
    run(10 * SEC);
    uint64_t before = w.owners_told;
    for (unsigned i = 0; i < 4 * CLUSTER_ASKS; i++)
        ask_for_owner(&w.host[0]);
    run(2 * SEC);
    ck_assert_uint_ge(w.owners_told - before, RING_CALLS / 4);
    world_stop();
}
END_TEST

START_TEST(a_lossy_network_keeps_triggers_and_talks)
{
    world_ring(8, 6, 8);
    w.loss = 50;
    run(20 * SEC);
    unsigned standing = 0;
    for (unsigned s = 0; s < 60; s++) {
        run(SEC);
        standing += all_stand();
    }
    ck_assert_uint_ge(standing, 45);
    for (unsigned i = 1; i < w.hosts; i++)
        ck_assert_uint_le(time_to_talk(0, i), 3 * SEC);
    world_stop();
}
END_TEST

int main(void)
{
    Suite *s = suite_create("sim/ring_hosts");
    TCase *t = tcase_create("ring_hosts");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, triggers_are_kept_by_the_owners_of_their_ids);
    tcase_add_test(t, hosts_at_different_nodes_talk);
    tcase_add_test(t, later_packets_go_straight_to_the_owner);
    tcase_add_test(t, the_crash_of_an_owner_is_mended_within_two_seconds);
    tcase_add_test(t, a_nodes_second_packet_takes_one_hop);
    tcase_add_test(t, an_owner_that_a_node_has_learned_may_crash);
    tcase_add_test(t, hosts_that_come_while_the_ring_forms_are_found);
    tcase_add_test(t, the_crash_of_two_neighbours_is_mended_within_two_seconds);
    tcase_add_test(t, a_host_that_is_out_of_touch_is_reached_by_the_copy_of_its_trigger);
    tcase_add_test(t, nodes_that_come_take_over_without_a_gap);
    tcase_add_test(t, nodes_that_leave_politely_lose_nothing);
    tcase_add_test(t, nodes_that_join_lose_nothing);
    tcase_add_test(t, hosts_that_come_by_connections_are_found_while_nodes_come);
    tcase_add_test(t, nobody_home_is_told_through_the_ring);
    tcase_add_test(t, questions_beyond_a_nodes_means_take_no_others_place);
    tcase_add_test(t, a_lossy_network_keeps_triggers_and_talks);
    suite_add_tcase(s, t);
    return suite_run(s);
}
