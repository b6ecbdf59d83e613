#include "tests/sim/world.h"

#include <string.h>

static uint64_t draw(struct world *w, uint64_t below)
{
    return below ? drbg_u64(&w->drbg) % below : 0;
}

static bool host_known(void *ctx, const uint8_t key[KEY_LEN])
{
    struct host *h = ctx;
    if (h->w->known)
        return h->w->known(h->n, key);
    for (unsigned i = 0; i < h->w->hosts; i++)
        if (memcmp(h->w->host[i].c.pub, key, KEY_LEN) == 0)
            return true;
    return false;
}

const struct addr world_node = {.family = 4, .port = 5610, .ip = {192, 0, 2, 250}};

static void tell_own(struct world *w, struct host *h)
{
    struct path_own own = {.n = 1, .addr = {h->addr}, .v4 = true};
    peers_set_own(h->ps, w->now, &own);
}

void world_shortcuts(struct world *w)
{
    w->straight = true;
    for (unsigned i = 0; i < w->hosts; i++) {
        w->host[i].c.shortcut = true;
        world_restart(w, i);
    }
}

void world_move(struct world *w, unsigned host, uint16_t port)
{
    w->host[host].addr.port = port;
    tell_own(w, &w->host[host]);
}

static void host_start(struct world *w, struct host *h)
{
    drbg_draw(&w->drbg, h->c.session_priv, KEY_LEN);
    x25519_public(h->c.session_pub, h->c.session_priv);
    id_of_key(&h->private_id, h->c.session_pub, NULL);
    drbg_draw(&w->drbg, h->c.seed, sizeof(h->c.seed));
    h->ps = peers_new(&h->c);
    ck_assert_ptr_nonnull(h->ps);
    peers_set_node(h->ps, &world_node);
    if (h->c.shortcut)
        tell_own(w, h);
}

struct world *world_new(unsigned hosts, uint64_t seed)
{
    struct world *w = calloc(1, sizeof(*w));
    uint8_t s[32] = {0};
    memcpy(s, &seed, sizeof(seed));
    drbg_init(&w->drbg, s);
    w->now = (mono_t){SEC};
    w->hosts = hosts;
    w->heap = calloc(WORLD_FLIGHT, sizeof(*w->heap));
    w->out = calloc(1, sizeof(*w->out));
    w->delay = 5 * MS;
    for (unsigned i = 0; i < hosts; i++) {
        struct host *h = &w->host[i];
        h->w = w;
        h->n = i;
        h->addr = addr_v4(0xc0000201 + i, 5000);
        drbg_draw(&w->drbg, h->c.priv, KEY_LEN);
        x25519_public(h->c.pub, h->c.priv);
        id_of_key(&h->public_id, h->c.pub, NULL);
        h->c.pool = 0x0a000000;
        h->c.pool_bits = 8;
        h->c.own_address = id_address(&h->public_id, h->c.pool, h->c.pool_bits);
        h->c.ciphers = CIPHER_AES256GCM | CIPHER_CHACHA20POLY1305;
        h->c.mtu = 1400;
        h->c.recv_buffer = 1 << 20;
        h->c.known = host_known;
        h->c.ctx = h;
        host_start(w, h);
    }
    return w;
}

void world_free(struct world *w)
{
    for (unsigned i = 0; i < w->hosts; i++)
        peers_free(w->host[i].ps);
    for (unsigned i = 0; i < w->n; i++)
        free(w->heap[i].data);
    for (size_t i = 0; i < w->n_record; i++)
        free(w->record[i].data);
    free(w->record);
    free(w->heap);
    free(w->out);
    free(w);
}

void world_restart(struct world *w, unsigned host)
{
    peers_free(w->host[host].ps);
    host_start(w, &w->host[host]);
}

static uint64_t wall(const struct host *h)
{
    return 1800000000ull * SEC + h->w->now.us + h->wall_skew;
}

static bool before(const struct flight *a, const struct flight *b)
{
    return a->at.us != b->at.us ? a->at.us < b->at.us : a->order < b->order;
}

static void fly(
    struct world *w, unsigned from, const uint8_t *p, size_t len, bool not_present, bool straight, uint64_t delay)
{
    ck_assert_uint_lt(w->n, WORLD_FLIGHT);
    struct flight f = {mono_add(w->now, delay), w->order++, from, not_present, straight, len, malloc(len)};
    memcpy(f.data, p, len);
    unsigned i = w->n++;
    for (; i && before(&f, &w->heap[(i - 1) / 2]); i = (i - 1) / 2)
        w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = f;
}

static struct flight land(struct world *w)
{
    struct flight first = w->heap[0], last = w->heap[--w->n];
    unsigned i = 0;
    for (;;) {
        unsigned c = 2 * i + 1;
        if (c + 1 < w->n && before(&w->heap[c + 1], &w->heap[c]))
            c++;
        if (c >= w->n || !before(&w->heap[c], &last))
            break;
        w->heap[i] = w->heap[c];
        i = c;
    }
    w->heap[i] = last;
    return first;
}

void world_send(struct world *w, unsigned from, const uint8_t *p, size_t len)
{
    world_send_to(w, from, &world_node, p, len);
}

void world_send_to(struct world *w, unsigned from, const struct addr *to, const uint8_t *p, size_t len)
{
    bool straight = !addr_eq(to, &world_node), there = !straight && !w->node_down && !w->host[from].dead;
    uint8_t copy[WORLD_PACKET];
    ck_assert_uint_le(len, sizeof(copy));
    ck_assert_uint_ge(len, DATA_HEADER_LEN);
    memcpy(copy, p, len);
    w->sent[copy[4] & 15]++;
    w->by_host[from]++;
    w->n_sent++;
    if (w->recording) {
        w->record = realloc(w->record, (w->n_record + 1) * sizeof(*w->record));
        struct recorded *r = &w->record[w->n_record++];
        *r = (struct recorded){from, len, malloc(len)};
        memcpy(r->data, p, len);
    }
    w->sent_straight += straight;
    for (unsigned i = 0; straight && w->straight && i < w->hosts; i++)
        there |= addr_eq(to, &w->host[i].addr) && !w->host[from].dead;
    there &= !w->widest[straight] || len <= w->widest[straight];
    copy[2] = (uint8_t)(copy[2] - !straight); /* hops */
    if (!there || w->n_sent == w->drop_at || (w->filter && !w->filter(w, from, copy, len)))
        return;
    unsigned copies = 1 + (draw(w, 1000) < w->dup);
    while (copies--)
        if (draw(w, 1000) >= w->loss)
            fly(w, from, copy, len, false, straight, w->delay + draw(w, w->jitter + 1));
}

void world_flush(struct world *w, unsigned host)
{
    struct host *h = &w->host[host];
    while (mono_due(peers_deadline(h->ps), w->now)) {
        outbox_clear(w->out);
        peers_output(h->ps, w->now, wall(h), w->out);
        for (unsigned i = 0; i < w->out->n; i++)
            world_send_to(w, host, &w->out->v[i].to, w->out->v[i].data, w->out->v[i].len);
    }
}

static void take_events(struct host *h)
{
    struct peer_event e;
    while (peers_event(h->ps, &e)) {
        if (e.kind == PEER_UP) {
            h->ups++;
            h->moves += e.moved;
        } else if (e.kind == PEER_UNREACHABLE) {
            h->unreachables++;
            h->last_err = e.err;
        }
    }
}

void world_group(struct world *w, unsigned first, unsigned n)
{
    for (unsigned i = first; i < first + n; i++) {
        struct host *h = &w->host[i];
        memcpy(h->c.priv, w->host[first].c.priv, KEY_LEN);
        memcpy(h->c.pub, w->host[first].c.pub, KEY_LEN);
        h->c.own_address = w->host[first].c.own_address;
        drbg_draw(&w->drbg, h->c.member, sizeof(h->c.member));
        id_of_key(&h->public_id, h->c.pub, NULL);
        memcpy(h->public_id.b + ID_PREFIX_LEN, h->c.member, sizeof(h->c.member));
        world_restart(w, i);
    }
}

/* A trigger with the suffix of ones: every member of the group has it. Else the one with the longest match. */
static unsigned members_of(struct world *w, const uint8_t *id, unsigned out[WORLD_HOSTS])
{
    static const uint8_t none[8], ones[ID_LEN - ID_PREFIX_LEN] = {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255};
    bool all = !memcmp(id + ID_PREFIX_LEN, ones, sizeof(ones));
    unsigned n = 0, best = 0;
    for (unsigned i = 0; i < w->hosts; i++) {
        const struct host *h = &w->host[i];
        unsigned bits = id_common_bits(&h->public_id, (const struct i3_id *)id);
        if (h->absent || !memcmp(h->c.member, none, sizeof(none)) || bits < 128)
            continue;
        if (all || !n)
            out[n++] = i;
        else if (bits > best)
            out[0] = i;
        best = bits > best ? bits : best;
    }
    return n;
}

static int owner_of(struct world *w, const uint8_t *id)
{
    for (unsigned i = 0; i < w->hosts; i++) {
        const struct host *h = &w->host[i];
        if (!h->absent && (memcmp(id, h->public_id.b, ID_PREFIX_LEN) == 0 ||
                              memcmp(id, h->private_id.b, ID_PREFIX_LEN) == 0 ||
                              memcmp(id, h->old_private_id.b, ID_PREFIX_LEN) == 0))
            return (int)i;
    }
    return -1;
}

static void send_not_present(struct world *w, unsigned to, const uint8_t *p, size_t len)
{
    uint8_t np[64];
    struct wire_not_present v = {.echo_len = NOT_PRESENT_ECHO};
    ck_assert_uint_ge(len, DATA_HEADER_LEN + NOT_PRESENT_ECHO);
    memcpy(v.id.b, p + 5, ID_LEN);
    memcpy(v.echo, p + DATA_HEADER_LEN, NOT_PRESENT_ECHO);
    w->not_presents++;
    fly(w, to, np, not_present_encode(np, sizeof(np), &v), true, false, w->delay);
}

static void deliver_to(struct world *w, unsigned from, int to, bool straight, const uint8_t *p, size_t len)
{
    static struct outbox out;
    uint8_t *copy = malloc(len); /* so that ASan sees a read too far */
    struct wire_data d;
    memcpy(copy, p, len);
    if (data_decode(copy, len, &d)) {
        free(copy);
        return;
    }
    if (to < 0) {
        send_not_present(w, from, p, len);
        free(copy);
        return;
    }
    struct host *h = &w->host[to];
    struct peer *who;
    uint8_t *plain;
    size_t plain_len;
    outbox_clear(&out);
    switch (peers_input(h->ps, w->now, wall(h), straight ? &w->host[from].addr : &world_node, &d, &out, &who, &plain, &plain_len)) {
    case PEER_DROP:
        h->dropped++;
        ck_assert_uint_eq(out.n, 0);
        break;
    case PEER_WORD:
    case PEER_CONTROL:
        h->controls++;
        break;
    case PEER_PACKET:
        ck_assert_ptr_nonnull(who);
        ck_assert_uint_le(plain_len, sizeof(h->last));
        h->got++;
        h->got_straight += straight;
        h->got_bytes += plain_len;
        memcpy(h->last, plain, plain_len);
        h->last_len = plain_len;
        uint64_t number = 0;
        memcpy(&number, plain + 1, sizeof(number) - 1);
        if (number < ARRAY_LEN(h->seen))
            h->seen[number] += h->seen[number] < 255;
        break;
    }
    for (unsigned i = 0; i < out.n; i++)
        world_send_to(w, (unsigned)to, &out.v[i].to, out.v[i].data, out.v[i].len);
    free(copy);
    take_events(h);
}

static void deliver(struct world *w, unsigned from, bool straight, const uint8_t *p, size_t len)
{
    unsigned to[WORLD_HOSTS], n = len >= DATA_HEADER_LEN ? members_of(w, p + DATA_FIXED_LEN, to) : 0;
    for (unsigned i = 0; i < n; i++)
        if (!w->host[to[i]].dead)
            deliver_to(w, from, (int)to[i], straight, p, len);
    if (n)
        return;
    int one = len >= DATA_HEADER_LEN ? owner_of(w, p + DATA_FIXED_LEN) : -1;
    if (one < 0 || !w->host[one].dead)
        deliver_to(w, from, one, straight, p, len);
}

void world_deliver(struct world *w, unsigned from, const uint8_t *p, size_t len)
{
    deliver(w, from, false, p, len);
}

void world_run(struct world *w, uint64_t us)
{
    mono_t end = mono_add(w->now, us);
    for (;;) {
        mono_t next = end;
        for (unsigned i = 0; i < w->hosts; i++) {
            world_flush(w, i);
            take_events(&w->host[i]);
            next = mono_min(next, peers_deadline(w->host[i].ps));
        }
        if (w->n)
            next = mono_min(next, w->heap[0].at);
        if (next.us >= end.us && (!w->n || w->heap[0].at.us > end.us))
            break;
        if (next.us > w->now.us)
            w->now = next;
        while (w->n && mono_due(w->heap[0].at, w->now)) {
            struct flight f = land(w);
            if (f.not_present) {
                struct wire_not_present np;
                struct host *h = &w->host[f.from];
                ck_assert_int_eq(not_present_decode(f.data, f.len, &np), 0);
                peers_not_present(h->ps, w->now, wall(h), &np);
                take_events(h);
            } else {
                deliver(w, f.from, f.straight, f.data, f.len);
            }
            free(f.data);
        }
    }
    w->now = end;
}

struct peer *world_peer(struct world *w, unsigned from, unsigned to)
{
    struct peer *p = peer_get(w->host[from].ps, w->host[to].c.pub, w->host[to].c.own_address);
    ck_assert_ptr_nonnull(p);
    return p;
}

void world_open(struct world *w, unsigned from, unsigned to)
{
    peer_open(w->host[from].ps, world_peer(w, from, to), w->now, wall(&w->host[from]));
    world_flush(w, from);
}

ssize_t world_packet(struct world *w, unsigned from, unsigned to, uint64_t number, size_t len)
{
    uint8_t text[WORLD_PACKET], out[WORLD_PACKET];
    struct host *h = &w->host[from];
    for (size_t i = 0; i < len; i++)
        text[i] = (uint8_t)(number + i);
    text[0] = 0x45; /* as an IP packet begins */
    memcpy(text + 1, &number, sizeof(number) - 1);
    struct iovec v[3] = {
        {text, 8}, {text + 8, (len - 8) / 2}, {text + 8 + (len - 8) / 2, len - 8 - (len - 8) / 2}};
    ssize_t n = peer_seal(h->ps, world_peer(w, from, to), w->now, wall(h), v, 3, out, sizeof(out));
    if (n > 0) {
        ck_assert_int_eq(n, (ssize_t)(len + PEER_SEAL_OVERHEAD));
        world_send_to(w, from, peer_destination(h->ps, world_peer(w, from, to)), out, (size_t)n);
    }
    world_flush(w, from);
    return n;
}

struct peer_info world_info(struct world *w, unsigned from, unsigned to)
{
    struct peer_info i;
    peer_info(w->host[from].ps, world_peer(w, from, to), w->now, &i);
    return i;
}

bool world_both_stand(struct world *w)
{
    return world_info(w, 0, 1).standing && world_info(w, 1, 0).standing;
}

void world_assert_talk(struct world *w, uint64_t first)
{
    uint64_t a = w->host[0].got, b = w->host[1].got;
    ck_assert_int_gt(world_packet(w, 0, 1, first, 100), 0);
    world_run(w, 2 * w->delay + w->jitter);
    ck_assert_uint_eq(w->host[1].got, b + 1);
    ck_assert_int_gt(world_packet(w, 1, 0, first + 1, 1400), 0);
    world_run(w, 2 * w->delay + w->jitter);
    ck_assert_uint_eq(w->host[0].got, a + 1);
    ck_assert_uint_eq(w->host[0].last_len, 1400);
    for (size_t i = 8; i < 1400; i++)
        ck_assert_uint_eq(w->host[0].last[i], (uint8_t)(first + 1 + i));
}

uint64_t world_time_to_talk(struct world *w, unsigned from)
{
    mono_t start = w->now;
    unsigned to = 1 - from;
    uint64_t there = w->host[to].got, back = w->host[from].got, n = 1000;
    while (w->host[from].got == back) {
        uint64_t before = w->host[to].got;
        world_packet(w, from, to, n++, 60);
        world_run(w, 50 * MS);
        if (w->host[to].got > before)
            world_packet(w, to, from, n++, 60);
        world_run(w, 50 * MS);
        ck_assert_uint_lt(mono_since(start, w->now), 30 * SEC);
    }
    ck_assert_uint_gt(w->host[to].got, there);
    return mono_since(start, w->now);
}
