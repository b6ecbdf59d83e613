/* resolver.h - TXT records from the DNS, by c-ares: nothing here ever waits. Of the system's servers (/etc/resolv.conf) or of one that was
 * named.
 *
 * Bound: RESOLVER_MAX questions at a time. A question ends within RESOLVER_PATIENCE.
 */
#ifndef I3_RESOLVER_H
#define I3_RESOLVER_H

#include "daemon/base/mono.h"
#include "daemon/io/fdset.h"
#include "include/addr.h"

enum { RESOLVER_MAX = 64 };
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
unsigned resolver_busy(const struct resolver *r);
/* /etc/resolv.conf could be read when it was made. */
bool resolver_knows_system(const struct resolver *r);

mono_t resolver_deadline(struct resolver *r, mono_t now);
void resolver_expire(struct resolver *r);

#endif
