/* pcapng.h - capture files that Wireshark, tshark and tcpdump read: pcapng, as draft-ietf-opsawg-pcapng has it. (libpcap writes only
 * the classic format, which has no place for a packet's direction, names, or what was lost.)
 *
 *   Section Header     who has written it                                 a file begins with one
 *   Interface          link type RAW: a packet is an IP packet            one: the overlay
 *   Name Resolution    a virtual address, or two, and the name            before the host's first packet
 *   Enhanced Packet    time, length, bytes, direction, packets lost just before it
 *   Interface Statistics  how many there were, how many were lost         the last
 *
 * Integers are big-endian, which the section header says. Times are microseconds since 1970. Every function returns the block's
 * length, or 0 when it does not fit into cap.
 */
#ifndef I3_PCAPNG_H
#define I3_PCAPNG_H

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "include/pcapng.h"

size_t pcapng_section(uint8_t *out, size_t cap, const char *application);
size_t pcapng_interface(uint8_t *out, size_t cap, const char *name, const char *description, uint32_t snaplen);
/* ip6: NULL for none. */
size_t pcapng_names(uint8_t *out, size_t cap, uint32_t ip4, const uint8_t *ip6, const char *name);

struct pcapng_packet {
    uint64_t time_us;
    unsigned direction; /* PCAPNG_IN or PCAPNG_OUT */
    uint32_t len, snaplen; /* at most snaplen bytes are kept */
    uint64_t lost;      /* just before it */
};

/* The packet given as n pieces, len bytes in all. */
size_t pcapng_packet(uint8_t *out, size_t cap, const struct pcapng_packet *p, const struct iovec *v, int n);

size_t pcapng_statistics(uint8_t *out, size_t cap, uint64_t begun_us, uint64_t ended_us, uint64_t received, uint64_t lost);

#endif
