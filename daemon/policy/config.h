/* config.h - i3.conf as a struct (DESIGN section 11). Text in, struct out; reads no file itself.
 *
 *     nodes = { "203.0.113.7:5610", "[2001:db8::7]:5610" }   # none: the daemon runs a node inside itself
 *     network = "10.0.0.0/8"                                  # virtual addresses, /8 to /24
 *     suffix = ".i3"
 *     mtu = 1400                                              # inner MTU at most, 576 to 9000
 *     bind = "0.0.0.0:0"                                      # UDP socket
 *     send-buffer = 33554432, recv-buffer = 33554432          # per connection, at most (each its own line)
 *     memory = 268435456                                      # all connections together
 *     connections = 10000
 *     waypoint = no                                           # or yes: packets which others send by way of us are passed on
 *     encrypt = yes                                           # or no: packets to peers which think so too are only authenticated
 *     shortcut = yes                                          # or no: packets to and from peers go by the node
 *     transport = "auto"                                      # or udp, tcp: how nodes are reached; auto: TCP where UDP is blocked
 *     ecn = yes                                               # or no: routers shall drop, not mark
 *     log = "info"                                            # error, warn, info, debug
 */
#ifndef I3_CONFIG_H
#define I3_CONFIG_H

#include "include/addr.h"

enum { CONFIG_NODES_MAX = 16, CONFIG_DEFAULT_PORT = 5610 };

enum config_transport { CONFIG_AUTO, CONFIG_UDP, CONFIG_TCP };

struct config {
    struct addr nodes[CONFIG_NODES_MAX];
    unsigned n_nodes;
    uint32_t network; /* host order */
    unsigned network_bits;
    char suffix[64]; /* with its dot, lower case */
    unsigned mtu;
    struct addr bind;
    uint32_t send_buffer, recv_buffer, connections;
    uint64_t memory;
    bool shortcut, encrypt, ecn, waypoint;
    enum config_transport transport;
    int log_level; /* enum log_level */
};

void config_default(struct config *c);
/* 0, or -EINVAL with one line "FILE:LINE: option: what is wrong" in err. `c` is filled only on success. */
int config_parse(struct config *c, const char *text, const char *filename, char *err, size_t errlen);

/* "1.2.3.4:5", "[::1]:5"; without a port default_port (or -EINVAL when that is 0). */
int config_parse_addr(struct addr *a, const char *s, uint16_t default_port);

#endif
