/* session.h - one key between two daemons, and the table that finds it by the private id which a packet comes to.
 *
 *   private id   prefix of the daemon's session key (16) | slot (8) | random (8)
 *
 * A session is made when its private id is first told to the peer, and gets its keys with the peer's answer. Every
 * session has a new random part, so an id never names two keys, although slots are used again.
 * Bound: SESSIONS_MAX.
 */
#ifndef I3_SESSION_H
#define I3_SESSION_H

#include "daemon/base/mono.h"
#include "daemon/i3/handshake.h"
#include "daemon/i3/peer.h"

#define uthash_fatal(msg) abort()
#include <stdlib.h>
#include <uthash.h>

enum { SESSIONS_MAX = 4 * PEERS_MAX }; /* current, previous, next and one being asked for */

#define SESSION_LIFE          (180 * USEC_PER_SEC) /* refused from then on */
#define SESSION_REKEY         (120 * USEC_PER_SEC) /* the initiator replaces it when it sends */
#define SESSION_REKEY_LATE    (165 * USEC_PER_SEC) /* the responder does, when the initiator has not */
#define SESSION_REKEY_PACKETS (1ull << 60)
#define SESSION_PACKETS_MAX   ((1ull << 60) + (1ull << 20))

struct session {
    struct peer *peer;
    uint32_t slot;
    struct i3_id local, remote; /* private ids */
    UT_hash_handle by_remote;
    bool has_keys, initiator;
    bool heard; /* the peer has used this key */
    enum peer_cipher cipher;
    mono_t created, rekey_at; /* since it has keys */
    struct seal *tx, *rx;
    bool plain; /* IP packets are not encrypted */
    uint64_t counter; /* of the next packet */
    struct replay replay;
    uint8_t header[DATA_HEADER_LEN]; /* of packets to the peer */

    /* At the responder, until heard: the RESPONSE, for as often as it is lost. At the initiator: its last bytes, to
     * know it again. */
    uint8_t response[RESPONSE_LEN];
    unsigned response_repeats;
    unsigned response_asked; /* how often the INIT came again */
    bool response_wanted;
    mono_t response_sent;
};

struct sessions {
    const void *accel; /* for seal_new_with() */
    struct session **slot;
    uint32_t *free; /* slots to use again */
    uint32_t cap, used, n_free;
    struct session *by_remote;
    uint8_t prefix[ID_PREFIX_LEN], before[ID_PREFIX_LEN]; /* of new ids, and of those before a change of the key */
};

void sessions_init(struct sessions *t, const uint8_t session_pub[KEY_LEN]);
/* Another key for the ids of new sessions; the others keep theirs. */
void sessions_set_key(struct sessions *t, const uint8_t session_pub[KEY_LEN]);
void sessions_fini(struct sessions *t);

/* A session without keys. NULL when out of memory or SESSIONS_MAX stand. */
struct session *session_new(struct sessions *t, struct peer *p, struct drbg *d);
void session_free(struct sessions *t, struct session *s);

/* Gives it keys and the peer's private id; `n` is split and wiped. plain: both ends want IP packets unencrypted. */
void session_set_keys(struct sessions *t, struct session *s, struct noise *n, bool initiator,
    enum peer_cipher cipher, bool plain, const struct i3_id *remote, mono_t now);

/* The session whose private id this is, or NULL. */
struct session *session_find(const struct sessions *t, const uint8_t id[ID_LEN]);
struct session *session_find_remote(const struct sessions *t, const struct i3_id *id);

/* A header for DATA packets with one id. */
void data_header_to(uint8_t out[DATA_HEADER_LEN], const struct i3_id *id, enum wire_proto proto);

static inline bool session_may_receive(const struct session *s, mono_t now)
{
    return s->has_keys && mono_since(s->created, now) < SESSION_LIFE;
}

static inline bool session_may_send(const struct session *s, mono_t now)
{
    return session_may_receive(s, now) && s->counter < SESSION_PACKETS_MAX;
}

#endif
