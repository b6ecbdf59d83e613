/* pcap.h - the capture file format of tcpdump, as taps write it: version 2.4, times in nanoseconds, each packet an IP packet from its first byte
 * (LINKTYPE_RAW), in this machine's byte order, as the magic number says.
 *
 *     0            4        6        8        12       16         20        24
 *   +------------+--------+--------+--------+--------+----------+---------+
 *   | 0xa1b23c4d | 2      | 4      | 0      | 0      | 65535    | 101     |    once
 *   +------------+--------+--------+--------+--------+----------+---------+
 *   | seconds (4)| ns (4)          | kept   | length |  the packet        |    each
 *   +------------+-----------------+--------+--------+--------------------+
 */
#ifndef I3_BOX_PCAP_H
#define I3_BOX_PCAP_H

#include <stdint.h>
#include <string.h>

enum { PCAP_HEADER_LEN = 24, PCAP_RECORD_LEN = 16, PCAP_RAW = 101, PCAP_SNAP = 65535 };

static inline void pcap_header(uint8_t out[PCAP_HEADER_LEN])
{
    const uint32_t magic = 0xa1b23c4d, rest[4] = {0, 0, PCAP_SNAP, PCAP_RAW};
    const uint16_t version[2] = {2, 4};
    memcpy(out, &magic, 4);
    memcpy(out + 4, version, 4);
    memcpy(out + 8, rest, 16);
}

/* wall_us: microseconds since 1970. */
static inline void pcap_record(uint8_t out[PCAP_RECORD_LEN], uint64_t wall_us, uint32_t len)
{
    const uint32_t v[4] = {(uint32_t)(wall_us / 1000000), (uint32_t)(wall_us % 1000000) * 1000, len, len};
    memcpy(out, v, sizeof(v));
}

#endif
