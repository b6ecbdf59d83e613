/* pump/net.c - between the UDP socket and the rooms: packets in, packets out, the choice of the node. */
#include "daemon/pump/impl.h"

#include <errno.h>

#include "daemon/base/log.h"
#include "daemon/pump/anon.h"
#include "daemon/pump/claims.h"
#include "daemon/pump/lookup.h"
#include "daemon/tcpip/ip6.h"

#define HEARD_AGAIN_US (100 * USEC_PER_MSEC) /* how often a node that passes on packets is taken note of */

/* ---- in ---- */

/* To an anonymous program's peer nothing is said that depends on this user's network (i3/peer.h): what bears the addresses that were said gets
 * those of this end. */
static void as_we_say(const struct side *s, struct peer *peer, uint8_t *packet, size_t len)
{
    uint32_t src, dst;
    struct peer_addresses a = peer_addresses(peer);
    if (!ip_addresses(packet, len, &src, &dst) || dst != peers_own_address(s->peers) || (src != a.address && src != peer_default_address(s->peers, peer)))
        return;
    if (src != a.local || dst != s->own)
        ip_rewrite(packet, len, a.local, s->own);
}

/* A peer's decrypted packet: it may speak for its own address to ours, and for nothing else. Addresses are those of this
 * end: where the two ends know each other under different ones, the sender has rewritten them. */
static void peer_packet(struct pump *p, const struct side *s, struct peer *peer, uint8_t ecn, uint8_t *packet, size_t len)
{
    uint32_t src, dst, local = peer_addresses(peer).local;
    if (!ip_take_ecn(packet, len, ecn)) {
        p->count.packets_bad++;
        return;
    }
    if (s->o->anon)
        as_we_say(s, peer, packet, len);
    if (p->trace && local)
        trace_packet(p, local, false, &(struct iovec){packet, len}, 1, len);
    if (ip_addresses(packet, len, &src, &dst) && src == local && dst == s->own) {
        if (!access_admits(p, s, peer, packet, len))
            return;
        if (!dgram_packet_in(p, s, local, packet, len))
            tcpip_input(p->tcpip, p->now, packet, len);
    } else if (ip6_is_from_to(packet, len, peer_address6(peer), s->own6) && local) {
        if (!access_admits(p, s, peer, packet, len))
            return;
        if (!dgram_packet_in(p, s, local, packet, len))
            tcpip_input6(p->tcpip, p->now, packet, len, local, s->own);
    } else {
        p->count.packets_spoofed++;
        if (local)
            drop_misuse(p, peer);
    }
}

static void data_in(struct overlay *o, const struct addr *from, uint8_t *data, size_t len)
{
    struct pump *p = o->p;
    struct wire_data d;
    struct peer *peer;
    uint8_t *plain;
    size_t plain_len;
    if (data_decode(data, len, &d) < 0) {
        p->count.packets_bad++;
        return;
    }
    if (d.proto == PROTO_GROUP && mcast_in(o, &d))
        return;
    if (d.proto == PROTO_NAME && d.n == 1 && claims_in(o, &d))
        return;
    if (d.n > 1) {
        waypoint_in(o, &d, data, len);
        return;
    }
    if (d.proto == PROTO_JOIN || d.proto == PROTO_JOINED) {
        (d.proto == PROTO_JOIN ? share_join_in : join_joined_in)(o, &d);
        return;
    }
    struct side *s = side_by_id(o, d.ids);
    enum peer_verdict verdict = s ? peers_input(s->peers, p->now, p->wall, from, &d, &o->out, &peer, &plain, &plain_len) : PEER_DROP;
    bool good = verdict == PEER_WORD || verdict == PEER_PACKET;
    if (!good || (s->retired && verdict == PEER_PACKET))
        return;
    triggers_delivered(o->triggers, p->now, from);
    if (mono_since(o->transport.heard, p->now) > HEARD_AGAIN_US && owners_has(o->owners, from))
        transport_heard(&o->transport, p->now, from);
    uint8_t ecn = from->via == ADDR_UDP ? udp_ecn(o->udp) : 0;
    if (verdict == PEER_WORD)
        word_in(s, peer, ecn, plain, plain_len);
    else
        peer_packet(p, s, peer, ecn, plain, plain_len);
}

static void not_present_in(struct overlay *o, const struct addr *from, uint8_t *data, size_t len)
{
    struct pump *p = o->p;
    struct wire_not_present np;
    if (!owners_has(o->owners, from) || not_present_decode(data, len, &np) < 0) {
        p->count.packets_bad++;
        return;
    }
    lookup_not_present(o, &np);
    for (struct side *s = o->sides; s; s = s->next)
        peers_not_present(s->peers, p->now, p->wall, &np);
    join_not_present(o, &np);
    triggers_doubt(o->triggers, p->now); /* the node may have lost ours as well */
}

static void trigger_in(struct overlay *o, const struct addr *from, uint8_t *data, size_t len)
{
    struct pump *p = o->p;
    if (triggers_input(o->triggers, p->now, from, data, len) < 0)
        p->count.packets_bad++;
    else
        transport_heard(&o->transport, p->now, from);
}

/* That of a trigger; or we send faster than the node's operator allows, which it says once. */
static void refused_in(struct overlay *o, const struct addr *from, uint8_t *data, size_t len)
{
    struct pump *p = o->p;
    struct wire_refused r;
    if (refused_decode(data, len, &r) || r.reason != REFUSED_RATE)
        trigger_in(o, from, data, len);
    else
        p->count.slowed++;
}

/* Who owns an id, for a packet or for a trigger of ours; and whether a node lives. */
static void owner_in(struct overlay *o, const struct addr *from, uint8_t *data, size_t len)
{
    struct pump *p = o->p;
    bool ours = owners_input(o->owners, p->now, from, data, len) == 0;
    if (!ours && o->nodes)
        ours = nodes_input(o->nodes, p->now, from, data, len) == 0 || sampler_input(o->sample.sampler, p->now, from, data, len) == 0;
    if (ours)
        transport_heard(&o->transport, p->now, from);
    else if (transport_input(&o->transport, p->now, from, data, len) < 0)
        trigger_in(o, from, data, len);
}

void net_packet_in(void *ctx, const struct addr *from, uint8_t *data, size_t len)
{
    static void (*const handler[16])(struct overlay *, const struct addr *, uint8_t *, size_t) = {
        [WIRE_DATA] = data_in,
        [WIRE_NOT_PRESENT] = not_present_in,
        [WIRE_CHALLENGE] = trigger_in,
        [WIRE_ACK] = trigger_in,
        [WIRE_REFUSED] = refused_in,
        [WIRE_BATCH] = trigger_in,
        [WIRE_OWNER] = owner_in,
        [WIRE_PONG] = owner_in,
    };
    struct overlay *o = ctx;
    unsigned kind = wire_kind(data, len);
    if (handler[kind])
        handler[kind](o, from, data, len);
    else
        o->p->count.packets_bad++; /* and not a word to strangers */
    if (outbox_is_tight(&o->out))
        net_flush(o);
}

/* ---- out ---- */

/* A socket which is full is no news, one that cannot send there at all is. */
static void net_send_failed(void *ctx, const struct addr *to, size_t len, int err)
{
    struct overlay *o = ctx;
    struct pump *p = o->p;
    for (struct side *s = o->sides; s && err == EMSGSIZE; s = s->next)
        peers_too_big(s->peers, p->now, to, len);
    if (err == ENETUNREACH || err == EHOSTUNREACH || err == EADDRNOTAVAIL || err == EACCES || err == EPERM || err == EINVAL ||
        err == EAFNOSUPPORT)
        for (struct side *s = o->sides; s; s = s->next)
            peers_send_failed(s->peers, p->now, to);
}

void net_flush(struct overlay *o)
{
    if (o->out.n)
        link_send(o);
    if (o->out.n)
        udp_send(o->udp, &o->out, net_send_failed, o);
    o->sealed = 0;
}

/* On the way the packet bears the addresses of the peer's end. Normally they are ours too (10.H24 of the ids, paper 3.3) and
 * nothing is to be done; a rewritten packet is built whole first. IPv6 addresses are the same everywhere. */
static ssize_t seal(const struct side *s, struct peer *peer, const struct iovec *v, int n, size_t len)
{
    struct overlay *o = s->o;
    struct pump *p = o->p;
    struct peer_addresses a = peer_addresses(peer);
    uint8_t *out = o->seal + o->sealed;
    size_t cap = PUMP_SEAL_BUF - o->sealed;
    if ((a.local == a.address && s->own == a.we_are) || *(const uint8_t *)v[0].iov_base >> 4 == 6)
        return peer_seal(s->peers, peer, p->now, p->wall, v, n, out, cap);

    uint8_t whole[PUMP_PACKET_MAX];
    size_t at = 0;
    if (len > sizeof(whole))
        return -EMSGSIZE;
    for (int i = 0; i < n; i++) {
        memcpy(whole + at, v[i].iov_base, v[i].iov_len);
        at += v[i].iov_len;
    }
    ip_rewrite(whole, at, a.we_are, a.address);
    return peer_seal(s->peers, peer, p->now, p->wall, &(struct iovec){whole, at}, 1, out, cap);
}

/* A packet for which there is no key yet waits for the session; the oldest gives way. */
static void hold(struct pump *p, uint32_t remote, const struct iovec *v, int n, size_t len)
{
    if (len > sizeof(p->held[0].data))
        return;
    if (p->held_n == PUMP_HELD_MAX) {
        p->held_first = (p->held_first + 1) % PUMP_HELD_MAX;
        p->held_n--;
        p->count.held_lost++;
    }
    struct held *h = &p->held[(p->held_first + p->held_n++) % PUMP_HELD_MAX];
    h->remote = remote;
    h->len = 0;
    for (int i = 0; i < n; i++) {
        memcpy(h->data + h->len, v[i].iov_base, v[i].iov_len);
        h->len = (uint16_t)(h->len + v[i].iov_len);
    }
}

static void packet_out(const struct side *s, struct peer *peer, uint32_t remote, const struct iovec *v, int n, size_t len)
{
    struct overlay *o = s->o;
    struct pump *p = o->p;
    if (outbox_is_tight(&o->out) || PUMP_SEAL_BUF - o->sealed < PUMP_PACKET_MAX)
        net_flush(o);
    ssize_t sealed = seal(s, peer, v, n, len);
    if (sealed > 0) {
        if (p->trace)
            trace_packet(p, remote, true, v, n, len);
        outbox_push(&o->out, peer_destination(s->peers, peer), o->seal + o->sealed, (size_t)sealed);
        if (!peer_is_direct(peer))
            transport_used(&o->transport, p->now);
        outbox_set_ecn(&o->out, ip_ecn(v[0].iov_base)); /* RFC 6040: a tunnel that keeps to the normal mode */
        o->sealed += (size_t)sealed;
    } else if (sealed == -ENOTCONN) {
        hold(p, remote, v, n, len);
    } else {
        p->count.packets_unsealed++;
    }
}

void net_send_packet(struct pump *p, uint32_t remote, const struct iovec *v, int n, size_t len)
{
    struct side *s;
    struct peer *peer;
    uint32_t own = side_source(p, v[0].iov_base);
    if (overlay_route(p, own, remote, &s, &peer))
        packet_out(s, peer, remote, v, n, len);
    else if (side_by_own(p, own))
        mcast_send(p, remote, v, n, len);
    else
        p->count.packets_unsealed++; /* nobody's address here: it speaks for no one */
}

/* One overlay that is slow does not hold up the others: what it cannot take is lost there, as in a router's queue. */
static bool all_full(const struct pump *p)
{
    for (const struct overlay *o = NULL; (o = overlay_each(p, o));)
        if (!link_is_full(o))
            return false;
    return true;
}

static void engine_output(struct pump *p)
{
    struct tcpip_packet v[64];
    uint32_t src, dst;
    size_t n;
    while (!all_full(p) && (n = tcpip_output(p->tcpip, p->now, v, ARRAY_LEN(v), &src, &dst)) > 0) {
        struct side *s;
        struct peer *peer;
        bool known = overlay_route(p, src, dst, &s, &peer);
        for (size_t i = 0; known && i < n; i++) {
            struct iovec iov[3] = {{v[i].head, v[i].head_len}, v[i].body[0], v[i].body[1]};
            packet_out(s, peer, dst, iov, v[i].body[1].iov_len ? 3 : v[i].body[0].iov_len ? 2 : 1, v[i].len);
        }
    }
}

static void overlay_output(struct overlay *o)
{
    struct pump *p = o->p;
    if (outbox_is_tight(&o->out))
        net_flush(o);
    owners_output(o->owners, p->now, &o->out);
    if (o->nodes && mono_due(nodes_deadline(o->nodes), p->now))
        nodes_output(o->nodes, p->now, &o->out);
    if (o->nodes && mono_due(sampler_deadline(o->sample.sampler), p->now))
        sampler_output(o->sample.sampler, p->now, &o->out);
    uint64_t unanswered = 0;
    for (struct side *s = o->sides; s; s = s->next) {
        if (outbox_is_tight(&o->out))
            net_flush(o);
        if (overlay_may_call(o) && mono_due(peers_deadline(s->peers), p->now))
            peers_output(s->peers, p->now, o->anon ? o->wall : p->wall, &o->out);
        unanswered += peers_unanswered(s->peers);
    }
    if (unanswered != o->unanswered) {
        o->unanswered = unanswered;
        triggers_doubt(o->triggers, p->now);
        transport_doubt(&o->transport, p->now);
    }
    if (outbox_is_tight(&o->out))
        net_flush(o);
    if (o->node_addr.family && !anon_fades(o) && mono_due(triggers_deadline(o->triggers), p->now))
        triggers_output(o->triggers, p->now, &o->out);
    net_flush(o);
}

void net_output(struct pump *p)
{
    engine_output(p);
    for (struct overlay *o = NULL; (o = overlay_each(p, o));)
        overlay_output(o);
}

/* ---- sessions ---- */

static void send_held(struct pump *p, const struct side *s, struct peer *peer, uint32_t remote)
{
    for (unsigned n = p->held_n; n > 0; n--) {
        struct held h = p->held[p->held_first];
        p->held_first = (p->held_first + 1) % PUMP_HELD_MAX;
        p->held_n--;
        if (h.remote == remote && side_source(p, h.data) == s->own)
            packet_out(s, peer, remote, &(struct iovec){h.data, h.len}, 1, h.len);
        else
            hold(p, h.remote, &(struct iovec){h.data, h.len}, 1, h.len);
    }
}

int net_failed_lately(const struct pump *p, uint32_t host)
{
    enum { LATELY_US = 1000000 }; /* no new handshake would begin before */
    for (unsigned i = 0; i < PUMP_FAILED_MAX; i++) {
        const struct failed_host *f = &p->failed[i];
        if (f->host == host && f->err && mono_since(f->at, p->now) < LATELY_US)
            return f->err;
    }
    return 0;
}

/* err 0: it was none. */
static void note_failure(struct pump *p, uint32_t host, int err)
{
    for (unsigned i = 0; i < PUMP_FAILED_MAX; i++)
        if (p->failed[i].host == host)
            p->failed[i].err = 0;
    if (err)
        p->failed[p->failed_next++ % PUMP_FAILED_MAX] = (struct failed_host){host, err, p->now};
}

uint16_t net_mtu(struct pump *p, uint32_t remote)
{
    uint16_t mtu = (uint16_t)p->config.mtu;
    bool peers = false;
    for (const struct overlay *o = NULL; (o = overlay_each(p, o));)
        for (const struct side *s = o->sides; s; s = s->next) {
            struct peer_info info;
            const struct peer *peer = peer_by_address(s->peers, remote);
            if (!peer || s->retired)
                continue;
            peers |= !s->group;
            peer_info(s->peers, peer, p->now, &info);
            if (info.standing && info.mtu < mtu)
                mtu = info.mtu;
        }
    return !peers && names_is_multicast(p, remote) ? mcast_mtu(p) : mtu;
}

static void peer_event(struct pump *p, const struct side *s, const struct peer_event *e)
{
    struct peer_info info;
    if (!s->o->anon && (e->kind == PEER_UP || e->kind == PEER_UNREACHABLE))
        rotation_session(s, e->peer, e->kind == PEER_UP);
    if (s->retired)
        return;
    peer_info(s->peers, e->peer, p->now, &info);
    /* leave room in the peer's socket for the kernel's own bookkeeping and for other senders */
    if (e->kind != PEER_UNREACHABLE)
        tcpip_set_path(p->tcpip, info.local, info.recv_buffer / 2, net_mtu(p, info.local));
    if (e->moved)
        tcpip_replace_remote(p->tcpip, p->now, info.local, ECONNRESET);
    if (e->anew)
        tcpip_ask_remote(p->tcpip, p->now, info.local);
    if (e->kind == PEER_UP || e->kind == PEER_BACK)
        tcpip_revive(p->tcpip, p->now, info.local);
    p->ever_met |= e->kind == PEER_UP;
    if (e->kind == PEER_UP && !s->group && !s->o->anon && !strangers_has(p, info.key))
        state_met(p, info.key);
    if (e->kind == PEER_UP)
        send_held(p, s, e->peer, info.local);
    if (!s->group)
        note_failure(p, info.local, e->kind == PEER_UNREACHABLE ? e->err : 0);
    if (e->kind == PEER_UNREACHABLE)
        tcpip_fail_remote(p->tcpip, p->now, info.local, e->err, false);
}

void net_peer_events(struct pump *p)
{
    struct peer_event e;
    for (struct overlay *o = NULL; (o = overlay_each(p, o));)
        for (struct side *s = o->sides; s; s = s->next)
            while (peers_event(s->peers, &e))
                peer_event(p, s, &e);
}

/* ---- the node ---- */

enum { NODE_SILENCE_US = 6000000 };

static void set_home(struct overlay *o, const struct addr *node)
{
    struct pump *p = o->p;
    char s[ADDR_STR];
    o->node_addr = *node;
    o->node_since = p->now;
    if (node->family && !o->anon)
        log_info("node address=%s%s%s%s", addr_str(node, s), o->node ? " embedded" : "", *o->name ? " overlay=" : "", o->name);
    for (struct side *side = o->sides; side; side = side->next)
        peers_set_node(side->peers, node);
    if (o->nodes)
        sampler_set_home(o->sample.sampler, p->now, node);
    transport_home(&o->transport, p->now, node);
}

void net_set_home(struct overlay *o, const struct addr *node)
{
    struct pump *p = o->p;
    set_home(o, node);
    owners_set_home(o->owners, node);
    triggers_set_node(o->triggers, p->now, node);
}

/* What is known of other nodes stays true, as long as they are reached as before. */
static void use_node(struct overlay *o, const struct addr *node, bool old_lives)
{
    struct pump *p = o->p;
    struct addr way = transport_way(&o->transport, node);
    if (!o->node_addr.family || o->node_addr.via != way.via) {
        net_set_home(o, &way);
        return;
    }
    set_home(o, &way);
    owners_change_home(o->owners, p->now, &way, old_lives);
    triggers_change_node(o->triggers, p->now, &way, old_lives);
}

/* No node configured: the first daemon of a machine runs one on the well-known port, the others use it, and whoever notices
 * that it is gone takes its place. */
static void use_local_node(struct overlay *o)
{
    struct pump *p = o->p;
    struct addr local = addr_v4(INADDR_LOOPBACK, CONFIG_DEFAULT_PORT);
    int err = o->node ? -EALREADY : node_pump_start(&o->node, p->loop, &local, NULL, NULL);
    if (err && err != -EADDRINUSE && err != -EALREADY)
        log_error("node embedded start failed err=%d", err);
    use_node(o, &local, false);
}

void net_drawn_node(struct overlay *o, const struct addr *node)
{
    use_node(o, node, false);
}

void net_use_node(struct overlay *o, unsigned i)
{
    struct pump *p = o->p;
    nodes_prefer(o->nodes, p->now, i);
    o->node_index = i;
    use_node(o, &o->configured[i], false);
}

/* Another one when the present one has been silent for long. */
static void choose_by_silence(struct overlay *o)
{
    struct pump *p = o->p;
    mono_t heard = triggers_last_answer(o->triggers);
    if (o->node_addr.family && o->node)
        return;
    bool silent = !triggers_all_standing(o->triggers) && mono_since(o->node_since, p->now) > NODE_SILENCE_US &&
                  (heard.us == MONO_NEVER.us || mono_since(heard, p->now) > NODE_SILENCE_US);
    if (o->node_addr.family && !silent && !owners_home_silent(o->owners, p->now))
        return;
    if (o->anon)
        anon_choose_node(o);
    else if (!o->nodes && o == o->p->overlays)
        use_local_node(o);
    else if (o->nodes)
        net_use_node(o, (o->node_index + 1) % o->n_configured);
}

/* The nearest that answers (i3/nodes.h), where it is measured: by UDP. */
static void choose_by_distance(struct overlay *o)
{
    struct pump *p = o->p;
    mono_t used = owners_home_used(o->owners);
    if (!triggers_all_standing(o->triggers))
        nodes_used(o->nodes, p->now);
    else if (used.us && mono_since(used, p->now) < USEC_PER_SEC)
        nodes_used(o->nodes, used);
    unsigned i = nodes_choice(o->nodes);
    if (o->node_addr.family && i == o->node_index)
        return;
    bool old_lives = o->node_addr.family && nodes_lives(o->nodes, o->node_index);
    o->node_index = i;
    use_node(o, &o->configured[i], old_lives);
}

void net_leave_node(struct overlay *o)
{
    net_set_home(o, &(struct addr){0});
}

void net_choose_node(struct overlay *o)
{
    if (o->nodes && o->node_addr.via == ADDR_UDP)
        choose_by_distance(o);
    else
        choose_by_silence(o);
}
