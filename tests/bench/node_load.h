/* node_load.h - the load of the rows node*: hosts in great number, on one socket, towards a real i3node.
 *
 * One socket is bound to all of 127.0.0.0/8 and sends from whatever address of it a packet names (IP_PKTINFO), so that one system call
 * carries many sources. Everything is a closed loop: no more is under way than WINDOW, so that what is lost was lost by the node.
 *
 * node_load.c   packets through the node or a bare reflector; main
 * node_hosts.c  triggers: insertion, refreshes; what a node reflects
 */
#pragma once

#include "daemon/i3/proof.h"
#include "include/wire.h"

enum { BATCH = 64, ROOM = 2048 };

struct hub {
    int fd;
    unsigned window; /* packets under way that no buffer is too small for: WINDOW, or less where the system gives small ones */
    struct sockaddr_in node;
    unsigned n; /* packets waiting to be sent */
    uint8_t (*out)[ROOM], (*in)[ROOM];
    size_t out_len[BATCH], in_len[BATCH];
    uint32_t out_from[BATCH]; /* IPv4 addresses in host order */
};

void hub_open(struct hub *h, const char *node);
/* A place to write a packet to, which will go from address `from`; its length is what the caller sets it to. */
uint8_t *hub_put(struct hub *h, uint32_t from, size_t **len);
void hub_flush(struct hub *h);
/* A batch of packets into in[]; waits up to wait_ms for the first. How many. */
unsigned hub_get(struct hub *h, int wait_ms);

/* The i-th host's address. */
uint32_t host_ip(unsigned i);
double seconds(void);
/* CPU seconds of process pid so far, 0 for pid 0. */
double cpu_of(long pid);
__attribute__((noreturn)) void die(const char *what);

/* ---- triggers ---- */

struct item {
    struct i3_id id;
    uint64_t seq;
    uint32_t ip;
    uint8_t state;
};

struct hosts {
    struct hub *hub;
    bool removing;
    unsigned n, per_key, keys; /* triggers; how many of them share a key */
    struct item *item;
    struct proof_key *key;
    uint8_t (*priv)[KEY_LEN], (*pub)[KEY_LEN], node_key[KEY_LEN];
};

/* n triggers of n / per_key keys and `sources` addresses; keys are made and agreed on with the node beforehand, which costs a host more than
 * the node. */
void hosts_open(struct hosts *s, struct hub *hub, unsigned n, unsigned per_key, unsigned sources);
/* All of them: seconds it took. */
double hosts_insert(struct hosts *s);
/* Takes them away again. */
double hosts_remove(struct hosts *s);
/* `each` in one packet (1: a REFRESH each). */
double hosts_refresh(struct hosts *s, unsigned each);
/* Bytes that come back for each that was sent without any proof, of all kinds of packets: the largest. Says each. */
double hosts_reflect(struct hub *hub);
