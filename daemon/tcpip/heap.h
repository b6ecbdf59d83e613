/* heap.h - the earliest of many deadlines: a binary heap of connections. Each knows its place, so that it can be moved.
 *
 * A connection whose deadline moves later stays where it is and is looked at again when its old time comes: an ACK
 * that restarts a timer costs nothing here.
 */
#ifndef I3_TCPIP_HEAP_H
#define I3_TCPIP_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#define HEAP_NONE UINT32_MAX

/* Embedded in whatever waits. */
struct heap_node {
    uint32_t place; /* HEAP_NONE when not in the heap */
};

struct heap_entry {
    uint64_t when;
    struct heap_node *node;
};

struct heap {
    struct heap_entry *v;
    uint32_t n, cap;
};

/* Room for n nodes: heap_set() cannot fail as long as no more than these are in it. */
bool heap_reserve(struct heap *h, uint32_t n, uint64_t *memory);
void heap_free(struct heap *h);

/* Puts a node in, or moves it. */
void heap_set(struct heap *h, struct heap_node *node, uint64_t when);
void heap_remove(struct heap *h, struct heap_node *node);

#endif
