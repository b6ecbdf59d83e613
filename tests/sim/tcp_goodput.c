/* What paths of all kinds carry, and how flows share them, in virtual time; the rule of daemon/tcpip/cc.h at work.
 *
 *   tcp_goodput           the table, with its bounds
 *   tcp_goodput -v        the same, every figure
 */
#include "daemon/tcpip/engine.h"
#include "tests/sim/tcp_net.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLOWS_MAX = 4, SEEDS = 5 };

enum law { AUTO, CUBIC, BBR, BBR_FIRST /* as the path remembers, free to change */ };
enum { KEEPS_CUBIC = 1, ENDS_IN_BBR = 2 };

struct cell {
    const char *name;
    double rtt;       /* ms */
    double mbit;      /* 0: unlimited */
    double queue;     /* in products of rate and round trip */
    double loss;      /* percent, each way */
    double reorder, duplicate;
    unsigned warm_ms, ms; /* measured after `warm` */
    double least;     /* Mbit/s of payload, all flows */
    unsigned flows;
    enum law law[FLOWS_MAX];
    double share;     /* the most that one flow may have of another's; 0: any */
    unsigned expect;
    double stall_ms;  /* the longest silence; 0: any */
};

static void fix_law(struct net *n, uint32_t flow, enum law law)
{
    struct conn *c = table_get(n->t[0], n->flow[flow].side[0].ref);
    if (!c || law == AUTO)
        return;
    c->choice.fixed = law != BBR_FIRST;
    if (law != CUBIC)
        cc_change(&c->cc, &cc_bbr, n->now);
}

static void setup(struct net *n, const struct cell *p, uint64_t seed)
{
    struct tcpip_config c;
    tcpip_config_default(&c);
    if (getenv("BIG")) c.send_max = c.recv_max = 32 << 20;
    net_init(n, seed, &c, p->flows);
    for (int i = 0; i < 2; i++) {
        struct net_link *l = &n->link[i];
        l->delay = (uint64_t)(p->rtt * 500);
        l->rate = (uint64_t)(p->mbit * 125000);
        l->queue = (uint64_t)((double)l->rate * p->rtt / 1000 * p->queue);
        if (l->queue < 3000)
            l->queue = 3000;
        l->loss = (uint32_t)(p->loss * 10000);
        l->reorder = (uint32_t)(p->reorder * 10000);
        l->reorder_by = l->delay / 2;
        l->duplicate = (uint32_t)(p->duplicate * 10000);
    }
    for (uint32_t i = 0; i < p->flows; i++)
        net_connect(n, i, 1ull << 40, 0);
    uint64_t until = n->now + 3000000;
    for (uint32_t i = 0; i < p->flows; i++) {
        while (!n->flow[i].side[0].connected && net_step(n, until))
            ;
        fix_law(n, i, p->law[i]);
    }
}

struct result {
    double sum, least, most;
    double stall_ms;
    unsigned bbr; /* flows that end under it */
    uint64_t retransmits, timeouts, lost, overflowed;
    const char *error;
};

static struct result run(const struct cell *p, uint64_t seed)
{
    struct net n;
    struct result r = {.least = 1e9};
    uint64_t before[FLOWS_MAX];
    setup(&n, p, seed);
    net_run(&n, n.now + p->warm_ms * 1000ull);
    for (uint32_t i = 0; i < p->flows; i++)
        before[i] = n.flow[i].side[1].got;
    n.worst_stall = 0;
    net_run(&n, n.now + p->ms * 1000ull);
    for (uint32_t i = 0; i < p->flows; i++) {
        double mbit = (double)(n.flow[i].side[1].got - before[i]) * 8 / p->ms / 1000;
        struct conn *c = table_get(n.t[0], n.flow[i].side[0].ref);
        r.sum += mbit;
        r.least = mbit < r.least ? mbit : r.least;
        r.most = mbit > r.most ? mbit : r.most;
        r.bbr += c && c->cc.law == &cc_bbr;
    }
    struct tcpip_stats s;
    tcpip_stats(n.t[0], &s);
    r.stall_ms = (double)n.worst_stall / 1000;
    r.retransmits = s.retransmits;
    r.timeouts = s.timeouts;
    r.lost = n.link[0].lost;
    r.overflowed = n.link[0].overflowed;
    r.error = n.error;
    net_free(&n);
    return r;
}

#include "tests/sim/tcp_cells.h"

static bool judge(const struct cell *p, bool verbose)
{
    struct result all = {0};
    double ratio = 0;
    bool good = true;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct result r = run(p, seed);
        double part = r.least > 0 ? r.most / r.least : 1e3;
        all.sum += r.sum / SEEDS;
        ratio += part / SEEDS;
        all.stall_ms = r.stall_ms > all.stall_ms ? r.stall_ms : all.stall_ms;
        all.bbr += r.bbr;
        all.timeouts += r.timeouts;
        all.lost += r.lost;
        all.retransmits += r.retransmits;
        all.overflowed += r.overflowed;
        if (r.error) {
            printf("FAIL  sim tcp_goodput: %s, seed %" PRIu64 ": %s\n", p->name, seed, r.error);
            good = false;
        }
    }
    if (verbose)
        printf("%-44s %8.2f Mbit/s (%.2f) ratio %.2f bbr %u/%u retx %" PRIu64 " lost %" PRIu64 " over %" PRIu64
               " rto %" PRIu64 " stall %.0f ms\n",
            p->name, all.sum, p->least, ratio, all.bbr, SEEDS * p->flows, all.retransmits, all.lost, all.overflowed,
            all.timeouts, all.stall_ms);
    const char *wrong = NULL;
    if (all.sum < p->least)
        wrong = "too slow";
    else if (p->share > 0 && ratio > p->share)
        wrong = "unfair";
    else if (p->expect == KEEPS_CUBIC && all.bbr)
        wrong = "BBR without need";
    else if (p->expect == ENDS_IN_BBR && all.bbr < SEEDS * p->flows)
        wrong = "CUBIC where losses are random";
    else if (p->stall_ms > 0 && all.stall_ms > p->stall_ms)
        wrong = "stalls";
    if (wrong)
        printf("FAIL  sim tcp_goodput: %s: %s (%.2f Mbit/s, ratio %.2f, %u under BBR, stall %.0f ms)\n", p->name, wrong,
            all.sum, ratio, all.bbr, all.stall_ms);
    return good && !wrong;
}

int main(int argc, char **argv)
{
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0, good = true;
    size_t n = sizeof(cells) / sizeof(cells[0]);
    for (size_t i = 0; i < n; i++) {
        if (argc > 2 && !strstr(cells[i].name, argv[2]))
            continue;
        good &= judge(&cells[i], verbose);
    }
    if (good)
        printf("ok    sim tcp_goodput: %zu paths, %d seeds each\n", n, SEEDS);
    return !good;
}
