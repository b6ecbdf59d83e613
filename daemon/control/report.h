/* report.h - what i3ctl's verbs show, as JSON. The schema is documented in i3ctl(1) and stable: fields are added, never
 * renamed. Reads the rooms, changes nothing. Every function returns malloc'd text, NULL when out of memory.
 */
#ifndef I3_REPORT_H
#define I3_REPORT_H

#include "daemon/i3/nodes.h"
#include "daemon/i3/peer.h"
#include "daemon/i3/sampler.h"
#include "daemon/i3/trigger.h"
#include "daemon/naming/book.h"
#include "daemon/naming/groups.h"
#include "daemon/naming/pool.h"
#include "daemon/program/dgram.h"
#include "daemon/program/listener.h"
#include "daemon/policy/access.h"
#include "daemon/policy/drops.h"
#include "daemon/program/vsock.h"
#include "daemon/tcpip/tcpip.h"

enum { REPORT_ROWS_MAX = 100, REPORT_ENTRIES_MAX = 300 }; /* a reply is one record of ipc.h; connections_total says how many there are */

/* help: a sentence. gauge: it is not counted, but says how much there is now. */
struct report_counter {
    const char *name, *help;
    uint64_t value;
    bool gauge;
};

/* A group that this daemon is in. */
struct report_group {
    const struct group *group;
    uint32_t address;
    unsigned sessions; /* anycast: with clients, now */
    uint64_t in, out, dropped; /* multicast: datagrams */
    unsigned senders;          /* heard of late */
};

struct report_overlay; /* overlay_report.h */

struct report_view {
    mono_t now, started;
    uint32_t pid;
    const char *version, *config, *data, *socket, *suffix;
    const uint8_t *key;
    const struct i3_id *id;
    uint32_t own;
    struct addr udp, node;
    bool node_embedded;
    const struct nodes *nodes; /* NULL: none is configured */
    const struct sampler *sampler; /* as well */
    const char *transport, *transport_why; /* how nodes are reached (i3/transport.h) */
    unsigned nat;          /* enum nat_kind */
    uint32_t network;      /* of virtual addresses, host order, and its length */
    unsigned network_bits;
    uint64_t started_wall; /* microseconds since 1970 */
    const char *portal_wrong; /* where the portal cannot listen, and why; NULL: it can, or there is none */
    const char *config_wrong; /* why the file as it is now is not in force, "FILE:LINE: ..."; NULL: it is */
    const char *sandbox;      /* what is in force of it */
    bool keys_locked;         /* in memory */
    const char *state_wrong;  /* why what is learned cannot be kept on disk; NULL: it can */
    const struct triggers *triggers;
    const struct peers *peers;
    const struct book *book;
    const struct vsocks *vsocks;
    const struct listeners *listeners;
    const struct dgrams *dgrams;
    const struct drops *drops;
    const struct access *access; /* ports that are open to somebody by name; NULL: none */
    uint64_t wall_s; /* seconds since 1970 */
    const struct tcpip *tcpip;
    const struct report_counter *counters;
    unsigned n_counters;
    const struct report_overlay *overlays;
    unsigned n_overlays;
    const struct report_group *groups;
    unsigned n_groups;
};

/* "shortcut ADDRESS, rtt N ms" or "relayed by NODE (why)", into out; returns out. by: of a node that is reached by TCP, why. */
enum { REPORT_PATH = ADDR_STR + PATH_WORDS + 64 };
const char *report_path(const struct peer_info *p, const struct addr *node, const char *by, char out[REPORT_PATH]);

/* A peer that something was done with, not one which is merely in the book. */
bool report_peer_is_shown(const struct peer_info *p);

char *report_status(const struct report_view *v);
/* What a host knows of its ring: schema as that of `i3ctl ring`, kind "host". */
char *report_host_ring(const struct report_view *v);
char *report_id(const struct report_view *v, const bool *created); /* created: NULL to leave it out */
/* Entries from *at on, as many as fit into a reply; *at is moved behind them. */
/* claims: the names by hash that are ours. */
char *report_book(const struct book *b, size_t *at, uint32_t (*address)(void *ctx, const struct book_entry *e), void *ctx, const char *const *claims,
    unsigned n_claims);
char *report_book_entry(const struct book_entry *e, uint32_t address, bool added);
char *report_group(const struct report_group *g, const struct triggers *t);
char *report_groups(const struct report_group *g, unsigned n, const struct triggers *t);
/* The one with that key; key NULL: all. */
char *report_dropped(const struct report_view *v, const uint8_t *key);
char *report_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* One field. */
/* What a reload has done; the lists are names with ", " between. */
char *report_reload(const char *file, bool same, const char *now, const char *later);
/* "FILE:LINE: option: what", one a line. */
char *report_refused(const char *why);
char *report_string(const char *name, const char *value);
char *report_flag(const char *name, bool value);
char *report_ping(unsigned sequence, uint64_t rtt_us, const char *error);
char *report_ping_end(const char *name, const struct addr *address, unsigned sent, unsigned received, uint64_t min_us,
    uint64_t avg_us, uint64_t max_us, const char *path, const uint8_t *member, const char *overlay);

#endif
