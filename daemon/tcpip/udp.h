/* udp.h - UDP (RFC 768) in IPv4 and IPv6: headers written and read, nothing kept.
 *
 *   |IP header, 20 or 40 bytes ...       |
 *   |source port     |destination port   |     The payload is not copied: callers have it beside the head, and the
 *   |length          |checksum           |     AEAD gathers both.
 *
 * Datagrams that do not fit into the path's MTU leave as fragments and are put together again (fragment.h).
 */
#ifndef I3_UDP_HEADERS_H
#define I3_UDP_HEADERS_H

#include "daemon/tcpip/ip6.h"

enum { UDP_HEAD = 8, UDP_HEADS = IP_HEAD + UDP_HEAD, UDP_HEADS_MAX = IP6_HEAD + UDP_HEAD, UDP_DATA_MAX = 65535 - UDP_HEADS_MAX };

struct udp_datagram {
    uint16_t src_port, dst_port;
    uint16_t len;
    const uint8_t *data; /* inside the packet */
};

/* The UDP header for len bytes (at most 65,535 - UDP_HEADS) at data, its checksum included. ip: a header with the addresses, of
 * either version. */
void udp_build(uint8_t out[UDP_HEAD], const uint8_t *ip, uint16_t src_port, uint16_t dst_port, const void *data, size_t len);

/* A packet whose header ip_parse() or ip6_parse() has read, proto UDP. False: lengths or checksum are wrong (RFC 1122 4.1.3.4; in
 * IPv6 there must be one, RFC 8200 8.1), or no port. */
bool udp_parse(const uint8_t *packet, const struct ip_header *ip, struct udp_datagram *out);

#endif
