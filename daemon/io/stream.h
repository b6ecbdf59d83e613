/* stream.h - packets over TCP where UDP is blocked (DESIGN 6; the frames of wire.h): a table of connections, accepted or made, each
 * of which is an address like any other, with the bit ADDR_TCP, to whoever receives and sends.
 *
 *   streams_recv   many frames per read, handed out where they were read; what is left of the last one waits for its rest
 *   streams_send   takes what goes to connections out of an outbox: one writev for all that goes to one of them
 *
 * A connection that does not keep up loses packets as a router's queue would: whole frames, counted; nothing ever waits for it. What
 * goes to an address of no connection is lost, or has one made first (streams_dial).
 *
 * Ended: at the other end's wish or silence (no whole frame for STREAM_FIRST_US at the start, later for STREAM_IDLE_US; nothing of
 * what was sent acknowledged for STREAM_STUCK_MS), and after a frame too long.
 *
 * Bounds: `max` connections, `per_source` of them from one IPv4 address or IPv6 /64; when all are taken a new one takes the place of
 * one that has said nothing yet, or nothing for STREAM_SPARE_US, or is refused. queue_max bytes wait for one connection beside the
 * kernel's, or STREAM_QUEUE_SLOW where the first of them has waited for STREAM_STALE_US (a slow line would make seconds of them),
 * memory_max for all. Nothing is allocated per packet: what waits is in chunks that are kept for the next one.
 */
#ifndef I3_STREAM_H
#define I3_STREAM_H

#include "daemon/base/mono.h"
#include "daemon/base/outbox.h"
#include "include/wire.h"

#define STREAM_FIRST_US   (10 * USEC_PER_SEC)
#define STREAM_IDLE_US    (90 * USEC_PER_SEC)
#define STREAM_SPARE_US   (30 * USEC_PER_SEC)
#define STREAM_CONNECT_US (2 * USEC_PER_SEC)
#define STREAM_STALE_US   (100 * USEC_PER_MSEC)

enum { STREAM_LISTEN_MAX = 4, STREAM_STUCK_MS = 5000, STREAM_QUEUE_SLOW = 64 << 10 };

struct streams;

struct streams_config {
    unsigned max, per_source; /* connections; per_source 0: no matter */
    uint32_t queue_max, memory_max;
};

struct streams_stats {
    uint64_t frames_in, bytes_in, frames_out, bytes_out, calls_in, calls_out;
    uint64_t lost;     /* no room in the queue */
    uint64_t nobody;   /* no such connection */
    uint64_t accepted, refused, ended, bad; /* refused: no place; bad: ended for what it sent */
    unsigned open;     /* now */
};

/* 1,024 connections, a quarter of them of one source (which may be a whole office behind its NAT), 2 MB for each and 64 MB for all. */
void streams_config_default(struct streams_config *c);

int streams_new(struct streams **out, const struct streams_config *c);
void streams_free(struct streams *s);

/* Accepts connections there; 0 or -errno. At most STREAM_LISTEN_MAX times. */
int streams_listen(struct streams *s, const struct addr *at);
/* Makes a connection by itself when a packet goes to an address that has none; not more often than back-off allows (a quarter of a
 * second, doubling to 30 s). port: tried first at every address but for the address's own, 0: none. */
void streams_dial(struct streams *s, uint16_t port);
/* Ends all of them. */
void streams_hang_up(struct streams *s);

/* To be watched for input, and streams_recv() called until it returns false. */
int streams_fd(const struct streams *s);

typedef void streams_packet_fn(void *ctx, const struct addr *from, uint8_t *p, size_t len);

/* A batch of what has come and can be sent now; true: call again. The packets stay valid until then. */
bool streams_recv(struct streams *s, mono_t now, streams_packet_fn *fn, void *ctx);

/* Sends what is for connections and takes it out of the outbox; the rest stays, and what it points to. */
void streams_send(struct streams *s, mono_t now, struct outbox *o);

/* A connection has much to send already and is getting on with it: who can, comes again when streams_fd() says so. For a few
 * connections. */
bool streams_would_wait(const struct streams *s, mono_t now);

/* For silence and back-off. */
mono_t streams_deadline(const struct streams *s);
void streams_expire(struct streams *s, mono_t now);

/* Connections that we made have come to stand, or have ended (or never stood). The newest STREAM_EVENTS are kept. */
enum { STREAM_EVENTS = 64 };
struct stream_event {
    struct addr at;
    bool up, was_up;
    int err; /* a positive errno, 0: the other end has closed it */
};
bool streams_event(struct streams *s, struct stream_event *out);

/* So many more were lost, on their way to connections. */
void streams_lost(struct streams *s, uint64_t n);
const struct streams_stats *streams_stats(const struct streams *s);

#endif
