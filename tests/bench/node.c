/* node.c - what a node costs, without the kernel: forwarding, insertion, refreshes, and a million triggers.
 *
 * One line each; medians of ROUNDS rounds. Quote ratios between them, or to other programs on the same
 * machine. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "daemon/node/store.h"
#include "tests/lib/node_host.h"

enum { ROUNDS = 5, MANY = 1000000 };

static const mono_t t0 = {1000 * USEC_PER_SEC};
static struct outbox out;
static struct host host;
static struct held held;
static uint8_t packet[2048], payload[1200];
static size_t packet_len;

/* Of the CPU: others may use the machine too. */
static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static long resident_kb(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * 4;
}

/* Nanoseconds per call of step(i), i = 0..n-1. */
static double measure(unsigned n, void (*step)(unsigned))
{
    double v[ROUNDS];
    for (unsigned r = 0; r < ROUNDS; r++) {
        double start = seconds();
        for (unsigned i = 0; i < n; i++)
            step(i);
        v[r] = (seconds() - start) / n * 1e9;
    }
    qsort(v, ROUNDS, sizeof(v[0]), compare);
    return v[ROUNDS / 2];
}

static void print(const char *what, double ns)
{
    printf("%-44s %10.0f ns %12.0f /s\n", what, ns, 1e9 / ns);
}

/* ---- a node with one trigger ---- */

static void feed(void *p, size_t len)
{
    if (outbox_is_tight(&out))
        outbox_clear(&out);
    node_input(host.node, t0, &host.addr, p, len, &out);
}

static void forward(unsigned i)
{
    (void)i;
    packet[2] = HOPS_DEFAULT;
    feed(packet, packet_len);
}

static void ask(unsigned i)
{
    (void)i;
    feed(packet, packet_len);
}

static void prove(unsigned i)
{
    (void)i;
    feed(held.prove, held.prove_len);
}

/* The host's MAC is part of the figure, and costs as much as each of the node's two. */
static void refresh(unsigned i)
{
    uint8_t p[REFRESH_LEN];
    (void)i;
    held_refresh(&held, 0, ++held.seq, p);
    feed(p, sizeof(p));
}

/* As many as a host puts into one datagram. */
static void refresh_batch(unsigned i)
{
    enum { TOGETHER = 19 };
    uint8_t p[1200], one[REFRESH_LEN];
    struct writer w = batch_begin(p, sizeof(p));
    (void)i;
    for (unsigned k = 0; k < TOGETHER; k++)
        batch_add(&w, one, held_refresh(&held, 0, ++held.seq, one));
    feed(p, writer_len(&w));
}

static void one_trigger(void)
{
    struct node_config c;
    node_config_default(&c);
    c.proofs_per_s = UINT32_MAX;
    c.errors_per_s = c.proofs_busy_per_s = UINT32_MAX;
    host_init(&host, node_new(&c, t0), &out, 1);
    held_id(&held, &host, 0, 256);
    if (host_insert(&host, t0, &held, NULL, 0) != 30)
        abort();
    packet_len = data_packet(packet, sizeof(packet), HOPS_DEFAULT, &held.id, 1, payload, sizeof(payload));
    print("forward 1200 bytes, one trigger", measure(2000000, forward));
    struct i3_id nobody = {{9}};
    packet_len = data_packet(packet, sizeof(packet), HOPS_DEFAULT, &nobody, 1, payload, sizeof(payload));
    print("NOT_PRESENT", measure(500000, forward));
    struct wire_insert in = held_insert(&held, NULL, 0);
    packet_len = insert_encode(packet, sizeof(packet), &in);
    print("INSERT, answered by a CHALLENGE", measure(50000, ask));
    print("PROVE, with its ACK", measure(1000, prove));
    print("REFRESH, with its ACK and the host's MAC", measure(50000, refresh));
    print("19 REFRESHes in one BATCH, the same", measure(5000, refresh_batch));
    struct node_stats s;
    node_stats(host.node, &s);
    if (s.rate_limited || s.refused || s.triggers != 1)
        abort();
    node_free(host.node);
}

/* ---- a store with many ---- */

static struct store *store;
static struct i3_id *ids;
static uint64_t rng = 1;

static uint64_t draw(void)
{
    uint64_t z = rng += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static void look_up(unsigned i)
{
    (void)i;
    if (!store_match(store, &ids[draw() % MANY]).first)
        abort();
}

static void many_triggers(const char *what, bool one_prefix)
{
    static const struct proof_key key;
    char text[80];
    struct store_config c = {
        .triggers_max = MANY, .source_max = MANY, .same_max = 64, .life_us = 30 * USEC_PER_SEC};
    c.secret[0] = draw();
    c.secret[1] = draw();
    for (unsigned i = 0; i < MANY; i++)
        for (unsigned k = 0; k < ID_LEN; k++)
            ids[i].b[k] = one_prefix && k < ID_PREFIX_LEN ? 7 : (uint8_t)draw();
    long before = resident_kb();
    store = store_new(&c);
    double start = seconds();
    for (unsigned i = 0; i < MANY; i++) {
        struct addr owner = addr_v4(i, 1);
        struct store_item item = {.id = &ids[i], .plen = 128 + i % 129, .owner = &owner, .key = &key};
        if (store_put(store, t0, &item))
            abort();
    }
    snprintf(text, sizeof(text), "store one of 1,000,000, %s", what);
    print(text, (seconds() - start) / MANY * 1e9);
    printf("%-44s %10ld kB\n", "  memory for them", resident_kb() - before);
    snprintf(text, sizeof(text), "match one of 1,000,000, %s", what);
    print(text, measure(1000000, look_up));
    start = seconds();
    store_expire(store, MONO_NEVER);
    print("  expire one", (seconds() - start) / MANY * 1e9);
    store_free(store);
}

int main(void)
{
    ids = calloc(MANY, sizeof(*ids));
    one_trigger();
    memset(ids, 1, MANY * sizeof(*ids));
    many_triggers("any prefix", false);
    many_triggers("one prefix", true);
    free(ids);
    return 0;
}
