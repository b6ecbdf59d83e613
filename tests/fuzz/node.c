/* A node, some hosts with triggers made by real proofs, and a sequence of steps drawn from the input: time
 * passes, hosts insert, refresh and remove properly, and datagrams come which are damaged copies of good
 * ones, stacks of ids known to the node, or anything at all.
 *
 * After each step: answers go to the sender and are together no longer than what it sent; what is forwarded
 * lies in the input or in the arena and goes to a host that holds a trigger; the number of triggers is that
 * of a model at most.
 */
#include <stdlib.h>

#include "tests/lib/node_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HOSTS = 5, IDS = 4, STEPS_MAX = 200, FANOUT = 8, TRIGGERS_MAX = 12 };

struct world {
    struct node *node;
    struct outbox out;
    mono_t now;
    struct host host[HOSTS];
    struct held held[HOSTS][IDS];
    uint8_t last[2048]; /* the last good packet */
    size_t last_len;
    struct reader in;
};

static void require(bool ok)
{
    if (!ok)
        abort();
}

static struct world *world;

/* Keys cost scalar multiplications: once for all runs. */
static struct world *world_get(void)
{
    if (world)
        return world;
    world = calloc(1, sizeof(*world));
    for (unsigned i = 0; i < HOSTS; i++) {
        struct host *h = &world->host[i];
        host_init(h, NULL, &world->out, i / 2); /* every two share a key, and so an id: multicast */
        h->addr.port = (uint16_t)(1000 + i);
        for (unsigned k = 0; k < IDS; k++) {
            static const uint64_t suffix[IDS] = {0, 1ull << 63, 1ull << 62, 0};
            static const unsigned plen[IDS] = {256, 128, 130, 160};
            held_id(&world->held[i][k], h, suffix[k], plen[k]);
        }
    }
    return world;
}

static void world_start(struct world *w)
{
    struct node_config c;
    node_config_default(&c);
    c.triggers_max = TRIGGERS_MAX;
    c.fanout_max = FANOUT;
    c.proofs_per_s = 100;
    c.errors_per_s = 100;
    w->now = (mono_t){1000};
    w->node = node_new(&c, w->now);
    for (unsigned i = 0; i < HOSTS; i++)
        w->host[i].node = w->node;
    outbox_clear(&w->out);
    w->last_len = 0;
}

static bool is_host(const struct world *w, const struct addr *a)
{
    for (unsigned i = 0; i < HOSTS; i++)
        if (addr_eq(a, &w->host[i].addr))
            return true;
    return false;
}

static bool lies_in(const uint8_t *p, size_t len, const uint8_t *room, size_t n)
{
    return p >= room && p + len <= room + n;
}

/* What came of one datagram of `len` bytes from h. */
static void check(const struct world *w, const struct host *h, size_t len)
{
    size_t answered = 0;
    unsigned forwarded = 0;
    require(w->out.n <= OUTBOX_HEADROOM && w->out.used <= OUTBOX_ARENA);
    for (unsigned i = 0; i < w->out.n; i++) {
        const struct dgram *d = &w->out.v[i];
        unsigned kind = wire_kind(d->data, d->len);
        require(d->len && (lies_in(d->data, d->len, h->buf, sizeof(h->buf)) ||
                              lies_in(d->data, d->len, w->out.arena, w->out.used)));
        if (kind == WIRE_DATA) {
            struct wire_data v;
            forwarded++;
            require(data_decode(d->data, d->len, &v) == 0 && is_host(w, &d->to));
        } else {
            require(addr_eq(&d->to, &h->addr));
            answered += d->len;
        }
    }
    require(answered <= len && forwarded <= FANOUT);
    struct node_stats s;
    node_stats(w->node, &s);
    require(s.triggers <= HOSTS * IDS && s.triggers <= TRIGGERS_MAX);
    mono_t next = node_deadline(w->node);
    require((next.us == UINT64_MAX) == (s.triggers == 0) &&
            (next.us == UINT64_MAX || next.us <= w->now.us + 30 * USEC_PER_SEC));
}

static void keep_last(struct world *w, const void *p, size_t len)
{
    memcpy(w->last, p, len);
    w->last_len = len;
}

/* The address targets, or ids of others: with cycles, and with the same again. */
static unsigned draw_stack(struct world *w, struct i3_id ids[STACK_MAX])
{
    unsigned n = get_u8(&w->in) % 8;
    for (unsigned i = 0; i < n; i++) {
        uint8_t which = get_u8(&w->in);
        ids[i] = w->held[which % HOSTS][which / HOSTS % IDS].id;
        ids[i].b[31] ^= which >> 6;
    }
    return n;
}

static void step_insert(struct world *w, struct host *h, struct held *t)
{
    struct i3_id ids[STACK_MAX];
    struct wire_challenge c;
    unsigned n = draw_stack(w, ids);
    t->seq = get_u16(&w->in);
    if (host_ask(h, w->now, t, ids, n, &c)) {
        require(n > 4);
        return;
    }
    check(w, h, n < 2 ? INSERT_MIN_LEN : INSERT_FIXED_LEN + n * ID_LEN);
    host_prove(h, t, ids, n, &c);
    host_send(h, w->now, t->prove, t->prove_len);
    check(w, h, t->prove_len);
    int life = host_acked(h, t);
    struct node_stats s;
    node_stats(w->node, &s);
    require(life == 30 || host_refused(h) || s.rate_limited);
    keep_last(w, t->prove, t->prove_len);
}

static void step_refresh(struct world *w, struct host *h, struct held *t)
{
    uint8_t p[REFRESH_LEN];
    t->seq += get_u8(&w->in) & 3;
    held_refresh(t, get_u8(&w->in) % 4 == 3 ? REFRESH_REMOVE : 0, t->seq, p);
    host_send(h, w->now, p, sizeof(p));
    check(w, h, sizeof(p));
    keep_last(w, p, sizeof(p));
}

/* Several hold, some do not. */
static void step_batch(struct world *w, struct host *h, struct held *t)
{
    uint8_t p[2048], one[REFRESH_LEN];
    struct writer b = batch_begin(p, sizeof(p));
    for (unsigned n = get_u8(&w->in) % (BATCH_MAX + 1); n; n--) {
        uint8_t how = get_u8(&w->in);
        t->seq += how & 3;
        held_refresh(t, how & 4 ? REFRESH_REMOVE : 0, t->seq, one);
        one[REFRESH_LEN - 1] ^= how >> 7;
        batch_add(&b, one, sizeof(one));
    }
    host_send(h, w->now, p, writer_len(&b));
    check(w, h, writer_len(&b));
    keep_last(w, p, writer_len(&b));
}

static void step_data(struct world *w, struct host *h)
{
    struct i3_id ids[STACK_MAX];
    unsigned n = draw_stack(w, ids), hops = get_u8(&w->in);
    uint8_t payload[32] = {1, 2, 3}, p[1024];
    size_t len = data_packet(p, sizeof(p), hops, ids, n, payload, hops % 33);
    host_send(h, w->now, p, len);
    check(w, h, len);
    keep_last(w, p, len);
}

/* The last good packet with some bytes changed, cut or lengthened, from any host. */
static void step_damaged(struct world *w, struct host *h)
{
    uint8_t p[2048 + 64] = {0};
    memcpy(p, w->last, w->last_len);
    size_t len = w->last_len;
    for (unsigned k = get_u8(&w->in) % 4; len && k; k--)
        p[get_u16(&w->in) % len] ^= get_u8(&w->in);
    uint8_t cut = get_u8(&w->in);
    len = cut < 40 ? len + cut : cut < 80 && len > cut ? len - cut : len;
    host_send(h, w->now, p, len);
    check(w, h, len);
}

static void step_bytes(struct world *w, struct host *h)
{
    uint8_t p[256];
    size_t len = get_u8(&w->in);
    get_bytes(&w->in, p, len);
    host_send(h, w->now, p, len);
    check(w, h, len);
}

static void step(struct world *w)
{
    uint8_t what = get_u8(&w->in), who = get_u8(&w->in);
    struct host *h = &w->host[who % HOSTS];
    struct held *t = &w->held[who % HOSTS][who / HOSTS % IDS];
    switch (what % 9) {
    case 0:
        w->now = mono_add(w->now, get_u32(&w->in) % (40 * USEC_PER_SEC));
        break;
    case 1:
        step_insert(w, h, t);
        break;
    case 2:
        step_refresh(w, h, t);
        break;
    case 3:
    case 4:
        step_data(w, h);
        break;
    case 5:
        node_expire(w->node, w->now);
        break;
    case 6:
        step_damaged(w, h);
        break;
    case 7:
        step_bytes(w, h);
        break;
    case 8:
        step_batch(w, h, t);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world *w = world_get();
    world_start(w);
    w->in = reader_of(data, size);
    for (unsigned i = 0; i < STEPS_MAX && reader_ok(&w->in) && reader_left(&w->in); i++)
        step(w);
    node_expire(w->node, mono_add(w->now, 31 * USEC_PER_SEC));
    struct node_stats s;
    node_stats(w->node, &s);
    require(s.triggers == 0);
    node_free(w->node);
    return 0;
}
