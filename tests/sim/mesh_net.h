/* mesh_net.h - members of a mesh in virtual time: each pair has a delay, a loss and a switch for each direction. */
#ifndef I3_TESTS_MESH_NET_H
#define I3_TESTS_MESH_NET_H

#include "daemon/mesh/mesh.h"

enum { NET_MAX = 24, NET_QUEUE = 1 << 18, NET_PACKET = 1600 };

struct flight {
    mono_t at;
    uint64_t order;
    struct addr from, to;
    uint16_t len;
    uint8_t *data;
};

struct net {
    unsigned n;
    struct mesh *m[NET_MAX];
    uint8_t priv[NET_MAX][KEY_LEN], pub[NET_MAX][KEY_LEN];
    uint8_t prefix[NET_MAX][ID_PREFIX_LEN];
    struct addr addr[NET_MAX];
    bool dead[NET_MAX];
    uint32_t us[NET_MAX][NET_MAX]; /* one way */
    unsigned loss[NET_MAX][NET_MAX]; /* of 1000 */
    bool cut[NET_MAX][NET_MAX];
    mono_t now;
    struct drbg drbg;
    struct flight *q; /* a heap */
    unsigned queued;
    uint64_t order;
    struct outbox out;
    /* what came */
    unsigned got[NET_MAX], hops[NET_MAX];
    const uint8_t *who[NET_MAX];
    uint64_t datagrams;
    unsigned events[NET_MAX];
    /* looked at for each datagram; NULL: nothing */
    void (*spy)(struct net *w, const struct flight *f);
};

/* n members who all know each other; delays between 1 and 100 ms by chance. */
void net_begin(struct net *w, unsigned n, uint8_t seed);
void net_end(struct net *w);
/* One of them starts anew, and knows nobody's state. */
void net_restart(struct net *w, unsigned i);
void net_run(struct net *w, uint64_t us);
void net_link(struct net *w, unsigned a, unsigned b, uint32_t us);
void net_cut(struct net *w, unsigned a, unsigned b, bool cut);
/* A packet from a to b by the way that a knows; false: it knows none. What comes counts in got[b]. */
bool net_send(struct net *w, unsigned a, unsigned b);
/* Someone's datagram, from any address. */
void net_throw(struct net *w, const struct addr *from, unsigned to, const uint8_t *data, size_t len);
void net_tell_all(struct net *w, unsigned i);
/* The way of a to b. */
struct mesh_info net_way(struct net *w, unsigned a, unsigned b);
unsigned net_who(const struct net *w, const uint8_t key[KEY_LEN]);

#endif
