/* sampler.h - private ids that live on near nodes (paper 4.2): of several fresh keys the one whose id has the nearest owner.
 *
 *   round      the key in use, then up to SAMPLER_KEYS new ones, one every SAMPLER_PACE: LOOKUP names the owner, the quickest of
 *              SAMPLER_PINGS tells how far it is; an owner met before is not asked again
 *   end        the nearest is offered (sampler_take) if it is clearly nearer than the key in use: a quarter, and 2 ms
 *   later      every few minutes (jittered) the owner of the key in use is looked up; where that has become clearly farther away, or after
 *              sampler_restart(), another round
 *
 * The first SAMPLER_ENOUGH keys all at one owner: there is no choice (one node, or all of the ring near each other in it), and the round
 * ends. Nothing is repeated: what gets no answer in time does not count.
 *
 * What it gives away: whoever knows a private id, which only peers do whom we have told it in a session, and the nodes on the way, may find
 * out its owner, and that we are probably near that. Peers to whom a shortcut is allowed learn our address anyway; who must not learn so
 * much is not to be given a sampled id. Keys are as fresh and as secret as ever: each is drawn anew; picking one of 17 by its public half
 * says nothing of the private one. Public ids are never sampled: theirs are what others know us by.
 *
 * Bounds: SAMPLER_KEYS keys a round, SAMPLER_OWNERS owners measured, one LOOKUP or PING under way.
 */
#ifndef I3_SAMPLER_H
#define I3_SAMPLER_H

#include "daemon/base/crypto.h"
#include "daemon/base/mono.h"
#include "daemon/base/outbox.h"
#include "include/wire.h"

#define SAMPLER_PACE  (300 * USEC_PER_MSEC)
#define SAMPLER_CHECK (240 * USEC_PER_SEC)

enum { SAMPLER_KEYS = 16, SAMPLER_ENOUGH = 4, SAMPLER_PINGS = 3, SAMPLER_OWNERS = SAMPLER_KEYS + 1 };

struct sampler;

/* prefix: of the ids in use. NULL: out of memory. */
struct sampler *sampler_new(mono_t now, const uint8_t prefix[ID_PREFIX_LEN], const uint8_t seed[32]);
void sampler_free(struct sampler *s);

/* The node that is asked. Another one than so far: we are near others now, perhaps. */
void sampler_set_home(struct sampler *s, mono_t now, const struct addr *home);
/* Another network: distances are others. */
void sampler_restart(struct sampler *s, mono_t now);

/* An OWNER or PONG. -EPROTO: it answers nothing we asked. */
int sampler_input(struct sampler *s, mono_t now, const struct addr *from, const uint8_t *p, size_t len);
void sampler_output(struct sampler *s, mono_t now, struct outbox *out);
mono_t sampler_deadline(const struct sampler *s);

/* True, once: this key shall be used from now on. */
bool sampler_take(struct sampler *s, uint8_t priv[KEY_LEN], uint8_t pub[KEY_LEN]);

struct sampler_info {
    uint32_t rtt_us;  /* of the owner of the key in use, 0: not known */
    uint32_t first_us; /* of the first one ever in use: how it would be without sampling */
    unsigned rounds, keys;
};

void sampler_info(const struct sampler *s, struct sampler_info *out);

#endif
