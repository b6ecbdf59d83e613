/* box_report.h - i3ctl box and i3ctl alerts as JSON. */
#ifndef I3_BOX_REPORT_H
#define I3_BOX_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "include/wire.h"

enum { BOX_REPORT_ROWS = 200 };

struct box_report_way {
    const char *to, *said_by, *state, *why; /* why: NULL unless it is refused */
    const char *box[3];
    unsigned n_boxes;
    unsigned mtu; /* 0: not known */
};

struct box_report_route {
    const char *from, *to, *next; /* `to` is the far end */
    bool open, anonymous;
    unsigned mtu;
    uint64_t packets_in, packets_out, bytes_in, bytes_out, dropped, idle_s;
};

struct box_report_tap {
    const char *where, *state;
    uint64_t written, dropped;
};

struct box_report {
    bool is_box;
    const struct box_report_way *way;
    unsigned n_ways;
    const struct box_report_route *route;
    unsigned n_routes, routes; /* the first is how many are given, the second how many there are */
    const struct box_report_tap *tap;
    unsigned n_taps;
    const char *verdicts; /* the path, NULL: none */
    unsigned programs, waiting, flows;
    bool inlined;
    uint64_t asked, forwarded, verdict_dropped, late, unanswered;
    uint64_t packets, bytes, dropped, bypassed, unknown, refused, too_large, alerts, alerts_dropped;
};

struct box_report_alert {
    uint64_t time; /* microseconds since 1970 */
    const char *box, *about, *text;
};

/* From malloc, NULL when out of memory. */
char *report_box(const struct box_report *r);
char *report_alerts(const struct box_report_alert *v, unsigned n, unsigned ever);

#endif
