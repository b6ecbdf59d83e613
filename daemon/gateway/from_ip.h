/* from_ip.h - whom a connection from the Internet is for, where its own bytes do not say it (the paper's appendix).
 *
 *   resolver: where is foo.<zone>?  ---> from_ip_answer() = a waypoint W that is free
 *   client C:  SYN to W             ---> from_ip_claim(C, W):  (C, W) bound? its name
 *                                                              W handed out for foo within the last second? foo, and (C, W) is bound to it
 *                                                              else nobody
 *
 * The resolver that asks is not the client, so that nobody knows who will come: a waypoint that was handed out for one name is not handed out
 * for another for a second (FROM_IP_WINDOW_US). With N waypoints that are N names a second at most; the same name is free to be asked for
 * at any rate, as all who come are for it. One that nobody bound to other names uses is preferred, and of those the one that the name had
 * last: as long as there are as many waypoints as names, there is nothing to be taken for another.
 *
 * What could be either is refused: a client bound to bar at W connects to W while it was handed out for foo, or has been
 * within FROM_IP_DOUBT_US. Who comes after the second is over is refused as well.
 *
 * A binding lasts while there are connections, and FROM_IP_IDLE_US after the last. Pure. Bounds: FROM_IP_BINDINGS; when they are used up the
 * one longest without a connection gives way, and if there is none the newcomer is refused.
 */
#ifndef I3_FROM_IP_H
#define I3_FROM_IP_H

#include "daemon/base/mono.h"
#include "include/addr.h"

enum { FROM_IP_BINDINGS = 4096, FROM_IP_NAME_MAX = 63 };

#define FROM_IP_WINDOW_US (1000ull * 1000)
#define FROM_IP_DOUBT_US (3000ull * 1000)
#define FROM_IP_IDLE_US (60ull * 1000 * 1000)

struct from_ip;

/* ip: waypoints, their ports are not looked at. NULL when out of memory. */
struct from_ip *from_ip_new(const struct addr *waypoint, unsigned n);
void from_ip_free(struct from_ip *t);

/* The waypoint of that family (4, 6) for the answer to a question for that name, which is handed out with it; -EAGAIN: none is
 * free, -ENOENT: there is none of that family. */
int from_ip_answer(struct from_ip *t, mono_t now, const char *name, uint8_t family);

/* Whose is a connection from `source` that came at waypoint w? *name is set, valid until the next call; the connection counts until
 * from_ip_end(). allowed: may that source go to that name? If not, nothing is bound. 0; -ENOENT: nobody's. -EBUSY: it could be one of two. -EACCES: not allowed.
 * -ENOBUFS. */
typedef bool from_ip_allowed_fn(void *ctx, const char *name, const struct addr *source);
int from_ip_claim(struct from_ip *t, mono_t now, const struct addr *source, unsigned w, from_ip_allowed_fn *allowed, void *ctx, const char **name);
void from_ip_end(struct from_ip *t, mono_t now, const struct addr *source, unsigned w);

/* Nobody is led to that name any more. */
void from_ip_forget(struct from_ip *t, const char *name);

mono_t from_ip_deadline(const struct from_ip *t);
void from_ip_expire(struct from_ip *t, mono_t now);

struct from_ip_row {
    struct addr source;
    unsigned waypoint, connections;
    const char *name;
    uint64_t idle_us; /* since the last connection's end; 0 with connections */
};

/* The binding after *cursor (start with NULL), false at the end. */
bool from_ip_next(const struct from_ip *t, mono_t now, const void **cursor, struct from_ip_row *out);
unsigned from_ip_bindings(const struct from_ip *t);
/* For whom a waypoint is handed out at present; NULL: it is free. */
const char *from_ip_pending(const struct from_ip *t, mono_t now, unsigned w);

#endif
