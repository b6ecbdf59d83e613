/* Two engines over bad networks, in virtual time: every byte right, stalls bounded, memory given back.
 *
 *   tcp            all of it          tcp random SEED    one random world, with what became of it
 */
#include "tests/sim/tcp_net.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 3000 };

static void random_link(struct net *n, struct net_link *l)
{
    l->delay = 10 + net_below(n, net_below(n, 2) ? 200000 : 3000);
    l->jitter = net_below(n, 3) ? 0 : net_below(n, 20000);
    l->rate = net_below(n, 2) ? 0 : 20000 + net_below(n, 20000000);
    l->queue = 3000 + net_below(n, 1000000);
    l->loss = net_below(n, 2) ? 0 : net_below(n, 200000);
    l->reorder = net_below(n, 2) ? 0 : net_below(n, 300000);
    l->reorder_by = 1 + net_below(n, 50000);
    l->duplicate = net_below(n, 2) ? 0 : net_below(n, 150000);
    l->corrupt = net_below(n, 3) ? 0 : net_below(n, 50000);
    if (!net_below(n, 4)) {
        l->burst = net_below(n, 10000);
        l->burst_len = 1 + net_below(n, 20);
    }
}

static void random_world(struct net *n, uint64_t seed)
{
    struct tcpip_config c;
    struct net r = {.rng = seed ^ 0x5eed};
    tcpip_config_default(&c);
    c.time_wait_us = 1000000;
    if (!net_below(&r, 3))
        c.recv_max = 4096 + net_below(&r, 200000);
    if (!net_below(&r, 3))
        c.send_max = 4096 + net_below(&r, 200000);
    if (!net_below(&r, 4))
        c.mtu = (uint16_t)(576 + net_below(&r, 9000));
    uint32_t flows = net_below(&r, 4) ? 1 : 1 + net_below(&r, 4);
    net_init(n, seed, &c, flows);
    random_link(n, &n->link[0]);
    random_link(n, &n->link[1]);
    if (!net_below(&r, 4)) {
        tcpip_set_path(n->t[0], NET_ADDR_1, 3000 + net_below(&r, 100000), 0);
        tcpip_set_path(n->t[1], NET_ADDR_0, 3000 + net_below(&r, 100000), 0);
    }
    for (uint32_t i = 0; i < flows; i++) {
        for (int h = 0; h < 2; h++) {
            struct net_side *s = &n->flow[i].side[h];
            s->chunk = 1 + net_below(&r, net_below(&r, 2) ? 100 : 60000);
            s->pace = net_below(&r, 5) ? 0 : net_below(&r, 30000);
        }
        uint32_t big = net_below(&r, 8) ? 60000 : 600000;
        net_connect(n, i, net_below(&r, big), net_below(&r, big));
    }
}

static bool run_random(uint64_t seed, bool verbose)
{
    struct net n;
    struct tcpip_stats s[2], base[2];
    random_world(&n, seed);
    struct net empty;
    struct tcpip_config c;
    tcpip_config_default(&c);
    net_init(&empty, 1, &c, 0);
    for (int h = 0; h < 2; h++)
        tcpip_stats(empty.t[h], &base[h]);
    net_free(&empty);
    bool over = net_run(&n, n.now + 3600ull * 1000000);
    bool good = net_all_well(&n) && over;
    if (good) { /* let TIME_WAIT and stragglers pass */
        for (uint64_t end = n.now + 200ull * 1000000; net_step(&n, end);)
            ;
        for (int h = 0; h < 2; h++)
            tcpip_stats(n.t[h], &s[h]);
        if (s[0].conns || s[1].conns || s[0].time_wait || s[1].time_wait)
            n.error = "connections were left over";
        else if (n.flows && (s[0].memory > base[0].memory + 2048 || s[1].memory > base[1].memory + 2048))
            n.error = "memory was not given back";
        good = !n.error;
    }
    if (verbose || !good) {
        for (int h = 0; h < 2; h++) {
            struct net_link *l = &n.link[h];
            tcpip_stats(n.t[h], &s[h]);
            printf("link %d: delay=%" PRIu64 " jitter=%" PRIu64 " rate=%" PRIu64 " queue=%" PRIu64
                   " loss=%u reorder=%u dup=%u corrupt=%u burst=%u packets=%" PRIu64 " lost=%" PRIu64
                   " overflowed=%" PRIu64 "\n",
                h, l->delay, l->jitter, l->rate, l->queue, l->loss, l->reorder, l->duplicate, l->corrupt, l->burst,
                l->packets, l->lost, l->overflowed);
            printf("host %d: retransmits=%" PRIu64 " fast=%" PRIu64 " timeouts=%" PRIu64 " bad=%" PRIu64
                   " resets=%" PRIu64 "/%" PRIu64 " conns=%u memory=%" PRIu64 "\n",
                h, s[h].retransmits, s[h].fast_retransmits, s[h].timeouts, s[h].in_bad, s[h].resets_out,
                s[h].resets_in, s[h].conns, s[h].memory);
        }
        for (uint32_t i = 0; i < n.flows; i++) {
            for (int h = 0; h < 2; h++) {
                struct net_side *x = &n.flow[i].side[h];
                printf("flow %u side %d: written %" PRIu64 "/%" PRIu64 " got %" PRIu64 " eof=%d closed=%d failed=%d"
                       " err=%d\n",
                    i, h, x->written, x->total, x->got, x->eof_got, x->closed, x->failed, x->err);
            }
        }
        printf("time %.3f s, worst stall %.3f s\n", (double)n.now / 1e6, (double)n.worst_stall / 1e6);
    }
    if (!good)
        printf("FAIL  sim tcp: %s\n      replay: build/tests/sim/tcp random %" PRIu64 "\n",
            n.error ? n.error : "not over in an hour", seed);
    net_free(&n);
    return good;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "random") == 0)
        return !run_random(strtoull(argv[2], NULL, 0), true);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        if (!run_random(seed, false))
            return 1;
    }
    printf("ok    sim tcp: %d random worlds\n", SEEDS);
    return 0;
}
