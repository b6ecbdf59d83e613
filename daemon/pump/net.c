/* pump/net.c - between the overlays' sockets and the rooms: peers' packets in, packets out, what becomes of sessions. */
#include "daemon/pump/impl.h"

#include <errno.h>

#include "daemon/base/log.h"
#include "daemon/pump/anon.h"
#include "daemon/pump/box.h"
#include "daemon/pump/claims.h"
#include "daemon/pump/gateway.h"
#include "daemon/pump/lookup.h"
#include "daemon/tcpip/ip6.h"

/* ---- in ---- */

static void trace_in(struct pump *p, uint32_t host, uint8_t *packet, size_t len)
{
    if (p->trace && host)
        trace_packet(p, host, false, &(struct iovec){packet, len}, 1, len);
}

/* To an anonymous program's peer nothing is said that depends on this user's network (i3/peer.h): what bears the addresses that were said gets
 * those of this end. What is behind a gateway has the same address at both ends. */
static void as_we_say(const struct side *s, struct peer *peer, uint8_t *packet, size_t len)
{
    uint32_t src, dst;
    struct peer_addresses a = peer_addresses(peer);
    if (!ip_addresses(packet, len, &src, &dst) || dst != peers_own_address(s->peers))
        return;
    uint32_t from = src == a.address || src == peer_default_address(s->peers, peer) ? a.local : src;
    if (src != from || dst != s->own)
        ip_rewrite(packet, len, from, s->own);
}

/* A peer's decrypted packet: it may speak for its own address to ours, and for nothing else. Addresses are those of this
 * end: where the two ends know each other under different ones, the sender has rewritten them. */
static void peer_packet(struct pump *p, const struct side *s, struct peer *peer, uint8_t ecn, bool by_boxes, uint8_t *packet, size_t len)
{
    uint32_t src, dst, local = peer_addresses(peer).local;
    if (!by_boxes && box_bypassed(p, s, peer))
        return;
    if (!ip_take_ecn(packet, len, ecn)) {
        p->count.packets_bad++;
        return;
    }
    if (s->o->anon)
        as_we_say(s, peer, packet, len);
    if (ip_addresses(packet, len, &src, &dst) && src == local && dst == s->own) {
        trace_in(p, local, packet, len);
        if (!access_admits(p, s, peer, packet, len))
            return;
        if (!dgram_packet_in(p, s, local, packet, len))
            tcpip_input(p->tcpip, p->now, packet, len);
    } else if (ip6_is_from_to(packet, len, peer_address6(peer), s->own6) && local) {
        trace_in(p, local, packet, len);
        if (!access_admits(p, s, peer, packet, len))
            return;
        if (!dgram_packet_in(p, s, local, packet, len))
            tcpip_input6(p->tcpip, p->now, packet, len, local, s->own);
    } else if (!gate_client_packet(p, s, peer, packet, len) && !gate_server_packet(p, s, peer, packet, len)) {
        trace_in(p, local, packet, len);
        p->count.packets_spoofed++;
        if (local)
            drop_misuse(p, peer);
    }
}

void net_routed_in(struct pump *p, const struct side *s, struct peer *peer, uint8_t *packet, size_t len)
{
    peer_packet(p, s, peer, 0, true, packet, len);
}

void net_data_in(struct overlay *o, const struct addr *from, uint8_t *data, size_t len)
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
    if (o->kind->heard)
        o->kind->heard(o, from);
    uint8_t ecn = from->via == ADDR_UDP ? udp_ecn(o->udp) : 0;
    if (verdict == PEER_WORD)
        word_in(s, peer, ecn, plain, plain_len);
    else
        peer_packet(p, s, peer, ecn, false, plain, plain_len);
}

/* ---- out ---- */

/* A socket which is full is no news, one that cannot send there at all is. */
void net_send_failed(void *ctx, const struct addr *to, size_t len, int err)
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
        o->kind->send(o);
    o->sealed = 0;
}

/* On the way the packet bears the addresses of the peer's end. Normally they are ours too (10.H24 of the ids, paper 3.3) and
 * nothing is to be done; a rewritten packet is built whole first. IPv6 addresses are the same everywhere. */
static ssize_t seal(const struct side *s, struct peer *peer, struct peer **hop, const struct iovec *v, int n, size_t len)
{
    struct overlay *o = s->o;
    struct pump *p = o->p;
    struct peer_addresses a = peer_addresses(peer);
    uint8_t *out = o->seal + o->sealed + o->kind->headroom, whole[PUMP_PACKET_MAX], head[BOX_HEAD];
    size_t cap = PUMP_SEAL_BUF - o->sealed - o->kind->headroom, at = 0;
    struct iovec w[5];
    bool as_is = (a.local == a.address && s->own == a.we_are) || *(const uint8_t *)v[0].iov_base >> 4 == 6;
    *hop = peer;
    if (as_is && !peer_box(peer) && !p->config.require.n)
        return peer_seal(s->peers, peer, p->now, p->wall, v, n, out, cap);

    int err = box_out(s, peer, len, head, hop);
    if (err)
        return err;
    if (as_is) {
        memcpy(w + 1, v, (size_t)n * sizeof(*v));
    } else {
        if (len > sizeof(whole))
            return -EMSGSIZE;
        for (int i = 0; i < n; at += v[i++].iov_len)
            memcpy(whole + at, v[i].iov_base, v[i].iov_len);
        uint32_t src = ip_load32(whole + 12), dst = ip_load32(whole + 16); /* what is behind a gateway has the same address at both ends */
        ip_rewrite(whole, at, src == s->own ? a.we_are : src, dst == a.local ? a.address : dst);
        w[1] = (struct iovec){whole, at};
        n = 1;
    }
    if (*hop == peer)
        return peer_seal(s->peers, peer, p->now, p->wall, w + 1, n, out, cap);
    w[0] = (struct iovec){head, sizeof(head)};
    return peer_seal(s->peers, *hop, p->now, p->wall, w, n + 1, out, cap);
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

/* What was sealed behind the headroom goes to that peer. */
void net_push_sealed(const struct side *s, const struct peer *peer, size_t len, uint8_t ecn)
{
    struct overlay *o = s->o;
    outbox_push(&o->out, peer_destination(s->peers, peer), o->seal + o->sealed + o->kind->headroom, len);
    if (o->kind->sent && !peer_is_direct(peer))
        o->kind->sent(o);
    outbox_set_ecn(&o->out, ecn); /* RFC 6040: a tunnel that keeps to the normal mode */
    o->sealed += o->kind->headroom + len;
}

static void packet_out(const struct side *s, struct peer *peer, uint32_t remote, const struct iovec *v, int n, size_t len)
{
    struct overlay *o = s->o;
    struct pump *p = o->p;
    if (outbox_is_tight(&o->out) || PUMP_SEAL_BUF - o->sealed < PUMP_PACKET_MAX)
        net_flush(o);
    struct peer *hop;
    ssize_t sealed = seal(s, peer, &hop, v, n, len);
    if (sealed > 0) {
        if (p->trace)
            trace_packet(p, remote, true, v, n, len);
        net_push_sealed(s, hop, (size_t)sealed, ip_ecn(v[0].iov_base));
    } else if (sealed == -ENOTCONN) {
        hold(p, remote, v, n, len);
    } else {
        p->count.packets_unsealed++;
    }
}

void net_send_packet(struct pump *p, uint32_t remote, const struct iovec *v, int n, size_t len)
{
    net_send_from(p, side_source(p, v[0].iov_base), remote, v, n, len);
}

void net_send_from(struct pump *p, uint32_t own, uint32_t remote, const struct iovec *v, int n, size_t len)
{
    struct side *s;
    struct peer *peer;
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
        if (!o->kind->full || !o->kind->full(o))
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
    o->kind->output(o);
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
        if (o->kind->doubt)
            o->kind->doubt(o);
    }
    if (o->kind->output_last)
        o->kind->output_last(o);
    net_flush(o);
}

void net_output(struct pump *p)
{
    engine_output(p);
    for (struct overlay *o = NULL; (o = overlay_each(p, o));)
        overlay_output(o);
}

/* ---- sessions ---- */

void net_send_held(struct pump *p, const struct side *s, struct peer *peer)
{
    uint32_t remote = peer_addresses(peer).local;
    for (unsigned n = p->held_n; n > 0; n--) {
        struct held h = p->held[p->held_first];
        p->held_first = (p->held_first + 1) % PUMP_HELD_MAX;
        p->held_n--;
        if (gate_host(p, h.remote) == remote && side_source(p, h.data) == s->own)
            packet_out(s, peer, h.remote, &(struct iovec){h.data, h.len}, 1, h.len);
        else
            hold(p, h.remote, &(struct iovec){h.data, h.len}, 1, h.len);
    }
}

int net_failed_lately(const struct pump *p, uint32_t host)
{
    enum { LATELY_US = 1000000 }; /* no new handshake would begin before */
    host = gate_host(p, host);
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
    remote = gate_host(p, remote);
    for (const struct overlay *o = NULL; (o = overlay_each(p, o));)
        for (const struct side *s = o->sides; s; s = s->next) {
            struct peer_info info;
            const struct peer *peer = peer_by_address(s->peers, remote);
            if (!peer || s->retired)
                continue;
            peers |= !s->group;
            peer_info(s->peers, peer, p->now, &info);
            info.mtu = box_mtu(p, s, peer, info.mtu);
            if (info.standing && info.mtu < mtu)
                mtu = info.mtu;
        }
    return !peers && names_is_multicast(p, remote) ? mcast_mtu(p) : mtu;
}

/* leave room in the peer's socket for the kernel's own bookkeeping and for other senders */
void net_set_path(struct pump *p, const struct side *s, const struct peer *peer)
{
    struct peer_info info;
    peer_info(s->peers, peer, p->now, &info);
    if (info.local)
        tcpip_set_path(p->tcpip, info.local, info.recv_buffer / 2, net_mtu(p, info.local));
}

static void peer_event(struct pump *p, const struct side *s, const struct peer_event *e)
{
    struct peer_info info;
    if (!s->o->anon && (e->kind == PEER_UP || e->kind == PEER_UNREACHABLE))
        rotation_session(s, e->peer, e->kind == PEER_UP);
    if (s->retired)
        return;
    if (box_event(p, s, e))
        return;
    peer_info(s->peers, e->peer, p->now, &info);
    if (e->kind != PEER_UNREACHABLE)
        net_set_path(p, s, e->peer);
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
        net_send_held(p, s, e->peer);
    if (!s->group)
        note_failure(p, info.local, e->kind == PEER_UNREACHABLE ? e->err : 0);
    if (e->kind == PEER_UNREACHABLE)
        tcpip_fail_remote(p->tcpip, p->now, info.local, e->err, false);
    gate_client_event(p, s, e);
}

void net_peer_events(struct pump *p)
{
    struct peer_event e;
    for (struct overlay *o = NULL; (o = overlay_each(p, o));)
        for (struct side *s = o->sides; s; s = s->next)
            while (peers_event(s->peers, &e))
                peer_event(p, s, &e);
}
