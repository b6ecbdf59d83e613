#include "tests/sim/overlay_world.h"

struct overlay w;

static bool known(void *ctx, const uint8_t key[KEY_LEN])
{
    (void)ctx;
    (void)key;
    return true;
}

/* A host with ADDR_TCP is reached only by nodes to which it has made a connection. */
static void note_way(const struct addr *from, const struct addr *to)
{
    for (unsigned n = 0; n < w.nodes; n++) {
        for (unsigned h = 0; h < w.hosts; h++) {
            struct addr udp = addr_by(&w.host[h].addr, ADDR_UDP);
            ck_assert_msg(!w.connections || !addr_eq(to, &udp), "a datagram to host %u", h);
            if (addr_eq(from, &w.host[h].addr) && addr_eq(to, &w.node[n].addr))
                w.met[n][h] = true;
            if (addr_eq(from, &w.node[n].addr) && to->via == ADDR_TCP && addr_eq(to, &w.host[h].addr))
                ck_assert_msg(w.met[n][h], "node %u has no connection to host %u", n, h);
        }
    }
}

void send_all(const struct addr *from)
{
    for (unsigned i = 0; i < w.out.n; i++) {
        const struct dgram *d = &w.out.v[i];
        if (drbg_u64(&w.drbg) % 1000 < w.loss)
            continue;
        note_way(from, &d->to);
        ck_assert_uint_lt(w.n, FLIGHT);
        struct flight *f = &w.flight[w.n++];
        *f = (struct flight){mono_add(w.now, w.delay + drbg_u64(&w.drbg) % (w.jitter + 1)), *from, d->to,
            malloc(d->len), d->len};
        memcpy(f->p, d->data, d->len);
    }
    outbox_clear(&w.out);
}

uint64_t wall(void)
{
    return 1800000000ull * SEC + w.now.us;
}

static void join(unsigned i)
{
    struct ring_config c;
    ring_config_default(&c);
    drbg_draw(&w.drbg, c.key, sizeof(c.key));
    drbg_draw(&w.drbg, c.seed, sizeof(c.seed));
    memset(c.secret, 5, sizeof(c.secret));
    c.self = w.node[i].addr;
    for (unsigned k = 0; k < w.nodes && c.n_seeds < RING_SEEDS; k++)
        if (k != i && w.node[k].n)
            c.seeds[c.n_seeds++] = w.node[k].addr;
    ck_assert_int_eq(node_join(w.node[i].n, w.now, &c), 0);
}

void node_crash(unsigned i)
{
    node_free(w.node[i].n);
    w.node[i].n = NULL;
    memset(w.met[i], 0, sizeof(w.met[i]));
}

void node_start(unsigned i)
{
    struct node_host *nh = &w.node[i];
    node_crash(i);
    nh->addr = addr_v4(0x0a630001 + i, 5610);
    drbg_draw(&w.drbg, w.nc.seed, sizeof(w.nc.seed));
    nh->n = node_new(&w.nc, w.now);
    ck_assert_ptr_nonnull(nh->n);
    if (w.nodes > 1)
        join(i);
}

void host_stop(struct host *h)
{
    triggers_free(h->t);
    peers_free(h->ps);
    owners_free(h->rt);
}

void host_start(struct host *h)
{
    uint8_t seed[32];
    drbg_draw(&w.drbg, h->c.session_priv, KEY_LEN);
    drbg_draw(&w.drbg, h->c.seed, sizeof(h->c.seed));
    drbg_draw(&w.drbg, seed, sizeof(seed));
    x25519_public(h->c.session_pub, h->c.session_priv);
    id_of_key(&h->private_id, h->c.session_pub, NULL);
    h->t = triggers_new(seed);
    h->ps = peers_new(&h->c);
    drbg_draw(&w.drbg, seed, sizeof(seed));
    h->rt = owners_new(seed);
    triggers_set_node(h->t, w.now, &w.node[h->home].addr);
    owners_set_home(h->rt, &w.node[h->home].addr);
    peers_set_node(h->ps, &w.node[h->home].addr);
    peers_set_owners(h->ps, h->rt);
    ck_assert_int_eq(trigger_add(h->t, w.now, &h->public_id, 128, h->c.priv, h->c.pub, NULL, 0, 0), 0);
    ck_assert_int_eq(
        trigger_add(h->t, w.now, &h->private_id, 128, h->c.session_priv, h->c.session_pub, NULL, 0, 0), 0);
}

void world_start(unsigned hosts, uint8_t seed)
{
    world_ring(1, hosts, seed);
}

void world_ring(unsigned nodes, unsigned hosts, uint8_t seed)
{
    world_ring_young(nodes, hosts, seed, 20 * SEC);
}

void world_ring_young(unsigned nodes, unsigned hosts, uint8_t seed, uint64_t age_us)
{
    memset(&w, 0, sizeof(w));
    drbg_init(&w.drbg, (uint8_t[32]){seed, 77});
    w.now = (mono_t){SEC};
    w.delay = 5 * MS;
    node_config_default(&w.nc);
    w.nc.triggers_max = 10000; /* a sanitizer pays for what is reserved */
    w.nodes = nodes;
    for (unsigned i = 0; i < nodes; i++)
        node_start(i);
    if (nodes > 1)
        run(age_us); /* no hosts yet */
    w.hosts = hosts;
    for (unsigned i = 0; i < hosts; i++) {
        struct host *h = &w.host[i];
        h->addr = addr_v4(0x0a630100 + i, 4000);
        h->home = i % nodes;
        drbg_draw(&w.drbg, h->c.priv, KEY_LEN);
        x25519_public(h->c.pub, h->c.priv);
        id_of_key(&h->public_id, h->c.pub, NULL);
        h->c.pool = 0x0a000000;
        h->c.pool_bits = 8;
        h->c.own_address = id_address(&h->public_id, h->c.pool, h->c.pool_bits);
        h->c.ciphers = 3;
        h->c.mtu = 1400;
        h->c.known = known;
        host_start(h);
    }
}

void world_stop(void)
{
    for (unsigned i = 0; i < w.hosts; i++)
        host_stop(&w.host[i]);
    for (unsigned i = 0; i < w.n; i++)
        free(w.flight[i].p);
    for (unsigned i = 0; i < w.nodes; i++)
        node_crash(i);
}

static void host_data(struct host *h, const struct addr *from, uint8_t *p, size_t len)
{
    struct wire_data d;
    struct peer *who;
    uint8_t *plain;
    size_t plain_len;
    if (data_decode(p, len, &d))
        return;
    w.data_in[h - w.host]++;
    if (peers_input(h->ps, w.now, wall(), from, &d, &w.out, &who, &plain, &plain_len) == PEER_PACKET) {
        h->got++;
        triggers_delivered(h->t, w.now, from);
    }
}

static void host_input(struct host *h, const struct addr *from, uint8_t *p, size_t len)
{
    struct wire_not_present np;
    switch (wire_kind(p, len)) {
    case WIRE_DATA:
        host_data(h, from, p, len);
        break;
    case WIRE_NOT_PRESENT:
        w.not_presents++;
        if (not_present_decode(p, len, &np) == 0) {
            peers_not_present(h->ps, w.now, wall(), &np);
            triggers_doubt(h->t, w.now);
        }
        break;
    case WIRE_PONG:
        if (owners_input(h->rt, w.now, from, p, len))
            triggers_input(h->t, w.now, from, p, len);
        break;
    case WIRE_OWNER:
        w.owners_told++;
        if (owners_input(h->rt, w.now, from, p, len) == 0)
            break;
        /* fall through */
    default:
        triggers_input(h->t, w.now, from, p, len);
    }
}

static void host_turn(struct host *h)
{
    struct peer_event e;
    while (mono_due(mono_min(triggers_deadline(h->t), owners_deadline(h->rt)), w.now) || mono_due(peers_deadline(h->ps), w.now)) {
        owners_output(h->rt, w.now, &w.out);
        triggers_output(h->t, w.now, &w.out);
        peers_output(h->ps, w.now, wall(), &w.out);
        if (peers_unanswered(h->ps) != h->unanswered) { /* as the pump does */
            h->unanswered = peers_unanswered(h->ps);
            triggers_doubt(h->t, w.now);
        }
        send_all(&h->addr);
    }
    while (peers_event(h->ps, &e)) {
        h->ups += e.kind == PEER_UP;
        h->unreachables += e.kind == PEER_UNREACHABLE;
    }
}

/* In order, and all at once: what a socket holds. */
static void read_socket(struct host *h)
{
    for (unsigned n = h->n_waiting, i = 0; i < n; i++) {
        struct flight f = h->waiting[i];
        host_input(h, &f.from, f.p, f.len);
        send_all(&h->addr);
        free(f.p);
    }
    h->n_waiting = 0;
}

void host_sleep(struct host *h)
{
    h->asleep = true;
    h->asleep_at = w.now;
}

void host_wake(struct host *h, bool moved)
{
    h->asleep = false;
    if (moved)
        h->addr.port++;
    read_socket(h);
    triggers_moved(h->t, w.now);
    owners_moved(h->rt, w.now);
    peers_uprooted(h->ps, w.now);
    peers_woke(h->ps, h->asleep_at, w.now);
}

static void land(struct flight f)
{
    for (unsigned i = 0; i < w.nodes; i++) {
        struct node_host *nh = &w.node[i];
        if (nh->n && addr_eq(&f.to, &nh->addr)) {
            node_input(nh->n, w.now, &f.from, f.p, f.len, &w.out);
            send_all(&nh->addr);
        }
    }
    for (unsigned i = 0; i < w.hosts; i++) {
        struct host *h = &w.host[i];
        if (!addr_eq(&f.to, &h->addr))
            continue;
        if (h->asleep && h->n_waiting < SOCKET_QUEUE) {
            h->waiting[h->n_waiting++] = f;
            return;
        }
        if (!h->asleep) {
            host_input(&w.host[i], &f.from, f.p, f.len);
            send_all(&w.host[i].addr);
        }
    }
    free(f.p);
}

void run(uint64_t us)
{
    mono_t end = mono_add(w.now, us);
    for (;;) {
        mono_t next = MONO_NEVER;
        for (unsigned i = 0; i < w.nodes; i++)
            if (w.node[i].n)
                next = mono_min(next, node_deadline(w.node[i].n));
        for (unsigned i = 0; i < w.hosts; i++) {
            if (w.host[i].asleep)
                continue;
            host_turn(&w.host[i]);
            next = mono_min(next, mono_min(owners_deadline(w.host[i].rt),
                                      mono_min(triggers_deadline(w.host[i].t), peers_deadline(w.host[i].ps))));
        }
        unsigned first = w.n;
        for (unsigned i = 0; i < w.n; i++)
            if (first == w.n || w.flight[i].at.us < w.flight[first].at.us)
                first = i;
        if (first < w.n)
            next = mono_min(next, w.flight[first].at);
        if (next.us > end.us)
            break;
        w.now = next.us > w.now.us ? next : w.now;
        for (unsigned i = 0; i < w.nodes; i++) {
            struct node_host *nh = &w.node[i];
            if (!nh->n || !mono_due(node_deadline(nh->n), w.now))
                continue;
            node_run(nh->n, w.now, &w.out);
            send_all(&nh->addr);
        }
        if (first < w.n && mono_due(w.flight[first].at, w.now)) {
            struct flight f = w.flight[first];
            w.flight[first] = w.flight[--w.n];
            land(f);
        }
    }
    w.now = end;
}

/* One packet; false when there is no key to send with. */
bool talk(unsigned from, unsigned to)
{
    static uint8_t text[200] = {0x45}, out[400]; /* as an IP packet begins */
    struct host *h = &w.host[from];
    struct peer *p = peer_get(h->ps, w.host[to].c.pub, w.host[to].c.own_address);
    ssize_t n = peer_seal(h->ps, p, w.now, wall(), &(struct iovec){text, sizeof(text)}, 1, out, sizeof(out));
    if (n <= 0)
        return false;
    outbox_push(&w.out, peer_destination(h->ps, p), out, (size_t)n);
    send_all(&h->addr);
    return true;
}

/* Each speaks to the other every 100 ms until both have heard; how long that takes. */
uint64_t time_to_talk(unsigned a, unsigned b)
{
    mono_t start = w.now;
    uint64_t heard_a = w.host[a].got, heard_b = w.host[b].got;
    while (w.host[a].got == heard_a || w.host[b].got == heard_b) {
        talk(a, b);
        talk(b, a);
        run(100 * MS);
        ck_assert_uint_lt(mono_since(start, w.now), 60 * SEC);
    }
    return mono_since(start, w.now);
}
