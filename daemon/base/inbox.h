/* inbox.h - datagrams on their way into a pure room, as the kernel gives them: in trains.
 *
 *   p |<---- size ---->|<---- size ---->|<---- size ---->|<-- rest -->| len bytes in all
 *
 * A train is a run from one source whose datagrams all have one size but for a shorter last one. A single datagram is a train of one.
 */
#ifndef I3_INBOX_H
#define I3_INBOX_H

#include <stddef.h>

#include "include/addr.h"

struct train_in {
    struct addr from;
    uint8_t *p;
    size_t len;
    size_t size; /* of its datagrams, not 0 but for an empty one */
    uint8_t ecn; /* the outer IP header's bits (RFC 3168) */
    bool counted; /* against a limit of its source */
};

#endif
