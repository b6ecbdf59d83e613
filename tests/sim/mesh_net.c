#include "tests/sim/mesh_net.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/mesh/mesh_wire.h"

/* ---- a heap of datagrams in flight ---- */

static bool before(const struct flight *a, const struct flight *b)
{
    return a->at.us != b->at.us ? a->at.us < b->at.us : a->order < b->order;
}

static void swap(struct flight *a, struct flight *b)
{
    struct flight t = *a;
    *a = *b;
    *b = t;
}

static void enqueue(struct net *w, const struct flight *f)
{
    ck_assert_uint_lt(w->queued, NET_QUEUE);
    unsigned i = w->queued++;
    w->q[i] = *f;
    for (; i && before(&w->q[i], &w->q[(i - 1) / 2]); i = (i - 1) / 2)
        swap(&w->q[i], &w->q[(i - 1) / 2]);
}

static struct flight dequeue(struct net *w)
{
    struct flight f = w->q[0];
    w->q[0] = w->q[--w->queued];
    for (unsigned i = 0, c; (c = 2 * i + 1) < w->queued; i = c) {
        if (c + 1 < w->queued && before(&w->q[c + 1], &w->q[c]))
            c++;
        if (!before(&w->q[c], &w->q[i]))
            break;
        swap(&w->q[c], &w->q[i]);
    }
    return f;
}

/* ---- members ---- */

static unsigned at_addr(const struct net *w, const struct addr *a)
{
    unsigned i = 0;
    while (i < w->n && !addr_eq(&w->addr[i], a))
        i++;
    return i;
}

void net_tell_all(struct net *w, unsigned i)
{
    mesh_begin(w->m[i]);
    for (unsigned k = 0; k < w->n; k++)
        if (k != i)
            ck_assert_int_eq(mesh_member(w->m[i], w->now, w->pub[k], &w->addr[k], 1), 0);
    mesh_end(w->m[i], w->now);
}

static struct mesh *make(struct net *w, unsigned i)
{
    struct mesh_config c = {.relay = true};
    memcpy(c.priv, w->priv[i], KEY_LEN);
    memcpy(c.pub, w->pub[i], KEY_LEN);
    drbg_draw(&w->drbg, c.seed, sizeof(c.seed));
    return mesh_new(&c);
}

void net_begin(struct net *w, unsigned n, uint8_t seed)
{
    memset(w, 0, sizeof(*w));
    w->n = n;
    w->now = (mono_t){USEC_PER_SEC};
    w->q = calloc(NET_QUEUE, sizeof(*w->q));
    drbg_init(&w->drbg, (uint8_t[BLAKE2S_LEN]){seed, 99});
    for (unsigned i = 0; i < n; i++) {
        struct i3_id id;
        drbg_draw(&w->drbg, w->priv[i], KEY_LEN);
        x25519_public(w->pub[i], w->priv[i]);
        id_of_key(&id, w->pub[i], NULL);
        memcpy(w->prefix[i], id.b, ID_PREFIX_LEN);
        w->addr[i] = addr_v4(0xc0000200 + i, 5700);
        w->m[i] = make(w, i);
        for (unsigned k = 0; k < i; k++)
            net_link(w, i, k, 1000 + (uint32_t)(drbg_u64(&w->drbg) % 99000));
    }
    for (unsigned i = 0; i < n; i++)
        net_tell_all(w, i);
}

void net_restart(struct net *w, unsigned i)
{
    mesh_free(w->m[i]);
    w->m[i] = make(w, i);
    net_tell_all(w, i);
}

void net_end(struct net *w)
{
    for (unsigned i = 0; i < w->n; i++)
        mesh_free(w->m[i]);
    while (w->queued)
        free(dequeue(w).data);
    free(w->q);
}

void net_link(struct net *w, unsigned a, unsigned b, uint32_t us)
{
    w->us[a][b] = w->us[b][a] = us;
}

void net_cut(struct net *w, unsigned a, unsigned b, bool cut)
{
    w->cut[a][b] = w->cut[b][a] = cut;
}

/* ---- time ---- */

void net_throw(struct net *w, const struct addr *from, unsigned to, const uint8_t *data, size_t len)
{
    struct flight f = {.at = w->now, .order = w->order++, .from = *from, .to = w->addr[to], .len = (uint16_t)len, .data = malloc(len)};
    memcpy(f.data, data, len);
    enqueue(w, &f);
}

static void take_out(struct net *w, unsigned i)
{
    for (unsigned k = 0; k < w->out.n; k++) {
        const struct dgram *d = &w->out.v[k];
        unsigned to = at_addr(w, &d->to);
        w->datagrams++;
        if (to == w->n || w->cut[i][to] || w->dead[i] || drbg_u64(&w->drbg) % 1000 < w->loss[i][to])
            continue;
        struct flight f = {.at = mono_add(w->now, w->us[i][to]), .order = w->order++, .from = w->addr[i], .to = d->to, .len = (uint16_t)d->len,
            .data = malloc(d->len)};
        memcpy(f.data, d->data, d->len);
        enqueue(w, &f);
    }
    outbox_clear(&w->out);
}

static void deliver(struct net *w, const struct flight *f)
{
    unsigned i = at_addr(w, &f->to);
    const uint8_t *who;
    uint8_t *packet;
    size_t len;
    if (w->spy)
        w->spy(w, f);
    if (i == w->n || w->dead[i])
        return;
    if (wire_kind(f->data, f->len) == WIRE_DATA) {
        w->got[i]++;
        w->hops[i] = 1;
        w->who[i] = mesh_at(w->m[i], &f->from);
        return;
    }
    if (mesh_input(w->m[i], w->now, &f->from, 0, f->data, f->len, &w->out, &who, &packet, &len) == MESH_DATA) {
        w->got[i]++;
        w->hops[i] = 2;
        w->who[i] = who;
    }
    take_out(w, i);
}

static mono_t next_of(struct net *w)
{
    mono_t at = w->queued ? w->q[0].at : MONO_NEVER;
    for (unsigned i = 0; i < w->n; i++)
        at = mono_min(at, mesh_deadline(w->m[i]));
    return at;
}

void net_run(struct net *w, uint64_t us)
{
    mono_t end = mono_add(w->now, us);
    for (mono_t at; (at = next_of(w)).us <= end.us;) {
        w->now = mono_max(w->now, at);
        while (w->queued && mono_due(w->q[0].at, w->now)) {
            struct flight f = dequeue(w);
            deliver(w, &f);
            free(f.data);
        }
        for (unsigned i = 0; i < w->n; i++) {
            struct mesh_event e;
            mesh_output(w->m[i], w->now, &w->out);
            take_out(w, i);
            while (mesh_event(w->m[i], &e))
                w->events[i]++;
        }
    }
    w->now = end;
}

bool net_send(struct net *w, unsigned a, unsigned b)
{
    uint8_t packet[MESH_HEAD + 120] = {0}, *p = packet + MESH_HEAD;
    struct mesh_way way;
    p[0] = wire_first(WIRE_DATA);
    if (!mesh_way(w->m[a], w->prefix[b], &way))
        return false;
    size_t len = 120;
    if (!way.direct) {
        mesh_wrap(w->m[a], w->prefix[b], p, len);
        p -= MESH_HEAD;
        len += MESH_HEAD;
    }
    outbox_push(&w->out, &way.to, p, len);
    take_out(w, a);
    return true;
}

struct mesh_info net_way(struct net *w, unsigned a, unsigned b)
{
    struct mesh_info i;
    ck_assert(mesh_info_of(w->m[a], w->now, w->pub[b], &i));
    return i;
}

unsigned net_who(const struct net *w, const uint8_t key[KEY_LEN])
{
    unsigned i = 0;
    while (i < w->n && memcmp(w->pub[i], key, KEY_LEN))
        i++;
    return i;
}
