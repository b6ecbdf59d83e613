/* anon_report.h - what `i3ctl anonymous` shows. */
#ifndef I3_ANON_REPORT_H
#define I3_ANON_REPORT_H

#include <stdbool.h>

#include "include/addr.h"

/* An instance for an anonymous program (pump/anon.h). */
struct report_anonymous {
    const char *program, *suffix; /* of the ring's names */
    struct addr node;
    struct addr address, address6; /* its virtual ones, port 0 */
    uint64_t since_us;
    bool all;   /* everything that it does is anonymous, not only what rules say */
    bool ready; /* its trigger stands */
    unsigned processes, hosts; /* connections to the daemon; hosts with which there is a session */
};

/* most: how many there may be. malloc'd JSON, NULL when out of memory. */
char *report_anonymous(const struct report_anonymous *rows, unsigned n, unsigned most);

#endif
