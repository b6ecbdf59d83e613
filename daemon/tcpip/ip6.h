/* ip6.h - IPv6 headers (RFC 8200) and their pseudo-header.
 *
 *    0        4              8         24               40
 *   |0x6 flow | length | next, hops | source | destination | upper layer
 *
 * No extension headers: packets that carry one have an upper layer which nobody here knows, and are dropped. So are
 * jumbograms. A path whose MTU is below 1280 is no obstacle: the tunnel below takes whatever TCP makes small enough.
 */
#ifndef I3_IP6_H
#define I3_IP6_H

#include "daemon/tcpip/ip.h"

enum { IP6_HEAD = 40, IP6_ADDRESS = 16, IP6_SRC = 8, IP6_DST = 24, IP6_ICMP = 58 };

/* Reads and checks a header: version, length. src and dst of *h stay as they are. False: drop it. */
bool ip6_parse(const uint8_t *packet, size_t len, struct ip_header *h);

/* Anything that looks like an IPv6 packet, and goes from `src` to `dst`. */
bool ip6_is_from_to(const uint8_t *packet, size_t len, const uint8_t src[IP6_ADDRESS], const uint8_t dst[IP6_ADDRESS]);

/* A header between two hosts which lacks only length and upper layer; the low 20 bits of `label` are the flow label. */
void ip6_template(uint8_t out[IP6_HEAD], const uint8_t src[IP6_ADDRESS], const uint8_t dst[IP6_ADDRESS], uint32_t label);

/* The template of what goes the other way, without a flow label. */
void ip6_template_back(uint8_t out[IP6_HEAD], const uint8_t *header);

/* Writes 40 bytes at `out`: the template with `next` as its upper layer and `len` bytes behind the header. */
void ip6_build(uint8_t *out, const uint8_t *template, uint8_t next, uint16_t len);

/* The sum of the pseudo-header (RFC 8200 8.1) for an upper-layer length. */
static inline uint64_t ip6_pseudo_sum(const uint8_t *header, uint8_t next, uint16_t len)
{
    return ip_sum(header + IP6_SRC, 2 * IP6_ADDRESS) + __builtin_bswap16(next) + __builtin_bswap16(len);
}

#endif
