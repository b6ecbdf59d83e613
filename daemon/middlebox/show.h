/* show.h - packets as a box's taps and verdict programs see them.
 *
 *   original      with the addresses they bear: 10.H24 of the two ids, so a log names the same hosts as everywhere else in the overlay
 *   synthesised   with others, which say nothing of who it is: each route has its own, the same in both directions and for all of its
 *                 packets, and a new route has new ones. 10.64.0.1, 10.64.0.2, ... as they come, fd69:3374::1 ...; checksums are right.
 *
 * An anonymous host is known at the two ends by addresses which have nothing in common, so that packets from it and packets to it bear
 * different ones. It is told by its end of the route, then; the other end's hosts, of which a gateway has many, by their addresses.
 *
 * What is forwarded stays as it is: only the copy that is shown is changed.
 *
 * Bounds: SHOW_HOSTS addresses; the ones not seen for longest give way.
 */
#ifndef I3_BOX_SHOW_H
#define I3_BOX_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/base/mono.h"

enum { SHOW_HOSTS = 16384 };

struct shows;

/* Which address of a packet is that of the route's anonymous end. */
enum show_anonymous { SHOW_NOBODY, SHOW_SENDER, SHOW_RECEIVER };

struct shows *shows_new(void);
void shows_free(struct shows *t);

/* Gives the packet of that route (route.serial) its synthesised addresses, in place. False: it is no whole IP packet, or there is no memory, and it
 * must not be shown. */
bool show_synthesised(struct shows *t, uint32_t serial, enum show_anonymous anonymous, uint8_t *packet, size_t len);
/* The route is gone, and with it its addresses. */
void shows_forget(struct shows *t, uint32_t serial);

/* What two packets of one flow have in common, whichever way they go. */
struct flow_key {
    uint32_t serial;
    uint16_t port[2];
    uint8_t proto, v6;
    uint8_t zero[6];
    uint8_t addr[2][16];
};

/* Fragments have no ports. False: no IP packet. */
bool flow_of(uint32_t serial, const uint8_t *packet, size_t len, struct flow_key *out);

#endif
