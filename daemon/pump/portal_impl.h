/* portal_impl.h - what the portal's files share; see portal.h for the picture. */
#ifndef I3_PORTAL_IMPL_H
#define I3_PORTAL_IMPL_H

#include "daemon/gateway/dns_limit.h"
#include "daemon/gateway/dns_zone.h"
#include "daemon/gateway/from_ip.h"
#include "daemon/gateway/http_gate.h"
#include "daemon/gateway/tls_sni.h"
#include "daemon/io/accept.h"
#include "daemon/pump/impl.h"
#include "daemon/pump/policy.h"
#include "daemon/pump/portal.h"

enum portal_kind { PORTAL_HTTP, PORTAL_TLS, PORTAL_PORT /* of a waypoint */, PORTAL_UDP, PORTAL_TCP /* DNS */, PORTAL_KINDS };

enum { PORTAL_LISTENERS_MAX = 4 * CONFIG_PORTAL_LISTEN_MAX + CONFIG_WAYPOINTS_MAX * CONFIG_PORTS_MAX };

struct portal_listener {
    struct portal *t;
    enum portal_kind kind;
    struct addr at, local; /* as configured; as it is */
    unsigned waypoint;     /* of PORTAL_PORT */
    int fd;                /* -1: it cannot be had */
    int err;
    struct fdset_entry *watch;
    bool ready; /* there may be more */
    bool stale; /* while the configuration is compared */
};

enum portal_stage {
    PORTAL_READS,   /* the head */
    PORTAL_LOOKS,   /* who that name is */
    PORTAL_DIALS,
    PORTAL_OPEN,
    PORTAL_SHUTS,   /* the answers that are due still come, then it ends */
    PORTAL_LINGERS, /* it has been told an error, and hears it */
    PORTAL_STAGES
};

struct portal_source {
    struct addr net; /* port 0; an IPv6 one without its last 64 bits */
    unsigned n;
    UT_hash_handle hh;
};

struct portal_conn {
    struct portal *t;
    enum portal_kind kind;
    enum portal_stage stage;
    int fd;
    struct fdset_entry *watch; /* NULL while a flow has it */
    struct flow *flow;
    struct addr source, local;
    struct portal_source *by;
    mono_t since, due;
    unsigned waypoint, table; /* `table`: which from_ip it counts in, 0: none */
    char name[CONFIG_NAME_MAX + 1], to[CONFIG_ZONE_MAX + 1];
    uint16_t port; /* of `to` */
    struct http_gate *gate; /* HTTP, once its first head has been read */
    uint8_t *buf;           /* what has come and has not passed; NULL: nothing */
    size_t len, cap, pass;  /* the first `pass` bytes may */
    bool eof, waits, work;  /* waits: for an answer; work: something is to be done, outside of the flow's calls */
    uint64_t in, out;
    TAILQ_ENTRY(portal_conn) entry;
    TAILQ_ENTRY(portal_conn) working;
};

TAILQ_HEAD(portal_list, portal_conn);

struct portal_stream; /* DNS over TCP (portal_dns.c) */

struct portal_counters {
    uint64_t accepted, http, tls, waypoint, dialled, failed;
    uint64_t bad;          /* heads that are none */
    uint64_t unknown;      /* names that are not published, here */
    uint64_t barred;       /* not from there */
    uint64_t misdirected;  /* a later request for another host */
    uint64_t unclaimed, ambiguous; /* at a waypoint */
    uint64_t late;         /* heads that took too long */
    uint64_t gave_way;     /* to newer ones */
    uint64_t over_all, over_source, over_dialling, over_bindings, no_fds;
    uint64_t dns_udp, dns_tcp, dns_nxdomain, dns_refused, dns_bad, dns_busy, dns_truncated, dns_slipped, dns_dropped, dns_full;
};

struct portal {
    struct pump *p;
    struct config_portal c;
    struct portal_listener *listeners; /* PORTAL_LISTENERS_MAX */
    unsigned n_listeners;
    bool any_ready;
    int spare;
    char wrong[160]; /* "": nothing is */
    struct from_ip *from_ip;
    unsigned table; /* grows when from_ip is made anew */
    unsigned turn;  /* of the waypoints, in answers that bind none */
    struct dns_zone *zone;
    struct dns_limit limit;
    struct portal_list list[PORTAL_STAGES], work;
    unsigned n[PORTAL_STAGES], all, n_work;
    struct portal_source *sources;
    TAILQ_HEAD(, portal_stream) streams; /* the one longest quiet first */
    unsigned n_streams;
    struct portal_counters count;
    uint64_t wall; /* of the configuration, for the zone's serial */
};

/* portal.c */
const struct config_publish *portal_entry(const struct portal *t, const char *name);
/* The part of a host's name before the zone; false: it is not below it. "": the zone itself. */
bool portal_bare(const struct portal *t, const char *host, char out[CONFIG_NAME_MAX + 1]);
bool portal_lists(const struct config_ports *ports, uint16_t port);

/* portal_conn.c */
void portal_accept(struct portal *t, struct portal_listener *l, const struct accepted *a);
mono_t portal_conns_deadline(const struct portal *t);
void portal_conns_turn(struct portal *t);
/* Those that the configuration allows no more end. */
void portal_conns_recheck(struct portal *t);
void portal_conns_stop(struct portal *t);

/* What the portal's files do to a connection. */
void portal_stage(struct portal_conn *c, enum portal_stage s, unsigned seconds);
/* Something is to be done for it at the end of the turn. */
void portal_work(struct portal_conn *c);
/* It is no more; reset: and the client sees so. */
void portal_end(struct portal_conn *c, bool reset, const char *why);
/* The client is told so, and it ends. */
void portal_tell(struct portal_conn *c, const void *text, size_t len, const char *why);
/* Whom it is for is known; the bytes in buf are for them. */
void portal_lead(struct portal_conn *c, const struct config_publish *e, uint16_t port);

/* portal_http.c */
/* More has come, of a head. True: it is not whole yet; else the connection may be no more. */
bool portal_http_read(struct portal_conn *c);
/* The client is told that status. */
void portal_http_error(struct portal_conn *c, int status, const char *why);
/* One for whom there is no place is told so, as far as that goes without waiting, and closed. */
void portal_http_busy(int fd);
/* Which of buf may pass. */
void portal_http_admit(struct portal_conn *c);

/* portal_tls.c */
bool portal_tls_read(struct portal_conn *c);
void portal_tls_error(struct portal_conn *c, uint8_t alert, const char *why);

/* portal_dns.c */
int portal_zone_make(struct portal *t);
void portal_dns_udp(struct portal *t, struct portal_listener *l);
void portal_dns_accept(struct portal *t, const struct accepted *a);
mono_t portal_dns_deadline(const struct portal *t);
void portal_dns_turn(struct portal *t);
void portal_dns_stop(struct portal *t);

#endif
