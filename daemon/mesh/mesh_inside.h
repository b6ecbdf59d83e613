/* mesh_inside.h - what a mesh consists of; shared by the files of the room, for nobody else. */
#ifndef I3_MESH_INSIDE_H
#define I3_MESH_INSIDE_H

#include "daemon/i3/seal.h"
#include "daemon/base/budget.h"
#include "daemon/mesh/mesh.h"
#include "daemon/mesh/mesh_wire.h"

#define uthash_fatal(msg) abort()
#include <stdlib.h>
#include <uthash.h>

#define MESH_TIMEOUT     (250 * USEC_PER_MSEC) /* of a probe, or two round trips; behind a missing one the next come so fast */
#define MESH_TIMEOUT_MAX (1200 * USEC_PER_MSEC)
#define MESH_TOKEN_LIFE  (2500 * USEC_PER_MSEC) /* an answer that comes later is none: the probe is lost */
#define MESH_CHANGE_GAP  (200 * USEC_PER_MSEC)  /* from one vector told out of turn to the next */
#define MESH_FOREVER     UINT32_MAX

#define MESH_CALM (60 * USEC_PER_SEC) /* up so long, it has not failed lately */

enum { MESH_FAILS = 5, MESH_LOSS_ONE = 1 << 16, MESH_LOSS_SHARE = 16, MESH_SERIALS = 64 };

struct token {
    uint64_t value; /* 0: free */
    mono_t sent;
};

/* An address of a member's. */
struct spot {
    struct addr addr;
    bool told;  /* in the book; else learnt */
    bool keep;  /* while members are told */
    bool up;    /* proven, and answers */
    uint8_t misses;
    uint8_t tries;  /* in vain, since it was last up; stops counting at 255 */
    mono_t due;     /* the next probe, or the present one's end of patience */
    bool waiting;   /* for the newest token */
    struct token token[MESH_TOKENS];
    unsigned newest;
    mono_t made, heard, since; /* first known, answered last, up since */
    mono_t steady;  /* no answer has been missing since */
    uint8_t fails;  /* how often it has gone down lately, at most MESH_FAILS */
    uint32_t rtt_us;
    uint32_t loss;  /* of MESH_LOSS_ONE, smoothed */
};

/* What a member has said of its link to another. */
struct said {
    uint32_t rtt_us; /* MESH_FOREVER: down */
    uint32_t cost;
    mono_t until;
};

/* In memory that is never swapped. */
struct mesh_secret {
    uint8_t shared[KEY_LEN];
    struct hmac mac;
};

struct member {
    uint8_t key[KEY_LEN];
    uint8_t prefix[ID_PREFIX_LEN];
    unsigned index;
    bool keep;
    UT_hash_handle hh; /* by the first MESH_ID bytes of prefix */
    struct mesh_secret *secret;

    /* the talk of two lives */
    uint64_t mine;    /* ours with it, drawn when it became a member */
    uint64_t life;    /* the member's; 0: unknown */
    bool knows;       /* it knows ours, and can read what is sealed */
    uint64_t serial;  /* of our last probe */
    uint64_t theirs;  /* the highest serial seen in its life */
    uint64_t seen;    /* of the MESH_SERIALS up to it */
    struct seal *tx, *rx;
    uint64_t counter;
    struct replay replay;
    struct budget answers, relayed;

    struct spot spot[MESH_SPOTS];
    unsigned n_spots;
    int best; /* of the spots, -1: none is up */

    enum mesh_kind kind;
    unsigned by; /* with DETOUR */
    uint32_t cost, rtt_us;
    mono_t since;
    uint64_t changes;
    bool has_event;
    struct mesh_event event;

    struct said *said;  /* of each other member, by index; from malloc */
    uint16_t told_rtt;  /* by our last vector */
};

struct mesh {
    struct mesh_config c;
    struct mesh_secret *own; /* `shared` is our private key */
    uint8_t prefix[ID_PREFIX_LEN];
    struct drbg drbg;
    struct member *v[MESH_MEMBERS];
    struct member *by_id;
    struct member *last; /* asked for */
    mono_t due;          /* the earliest of all; never later than what is true */
    bool stale;          /* something has changed: choose anew */
    mono_t tell_at;      /* the next vector */
    mono_t told_at;
    struct mesh_stats stats;
};

/* ---- mesh.c ---- */

struct member *member_by(const struct mesh *m, const uint8_t id[MESH_ID]);
/* Something may be due then. */
void mesh_arm(struct mesh *m, mono_t at);

static inline bool spot_may_lead(const struct spot *s)
{
    return s->up;
}

/* The link straight to it: MESH_FOREVER when there is none. */
uint32_t member_link_cost(const struct member *b);
uint32_t member_link_rtt(const struct member *b);
unsigned member_loss(const struct spot *s); /* of 1000 */

/* ---- mesh_probe.c ---- */

void probe_input(struct mesh *m, mono_t now, const struct addr *from, const uint8_t *data, size_t len, struct outbox *out);
/* Pushes what is due for a member; the next time. */
mono_t probe_output(struct mesh *m, struct member *b, mono_t now, struct outbox *out);
struct spot *spot_at(struct member *b, const struct addr *at);
/* Room for one more that is learnt, NULL: none. */
struct spot *spot_learn(struct member *b, mono_t now, const struct addr *at);
/* Not up any more. */
void spot_fail(struct mesh *m, struct member *b, struct spot *s, mono_t now);
/* The one in use is chosen anew. */
void member_choose_spot(struct mesh *m, struct member *b, mono_t now);

/* ---- mesh_way.c ---- */

void vector_input(struct mesh *m, mono_t now, uint8_t *data, size_t len);
void vectors_output(struct mesh *m, mono_t now, struct outbox *out);
/* The ways of all; sets no event where nothing changes. */
void ways_choose(struct mesh *m, mono_t now);
/* A link has come up, gone, or changed: it is told soon, or at once. */
void link_changed(struct mesh *m, mono_t now, bool much);
/* That member's slot is another's from now on. */
void ways_forget(struct mesh *m, struct member *b, mono_t now);

#endif
