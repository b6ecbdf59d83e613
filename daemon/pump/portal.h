/* portal.h - the IP-to-i3 gateway (paper, 4.4.2 and appendix): who has none of our software reaches what is published.
 *
 *   browser --- DNS: foo.<zone>? ------> portal_dns.c    a waypoint's address, TTL 0; the session with foo's host begins
 *           --- http, tls listeners ---> portal_conn.c   Host or SNI says for whom it is (gateway/http_gate.h, gateway/tls_sni.h)
 *           --- waypoint:22 -----------> portal_conn.c   the question before it says so (gateway/from_ip.h)
 *                                            |
 *                                            +--- flow_dial() --- engine --- foo.i3
 *
 * Only what a `publish` section names can be reached, from where its `from` says. TLS is not ended here: its bytes pass as they are. What a
 * connection is not told about itself in order is refused, never guessed.
 *
 * Bounds, each counted when it holds: PORTAL_READING connections whose head has not come, for PORTAL_HEAD_S each, the oldest gives way;
 * PORTAL_DIALLING that wait for a host; `connections` and `per-source` (a /64 of IPv6 is one source) of the configuration; PORTAL_ACCEPTS a
 * turn; PORTAL_ENDING that have been told an error and are to hear it, the oldest gives way.
 */
#ifndef I3_PORTAL_H
#define I3_PORTAL_H

#include "daemon/base/mono.h"

struct pump;

enum {
    PORTAL_READING = 1024,
    PORTAL_DIALLING = 512,
    PORTAL_ENDING = 256,
    PORTAL_ACCEPTS = 64,  /* of each listener */
    PORTAL_QUERIES = 64,  /* datagrams of each socket a turn */
    PORTAL_DNS_STREAMS = 64,
    PORTAL_HEAD_S = 10,
    PORTAL_LOOK_S = 10,  /* to find out who a name is */
    PORTAL_DIAL_S = 30,
    PORTAL_SHUT_S = 60,  /* for the answers that are due before a connection is turned away */
    PORTAL_LINGER_S = 5,
    PORTAL_DNS_IDLE_S = 10,
};

/* As p->config says from now on. What cannot be listened at is logged and shown; all else is there. */
void portal_configure(struct pump *p);
void portal_stop(struct pump *p);
mono_t portal_deadline(const struct pump *p);
void portal_turn(struct pump *p);
/* A sentence about where it cannot listen; NULL: it can, or there is none. */
const char *portal_wrong(const struct pump *p);
/* What is counted, as "portal_NAME", whether or not there is a portal. name: valid during the call. */
void portal_tally(const struct pump *p, void (*add)(void *ctx, const char *name, uint64_t value, const char *help), void *ctx);

#endif
