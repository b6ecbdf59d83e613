/* stream_inside.h - what stream.c (the table, what comes in), stream_join.c (how connections come to be) and stream_out.c (what waits, what
 * goes out) share. */
#ifndef I3_STREAM_INSIDE_H
#define I3_STREAM_INSIDE_H

#include <sys/epoll.h>
#include <sys/queue.h>

#include "daemon/io/stream.h"

enum { CHUNK_LEN = FRAME_HEAD + FRAME_MAX_LEN, CHUNKS_KEPT = 64 };

/* Bytes that wait: to be sent, or for the rest of their frame. */
struct chunk {
    struct chunk *next;
    mono_t since; /* its first byte has waited */
    uint32_t start, end;
    uint8_t data[CHUNK_LEN];
};

struct conn {
    int fd;
    bool over;             /* ended, to be freed when the batch is over */
    struct addr at;
    struct conn *next;     /* of the same hash, or ended */
    TAILQ_ENTRY(conn) age; /* in streams.fresh until a frame has come, then in streams.heard; the longest silent first */
    mono_t last;           /* the last frame, or the beginning */
    bool ours, connecting, spoke, wants_out;
    bool last_port;        /* no other port is left to be tried */
    struct chunk *in;
    struct chunk *out, *out_last;
    uint32_t queued;
    struct conn *next_touched; /* in one streams_send() */
    unsigned first, final, n;  /* its frames there */
};

/* A frame of one streams_send(). */
struct frame {
    const uint8_t *data;
    uint32_t len;
    unsigned next; /* of the same connection */
};

struct dial {
    struct addr at;
    mono_t again;
    uint64_t pause;
};

enum { DIALS = 64 };

struct streams {
    struct streams_config c;
    struct streams_stats stats;
    mono_t now; /* of this call */
    int epfd;
    int listener[STREAM_LISTEN_MAX];
    unsigned listeners;
    mono_t accept_again; /* MONO_NEVER: accepting */
    mono_t told;         /* the last word in the log about connections that found no place, us 0: none */

    struct conn **bucket;
    unsigned buckets; /* a power of two */
    uint32_t secret;
    TAILQ_HEAD(conn_list, conn) fresh, heard;
    struct conn *ended;

    bool dials;
    uint16_t dial_port;
    struct dial dial[DIALS]; /* a place by hash; who comes later has it */

    struct chunk *spare;
    unsigned spares, chunks; /* chunks: all there are, in use and spare */

    uint8_t *buffer;
    size_t used; /* in this batch */
    struct frame frame[OUTBOX_MAX]; /* of one streams_send() */
    unsigned frames;
    struct conn *touched;
    struct stream_event event[STREAM_EVENTS];
    unsigned event_first, events;
};

/* stream.c */
struct conn *conn_find(const struct streams *s, const struct addr *at);
/* Of all with its hash the first. */
struct conn **conn_place(const struct streams *s, const struct addr *at);
/* NULL: there is no memory. */
struct conn *conn_new(struct streams *s, mono_t now, const struct addr *at, int fd);
/* For streams_event(), if it is one of ours. */
void conn_tell(struct streams *s, const struct conn *c, bool up, int err);
struct epoll_event conn_interests(const struct conn *c);
/* err: a positive errno, 0: closed by the other end. */
void conn_end(struct streams *s, struct conn *c, int err);
/* Whether room to write is waited for. */
void conn_watch(struct streams *s, struct conn *c, bool out);

/* stream_join.c */
void conn_accept(struct streams *s, mono_t now, int listener);
/* Nobody is accepted before; MONO_NEVER: all are again. */
void conn_accept_pause(struct streams *s, mono_t again);
struct conn *conn_dial(struct streams *s, mono_t now, const struct addr *at);
/* It is to be seen whether it stands. */
void conn_connected(struct streams *s, mono_t now, struct conn *c);
/* The first port does not answer: the address's own. False: the connection has ended. */
bool conn_dial_on(struct streams *s, mono_t now, struct conn *c, int err);
/* When it may be dialled again. */
void conn_dial_failed(struct streams *s, const struct conn *c);

/* stream_out.c */
/* must: even beyond memory_max. NULL: there is no memory. */
struct chunk *chunk_get(struct streams *s, bool must);
void chunk_put(struct streams *s, struct chunk *c);
void conn_drop_queue(struct streams *s, struct conn *c);
/* What waits, as far as there is room. */
void conn_flush(struct streams *s, struct conn *c);

#endif
