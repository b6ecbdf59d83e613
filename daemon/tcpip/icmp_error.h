/* icmp_error.h - ICMP errors (RFC 792, 1122 3.2.2) and ICMPv6's (RFC 4443): what they say to a socket, as Linux has it.
 *
 *   |IP header of the error|type, code, checksum, (mtu)|IP header + at least 8 bytes of the packet it is about ...
 *
 * An error may come from the host that the packet quoted was sent to, and from nobody else: between two hosts of the overlay
 * there is no router.
 */
#ifndef I3_ICMP_ERROR_H
#define I3_ICMP_ERROR_H

#include "daemon/tcpip/ip6.h"

enum { ICMP_ERROR_MAX = 576, ICMP_ERROR_HEAD = 8 };

struct icmp_error {
    int err;       /* the errno: ECONNREFUSED for "port unreachable" */
    uint16_t mtu;  /* EMSGSIZE: what fits, 0 if it was not said */
    uint8_t proto; /* of the packet quoted: IP_TCP or IP_UDP */
    uint16_t local_port, remote_port;
    uint32_t seq; /* TCP's, 0 for UDP */
};

/* A packet whose header ip_parse() or ip6_parse() has read. False: no error about a packet of ours to the sender, or malformed, or
 * one that says nothing (source quench). */
bool icmp_error_parse(const uint8_t *packet, const struct ip_header *ip, struct icmp_error *out);

/* "Port unreachable" about the `quoted` packet (len bytes of it at hand), from its destination to its source. Returns the length
 * written, at most ICMP_ERROR_MAX, or 0 when the packet must not be answered (too short, an ICMP error itself, a later
 * fragment). _as: what the socket there shall see, where that can be said: EHOSTUNREACH, ENETUNREACH, EACCES (IPv6; EHOSTUNREACH over IPv4); anything
 * else is "port unreachable". */
size_t icmp_error_build_as(uint8_t out[ICMP_ERROR_MAX], uint16_t id, const uint8_t *quoted, size_t len, int err);
size_t icmp_error_build(uint8_t out[ICMP_ERROR_MAX], uint16_t id, const uint8_t *quoted, size_t len);

#endif
