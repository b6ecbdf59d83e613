/* pump/access.c - the access table (policy/access.h) of this daemon, and what it means for a packet: a guest's ends here unless it is for a
 * port that is shared with it, or belongs to something which began on our side. No answer tells it that there is anything else.
 */
#include "daemon/pump/impl.h"

#include <errno.h>

#include "daemon/tcpip/ip6.h"

enum { ICMP_ECHO = 8, ICMP6_ECHO = 128, TCP_MIN = 20 };

/* ---- the table ---- */

int access_rebuild(struct pump *p)
{
    access_clear(p->access);
    p->access_turn += 1 + (p->access_turn == UINT32_MAX / 2);
    names_pin_book(p);
    flow_recheck(p);
    door_recheck(p);
    return 0;
}

/* ---- who ---- */

/* Worked out once per change, kept in the peer's mark: this is asked for every packet. */
bool access_is_guest(struct pump *p, struct peer *peer)
{
    uint32_t mark = peer_mark(peer);
    if (mark >> 1 != p->access_turn) {
        mark = p->access_turn << 1 | !names_is_friend(p, peer_key(peer));
        peer_set_mark(peer, mark);
    }
    return mark & 1;
}

/* A guest without a peer is nobody. */
const struct door *access_door(struct pump *p, const struct side *s, uint32_t host, uint8_t proto, uint16_t port, bool *guest)
{
    struct peer *peer = s ? peer_by_address(s->peers, host) : NULL;
    *guest = !peer || access_is_guest(p, peer);
    return peer && !s->group ? access_find(p->access, proto, port, peer_key(peer)) : NULL;
}

/* ---- packets of guests ---- */

static bool tcp_admitted(struct pump *p, const struct side *s, const struct peer *peer, const struct ip_header *ip, const uint8_t *tcp)
{
    uint16_t src = ip_load16(tcp), dst = ip_load16(tcp + 2);
    return access_find(p->access, IPPROTO_TCP, dst, peer_key(peer)) ||
           tcpip_has(p->tcpip, ip->v6, s->own, dst, peer_addresses(peer).local, src);
}

static bool guest_admitted(struct pump *p, const struct side *s, const struct peer *peer, const uint8_t *packet, size_t len)
{
    struct ip_header ip;
    if (ip_is_fragment(packet, len))
        return true; /* of datagrams, which are looked at when they are whole (pump/udp.c) */
    if (!(packet[0] >> 4 == 6 ? ip6_parse : ip_parse)(packet, len, &ip))
        return false;
    const uint8_t *body = packet + ip.head_len;
    size_t body_len = (size_t)(ip.len - ip.head_len);
    if (ip.proto == IP_UDP)
        return true; /* as well */
    if (ip.proto == IP_TCP)
        return body_len >= TCP_MIN && tcp_admitted(p, s, peer, &ip, body);
    /* answers to our pings, and errors about what we have sent */
    return ip.proto == (ip.v6 ? IP6_ICMP : IP_ICMP) && body_len && body[0] != (ip.v6 ? ICMP6_ECHO : ICMP_ECHO);
}

bool access_admits(struct pump *p, const struct side *s, struct peer *peer, const uint8_t *packet, size_t len)
{
    if (!access_is_guest(p, peer) || guest_admitted(p, s, peer, packet, len))
        return true;
    p->count.packets_barred++;
    drop_misuse(p, peer);
    return false;
}
