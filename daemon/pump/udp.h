/* pump/udp.h - what the pump's files for UDP share.
 *
 *   pump/mirror.c    mirrors and programs' sockets: made, verified, remembered, dropped
 *   pump/udp.c       datagrams from programs to peers and back, fragments, ICMP errors
 *   pump/deliver.c   into programs' sockets, no faster than those take them
 */
#ifndef I3_PUMP_UDP_H
#define I3_PUMP_UDP_H

#include "daemon/program/dgram.h"
#include "daemon/pump/impl.h"

struct mirrors_io;
struct backlog;

struct mirror_io {
    struct pump *p;
    struct mirror *m;
    int fd;
    struct fdset_entry *watch;
    struct mirror_io *next_ready;
};

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

/* pump/mirror.c */
bool dgram_bucket_take(struct bucket *b, mono_t now, uint32_t burst, uint32_t rate);
int dgram_fd(const struct mirror *m);
/* Into the queue of those that have something to read, and out of it. */
void mirror_ready(struct mirror_io *x);
void mirror_unready(struct dgram_side *s, struct mirror_io *x);
/* The mirror of a virtual peer, made if need be. 0 or -errno (-ENOBUFS: too many, and all in use). */
int dgram_mirror(struct pump *p, const struct addr *virt, bool asked, struct mirror **out);
/* The sender of a datagram that came to the mirror m; NULL: nobody of ours. */
struct usock *dgram_sender(struct pump *p, const struct mirror *m, const struct addr *from);
/* The socket that gets what comes from m for the port; NULL: there is none. */
struct usock *dgram_receiver(struct pump *p, const struct mirror *m, uint16_t port);
/* Another one than that with the cookie which gets it; NULL: there is none. */
struct usock *dgram_other(struct pump *p, const struct mirror *m, uint16_t port, uint64_t cookie);
/* To all that have the port and can be reached from m, but for the one with that cookie; how many. */
unsigned dgram_deliver_all(struct pump *p, const struct mirror *m, uint16_t port, uint64_t but, const uint8_t *data, size_t len);
/* Asks the kernel which socket a datagram from the mirror at `from` to u's address would reach. It must be this user's and one
 * we know: that one. NULL: it is not. A u which is gone, or another's now, is forgotten. */
struct usock *dgram_verify(struct pump *p, struct usock *u, const struct addr *from);

/* pump/udp.c */
/* A datagram from that port of ours to the peer m stands for. */
void dgram_out(struct pump *p, const struct mirror *m, uint16_t port, const uint8_t *data, size_t len);
/* To the host which has sent that packet: nobody is there. So often as errors may be sent at all. */
void dgram_answer_unreachable(struct pump *p, uint32_t host, const uint8_t *packet, size_t len);

/* pump/deliver.c */
/* To the socket u from the peer m stands for; the bytes must stay until dgram_flush(). */
void deliver(struct pump *p, struct usock *u, const struct mirror *m, const uint8_t *data, size_t len);
/* u is going to be freed. ctx: the pump. */
void deliver_forget(void *ctx, struct usock *u);
void deliver_expire(struct pump *p);
mono_t deliver_deadline(const struct pump *p);
void deliver_trim(struct pump *p);

#endif
