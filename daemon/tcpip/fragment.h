/* fragment.h - fragments (RFC 791 3.2; 8200 4.5): a large datagram taken apart, and put together again in bounded memory.
 *
 *   |IP MF=1 offset 0 |UDP head, data|   |IP MF=1 offset n |data|   ...   |IP MF=0 offset m |data|
 *
 * In IPv6 the flag and the offset are in a header of their own, between the two. Attack-safe in the manner of RFC 5722 and 8900: a fragment that overlaps others in part spoils its whole datagram; one which is
 * there already is ignored; lengths that contradict each other spoil it, too. Bounds: REASSEMBLY_MAX datagrams at a time, of
 * one source REASSEMBLY_SOURCE, the oldest gives way; each lives REASSEMBLY_US from its first fragment on.
 */
#ifndef I3_FRAGMENT_H
#define I3_FRAGMENT_H

#include "daemon/base/mono.h"
#include "daemon/tcpip/ip6.h"

enum { FRAGMENT_HEAD6 = 8, IP6_FRAGMENT = 44 };
enum { REASSEMBLY_MAX = 64, REASSEMBLY_SOURCE = 16 };
#define REASSEMBLY_US (30 * USEC_PER_SEC)

/* Anything of IPv4 that has MF or an offset, or of IPv6 whose first upper layer is a fragment's. */
static inline bool ip_is_fragment(const uint8_t *packet, size_t len)
{
    if (len >= IP6_HEAD && packet[0] >> 4 == 6)
        return packet[6] == IP6_FRAGMENT;
    return len >= IP_HEAD && packet[0] >> 4 == 4 && (ip_load16(packet + 6) & 0x3fff);
}

struct reassembly;

struct reassembly_stats {
    uint64_t fragments, whole, bad, expired, evicted;
};

struct reassembly *reassembly_new(void);
void reassembly_free(struct reassembly *r);

/* One fragment. The whole packet, without options or the fragments' header, when this was the last piece missing, valid until the
 * next call here; else NULL. */
const uint8_t *reassembly_add(struct reassembly *r, mono_t now, const uint8_t *packet, size_t len, size_t *whole);

void reassembly_expire(struct reassembly *r, mono_t now);
mono_t reassembly_deadline(const struct reassembly *r);
const struct reassembly_stats *reassembly_stats(const struct reassembly *r);

enum { FRAGMENT_HEADS_MAX = IP6_HEAD + FRAGMENT_HEAD6 };

/* The header of the piece of `body` bytes which begins at `offset` (a multiple of 8) of the upper layer's, like `whole`, that of
 * the packet. Returns its length. */
size_t fragment_build(uint8_t out[FRAGMENT_HEADS_MAX], const uint8_t *whole, uint16_t id, uint16_t offset, uint16_t body, bool more);

/* How many bytes of the upper layer go into each piece but the last. */
static inline uint16_t fragment_room(const uint8_t *whole, uint16_t mtu)
{
    return (uint16_t)((mtu - (whole[0] >> 4 == 6 ? IP6_HEAD + FRAGMENT_HEAD6 : IP_HEAD)) & ~7);
}

#endif
