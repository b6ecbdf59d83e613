/* resolver.h - TXT records and addresses from the DNS, by c-ares: nothing here ever waits. Of the system's servers (/etc/resolv.conf) or of one that was
 * named.
 *
 * Bounds: RESOLVER_MAX questions for TXT, RESOLVER_ADDRESSES_MAX for addresses at a time. A question ends within RESOLVER_PATIENCE. Questions do not wait
 * for each other: one about a name whose servers are dead holds up nobody.
 */
#ifndef I3_RESOLVER_H
#define I3_RESOLVER_H

#include "daemon/base/mono.h"
#include "daemon/io/fdset.h"
#include "include/addr.h"

enum { RESOLVER_MAX = 64, RESOLVER_ADDRESSES_MAX = 8192, RESOLVER_FOUND_MAX = 16 };
#define RESOLVER_PATIENCE (4 * USEC_PER_SEC)

struct resolver;

/* err 0: the whole reply. -ENOENT: no such name, or it has no TXT; -EAGAIN: no server answers, or it has trouble of its own; -EPROTO: it
 * refuses, or talks nonsense; *why is a sentence then. Not called from within resolver_ask(). */
typedef void resolver_fn(void *ctx, uint32_t token, int err, const char *why, const uint8_t *msg, size_t len);

/* server: family 0 for the system's. 0 or -errno. */
int resolver_new(struct resolver **out, struct fdset *set, const struct addr *server, resolver_fn *fn, void *ctx);
/* What was asked is not answered any more. */
void resolver_free(struct resolver *r);
/* 0; -ENOSPC: too many at a time; -EINVAL: that is no name. */
int resolver_ask(struct resolver *r, const char *name, uint32_t token);

/* A name's addresses, of both families. */
struct resolver_found {
    int err;         /* 0; -ENOENT: no such name; -ENODATA: it has none; -EAGAIN, -EPROTO as above */
    const char *why; /* with err */
    unsigned n;
    struct addr addr[RESOLVER_FOUND_MAX]; /* port 0; IPv4 first, each family as the server has it */
    uint32_t ttl;    /* seconds: the least of all; of "there is none" as RFC 2308 has it, 0 when the server has not said */
};

typedef void resolver_found_fn(void *ctx, uint32_t token, const struct resolver_found *found);

/* Who hears of addresses. */
void resolver_set_found(struct resolver *r, resolver_found_fn *fn);
/* 0 or -ENOSPC, -ENOMEM. When one family has addresses and the other's answer is late, it is not waited for long. */
int resolver_ask_addresses(struct resolver *r, const char *name, uint32_t token);
unsigned resolver_busy(const struct resolver *r);
/* /etc/resolv.conf could be read when it was made. */
bool resolver_knows_system(const struct resolver *r);

mono_t resolver_deadline(struct resolver *r, mono_t now);
void resolver_expire(struct resolver *r);

#endif
