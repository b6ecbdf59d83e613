/* world.h - daemons' peers on a network that loses, repeats and reorders, in virtual time. No i3 node: the world itself
 * knows who has which id, which is all that sessions ask of one. Packets to the node's address are relayed; those to a host's
 * own address go straight, while `straight` is true. */
#ifndef I3_TEST_WORLD_H
#define I3_TEST_WORLD_H

#include <check.h>
#include <stdlib.h>

#include "daemon/i3/peer.h"

enum { WORLD_HOSTS = 64, WORLD_FLIGHT = 65536, WORLD_PACKET = 2048 };

#define MS  USEC_PER_MSEC
#define SEC USEC_PER_SEC

extern const struct addr world_node; /* where relayed packets go */

struct world;

struct host {
    struct world *w;
    unsigned n;
    bool absent;                                        /* has no trigger: NOT_PRESENT */
    bool dead;                                          /* has, but is there no more */
    struct i3_id public_id, private_id, old_private_id; /* of which only the prefixes count */
    struct peers *ps;
    struct peers_config c;
    struct addr addr; /* 192.0.2.(n + 1):5000 */
    uint64_t wall_skew;
    uint64_t got_straight; /* of `got` */
    uint64_t got, got_bytes, ups, moves, unreachables, controls, dropped;
    int last_err;
    uint8_t last[WORLD_PACKET];
    size_t last_len;
    uint8_t seen[1 << 16]; /* how often the packet with this number was delivered */
};

struct flight {
    mono_t at;
    uint64_t order; /* among equals, first come first served */
    unsigned from;
    bool not_present, straight;
    size_t len;
    uint8_t *data;
};

struct world {
    mono_t now;
    struct drbg drbg;
    struct host host[WORLD_HOSTS];
    unsigned hosts;
    struct flight *heap;
    unsigned n;
    uint64_t order;
    struct outbox *out;

    uint64_t delay, jitter; /* microseconds, each way */
    unsigned loss, dup;     /* per 1000 */
    /* May drop (false) or change a packet on its way. */
    bool (*filter)(struct world *w, unsigned from, uint8_t *p, size_t len);
    bool (*known)(unsigned host, const uint8_t key[KEY_LEN]);
    bool node_down;    /* relayed packets are lost */
    bool straight;     /* the others are not */
    size_t widest[2];  /* longer datagrams are lost: relayed, and straight; 0: none are */
    uint64_t sent_straight;
    uint64_t sent[16], not_presents; /* by proto */
    uint64_t by_host[WORLD_HOSTS];  /* packets sent */
    unsigned drop_at;               /* loses the packet with this number (from 1) */
    uint64_t n_sent;
    /* every packet that was sent, in order, for replays */
    struct recorded {
        unsigned from;
        size_t len;
        uint8_t *data;
    } * record;
    size_t n_record;
    bool recording;
};

struct world *world_new(unsigned hosts, uint64_t seed);
void world_free(struct world *w);
/* Hosts take shortcuts where both of a pair want to: before anything else. */
void world_shortcuts(struct world *w);
/* The host's packets come from there from now on, and it knows. */
void world_move(struct world *w, unsigned host, uint16_t port);
/* Loses all state of a host but its keys. */
void world_restart(struct world *w, unsigned host);
/* These hosts share the key of the first, as members of a group: before anything else. */
void world_group(struct world *w, unsigned first, unsigned n);
/* Lets time pass. */
void world_run(struct world *w, uint64_t us);
/* Takes what the host wants to send now. */
void world_flush(struct world *w, unsigned host);
/* Puts a packet on its way as if `from` had sent it: to the node, or straight to `to`. */
void world_send_to(struct world *w, unsigned from, const struct addr *to, const uint8_t *p, size_t len);
void world_send(struct world *w, unsigned from, const uint8_t *p, size_t len);
/* Delivers to whom it is addressed, at once. */
void world_deliver(struct world *w, unsigned from, const uint8_t *p, size_t len);

struct peer *world_peer(struct world *w, unsigned from, unsigned to);
void world_open(struct world *w, unsigned from, unsigned to);
/* A packet of len bytes (at least 8) which carries `number`; the result of peer_seal. */
ssize_t world_packet(struct world *w, unsigned from, unsigned to, uint64_t number, size_t len);
struct peer_info world_info(struct world *w, unsigned from, unsigned to);

/* ---- of the first two hosts ---- */

bool world_both_stand(struct world *w);
/* Packets arrive both ways; numbered from `first`. */
void world_assert_talk(struct world *w, uint64_t first);
/* A packet from `from` every 100 ms, and an answer as soon as one arrives, as TCP would: how long until that is back. */
uint64_t world_time_to_talk(struct world *w, unsigned from);

#endif
