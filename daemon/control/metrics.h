/* metrics.h - a node's counters in Prometheus' text format (version 0.0.4). Names are stable: new ones come, none changes its meaning. */
#ifndef I3_METRICS_H
#define I3_METRICS_H

#include "daemon/control/prom.h"
#include "daemon/node/node.h"

struct metrics_view {
    const char *version;
    const struct node *node;
    /* what the sockets have seen */
    uint64_t udp_packets_in, udp_packets_out, udp_bytes_in, udp_bytes_out, udp_send_lost;
    bool tcp; /* hosts may come by TCP; else what follows is not told */
    uint64_t tcp_connections, tcp_accepted, tcp_refused, tcp_frames_in, tcp_frames_out, tcp_lost;
    uint64_t http_served, http_refused, http_dropped;
    uint64_t memory_max; /* bytes; 0: none was set */
    uint32_t triggers_max;
    struct prom_process process;
};

/* Its length, at most cap; the last metric is left out rather than cut. */
size_t metrics_write(const struct metrics_view *v, char *out, size_t cap);

#endif
