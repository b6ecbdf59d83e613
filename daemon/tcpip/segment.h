/* segment.h - the TCP header and its options (RFC 9293 3.1, 7323, 2018).
 *
 *   | source port   | destination port|
 *   | sequence number                 |
 *   | acknowledgement number          |
 *   |off| 0 |flags  | window          |
 *   | checksum      | urgent pointer  |   urgent data is not supported: the pointer is ignored
 *   | options, up to 40 bytes ...     |   and the bytes stay in the stream
 */
#ifndef I3_TCPIP_SEGMENT_H
#define I3_TCPIP_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/tcpip/ip6.h"

enum { TCP_HEAD = 20, TCP_STAMPS = 12, TCP_SACK_MAX = 4, TCP_WSCALE_MAX = 14, TCP_MSS_DEFAULT = 536, TCP_MSS_DEFAULT6 = 1220 };

enum { TH_FIN = 1, TH_SYN = 2, TH_RST = 4, TH_PUSH = 8, TH_ACK = 16, TH_URG = 32, TH_ECE = 64, TH_CWR = 128 };

struct sack_block {
    uint32_t start, end;
};

struct segment {
    uint32_t src, dst;
    const uint8_t *ip6; /* an IPv6 header with the addresses of src and dst; NULL: IPv4 */
    uint16_t src_port, dst_port;
    uint32_t seq, ack;
    uint8_t flags;
    uint8_t ecn;     /* of the IP header it came with */
    uint16_t window; /* as on the wire */
    const uint8_t *data;
    uint32_t len; /* of data */
    bool has_stamps, has_wscale, sack_ok;
    uint32_t ts_val, ts_ecr;
    uint16_t mss; /* 0: no option */
    uint8_t wscale;
    uint8_t sacks;
    struct sack_block sack[TCP_SACK_MAX];
};

/* Reads the TCP part of a packet whose IP header is *ip; checks lengths and the checksum. False: drop it. */
bool segment_parse(const uint8_t *packet, const struct ip_header *ip, struct segment *s);

/* Everything of a segment but its payload, at `out` (room for 100 bytes): IP header, TCP header, the options which
 * are set in *s; the checksum counts `body`, the unfolded sum of s->len payload bytes. Returns the header's length. */
size_t segment_build(uint8_t *out, const struct segment *s, uint16_t ip_id, uint64_t body);

/* Sequence space a segment takes. */
static inline uint32_t segment_space(const struct segment *s)
{
    return s->len + !!(s->flags & TH_SYN) + !!(s->flags & TH_FIN);
}

#endif
