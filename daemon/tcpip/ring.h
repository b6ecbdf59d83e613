/* ring.h - a byte ring addressed by stream position (64-bit sequence number), for send and receive buffers.
 *
 * The byte of position s lies at s modulo the capacity, a power of two, so positions are never translated.
 * Memory is taken at the first use and may be given back whenever no byte in it is needed.
 */
#ifndef I3_TCPIP_RING_H
#define I3_TCPIP_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

enum { RING_LEAST = 4096 };

struct ring {
    uint8_t *data;
    size_t cap; /* 0 or a power of two */
};

/* The capacity that holds `need` bytes. */
size_t ring_size(size_t need);
/* Makes the capacity at least `need`, keeping the bytes [from, to). False when out of memory. *memory follows. */
bool ring_reserve(struct ring *r, size_t need, uint64_t from, uint64_t to, uint64_t *memory);
/* Gives back what [from, to) does not need. */
void ring_fit(struct ring *r, uint64_t from, uint64_t to, uint64_t *memory);
void ring_release(struct ring *r, uint64_t *memory);

/* The bytes [from, from + len) in at most two pieces; len is at most the capacity. Returns how many pieces. */
int ring_spans(const struct ring *r, uint64_t from, size_t len, struct iovec v[2]);
void ring_write(struct ring *r, uint64_t at, const uint8_t *src, size_t len);
void ring_read(const struct ring *r, uint64_t at, uint8_t *dst, size_t len);

#endif
