/* udp.h - UDP (RFC 768) in IPv4, and the ICMP errors (RFC 792) that speak of it: headers written and read, nothing kept.
 *
 *   |0x45 ... IP header, 20 bytes ...    |
 *   |source port     |destination port   |     The payload is not copied: callers have it beside the head, and the
 *   |length          |checksum           |     AEAD gathers both.
 *
 * Datagrams that do not fit into the path's MTU leave as fragments and are put together again (fragment.h).
 */
#ifndef I3_UDP_HEADERS_H
#define I3_UDP_HEADERS_H

#include "daemon/tcpip/ip.h"

enum { UDP_HEAD = 8, UDP_HEADS = IP_HEAD + UDP_HEAD, UDP_DATA_MAX = 65535 - UDP_HEADS };

/* Host order. */
struct udp_names {
    uint32_t src, dst;
    uint16_t src_port, dst_port;
};

struct udp_datagram {
    struct udp_names names;
    const uint8_t *data; /* inside the packet */
    uint16_t len;
};

/* The UDP header for len bytes (at most UDP_DATA_MAX) at data, its checksum included. */
void udp_build(uint8_t out[UDP_HEAD], const struct udp_names *n, const void *data, size_t len);

/* A packet whose header ip_parse() has read, proto UDP. False: lengths or checksum are wrong (RFC 1122 4.1.3.4). */
bool udp_parse(const uint8_t *packet, const struct ip_header *ip, struct udp_datagram *out);

enum {
    ICMP_UNREACHABLE = 3,
    ICMP_UNREACHABLE_NET = 0,
    ICMP_UNREACHABLE_HOST = 1,
    ICMP_UNREACHABLE_PROTOCOL = 2,
    ICMP_UNREACHABLE_PORT = 3,
    ICMP_UNREACHABLE_FRAGMENT = 4, /* too big and DF: `mtu` says what fits */
    ICMP_UNREACHABLE_ADMIN = 13,
    ICMP_ERROR_HEAD = 8,
    ICMP_ERROR_MAX = 576, /* RFC 1122 3.2.2 */
};

/* What an ICMP error says: about a packet which we are said to have sent. */
struct icmp_error {
    uint8_t type, code, proto;
    uint16_t mtu;
    uint32_t src, dst; /* of the packet quoted: ours, the other's */
    uint16_t src_port, dst_port;
    uint32_t seq; /* TCP's, 0 for others */
};

/* An ICMP error (types 3, 4, 11, 12) which quotes at least 8 bytes of a first fragment of TCP or UDP. False: anything else, or
 * malformed. */
bool icmp_error_parse(const uint8_t *packet, const struct ip_header *ip, struct icmp_error *out);

/* "Destination unreachable" about the `quoted` packet (len bytes of it at hand), from its destination to its source. Returns
 * the length written, at most ICMP_ERROR_MAX, or 0 when the packet must not be answered (too short, an ICMP error itself,
 * a later fragment). */
size_t icmp_error_build(uint8_t out[ICMP_ERROR_MAX], uint8_t code, uint16_t id, const uint8_t *quoted, size_t len);

#endif
