/* What paths of all kinds carry, and how flows share them, in virtual time; the rule of daemon/tcpip/cc.h at work.
 *
 *   tcp_goodput           the table, with its bounds
 *   tcp_goodput -v [NAME] the same, every figure, of those whose name holds NAME
 */
#include "daemon/tcpip/engine.h"
#include "tests/sim/tcp_net.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FLOWS_MAX = 4, SEEDS = 5 };

enum law { AUTO, CUBIC, BBR, BBR_FIRST /* as the path remembers, free to change */ };
enum { ANY_LAW, KEEPS_CUBIC, ENDS_IN_BBR };

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
    double mark;      /* from so many products of queue on packets are marked; 0: never */
};

static void fix_law(struct net *n, uint32_t flow, enum law law)
{
    struct conn *c = table_get(n->t[0], n->flow[flow].side[0].ref);
    if (!c || law == AUTO)
        return;
    c->choice.fixed = law != BBR_FIRST;
    if (law != CUBIC)
        conn_law(n->t[0], c, &cc_bbr, true);
}

static void shape(struct net *n, const struct cell *p)
{
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
        l->mark_at = (uint64_t)((double)l->rate * p->rtt / 1000 * p->mark);
    }
}

static void setup(struct net *n, const struct cell *p, uint64_t seed, uint64_t up, uint64_t down)
{
    struct tcpip_config c;
    tcpip_config_default(&c);
    net_init(n, seed, &c, p->flows);
    n->bulk = true;
    shape(n, p);
    for (uint32_t i = 0; i < p->flows; i++)
        net_connect(n, i, up, down);
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
    setup(&n, p, seed, 1ull << 40, 0);
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
    if (wrong || !good)
        printf("      replay: build/tests/sim/tcp_goodput -v '%s'\n", p->name);
    return good && !wrong;
}

/* ---- what a path remembers ---- */

static const char *law_name(struct net *n, uint32_t flow)
{
    struct conn *c = table_get(n->t[0], n->flow[flow].side[0].ref);
    return c ? c->cc.law->name : "none";
}

/* The second connection to a lossy remote begins with BBR, one after minutes with CUBIC again. */
static bool memory_judge(void)
{
    static const struct cell path = {.rtt = 20, .mbit = 50, .queue = 1, .loss = 5, .flows = 3};
    static const char *const want[] = {"bbr", "bbr", "cubic"};
    static const uint64_t wait[] = {0, 0, 400000000};
    bool good = true;
    struct net n;
    net_init(&n, 1, NULL, path.flows);
    shape(&n, &path);
    tcpip_set_path(n.t[0], NET_ADDR_1, 0, 1400);
    for (uint32_t i = 0; i < path.flows; i++) {
        for (uint64_t until = n.now + wait[i]; net_step(&n, until);)
            ;
        net_connect(&n, i, i ? 100000 : 4 << 20, 0);
        uint64_t until = n.now + 60000000;
        while (!n.flow[i].side[0].connected && net_step(&n, until))
            ;
        const char *law = law_name(&n, i);
        for (; !n.flow[i].side[0].closed && net_step(&n, until); )
            law = !i && strcmp(law_name(&n, i), "none") != 0 ? law_name(&n, i) : law;
        if (strcmp(law, want[i]) != 0) {
            printf("FAIL  sim tcp_goodput: connection %u to a lossy remote: %s, want %s\n", i, law, want[i]);
            good = false;
        }
    }
    net_free(&n);
    return good;
}

/* ---- whole transfers ---- */

struct errand {
    const char *name;
    struct cell path;
    uint64_t up, down; /* bytes */
    unsigned seeds;
    double mean_ms, worst_ms;
};

static const struct errand errands[] = {
    {"1 KB each way, 10 % lost, 20 ms", {.rtt = 20, .loss = 10, .flows = 1}, 1000, 1000, 200, 600, 8000},
    {"2 MB, 20 % lost each way, 2 ms", {.rtt = 2, .loss = 20, .reorder = 10, .duplicate = 5, .flows = 1}, 2 << 20, 0, 60, 2000, 8000},
    {"2 MB, 20 % lost each way, 30 ms", {.rtt = 30, .loss = 20, .reorder = 10, .duplicate = 5, .flows = 1}, 2 << 20, 0, 60, 4000, 12000},
};

static double errand_run(const struct errand *e, uint64_t seed)
{
    struct net n;
    setup(&n, &e->path, seed, e->up, e->down);
    net_run(&n, n.flow[0].start + 120000000);
    double ms = net_all_well(&n) ? (double)(n.now - n.flow[0].start) / 1000 : -1;
    net_free(&n);
    return ms;
}

static bool errand_judge(const struct errand *e, bool verbose)
{
    double sum = 0, worst = 0;
    uint64_t worst_seed = 0;
    for (uint64_t seed = 1; seed <= e->seeds; seed++) {
        double ms = errand_run(e, seed);
        if (ms < 0) {
            printf("FAIL  sim tcp_goodput: %s, seed %" PRIu64 ": not over in 2 minutes\n", e->name, seed);
            return false;
        }
        sum += ms;
        worst_seed = ms > worst ? seed : worst_seed;
        worst = ms > worst ? ms : worst;
    }
    bool good = sum / e->seeds <= e->mean_ms && worst <= e->worst_ms;
    if (verbose || !good)
        printf("%s%-44s mean %.0f ms, worst %.0f ms (seed %" PRIu64 ")\n", good ? "" : "FAIL  sim tcp_goodput: ", e->name,
            sum / e->seeds, worst, worst_seed);
    return good;
}

/* Every other cell in a process of its own. */
static bool judge_shared(size_t n)
{
    bool good = true;
    fflush(stdout);
    pid_t pid = fork();
    for (size_t i = pid == 0; i < n; i += 2)
        good &= judge(&cells[i], false);
    if (pid == 0) {
        fflush(stdout);
        _exit(!good);
    }
    int status = 0;
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 && good;
}

int main(int argc, char **argv)
{
    bool verbose = argc > 1 && strcmp(argv[1], "-v") == 0, good = true;
    size_t n = sizeof(cells) / sizeof(cells[0]);
    if (argc == 1)
        good = judge_shared(n);
    for (size_t i = 0; i < n && argc > 1; i++) {
        if (argc > 2 && !strstr(cells[i].name, argv[2]))
            continue;
        good &= judge(&cells[i], verbose);
    }
    for (size_t i = 0; i < sizeof(errands) / sizeof(errands[0]); i++) {
        if (argc <= 2 || strstr(errands[i].name, argv[2]))
            good &= errand_judge(&errands[i], verbose);
    }
    good &= memory_judge();
    if (good)
        printf("ok    sim tcp_goodput: %zu paths, %d seeds each\n", n, SEEDS);
    return !good;
}
