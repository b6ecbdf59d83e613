/* ip.h - IPv4 headers (RFC 791), the Internet checksum (RFC 1071) and its incremental form (RFC 1624).
 *
 *    0      1      2      3
 *   |0x45   |tos    |total length   |      Sums are kept in memory order and unfolded in 64 bits:
 *   |identification |flags, offset  |      one's complement addition does not care for byte order,
 *   |ttl    |proto  |checksum       |      so nothing is swapped until the result is stored.
 *   |source address                 |
 *   |destination address            |
 *
 * Fragments are not reassembled: the engine's packets carry DF, and a peer's engine does as ours.
 */
#ifndef I3_IP_H
#define I3_IP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { IP_HEAD = 20, IP_DEFAULT_TTL = 64 };
/* RFC 3168: the last two bits of TOS or traffic class. */
enum ip_ecn { ECN_NOT, ECN_ECT1, ECN_ECT0, ECN_CE };
enum { IP_ICMP = 1, IP_TCP = 6, IP_UDP = 17 };

/* Fields at fixed offsets of a header whose length was checked as a whole. */
static inline uint16_t ip_load16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t ip_load32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}

static inline void ip_store16(uint8_t *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, 2);
}

static inline void ip_store32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, 4);
}

struct ip_header {
    uint32_t src, dst; /* host order; of an IPv6 packet: the handles of the two hosts */
    bool v6;
    uint8_t proto, ttl;
    uint8_t ecn; /* enum ip_ecn */
    uint16_t head_len; /* 20 to 60 */
    uint16_t len;      /* of the whole packet, at most what was received */
};

/* The sum of len bytes as if they began at an even offset; add sums, then ip_fold() once. */
uint64_t ip_sum_long(const void *data, size_t len);

/* The same; headers, whose length the compiler knows, are summed in line. */
static inline uint64_t ip_sum(const void *data, size_t len)
{
    if (len > 64 || len & 3)
        return ip_sum_long(data, len);
    uint64_t sum = 0;
    for (size_t i = 0; i < len; i += 4) {
        uint32_t w;
        memcpy(&w, (const uint8_t *)data + i, 4);
        sum += w;
    }
    return sum;
}

/* As many sums as fit into 64 bits, folded to 16 in memory order; not complemented. */
static inline uint16_t ip_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

/* The sum of bytes which begin at an odd offset. */
static inline uint64_t ip_sum_odd(uint64_t sum)
{
    return __builtin_bswap16(ip_fold(sum));
}

/* The checksum at `at` after bytes it covers went from a sum of `old` to a sum of `new` (RFC 1624, eqn. 3). */
void ip_mend_sum(uint8_t *at, uint64_t old, uint64_t new);

/* Stores the checksum of `sum` at `at`. */
static inline void ip_store_sum(uint8_t *at, uint64_t sum)
{
    uint16_t v = (uint16_t)~ip_fold(sum);
    memcpy(at, &v, sizeof(v));
}

/* The sum of the pseudo-header (RFC 9293 3.1) for an upper-layer length. */
uint64_t ip_pseudo_sum(uint32_t src, uint32_t dst, uint8_t proto, uint16_t len);

/* The ECN bits of an IPv4 or IPv6 packet of at least 2 bytes. */
static inline uint8_t ip_ecn(const uint8_t *packet)
{
    return packet[0] >> 4 == 6 ? packet[1] >> 4 & 3 : packet[1] & 3;
}

/* Out of a tunnel whose outer packet bore `outer` (RFC 6040 4.2): a mark is taken over. False: it must be dropped, since the
 * sender would not understand. */
bool ip_take_ecn(uint8_t *packet, size_t len, uint8_t outer);

/* Reads and checks a header: version, lengths, checksum, no fragment. False: drop it. */
bool ip_parse(const uint8_t *packet, size_t len, struct ip_header *h);

/* Writes 20 bytes at `out`. len: of the whole packet. */
void ip_build(uint8_t *out, uint32_t src, uint32_t dst, uint8_t proto, uint16_t id, uint16_t len);

/* The addresses of anything that looks like an IPv4 packet. */
bool ip_addresses(const uint8_t *packet, size_t len, uint32_t *src, uint32_t *dst);

/* Changes source and destination of a whole packet in place and mends the checksums of IP, TCP and UDP; in an
 * ICMP error also the packet quoted, as far as it names the same two hosts. A wrong checksum stays wrong.
 * What is cut short or no IPv4 is left alone. */
void ip_rewrite(uint8_t *packet, size_t len, uint32_t src, uint32_t dst);

#endif
