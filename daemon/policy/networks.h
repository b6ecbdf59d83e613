/* networks.h - ranges of real addresses, as `networks` of the section gateway lists them: where a gateway may go for its users.
 *
 *   "10.20.0.0/16"  "192.168.7.5"  "0.0.0.0/0:80"  "10.9.0.0/24:8000-8999"  "2001:db8::/32"  "[2001:db8::]/32:443"
 *
 * Some ranges are nobody's business but of who lists them by themselves: this machine (127.0.0.0/8, ::1), the link (169.254.0.0/16,
 * fe80::/10), private networks (10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, fc00::/7), groups and what is no host at all.
 * An address there is allowed only by an entry which lies within such a range: "0.0.0.0/0" is the Internet, and not the LAN, whatever a
 * name in the DNS may point to (that is how browsers are made to attack the router). The same goes for the virtual network.
 */
#ifndef I3_NETWORKS_H
#define I3_NETWORKS_H

#include "include/addr.h"

struct network {
    uint8_t family, bits; /* 4 or 6 */
    uint8_t ip[16];       /* zeros beyond `bits`; IPv4 in the first four bytes */
    uint16_t port_lo, port_hi; /* 0: all */
};

/* 0; -EINVAL: it is none; -ERANGE: bits are set beyond its length. */
int network_parse(struct network *n, const char *text);
/* As network_parse() reads it; at most NETWORK_STR bytes with the NUL. */
enum { NETWORK_STR = 72 };
const char *network_text(const struct network *n, char out[NETWORK_STR]);

/* May it be gone to? The port of `a` 0: at some port. *reserved, if not NULL: why not is that nothing lists that range by itself. `own`: one
 * more range which must be listed so, bits 0: none. IPv4-mapped addresses are IPv4's. */
bool networks_allow(const struct network *v, unsigned n, const struct network *own, const struct addr *a, bool *reserved);

#endif
