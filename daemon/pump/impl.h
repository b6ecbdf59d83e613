/* pump/impl.h - what the pump's files share; see pump.h for the picture. */
#ifndef I3_PUMP_IMPL_H
#define I3_PUMP_IMPL_H

#include <sys/queue.h>

#include "daemon/i3/nodes.h"
#include "daemon/i3/peer.h"
#include "daemon/i3/sampler.h"
#include "daemon/i3/transport.h"
#include "daemon/i3/trigger.h"
#include "daemon/io/accel.h"
#include "daemon/io/clock.h"
#include "daemon/io/fdset.h"
#include "daemon/io/ipc_server.h"
#include "daemon/io/journal_file.h"
#include "daemon/io/loopback.h"
#include "daemon/io/pair.h"
#include "daemon/io/stream.h"
#include "daemon/io/udp.h"
#include "daemon/naming/book.h"
#include "daemon/naming/groups.h"
#include "daemon/naming/pool.h"
#include "daemon/policy/access.h"
#include "daemon/policy/drops.h"
#include "daemon/policy/node_list.h"
#include "daemon/pump/node_pump.h"
#include "daemon/pump/overlay_kind.h"
#include "daemon/program/listener.h"
#include "daemon/program/vsock.h"
#include "daemon/pump/pump.h"
#include "daemon/tcpip/fragment.h"
#include "daemon/tcpip/tcpip.h"
#include "include/dns.h"

enum {
    PUMP_SEAL_BUF = 1 << 20, /* packets of one flush, side by side */
    PUMP_PACKET_MAX = 9216,  /* inner packet with its wrapping */
    PUMP_ROUNDS = 16,        /* batches of datagrams in one turn, then programs have theirs */
    PUMP_HELD_MAX = 256,     /* packets that wait for a session; the oldest gives way */
    PUMP_PINGS_MAX = 64,
    PUMP_FAILED_MAX = 16,
    STATE_MET_MAX = 64,
};

/* A packet for a peer without a key yet. */
struct held {
    uint32_t remote;
    uint16_t len;
    uint8_t data[1600];
};

struct ping {
    struct ipc_client *client; /* NULL: free */
    uint32_t serial, remote;
    uint16_t ident, sequence;
    unsigned wanted, sent, received;
    bool v6;
    bool waiting; /* for the answer to `sequence` */
    mono_t sent_at, next;
    uint64_t min_us, max_us, sum_us;
    char name[BOOK_NAME_MAX + 1];
};

/* A host to which a session could not be had. */
struct failed_host {
    uint32_t host;
    int err;
    mono_t at;
};

struct pump_counters {
    uint64_t waypoint; /* passed on for others */
    uint64_t packets_bad, packets_spoofed, packets_unsealed, packets_barred /* of guests, for what is not shared with them */, held_lost, cut /* connections, when a share was taken back */, connects, incoming, refused, slowed;
    uint64_t misuse, dropped_misuse, strangers, strangers_refused; /* packets which no i3d sends; peers dropped for that */
};

struct dgram_side;
struct flow;
struct mcasts;
struct report_group;
struct dgrams;
struct dns_side;
struct flow;
struct lookups;
struct portal;
struct claims;
struct policy;
struct gateway;
struct reload;
struct door_flows;
struct sharing;
struct rotation;
struct retired;
struct boxes;
struct mesh;
struct twin;
struct strangers;
struct anon;
struct anon_program;

/* Datagrams, but for the last two. */
struct dgram_counters {
    uint64_t in, out;
    uint64_t bad;         /* malformed */
    uint64_t strangers;   /* came to a mirror from a socket that is not this user's */
    uint64_t unreachable; /* for a port that nobody has */
    uint64_t refused;     /* ICMP errors of peers */
    uint64_t overflow;    /* the program reads too slowly, and its backlog is full */
    uint64_t undelivered; /* the program's socket did not take them */
    uint64_t no_room;     /* no mirror could be had */
    uint64_t over_share;  /* datagrams of peers who have their share of mirrors */
    uint64_t evicted;     /* mirrors that made room for another */
    uint64_t mirrors, sockets; /* now */
    struct reassembly_stats fragments;
};

/* The private ids of a side change at once (pump/renew.c). */
struct renewal {
    bool waiting; /* for the trigger of the next key to stand */
    bool moving;  /* it stands: the others take it up */
    bool again;   /* asked for meanwhile */
    struct i3_id next, old[2];
    unsigned n_old;
    uint8_t next_pub[KEY_LEN];
    mono_t began, until;
};

/* A key by which this daemon is known in one of the overlays (pump/group.c). */
struct side {
    struct overlay *o;
    struct side *next;
    const struct group *group;     /* NULL: the user's own, which is the first */
    const struct retired *retired; /* an old key of the user's (pump/rotate.c): says what the new one is, and nothing else; own is 0 */
    struct peers *peers;
    uint8_t key[KEY_LEN]; /* its own */
    struct mesh *mesh; /* of an overlay of that kind */
    struct i3_id session_id;
    uint32_t own; /* virtual address, host order */
    uint8_t own6[16];
    struct renewal renewal;
};

/* The key of the user's private ids changes for one with a nearer owner. */
struct sample {
    struct sampler *sampler; /* NULL: no node is configured */
    bool waiting;            /* for the trigger of the next key to stand */
    struct i3_id next, old;
    uint8_t next_pub[KEY_LEN];
    mono_t retire_at; /* when the old one's trigger goes */
};

enum { OVERLAYS_MAX = 8, OVERLAY_NAME_MAX = 63 };

/* What an overlay of kind i3 is besides: a ring of nodes, and what we are in it (pump/ring.c). Nobody else's business. */
struct ring {
    struct streams *streams; /* to nodes, NULL: never by TCP */
    struct fdset_entry *streams_watch;
    bool streams_ready;
    struct transport transport;

    struct addr configured[CONFIG_NODES_MAX];
    unsigned n_configured;
    bool by_config;         /* i3.conf names them */
    struct nodes *nodes;    /* NULL: none is configured */
    struct node_pump *node; /* embedded, NULL if none */
    unsigned node_index;    /* of `configured` */
    struct addr node_addr;
    mono_t node_since;
    struct sample sample;

    struct triggers *triggers;
    struct owners *owners;

    struct path_own own_addresses; /* as offered to peers */
    struct addr addresses_seen;    /* the node's part of them */
    unsigned nat_seen;             /* enum nat_kind, as the nodes make it out */
    bool addresses_dirty, place_dirty; /* the offered ones, and where we are, are to be looked at */
    struct addr place;                 /* the address from which packets to the node leave; family 0: there is no way to it */
    mono_t place_at;
};

struct mesh_overlay; /* of kind mesh (pump/mesh.c) */

/* One by which others are reached (pump/overlay.c has the picture). Bound: OVERLAYS_MAX. */
struct overlay {
    struct pump *p;
    struct overlay *next;
    char name[OVERLAY_NAME_MAX + 1];
    char suffix[OVERLAY_NAME_MAX + 1]; /* of its names, with the dot, lower case */
    const struct overlay_kind *kind;
    mono_t made;
    struct anon *anon; /* NULL: the user's; else an instance of a ring for a program, in p->hidden (pump/anon.h) */
    uint64_t wall;     /* of an instance: what it says the time is */
    bool stood;        /* of an instance: its trigger did */
    struct ring *ring;         /* kind i3; else NULL */
    struct mesh_overlay *mesh; /* kind mesh; else NULL */

    struct udp *udp;
    struct fdset_entry *udp_watch;
    bool udp_ready;
    struct outbox out;
    uint8_t *seal;
    size_t sealed;

    uint64_t unanswered; /* of all sides, when answers were last missed */
    struct side *sides;  /* the user's own key, then those of groups */
    struct peers *peers; /* of the first */
};

/* State that could not be written. */
struct disk_trouble {
    int err; /* 0: none */
    bool mappings, listeners, udp, peers;
    unsigned loaded; /* which files of RUNTIME could be read */
    char file[16], text[200];
    mono_t retry;
};

/* With whom there were sessions since the start, the latest STATE_MET_MAX of them, in a ring. */
struct met {
    uint8_t key[STATE_MET_MAX][KEY_LEN];
    unsigned n;   /* ever */
    bool pending; /* those of the daemon before us have not been asked yet */
};

struct pump {
    struct config config;
    struct pump_paths paths;
    struct pump_identity identity;
    struct i3_id public_id;
    uint32_t own; /* virtual address, host order */
    uint8_t own6[16];
    mono_t now, started;
    uint64_t wall; /* microseconds since 1970, of this turn as `now` is */
    uint64_t wall_started;
    struct trace *trace; /* NULL: nobody looks on (pump/trace.c) */
    struct drbg random;

    uv_loop_t *loop;
    uv_idle_t idle; /* runs while a turn ended with datagrams still at hand */
    struct fdset *set;
    int timer_fd;
    struct fdset_entry *timer_watch;
    mono_t timer_at; /* what timer_fd is set to */

    char zones[DNS_ZONES_MAX]; /* the suffixes of all overlays (include/dns.h) */
    struct overlay *overlays; /* the first has the top-level `suffix` and `nodes` */
    struct overlay *hidden;   /* instances for anonymous programs: overlay_each() has them as well */
    struct anon_program *programs, *asker, *by; /* whose request runs; by: if it is to go anonymously */
    mono_t anon_look;
    struct node_list told; /* DATA/nodes (pump/nodes.c) */
    struct twin *twins;    /* pump/twin.c */
    struct drops drops;    /* peers that nothing is taken from (pump/drop.c) */
    bool misused;          /* that one is to be dropped, at the next turn */
    uint8_t misuser[KEY_LEN];
    mono_t misuse_told;
    struct access *access; /* who may reach which port */
    uint32_t access_turn;  /* grows with each change of it, or of the book */
    uint8_t (*stale)[KEY_LEN]; /* guests who may have nothing to do here any more (pump/access.c) */
    unsigned n_stale;
    struct strangers *strangers; /* pump/strangers.c */
    struct door_flows *doors;
    struct sharing *sharing;   /* pump/share.h */
    struct rotation *rotation; /* pump/rotate.c */
    struct boxes *boxes;       /* pump/box.h */
    struct groups *groups;
    struct mcasts *mcasts;
    struct lookups *lookups; /* pump/lookup.h */
    struct claims *claims;   /* pump/claims.h */
    int addresses_fd;
    struct fdset_entry *addresses_entry;
    mono_t last_turn;
    bool ever_met; /* there was a session since we started */
    struct tcpip *tcpip;
    struct pool *pool;
    struct journal_file *mappings;
    struct disk_trouble disk;
    struct met met;
    struct book *book;
    struct vsocks *vsocks;
    TAILQ_HEAD(, flow) asking; /* connections whose program waits for the answer, the oldest first */
    struct listeners *listeners;
    struct diag *diag;
    struct dgram_side *dgram;
    struct dns_side *dns;
    struct policy *policy;
    struct gateway *gateway; /* pump/gateway.h */
    struct portal *portal; /* NULL: none is configured (pump/portal.h) */
    struct reload *reload;
    void *accel;
    struct ipc_server *ipc;

    mono_t trim_at;       /* when memory is next looked at */
    uint64_t memory_peak; /* of the engine since it was last given back */
    struct held *held; /* ring */
    unsigned held_first, held_n;
    struct ping pings[PUMP_PINGS_MAX];
    struct failed_host failed[PUMP_FAILED_MAX]; /* ring, the latest */
    unsigned failed_next;
    struct pump_counters count;
    void (*stop)(void *ctx);
    void *ctx;
};

/* pump.c */
/* What all sides have in common; a fresh session key. */
void pump_peers_config(struct overlay *o, struct peers_config *c);
void pump_clock(struct pump *p);
void pump_turn(struct pump *p);

/* pump/state.c: what the next daemon goes on with */
int pump_book_save(struct pump *p);
int state_load_book(struct pump *p, char *why, size_t whylen);
/* RUNTIME/name ("listeners", "udp"). text: from malloc, freed here; NULL: there was no memory. */
void pump_state_save(struct pump *p, const char *name, char *text, size_t len);
/* *text: for the caller to free; NULL for none. -errno: a file of another version, with a sentence in why. */
int pump_state_load(struct pump *p, const char *name, char **text, char *why, size_t whylen);
int state_load_mappings(struct pump *p, char *why, size_t whylen);
/* Before a program hears of an address: what is new in the pool is written, if anything is. */
void state_save_mappings(struct pump *p);
/* There is a session with that key: the daemon that has to go on for us will ask for one by itself. */
void state_met(struct pump *p, const uint8_t key[KEY_LEN]);
/* Which is this: it reads with whom. 0, or -errno with a sentence: a file of another version. */
int state_load_met(struct pump *p, char *why, size_t whylen);
mono_t state_deadline(const struct pump *p);
void state_turn(struct pump *p);
void state_close(struct pump *p);
/* A sentence about what cannot be written at present; NULL: all is. */
const char *state_trouble(const struct pump *p, char *out, size_t cap);

/* pump/overlay.c */
/* One more, behind the others: its socket, triggers, sessions. 0 or -errno with a sentence. */
int overlay_new(struct pump *p, const char *name, const char *suffix, const struct addr *nodes, unsigned n, struct overlay **out, char *why,
    size_t whylen);
/* The overlays, then the instances; NULL at first, and at the end. */
struct overlay *overlay_each(const struct pump *p, const struct overlay *o);
/* Its peers may be spoken to. */
bool overlay_may_call(const struct overlay *o);
/* The ring of an instance, NULL if it is gone; else o itself. */
struct overlay *anon_ring(const struct overlay *o);
/* Its program has gone: it is silent until its trigger has expired. */
bool anon_fades(const struct overlay *o);
/* The side by which whoever asks just now (p->by) reaches the host with that key; an anonymous program's instance is made if need be. NULL:
 * there are too many. */
struct side *side_towards(struct pump *p, const uint8_t key[KEY_LEN]);
/* The same in that overlay. */
struct side *side_in(struct pump *p, struct overlay *ring);
/* What i3.conf says of the first one, and of another. */
struct overlay_plan overlay_plan_first(const struct config *c);
struct overlay_plan overlay_plan_of(const struct config_overlay *c);
int overlay_make(struct pump *p, const struct overlay_plan *c, struct overlay **out, char *why, size_t whylen);
void overlay_free(struct overlay *o);
/* Its socket; and another one in its place, if it can be had: the old one stays where not. */
int overlay_socket(struct overlay *o, const struct addr *local, char *why, size_t whylen);
int overlay_socket_anew(struct overlay *o, const struct addr *local);

/* What its kind does (overlay_kind.h), or what is right for one that has nothing to do. */
int overlay_announce(struct overlay *o, const struct i3_id *id, unsigned bits, const uint8_t priv[KEY_LEN], const uint8_t pub[KEY_LEN], unsigned flags);
void overlay_withdraw(struct overlay *o, const struct i3_id *id, unsigned bits);
/* We are found by that id, as far as is known; by all that were announced. */
bool overlay_stands(const struct overlay *o, const struct i3_id *id);
bool overlay_is_ready(const struct overlay *o);
/* What a packet for that id is pushed for; of family 0: nothing, now. */
const struct addr *overlay_way(struct overlay *o, const struct i3_id *id);
/* Nobody shall look for us there any more. */
void overlay_leave(struct overlay *o);
const struct streams_stats *overlay_by_tcp(const struct overlay *o);
const char *overlay_silence(struct overlay *o, const uint8_t key[KEY_LEN]);
/* By which way a peer's packets go, in words; out: REPORT_PATH bytes (control/report.h). */
const char *overlay_path(struct overlay *o, const struct peer_info *info, char *out);
void overlay_rekeyed(struct overlay *o);
unsigned overlay_replaced(struct overlay *o, const struct i3_id *now, struct i3_id *old);
/* There is something to be received. */
bool overlay_pending(const struct overlay *o);
void overlays_free(struct pump *p);
/* When something in it is due. */
mono_t overlay_deadline(const struct overlay *o);
/* Each turn: what has come, a batch; true: there may be more. And what is due. */
bool overlay_recv(struct overlay *o);
void overlay_turn(struct overlay *o);
/* The one with the longest suffix that the name has; *bare: how much is before it. NULL: none. */
struct overlay *overlay_of_name(const struct pump *p, const char *name, size_t len, size_t *bare);
/* That of a name in the book, and how it is asked for. */
struct overlay *overlay_of_entry(const struct pump *p, const char *name, char full[IPC_NAME_MAX + 1]);
/* By which a key is reached: that of its name in the book. */
struct overlay *overlay_of_key(const struct pump *p, const uint8_t key[KEY_LEN]);
struct overlay *overlay_named(const struct pump *p, const char *name);
/* The side and the peer by which packets from `own` to `remote` go; false: there is no such peer. */
bool overlay_route(const struct pump *p, uint32_t own, uint32_t remote, struct side **s, struct peer **peer);
/* Those by which the host at that address is reached; false: it is no peer of our own key. */
bool overlay_route_own(const struct pump *p, uint32_t remote, struct side **s, struct peer **peer);

/* After a change of its nodes: by a socket that can reach them all. 0 or -errno; the old one stays then. */
int overlay_rebind(struct overlay *o);

/* That key may have sessions there. */
bool overlay_may_have(const struct overlay *o, const uint8_t key[KEY_LEN]);
/* Where there is a session of our own key with that host, or else a peer; NULL: nowhere. */
struct overlay *overlay_of_host(const struct pump *p, uint32_t remote);
/* After a change of suffixes. */
void overlays_list_zones(struct pump *p);

/* pump/overlays.c: the overlays become those of the configuration; what stays keeps its connections. All that can be had is there, also
 * where one could not: -errno with a sentence. */
int overlays_configure(struct pump *p, const struct config *c, char *why, size_t whylen);

/* pump/nodes.c: which nodes an overlay has */
int nodes_load(struct pump *p, char *why, size_t whylen);
int nodes_store(struct pump *p, const struct node_list *l);
/* Those that i3.conf names for it, else those of DATA/nodes. */
unsigned nodes_of(const struct pump *p, const char *name, const struct addr *config, unsigned n, struct addr out[CONFIG_NODES_MAX]);
/* DATA/nodes is that from now on; the overlay changes over at once, if i3.conf names none for it. 0, or -errno and nothing has changed. */
int nodes_replace(struct overlay *o, const struct node_list *l);
/* These as well. */
int nodes_learned(struct overlay *o, const struct addr *v, unsigned n);
/* There are some; never of a mesh. */
bool nodes_any(const struct overlay *o);
/* As an invitation has them: added to DATA/nodes for the first overlay, and used at once if i3.conf names none. 0 or -errno. */
int overlay_nodes_save(struct pump *p, const struct addr *addrs, unsigned n);
/* Other nodes from now on. n 0: the first overlay runs one by itself, the others wait. */
int overlay_set_nodes(struct overlay *o, const struct addr *v, unsigned n);

/* pump/net.c */
/* A DATA packet; from: by whom it came, for peers_input(). */
void net_data_in(struct overlay *o, const struct addr *from, uint8_t *data, size_t len);
/* As udp_failed_fn; ctx: the overlay. */
void net_send_failed(void *ctx, const struct addr *to, size_t len, int err);
/* ctx: the overlay. */
void net_packet_in(void *ctx, const struct addr *from, uint8_t *data, size_t len);
/* All that is due, of all overlays. */
void net_output(struct pump *p);
void net_peer_events(struct pump *p);
void net_flush(struct overlay *o);
void net_choose_node(struct overlay *o);
/* The home node is none of ours any more. */
void net_leave_node(struct overlay *o);
/* The home node from now on, by the way that the address says. */
void net_set_home(struct overlay *o, const struct addr *node);
/* An instance's, which was drawn. */
void net_drawn_node(struct overlay *o, const struct addr *node);
/* The i-th of those configured. */
void net_use_node(struct overlay *o, unsigned i);
/* The largest packet that fits all ways to a host: there may be sessions with several sides of ours. */
uint16_t net_mtu(struct pump *p, uint32_t remote);
/* Why no session with that host could be had a moment ago, an errno; 0: it could, or nobody has tried. */
int net_failed_lately(const struct pump *p, uint32_t host);

/* pump/group.c */
/* A side with that group's key, NULL: the user's own; with its triggers for sessions. NULL: no memory, or no address. */
struct side *side_new(struct overlay *o, const struct group *g);
/* Of an instance, with a key of its own that is drawn. */
struct side *side_new_hidden(struct overlay *o);
/* The same for an old key of the user's. */
struct side *side_new_retired(struct overlay *o, const struct retired *old);
/* Its connections are reset, its triggers taken back. */
void side_end(struct side *s);
void sides_free(struct overlay *o);
/* Whose id that is, and whose address (the first overlay's, where all have it); NULL: nobody of ours. */
struct side *side_by_id(const struct overlay *o, const uint8_t id[ID_LEN]);
struct side *side_by_own(const struct pump *p, uint32_t own);
/* The address of ours that has sent this packet (an IP header), 0: none of ours. */
uint32_t side_source(const struct pump *p, const uint8_t *ip);
int group_load(struct pump *p, char *why, size_t whylen);
void group_start(struct pump *p);
/* The daemon ends: clients of its groups are told to look for others. */
void group_stop(struct pump *p);
/* The overlay goes: what our groups have there ends. */
void group_leave_overlay(struct overlay *o);
/* After a change of overlays: each group is where its name says. */
void group_resettle(struct pump *p);
/* Is a member from now on; g is copied. 0 or -errno, as groups_add(). */
int group_enter(struct pump *p, const struct group *g);
/* No more; g is gone. -errno: the file could not be written. */
int group_leave(struct pump *p, const struct group *g);

/* pump/mcast.c */
int mcast_start(struct pump *p);
void mcast_stop(struct pump *p);
int mcast_join(struct pump *p, const struct group *g);
void mcast_leave(struct pump *p, const uint8_t key[KEY_LEN]);
/* We are a member of that group, by that overlay. */
bool mcast_is_at(const struct pump *p, const uint8_t key[KEY_LEN], const struct overlay *o);
/* That overlay goes: nothing is sent there any more, and no member is heard. */
void mcast_forget_overlay(struct pump *p, const struct overlay *o);
/* A key that may speak no more. */
void mcast_forget(struct pump *p, const uint8_t key[KEY_LEN]);
/* A packet for the group at that address; false: there is none. */
bool mcast_send(struct pump *p, uint32_t remote, const struct iovec *v, int n, size_t len);
/* There is a group which we are a member of. */
bool mcast_is_member(struct pump *p, uint32_t remote);
/* The largest IP packet for a group. */
uint16_t mcast_mtu(const struct pump *p);
/* A GROUP packet; false: it is for none of our groups. */
bool mcast_in(struct overlay *o, const struct wire_data *d);
/* Fills in what is known of its datagrams. */
void mcast_report(const struct pump *p, struct report_group *out);

/* pump/waypoint.c */
/* A packet with more than one id, the first of which may be ours. */
void waypoint_in(struct overlay *o, const struct wire_data *d, uint8_t *data, size_t len);

/* pump/link.c: TCP to the nodes where UDP is blocked */
int link_start(struct overlay *o);
/* After a change of the nodes. */
int link_set_nodes(struct overlay *o);
void link_stop(struct overlay *o);
/* A batch of what has come by connections. True: there may be more. */
bool link_recv(struct overlay *o);
/* What the outbox has for connections is taken out and sent. */
void link_send(struct overlay *o);
/* What can wait for a connection's room should: there is a turn when it has some. */
bool link_is_full(const struct overlay *o);
void link_turn(struct overlay *o);
/* We are elsewhere, or were asleep: connections are made anew, and UDP is tried. */
void link_moved(struct overlay *o);
mono_t link_deadline(const struct overlay *o);
/* Moved so far, by UDP and TCP. */
void link_traffic(const struct pump *p, uint64_t *bytes, uint64_t *packets_in);

/* pump/renew.c */
/* The side's private ids shall be others, soon. */
void renew_begin(struct side *s);
void renew_turn(struct overlay *o);
mono_t renew_deadline(const struct overlay *o);
bool renew_runs(const struct side *s);
void renew_stop(struct side *s);

/* pump/drop.c */
int drop_load(struct pump *p, char *why, size_t whylen);
bool drop_has(const struct pump *p, const uint8_t key[KEY_LEN]);
/* A peer is there, perhaps for the first time. */
void drop_peer_made(struct pump *p, struct side *s, struct peer *peer);
/* Who is nobody any more is nobody to be dropped. */
void drop_forget(struct pump *p, const uint8_t key[KEY_LEN]);
/* It is to have a session no more; the private ids that it knows shall lead nowhere. */
void drop_knower(struct pump *p, struct side *s, struct peer *peer);
/* One packet, opened with the peer's key, which its i3d should not have sent. */
void drop_misuse(struct pump *p, struct peer *peer);
void drop_turn(struct pump *p);
mono_t drop_deadline(const struct pump *p);

/* pump/sample.c */
/* The key in use is another one, with that id. Returns 1 when one more had a trigger, which *old names now, else 0. */
unsigned sample_replaced(struct overlay *o, const struct i3_id *now, struct i3_id *old);
/* Where there are nodes to measure; again after a change. */
int sample_start(struct overlay *o);
/* The user's key is another one: its private ids are chosen anew. */
void sample_restart(struct overlay *o);
void sample_turn(struct overlay *o);

/* pump/move.c */
void move_start(struct pump *p);
void move_stop(struct pump *p);
/* Every turn, before anything that is late is held against others. */
void move_turn(struct pump *p);
/* A ring's: it has come later; where are we; all its nodes are asked again; addresses have changed. */
void move_begin(struct overlay *o);
void move_look(struct overlay *o, bool anyway);
void move_ring_again(struct overlay *o);
void move_addresses(struct overlay *o);
/* Everything is asked again, as at another place. */
void move_ask_again(struct overlay *o);

/* pump/shortcut.c */
/* Tells peers where we are when that has changed. */
void shortcut_turn(struct overlay *o);

/* pump/flow.c */
/* By that side. 0: `client` has its answer, or will have it soon; else -errno, which is its answer. */
int flow_connect(struct pump *p, const struct side *s, const struct ipc_connect *ask, struct ipc_client *client, uint32_t serial);
mono_t flow_deadline(const struct pump *p);
void flow_expire(struct pump *p);
void flow_client_gone(struct pump *p, const struct ipc_client *c);
void flow_events(struct pump *p);

/* Who has accepted a socket, and wants it led to a host of the overlay. */
struct flow_guest {
    /* What of the socket shall go to the host, as readv(); -errno. *drained: there is no more at present. */
    ssize_t (*read)(void *ctx, const struct iovec *iov, int n, bool *drained);
    /* These bytes of the host have gone into the socket. */
    void (*passed)(void *ctx, const struct iovec *iov, int n, size_t bytes);
    void (*connected)(void *ctx);
    /* The flow is no more, and the socket the guest's again. err: 0, or what a socket to the host would show. */
    void (*ended)(void *ctx, int err);
};
/* A connection to remote (IPv4) for fd, which nobody watches but the flow from here. 0 or -errno; *out until ended(). */
int flow_dial(struct pump *p, const struct side *s, const struct addr *remote, int fd, const struct flow_guest *guest, void *ctx, struct flow **out);
/* read() has something again. Not from within one of the guest's calls. */
void flow_poke(struct flow *f);
/* The guest has lost interest: the host sees a reset, and ended() is not called. Not from within one of the guest's calls. */
void flow_cut(struct flow *f);
void flow_stop(struct pump *p);
/* Connections which the access table allows no more are reset. */
void flow_recheck(struct pump *p);
/* Those over IPv6 with that host (0: all) are reset: an address has changed. */
void flow_end6(struct pump *p, uint32_t host);
/* Connections of that own address are reset. */
void flow_end_local(struct pump *p, uint32_t own);
/* Some stand. */
bool flow_has_local(struct pump *p, uint32_t own);

/* A packet that came by middle-boxes, as if in the peer's own session. */
void net_routed_in(struct pump *p, const struct side *s, struct peer *peer, uint8_t *packet, size_t len);
/* A packet that was sealed into the overlay's buffer, behind its headroom, is sent to that peer. */
void net_push_sealed(const struct side *s, const struct peer *peer, size_t len, uint8_t ecn);
/* What waits for the way to that peer goes out. */
void net_send_held(struct pump *p, const struct side *s, struct peer *peer);
/* The engine hears how large packets to it may be. */
void net_set_path(struct pump *p, const struct side *s, const struct peer *peer);
/* A gateway's connection to a real host: fd is connecting or connected, and the flow's from now on; g hears of it. 0 or -errno, with fd closed. */
struct gate_conn;
int flow_serve(struct pump *p, struct tcp_ref ref, const struct addr *local, const struct addr *remote, int fd, struct gate_conn *g);
/* Ends it, err as the program at the other end sees it. */
void flow_drop(struct flow *f, int err);
/* The real host has had its time to answer. */
void flow_late(struct flow *f);

/* A packet of this host on its way to the host with that virtual address. */
void net_send_packet(struct pump *p, uint32_t remote, const struct iovec *v, int n, size_t len);
/* The same from that address of ours, or from one that a gateway of ours stands for (pump/gateway.h); 0: from nobody's. */
void net_send_from(struct pump *p, uint32_t own, uint32_t remote, const struct iovec *v, int n, size_t len);

/* pump/access.c */
/* Whom a list of i3.conf names, "anyone" among them, is put into l: for access_use() of p->access, at each access_rebuild(). */
void access_allow(struct pump *p, struct access_list *l, const char (*names)[CONFIG_NAME_MAX + 1], unsigned n);
/* May this key use us as a gateway, or a middle-box? */
bool access_uses(const struct pump *p, enum access_use what, const uint8_t key[KEY_LEN]);
/* Perhaps it has nothing to do here any more: access_settle() looks. */
void access_doubt(struct pump *p, const uint8_t key[KEY_LEN]);
/* The table anew, after a change of anything that it is made of; what it allows no more ends. -ENOMEM. */
int access_rebuild(struct pump *p);
void access_settle(struct pump *p);
/* A friend reaches all servers, a guest only what a door is open for. Of a peer of that side. */
bool access_is_guest(struct pump *p, struct peer *peer);
/* May this packet of the peer's go on to the engine? False: it ends here, and nobody hears of it. */
bool access_admits(struct pump *p, const struct side *s, struct peer *peer, const uint8_t *packet, size_t len);
/* The door that the host with that handle may go through to that port of the side, NULL for none; *guest: nothing else is open to it. */
const struct door *access_door(struct pump *p, const struct side *s, uint32_t host, uint8_t proto, uint16_t port, bool *guest);

/* A key that nobody here knows any more is forgotten at once, with its sessions and connections; else nothing happens. */
void access_forget(struct pump *p, const uint8_t key[KEY_LEN]);

/* pump/strangers.c: keys that nobody here knows, where something is open to anyone */
int strangers_start(struct pump *p);
void strangers_stop(struct pump *p);
/* The peer of a key that calls by that side, made if it may be; NULL: not now. */
struct peer *strangers_meet(struct side *s, const uint8_t key[KEY_LEN]);
bool strangers_has(const struct pump *p, const uint8_t key[KEY_LEN]);
unsigned strangers_count(const struct pump *p);
/* After a change of who may what: those who are known now, or may come no more. */
void strangers_recheck(struct pump *p);
/* Its sessions and its address; nothing if it is none. */
void strangers_forget(struct pump *p, const uint8_t key[KEY_LEN]);
/* Those of a side that ends. */
void strangers_forget_side(struct side *s);
/* The same, and its connections are reset. */
void strangers_expel(struct pump *p, const uint8_t key[KEY_LEN]);
mono_t strangers_deadline(const struct pump *p);
void strangers_turn(struct pump *p);

/* pump/share.c: invitations of ours, and DATA/shares */
int share_start(struct pump *p, char *why, size_t whylen);
void share_stop(struct pump *p);
mono_t share_deadline(const struct pump *p);
void share_turn(struct pump *p);
void share_client_gone(struct pump *p, const struct ipc_client *c);
/* JOIN: somebody comes with a code. */
void share_join_in(struct overlay *o, const struct wire_data *d);

/* pump/join.c: those of others */
void join_joined_in(struct overlay *o, const struct wire_data *d);
void join_not_present(struct overlay *o, const struct wire_not_present *np);

/* pump/rotate.c: keys that change */
int rotation_start(struct pump *p, char *why, size_t whylen);
void rotation_stop(struct pump *p);
/* Old keys answer, of an overlay that has come up. */
void rotation_begin(struct overlay *o);
mono_t rotation_deadline(const struct pump *p);
void rotation_turn(struct pump *p);
/* Whoever is to be told may be others now. */
void rotation_people(struct pump *p);
/* The user's key, present or old, whose id has that prefix; false: none has. */
bool rotation_identity(const struct pump *p, const uint8_t prefix[ID_PREFIX_LEN], const uint8_t **priv, const uint8_t **pub);
/* A word about keys from a peer (pump/word.c). */
void rotation_word(struct side *s, struct peer *peer, const uint8_t *msg, size_t len);
/* There is a session with that peer, or none could be had (up: false). */
void rotation_session(const struct side *s, const struct peer *peer, bool up);
/* Does it know our new key? 1, 0; -1: we have had no other. */
int rotation_told(struct pump *p, const uint8_t key[KEY_LEN]);

/* pump/word.c: a word of a peer's that is not about the way between us (i3/inner.h), to whoever it is for. ecn: of the datagram in which
 * it came. Its bytes may be written to, and stay until the batch has been sent. */
void word_in(struct side *s, struct peer *peer, uint8_t ecn, uint8_t *msg, size_t len);

/* pump/door.c: datagrams through doors */
int door_start(struct pump *p);
void door_stop(struct pump *p);
/* A peer's datagram: to the door's target. */
void door_datagram(struct pump *p, const struct side *s, const struct door *d, const struct addr *virt, uint32_t host, const uint8_t *data,
    size_t len);
mono_t door_deadline(const struct pump *p);
void door_expire(struct pump *p);
/* Ends what the access table allows no more. */
void door_recheck(struct pump *p);

/* pump/udp.c, pump/mirror.c */
int dgram_start(struct pump *p);
void dgram_stop(struct pump *p);
/* What the daemon before us knew. */
int dgram_load(struct pump *p, char *why, size_t whylen);
void dgram_save(struct pump *p);
/* A packet from the peer with that handle to the side's address, both checked. False: it is not about UDP. Its bytes must stay until
 * dgram_flush(). */
bool dgram_packet_in(struct pump *p, const struct side *s, uint32_t host, const uint8_t *packet, size_t len);
void dgram_flush(struct pump *p);
/* len bytes from src_port to dst_port behind that IP header, in pieces if need be; own: as of net_send_from(). */
void dgram_send(struct pump *p, uint32_t own, uint32_t host, const uint8_t *ip, size_t ip_len, uint16_t src_port, uint16_t dst_port, const uint8_t *data,
    size_t len);
/* "Port unreachable" about a packet of that host's. */
void dgram_answer_unreachable_from(struct pump *p, uint32_t own, uint32_t host, const uint8_t *packet, size_t len);
/* A fragment: the whole packet, *whole bytes, when it was the last that was missing; else NULL. */
const uint8_t *dgram_piece(struct pump *p, const uint8_t *packet, size_t len, size_t *whole);
/* A datagram to a group from the host with that handle, for every socket that has the port. How many there are; -EAGAIN: it is a
 * fragment, the rest is to come. */
int dgram_multicast_in(struct pump *p, uint32_t host, const uint8_t *packet, size_t len);
/* What programs have sent goes out. True: there is more. */
bool dgram_read(struct pump *p);
void dgram_expire(struct pump *p);
mono_t dgram_deadline(const struct pump *p);
/* The mirror of q->remote, which is virtual and not our own; 0 or -errno. */
int dgram_open(struct pump *p, const struct ipc_udp_open *q, struct addr *mirror);
/* A socket was bound. */
int dgram_listen(struct pump *p, const struct addr *bound, uint64_t cookie, const struct addr *asked, uint8_t flags);
/* Another socket than that one has asked for an address which overlaps, and does not share it. */
bool dgram_taken(struct pump *p, const struct addr *asked, uint64_t cookie, uint8_t flags);
/* What the socket has asked for, NULL: where it is bound, or it is not known. */
const struct addr *dgram_asked(const struct pump *p, const struct addr *bound, uint64_t cookie);
/* Where what this host sends to its own address has to go; false: nobody is there. */
bool dgram_self(const struct pump *p, const struct addr *own, struct addr *at);
/* Whose mirror is bound there, and the address of ours that this peer speaks to; NULL: nobody's. */
const struct addr *dgram_peer(const struct pump *p, const struct addr *real, uint32_t *own);
/* Forgets sockets that are gone. */
void dgram_sweep(struct pump *p);
const struct dgrams *dgram_table(const struct pump *p);
const struct dgram_counters *dgram_counters(const struct pump *p);

/* pump/dns.c: port 53 of real servers (pump/dns.h) */
int dns_start(struct pump *p);
void dns_stop(struct pump *p);
void dns_expire(struct pump *p);
/* Look-ups have ended: questions that waited for them are answered. */
void dns_ask_again(struct pump *p);
/* It is a DNS server's address, and not to be had by way of the overlay. */
bool dns_is_server(struct pump *p, const struct addr *remote);
/* The socket with that port, which asks servers, is that program's. */
void dns_tell(struct pump *p, uint16_t port, const char *app);
/* As dgram_open(), for a server. */
int dns_open(struct pump *p, const struct ipc_udp_open *q, struct addr *mirror);
/* Whose mirror is bound there, and this host's address towards it; NULL: no server's. */
const struct addr *dns_peer(struct pump *p, const struct addr *real, struct addr *local);
/* 0: `client` has its answer; else -errno, which is its answer. */
int dns_connect(struct pump *p, const struct ipc_connect *ask, struct ipc_client *client, uint32_t serial);

/* pump/listen.c */
int listen_load(struct pump *p, char *why, size_t whylen);
void listen_save(struct pump *p);
int listen_add(struct pump *p, const struct listener *l);
/* Forgets listeners that are gone. */
void listen_sweep(struct pump *p);
/* LISTEN and BOUND of ipc.h, TCP and UDP. 0 or -errno; false: what the kernel knows holds. */
int listen_ask(struct pump *p, const struct ipc_listen *ask, struct addr *asked);
bool listen_asked(struct pump *p, const struct ipc_bound *b, struct addr *asked);
/* One that still listens and is meant by that address of ours, NULL for none. */
const struct listener *listen_find(struct pump *p, const struct addr *own);
/* Where a program of this host finds the one that is meant by its own address: on loopback. False: there is none. */
bool listen_self(struct pump *p, uint8_t proto, const struct addr *own, struct addr *at);

/* pump/ipc.c */
void ipc_record(void *ctx, struct ipc_client *c, const uint8_t *data, size_t len);
void ipc_gone(void *ctx, struct ipc_client *c);
/* May something that is no program of ours (the portal) connect to that address, and by which side? 0, an errno, or an enum ipc_status. */
int ipc_way(struct pump *p, const struct addr *remote, const struct side **s);
void ipc_reply(struct ipc_client *c, struct writer *w, int fd);
void reply_socket(struct ipc_client *c, uint32_t serial, const struct ipc_socket *s, int fd); /* to CONNECT */

/* pump/twin.c: a host in more overlays than one */
/* The virtual address of an entry in the overlay of its name, 0: none is left. */
uint32_t twin_address(struct pump *p, const struct book_entry *e, bool pin);
/* Of a key out of the pool: whose it is; does it stand for another one; the entry it is for, NULL: none. */
const uint8_t *twin_key(const struct pump *p, const uint8_t *key);
bool twin_is(const struct pump *p, const uint8_t *key);
const struct book_entry *twin_entry(const struct pump *p, const uint8_t *key);
/* The key's entry in that overlay; NULL: it has none there. */
const struct book_entry *twin_entry_in(const struct pump *p, const struct overlay *o, const uint8_t key[KEY_LEN]);
void twins_free(struct pump *p);

/* pump/names.c */
/* What the book calls that name, and the overlay of it; NULL: its suffix is no overlay's. */
struct overlay *names_bare(const struct pump *p, const char *name, char bare[IPC_NAME_MAX + 1]);
/* The first entry of that key, in the book or among our groups; NULL: none. */
const struct book_entry *names_entry(const struct pump *p, const uint8_t key[KEY_LEN]);
/* The key of a name with an overlay's suffix, NULL if the book has none there. */
const struct book_entry *names_find(const struct pump *p, const char *name);
/* Is it in the book, as neither a multicast group nor a guest? */
bool names_is_friend(const struct pump *p, const uint8_t key[KEY_LEN]);
/* Has anybody here ever heard of that key, more than that it may come as anyone? */
bool names_is_known(const struct pump *p, const uint8_t key[KEY_LEN]);
/* May a key open sessions: is it a friend, or a guest with a door here or there, or one that has been replaced and is told so? */
bool names_may_talk(const struct pump *p, const uint8_t key[KEY_LEN]);
/* The peer of that side with that key, whose address here is ip, as the book and rules want it; NULL: it is ourselves, or none can be had. */
struct peer *names_peer(struct side *s, const uint8_t key[KEY_LEN], uint32_t ip);
/* The virtual address of a key, 0 when the pool is full; unless it is our own key a session is wanted as well, not before
 * that many microseconds from now. */
uint32_t names_address(struct pump *p, const uint8_t key[KEY_LEN], uint64_t later_us);
/* The same for an entry, by the overlay of its name; and for the host at an address that was handed out. */
uint32_t names_address_of(struct pump *p, const struct book_entry *e, uint64_t later_us);
uint32_t names_address_at(struct pump *p, uint32_t ip);
/* The same, and what others than the book say of it (pump/lookup.h): 0 with *e, or what keeps it from being known. */
int names_look(struct pump *p, const char *name, const struct book_entry **e, const char **why);
/* As RESOLVE answers (include/ipc.h). */
void names_resolve(struct pump *p, const char *name, struct ipc_resolved *out);
/* The host with that virtual address, named by its IPv4 address; 0: there is none. */
uint32_t names_host(struct pump *p, const struct addr *a);
/* Its address of that family, 4 or 6. */
struct addr names_host_address(const struct pump *p, uint32_t ip, uint8_t family, uint16_t port);
/* "name.i3" of a virtual address, NULL if it is none of the book's. */
const char *names_reverse(struct pump *p, uint32_t ip, char out[IPC_NAME_MAX + 1]);
/* The address was handed out by us; one of the virtual network that never was is not ours, whatever it is. */
bool names_is_virtual(struct pump *p, uint32_t ip);
/* Nobody else may be asked about that address: it is virtual, or has the prefix of virtual IPv6 addresses, which is nobody else's. */
bool names_is_ours(struct pump *p, const struct addr *a);
void names_pin_book(struct pump *p);
/* Names that are being looked up there are not known. */
void names_forget_overlay(struct pump *p, const struct overlay *o);
/* There is a multicast group at that address. */
bool names_is_multicast(struct pump *p, uint32_t ip);

/* pump/trace.c: packets as programs send and receive them, for who looks on */
void trace_packet(struct pump *p, uint32_t host, bool out, const struct iovec *v, int n, size_t len);
void trace_turn(struct pump *p);
void trace_stop(struct pump *p);

/* pump/control.c */
void control_request(struct pump *p, struct ipc_client *c, uint32_t serial, const uint8_t *data, size_t len);

/* pump/ping.c */
int ping_start(struct pump *p, struct ipc_client *c, uint32_t serial, const char *name, uint32_t remote, bool v6,
    unsigned count);
/* The client wants no more: its pings end with what they have. */
void ping_finish(struct pump *p, const struct ipc_client *c);
void ping_reply(struct pump *p, const struct tcpip_event *e);
void ping_expire(struct pump *p);
mono_t ping_deadline(const struct pump *p);
void ping_client_gone(struct pump *p, struct ipc_client *c);
void control_reply(struct ipc_client *c, uint32_t serial, bool more, uint8_t status, char *json);

#endif
