/* config.h - i3.conf as a struct (DESIGN section 11). Text in, struct out; reads no file itself.
 *
 *   text --- outline.c ---> statements with their lines, and the same text in a form that libconfuse cannot misread
 *        --- libconfuse --> sections, lists, values
 *        --- values.c ----> struct config, each value by its row of schema.c
 *
 * Every option is one row of the table in schema.c: its section, default, bounds, and who reads its value. What each means to a user is
 * said in tools/i3.conf and i3.conf(5); a test holds the three together. All that is wrong with a text is told, each with its line.
 *
 *     nodes = { "203.0.113.7:5610" }          suffix = ".i3"         resolve = { "book" }
 *     overlay work { suffix = ".work.i3"  nodes = { "203.0.113.9:5610" } }
 *     rule { suffix = ".work.i3"  app = "firefox"  action = "deny" }
 *     gateway { allow = { "bob" }  networks = { "10.20.0.0/16" } }
 *     expose ssh { port = 22  target = "127.0.0.1:22"  proto = "tcp"  allow = { "bob" } }
 */
#ifndef I3_CONFIG_H
#define I3_CONFIG_H

#include "daemon/policy/networks.h"
#include "include/addr.h"

enum { CONFIG_NODES_MAX = 16, CONFIG_DEFAULT_PORT = 5610, CONFIG_MESH_PORT = 5700 };

/* Bounds; beyond them the text is refused. */
enum {
    CONFIG_TEXT_MAX = 1 << 20,
    CONFIG_OVERLAYS_MAX = 7, /* besides the first, which has the top-level suffix and nodes */
    CONFIG_RULES_MAX = 1000,
    CONFIG_EXPOSES_MAX = 256,
    CONFIG_ALLOW_MAX = 64,
    CONFIG_THROUGH_MAX = 3,
    CONFIG_TAPS_MAX = 4,
    CONFIG_TAP_LEN = 200,
    CONFIG_REQUIRE_MAX = 8,
    CONFIG_USERS_MAX = 256, /* of a gateway */
    CONFIG_NETWORKS_MAX = 64,
    CONFIG_ZONES_MAX = 32, /* of a gateway: `names` */
    CONFIG_NAME_MAX = 63,
    CONFIG_ZONE_MAX = 200,
    CONFIG_MATCH_MAX = 500,
    CONFIG_APP_MAX = 127,
    CONFIG_WAYPOINTS_MAX = 64,
    CONFIG_PORTAL_LISTEN_MAX = 8, /* of http, tls and dns each */
    CONFIG_PORTAL_NS_MAX = 4,
    CONFIG_PORTS_MAX = 16,
    CONFIG_PUBLISHES_MAX = 256,
    CONFIG_FROM_MAX = 32,
    CONFIG_ERRORS_MAX = 40, /* kept; the others are counted */
    CONFIG_ERROR_LEN = 240,
};

enum config_transport { CONFIG_AUTO, CONFIG_UDP, CONFIG_TCP };

enum config_action { ACTION_OVERLAY, ACTION_GATEWAY, ACTION_DIRECT, ACTION_DENY, CONFIG_ACTIONS };

/* Where a rule may leave it to the top-level option. */
enum config_choice { CHOICE_UNSET, CHOICE_NO, CHOICE_YES };

/* Who is asked for a name's key, in this order. */
enum config_resolver { RESOLVE_BOOK, RESOLVE_HASH, RESOLVE_DNS, CONFIG_RESOLVERS };

struct config_resolve {
    unsigned n; /* at least 1 */
    enum config_resolver by[CONFIG_RESOLVERS];
};

/* overlay NAME { }: one more ring of nodes, or a mesh without any. */
enum config_kind { KIND_I3, KIND_MESH, CONFIG_KINDS };

struct config_overlay {
    unsigned line;
    char name[CONFIG_NAME_MAX + 1];
    enum config_kind kind;
    struct addr bind; /* of a mesh */
    bool relay;
    char suffix[64]; /* as in struct config; no two are the same */
    struct addr nodes[CONFIG_NODES_MAX];
    unsigned n_nodes; /* may be 0 */
};

/* rule { }: in the order of the file. At least one of suffix, match and app is there, never suffix and match. */
struct config_rule {
    unsigned line;
    char suffix[64];                  /* with its dot, lower case; "": any */
    char match[CONFIG_MATCH_MAX + 1]; /* a PCRE2 pattern that compiles; "": any */
    char app[CONFIG_APP_MAX + 1];     /* the file name of a program; "": any */
    enum config_action action;
    char via[CONFIG_NAME_MAX + 1]; /* the gateway, with ACTION_GATEWAY only */
    bool strip;                    /* the gateway is asked without the suffix; with ACTION_GATEWAY and a suffix only */
    enum config_choice shortcut, encrypt;
    bool anonymity;
    char through[CONFIG_THROUGH_MAX][CONFIG_NAME_MAX + 1]; /* names of the book, lower case */
    unsigned n_through;
    char alerts[CONFIG_NAME_MAX + 1]; /* to whom those boxes' alerts go; "": they stay here */
};

/* expose NAME { }: a port of the overlay that leads to a local server, for the keys named. */
struct config_expose {
    unsigned line;
    char name[CONFIG_NAME_MAX + 1];
    uint8_t proto; /* IPPROTO_TCP or IPPROTO_UDP */
    uint16_t port;
    struct addr target; /* by default the same port of 127.0.0.1 */
    char allow[CONFIG_ALLOW_MAX][CONFIG_NAME_MAX + 1]; /* names of the book, lower case, or keys as key_parse() takes them */
    unsigned n_allow;                                  /* at least 1 */
};

/* middlebox { }: packets of others pass here. At most one. */
struct config_middlebox {
    unsigned line;
    char allow[CONFIG_ALLOW_MAX][CONFIG_NAME_MAX + 1]; /* as of expose; or "anyone" */
    unsigned n_allow;                                  /* at least 1 */
    char next[CONFIG_ALLOW_MAX][CONFIG_NAME_MAX + 1];
    unsigned n_next; /* 0: to whomever an allowed user names */
    bool synthesised;
    bool fail_open;
    char tap[CONFIG_TAPS_MAX][CONFIG_TAP_LEN + 1]; /* "tun:NAME", "fifo:/PATH", "file:/PATH" */
    unsigned n_taps;
    char verdicts[CONFIG_TAP_LEN + 1]; /* a path; "": nobody is asked */
};

struct config_require {
    char by[CONFIG_REQUIRE_MAX][CONFIG_NAME_MAX + 1]; /* names of the book, or keys */
    unsigned n;
};

/* gateway { }: this daemon opens connections for others, to where `networks` says (daemon/gateway/to_ip.h). At most one. */
struct config_gateway {
    unsigned line;
    char allow[CONFIG_USERS_MAX][CONFIG_NAME_MAX + 1]; /* as in expose; "anyone" */
    unsigned n_allow;                                  /* at least 1 */
    struct network networks[CONFIG_NETWORKS_MAX];
    unsigned n_networks; /* at least 1 */
    char names[CONFIG_ZONES_MAX][64]; /* names that end so, with the dot, lower case; none: all */
    unsigned n_names;
    struct addr dns_server; /* family 0: the system's */
    uint32_t connections, per_user;
    uint32_t connect_timeout, tcp_idle, udp_idle; /* seconds */
};

/* Addresses whose first `bits` are those of ip. */
struct config_range {
    uint8_t family, bits; /* 4 or 6 */
    uint8_t ip[16];       /* the others are 0 */
};

struct config_ports {
    unsigned n;
    uint16_t v[CONFIG_PORTS_MAX]; /* none twice */
};

struct config_listen {
    unsigned n;
    struct addr v[CONFIG_PORTAL_LISTEN_MAX]; /* port 0: any */
};

/* portal { }: where the Internet finds what is published (daemon/pump/portal.h). There is one at most. */
struct config_portal {
    unsigned line;
    char zone[CONFIG_ZONE_MAX + 1]; /* lower case, no dots at its ends */
    char ns[CONFIG_PORTAL_NS_MAX][CONFIG_ZONE_MAX + 1];
    unsigned n_ns; /* 0: "ns" of the zone itself */
    char mail[CONFIG_ZONE_MAX + 1]; /* "": hostmaster of the zone */
    struct config_listen dns, http, tls;
    struct addr waypoints[CONFIG_WAYPOINTS_MAX]; /* port 0 */
    unsigned n_waypoints;
    struct config_ports ports; /* listened on at the waypoints */
    unsigned connections, per_source;
};

/* publish NAME { }: NAME.<zone> leads to a name of the overlay. */
struct config_publish {
    unsigned line;
    char name[CONFIG_NAME_MAX + 1]; /* labels, lower case */
    char to[CONFIG_ZONE_MAX + 1];   /* as a program would ask for it */
    struct config_ports ports;      /* of `to`; at least 1 */
    struct config_range from[CONFIG_FROM_MAX];
    unsigned n_from; /* 0: from everywhere */
};

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
    bool shortcut, encrypt, ecn, waypoint, anonymity;
    enum config_transport transport;
    struct config_resolve resolve;
    char dns_zone[CONFIG_ZONE_MAX + 1]; /* lower case, no dots at its ends; "": names are asked for as they are */
    struct addr dns_server;             /* family 0: the system's */
    int log_level; /* enum log_level */
    struct config_require require; /* require_through */

    /* from malloc, NULL when there are none: config_free() */
    struct config_overlay *overlays;
    unsigned n_overlays;
    struct config_rule *rules;
    unsigned n_rules;
    struct config_expose *exposes;
    unsigned n_exposes;
    struct config_middlebox *middleboxes;
    unsigned n_middleboxes; /* 0 or 1 */
    struct config_gateway *gateways;
    unsigned n_gateways; /* 0 or 1 */
    struct config_portal *portals;
    unsigned n_portals;
    struct config_publish *publishes;
    unsigned n_publishes;
};

/* The address is within one of the ranges; n 0: it is. */
bool config_from_has(const struct config_range *v, unsigned n, const struct addr *a);

/* What is wrong with a text, in the order of its lines. */
struct config_errors {
    unsigned n; /* how many there are; at most CONFIG_ERRORS_MAX of them are in `at` */
    struct {
        unsigned line;
        char text[CONFIG_ERROR_LEN]; /* "option: what is wrong", one line, printable */
    } at[CONFIG_ERRORS_MAX];
};

void config_default(struct config *c);
/* 0, or -EINVAL with what is wrong in e; c is filled only on success, and its sections are the caller's then. -ENOMEM is told as an
 * error as well. */
int config_parse(struct config *c, const char *text, size_t len, struct config_errors *e);
void config_free(struct config *c);

/* "FILE:LINE: option: what is wrong", one line each, with '\n' between and none at the end. */
void config_errors_text(const struct config_errors *e, const char *filename, char *out, size_t cap);

/* "1.2.3.4:5", "[::1]:5"; without a port default_port (or -EINVAL when that is 0). */
int config_parse_addr(struct addr *a, const char *s, uint16_t default_port);

#endif
