/* What a transfer from a cold start reaches, as a benchmark would measure it (iperf: the mean over the whole run, slow start
 * and the choice of the law included), held against what the kernel's TCP reached over paths of this kind.
 *
 *   tcp_bars             the cells, short ones; fails below a bar
 *   tcp_bars -v [NAME]   the same with all figures
 *   tcp_bars -l [NAME]   at length: 10 and 20 s, 10 seeds
 *
 * The bars: of the rate that payload can have at most, the share which kernel CUBIC (x 0.98) and kernel BBR (x 0.90) had, whichever is
 * more. On the path without a limit they are absolute, and what limits there is the machine: the sender's 6 Gbit/s, and the
 * receiver's socket, which holds 212,992 bytes and is emptied every quarter of a millisecond.
 */
#include "daemon/tcpip/engine.h"
#include "tests/sim/tcp_net.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OVERHEAD = 89, SOCKET = 212992, SERVICE_US = 250, SEEDS_MAX = 10 };

struct bar {
    const char *name;
    double rtt, mbit, queue; /* ms; 0: the machine's; products of rate and round trip */
    double loss;             /* percent, each way */
    unsigned ms;
    double kernel_cubic, kernel_bbr; /* Mbit/s; at the rate of 100 where there is a rate */
};

#define MACHINE_MBIT 6000.0

static const struct bar bars[] = {
    {"20 ms, unlimited, 0 %", 20, 0, 1, 0, 8000, 5016, 5784},
    {"20 ms, unlimited, 0.1 %", 20, 0, 1, 0.1, 4000, 30, 2983},
    {"20 ms, unlimited, 1 %", 20, 0, 1, 1, 6000, 5.5, 2357},
    {"50 ms, 100 Mbit/s, 0 %", 50, 100, 1, 0, 10000, 87.7, 88.2},
    {"50 ms, 100 Mbit/s, 0.1 %", 50, 100, 1, 0.1, 10000, 16.9, 88.3},
    {"50 ms, 100 Mbit/s, 1 %", 50, 100, 1, 1, 10000, 2.9, 90},
    {"100 ms, 20 Mbit/s, 0 %", 100, 20, 1, 0, 15000, 93, 90.8},
    {"100 ms, 20 Mbit/s, 0.1 %", 100, 20, 1, 0.1, 15000, 50, 90},
    {"100 ms, 20 Mbit/s, 1 %", 100, 20, 1, 1, 15000, 8.5, 88.8},
};

/* What payload can have of a rate, with MSS 1348 in packets of 1400 + OVERHEAD bytes; the kernel had 1448 of
 * 1500. */
static double payload_most(double mbit, unsigned overhead)
{
    return mbit * 1348 / (1400 + overhead);
}

static double bar_mbit(const struct bar *b)
{
    double cubic = 0.98 * b->kernel_cubic, bbr = 0.90 * b->kernel_bbr, most = cubic > bbr ? cubic : bbr;
    return b->mbit > 0 ? most / (100.0 * 1448 / 1500) * payload_most(b->mbit, OVERHEAD) : most;
}

struct result {
    double mbit;
    unsigned law_ms; /* when the law changed first; 0: not */
    uint64_t lost, overflowed, spilt, timeouts, retransmits, memory;
    const char *law, *error;
};

static void shape(struct net *n, const struct bar *b)
{
    double mbit = b->mbit > 0 ? b->mbit : MACHINE_MBIT;
    for (int i = 0; i < 2; i++) {
        struct net_link *l = &n->link[i];
        l->delay = (uint64_t)(b->rtt * 500);
        l->rate = (uint64_t)(mbit * 125000);
        l->queue = (uint64_t)((double)l->rate * b->rtt / 1000 * b->queue);
        l->loss = (uint32_t)(b->loss * 10000);
        l->overhead = OVERHEAD;
        l->socket = SOCKET;
        l->service = SERVICE_US;
        tcpip_set_path(n->t[i], i ? NET_ADDR_0 : NET_ADDR_1, SOCKET, 1400);
    }
}

static struct result run(const struct bar *b, unsigned ms, uint64_t seed)
{
    struct net n;
    struct result r = {0};
    struct tcpip_stats s;
    net_init(&n, seed, NULL, 1);
    n.bulk = true;
    shape(&n, b);
    net_connect(&n, 0, 1ull << 40, 0);
    uint64_t begin = n.now;
    for (unsigned at = 0; at < ms; at += 50) {
        net_run(&n, begin + (at + 50) * 1000ull);
        struct conn *c = table_get(n.t[0], n.flow[0].side[0].ref);
        r.law = c ? c->cc.law->name : "none";
        if (!r.law_ms && c && c->cc.law != &cc_cubic)
            r.law_ms = at + 50;
        tcpip_stats(n.t[0], &s);
        r.memory = s.memory > r.memory ? s.memory : r.memory;
    }
    r.mbit = (double)n.flow[0].side[1].got * 8 / ms / 1000;
    r.lost = n.link[0].lost;
    r.overflowed = n.link[0].overflowed;
    r.spilt = n.link[0].spilt;
    r.timeouts = s.timeouts;
    r.retransmits = s.retransmits;
    r.error = n.error;
    net_free(&n);
    return r;
}

static bool judge(const struct bar *b, unsigned ms, unsigned seeds, bool verbose)
{
    double sum = 0, least = 1e9, bar = bar_mbit(b);
    struct result all = {.law = ""};
    bool good = true;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        struct result r = run(b, ms, seed);
        sum += r.mbit / seeds;
        least = r.mbit < least ? r.mbit : least;
        all.law = r.law;
        all.law_ms = r.law_ms > all.law_ms ? r.law_ms : all.law_ms;
        all.overflowed += r.overflowed;
        all.spilt += r.spilt;
        all.timeouts += r.timeouts;
        all.lost += r.lost;
        all.memory = r.memory > all.memory ? r.memory : all.memory;
        if (r.error) {
            printf("FAIL  sim tcp_bars: %s, seed %" PRIu64 ": %s\n", b->name, seed, r.error);
            good = false;
        }
    }
    if (verbose)
        printf("%-26s %5.1f s %8.1f Mbit/s, worst %8.1f, bar %7.1f: %.2f  %s after %u ms, lost %" PRIu64 " over %" PRIu64
               " spilt %" PRIu64 " rto %" PRIu64 " memory %" PRIu64 " K\n",
            b->name, ms / 1000.0, sum, least, bar, sum / bar, all.law, all.law_ms, all.lost, all.overflowed, all.spilt,
            all.timeouts, all.memory / 1024);
    if (sum < bar) {
        printf("FAIL  sim tcp_bars: %s: %.1f Mbit/s, want %.1f\n      replay: build/tests/sim/tcp_bars -v '%s'\n", b->name, sum, bar, b->name);
        return false;
    }
    return good;
}

int main(int argc, char **argv)
{
    bool full = argc > 1 && strcmp(argv[1], "-l") == 0, verbose = full || (argc > 1 && strcmp(argv[1], "-v") == 0), good = true;
    size_t n = sizeof(bars) / sizeof(bars[0]);
    for (size_t i = 0; i < n; i++) {
        const struct bar *b = &bars[i];
        if (argc > 2 && !strstr(b->name, argv[2]))
            continue;
        unsigned seeds = full ? SEEDS_MAX : b->mbit > 0 ? 3 : 1;
        good &= judge(b, full ? 10000 : b->ms, seeds, verbose);
        if (full)
            good &= judge(b, 20000, seeds, verbose);
    }
    if (good)
        printf("ok    sim tcp_bars: %zu paths\n", n);
    return !good;
}
