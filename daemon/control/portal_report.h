/* portal_report.h - what i3ctl portal says. */
#ifndef I3_PORTAL_REPORT_H
#define I3_PORTAL_REPORT_H

#include "daemon/control/report.h"
#include "daemon/gateway/from_ip.h"
#include "daemon/policy/config.h"

struct report_portal_listener {
    const char *kind; /* "http", "tls", "dns", "port" */
    bool stream;      /* TCP */
    struct addr at;
    int err; /* 0: it listens */
};

struct report_portal_name {
    const struct config_publish *entry;
    unsigned connections; /* now */
    bool waypoint;        /* has ports that need one */
};

struct report_portal {
    mono_t now;
    const char *zone; /* NULL: there is no portal */
    const struct report_portal_listener *listeners;
    unsigned n_listeners;
    const struct report_portal_name *names;
    unsigned n_names;
    const struct addr *waypoints;
    unsigned n_waypoints;
    const struct from_ip *table; /* NULL: there are no waypoints */
    unsigned connections, reading, dialling;
    const struct report_counter *counters;
    unsigned n_counters;
};

/* At most REPORT_ROWS_MAX bindings. From malloc; NULL when out of memory. */
char *report_portal(const struct report_portal *r);

#endif
