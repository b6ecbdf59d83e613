/* i3ctl_doctor.h - i3ctl doctor: one line for each finding, and below what is not well, one thing to do.
 *
 *   i3ctl_doctor.c       the daemon: does it run, is its configuration good, does it reach the overlay
 *   i3ctl_doctor_host.c  this machine: files, clock, limits, what i3run needs
 *   i3ctl_doctor_net.c   the network: nodes by UDP and TCP, sizes, NAT, real routes, name servers
 */
#ifndef I3CTL_DOCTOR_H
#define I3CTL_DOCTOR_H

#include "tools/i3ctl.h"

/* OK: nothing to do. NOTE: nothing is wrong, but something could be done. WARN: some of it does not work. FAIL: most does not. */
enum finding { FINDING_OK, FINDING_NOTE, FINDING_WARN, FINDING_FAIL, FINDINGS };

struct doctor {
    const struct ctl *c;
    json_t *status; /* of the daemon; NULL: none runs */
    json_t *list;   /* what was found */
    unsigned count[FINDINGS];
};

/* One finding; fix: what to do, NULL for one that is well. */
void doctor_say(struct doctor *d, const char *check, enum finding f, const char *fix, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));

/* The folder of the key and the book: the daemon's, else as it would choose it. False: none. */
bool doctor_data(const struct doctor *d, char path[PATH_MAX]);

void doctor_key(struct doctor *d);
void doctor_disk(struct doctor *d);
void doctor_clock(struct doctor *d);
void doctor_files(struct doctor *d);
void doctor_preload(struct doctor *d);
void doctor_static(struct doctor *d);
void doctor_linger(struct doctor *d);

void doctor_gateways(struct doctor *d); /* i3ctl_gateway.c */
void doctor_nodes(struct doctor *d);
void doctor_nat(struct doctor *d);
void doctor_routes(struct doctor *d);
void doctor_dns(struct doctor *d);

#endif
