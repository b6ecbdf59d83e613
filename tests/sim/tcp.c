/* Two engines over bad networks, in virtual time: every byte right, stalls bounded, memory given back.
 *
 *   tcp                  all of it
 *   tcp random SEED      one random world, with what became of it; tcp random FROM TO: many
 *   tcp ends SEED        one in which programs and paths break off
 *   tcp paths, tcp many, tcp memory   goodput over given paths; a thousand connections; little memory for as many
 *   tcp long             more than 8 GB: positions that do not fit into 32 bits, nor what is derived from them
 */
#include "daemon/tcpip/engine.h"
#include "tests/sim/tcp_net.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SEEDS = 10000, ENDS = 1000, WORKERS = 2 };

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
    l->mark = net_below(n, 3) ? 0 : net_below(n, 100000);
    l->drops_ect = !net_below(n, 16);
    if (!net_below(n, 4)) {
        l->burst = net_below(n, 10000);
        l->burst_len = 1 + net_below(n, 200000);
    }
}

static void random_world(struct net *n, uint64_t seed)
{
    struct tcpip_config c;
    struct net r = {.rng = seed ^ 0x5eed};
    tcpip_config_default(&c);
    if (!net_below(&r, 3))
        c.recv_max = 4096 + net_below(&r, 200000);
    if (!net_below(&r, 3))
        c.send_max = 4096 + net_below(&r, 200000);
    if (!net_below(&r, 4))
        c.mtu = (uint16_t)(576 + net_below(&r, 9000));
    uint32_t flows = net_below(&r, 4) ? 1 : 1 + net_below(&r, 4);
    net_init(n, seed, &c, flows);
    n->mix6 = true;
    random_link(n, &n->link[0]);
    random_link(n, &n->link[1]);
    if (!net_below(&r, 4)) {
        tcpip_set_path(n->t[0], NET_ADDR_1, 3000 + net_below(&r, 100000), 0);
        tcpip_set_path(n->t[1], NET_ADDR_0, 3000 + net_below(&r, 100000), 0);
    }
    for (int h = 0; h < 2 && !net_below(&r, 3); h++) { /* streams that wrap, signed or unsigned */
        n->t[h]->isn_fixed = true;
        n->t[h]->isn = (net_below(&r, 2) ? UINT32_MAX : INT32_MAX) - net_below(&r, 100000);
    }
    for (int h = 0; h < 2 && !net_below(&r, 4); h++) /* less than a configuration may say */
        n->t[h]->cfg.memory_max = n->t[h]->memory + 80000 + net_below(&r, 200000);
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

/* Things that befall a network while connections are open. */
static void mishap(struct net *n, struct net *r)
{
    int h = (int)net_below(r, 2);
    switch (net_below(r, 5)) {
    case 0:
        n->link[h].down_until = n->now + net_below(r, 3000000);
        break;
    case 1:
        tcpip_set_path(n->t[h], h ? NET_ADDR_0 : NET_ADDR_1, net_below(r, 2) ? 0 : 2000 + net_below(r, 200000),
            (uint16_t)(576 + net_below(r, n->link[h].mtu ? n->link[h].mtu - 575 : 1000)));
        break;
    case 2:
        n->link[h].delay = 10 + net_below(r, 100000);
        break;
    case 3:
        n->link[h].loss = net_below(r, 100000);
        break;
    case 4: /* the path has become narrower, and for a while nobody knows */
        n->link[h].mtu = 576 + net_below(r, 800);
        net_run(n, n->now + net_below(r, 2000000));
        tcpip_set_path(n->t[h], h ? NET_ADDR_0 : NET_ADDR_1, 0, (uint16_t)n->link[h].mtu);
        break;
    }
}

/* What a stall may last: generous, but a connection that only a time-out of many doublings revives is a failure. */
static uint64_t stall_bound(const struct net *n)
{
    uint64_t bound = 0;
    for (int h = 0; h < 2; h++) {
        const struct net_link *l = &n->link[h];
        if (l->loss > 50000 || l->burst || l->mtu || l->drops_ect || l->corrupt > 10000 || (l->rate && l->rate < 1000000) || l->down_until)
            return UINT64_MAX;
        bound += 2 * (l->delay + l->jitter + l->reorder_by + (l->rate ? l->queue * 1000000 / l->rate : 0));
    }
    return 4000000 + 2 * bound;
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
    struct net fate = {.rng = seed ^ 0xfa7e};
    for (uint32_t i = net_below(&fate, 2) * net_below(&fate, 10); i > 0; i--) {
        net_run(&n, n.now + net_below(&fate, 3000000));
        mishap(&n, &fate);
    }
    bool over = net_run(&n, n.now + 3600ull * 1000000);
    if (n.worst_stall > stall_bound(&n) && !n.error)
        n.error = "it stalled for too long";
    bool good = net_all_well(&n) && over;
    for (int h = 0; h < 2; h++)
        tcpip_set_path(n.t[h], h ? NET_ADDR_0 : NET_ADDR_1, 0, 0);
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

/* ---- goodput ---- */

struct path_case {
    const char *name;
    uint64_t rtt, mbit; /* ms; 0: unlimited */
    uint64_t queue_bdp; /* in hundredths */
    uint32_t loss, reorder, duplicate;
    uint32_t seconds;
    double least; /* Mbit/s */
};

static double goodput(const struct path_case *p, uint64_t seed, bool verbose)
{
    struct net n;
    struct tcpip_config c;
    tcpip_config_default(&c);
    net_init(&n, seed, &c, 1);
    n.bulk = true;
    for (int i = 0; i < 2; i++) {
        struct net_link *l = &n.link[i];
        l->delay = p->rtt * 500;
        l->rate = p->mbit * 125000;
        l->queue = l->rate / 1000 * p->rtt * p->queue_bdp / 100;
        l->loss = p->loss;
        l->reorder = p->reorder;
        l->reorder_by = p->rtt * 250;
        l->duplicate = p->duplicate;
    }
    net_connect(&n, 0, 1ull << 40, 0);
    uint64_t begin = n.now;
    net_run(&n, begin + p->seconds * 1000000ull);
    uint64_t got = n.flow[0].side[1].got;
    double mbit = (double)got * 8 / p->seconds / 1e6;
    struct tcpip_stats s;
    tcpip_stats(n.t[0], &s);
    if (verbose)
        printf("%-44s %8.2f Mbit/s  retransmits=%" PRIu64 " recoveries=%" PRIu64 " timeouts=%" PRIu64
               " lost=%" PRIu64 " overflowed=%" PRIu64 " stall=%.3f%s\n",
            p->name, mbit, s.retransmits, s.fast_retransmits, s.timeouts, n.link[0].lost, n.link[0].overflowed,
            (double)n.worst_stall / 1e6, n.error ? n.error : "");
    if (n.error)
        mbit = 0;
    net_free(&n);
    return mbit;
}

static const struct path_case paths[] = {
    {"20 ms, unlimited", 20, 0, 100, 0, 0, 0, 3, 1000},
    {"50 ms, 100 Mbit/s, queue 1 BDP", 50, 100, 100, 0, 0, 0, 10, 85},
    {"50 ms, 100 Mbit/s, queue 0.25 BDP", 50, 100, 25, 0, 0, 0, 10, 75},
    {"50 ms, 100 Mbit/s, 0.1 % loss", 50, 100, 100, 1000, 0, 0, 20, 14},
    {"50 ms, 100 Mbit/s, 1 % loss", 50, 100, 100, 10000, 0, 0, 20, 2.4},
    {"100 ms, 20 Mbit/s, 0.5 % loss", 100, 20, 100, 5000, 0, 0, 20, 1.8},
    {"20 ms, 50 Mbit/s, 25 % reordered", 20, 50, 100, 0, 250000, 0, 10, 20},
    {"20 ms, unlimited, 25 % reordered", 20, 0, 100, 0, 250000, 0, 2, 300},
    {"20 ms, 50 Mbit/s, loss 10, reorder 25, dup 10 %", 20, 50, 100, 100000, 250000, 100000, 20, 0.3},
};

static bool run_paths(bool verbose)
{
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        double sum = 0;
        for (uint64_t seed = 1; seed <= 3; seed++)
            sum += goodput(&paths[i], seed, verbose);
        if (sum / 3 < paths[i].least) {
            printf("FAIL  sim tcp: %s: %.2f Mbit/s, want %.2f\n      replay: build/tests/sim/tcp paths\n", paths[i].name,
                sum / 3, paths[i].least);
            if (!verbose)
                return false;
        }
    }
    return true;
}

/* ---- many at once ---- */

static bool many_fail(struct net *n, const char *what)
{
    printf("FAIL  sim tcp: many: %s%s%s\n      replay: build/tests/sim/tcp many\n", what, n->error ? ": " : "",
        n->error ? n->error : "");
    net_free(n);
    return false;
}

/* A thousand connections share a path; each ends, and none is starved. */
static bool run_many(void)
{
    enum { MANY = 1000, EACH = 200000 };
    struct net n;
    struct tcpip_stats base[2], s;
    uint64_t first = UINT64_MAX, last = 0;
    net_init(&n, 7, NULL, MANY);
    for (int h = 0; h < 2; h++) {
        n.link[h] = (struct net_link){.delay = 5000, .rate = 125000000, .queue = 2000000};
        tcpip_stats(n.t[h], &base[h]);
        tcpip_set_path(n.t[h], h ? NET_ADDR_0 : NET_ADDR_1, 2000000, 0);
    }
    uint64_t begin = n.now;
    for (uint32_t i = 0; i < MANY; i++)
        net_connect(&n, i, EACH, 1000);
    if (!net_run(&n, begin + 60000000) || !net_all_well(&n))
        return many_fail(&n, "not all of them ended well");
    for (uint32_t i = 0; i < MANY; i++) {
        uint64_t at = n.flow[i].side[1].last_got - begin;
        first = at < first ? at : first;
        last = at > last ? at : last;
    }
    /* 200 MB over 1 Gbit/s take 1.7 s; shared fairly, nobody is done long before the others */
    if (last > 4000000 || first < 200000)
        return many_fail(&n, "unfair or slow");
    for (uint64_t end = n.now + 100000000; net_step(&n, end);)
        ;
    for (int h = 0; h < 2; h++) {
        tcpip_set_path(n.t[h], h ? NET_ADDR_0 : NET_ADDR_1, 0, 0);
        tcpip_stats(n.t[h], &s);
        if (s.conns || s.time_wait || s.memory > base[h].memory)
            return many_fail(&n, "something was left over");
    }
    net_free(&n);
    return true;
}

/* ---- long ---- */

static bool run_long(void)
{
    const uint64_t total = (9ull << 30) + 12345;
    struct tcpip_config c;
    struct net n;
    tcpip_config_default(&c);
    c.mtu = 65000;
    net_init(&n, 5, &c, 1);
    n.bulk = true;
    for (int h = 0; h < 2; h++) {
        n.link[h] = (struct net_link){.delay = 1000, .rate = 2000000000, .queue = 4000000, .loss = 20};
        n.t[h]->isn_fixed = true;
        n.t[h]->isn = INT32_MAX - 1000000;
    }
    n.flow[0].side[0].chunk = 1 << 20;
    net_connect(&n, 0, total, 1000);
    bool good = net_run(&n, n.now + 60000000) && net_all_well(&n) && n.flow[0].side[1].got == total;
    if (!good)
        printf("FAIL  sim tcp: long: %" PRIu64 " of %" PRIu64 " bytes%s%s\n      replay: build/tests/sim/tcp long\n",
            n.flow[0].side[1].got, total, n.error ? ": " : "", n.error ? n.error : "");
    net_free(&n);
    return good;
}

/* ---- memory ---- */

static bool memory_fail(struct net *n, const char *what, uint64_t figure)
{
    printf("FAIL  sim tcp: memory: %s: %" PRIu64 "%s%s\n      replay: build/tests/sim/tcp memory\n", what, figure,
        n->error ? ": " : "", n->error ? n->error : "");
    net_free(n);
    return false;
}

/* A thousand programs do not read what is sent to them, all under one small cap. It holds on both sides; one more connection finds its
 * share and is quick; and when the thousand read at last, everything arrives and all memory comes back. */
static bool run_memory(void)
{
    enum { SLOW = 1000, EACH = 200000, QUICK = 5000000, CAP = 64 << 20 };
    struct net n;
    struct tcpip_config c;
    struct tcpip_stats base[2], s;
    tcpip_config_default(&c);
    c.memory_max = CAP;
    net_init(&n, 11, &c, SLOW + 1);
    for (int h = 0; h < 2; h++) {
        n.link[h] = (struct net_link){.delay = 5000, .rate = 125000000, .queue = 2000000};
        tcpip_stats(n.t[h], &base[h]);
    }
    for (uint32_t i = 0; i < SLOW; i++) {
        n.flow[i].side[1].asleep = true;
        net_connect(&n, i, EACH, 0);
    }
    net_run(&n, n.now + 20000000);
    net_connect(&n, SLOW, QUICK, 0);
    for (uint64_t begin = n.now; !n.flow[SLOW].side[0].closed;) {
        net_step(&n, begin + 60000000);
        for (int h = 0; h < 2; h++) {
            tcpip_stats(n.t[h], &s);
            if (s.memory > CAP)
                return memory_fail(&n, "beyond the cap", s.memory);
        }
        if (n.error || n.now >= begin + 20000000) /* 2 Mbit/s at least */
            return memory_fail(&n, "the quick one is slow", n.flow[SLOW].side[1].got);
    }
    uint64_t before = n.now;
    for (uint32_t i = 0; i < SLOW; i++)
        net_wake(&n, i, 1);
    if (!net_run(&n, before + 30000000) || !net_all_well(&n))
        return memory_fail(&n, "not all of them ended well in 30 s", n.now - before);
    for (uint64_t end = n.now + 100000000; net_step(&n, end);)
        ;
    for (int h = 0; h < 2; h++) {
        tcpip_stats(n.t[h], &s);
        if (s.conns || s.memory > base[h].memory)
            return memory_fail(&n, "not given back", s.memory);
    }
    net_free(&n);
    return true;
}

/* ---- ends that are not orderly ---- */

static bool run_ends(uint64_t seed)
{
    struct net n;
    struct tcpip_stats base[2], s;
    bool good = true;
    net_init(&n, seed, NULL, 3);
    n.mix6 = true;
    for (int h = 0; h < 2; h++) {
        tcpip_stats(n.t[h], &base[h]);
        n.link[h].loss = net_below(&n, 3) * 30000;
        n.link[h].delay = 100 + net_below(&n, 30000);
    }
    n.refuse = net_below(&n, 4) == 0;
    for (uint32_t i = 0; i < 3; i++)
        net_connect(&n, i, net_below(&n, 2000000), net_below(&n, 2000000));
    net_run(&n, n.now + net_below(&n, 400000));
    for (uint32_t i = 0; i < 3; i++) {
        struct net_side *x = &n.flow[i].side[net_below(&n, 2)];
        int h = x == &n.flow[i].side[1];
        if (!x->open)
            continue;
        (net_below(&n, 2) ? tcp_close : tcp_abort)(n.t[h], (mono_t){n.now}, x->ref);
        x->open = false;
        x->closed = true;
        if (net_below(&n, 3) == 0)
            n.link[h].down_until = n.now + net_below(&n, 100000000);
    }
    /* the other side learns of it by FIN or RST as soon as it sends, or closes by itself; what is left, fails at last */
    net_run(&n, n.now + 30000000);
    for (int h = 0; h < 2; h++)
        tcpip_fail_remote(n.t[h], (mono_t){n.now}, h ? NET_ADDR_0 : NET_ADDR_1, 113, net_below(&n, 2));
    net_run(&n, n.now + 1200ull * 1000000);
    for (uint32_t i = 0; i < 3; i++) {
        for (int h = 0; h < 2; h++) {
            struct net_side *x = &n.flow[i].side[h];
            if (x->open)
                tcp_abort(n.t[h], (mono_t){n.now}, x->ref);
            x->open = false;
            x->closed = true;
        }
    }
    for (uint64_t end = n.now + 1000ull * 1000000; net_step(&n, end);)
        ;
    for (int h = 0; h < 2; h++) {
        tcpip_stats(n.t[h], &s);
        good = good && !n.error && !s.conns && !s.time_wait && s.memory == base[h].memory;
    }
    if (!good)
        printf("FAIL  sim tcp: %s\n      replay: build/tests/sim/tcp ends %" PRIu64 "\n",
            n.error ? n.error : "something was left over", seed);
    net_free(&n);
    return good;
}

static bool run_seeds(bool (*world)(uint64_t), uint64_t from, uint64_t to)
{
    for (uint64_t seed = from; seed <= to; seed++) {
        if (!world(seed))
            return false;
    }
    return true;
}

/* Half of the seeds in a process of their own, and so on: each world is alone anyway. */
static bool run_shared(bool (*world)(uint64_t), uint64_t n)
{
    bool good = true;
    fflush(stdout);
    for (uint64_t w = 0; w < WORKERS; w++) {
        pid_t pid = fork();
        if (pid < 0)
            return run_seeds(world, 1, n);
        if (pid == 0) {
            bool fine = run_seeds(world, 1 + w * n / WORKERS, (w + 1) * n / WORKERS);
            fflush(stdout);
            _exit(!fine);
        }
    }
    for (int w = 0, status; w < WORKERS; w++)
        good &= wait(&status) > 0 && status == 0;
    return good;
}

static bool run_quietly(uint64_t seed)
{
    return run_random(seed, false);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    uint64_t from = argc > 2 ? strtoull(argv[2], NULL, 0) : 0, to = argc > 3 ? strtoull(argv[3], NULL, 0) : from;
    if (strcmp(what, "random") == 0)
        return argc > 3 ? !run_seeds(run_quietly, from, to) : !run_random(from, true);
    if (strcmp(what, "ends") == 0)
        return !run_seeds(run_ends, from, to);
    if (strcmp(what, "paths") == 0)
        return !run_paths(true);
    if (strcmp(what, "many") == 0)
        return !run_many();
    if (strcmp(what, "long") == 0)
        return !run_long();
    if (strcmp(what, "memory") == 0)
        return !run_memory();
    if (!run_paths(false) || !run_many() || !run_memory() || !run_long() || !run_shared(run_ends, ENDS) || !run_shared(run_quietly, SEEDS))
        return 1;
    printf("ok    sim tcp: %d random worlds, %d broken off, %d connections at once, goodput on %zu paths\n", SEEDS, ENDS, 1000,
        sizeof(paths) / sizeof(paths[0]));
    return 0;
}
