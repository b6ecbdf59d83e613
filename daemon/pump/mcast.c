/* pump/mcast.c - datagrams to multicast groups and from them (i3/group.h): between the programs' side (pump/udp.c) and the node.
 *
 * A program sends to the group's virtual address; the packet is sealed once, and the node makes the copies. Where one comes in, its
 * addresses are replaced by those under which this host knows the sender and the group, so that nobody can speak in another's name or
 * to another address; UDP alone is let through.
 *
 * Other programs of the sending host which have the port get the datagram straight from here, as IP_MULTICAST_LOOP has it by default;
 * the socket that sends does not hear itself.
 *
 * Bound: MCASTS_MAX groups are sent to at a time; the one longest unused makes room. Those that we are a member of stay.
 */
#include <errno.h>
#include <stdlib.h>

#include "daemon/base/log.h"
#include "daemon/control/report.h"
#include "daemon/i3/group.h"
#include "daemon/pump/udp.h"
#include "daemon/tcpip/ip6.h"

enum { MCASTS_MAX = GROUPS_MAX + 64 };

struct mcast {
    struct overlay *o;
    uint8_t key[KEY_LEN];
    struct i3_id all;
    struct group_tx *tx;       /* NULL: nothing was sent yet */
    struct group_rx *rx;       /* NULL: we are no member */
    const struct group *group; /* likewise */
    mono_t used;
    uint64_t out, bad, nobody; /* sent; no datagram of ours after all; no program has the port */
};

struct mcasts {
    struct mcast *v[MCASTS_MAX];
    unsigned n;
};

/* ---- the table ---- */

static void mcast_free(struct mcast *m)
{
    group_tx_free(m->tx);
    group_rx_free(m->rx);
    free(m);
}

static struct mcast *mcast_find(const struct pump *p, const uint8_t key[KEY_LEN])
{
    for (unsigned i = 0; i < p->mcasts->n; i++)
        if (!memcmp(p->mcasts->v[i]->key, key, KEY_LEN))
            return p->mcasts->v[i];
    return NULL;
}

static void mcast_drop(struct pump *p, unsigned i)
{
    struct mcasts *t = p->mcasts;
    mcast_free(t->v[i]);
    t->v[i] = t->v[--t->n];
}

static bool make_room(struct pump *p)
{
    struct mcasts *t = p->mcasts;
    unsigned oldest = t->n;
    for (unsigned i = 0; i < t->n; i++)
        if (!t->v[i]->rx && (oldest == t->n || t->v[i]->used.us < t->v[oldest]->used.us))
            oldest = i;
    if (oldest == t->n)
        return false;
    mcast_drop(p, oldest);
    return true;
}

static struct mcast *mcast_get(struct pump *p, const uint8_t key[KEY_LEN])
{
    struct mcast *m = mcast_find(p, key);
    if (m && !m->rx && m->o != overlay_of_key(p, key)) /* its name has changed */
        mcast_leave(p, key), m = NULL;
    if (m)
        return m;
    if (p->mcasts->n == MCASTS_MAX && !make_room(p))
        return NULL;
    m = calloc(1, sizeof(*m));
    if (!m)
        return NULL;
    m->o = overlay_of_key(p, key);
    memcpy(m->key, key, KEY_LEN);
    group_all_id(&m->all, key);
    p->mcasts->v[p->mcasts->n++] = m;
    return m;
}

int mcast_start(struct pump *p)
{
    p->mcasts = calloc(1, sizeof(*p->mcasts));
    return p->mcasts ? 0 : -ENOMEM;
}

void mcast_stop(struct pump *p)
{
    while (p->mcasts && p->mcasts->n)
        mcast_drop(p, 0);
    free(p->mcasts);
    p->mcasts = NULL;
}

void mcast_forget_overlay(struct pump *p, const struct overlay *o)
{
    for (unsigned i = p->mcasts ? p->mcasts->n : 0; i-- > 0;)
        if (p->mcasts->v[i]->o == o)
            mcast_drop(p, i);
}

/* ---- membership ---- */

static bool may_speak(void *ctx, const uint8_t key[KEY_LEN])
{
    struct mcast *m = ctx;
    return names_is_friend(m->o->p, key) && overlay_of_key(m->o->p, key) == m->o;
}

bool mcast_is_at(const struct pump *p, const uint8_t key[KEY_LEN], const struct overlay *o)
{
    const struct mcast *m = mcast_find(p, key);
    return m && m->rx && m->o == o;
}

void mcast_leave(struct pump *p, const uint8_t key[KEY_LEN])
{
    for (unsigned i = 0; i < p->mcasts->n; i++)
        if (!memcmp(p->mcasts->v[i]->key, key, KEY_LEN))
            mcast_drop(p, i);
}

int mcast_join(struct pump *p, const struct group *g)
{
    mcast_leave(p, g->entry.key); /* what was sent as one who is no member */
    struct mcast *m = mcast_get(p, g->entry.key);
    if (!m)
        return -ENOMEM;
    struct group_rx_config c = {.accel = p->accel, .known = may_speak, .ctx = m};
    memcpy(c.priv, g->priv, KEY_LEN);
    memcpy(c.pub, g->entry.key, KEY_LEN);
    memcpy(c.self, p->identity.pub, KEY_LEN);
    m->group = g;
    m->rx = group_rx_new(&c);
    crypto_wipe(&c, sizeof(c));
    if (!m->rx)
        mcast_leave(p, g->entry.key);
    return m->rx ? 0 : -ENOMEM;
}

void mcast_forget(struct pump *p, const uint8_t key[KEY_LEN])
{
    for (unsigned i = 0; i < p->mcasts->n; i++)
        if (p->mcasts->v[i]->rx)
            group_forget(p->mcasts->v[i]->rx, key);
}

/* ---- out ---- */

static struct group_tx *tx_of(struct pump *p, struct mcast *m)
{
    uint8_t seed[BLAKE2S_LEN];
    struct peers_config c;
    if (m->tx)
        return m->tx;
    pump_peers_config(m->o, &c);
    drbg_draw(&p->random, seed, sizeof(seed));
    enum peer_cipher cipher = (enum peer_cipher)(c.ciphers & -c.ciphers);
    m->tx = group_tx_new(
        p->identity.priv, p->identity.pub, m->key, m->group ? m->group->priv : NULL, cipher, seed, p->accel);
    crypto_wipe(&c, sizeof(c));
    crypto_wipe(seed, sizeof(seed));
    return m->tx;
}

bool mcast_send(struct pump *p, uint32_t remote, const struct iovec *v, int n, size_t len)
{
    const uint8_t *key = names_is_multicast(p, remote) ? pool_key(p->pool, p->now, remote) : NULL;
    struct mcast *m = key ? mcast_get(p, key) : NULL;
    if (!m || !tx_of(p, m))
        return key;
    struct overlay *o = m->o;
    if (outbox_is_tight(&o->out) || PUMP_SEAL_BUF - o->sealed < len + GROUP_OVERHEAD)
        net_flush(o);
    ssize_t sealed = group_seal(m->tx, p->now, p->wall, v, n, o->seal + o->sealed, PUMP_SEAL_BUF - o->sealed);
    m->used = p->now;
    if (sealed < 0) {
        p->count.packets_unsealed++;
        return true;
    }
    outbox_push(&o->out, overlay_way(o, &m->all), o->seal + o->sealed, (size_t)sealed);
    outbox_set_ecn(&o->out, ip_ecn(v[0].iov_base));
    o->sealed += (size_t)sealed;
    if (p->trace)
        trace_packet(p, remote, true, v, n, len);
    m->out++;
    return true;
}

bool mcast_is_member(struct pump *p, uint32_t remote)
{
    const uint8_t *key = names_is_multicast(p, remote) ? pool_key(p->pool, p->now, remote) : NULL;
    const struct mcast *m = key ? mcast_find(p, key) : NULL;
    return m && m->rx;
}

uint16_t mcast_mtu(const struct pump *p)
{
    return (uint16_t)(p->config.mtu - (GROUP_OVERHEAD - PEER_SEAL_OVERHEAD));
}

/* ---- in ---- */

/* Puts the addresses of this end into a packet of the sender's to the group. False: it is none. */
static bool readdress(struct pump *p, const struct mcast *m, const uint8_t sender[KEY_LEN], uint32_t from, uint8_t *packet, size_t len)
{
    struct i3_id who, group;
    uint32_t src, dst;
    uint8_t src6[16], dst6[16];
    if (ip_addresses(packet, len, &src, &dst)) {
        ip_rewrite(packet, len, from, pool_get(p->pool, p->now, m->key));
        return packet[9] == IP_UDP;
    }
    id_of_key(&who, sender, NULL);
    id_of_key(&group, m->key, NULL);
    id_address6(&who, src6);
    id_address6(&group, dst6);
    return ip6_is_from_to(packet, len, src6, dst6) && (packet[6] == IP_UDP || ip_is_fragment(packet, len));
}

bool mcast_in(struct overlay *o, const struct wire_data *d)
{
    struct pump *p = o->p;
    uint8_t sender[KEY_LEN], *packet;
    struct mcast *m = NULL;
    size_t len;
    for (unsigned i = 0; i < p->mcasts->n && !m; i++)
        if (p->mcasts->v[i]->rx && p->mcasts->v[i]->o == o && !memcmp(d->ids, p->mcasts->v[i]->all.b, ID_LEN))
            m = p->mcasts->v[i];
    if (!m || d->n != 1)
        return m;
    if (group_open(m->rx, p->now, p->wall, (uint8_t *)d->payload, d->payload_len, sender, &packet, &len))
        return true;
    uint32_t from = pool_get(p->pool, p->now, sender);
    if (!from || !readdress(p, m, sender, from, packet, len)) {
        m->bad++;
        return true;
    }
    if (p->trace)
        trace_packet(p, from, false, &(struct iovec){packet, len}, 1, len);
    if (dgram_multicast_in(p, from, packet, len) == 0)
        m->nobody++;
    return true;
}

void mcast_report(const struct pump *p, struct report_group *out)
{
    const struct mcast *m = mcast_find(p, out->group->entry.key);
    if (!m || !m->rx)
        return;
    const struct group_stats *s = group_rx_stats(m->rx);
    out->in = s->opened - m->bad - m->nobody;
    out->out = m->out;
    out->dropped = s->strangers + s->forged + s->replays + s->stale + s->skipped + m->bad + m->nobody;
    out->senders = s->senders;
}
