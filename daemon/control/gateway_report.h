/* gateway_report.h - what `i3ctl gateway` shows, as JSON: both ends of gateways (gateway/to_ip.h); see report.h. */
#ifndef I3_CONTROL_GATEWAY_REPORT_H
#define I3_CONTROL_GATEWAY_REPORT_H

#include "daemon/control/report.h"
#include "daemon/gateway/to_ip.h"
#include "daemon/gateway/vias.h"

enum { REPORT_GATEWAYS_MAX = 32 };

/* One that rules of ours name. */
struct report_via {
    const char *name;
    bool in_book, session;
    bool answers, allowed; /* to the question that was put to it last (i3ctl gateway, i3ctl doctor) */
};

struct report_gateway {
    const struct book *book;
    mono_t now;
    const struct config_gateway *config; /* NULL: this host is none */
    const struct to_ip *to;
    const struct vias *vias;
    unsigned tcp, udp_ports; /* now */
    uint64_t refused;        /* questions and packets of those who are no users */
    bool anyone;
    unsigned n_used;
    struct report_via used[REPORT_GATEWAYS_MAX];
};

/* malloc'd, NULL when out of memory. Of users and names the latest, as many as fit into a reply. */
char *report_gateway(const struct report_gateway *g);

#endif
