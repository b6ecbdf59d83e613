/* udp6.h - UDP in IPv6 (RFC 8200 8.1), its fragments (4.5) and the ICMPv6 error that speaks of it (RFC 4443 3.1).
 *
 *   |IPv6 header, 40|UDP 8|data|     |IPv6 header, 40|fragment header, 8|a piece of UDP header and data|
 *
 * Hosts are named by their handles (tcpip.h) in struct udp_names and icmp_error; the addresses themselves stand in templates
 * (ip6.h). Pieces are put together by fragment.h, to which each is shown as one of IPv4 between the handles.
 */
#ifndef I3_UDP6_H
#define I3_UDP6_H

#include "daemon/tcpip/ip6.h"
#include "daemon/tcpip/udp.h"

enum {
    UDP6_HEADS = IP6_HEAD + UDP_HEAD,
    IP6_FRAGMENT = 44, /* next header */
    FRAGMENT6_HEADS = IP6_HEAD + 8,
    FRAGMENT6_PROTO = 254, /* of such a piece while it passes for one of IPv4 */
    ICMP6_UNREACHABLE = 1,
    ICMP6_UNREACHABLE_PORT = 4,
    ICMP6_ERROR_MAX = 1280, /* RFC 4443 2.4 (c) */
};

/* The UDP header for len bytes at data. */
void udp6_build(uint8_t out[UDP_HEAD], const uint8_t *template, uint16_t src_port, uint16_t dst_port, const void *data, size_t len);

/* `have` bytes of UDP at udp, which came with the addresses of `header`. Sets ports and payload; the hosts are the caller's. False:
 * lengths or checksum are wrong; there always is a checksum in IPv6. */
bool udp6_parse(const uint8_t *header, const uint8_t *udp, size_t have, struct udp_datagram *out);

/* Both headers of a piece, as fragment_build(). */
void fragment6_build(uint8_t out[FRAGMENT6_HEADS], const uint8_t *template, uint8_t proto, uint32_t id, uint16_t offset,
    uint16_t body, bool more);

static inline uint16_t fragment6_room(uint16_t mtu)
{
    return (uint16_t)((mtu - FRAGMENT6_HEADS) & ~7);
}

/* A fragment of UDP whose IPv6 header was read: the piece as an IPv4 packet between the handles *ip has. Returns its length, at most
 * 20 more than the piece, or 0: malformed, of something else, or too long for `cap`. */
size_t fragment6_as4(uint8_t *out, size_t cap, const uint8_t *packet, const struct ip_header *ip);

/* "Port unreachable" about a UDP packet which the very source of the error was sent by its destination. */
bool icmp6_error_parse(const uint8_t *packet, const struct ip_header *ip, struct icmp_error *out);

/* That error, about the `quoted` UDP packet of len bytes. Returns the length written, 0 when there is not enough of it. */
size_t icmp6_error_build(uint8_t out[ICMP6_ERROR_MAX], const uint8_t *quoted, size_t len);

#endif
