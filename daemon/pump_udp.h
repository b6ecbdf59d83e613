/* pump_udp.h - what pump_udp.c and pump_deliver.c share. */
#ifndef I3_PUMP_UDP_H
#define I3_PUMP_UDP_H

#include "daemon/program/dgram.h"
#include "daemon/pump_impl.h"

struct mirror_io;
struct mirrors_io;
struct backlog;

struct bucket {
    uint32_t tokens;
    mono_t at;
};

struct dgram_side {
    struct dgrams *t;
    struct mirrors_io *io;
    struct reassembly *pieces;
    struct mirror_io *ready_first, *ready_last;
    struct mirror *reading;
    unsigned mirrors_max;
    struct backlog *backlogs;
    unsigned n_backlogs;
    uint16_t ip_id;
    uint16_t mtu; /* of mtu_host at mtu_at */
    uint32_t mtu_host;
    mono_t mtu_at;
    uint32_t uid;
    mono_t verify_at;
    struct bucket errors, strangers;
    bool save; /* servers have come or gone since the file was written */
    struct dgram_counters count;
};

int dgram_fd(const struct mirror *m);

/* pump_deliver.c */
/* To the socket u from the peer m stands for; the bytes must stay until dgram_flush(). */
void deliver(struct pump *p, struct usock *u, const struct mirror *m, const uint8_t *data, size_t len);
/* u is going to be freed. ctx: the pump. */
void deliver_forget(void *ctx, struct usock *u);
void deliver_expire(struct pump *p);
mono_t deliver_deadline(const struct pump *p);
void deliver_trim(struct pump *p);

#endif
