/* The nodes' ring in virtual time: the code of daemon/node/ring.h, a network between the nodes, and an oracle that knows them all.
 *
 * As a test: a few hundred nodes. As a measurement (bench/ring): `ring nodes [median life in seconds]` prints hops, look-ups that
 * found the true owner, and how long the ring took to heal.
 */
#include <check.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/node/ring_walk.h"
#include "tests/lib/suite.h"

#define MS  USEC_PER_MSEC
#define SEC USEC_PER_SEC

struct member {
    struct ring *ring; /* NULL: down */
    struct addr addr;
    uint8_t key[KEY_LEN];
    ring_pos pos;
    mono_t timer; /* the earliest event for it in the queue */
    mono_t dies;
    unsigned side; /* of a broken network */
};

struct event {
    mono_t at;
    uint64_t order;
    uint32_t to, from;
    uint32_t len; /* 0: a timer */
    uint8_t *p;
};

struct look_up {
    ring_pos target;
    bool open;
};

static struct {
    mono_t now;
    struct drbg drbg;
    struct member *v;
    unsigned n, up;
    struct event *heap;
    size_t events, room;
    uint64_t order, packets;
    struct outbox out;
    unsigned loss; /* per 1000 */
    bool broken;   /* sides do not hear each other */
    struct look_up look_up[65536];
    uint64_t asked, right, wrong, lost, hops;
    ring_pos *sorted; /* of those that are up */
    uint32_t *sorted_index;
    bool stale;
} w;

/* ---- the queue ---- */

static bool before(const struct event *a, const struct event *b)
{
    return a->at.us != b->at.us ? a->at.us < b->at.us : a->order < b->order;
}

static void queue(struct event e)
{
    if (w.events == w.room) {
        w.room = w.room ? 2 * w.room : 4096;
        w.heap = realloc(w.heap, w.room * sizeof(*w.heap));
        if (!w.heap)
            abort();
    }
    e.order = w.order++;
    size_t i = w.events++;
    for (; i && before(&e, &w.heap[(i - 1) / 2]); i = (i - 1) / 2)
        w.heap[i] = w.heap[(i - 1) / 2];
    w.heap[i] = e;
}

static struct event unqueue(void)
{
    struct event first = w.heap[0], last = w.heap[--w.events];
    size_t i = 0;
    for (size_t k; (k = 2 * i + 1) < w.events; i = k) {
        if (k + 1 < w.events && before(&w.heap[k + 1], &w.heap[k]))
            k++;
        if (!before(&w.heap[k], &last))
            break;
        w.heap[i] = w.heap[k];
    }
    w.heap[i] = last;
    return first;
}

/* ---- nodes ---- */

static struct addr addr_of(unsigned i)
{
    return addr_v4(0x0b000000 + i, 5610);
}

static unsigned index_of(const struct addr *a)
{
    return addr_ip4(a) - 0x0b000000;
}

/* Half of a round trip between two: each lies somewhere on a plane of 100 ms. */
static uint64_t delay(unsigned a, unsigned b)
{
    double x = (double)(a * 2654435761u >> 16) - (double)(b * 2654435761u >> 16);
    double y = (double)(a * 2246822519u >> 16) - (double)(b * 2246822519u >> 16);
    return 2 * MS + (uint64_t)(sqrt(x * x + y * y) / 65536 * 50 * MS);
}

static void schedule(unsigned i)
{
    struct member *m = &w.v[i];
    mono_t at = ring_deadline(m->ring);
    if (at.us >= m->timer.us)
        return;
    m->timer = at;
    queue((struct event){.at = at, .to = i});
}

static void send_all(unsigned from)
{
    for (unsigned i = 0; i < w.out.n; i++) {
        const struct dgram *d = &w.out.v[i];
        unsigned to = index_of(&d->to);
        w.packets++;
        if (to >= w.n || drbg_u64(&w.drbg) % 1000 < w.loss || (w.broken && w.v[from].side != w.v[to].side))
            continue;
        uint8_t *p = malloc(d->len);
        memcpy(p, d->data, d->len);
        queue((struct event){.at = mono_add(w.now, delay(from, to)), .to = to, .from = from, .len = d->len, .p = p});
    }
    outbox_clear(&w.out);
}

static int by_position(const void *a, const void *b)
{
    ring_pos x = w.v[*(const uint32_t *)a].pos, y = w.v[*(const uint32_t *)b].pos;
    return x < y ? -1 : x > y;
}

static void sort(void)
{
    unsigned n = 0;
    if (!w.stale)
        return;
    for (unsigned i = 0; i < w.n; i++)
        if (w.v[i].ring)
            w.sorted_index[n++] = i;
    qsort(w.sorted_index, n, sizeof(*w.sorted_index), by_position);
    for (unsigned i = 0; i < n; i++)
        w.sorted[i] = w.v[w.sorted_index[i]].pos;
    w.up = n;
    w.stale = false;
}

/* The place in the sorted list of the first at or after pos. */
static unsigned place_of(ring_pos pos)
{
    unsigned low = 0, high = w.up;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (w.sorted[mid] < pos)
            low = mid + 1;
        else
            high = mid;
    }
    return low == w.up ? 0 : low;
}

/* The first that is up at or after the target; or, while that one is still joining, the one behind it. */
static bool is_owner(ring_pos target, ring_pos pos)
{
    sort();
    unsigned i = place_of(target);
    while (w.sorted[i] != pos && !ring_predecessor(w.v[w.sorted_index[i]].ring) && w.up > 1)
        i = (i + 1) % w.up;
    return w.sorted[i] == pos;
}

static void events_of(unsigned i)
{
    struct ring_event e;
    while (ring_poll(w.v[i].ring, &e)) {
        if (e.kind != RING_EV_FOUND && e.kind != RING_EV_LOST)
            continue;
        struct look_up *l = &w.look_up[e.token % ARRAY_LEN(w.look_up)];
        l->open = false;
        if (e.kind == RING_EV_LOST) {
            w.lost++;
            continue;
        }
        w.hops += e.hops;
        *(is_owner(l->target, e.contact.pos) ? &w.right : &w.wrong) += 1;
    }
}

static void stir(unsigned i)
{
    send_all(i);
    events_of(i);
    schedule(i);
}

static void start(unsigned i, unsigned seed)
{
    struct ring_config c;
    struct member *m = &w.v[i];
    ring_config_default(&c);
    c.neighbours_us = w.n > 2000 ? SEC : c.neighbours_us;
    memcpy(c.key, m->key, KEY_LEN);
    memset(c.secret, 7, sizeof(c.secret));
    drbg_draw(&w.drbg, c.seed, sizeof(c.seed));
    c.self = m->addr;
    if (seed != i) {
        c.seeds[0] = addr_of(seed);
        c.n_seeds = 1;
    }
    m->ring = ring_new(&c, w.now);
    m->pos = ring_self(m->ring)->pos;
    m->timer = MONO_NEVER;
    w.stale = true;
    schedule(i);
}

static void crash(unsigned i)
{
    ring_free(w.v[i].ring);
    w.v[i].ring = NULL;
    w.stale = true;
}

static unsigned somebody(void)
{
    sort();
    return w.sorted_index[drbg_u64(&w.drbg) % w.up];
}

static void world_new(unsigned n, uint8_t seed)
{
    memset(&w, 0, sizeof(w));
    drbg_init(&w.drbg, (uint8_t[32]){seed, 9});
    w.now = (mono_t){SEC};
    w.n = n;
    w.v = calloc(n, sizeof(*w.v));
    w.sorted = calloc(n, sizeof(*w.sorted));
    w.sorted_index = calloc(n, sizeof(*w.sorted_index));
    for (unsigned i = 0; i < n; i++) {
        w.v[i].addr = addr_of(i);
        w.v[i].dies = MONO_NEVER;
        drbg_draw(&w.drbg, w.v[i].key, KEY_LEN);
    }
}

static void world_free(void)
{
    while (w.events)
        free(unqueue().p);
    for (unsigned i = 0; i < w.n; i++)
        ring_free(w.v[i].ring);
    free(w.v);
    free(w.sorted);
    free(w.sorted_index);
    free(w.heap);
}

static void run_until(mono_t end)
{
    while (w.events && w.heap[0].at.us <= end.us) {
        struct event e = unqueue();
        struct member *m = &w.v[e.to];
        w.now = e.at;
        if (m->ring && e.len) {
            struct bytes payload;
            ring_input(m->ring, w.now, &w.v[e.from].addr, e.p, e.len, &payload, &w.out);
            stir(e.to);
        } else if (m->ring && m->timer.us == e.at.us) {
            m->timer = MONO_NEVER;
            ring_expire(m->ring, w.now, &w.out);
            stir(e.to);
        }
        free(e.p);
    }
    w.now = end;
}

static void run(uint64_t us)
{
    run_until(mono_add(w.now, us));
}

/* ---- what is asked of the ring ---- */

/* How many know their next neighbour and their predecessor as they are. */
static unsigned wrong_neighbours(void)
{
    unsigned wrong = 0;
    sort();
    for (unsigned i = 0; i < w.up; i++) {
        struct ring *r = w.v[w.sorted_index[i]].ring;
        const struct ring_contact *s = ring_successor(r, 0), *p = ring_predecessor(r);
        if (w.up == 1)
            wrong += s || p;
        else
            wrong += !s || s->pos != w.sorted[(i + 1) % w.up] || !p || p->pos != w.sorted[(i + w.up - 1) % w.up];
    }
    return wrong;
}

/* Entries in anybody's list that are not up. */
static unsigned zombies(void)
{
    unsigned n = 0;
    for (unsigned i = 0; i < w.n; i++) {
        for (unsigned k = 0; w.v[i].ring && k < RING_SUCCESSORS; k++) {
            const struct ring_contact *c = ring_successor(w.v[i].ring, k);
            n += c && !w.v[index_of(&c->addr)].ring;
        }
    }
    return n;
}

/* Virtual time until everybody knows its neighbours; UINT64_MAX when that takes longer than `limit`. */
static uint64_t heal(uint64_t limit)
{
    mono_t start_at = w.now;
    while (wrong_neighbours()) {
        if (mono_since(start_at, w.now) >= limit)
            return UINT64_MAX;
        run(50 * MS);
    }
    return mono_since(start_at, w.now);
}

static void look_up(void)
{
    unsigned i = somebody();
    struct look_up *l = &w.look_up[w.asked % ARRAY_LEN(w.look_up)];
    uint8_t prefix[ID_PREFIX_LEN];
    drbg_draw(&w.drbg, prefix, sizeof(prefix));
    *l = (struct look_up){ring_pos_of(prefix), true};
    if (ring_find(w.v[i].ring, w.now, l->target, w.asked, &w.out) == 0)
        w.asked++;
    stir(i);
}

static void look_ups(unsigned n, uint64_t every_us)
{
    w.asked = w.right = w.wrong = w.lost = w.hops = 0;
    while (n--) {
        look_up();
        run(every_us);
    }
    run(6 * SEC);
}

static void grow(unsigned n, uint64_t every_us)
{
    start(0, 0);
    for (unsigned i = 1; i < n; i++) {
        run(every_us);
        start(i, (unsigned)(drbg_u64(&w.drbg) % i));
    }
}

static void settled(unsigned n, uint8_t seed)
{
    world_new(n, seed);
    grow(n, 100 * MS);
    ck_assert_uint_le(heal(60 * SEC), 60 * SEC);
    run(40 * SEC); /* fingers */
}

static double mean_hops(void)
{
    return (double)w.hops / (double)(w.right + w.wrong);
}

/* ---- tests ---- */

START_TEST(nodes_that_join_one_by_one_form_a_ring)
{
    static const unsigned sizes[] = {1, 2, 3, 9, 100};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        world_new(sizes[i], (uint8_t)i);
        grow(sizes[i], 100 * MS);
        ck_assert_uint_le(heal(30 * SEC), 30 * SEC);
        world_free();
    }
}
END_TEST

START_TEST(nodes_that_join_all_at_once_form_a_ring)
{
    world_new(200, 3);
    for (unsigned i = 0; i < 200; i++)
        start(i, 0);
    ck_assert_uint_le(heal(120 * SEC), 120 * SEC);
    world_free();
}
END_TEST

START_TEST(look_ups_find_the_owner_in_few_hops)
{
    settled(256, 1);
    look_ups(1000, 5 * MS);
    ck_assert_uint_eq(w.right, 1000);
    ck_assert_msg(mean_hops() <= 0.5 * log2(256) + 1, "%.2f hops", mean_hops());
    world_free();
}
END_TEST

START_TEST(a_crash_is_healed_within_two_seconds)
{
    settled(100, 2);
    for (unsigned i = 0; i < 20; i++) {
        crash(somebody());
        uint64_t took = heal(10 * SEC);
        ck_assert_msg(took <= 2 * SEC, "crash %u: %llu ms", i, (unsigned long long)(took / MS));
        run(3 * SEC);
    }
    run(20 * SEC);
    ck_assert_uint_eq(zombies(), 0);
    look_ups(200, 5 * MS);
    ck_assert_uint_eq(w.right, 200);
    world_free();
}
END_TEST

START_TEST(a_third_of_all_may_crash_at_once)
{
    settled(150, 4);
    for (unsigned i = 0; i < 50; i++)
        crash(somebody());
    ck_assert_uint_le(heal(30 * SEC), 30 * SEC);
    run(30 * SEC);
    ck_assert_uint_eq(zombies(), 0);
    world_free();
}
END_TEST

START_TEST(who_leaves_politely_leaves_no_gap)
{
    settled(60, 5);
    for (unsigned i = 0; i < 10; i++) {
        unsigned k = somebody();
        ring_leave(w.v[k].ring, w.now, &w.out);
        send_all(k);
        crash(k);
        ck_assert_uint_le(heal(5 * SEC), 500 * MS);
        run(3 * SEC);
    }
    world_free();
}
END_TEST

START_TEST(a_ring_that_was_broken_in_two_grows_together)
{
    settled(80, 6);
    for (unsigned i = 0; i < w.n; i++)
        w.v[i].side = drbg_u64(&w.drbg) & 1;
    w.broken = true;
    run(60 * SEC);
    ck_assert_uint_gt(wrong_neighbours(), 10); /* two rings */
    w.broken = false;
    ck_assert_uint_le(heal(120 * SEC), 120 * SEC);
    world_free();
}
END_TEST

START_TEST(a_lossy_network_is_no_churn)
{
    settled(100, 7);
    w.loss = 50;
    look_ups(1000, 20 * MS);
    ck_assert_uint_ge(w.right, 998);
    world_free();
}
END_TEST

/* Lives are exponential; each who dies comes back as another. */
/* ---- an operator's walk ---- */

/* Member i's map of the ring, when it is done; the virtual time it took. */
static uint64_t walk(unsigned i, struct walk_view *view)
{
    mono_t from = w.now;
    ck_assert_int_eq(ring_walk_start(w.v[i].ring, w.now, &w.out), 0);
    stir(i);
    if (w.up > 1)
        ck_assert_int_eq(ring_walk_start(w.v[i].ring, w.now, &w.out), -EBUSY);
    for (*view = ring_walk_view(w.v[i].ring); view->running; *view = ring_walk_view(w.v[i].ring))
        run(10 * MS);
    return mono_since(from, w.now);
}

/* Each row is that of a member, in the order of the ring, and says what the oracle knows. */
static void rows_are_right(const struct walk_view *v, unsigned i)
{
    sort();
    unsigned at = place_of(w.v[i].pos);
    for (unsigned k = 0; k < v->n; k++) {
        const struct walk_node *x = &v->v[k];
        ck_assert(x->pos == w.sorted[(at + k) % w.up]);
        ck_assert_int_eq(x->state, WALK_ANSWERED);
        ck_assert(x->has_successor && x->successor == w.sorted[(at + k + 1) % w.up]);
        ck_assert(x->has_predecessor && x->predecessor == w.sorted[(at + k + w.up - 1) % w.up]);
        ck_assert(x->hops_known && (k ? x->hops > 0 && x->rtt_us > 0 : x->hops == 0));
    }
}

START_TEST(a_walk_sees_the_whole_ring)
{
    static const unsigned sizes[] = {2, 3, 200};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct walk_view v;
        settled(sizes[i], (uint8_t)(40 + i));
        uint64_t took = walk(0, &v);
        ck_assert_uint_eq(v.n, sizes[i]);
        ck_assert_msg(!v.late && !v.full, "%u nodes: %.2f s", sizes[i], (double)took / 1e6);
        rows_are_right(&v, 0);
        double hops = 0;
        for (unsigned k = 0; k < v.n; k++)
            hops += v.v[k].hops;
        ck_assert_msg(hops / v.n <= 0.5 * log2(sizes[i]) + 2, "%.2f hops", hops / v.n);
        ck_assert_uint_eq(wrong_neighbours(), 0);
        world_free();
    }
}
END_TEST

START_TEST(a_walk_of_one_is_over_at_once)
{
    struct walk_view v;
    world_new(1, 44);
    grow(1, 0);
    run(10 * SEC);
    ck_assert_uint_eq(walk(0, &v), 0);
    ck_assert_uint_eq(v.n, 1);
    world_free();
}
END_TEST

START_TEST(a_walk_names_the_silent_and_brings_nobody_back)
{
    struct walk_view v;
    settled(60, 45);
    for (unsigned i = 10; i < 20; i++)
        crash(i);
    uint64_t took = walk(0, &v);
    unsigned answered = 0, silent = 0;
    ck_assert_uint_le(took, WALK_US + SEC);
    for (unsigned k = 0; k < v.n; k++) {
        answered += v.v[k].state == WALK_ANSWERED;
        silent += v.v[k].state == WALK_SILENT;
        if (v.v[k].state == WALK_ANSWERED)
            ck_assert(index_of(&v.v[k].addr) < 10 || index_of(&v.v[k].addr) >= 20);
    }
    ck_assert_uint_eq(answered, 50);
    ck_assert_uint_ge(silent, 1);
    ck_assert_uint_le(heal(10 * SEC), 10 * SEC);
    ck_assert_uint_eq(zombies(), 0);
    walk(0, &v);
    ck_assert_uint_eq(v.n, 50);
    rows_are_right(&v, 0);
    world_free();
}
END_TEST

START_TEST(a_walk_does_with_losses)
{
    struct walk_view v;
    settled(30, 46);
    w.loss = 50;
    walk(0, &v);
    ck_assert_uint_eq(v.n, 30);
    unsigned answered = 0;
    for (unsigned k = 0; k < v.n; k++)
        answered += v.v[k].state == WALK_ANSWERED;
    ck_assert_uint_ge(answered, 29);
    world_free();
}
END_TEST

START_TEST(an_id_is_traced_to_its_owner)
{
    settled(30, 47);
    for (unsigned k = 0; k < 3 * TRACES_MAX; k++) {
        uint8_t prefix[ID_PREFIX_LEN];
        drbg_draw(&w.drbg, prefix, sizeof(prefix));
        int64_t token = ring_trace_start(w.v[5].ring, w.now, ring_pos_of(prefix), &w.out);
        ck_assert_int_gt(token, 0);
        stir(5);
        run(2 * SEC);
        const struct trace *t = ring_trace_get(w.v[5].ring, (uint64_t)token);
        ck_assert_ptr_nonnull(t);
        ck_assert_int_eq(t->state, TRACE_FOUND);
        ck_assert(is_owner(ring_pos_of(prefix), t->owner.pos));
        ck_assert_uint_le(t->hops, 10);
    }
    ck_assert_ptr_null(ring_trace_get(w.v[5].ring, 1));
    world_free();
}
END_TEST

static void churn(uint64_t median_us, uint64_t us, unsigned per_s)
{
    mono_t end = mono_add(w.now, us);
    double mean = (double)median_us / log(2);
    for (unsigned i = 0; i < w.n; i++)
        w.v[i].dies = mono_add(w.now, (uint64_t)(-log((double)(drbg_u64(&w.drbg) % 1000000 + 1) / 1000001) * mean));
    w.asked = w.right = w.wrong = w.lost = w.hops = 0;
    while (w.now.us < end.us) {
        run(SEC / per_s);
        for (unsigned i = 0; i < w.n; i++) {
            struct member *m = &w.v[i];
            if (!mono_due(m->dies, w.now))
                continue;
            if (m->ring)
                crash(i);
            drbg_draw(&w.drbg, m->key, KEY_LEN);
            start(i, somebody());
            m->dies = mono_add(w.now, (uint64_t)(-log((double)(drbg_u64(&w.drbg) % 1000000 + 1) / 1000001) * mean));
        }
        look_up();
    }
    run(6 * SEC);
}

static double success(void)
{
    return 100.0 * (double)w.right / (double)(w.right + w.wrong + w.lost);
}

START_TEST(look_ups_succeed_while_nodes_come_and_go)
{
    settled(150, 8);
    churn(300 * SEC, 200 * SEC, 20);
    ck_assert_msg(success() >= 99.9, "median life 5 min: %.2f %%, %llu wrong, %llu lost", success(), (unsigned long long)w.wrong,
        (unsigned long long)w.lost);
    churn(84 * SEC, 100 * SEC, 20);
    ck_assert_msg(success() >= 99, "median life 1.4 min: %.2f %%, %llu wrong, %llu lost", success(), (unsigned long long)w.wrong,
        (unsigned long long)w.lost);
    world_free();
}
END_TEST

/* ---- the measurement ---- */

static void measure(unsigned n, unsigned life_s)
{
    world_new(n, 42);
    grow(n, n > 1000 ? 20 * MS : 100 * MS);
    printf("nodes=%u joined by %.0f s, neighbours right %.1f s later\n", n, (double)w.now.us / SEC,
        (double)heal(600 * SEC) / SEC);
    run(60 * SEC);
    look_ups(5000, 2 * MS);
    printf("at rest: look-ups=%llu right=%.3f %% hops=%.2f (bar %.2f)\n",
        (unsigned long long)w.asked, success(), mean_hops(), 0.5 * log2(n) + 1);
    crash(somebody());
    printf("one crash: healed in %.2f s\n", (double)heal(30 * SEC) / SEC);
    if (life_s) {
        uint64_t packets = w.packets;
        mono_t from = w.now;
        churn(life_s * SEC, 300 * SEC, 20);
        printf("median life %u s: look-ups=%llu right=%.3f %% wrong=%llu lost=%llu hops=%.2f packets per node and second=%.1f\n",
            life_s, (unsigned long long)w.asked, success(), (unsigned long long)w.wrong, (unsigned long long)w.lost,
            mean_hops(), (double)(w.packets - packets) / n / ((double)mono_since(from, w.now) / SEC));
    }
    world_free();
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        measure((unsigned)atoi(argv[1]), argc > 2 ? (unsigned)atoi(argv[2]) : 0);
        return 0;
    }
    Suite *s = suite_create("sim/ring");
    TCase *t = tcase_create("ring");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, nodes_that_join_one_by_one_form_a_ring);
    tcase_add_test(t, nodes_that_join_all_at_once_form_a_ring);
    tcase_add_test(t, look_ups_find_the_owner_in_few_hops);
    tcase_add_test(t, a_crash_is_healed_within_two_seconds);
    tcase_add_test(t, a_third_of_all_may_crash_at_once);
    tcase_add_test(t, who_leaves_politely_leaves_no_gap);
    tcase_add_test(t, a_ring_that_was_broken_in_two_grows_together);
    tcase_add_test(t, a_lossy_network_is_no_churn);
    tcase_add_test(t, a_walk_sees_the_whole_ring);
    tcase_add_test(t, a_walk_of_one_is_over_at_once);
    tcase_add_test(t, a_walk_names_the_silent_and_brings_nobody_back);
    tcase_add_test(t, a_walk_does_with_losses);
    tcase_add_test(t, an_id_is_traced_to_its_owner);
    tcase_add_test(t, look_ups_succeed_while_nodes_come_and_go);
    suite_add_tcase(s, t);
    return suite_run(s);
}
