/* pump/udp.c - datagrams between programs and peers (program/dgram.h has the picture; pump/udp.h who does what).
 *
 * Nothing is stored: what a program sends to a mirror is sealed straight out of the receive buffers; what a peer sends goes to
 * the program's socket straight out of the packets, in trains. Datagrams for which there is no room, no session or nobody are
 * lost and counted, as UDP may.
 */
#include "daemon/pump/udp.h"

#include <errno.h>

#include "daemon/io/mirror.h"
#include "daemon/tcpip/fragment.h"
#include "daemon/tcpip/icmp_error.h"
#include "daemon/tcpip/udp.h"

enum {
    MTU_SURE = 548,    /* no path has a smaller one: the price of looking is spared */
    READ_ROUNDS = 4,   /* batches of one mirror in one turn, then others have theirs */
    ERRORS_BURST = 50, /* ICMP errors at once; refilled at ERRORS_RATE a second */
    ERRORS_RATE = 1000,
};

/* ---- programs to peers ---- */

/* The inner MTU towards a peer; looked up once a turn. */
static uint16_t mtu_of(struct pump *p, uint32_t remote)
{
    struct dgram_side *s = p->dgram;
    if (s->mtu_host == remote && s->mtu_at.us == p->now.us)
        return s->mtu;
    s->mtu_host = remote;
    s->mtu_at = p->now;
    s->mtu = net_mtu(p, remote);
    return s->mtu;
}

/* Too large for the path: the UDP header goes with the first piece. */
static void fragments_out(struct pump *p, uint32_t own, uint32_t host, const uint8_t *ip, const uint8_t udp[UDP_HEAD], const uint8_t *data,
    size_t len)
{
    uint8_t head[FRAGMENT_HEADS_MAX + UDP_HEAD];
    uint16_t room = fragment_room(ip, mtu_of(p, host)), id = p->dgram->ip_id++;
    size_t total = UDP_HEAD + len;
    for (size_t at = 0; at < total; at += room) {
        uint16_t body = (uint16_t)(total - at < room ? total - at : room);
        size_t front = at ? 0 : UDP_HEAD, n = fragment_build(head, ip, id, (uint16_t)at, body, at + room < total);
        memcpy(head + n, udp, front);
        struct iovec v[2] = {{head, n + front}, {(void *)(data + at + front - UDP_HEAD), body - front}};
        net_send_from(p, own, host, v, 2, n + body);
    }
}

/* From where m's peer is answered: where it has asked, as long as it has a session there. */
static const struct side *side_of_mirror(const struct pump *p, const struct mirror *m)
{
    const struct side *s = m->own == p->own ? NULL : side_by_own(p, m->own);
    const struct peer *peer = s ? peer_by_address(s->peers, m->host) : NULL;
    struct peer_info info;
    if (!peer)
        return p->overlays->sides;
    peer_info(s->peers, peer, p->now, &info);
    return info.standing ? s : p->overlays->sides;
}

/* The IP header of a datagram to m. Returns its length. */
static size_t ip_head(struct pump *p, const struct mirror *m, const struct side *s, uint8_t *out, size_t len)
{
    uint16_t body = (uint16_t)(UDP_HEAD + len);
    if (m->virt.family == 4) {
        ip_build(out, s->own, m->host, IP_UDP, p->dgram->ip_id++, (uint16_t)(IP_HEAD + body));
        return IP_HEAD;
    }
    uint8_t template[IP6_HEAD];
    ip6_template(template, s->own6, m->virt.ip, 0);
    ip6_build(out, template, IP_UDP, body);
    return IP6_HEAD;
}

void dgram_send(struct pump *p, uint32_t own, uint32_t host, const uint8_t *ip, size_t ip_len, uint16_t src_port, uint16_t dst_port, const uint8_t *data,
    size_t len)
{
    uint8_t head[UDP_HEADS_MAX];
    size_t n = ip_len + UDP_HEAD + len;
    struct iovec v[2] = {{head, ip_len + UDP_HEAD}, {(void *)data, len}};
    memcpy(head, ip, ip_len);
    udp_build(head + ip_len, head, src_port, dst_port, data, len);
    if (n > MTU_SURE && n > mtu_of(p, host))
        fragments_out(p, own, host, head, head + ip_len, data, len);
    else
        net_send_from(p, own, host, v, len ? 2 : 1, n);
}

void dgram_out(struct pump *p, const struct mirror *m, uint16_t port, const uint8_t *data, size_t len)
{
    uint8_t head[IP6_HEAD];
    const struct side *s = side_of_mirror(p, m);
    size_t n = ip_head(p, m, s, head, len);
    dgram_send(p, s->own, m->host, head, n, port, m->virt.port, data, len);
}

/* Other programs of this host hear what one of them sends to a group. */
static void loop_back(struct pump *p, const struct mirror *group, const struct usock *u, const uint8_t *data, size_t len)
{
    struct addr own = names_host_address(p, p->own, group->virt.family, u->asked.port);
    uint64_t cookie = u->cookie;
    struct mirror *m;
    if (dgram_mirror(p, &own, false, &m) < 0)
        return;
    mirror_touch(p->dgram->t, m, p->now);
    if (dgram_deliver_all(p, m, group->virt.port, cookie, data, len))
        dgram_flush(p); /* before the bytes go */
}

static void from_program(void *ctx, const struct addr *from, const uint8_t *data, size_t len)
{
    struct pump *p = ctx;
    struct dgram_side *s = p->dgram;
    struct mirror *m = s->reading;
    struct usock *u = dgram_sender(p, m, from);
    struct side *towards;
    struct peer *peer;
    if (!u) {
        s->count.strangers++;
        return;
    }
    u->peer = m->real;
    usock_touch(s->t, u, p->now);
    mirror_touch(s->t, m, p->now);
    s->count.out++;
    dgram_out(p, m, u->asked.port, data, len);
    if (!overlay_route_own(p, m->host, &towards, &peer) && mcast_is_member(p, m->host))
        loop_back(p, m, u, data, len);
}

void dgram_answer_unreachable(struct pump *p, uint32_t host, const uint8_t *packet, size_t len)
{
    dgram_answer_unreachable_from(p, 0, host, packet, len);
}

void dgram_answer_unreachable_from(struct pump *p, uint32_t own, uint32_t host, const uint8_t *packet, size_t len)
{
    uint8_t out[ICMP_ERROR_MAX];
    struct dgram_side *s = p->dgram;
    s->count.unreachable++;
    if (!dgram_bucket_take(&s->errors, p->now, ERRORS_BURST, ERRORS_RATE))
        return;
    size_t n = icmp_error_build(out, s->ip_id++, packet, len);
    if (n)
        net_send_from(p, own ? own : side_source(p, out), host, &(struct iovec){out, n}, 1, n);
}

/* What we delivered has found no socket: the peer hears of it as it would have from a kernel. */
static void refusals(struct pump *p, struct mirror_io *x)
{
    struct dgram_side *s = p->dgram;
    const struct mirror *m = x->m;
    struct addr to;
    const uint8_t *data;
    size_t len;
    while (mirror_refused(s->io, x->fd, &to, &data, &len)) {
        uint8_t packet[UDP_HEADS_MAX + 128], answer[IP6_HEAD];
        struct usock *u = usock_find(s->t, &to);
        uint16_t port = u ? u->asked.port : to.port;
        uint64_t cookie = u ? u->cookie : 0;
        if (u)
            dgram_verify(p, u, &m->real);
        if (dgram_other(p, m, port, cookie)) /* somebody else has what comes next */
            continue;
        if (len > 128)
            len = 128;
        /* as it came: the header of what we would send to the peer, turned round */
        size_t n = ip_head(p, m, side_of_mirror(p, m), packet, len);
        if (m->virt.family == 6) {
            ip6_template_back(answer, packet);
            ip6_build(packet, answer, IP_UDP, (uint16_t)(UDP_HEAD + len));
        } else {
            ip_build(packet, m->host, m->own, IP_UDP, 0, (uint16_t)(n + UDP_HEAD + len));
        }
        udp_build(packet + n, packet, m->virt.port, port, data, len);
        memcpy(packet + n + UDP_HEAD, data, len);
        dgram_answer_unreachable(p, m->host, packet, n + UDP_HEAD + len);
    }
}

/* True: there is more to read from it. */
static bool read_mirror(struct pump *p, struct mirror_io *x)
{
    struct dgram_side *s = p->dgram;
    int more = 1;
    s->reading = x->m;
    for (int i = 0; i < READ_ROUNDS && more; i++) {
        more = mirror_recv(s->io, x->fd, from_program, p);
        if (more < 0)
            refusals(p, x);
    }
    s->reading = NULL;
    return more != 0;
}

bool dgram_read(struct pump *p)
{
    struct dgram_side *s = p->dgram;
    struct mirror_io *last = s->ready_last, *x;
    while ((x = s->ready_first)) {
        mirror_unready(s, x);
        if (read_mirror(p, x))
            mirror_ready(x);
        if (x == last)
            break;
    }
    return s->ready_first != NULL;
}

/* ---- peers to programs ---- */

/* What a guest gets who has no door: an answer to what it was asked from here. */
static bool is_answer(const struct pump *p, const struct addr *virt, uint16_t port)
{
    const struct mirror *m = mirror_find(p->dgram->t, virt);
    struct usock *u = NULL;
    while (m && (u = usock_on_port(p->dgram->t, port, u)))
        if (addr_eq(&u->peer, &m->real))
            return true;
    return false;
}

static void udp_in(struct pump *p, const struct side *side, const uint8_t *packet, const struct ip_header *ip)
{
    struct dgram_side *s = p->dgram;
    struct udp_datagram d;
    struct mirror *m;
    if (!udp_parse(packet, ip, &d)) {
        s->count.bad++;
        return;
    }
    struct addr virt = ip->v6 ? addr_v6(packet + IP6_SRC, d.src_port) : addr_v4(ip->src, d.src_port);
    struct addr own = names_host_address(p, side->own, virt.family, d.dst_port);
    bool guest, here = usock_for(s->t, &own, 0);
    const struct door *door = access_door(p, side, ip->src, IPPROTO_UDP, d.dst_port, &guest);
    if (guest && !door && !is_answer(p, &virt, d.dst_port)) {
        struct peer *peer = peer_by_address(side->peers, ip->src);
        p->count.packets_barred++;
        if (peer)
            drop_misuse(p, peer);
        return;
    }
    if (door && (!here || (guest && !(addr_is_loopback(&door->target) && door->target.port == d.dst_port)))) {
        door_datagram(p, side, door, &virt, ip->src, d.data, d.len);
        return;
    }
    if (!here) {
        dgram_answer_unreachable(p, ip->src, packet, ip->len);
        return;
    }
    if (dgram_mirror(p, &virt, false, &m) < 0) {
        s->count.no_room++;
        return;
    }
    m->own = side->own;
    struct usock *u = dgram_receiver(p, m, d.dst_port);
    if (!u) {
        dgram_answer_unreachable(p, ip->src, packet, ip->len);
        return;
    }
    mirror_touch(s->t, m, p->now);
    deliver(p, u, m, d.data, d.len);
}

/* A peer says that its port is closed: so say all sockets that have last spoken to it from that port. */
static void port_closed(struct pump *p, const uint8_t *packet, const struct ip_header *ip, const struct icmp_error *e)
{
    struct dgram_side *s = p->dgram;
    struct addr virt = ip->v6 ? addr_v6(packet + IP6_SRC, e->remote_port) : addr_v4(ip->src, e->remote_port);
    struct mirror *m = mirror_find(s->t, &virt);
    struct usock *u = NULL;
    s->count.refused++;
    while (m && (u = usock_on_port(s->t, e->local_port, u))) {
        struct addr at = usock_address(u, m->real.family);
        if (addr_eq(&u->peer, &m->real))
            mirror_refuse(s->io, dgram_fd(m), &m->real, &at);
    }
}

/* `host` is the peer's handle. */
static bool packet_in(struct pump *p, const struct side *s, uint32_t host, const uint8_t *packet, size_t len)
{
    struct ip_header ip = {.src = host, .dst = s->own};
    struct icmp_error e;
    bool v6 = packet[0] >> 4 == 6;
    uint8_t proto = v6 ? packet[6] : packet[9];
    if (proto != IP_UDP && proto != (v6 ? IP6_ICMP : IP_ICMP))
        return false;
    if (!(v6 ? ip6_parse : ip_parse)(packet, len, &ip)) {
        p->dgram->count.bad++;
        return true;
    }
    if (proto == IP_UDP) {
        udp_in(p, s, packet, &ip);
        return true;
    }
    if (!icmp_error_parse(packet, &ip, &e) || e.proto != IP_UDP)
        return false;
    if (e.err == ECONNREFUSED) /* the others are no more than a hint: a UDP socket is not told of them */
        port_closed(p, packet, &ip, &e);
    return true;
}

static int multicast_in(struct pump *p, uint32_t host, const uint8_t *packet, size_t len)
{
    struct ip_header ip = {.src = host, .dst = p->own};
    struct udp_datagram d;
    struct mirror *m;
    if (!(packet[0] >> 4 == 6 ? ip6_parse : ip_parse)(packet, len, &ip) || !udp_parse(packet, &ip, &d)) {
        p->dgram->count.bad++;
        return 0;
    }
    struct addr virt = ip.v6 ? addr_v6(packet + IP6_SRC, d.src_port) : addr_v4(host, d.src_port);
    if (!usock_on_port(p->dgram->t, d.dst_port, NULL))
        return 0;
    if (dgram_mirror(p, &virt, false, &m) < 0) {
        p->dgram->count.no_room++;
        return 0;
    }
    mirror_touch(p->dgram->t, m, p->now);
    return (int)dgram_deliver_all(p, m, d.dst_port, 0, d.data, d.len);
}

int dgram_multicast_in(struct pump *p, uint32_t host, const uint8_t *packet, size_t len)
{
    size_t whole;
    if (!ip_is_fragment(packet, len))
        return multicast_in(p, host, packet, len);
    packet = reassembly_add(p->dgram->pieces, p->now, packet, len, &whole);
    if (!packet || (packet[0] >> 4 == 6 ? packet[6] : packet[9]) != IP_UDP)
        return -EAGAIN;
    int n = multicast_in(p, host, packet, whole);
    dgram_flush(p); /* before the bytes go */
    return n;
}

const uint8_t *dgram_piece(struct pump *p, const uint8_t *packet, size_t len, size_t *whole)
{
    return reassembly_add(p->dgram->pieces, p->now, packet, len, whole);
}

/* Of fragments only UDP's are taken: the engines send everything else whole. */
bool dgram_packet_in(struct pump *p, const struct side *s, uint32_t host, const uint8_t *packet, size_t len)
{
    size_t whole;
    if (!ip_is_fragment(packet, len))
        return packet_in(p, s, host, packet, len);
    packet = reassembly_add(p->dgram->pieces, p->now, packet, len, &whole);
    if (packet && (packet[0] >> 4 == 6 ? packet[6] : packet[9]) == IP_UDP) {
        packet_in(p, s, host, packet, whole);
        dgram_flush(p); /* before the bytes go */
    }
    return true;
}

void dgram_flush(struct pump *p)
{
    p->dgram->count.undelivered += mirrors_flush(p->dgram->io);
}
